//! Chunks that versions name and that are not here, and those that come.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::content::manifest;
use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{ChainId, EntityId};
use crate::keys::ChunkId;
use crate::record::{BodyRef, ChunkRef, Kept, ManifestRef, VersionRecord, kind};
use crate::vault::commit::Scope;
use crate::vault::demand::Keeping;
use crate::vault::history::{holds_chunks, split_key};
use crate::vault::texts::newest_lines;
use crate::vault::{Problem, Vault};

/// A chunk that is lacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub id: ChunkId,
    /// Bytes of it, sealed.
    pub len: usize,
    /// It names others: it comes before them.
    pub is_manifest: bool,
    /// Why it is wanted.
    pub need: Need,
}

/// Why a chunk is wanted; the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It is part of a manifest.
    Manifest,
    /// It is part of a text, or a change that was made here cannot be told without it.
    Text,
    /// Its file is pinned.
    Pinned,
    /// Everything is kept here.
    All,
}

/// Why a chunk was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Nothing here names it, or it is here.
    #[error("chunk {0} is not taken: nothing here asks for it")]
    Unwanted(ChunkId),
    /// It is not what it is to be.
    #[error("chunk {0} is not taken: its bytes are not those that its name stands for")]
    Other(ChunkId),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One that is lacking.
#[derive(Clone)]
struct Lack {
    chunk: ChunkRef,
    kind: u8,
    need: Need,
    /// Whose files wait for it.
    of: HashSet<EntityId>,
}

/// What is lacking of what is to be here, by name; manifests first, so that what they name is known soon.
#[derive(Default)]
pub(in crate::vault) struct Lacking {
    /// All versions have been looked at once.
    looked: bool,
    chunks: HashMap<ChunkId, Lack>,
    order: BTreeMap<(Need, ChunkId), ()>,
    /// How many each entity still waits for.
    open: HashMap<EntityId, usize>,
    /// Bytes of all of them, sealed.
    bytes: u64,
}

fn sealed_len(chunk: &ChunkRef) -> u64 {
    crate::keys::ChunkKeys::sealed_len(chunk.len as usize) as u64
}

impl Lacking {
    fn add(&mut self, chunk: ChunkRef, kind: u8, need: Need, entity: EntityId) {
        let bytes = &mut self.bytes;
        let need = if kind == kind::MANIFEST {
            Need::Manifest
        } else {
            need
        };
        let lack = self.chunks.entry(chunk.id).or_insert_with(|| {
            *bytes += sealed_len(&chunk);
            Lack {
                chunk,
                kind,
                need,
                of: HashSet::new(),
            }
        });
        if lack.of.insert(entity) {
            *self.open.entry(entity).or_default() += 1;
        }
        if need < lack.need {
            self.order.remove(&(lack.need, chunk.id));
            lack.need = need;
        }
        self.order.insert((lack.need, chunk.id), ());
    }

    /// It is here; the entities that wait for nothing more.
    fn came(&mut self, id: &ChunkId) -> Vec<EntityId> {
        let Some(lack) = self.chunks.remove(id) else {
            return Vec::new();
        };
        self.bytes -= sealed_len(&lack.chunk);
        self.order.remove(&(lack.need, *id));
        let mut done = Vec::new();
        for entity in lack.of {
            if let Some(open) = self.open.get_mut(&entity) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(&entity);
                    done.push(entity);
                }
            }
        }
        done
    }
}

impl Vault {
    /// Chunks that versions here name and that are not here, so many at most; manifests first.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn lacking(&self, most: usize) -> Result<Vec<Wanted>, StoreError> {
        let mut lacking = self.lacking.lock();
        if !lacking.looked {
            let mut entities: HashSet<EntityId> = HashSet::new();
            self.core.db.scan(Table::Versions, b"", &mut |key, row| {
                if let Some((entity, _)) = split_key(key).filter(|_| holds_chunks(row)) {
                    entities.insert(entity);
                }
                true
            })?;
            self.look_for_lacking(&mut lacking, &entities)?;
            lacking.looked = true;
        }
        for (chunk, entity) in self.needed() {
            if self.core.chunk_row(&chunk.id)?.is_none() {
                lacking.add(chunk, kind::CHUNK, Need::Text, entity);
            }
        }
        let wanted = lacking.order.keys().filter_map(|(_, id)| {
            let lack = lacking.chunks.get(id)?;
            Some(Wanted {
                id: *id,
                len: crate::keys::ChunkKeys::sealed_len(lack.chunk.len as usize),
                is_manifest: lack.kind == kind::MANIFEST,
                need: lack.need,
            })
        });
        Ok(wanted.take(most).collect())
    }

    /// What is to be here is another matter now: what is lacking is looked for anew. Whose files waited until now.
    pub(in crate::vault) fn forget_lacking(&self) -> Vec<EntityId> {
        let former = std::mem::take(&mut *self.lacking.lock());
        former.open.into_keys().collect()
    }

    /// Files that waited for pieces which are not to be here any more come to show what they can.
    pub(in crate::vault) fn wait_no_more(&self) -> Result<(), StoreError> {
        self.lacking(0)?;
        let waited = self.forget_lacking();
        if !waited.is_empty() {
            self.have_come(&waited);
        }
        Ok(())
    }

    /// These entities have versions more: perhaps with chunks that are not here.
    pub(in crate::vault) fn may_lack(&self, entities: &[EntityId]) -> Result<(), StoreError> {
        let mut lacking = self.lacking.lock();
        match lacking.looked {
            true => self.look_for_lacking(&mut lacking, &entities.iter().copied().collect()),
            false => Ok(()),
        }
    }

    fn look_for_lacking(
        &self,
        lacking: &mut Lacking,
        entities: &HashSet<EntityId>,
    ) -> Result<(), StoreError> {
        for (entity, key) in self.keys_of(entities)? {
            let Ok(key) = key else { continue };
            let mut rows: Vec<VersionRecord> = Vec::new();
            self.each_version(&key, &entity, &mut |_, row| rows.extend(row.ok()))?;
            let shown = match self.is_pinned(&entity) {
                true => newest_lines(&rows),
                false => HashSet::new(),
            };
            let is_all = self.keeping() == Keeping::Everything;
            for row in rows {
                let BodyRef::Manifest(root) = row.body else {
                    continue;
                };
                let need = match row.form {
                    _ if row.kept != Kept::All => continue,
                    2 => Some(Need::Text),
                    _ if shown.contains(&row.at) => Some(Need::Pinned),
                    _ => is_all.then_some(Need::All),
                };
                manifest::lacking(&self.core, &root, &mut |chunk, kind| {
                    // Of what is fetched when it is read, only the manifest.
                    if kind == kind::MANIFEST || need.is_some() {
                        lacking.add(*chunk, kind, need.unwrap_or(Need::All), entity);
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Calls `each` with chunks that are here and that versions of these entities name, told after these events: of the newest versions
    /// first, a manifest's nodes before what they name; its name, and its sealed length. One may come several times. False: enough.
    ///
    /// # Errors
    /// As [`StoreError`] says. What is damaged is passed over.
    pub fn chunks_told(
        &self,
        entities: &HashSet<EntityId>,
        after: &HashMap<ChainId, u64>,
        each: &mut dyn FnMut(ChunkId, usize) -> bool,
    ) -> Result<(), StoreError> {
        let mut roots: Vec<(u64, ManifestRef)> = Vec::new();
        for (entity, key) in self.keys_of(entities)? {
            let Ok(key) = key else { continue };
            self.each_version(&key, &entity, &mut |_, row| {
                let Ok(row) = row else { return };
                let is_new = after.get(&row.at.chain).is_some_and(|last| row.at.seq > *last);
                if let (true, Kept::All, BodyRef::Manifest(root)) = (is_new, row.kept, row.body) {
                    roots.push((row.lamport, root));
                }
            })?;
        }
        roots.sort_by_key(|(lamport, _)| std::cmp::Reverse(*lamport));
        for (_, root) in roots {
            let mut named = Vec::new();
            match manifest::names(&self.core, &root, &mut |id| named.push(id)) {
                Err(e) if !e.is_damage() => return Err(e),
                _ => {}
            }
            for id in named {
                if let Some(row) = self.core.chunk_row(&id)?
                    && !each(id, row.place.len as usize)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A chunk's sealed bytes, as every device of the space has them. If it is damaged, that stands in the status from then on.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn sealed_chunk(&self, id: &ChunkId) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed = self.read_sealed(id);
        if let Err(error) = &sealed
            && error.is_damage()
        {
            let what = format!("a piece that another device asked for: {error}");
            self.note_problem(Problem::new(None, what));
        }
        sealed
    }

    fn read_sealed(&self, id: &ChunkId) -> Result<Option<Vec<u8>>, StoreError> {
        let mut row = self.core.chunk_row(id)?;
        while let Some(known) = row {
            let mut sealed = vec![0; known.place.len as usize];
            match self.core.packs.read(known.place, 0, &mut sealed) {
                // Whoever asks would refuse it, and ask again.
                Ok(()) if *blake3::hash(&sealed).as_bytes() != known.sealed => {
                    let what = format!("chunk {id}");
                    return Err(StoreError::Tampered { what });
                }
                Ok(()) => return Ok(Some(sealed)),
                Err(e) => {
                    row = self.core.chunk_row(id)?;
                    if row.is_some_and(|now| now.place == known.place) {
                        return Err(e.into());
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether a chunk is here, durably.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn holds_chunk(&self, id: &ChunkId) -> Result<bool, StoreError> {
        Ok(self.core.db.get(Table::Chunks, &id.0)?.is_some())
    }

    /// Makes durable what was taken, and shows what has come whole.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn keep_taken(&self) -> Result<(), StoreError> {
        self.commit_all(Scope::Timer)
    }

    /// How many chunks are lacking, and their bytes, sealed; as far as that is known by now.
    pub fn lacking_bytes(&self) -> (usize, u64) {
        let lacking = self.lacking.lock();
        (lacking.chunks.len(), lacking.bytes)
    }

    /// Takes a chunk that is lacking. If it names others, they are lacking from now on; files that now have all
    /// their chunks come to show them.
    ///
    /// # Errors
    /// As [`ChunkError`] says; nothing is taken then.
    pub fn put_chunk(&self, id: &ChunkId, sealed: &[u8]) -> Result<(), ChunkError> {
        let put = self.put(id, sealed);
        if let Err(ChunkError::Store(error)) = &put
            && error.errno() == libc::ENOSPC
        {
            // Whoever waits is told at once.
            self.has_no_room(id);
        }
        put
    }

    fn put(&self, id: &ChunkId, sealed: &[u8]) -> Result<(), ChunkError> {
        self.writable().map_err(|e| match e {
            crate::vault::OpError::Store(e) => ChunkError::Store(e),
            _ => ChunkError::Unwanted(*id),
        })?;
        let lack = self.lacking.lock().chunks.get(id).cloned();
        let waited = self.waited(id).map(|chunk| Lack {
            chunk,
            kind: kind::CHUNK,
            need: Need::All,
            of: HashSet::new(),
        });
        let is_waited = waited.is_some();
        let lack = lack.or(waited).ok_or(ChunkError::Unwanted(*id))?;
        if *blake3::hash(sealed).as_bytes() != lack.chunk.sealed {
            return Err(ChunkError::Other(*id));
        }
        let plain = self
            .core
            .keyring()
            .chunks
            .open(lack.kind, id, lack.chunk.len as usize, sealed);
        drop(zeroize::Zeroizing::new(
            plain.map_err(|_| ChunkError::Other(*id))?,
        ));
        self.core.room_for(sealed.len() as u64)?;
        self.core
            .store_sealed(lack.kind, *id, lack.chunk.len as usize, sealed)?;
        let done = {
            let mut lacking = self.lacking.lock();
            if lack.kind == kind::MANIFEST {
                // What it names, and it is no longer lacking itself: in one step, lest a file seem to have all.
                let of: HashSet<EntityId> = lack.of.iter().copied().collect();
                self.look_for_lacking(&mut lacking, &of)?;
            }
            lacking.came(id)
        };
        self.demand
            .stale
            .store(true, std::sync::atomic::Ordering::Relaxed);
        self.no_wait(id);
        self.need_no_more(id);
        if !done.is_empty() {
            self.have_come(&done);
        }
        if is_waited {
            // Durable soon; nobody else waits for that.
            self.signals.came();
        }
        Ok(())
    }

    /// All chunks of these entities are here: their files may show newer versions, or come to be.
    fn have_come(&self, entities: &[EntityId]) {
        let mut came = Vec::new();
        for entity in entities {
            let living = self.living(*entity).ok().flatten();
            let inode = living.and_then(|ino| self.resident(ino).ok().flatten());
            if let Some(inode) = inode {
                let mut state = inode.state.write();
                self.be_behind(inode.ino, &mut state);
                came.push(inode.ino);
            }
        }
        self.feed.came(came);
        self.see(Vec::new(), entities);
        self.signals.changed();
    }
}
