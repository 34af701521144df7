//! By the database's tree: every file that it names, as its record has it, else as it was published.
//!
//! Guarantees: a file of which a part cannot be read is not left there, and is named.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::SalvageError;
use super::choice::Restored;
use super::out::{Attributes, BringError, Out};
use super::told::Told;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino, NodeId, ROOT};
use crate::tree::Kind;
use crate::vault::{OpError, Vault};

/// What is said of a file of which something waits for a newer program.
pub(super) const OLDER_THAN_NEWER: &str =
    "what was last said of it only a newer version of coffer can read; what was before that was brought out";
/// The same, of one of which nothing could be brought out.
pub(super) const ALL_NEWER: &str = "only a newer version of coffer can read it";

/// What the database's tree told, so that the events need not tell it again.
#[derive(Default)]
pub(super) struct Known {
    /// Nodes that it names, or knows to be gone.
    pub(super) nodes: HashSet<NodeId>,
    /// Where each entity was brought to.
    pub(super) entities: HashMap<EntityId, PathBuf>,
    pub(super) inodes: HashSet<Ino>,
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

/// Brings what the database's tree names.
pub(super) fn by_tree(
    vault: &Vault,
    told: &Told,
    out: &mut Out<'_>,
    known: &mut Known,
) -> Result<(), SalvageError> {
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

fn attributes(vault: &Vault, ino: Ino) -> Option<Attributes> {
    let inode = vault.get(ino).ok()?;
    let state = inode.state.read();
    Some(Attributes::of(&state.meta))
}

/// Writes one file out; returns its size in bytes and where it is. A file of which a part
/// cannot be read is not left there.
pub(super) fn bring(
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
