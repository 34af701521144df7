//! Salvage: what is whole of a damaged vault becomes plain files in a folder.
//!
//! First by the database, as far as it opens: every file that reads whole goes to its
//! path. Then, for what the database no longer tells or cannot read, by the events in the
//! packs: each carries its entity's key and content, or its name. Modes, times, owners and
//! xattrs come back as far as they are known. Not a byte of the vault is changed, nothing
//! that is there at the destination is written over, and memory is bounded by a chunk, not
//! by a file. What the destination refuses is noted; only a full or read-only one ends it.
//!
//! What is known to be lost, or may be, is a problem; that something came back another way
//! is a note. What a newer program told, and this one cannot read, is neither: it stays in the vault as it is, and it is said
//! that coffer is to be updated.
//!
//! Parts, each importing only those above it: `out` (the destination), `forks` (batches that do not count), `gaps` (where a
//! damaged one belongs), `told` (what the events tell), `read` (reading them), `bytes` (a version's), `woven` (texts), `choice` (which version), `by_tree`, `by_events`.

mod by_events;
mod by_tree;
mod bytes;
mod choice;
mod forks;
mod gaps;
mod out;
mod read;
mod told;
mod woven;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::by_events::by_events;
use self::by_tree::{Known, by_tree};
use self::out::Out;
use self::told::Told;
use super::handover;
use super::key_file::KeyFile;
use super::open::{OpenError, Sealed};
use super::{Problem, Vault};
use crate::io::Disk;
use crate::io::overlay::Overlay;
use crate::io::real::RealDisk;
use crate::keys::{Header, MasterKey, Password, RecoverError, RecoveryPhrase, UnlockError};

/// Why nothing could be salvaged.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The password.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The recovery phrase.
    #[error(transparent)]
    Phrase(#[from] RecoverError),
    /// Somebody has it, or it is a newer program's.
    #[error(transparent)]
    Open(OpenError),
    /// Neither database nor key file lead to the keys.
    #[error(
        "neither the database nor vault.key can be read: without the keys in them nothing can be opened; use a backup"
    )]
    NoKeys,
    /// The vault's folder.
    #[error("cannot read the vault in {}: {}", .0.display(), .1)]
    Vault(PathBuf, #[source] io::Error),
    /// The destination.
    #[error("cannot write to {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

/// What opens a vault that is to be salvaged.
#[derive(Clone, Copy)]
pub enum Opener<'a> {
    /// Its password.
    Password(&'a Password),
    /// Its recovery phrase, where the password is forgotten.
    Phrase(&'a RecoveryPhrase),
}

impl Opener<'_> {
    fn master(&self, header: &Header) -> Result<MasterKey, SalvageError> {
        Ok(match self {
            Opener::Password(password) => header.unlock(password)?,
            Opener::Phrase(phrase) => header.recover(phrase)?,
        })
    }
}

/// What was brought out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// Files, links and pipes that are whole. One with several names counts once.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those, files whose content only the events in the packs told of.
    pub from_events: u64,
    /// What could not be brought out, or not as it was last.
    pub problems: Vec<Problem>,
    /// What else is worth knowing: nothing of it is known to be a loss.
    pub notes: Vec<Problem>,
    /// What only a newer program can read, so that it was not brought out, or not as it was last. It is not damaged.
    pub newer: Vec<Problem>,
}

/// As [`salvage_by`], with the password.
///
/// # Errors
/// As [`salvage_by`].
pub fn salvage(
    dir: &Path,
    password: &Password,
    dest: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<SalvageReport, SalvageError> {
    salvage_by(dir, Opener::Password(password), dest, progress)
}

/// Salvages the vault in `dir` into the folder `dest`, which is made, or closed to others.
/// `progress` gets the bytes that were brought so far.
///
/// # Errors
/// As [`SalvageError`] says. Damage is no error but in the report.
pub fn salvage_by(
    dir: &Path,
    opener: Opener<'_>,
    dest: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<SalvageReport, SalvageError> {
    let unreadable = |e| SalvageError::Vault(dir.to_path_buf(), e);
    let mut layers: Vec<Arc<dyn Disk>> = Vec::new();
    for dir in handover::layers(dir) {
        layers.push(Arc::new(RealDisk::open_read_only(&dir).map_err(unreadable)?));
    }
    let disk: Arc<dyn Disk> = Arc::new(Overlay::new(layers));
    let mut out = Out::new(dest, progress);
    let vault = unlock(dir, &disk, opener, &mut out)?;
    let secrets = match &vault {
        Some(vault) => vault.secrets(),
        None => {
            let file = KeyFile::read(&disk).ok_or_else(|| match KeyFile::is_earlier(&disk) {
                true => SalvageError::Open(OpenError::Trial),
                false => SalvageError::NoKeys,
            })?;
            let master = opener.master(&file.header)?;
            Arc::new(file.open(&master).ok_or(SalvageError::NoKeys)?.1)
        }
    };
    let told = Told::read(disk, &secrets).map_err(unreadable)?;
    out.begin()?;
    let mut known = Known::default();
    if let Some(vault) = &vault {
        by_tree(vault, &told, &mut out, &mut known)?;
    }
    let before = out.report.files;
    by_events(vault.as_deref(), &told, &mut out, &mut known)?;
    let found = out.report.files - before;
    judge(vault.as_deref(), &told, found, &mut out);
    say_newer(vault.as_deref(), &told, &mut out);
    out.finish()?;
    Ok(out.report)
}

/// The vault by its database, or why not, as a note.
fn unlock(
    dir: &Path,
    disk: &Arc<dyn Disk>,
    opener: Opener<'_>,
    out: &mut Out<'_>,
) -> Result<Option<Arc<Vault>>, SalvageError> {
    let sealed = match Sealed::open_somehow(dir) {
        Ok((sealed, damaged)) => {
            if damaged {
                let what = "the journal is damaged: of what was saved last, something may be missing";
                out.problem(None, what);
            }
            sealed
        }
        // Salvaging what is being written, or by another format, would bring what never was.
        Err(e @ (OpenError::Held(_) | OpenError::TooNew | OpenError::Trial)) => {
            return Err(SalvageError::Open(e));
        }
        Err(e) => {
            without_database(&e, out);
            return Ok(None);
        }
    };
    let header = sealed.header().clone();
    let master = match opener.master(&header) {
        Ok(master) => master,
        // Perhaps only the header's copy in the database was altered.
        Err(e) if KeyFile::read(disk).is_none_or(|file| file.header == header) => return Err(e),
        Err(e) => {
            without_database(&e, out);
            return Ok(None);
        }
    };
    match sealed.unlock_somehow(master) {
        Ok(vault) => Ok(Some(vault)),
        Err(e) => {
            without_database(&e, out);
            Ok(None)
        }
    }
}

fn without_database(why: &dyn std::fmt::Display, out: &mut Out<'_>) {
    let what = format!(
        "the database could not be used: {why}. Files are brought out as they were last published; what was not yet is not there"
    );
    out.note(None, what);
}

/// What of the damage that was met is a loss. A damaged name is none if a file turned up
/// that the tree did not name; damaged packs are one where nothing else tells what was there.
fn judge(vault: Option<&Vault>, told: &Told, found: u64, out: &mut Out<'_>) {
    let met = vault.map(|vault| vault.met.lock().clone()).unwrap_or_default();
    let is_name = |problem: &Problem| problem.path.is_some() || problem.what == super::check::BAD_NAME;
    let names = met.iter().filter(|problem| is_name(problem)).count() as u64;
    for problem in met {
        match is_name(&problem) && found < names {
            true => out.report.problems.push(problem),
            false => out.report.notes.push(problem),
        }
    }
    for what in &told.damage {
        match vault {
            Some(_) => out.note(None, what),
            None => out.problem(None, what),
        }
    }
}

/// What of all that was told only a newer program can read.
fn say_newer(vault: Option<&Vault>, told: &Told, out: &mut Out<'_>) {
    let waiting = vault.and_then(|vault| vault.unreadable().ok());
    let waiting = waiting.map_or(0, |unreadable| unreadable.newer);
    let count = waiting.max(told.newer.len() as u64);
    if count > 0 || !out.report.newer.is_empty() {
        let what = match count {
            0 => "a newer version of coffer is used with this vault".to_owned(),
            1 => "1 change that was told only a newer version of coffer can read".to_owned(),
            _ => format!("{count} changes that were told only a newer version of coffer can read"),
        };
        let then = "nothing of that is damaged: keep the vault, update coffer, and salvage again";
        out.newer(None, format!("{what}; {then}"));
    }
}
