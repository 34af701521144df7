//! Salvage: what is whole of a damaged vault becomes plain files in a folder.
//!
//! First by the database, as far as it opens: every file that reads whole goes to its
//! path. Then, for what the database no longer tells, by the events in the packs: each
//! carries its entity's key and content, and its name. The vault itself is not changed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::open::{Identity, KeyFile, Sealed, UnlockVaultError};
use super::{OpError, Problem, Vault};
use crate::chunk::pack::{ScanItem, pack_number};
use crate::chunk::{Packs, Place};
use crate::codec::Reader;
use crate::event::{Body, EVENT_MAX, Event, EventKind, NodeState, Version, content_aad, tree_aad};
use crate::ids::{EntityId, Ino, NodeId, ROOT, ROOT_NODE};
use crate::io::Disk;
use crate::io::real::RealDisk;
use crate::keys::{Aad, ChunkId, ChunkKeys, Key, Password, UnlockError, open};
use crate::record::{ManifestRef, kind};
use crate::tree::Kind;

/// Why nothing could be salvaged.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The password.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// Neither database nor key file lead to the keys.
    #[error(
        "neither the database nor vault.key can be read: without the keys in them nothing can be opened; use a backup"
    )]
    NoKeys,
    /// The destination.
    #[error("cannot write to {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

/// What was brought out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// Files that are whole.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that only the events in the packs told of.
    pub from_events: u64,
    /// What could not be brought out.
    pub problems: Vec<Problem>,
}

/// Salvages the vault in `dir` into the folder `dest`.
///
/// # Errors
/// As [`SalvageError`] says. Damage is no error but in the report.
pub fn salvage(
    dir: &Path,
    password: &Password,
    dest: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<SalvageReport, SalvageError> {
    let mut report = SalvageReport::default();
    fs::create_dir_all(dest).map_err(|e| SalvageError::Io(dest.to_path_buf(), e))?;
    match Sealed::open(dir).map(|sealed| sealed.unlock(password, Identity::Same)) {
        Ok(Ok(vault)) => {
            vault.set_read_only(true);
            by_tree(&vault, dest, &mut report, progress)?;
            return Ok(report);
        }
        Ok(Err(UnlockVaultError::Unlock(e))) => return Err(e.into()),
        Ok(Err(e)) => report.problems.push(Problem::new(None, e.to_string())),
        Err(e) => report.problems.push(Problem::new(None, e.to_string())),
    }
    by_events(dir, password, dest, &mut report, progress)?;
    Ok(report)
}

fn by_tree(
    vault: &Vault,
    dest: &Path,
    report: &mut SalvageReport,
    progress: &mut dyn FnMut(u64),
) -> Result<(), SalvageError> {
    report.problems.extend(vault.met.lock().iter().cloned());
    let mut stack: Vec<(Ino, PathBuf, Vec<u8>)> = vec![(ROOT, dest.to_path_buf(), Vec::new())];
    while let Some((folder, target, path)) = stack.pop() {
        fs::create_dir_all(&target).map_err(|e| SalvageError::Io(target.clone(), e))?;
        let mut entries = Vec::new();
        let _ = vault.list(folder, 0, &mut |_, ino, kind, name| {
            entries.push((ino, kind, name.to_vec()));
            true
        });
        for (ino, kind, name) in entries {
            let to = target.join(OsStr::from_bytes(&name));
            let mut full = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(&name);
            match kind {
                Kind::Folder => stack.push((ino, to, full)),
                Kind::File | Kind::Symlink => match bring(vault, ino, kind, &to) {
                    Ok(bytes) => {
                        report.files += 1;
                        report.bytes += bytes;
                        progress(report.files);
                    }
                    Err(BringError::Vault(what)) => report.problems.push(Problem::new(Some(full), what)),
                    Err(BringError::Dest(e)) => return Err(SalvageError::Io(to, e)),
                },
                _ => {}
            }
        }
    }
    Ok(())
}

enum BringError {
    Vault(String),
    Dest(io::Error),
}

impl From<OpError> for BringError {
    fn from(e: OpError) -> Self {
        BringError::Vault(e.to_string())
    }
}

/// Writes one file out. A file of which a part cannot be read is not left there.
fn bring(vault: &Vault, ino: Ino, kind: Kind, to: &Path) -> Result<u64, BringError> {
    let stat = vault.stat(ino)?;
    let mut buf = Vec::new();
    if kind == Kind::Symlink {
        vault.read(ino, 0, stat.size as usize, &mut buf)?;
        return match std::os::unix::fs::symlink(OsStr::from_bytes(&buf), to) {
            Ok(()) => Ok(stat.size),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(stat.size),
            Err(e) => Err(BringError::Dest(e)),
        };
    }
    let file = fs::File::create(to).map_err(BringError::Dest)?;
    let mut at = 0;
    while at < stat.size {
        buf.clear();
        if let Err(e) = vault.read(ino, at, 1 << 20, &mut buf) {
            let _ = fs::remove_file(to);
            return Err(e.into());
        }
        if buf.is_empty() {
            break;
        }
        std::os::unix::fs::FileExt::write_all_at(&file, &buf, at).map_err(BringError::Dest)?;
        at += buf.len() as u64;
    }
    Ok(stat.size)
}

/// What the packs' events tell.
#[derive(Default)]
struct Told {
    keys: HashMap<EntityId, [u8; 72]>,
    /// Newest version of each entity: Lamport time, sequence number, sealed payload.
    versions: HashMap<EntityId, (u64, u64, u32, Vec<u8>)>,
    /// Newest state of each node; `None`: gone.
    nodes: HashMap<NodeId, (u64, Option<NodeState>)>,
    chunks: HashMap<ChunkId, (u8, Place)>,
}

fn by_events(
    dir: &Path,
    password: &Password,
    dest: &Path,
    report: &mut SalvageReport,
    progress: &mut dyn FnMut(u64),
) -> Result<(), SalvageError> {
    let disk: Arc<dyn Disk> =
        Arc::new(RealDisk::open(dir).map_err(|e| SalvageError::Io(dir.to_path_buf(), e))?);
    let file = KeyFile::read(&disk).ok_or(SalvageError::NoKeys)?;
    let master = file.header.unlock(password)?;
    let secrets = file.open(&master).ok_or(SalvageError::NoKeys)?;
    let names = disk.list().map_err(|e| SalvageError::Io(dir.to_path_buf(), e))?;
    let mut committed: Vec<(u32, u64)> = names
        .iter()
        .filter_map(|name| Some((pack_number(name)?, disk.open(name).and_then(|f| f.len()).ok()?)))
        .collect();
    committed.sort_unstable();
    let packs = Packs::open(disk, &committed).map_err(|_| SalvageError::NoKeys)?;
    let chunks = ChunkKeys::new(secrets.chunk_id.duplicate(), secrets.chunk_seal.duplicate());
    let (tree_key, wrap_key) = (secrets.tree_key(), secrets.wrap_key());
    let mut told = Told::default();
    for (pack, _) in &committed {
        let mut batches = Vec::new();
        let _ = packs.scan(*pack, &mut |item| {
            if let ScanItem::Record {
                kind: what,
                id,
                place,
            } = item
            {
                match what {
                    kind::BATCH => batches.push(place),
                    kind::CHUNK | kind::MANIFEST => {
                        told.chunks.insert(ChunkId(id), (what, place));
                    }
                    _ => {}
                }
            }
        });
        for place in batches {
            let mut bytes = vec![0; place.len as usize];
            if packs.read(place, 0, &mut bytes).is_ok() {
                read_batch(&bytes, &tree_key, &mut told);
            }
        }
    }
    for (node, (_, state)) in &told.nodes {
        let Some(state) = state else { continue };
        let Some(entity) = state.entity else { continue };
        let path = path_of(*node, &told.nodes);
        let to = dest.join(OsStr::from_bytes(&path));
        let result = restore(&packs, &chunks, &wrap_key, &told, entity, &to);
        match result {
            Ok(bytes) => {
                report.files += 1;
                report.from_events += 1;
                report.bytes += bytes;
                progress(report.files);
            }
            Err(BringError::Vault(what)) => report.problems.push(Problem::new(Some(path), what)),
            Err(BringError::Dest(e)) => return Err(SalvageError::Io(to, e)),
        }
    }
    Ok(())
}

fn read_batch(bytes: &[u8], tree_key: &Key, told: &mut Told) {
    let mut r = Reader::new(bytes);
    while r.remaining() > 0 {
        let Ok(raw) = r.bytes(EVENT_MAX) else { return };
        let Ok(event) = Event::decode(raw) else { continue };
        let newer = |known: Option<u64>| known.is_none_or(|k| k < event.lamport);
        match event.kind {
            EventKind::Create | EventKind::Version => {
                let entity = EntityId(event.subject);
                if let Some(wrapped) = event.wrapped {
                    told.keys.insert(entity, wrapped);
                }
                if newer(told.versions.get(&entity).map(|v| v.0)) {
                    let version = (event.lamport, event.at.seq, event.generation, event.sealed);
                    told.versions.insert(entity, version);
                }
            }
            EventKind::Node | EventKind::NodeGone => {
                let node = NodeId(event.subject);
                let aad = tree_aad(&node, event.at.seq, event.generation);
                let Ok(plain) = open(tree_key, &aad, &event.sealed) else {
                    continue;
                };
                let state = match event.kind {
                    EventKind::Node => NodeState::decode(&plain).ok(),
                    _ => None,
                };
                if newer(told.nodes.get(&node).map(|n| n.0)) {
                    told.nodes.insert(node, (event.lamport, state));
                }
            }
        }
    }
}

/// A node's path; what hangs nowhere goes to a folder of its own.
fn path_of(node: NodeId, nodes: &HashMap<NodeId, (u64, Option<NodeState>)>) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut at = node;
    while at != ROOT_NODE {
        match nodes.get(&at) {
            Some((_, Some(state))) if parts.len() < 256 => {
                parts.push(&state.name);
                at = state.parent;
            }
            _ => {
                parts.push(b"without a folder");
                break;
            }
        }
    }
    parts.reverse();
    parts.join(&b'/')
}

fn restore(
    packs: &Packs,
    chunks: &ChunkKeys,
    wrap_key: &Key,
    told: &Told,
    entity: EntityId,
    to: &Path,
) -> Result<u64, BringError> {
    let lost = |what: &str| BringError::Vault(format!("{what} is missing or damaged"));
    let (_, seq, generation, sealed) = told.versions.get(&entity).ok_or_else(|| lost("its content"))?;
    let wrapped = told.keys.get(&entity).ok_or_else(|| lost("its key"))?;
    let aad = Aad {
        kind: kind::WRAP_EPOCH,
        id: entity.0,
        version: 0,
        generation: *generation,
    };
    let bytes = open(wrap_key, &aad, wrapped).map_err(|_| lost("its key"))?;
    let mut bytes: [u8; 32] = bytes.try_into().map_err(|_| lost("its key"))?;
    let key = Key::take(&mut bytes);
    let plain = open(&key, &content_aad(&entity, *seq), sealed).map_err(|_| lost("its content"))?;
    let version = Version::decode(&plain).map_err(|_| lost("its content"))?;
    let mut out = Vec::new();
    match version.body {
        Body::Inline(bytes) => out.push(bytes),
        Body::Manifest(root) => {
            gather(packs, chunks, told, &root, &mut out).ok_or_else(|| lost("a chunk of it"))?
        }
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(BringError::Dest)?;
    }
    let to = free_name(to);
    if version.kind == Kind::Symlink {
        std::os::unix::fs::symlink(OsStr::from_bytes(&out.concat()), &to).map_err(BringError::Dest)?;
        return Ok(version.size);
    }
    use std::io::Write;
    let mut file = fs::File::create(&to).map_err(BringError::Dest)?;
    for part in &out {
        file.write_all(part).map_err(BringError::Dest)?;
    }
    file.set_len(version.size).map_err(BringError::Dest)?;
    Ok(version.size)
}

fn free_name(to: &Path) -> PathBuf {
    let mut n = 1;
    let mut path = to.to_path_buf();
    while path.symlink_metadata().is_ok() {
        n += 1;
        let mut name = to.file_name().unwrap_or_default().to_os_string();
        name.push(format!(" ({n})"));
        path.set_file_name(name);
    }
    path
}

/// All bytes of a manifest, in order; `None` if any is missing.
fn gather(
    packs: &Packs,
    chunks: &ChunkKeys,
    told: &Told,
    root: &ManifestRef,
    out: &mut Vec<Vec<u8>>,
) -> Option<()> {
    use crate::content::pieces::{LeafEntry, Node, decode};
    let read = |id: &ChunkId, len: u32, want: u8| {
        let (kind, place) = told.chunks.get(id)?;
        let mut sealed = vec![0; place.len as usize];
        packs.read(*place, 0, &mut sealed).ok()?;
        (*kind == want).then(|| chunks.open(want, id, len as usize, &sealed).ok())?
    };
    let mut stack = vec![(root.id, root.len, root.depth)];
    while let Some((id, len, level)) = stack.pop() {
        let bytes = read(&id, len, kind::MANIFEST)?;
        match decode(&bytes, level).ok()? {
            Node::Branch(children) => {
                stack.extend(children.iter().rev().map(|c| (c.id, c.len, level - 1)));
            }
            Node::Leaf(entries) => {
                for entry in entries {
                    out.push(match entry {
                        LeafEntry::Chunk(c) => read(&c.id, c.len, kind::CHUNK)?,
                        LeafEntry::Hole(len) => vec![0; usize::try_from(len).ok()?],
                    });
                }
            }
        }
    }
    Some(())
}
