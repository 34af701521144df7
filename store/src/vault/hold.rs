//! Holding a vault's folder: the lock that one process has, and whether there is a vault.
//!
//! Guarantees: the lock goes with the process, however that ends. Nothing is made in a
//! folder that is no vault but by whoever makes one.

use std::fs::File;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::handover;
use super::key_file::KEY_FILE;
use super::open::OpenError;

/// Locked while a process holds the vault.
pub(super) const LOCK_FILE: &str = "lock";

/// The file in a vault's folder that whoever holds the vault has locked (flock(2)).
pub fn lock_file(dir: &Path) -> std::path::PathBuf {
    dir.join(LOCK_FILE)
}

/// Takes the vault's lock, which it makes if it is not there. Where that cannot be made or
/// opened because nothing can be written there, `read_only` does without: then nobody else
/// writes there either.
pub(super) fn take_lock(dir: &Path, read_only: bool) -> Result<Option<File>, OpenError> {
    let at = |e| OpenError::Io(dir.to_path_buf(), e);
    let path = dir.join(LOCK_FILE);
    let mut options = std::fs::OpenOptions::new();
    options.read(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = match options
        .clone()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
    {
        Err(e) if read_only && cannot_write(&e) => match options.open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at(e)),
        },
        opened => opened.map_err(at)?,
    };
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Held(dir.to_path_buf())),
        Err(e) => return Err(at(e.into())),
    }
    if !read_only {
        // One of an earlier day, or copied, may be open to others: a comfort, not a need.
        let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
    }
    Ok(Some(file))
}

/// Whether the folder, or we, cannot write, and reading may still do.
fn cannot_write(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EROFS | libc::EACCES | libc::EPERM))
}

/// That the database is there; else what that means.
pub(super) fn find_database(dir: &Path) -> Result<(), OpenError> {
    for layer in handover::layers(dir) {
        match std::fs::metadata(layer.join(crate::db::FILE)) {
            Ok(found) if found.is_file() => return Ok(()),
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(OpenError::Io(dir.to_path_buf(), e));
            }
            _ => {}
        }
    }
    let mut names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_left = names.any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name == KEY_FILE || crate::chunk::pack::pack_number(&name).is_some()
    });
    Err(match is_left {
        true => OpenError::NoDatabase(dir.to_path_buf()),
        false => OpenError::NotAVault(dir.to_path_buf()),
    })
}
