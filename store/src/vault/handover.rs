//! The last step of a backup: its new files take the place of the earlier ones.
//!
//! A database names packs by number, and a pack of another history may take an earlier
//! one's number. So all that is new gathers in `next`, and when it is durable that is
//! renamed to `ready`: at that instant the backup is the new one. Whoever opens it moves
//! what is left in `ready` to its place first; a power cut in between loses nothing.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::key_file::KEY_FILE;
use crate::chunk::pack::pack_number;
use crate::db::FILE;

/// Where the new files gather.
pub(super) const NEXT: &str = "next";
/// The same, all there and durable.
pub(super) const READY: &str = "ready";

/// Declares what gathered in `next` the backup, and moves it to its place.
///
/// # Errors
/// What the system says; then the backup is the earlier one, or [`finish`] goes on.
pub(super) fn hand_over(dir: &Path) -> io::Result<()> {
    sync_dir(&dir.join(NEXT))?;
    fs::rename(dir.join(NEXT), dir.join(READY))?;
    sync_dir(dir)?;
    finish(dir)
}

/// Moves what is ready to its place. The vault's lock is held.
///
/// # Errors
/// What the system says; then it is as far as it came, and can be called again.
pub(super) fn finish(dir: &Path) -> io::Result<()> {
    let ready = dir.join(READY);
    let entries = match fs::read_dir(&ready) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let is_ours = name
            .to_str()
            .is_some_and(|name| [FILE, KEY_FILE].contains(&name) || pack_number(name).is_some());
        if is_ours {
            fs::rename(ready.join(&name), dir.join(&name))?;
        }
    }
    sync_dir(dir)?;
    fs::remove_dir_all(&ready)?;
    sync_dir(dir)
}

/// The folders in which a vault's files lie: what is in the first counts.
pub(super) fn layers(dir: &Path) -> Vec<PathBuf> {
    let ready = dir.join(READY);
    let mut layers = vec![dir.to_path_buf()];
    if ready.is_dir() {
        layers.insert(0, ready);
    }
    layers
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
