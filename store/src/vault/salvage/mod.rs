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
//! Parts, each importing only those above it: `out` (the destination), `forks` (batches that do not count),
//! `told` (the events), `woven` (texts), `choice` (which version).

mod choice;
mod forks;
mod gaps;
mod out;
mod told;
mod woven;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::choice::Restored;
use self::out::{Attributes, BringError, Out};
use self::told::Told;
use super::handover;
use super::key_file::KeyFile;
use super::open::{OpenError, Sealed};
use super::{OpError, Problem, Vault};
use crate::event::EventRef;
use crate::ids::{EntityId, Ino, NodeId, ROOT, ROOT_NODE};
use crate::io::Disk;
use crate::io::overlay::Overlay;
use crate::io::real::RealDisk;
use crate::keys::{Header, MasterKey, Password, RecoverError, RecoveryPhrase, UnlockError};
use crate::tree::Kind;

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

/// What is said of a file of which something waits for a newer program.
const OLDER_THAN_NEWER: &str =
    "what was last said of it only a newer version of coffer can read; what was before that was brought out";
/// The same, of one of which nothing could be brought out.
const ALL_NEWER: &str = "only a newer version of coffer can read it";

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

/// What the database's tree told, so that the events need not tell it again.
#[derive(Default)]
struct Known {
    /// Nodes that it names, or knows to be gone.
    nodes: HashSet<NodeId>,
    /// Where each entity was brought to.
    entities: HashMap<EntityId, PathBuf>,
    inodes: HashSet<Ino>,
}

/// Something that a folder names.
struct Named {
    ino: Ino,
    kind: Kind,
    node: NodeId,
    to: PathBuf,
    /// From the root on.
    path: Vec<u8>,
}

fn by_tree(vault: &Vault, told: &Told, out: &mut Out<'_>, known: &mut Known) -> Result<(), SalvageError> {
    let gone: Vec<NodeId> = vault.untold.lock().gone.values().map(|g| g.id).collect();
    known.nodes.extend(gone);
    let mut stack: Vec<(Ino, PathBuf, Vec<u8>)> = vec![(ROOT, out.dest.to_path_buf(), Vec::new())];
    while let Some((folder, target, path)) = stack.pop() {
        // Should that fail, each file in it says so.
        if let Err(e) = out.folder(&target, attributes(vault, folder)) {
            out.refused(path.clone(), e)?;
        }
        let mut entries = Vec::new();
        if let Some(folder) = vault.tree.read().folder(folder) {
            entries.extend(folder.entries.values().map(|e| Named {
                ino: e.ino,
                kind: e.kind,
                node: e.id,
                to: target.join(OsStr::from_bytes(&e.name)),
                path: join(&path, &e.name),
            }));
        }
        for named in entries {
            known.nodes.insert(named.node);
            known.inodes.insert(named.ino);
            match named.kind {
                Kind::Folder => stack.push((named.ino, named.to, named.path)),
                Kind::File | Kind::Symlink => bring_named(vault, told, out, known, named)?,
                Kind::Fifo => match attributes(vault, named.ino) {
                    Some(attributes) => match out.pipe(&named.to, &attributes) {
                        Ok(()) => out.brought(0),
                        Err(e) => out.refused(named.path, e)?,
                    },
                    None => out.problem(Some(named.path), "its record is missing or damaged"),
                },
                _ => out.note(
                    Some(named.path),
                    "a socket or device: only its name was kept, and it is not brought out",
                ),
            }
        }
    }
    Ok(())
}

/// Brings a file that the tree names: as the database has it, else as it was published.
fn bring_named(
    vault: &Vault,
    told: &Told,
    out: &mut Out<'_>,
    known: &mut Known,
    named: Named,
) -> Result<(), SalvageError> {
    let state = vault.get(named.ino).ok().map(|inode| {
        let state = inode.state.read();
        (state.binding.entity(), state.named_by())
    });
    let (entity, named_by) = state.unzip();
    let named_by = named_by.unwrap_or_default();
    let entity = entity.or_else(|| told.entity_of.get(&named.node).copied());
    let there = entity.and_then(|entity| known.entities.get(&entity));
    if there.is_some_and(|there| out.link(there, &named.to)) {
        return Ok(());
    }
    let what = match bring(vault, named.ino, named.kind, &named.to, out) {
        Ok((bytes, to)) => {
            out.brought(bytes);
            known.entities.extend(entity.map(|entity| (entity, to)));
            return Ok(());
        }
        Err(BringError::Dest(e)) => return out.refused(named.path, e),
        Err(BringError::Vault(what)) => what,
        Err(BringError::Newer) => ALL_NEWER.to_owned(),
    };
    match entity.map(|entity| (entity, told.restore(entity, &named.to, out))) {
        Some((entity, Ok(restored))) => {
            out.brought(restored.size);
            out.report.from_events += 1;
            let what = format!("{what}; what was last published of it was brought out instead");
            match is_current(vault, named.ino, &named_by, &restored) {
                true => out.note(Some(named.path.clone()), what),
                false => out.problem(Some(named.path.clone()), format!("{what}, and that is older")),
            }
            if restored.newer_waits {
                out.newer(Some(named.path), OLDER_THAN_NEWER);
            }
            known.entities.insert(entity, restored.at);
        }
        Some((_, Err(BringError::Dest(e)))) => out.refused(named.path, e)?,
        _ => out.problem(Some(named.path), what),
    }
    Ok(())
}

/// Whether what was restored is what the file was last, or what it was to show.
fn is_current(vault: &Vault, ino: Ino, named_by: &[EventRef], restored: &Restored) -> bool {
    let changed_since = vault.untold.lock().inodes.contains(&ino);
    let is_last = named_by.iter().all(|at| restored.covers.contains(at));
    !changed_since && is_last && !restored.newer_lost
}

/// What the tree did not tell: names that it lost, and files that it has no name for.
fn by_events(
    vault: Option<&Vault>,
    told: &Told,
    out: &mut Out<'_>,
    known: &mut Known,
) -> Result<(), SalvageError> {
    // Files whose rows are there, though not their names: they are newer than any event.
    let mut loose: HashMap<EntityId, (Ino, Kind)> = HashMap::new();
    if let Some(vault) = vault {
        loose = loose_files(vault, known);
    }
    for (node, attributes) in told.folders() {
        if node == ROOT_NODE || known.nodes.contains(&node) {
            continue;
        }
        let path = told.path_of(node);
        let to = out.dest.join(OsStr::from_bytes(&path));
        if let Err(e) = out.folder(&to, Some(attributes)) {
            out.refused(path, e)?;
        }
    }
    let lost = told.names().filter(|(node, _)| !known.nodes.contains(node));
    let lost: Vec<(NodeId, EntityId)> = lost.collect();
    for (node, entity) in lost {
        let path = told.path_of(node);
        bring_lost(vault, told, out, known, &mut loose, entity, path)?;
    }
    let named: HashSet<EntityId> = told.entity_of.values().copied().collect();
    let mut nameless: Vec<EntityId> = told.entities().chain(loose.keys().copied()).collect();
    nameless.retain(|entity| !named.contains(entity) && !known.entities.contains_key(entity));
    nameless.sort_unstable();
    nameless.dedup();
    for entity in nameless {
        let path = format!("without a name/{entity}").into_bytes();
        bring_lost(vault, told, out, known, &mut loose, entity, path)?;
    }
    Ok(())
}

fn bring_lost(
    vault: Option<&Vault>,
    told: &Told,
    out: &mut Out<'_>,
    known: &mut Known,
    loose: &mut HashMap<EntityId, (Ino, Kind)>,
    entity: EntityId,
    path: Vec<u8>,
) -> Result<(), SalvageError> {
    let to = out.dest.join(OsStr::from_bytes(&path));
    if let Some(folder) = to.parent()
        && let Err(e) = out.folder(folder, None)
    {
        return out.refused(path, e);
    }
    // Another name of a file that was brought out?
    let there = known.entities.get(&entity);
    if there.is_some_and(|there| out.link(there, &to)) {
        return Ok(());
    }
    if let (Some(vault), Some((ino, kind))) = (vault, loose.remove(&entity))
        && let Ok((bytes, to)) = bring(vault, ino, kind, &to, out)
    {
        out.brought(bytes);
        known.entities.insert(entity, to);
        return Ok(());
    }
    match told.restore(entity, &to, out) {
        Ok(restored) => {
            out.brought(restored.size);
            out.report.from_events += 1;
            if restored.newer_waits {
                out.newer(Some(path.clone()), OLDER_THAN_NEWER);
            }
            if restored.newer_lost {
                out.problem(
                    Some(path),
                    "a newer version of it is damaged; the one before was brought out",
                );
            }
            known.entities.insert(entity, restored.at);
            Ok(())
        }
        Err(BringError::Vault(what)) => {
            out.problem(Some(path), what);
            Ok(())
        }
        Err(BringError::Newer) => {
            out.newer(Some(path), ALL_NEWER);
            Ok(())
        }
        Err(BringError::Dest(e)) => out.refused(path, e),
    }
}

/// Files with a record that the tree has no name for, though they have one.
fn loose_files(vault: &Vault, known: &Known) -> HashMap<EntityId, (Ino, Kind)> {
    let mut inos: Vec<Ino> = Vec::new();
    let _ = vault.core.db.scan(crate::db::Table::Inodes, b"", &mut |key, _| {
        inos.extend(<[u8; 8]>::try_from(key).map(u64::from_be_bytes));
        true
    });
    let mut loose = HashMap::new();
    for ino in inos.into_iter().filter(|ino| !known.inodes.contains(ino)) {
        if let Ok(Some((_, record))) = vault.read_record(ino)
            && record.meta.nlink > 0
            && matches!(record.meta.kind, Kind::File | Kind::Symlink)
        {
            loose.insert(record.entity, (ino, record.meta.kind));
        }
    }
    loose
}

fn attributes(vault: &Vault, ino: Ino) -> Option<Attributes> {
    let inode = vault.get(ino).ok()?;
    let state = inode.state.read();
    Some(Attributes::of(&state.meta))
}

/// Writes one file out; returns its size in bytes and where it is. A file of which a part
/// cannot be read is not left there.
fn bring(
    vault: &Vault,
    ino: Ino,
    kind: Kind,
    to: &Path,
    out: &mut Out<'_>,
) -> Result<(u64, PathBuf), BringError> {
    // Opened, so that memory lets go of its content when it is done.
    vault.open(ino, false, false, false)?;
    let result = bring_open(vault, ino, kind, to, out);
    vault.release(ino, false);
    result
}

fn bring_open(
    vault: &Vault,
    ino: Ino,
    kind: Kind,
    to: &Path,
    out: &mut Out<'_>,
) -> Result<(u64, PathBuf), BringError> {
    let size = vault.stat(ino)?.size;
    let attributes = attributes(vault, ino).ok_or(OpError::Errno(libc::ENOENT))?;
    let mut buf = Vec::new();
    if kind == Kind::Symlink {
        vault.read(ino, 0, size as usize, &mut buf)?;
        return Ok((size, out.symlink_later(buf, to, attributes)));
    }
    let write = |file: &std::fs::File| {
        let mut at = 0;
        while at < size {
            at = match vault.seek(ino, at, true) {
                Ok(at) => at,
                Err(OpError::Errno(libc::ENXIO)) => break, // a hole to the end
                Err(e) => return Err(e.into()),
            };
            buf.clear();
            vault.read(ino, at, 1 << 20, &mut buf)?;
            if buf.is_empty() {
                break;
            }
            file.write_all_at(&buf, at).map_err(BringError::Dest)?;
            at += buf.len() as u64;
        }
        Ok(())
    };
    Ok((size, out.fill(to, size, &attributes, write)?))
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        [] => name.to_vec(),
        _ => [path, name].join(&b'/'),
    }
}
