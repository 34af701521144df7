//! Salvage: what is whole of a damaged vault becomes plain files in a folder.
//!
//! First by the database, as far as it opens: every file that reads whole goes to its
//! path. Then, for what the database no longer tells or cannot read, by the events in the
//! packs: each carries its entity's key and content, or its name. The vault itself is not
//! changed, nothing that is there at the destination is written over, and memory is
//! bounded by a chunk, not by a file. What the destination refuses is noted; only a full
//! or read-only one ends it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::open::{KeyFile, Sealed, UnlockVaultError};
use super::secrets::Secrets;
use super::{OpError, Problem, Vault};
use crate::chunk::pack::{ScanItem, pack_number};
use crate::chunk::{Packs, Place};
use crate::codec::Reader;
use crate::content::pieces::{DEPTH_MAX, LeafEntry, Node, decode};
use crate::event::{
    Body, EVENT_MAX, Event, EventKind, EventRef, NodeState, Version, content_aad, gone_aad, key_aad, node_aad,
};
use crate::ids::{EntityId, Ino, NodeId, ROOT, ROOT_NODE};
use crate::io::Disk;
use crate::io::real::RealDisk;
use crate::keys::{ChunkId, ChunkKeys, Key, Password, UnlockError, WRAPPED, open};
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
    /// Of those, files whose content only the events in the packs told of.
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
    fs::create_dir_all(dest).map_err(|e| SalvageError::Io(dest.to_path_buf(), e))?;
    let disk: Arc<dyn Disk> =
        Arc::new(RealDisk::open(dir).map_err(|e| SalvageError::Io(dir.to_path_buf(), e))?);
    let mut out = Out {
        dest,
        report: SalvageReport::default(),
        progress,
    };
    let vault = match Sealed::open(dir) {
        Ok(sealed) => {
            let header = sealed.header().clone();
            match sealed.unlock_quietly(password) {
                Ok(vault) => Some(vault),
                Err(UnlockVaultError::Unlock(e)) => {
                    // Perhaps only the header's copy in the database was altered.
                    if KeyFile::read(&disk).is_none_or(|file| file.header == header) {
                        return Err(e.into());
                    }
                    out.problem(None, format!("the database's header does not open: {e}"));
                    None
                }
                Err(e) => {
                    out.problem(None, e.to_string());
                    None
                }
            }
        }
        Err(e) => {
            out.problem(None, e.to_string());
            None
        }
    };
    let opened;
    let secrets = match &vault {
        Some(vault) => &vault.secrets,
        None => {
            let file = KeyFile::read(&disk).ok_or(SalvageError::NoKeys)?;
            let master = file.header.unlock(password)?;
            opened = file.open(&master).ok_or(SalvageError::NoKeys)?;
            &opened
        }
    };
    let told = match Told::read(disk, secrets) {
        Ok(told) => told,
        Err(e) => return Err(SalvageError::Io(dir.to_path_buf(), e)),
    };
    let mut known = Known::default();
    if let Some(vault) = &vault {
        out.report.problems.extend(vault.met.lock().iter().cloned());
        by_tree(vault, &told, &mut out, &mut known)?;
    }
    by_events(vault.as_deref(), &told, &mut out, &mut known)?;
    Ok(out.report)
}

/// Where it goes, and what becomes of it.
struct Out<'a> {
    dest: &'a Path,
    report: SalvageReport,
    progress: &'a mut dyn FnMut(u64),
}

impl Out<'_> {
    fn problem(&mut self, path: Option<Vec<u8>>, what: impl Into<String>) {
        self.report.problems.push(Problem::new(path, what));
    }

    fn brought(&mut self, bytes: u64) {
        self.report.files += 1;
        self.report.bytes += bytes;
        (self.progress)(self.report.files);
    }

    /// The destination refused something. Ends it all only if it will refuse everything.
    fn refused(&mut self, path: Vec<u8>, e: io::Error) -> Result<(), SalvageError> {
        let fatal = [libc::ENOSPC, libc::EDQUOT, libc::EROFS];
        if e.raw_os_error().is_some_and(|errno| fatal.contains(&errno)) {
            return Err(SalvageError::Io(self.dest.join(OsStr::from_bytes(&path)), e));
        }
        let what = format!("it could not be written to the destination: {e}");
        self.report.problems.push(Problem::new(Some(path), what));
        Ok(())
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

fn by_tree(vault: &Vault, told: &Told, out: &mut Out<'_>, known: &mut Known) -> Result<(), SalvageError> {
    let gone: Vec<NodeId> = vault.untold.lock().gone.values().map(|g| g.id).collect();
    known.nodes.extend(gone);
    let mut stack: Vec<(Ino, PathBuf, Vec<u8>)> = vec![(ROOT, out.dest.to_path_buf(), Vec::new())];
    while let Some((folder, target, path)) = stack.pop() {
        // Should that fail, each file in it says so.
        if let Err(e) = fs::create_dir_all(&target) {
            out.refused(path.clone(), e)?;
        }
        let mut entries = Vec::new();
        if let Some(folder) = vault.tree.read().folder(folder) {
            entries.extend(
                folder
                    .entries
                    .values()
                    .map(|e| (e.ino, e.kind, e.id, e.name.to_vec())),
            );
        }
        for (ino, kind, node, name) in entries {
            known.nodes.insert(node);
            let to = target.join(OsStr::from_bytes(&name));
            let full = join(&path, &name);
            match kind {
                Kind::Folder => stack.push((ino, to, full)),
                Kind::File | Kind::Symlink => {
                    known.inodes.insert(ino);
                    let entity = vault.get(ino).ok().map(|inode| inode.state.read().entity);
                    let entity = entity.or_else(|| told.entity_of.get(&node).copied());
                    match bring(vault, ino, kind, &to) {
                        Ok((bytes, to)) => {
                            out.brought(bytes);
                            known.entities.extend(entity.map(|entity| (entity, to)));
                        }
                        Err(BringError::Dest(e)) => out.refused(full, e)?,
                        Err(BringError::Vault(what)) => {
                            let by_event = entity.map(|entity| (entity, told.restore(entity, &to)));
                            match by_event {
                                Some((entity, Ok((bytes, to)))) => {
                                    out.brought(bytes);
                                    out.report.from_events += 1;
                                    known.entities.insert(entity, to);
                                    let what = format!(
                                        "{what}; what was last published of it was brought out instead"
                                    );
                                    out.problem(Some(full), what)
                                }
                                Some((_, Err(BringError::Dest(e)))) => out.refused(full, e)?,
                                _ => out.problem(Some(full), what),
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
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
    let lost = told.nodes.iter().filter(|(node, _)| !known.nodes.contains(*node));
    let lost: Vec<(NodeId, EntityId)> = lost
        .filter_map(|(node, (_, state))| Some((*node, state.as_ref()?.entity?)))
        .collect();
    for (node, entity) in lost {
        let path = told.path_of(node);
        bring_lost(vault, told, out, known, &mut loose, entity, path)?;
    }
    let named: HashSet<EntityId> = told.entity_of.values().copied().collect();
    let mut nameless: Vec<EntityId> = told.versions.keys().chain(loose.keys()).copied().collect();
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
        && let Err(e) = fs::create_dir_all(folder)
    {
        return out.refused(path, e);
    }
    if let Some(there) = known.entities.get(&entity) {
        // Another name of a file that was brought out.
        let to = free_name(&to);
        if fs::hard_link(there, &to)
            .or_else(|_| fs::copy(there, &to).map(drop))
            .is_ok()
        {
            return Ok(());
        }
    }
    if let (Some(vault), Some((ino, kind))) = (vault, loose.remove(&entity))
        && let Ok((bytes, to)) = bring(vault, ino, kind, &to)
    {
        out.brought(bytes);
        known.entities.insert(entity, to);
        return Ok(());
    }
    match told.restore(entity, &to) {
        Ok((bytes, to)) => {
            out.brought(bytes);
            out.report.from_events += 1;
            known.entities.insert(entity, to);
            Ok(())
        }
        Err(BringError::Vault(what)) => {
            out.report.problems.push(Problem::new(Some(path), what));
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

enum BringError {
    Vault(String),
    Dest(io::Error),
}

impl From<OpError> for BringError {
    fn from(e: OpError) -> Self {
        BringError::Vault(e.to_string())
    }
}

/// Writes one file out; returns its size in bytes and where it is. A file of which a part
/// cannot be read is not left there.
fn bring(vault: &Vault, ino: Ino, kind: Kind, to: &Path) -> Result<(u64, PathBuf), BringError> {
    let size = vault.stat(ino)?.size;
    let mut buf = Vec::new();
    if kind == Kind::Symlink {
        vault.read(ino, 0, size as usize, &mut buf)?;
        return Ok((size, symlink(&buf, to)?));
    }
    fill(to, size, |file| {
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
    })
}

fn symlink(target: &[u8], to: &Path) -> Result<PathBuf, BringError> {
    let to = free_name(to);
    std::os::unix::fs::symlink(OsStr::from_bytes(target), &to).map_err(BringError::Dest)?;
    Ok(to)
}

/// Makes a file and lets `write` fill it; if that fails the file is removed.
fn fill(
    to: &Path,
    size: u64,
    write: impl FnOnce(&fs::File) -> Result<(), BringError>,
) -> Result<(u64, PathBuf), BringError> {
    let to = free_name(to);
    let file = fs::File::create_new(&to).map_err(BringError::Dest)?;
    let result = write(&file).and_then(|()| file.set_len(size).map_err(BringError::Dest));
    if let Err(e) = result {
        let _ = fs::remove_file(&to);
        return Err(e);
    }
    Ok((size, to))
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

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        [] => name.to_vec(),
        _ => [path, name].join(&b'/'),
    }
}

/// Where the newest version of an entity is told: Lamport time, sequence number, and the
/// sealed payload's place in a batch: first byte and length.
struct Newest {
    lamport: u64,
    at: EventRef,
    generation: u32,
    batch: Place,
    from: u32,
    len: u32,
}

/// What the packs' events tell.
struct Told {
    packs: Packs,
    chunk_keys: ChunkKeys,
    tree_key: Key,
    wrap_key: Key,
    /// Each entity's key, wrapped under the epoch of this generation.
    keys: HashMap<EntityId, (EventRef, u32, [u8; WRAPPED])>,
    versions: HashMap<EntityId, Newest>,
    /// Newest state of each node; `None`: gone.
    nodes: HashMap<NodeId, (u64, Option<NodeState>)>,
    /// What each node ever named.
    entity_of: HashMap<NodeId, EntityId>,
    chunks: HashMap<ChunkId, (u8, Place)>,
    /// Further copies of chunks that are there more than once.
    copies: HashMap<ChunkId, Vec<(u8, Place)>>,
}

impl Told {
    /// Reads all batches, in the packs' order, and notes where all chunks are.
    fn read(disk: Arc<dyn Disk>, secrets: &Secrets) -> io::Result<Told> {
        let names = disk.list()?;
        let mut lengths: Vec<(u32, u64)> = names
            .iter()
            .filter_map(|name| Some((pack_number(name)?, disk.open(name).and_then(|f| f.len()).ok()?)))
            .collect();
        lengths.sort_unstable();
        let packs = Packs::open(disk, &lengths).map_err(|e| io::Error::other(e.to_string()))?;
        let mut told = Told {
            packs,
            chunk_keys: ChunkKeys::new(secrets.chunk_id.duplicate(), secrets.chunk_seal.duplicate()),
            tree_key: secrets.tree_key(),
            wrap_key: secrets.wrap_key(),
            keys: HashMap::new(),
            versions: HashMap::new(),
            nodes: HashMap::new(),
            entity_of: HashMap::new(),
            chunks: HashMap::new(),
            copies: HashMap::new(),
        };
        for (pack, _) in lengths {
            let mut records = Vec::new();
            // A pack that cannot be scanned tells nothing; what it held is reported by file.
            let _ = told.packs.scan(pack, &mut |item| {
                if let ScanItem::Record { kind, id, place } = item {
                    records.push((kind, id, place));
                }
            });
            for (what, id, place) in records {
                match what {
                    kind::BATCH => {
                        let mut bytes = vec![0; place.len as usize];
                        if told.packs.read(place, 0, &mut bytes).is_ok() {
                            told.read_batch(place, &bytes);
                        }
                    }
                    kind::CHUNK | kind::MANIFEST => {
                        if let Some(other) = told.chunks.insert(ChunkId(id), (what, place)) {
                            told.copies.entry(ChunkId(id)).or_default().push(other);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(told)
    }

    fn read_batch(&mut self, batch: Place, bytes: &[u8]) {
        let mut r = Reader::new(bytes);
        while r.remaining() > 0 {
            let Ok(raw) = r.bytes(EVENT_MAX) else { return };
            let end = bytes.len() - r.remaining();
            let Ok(event) = Event::decode(raw) else { continue };
            // Of two at one time the later in the packs counts.
            let newer = |known: Option<u64>| known.is_none_or(|k| k <= event.lamport);
            match event.kind {
                EventKind::Create | EventKind::Version => {
                    let entity = EntityId(event.subject);
                    if let Some(wrapped) = event.wrapped {
                        self.keys.insert(entity, (event.at, event.generation, wrapped));
                    }
                    if newer(self.versions.get(&entity).map(|v| v.lamport)) {
                        let newest = Newest {
                            lamport: event.lamport,
                            at: event.at,
                            generation: event.generation,
                            batch,
                            from: (end - event.sealed.len()) as u32,
                            len: event.sealed.len() as u32,
                        };
                        self.versions.insert(entity, newest);
                    }
                }
                EventKind::Node | EventKind::NodeGone => {
                    let node = NodeId(event.subject);
                    let aad = match event.kind {
                        EventKind::NodeGone => gone_aad(&node, event.at, event.generation),
                        _ => node_aad(&node, event.at, event.generation),
                    };
                    let Ok(plain) = open(&self.tree_key, &aad, &event.sealed) else {
                        continue;
                    };
                    let state = match event.kind {
                        EventKind::Node => NodeState::decode(&plain).ok(),
                        _ => None,
                    };
                    if let Some(entity) = state.as_ref().and_then(|state| state.entity) {
                        self.entity_of.insert(node, entity);
                    }
                    if newer(self.nodes.get(&node).map(|n| n.0)) {
                        self.nodes.insert(node, (event.lamport, state));
                    }
                }
            }
        }
    }

    /// A node's path; what hangs nowhere goes to a folder of its own.
    fn path_of(&self, node: NodeId) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = node;
        while at != ROOT_NODE {
            match self.nodes.get(&at) {
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

    /// Writes an entity's newest published version to a file; returns its size in bytes
    /// and where it is.
    fn restore(&self, entity: EntityId, to: &Path) -> Result<(u64, PathBuf), BringError> {
        let lost = |what: &str| BringError::Vault(format!("{what} is missing or damaged"));
        let newest = self.versions.get(&entity).ok_or_else(|| lost("its content"))?;
        let (at, generation, wrapped) = self.keys.get(&entity).ok_or_else(|| lost("its key"))?;
        let aad = key_aad(&entity, *at, *generation);
        let bytes = open(&self.wrap_key, &aad, wrapped).map_err(|_| lost("its key"))?;
        let mut bytes: [u8; 32] = bytes.try_into().map_err(|_| lost("its key"))?;
        let key = Key::take(&mut bytes);
        let mut sealed = vec![0; newest.len as usize];
        let read = self.packs.read(newest.batch, newest.from, &mut sealed);
        read.map_err(|_| lost("its content"))?;
        let plain = open(&key, &content_aad(&entity, newest.at, newest.generation), &sealed);
        let plain = plain.map_err(|_| lost("its content"))?;
        let version = Version::decode(&plain).map_err(|_| lost("its content"))?;
        if version.kind == Kind::Symlink {
            let mut target = Vec::new();
            match &version.body {
                Body::Inline(bytes) => target.extend_from_slice(bytes),
                Body::Manifest(root) => self.each_piece(root, &mut |_, piece| {
                    target.extend_from_slice(piece);
                    Ok(())
                })?,
            }
            return Ok((version.size, symlink(&target, to)?));
        }
        fill(to, version.size, |file| match &version.body {
            Body::Inline(bytes) => file.write_all_at(bytes, 0).map_err(BringError::Dest),
            Body::Manifest(root) => self.each_piece(root, &mut |at, piece| file.write_all_at(piece, at)),
        })
    }

    /// Calls `each` with every chunk's offset and bytes, in order; holes are passed over.
    fn each_piece(
        &self,
        root: &ManifestRef,
        each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<(), BringError> {
        let lost = || BringError::Vault("a chunk of it is missing or damaged".into());
        if root.depth > DEPTH_MAX {
            return Err(lost());
        }
        let mut at = 0u64;
        let mut stack = vec![(root.id, root.len, root.depth)];
        while let Some((id, len, level)) = stack.pop() {
            let bytes = self.chunk(&id, len, kind::MANIFEST).ok_or_else(lost)?;
            match decode(&bytes, level).map_err(|_| lost())? {
                Node::Branch(children) => {
                    stack.extend(children.iter().rev().map(|c| (c.id, c.len, level - 1)));
                }
                Node::Leaf(entries) => {
                    for entry in entries {
                        let len = match entry {
                            LeafEntry::Chunk(c) => {
                                let bytes = self.chunk(&c.id, c.len, kind::CHUNK).ok_or_else(lost)?;
                                each(at, &bytes).map_err(BringError::Dest)?;
                                u64::from(c.len)
                            }
                            LeafEntry::Hole(len) => len,
                        };
                        at = at.checked_add(len).ok_or_else(lost)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A chunk's bytes, from whichever copy is whole.
    fn chunk(&self, id: &ChunkId, len: u32, want: u8) -> Option<Vec<u8>> {
        let others = self.copies.get(id).into_iter().flatten();
        self.chunks
            .get(id)
            .into_iter()
            .chain(others)
            .find_map(|(kind, place)| {
                let mut sealed = vec![0; place.len as usize];
                self.packs.read(*place, 0, &mut sealed).ok()?;
                let opened = || self.chunk_keys.open(want, id, len as usize, &sealed).ok();
                (*kind == want).then(opened)?
            })
    }
}
