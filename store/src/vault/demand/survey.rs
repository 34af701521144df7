//! What of files is here, what is not, and what may not go.
//!
//! Guarantees: it changes nothing, and holds no lock for long; what it cannot read it holds to be needed. It remembers names of
//! pieces that are here only, so that it takes room by what is kept and not by what there is.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::content::manifest;
use crate::content::pieces::LeafEntry;
use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{EntityId, Ino};
use crate::keys::ChunkId;
use crate::record::{BaseRef, BodyRef, ChunkRow, InodeRecord, Kept, ManifestRef, kind};
use crate::vault::Vault;
use crate::vault::history::{holds_chunks, split_key};

/// How long a survey is shown to people without looking anew, while things change.
const FRESH: Duration = Duration::from_secs(5);

/// How long it is believed which pieces are of texts.
const TEXTS_FRESH: Duration = Duration::from_secs(60);

/// How much of files is here; in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Pieces of files that are here, sealed; of all versions, those of texts left out.
    pub kept_bytes: u64,
    /// What files show and is not here.
    pub absent_bytes: u64,
    /// Files of which something is not here.
    pub absent_files: u64,
    /// Files that are pinned, or lie in a folder that is.
    pub pinned_files: u64,
}

/// The same, with what may go.
#[derive(Default)]
pub(super) struct Look {
    pub(super) survey: Survey,
    /// Pieces that are here, durably, and their sealed lengths.
    pub(super) here: HashMap<ChunkId, u32>,
    /// Those of them that are needed here.
    pub(super) needed: HashSet<ChunkId>,
    /// Those that a version names that was told.
    pub(super) told: HashSet<ChunkId>,
    /// Files whose pieces may go, with when they were last opened.
    pub(super) files: Vec<(u32, Vec<ChunkId>)>,
}

impl Vault {
    /// How much of files is here, as of a moment ago.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn survey(&self) -> Result<Survey, StoreError> {
        let known = *self.demand.surveyed.lock();
        let is_stale = self.demand.stale.load(Ordering::Relaxed);
        if let Some((at, survey)) = known
            && (!is_stale || at.elapsed() < FRESH)
        {
            return Ok(survey);
        }
        Ok(self.look_round()?.survey)
    }

    /// The same as of this moment.
    pub(in crate::vault) fn survey_now(&self) -> Result<Survey, StoreError> {
        Ok(self.look_round()?.survey)
    }

    pub(super) fn look_round(&self) -> Result<Look, StoreError> {
        // What changes from here on is seen the next time.
        self.demand.stale.store(false, Ordering::Relaxed);
        let mut look = Look::default();
        self.look_at_chunks(&mut look)?;
        self.look_at_versions(&mut look)?;
        let texts: u64 = look
            .needed
            .iter()
            .filter_map(|id| look.here.get(id))
            .map(|len| u64::from(*len))
            .sum();
        self.look_at_files(&mut look)?;
        self.look_at_memory(&mut look.needed);
        let all: u64 = look.here.values().map(|len| u64::from(*len)).sum();
        look.survey.kept_bytes = all - texts;
        *self.demand.surveyed.lock() = Some((Instant::now(), look.survey));
        Ok(look)
    }

    /// Whether this is a piece of a file's bytes that no text needs, as of a minute ago: what a device that is charged for each
    /// byte neither fetches nor gives unless somebody waits for it.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn is_of_blob(&self, id: &ChunkId) -> Result<bool, StoreError> {
        if self.core.chunk_row(id)?.is_none_or(|row| row.kind != kind::CHUNK) {
            return Ok(false);
        }
        let mut texts = self.demand.texts.lock();
        match texts.as_ref().filter(|(at, _)| at.elapsed() < TEXTS_FRESH) {
            Some((_, texts)) => Ok(!texts.contains(id)),
            None => {
                let mut look = Look::default();
                self.look_at_chunks(&mut look)?;
                self.look_at_versions(&mut look)?;
                let is_blob = !look.needed.contains(id);
                *texts = Some((Instant::now(), look.needed));
                Ok(is_blob)
            }
        }
    }

    /// All that is here of files, durably; of texts, too.
    pub(super) fn bytes_here(&self) -> Result<u64, StoreError> {
        let mut sum = 0;
        self.core.db.scan(Table::Chunks, b"", &mut |_, value| {
            let row = ChunkRow::decode(value).ok().filter(|row| row.kind == kind::CHUNK);
            sum += row.map_or(0, |row| u64::from(row.place.len));
            true
        })?;
        Ok(sum)
    }

    /// What is here, durably.
    fn look_at_chunks(&self, look: &mut Look) -> Result<(), StoreError> {
        self.core.db.scan(Table::Chunks, b"", &mut |key, value| {
            if let (Ok(id), Ok(row)) = (<[u8; 32]>::try_from(key), ChunkRow::decode(value))
                && row.kind == kind::CHUNK
            {
                look.here.insert(ChunkId(id), row.place.len);
            }
            true
        })?;
        Ok(())
    }

    /// Texts are always needed; what else is told may go.
    fn look_at_versions(&self, look: &mut Look) -> Result<(), StoreError> {
        let mut entities: HashSet<EntityId> = HashSet::new();
        self.core.db.scan(Table::Versions, b"", &mut |key, row| {
            entities.extend(
                split_key(key)
                    .filter(|_| holds_chunks(row))
                    .map(|(entity, _)| entity),
            );
            true
        })?;
        let mut seen: HashSet<(ChunkId, bool)> = HashSet::new();
        for (entity, key) in self.keys_of(&entities)? {
            let Ok(key) = key else { continue };
            let mut roots: Vec<(ManifestRef, bool)> = Vec::new();
            self.each_version(&key, &entity, &mut |_, row| {
                if let Ok(row) = row
                    && row.kept == Kept::All
                    && let BodyRef::Manifest(root) = row.body
                {
                    roots.push((root, row.form == 2));
                }
            })?;
            for (root, is_text) in roots {
                if !seen.insert((root.id, is_text)) {
                    continue;
                }
                let Look {
                    here, needed, told, ..
                } = look;
                manifest::names(&self.core, &root, &mut |id| {
                    if here.contains_key(&id) {
                        match is_text {
                            true => needed.insert(id),
                            false => told.insert(id),
                        };
                    }
                })?;
            }
        }
        Ok(())
    }

    fn look_at_files(&self, look: &mut Look) -> Result<(), StoreError> {
        let mut inos: Vec<Ino> = Vec::new();
        self.core.db.scan(Table::Inodes, b"", &mut |key, _| {
            inos.extend(<[u8; 8]>::try_from(key).map(u64::from_be_bytes));
            true
        })?;
        for ino in inos {
            let record = match self.read_record(ino) {
                Ok(Some((_, record))) => record,
                Ok(None) => continue,
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            };
            let is_pinned = self.is_pinned(&record.entity);
            let BaseRef::Manifest(root) = record.base else {
                look.survey.pinned_files += u64::from(is_pinned);
                continue;
            };
            let (mut mine, mut absent) = (Vec::new(), 0);
            let read = manifest::walk(&self.core, &root, &mut |_| {}, &mut |entry| {
                if let LeafEntry::Chunk(chunk) = entry {
                    match look.here.contains_key(&chunk.id) {
                        true => mine.push(chunk.id),
                        false => absent += u64::from(chunk.len),
                    }
                }
            });
            match read {
                Err(error) if error.is_damage() => {}
                read => read?,
            }
            look.survey.pinned_files += u64::from(is_pinned);
            look.survey.absent_bytes += absent;
            look.survey.absent_files += u64::from(absent > 0);
            match is_pinned || !self.may_give_up(ino, &record) {
                true => look.needed.extend(mine),
                false => look.files.push((self.last_used(ino), mine)),
            }
        }
        look.files.sort_by_key(|(used, _)| *used);
        Ok(())
    }

    /// What files that are pinned by now show.
    pub(super) fn look_at_pinned(&self, needed: &mut HashSet<ChunkId>) -> Result<(), StoreError> {
        let pinned = self.demand.pinned.read().clone();
        if pinned.is_empty() {
            return Ok(());
        }
        for ino in self.living_of(&pinned)?.into_values() {
            let record = match self.read_record(ino) {
                Err(error) if !error.is_damage() => return Err(error),
                record => record.ok().flatten(),
            };
            let Some(BaseRef::Manifest(root)) = record.map(|(_, record)| record.base) else {
                continue;
            };
            match manifest::names(&self.core, &root, &mut |id| needed.extend([id])) {
                Err(error) if !error.is_damage() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a file is just what was told of it.
    fn may_give_up(&self, ino: Ino, record: &InodeRecord) -> bool {
        let is_whole = record.log_first == record.log_next && record.base_len == record.size;
        is_whole && record.published.is_some() && !self.untold.lock().inodes.contains(&ino)
    }

    /// What files and old versions that are open need, and what is not told or stored yet.
    pub(super) fn look_at_memory(&self, needed: &mut HashSet<ChunkId>) {
        needed.extend(self.demand.gathered.lock().keys());
        let open: Vec<_> = self
            .readers
            .lock()
            .iter()
            .filter_map(|reader| reader.upgrade())
            .collect();
        for reading in &open {
            reading
                .content()
                .names(&mut |id| needed.extend([id]), &mut |_| {});
        }
        let resident = self.inodes.lock().all();
        for inode in resident {
            let state = inode.state.read();
            let rests = state.opens == 0 && state.fetching == 0 && state.is_clean();
            let is_told = !state.untold && !state.fresh && state.published.is_some();
            if rests && is_told {
                continue;
            }
            let Some(content) = &state.content else { continue };
            content.names(&mut |id| needed.extend([id]), &mut |_| {});
            // Not read yet: by its manifest.
            if content.is_unloaded()
                && let BaseRef::Manifest(root) = content.durable().base
            {
                let _ = manifest::names(&self.core, &root, &mut |id| needed.extend([id]));
            }
        }
    }
}
