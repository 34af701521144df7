//! Giving room back: chunks that no file names any more, and packs that are mostly such.
//!
//! A chunk is dead if no row of the database, and no content in memory, names it. It is
//! found by marking what is alive; what is asked for while that goes on is alive too. A
//! pack of which less than half is alive is written anew, without what is dead, and
//! removed; not at once, since a reader may just have looked up a place in it. While room
//! is short, so is every pack that holds much that is dead, and it goes at once: the reader
//! has to look again.
//!
//! Payloads of events that history has let go of are left out of their batches first (`debts`): a
//! batch is appended anew without them, and the old one is dead. What is to be destroyed goes with
//! certainty: the packs that hold it are written anew, whatever else is in them, and go at once.
//!
//! Guarantees: what is alive can be read at every moment, and after a crash at any point. The
//! versions that history holds are alive; events' heads are never dead: they are the vault's
//! history.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Vault;
use super::commit::Scope;
use super::history::{Stand, note_pack, pack_note};
use crate::chunk::Place;
use crate::chunk::pack::HEADER;
use crate::content::manifest;
use crate::content::pieces::LeafEntry;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::BatchRow;
use crate::ids::Ino;
use crate::keys::{ChunkId, open as open_sealed};
use crate::record::{BaseRef, ChunkRow, InodeRecord, LogRecord, ManifestRef, kind};

/// A pack is written anew if less than this part of it is alive: 1 / 2.
const SPARSE: u64 = 2;
/// While room is short, if at least this part of it is dead: 1 / 8.
const WORTH: u64 = 8;
/// The pack that is appended to is written anew, too, if so many bytes of it are dead, and more than are alive.
const DEAD: u64 = 128 << 10;
/// How long a replaced pack is kept for readers that are under way.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// Bytes of a pack that are moved in one transaction.
pub(super) const MOVE: u64 = 64 << 20;

/// What was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Chunks that nothing named.
    pub chunks: u64,
    /// Packs that were removed, or will be in a moment.
    pub packs: u64,
    /// Their bytes, less what was written anew.
    pub bytes: u64,
    /// What was to be destroyed and could not be now, as packs and payloads: those of a file that is
    /// still open; packs that a backup is being made of, that hold what a file that is open has not
    /// saved as a version, that are damaged, or kept for a newer state. Another collection tries
    /// again.
    pub left: u64,
}

/// Packs that are replaced and not yet removed, with when; none: they are to go at once.
#[derive(Default)]
pub(crate) struct Replaced(Vec<(Option<Instant>, u32)>, usize);

impl Replaced {
    /// All of them are to go at once.
    pub(super) fn urge(&mut self) {
        self.0.iter_mut().for_each(|(at, _)| *at = None);
    }
}

/// While it lives, no pack is removed.
pub(crate) struct Pin<'a>(&'a Vault);

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.0.replaced.lock().1 -= 1;
    }
}

/// What is alive.
#[derive(Default)]
pub(super) struct Alive {
    pub(super) chunks: HashSet<ChunkId>,
    /// Bytes of each pack.
    packs: HashMap<u32, u64>,
}

impl Alive {
    fn place(&mut self, place: Place) {
        *self.packs.entry(place.pack).or_insert(0) += u64::from(place.len) + HEADER as u64;
    }
}

impl Vault {
    /// Finds what is dead and gives its room back.
    ///
    /// # Errors
    /// As [`StoreError`] says: then what was not done is done another time.
    pub fn collect(&self) -> Result<Freed, StoreError> {
        let _alone = self.demand.sweeping.lock();
        let had_let_go = self.has_let_go();
        self.demand.stale.store(true, Ordering::Relaxed);
        self.remove_replaced(self.grace());
        *self.core.asked.lock() = Some(HashSet::new());
        // Who asked before that is waited for: then its chunk is named in memory.
        drop(self.core.appending.write());
        let result = self.sweep();
        *self.core.asked.lock() = None;
        let (mut freed, alive) = result?;
        if had_let_go {
            // Another collection says it if this fails.
            let _ = self.gave_back();
        }
        let compacted = self.compact(&alive, &mut freed);
        self.remove_replaced(self.grace());
        compacted?;
        let waiting = self
            .replaced
            .lock()
            .0
            .iter()
            .filter(|(at, _)| at.is_none())
            .count();
        freed.left = self.debts()?.urgent() + waiting as u64;
        self.owing.store(freed.left > 0, Ordering::Relaxed);
        Ok(freed)
    }

    /// Keeps all packs where they are, for who copies them.
    pub(super) fn pin_packs(&self) -> Pin<'_> {
        self.replaced.lock().1 += 1;
        Pin(self)
    }

    /// Whether somebody does.
    pub(super) fn packs_pinned(&self) -> bool {
        self.replaced.lock().1 > 0
    }

    /// Removes packs that were replaced so long ago.
    pub(super) fn remove_replaced(&self, age: Duration) {
        let mut replaced = self.replaced.lock();
        if replaced.1 > 0 {
            return; // a backup is being made of them
        }
        replaced.0.retain(|(at, pack)| {
            at.is_some_and(|at| at.elapsed() < age) || self.core.packs.remove(*pack).is_err()
        });
    }

    fn sweep(&self) -> Result<(Freed, Alive), StoreError> {
        // As the keeper does, so that no save is cut in half by it.
        let mut committer = self.committer.lock();
        self.commit_with(&mut committer, Scope::Timer)?;
        // What rows are lost cannot be known here, nor what they named: then nothing is dead.
        if self.is_damaged() || !self.core.db.verify()?.is_empty() {
            return Err(StoreError::Missing {
                what: "a part of the database".into(),
            });
        }
        self.owes.store(false, Ordering::Relaxed);
        let mut alive = Alive::default();
        let standing = self.mark_stored(&mut alive)?;
        let debts = self.leave_out(&standing)?;
        self.mark_batches(&mut alive)?;
        self.mark_versions(&standing, &mut alive)?;
        self.mark_waiting(&standing, &mut alive)?;
        let mut batch = Batch::new();
        let doomed = self.doomed(&debts, &standing, &mut batch);
        self.mark_memory(&mut alive, &doomed);
        let mut rows = Vec::new();
        let mut bad = 0u64;
        self.core.db.scan(Table::Chunks, b"", &mut |key, value| {
            match (<[u8; 32]>::try_from(key), ChunkRow::decode(value)) {
                (Ok(id), Ok(row)) => rows.push((ChunkId(id), row)),
                _ => bad += 1,
            }
            true
        })?;
        let mut freed = Freed::default();
        if bad > 0 {
            return Err(StoreError::Missing {
                what: format!("{bad} rows of chunks"),
            });
        }
        // Packs that hold what is dead; true: it is to be destroyed.
        let mut holding: BTreeMap<u32, bool> = BTreeMap::new();
        // From here on nobody can ask for a chunk until the dead ones are gone.
        let asked = self.core.asked.lock();
        let asked_for = |id: &ChunkId| asked.as_ref().is_some_and(|a| a.contains(id));
        for (id, row) in &rows {
            if alive.chunks.contains(id) || asked_for(id) {
                alive.place(row.place);
            } else {
                batch.delete(Table::Chunks, id.0);
                freed.chunks += 1;
                *holding.entry(row.place.pack).or_default() |= doomed.contains(id);
            }
        }
        for row in self.core.fresh.lock().values() {
            alive.place(row.place);
        }
        for (pack, surely) in holding {
            if surely || !debts.packs.contains_key(&pack) {
                note_pack(&mut batch, pack, surely);
            }
        }
        self.core.db.apply(&batch)?;
        drop(asked);
        drop(committer);
        Ok((freed, alive))
    }

    /// Marks what rows of files name. A row that cannot be read stops it all: what it names is not
    /// known.
    fn mark_stored(&self, alive: &mut Alive) -> Result<Stand, StoreError> {
        let mut roots: HashSet<ChunkId> = HashSet::new();
        self.stand(true, &mut |ino, entity_key, record| {
            if let BaseRef::Manifest(root) = record.base
                && roots.insert(root.id)
            {
                self.mark_manifest(&root, alive)?;
            }
            if record.log_first != record.log_next {
                self.mark_log(ino, entity_key, record, alive)?;
            }
            Ok(())
        })
    }

    pub(super) fn mark_manifest(&self, root: &ManifestRef, alive: &mut Alive) -> Result<(), StoreError> {
        let (mut found, mut nodes) = (Vec::new(), Vec::new());
        manifest::walk(&self.core, root, &mut |node| nodes.push(node.id), &mut |entry| {
            if let LeafEntry::Chunk(chunk) = entry {
                found.push(chunk.id);
            }
        })?;
        alive.chunks.extend(nodes);
        alive.chunks.extend(found);
        Ok(())
    }

    /// The same of a version that may have come from another device without its chunks: what of it is
    /// here is alive, and what is not here cannot die.
    pub(super) fn mark_manifest_here(&self, root: &ManifestRef, alive: &mut Alive) -> Result<(), StoreError> {
        manifest::names(&self.core, root, &mut |id| {
            alive.chunks.insert(id);
        })
    }

    fn mark_batches(&self, alive: &mut Alive) -> Result<(), StoreError> {
        let mut bad = None;
        self.core.db.scan(
            Table::Batches,
            b"",
            &mut |_, value| match BatchRow::decode(value) {
                Ok(row) => {
                    alive.place(row.place);
                    true
                }
                Err(why) => {
                    bad = Some(StoreError::Malformed {
                        what: "a batch of events".into(),
                        why,
                    });
                    false
                }
            },
        )?;
        bad.map_or(Ok(()), Err)
    }

    fn mark_log(
        &self,
        ino: Ino,
        key: &crate::keys::Key,
        record: &InodeRecord,
        alive: &mut Alive,
    ) -> Result<(), StoreError> {
        let what = || format!("the log of file number {ino}");
        for seq in record.log_first..record.log_next {
            let row = crate::content::log_key(ino, seq);
            let sealed = self
                .core
                .db
                .get(Table::Log, &row)?
                .ok_or_else(|| StoreError::Missing { what: what() })?;
            let plain = open_sealed(key, &crate::content::log_aad(ino, seq), &sealed)
                .map_err(StoreError::tampered(what()))?;
            let entry = LogRecord::decode(&plain).map_err(StoreError::malformed(what()))?;
            if let LogRecord::Stored { place, .. } = entry {
                alive.place(place);
            }
        }
        Ok(())
    }

    /// Marks what contents in memory name: an open file may name more than its row; and what old
    /// versions that are open name, but for what is to be destroyed.
    fn mark_memory(&self, alive: &mut Alive, doomed: &HashSet<ChunkId>) {
        let open: Vec<_> = self.readers.lock().iter().filter_map(|r| r.upgrade()).collect();
        for reading in &open {
            let mut names = Vec::new();
            reading.content().names(&mut |id| names.push(id), &mut |_| {});
            alive
                .chunks
                .extend(names.iter().filter(|id| !doomed.contains(*id)));
        }
        let resident = self.inodes.lock().all();
        for inode in resident {
            let state = inode.state.read();
            if let Some(content) = &state.content {
                let (mut chunks, mut places) = (Vec::new(), Vec::new());
                content.names(&mut |id| chunks.push(id), &mut |place| places.push(place));
                alive.chunks.extend(chunks);
                places.into_iter().for_each(|place| alive.place(place));
            }
        }
    }

    /// Empties packs that are mostly dead, those first from which least is to be moved.
    fn compact(&self, alive: &Alive, freed: &mut Freed) -> Result<(), StoreError> {
        let short = self.is_room_short().then(|| self.short_packs());
        let living = |pack: u32| alive.packs.get(&pack).copied().unwrap_or(0);
        let urgent = self.debts()?.urgent_packs();
        let mut packs = self.core.packs.list();
        packs.sort_by_key(|info| living(info.pack));
        let mut failed = None;
        for info in packs {
            let living = living(info.pack);
            let whole = info.condition == crate::chunk::pack::Condition::Whole;
            let (appended_to, sparse) = match &short {
                Some(short) => (
                    !short.is_full(info.len),
                    info.len.saturating_sub(living) >= info.len.div_ceil(WORTH),
                ),
                None => (true, living * SPARSE <= info.len),
            };
            let is_urgent = urgent.contains(&info.pack);
            let is_current = self.core.packs.current() == Some(info.pack);
            let appended_to = appended_to && is_current && info.len.saturating_sub(living) < DEAD;
            let due = is_urgent || (sparse && !appended_to);
            if !due || !whole || self.kept.contains(info.pack) {
                continue;
            }
            if living > self.room_to_move() {
                // What is to be moved elsewhere first needs room there. Another time.
                self.unsearched.store(freed.packs > 0, Ordering::Relaxed);
                break;
            }
            if is_urgent || is_current {
                // What is moved out of it does not come to lie in it again.
                self.core.packs.avoid([info.pack]);
            }
            // Who has reserved a place in it, and goes on writing there, notes it first.
            drop(self.core.appending.write());
            match self.empty(info.pack) {
                Ok(true) => {}
                Ok(false) => continue,
                // What cannot be read of it stays; it keeps no other from being emptied.
                Err(e) => {
                    failed.get_or_insert(e);
                    continue;
                }
            }
            freed.packs += 1;
            freed.bytes += info.len.saturating_sub(living);
            let at = (!is_urgent).then(Instant::now);
            self.replaced.lock().0.push((at, info.pack));
            if short.is_some() {
                self.remove_replaced(Duration::ZERO);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Moves what is alive out of a pack, and takes it off the list; false if something
    /// in it cannot be moved now.
    fn empty(&self, pack: u32) -> Result<bool, StoreError> {
        loop {
            let _committer = self.committer.lock();
            if self.has_extents(pack)? {
                return Ok(false);
            }
            let mut batch = Batch::new();
            let mut moved = 0;
            let mut left = false;
            let mut rows = Vec::new();
            self.core.db.scan(Table::Chunks, b"", &mut |key, value| {
                if let (Ok(id), Ok(row)) = (<[u8; 32]>::try_from(key), ChunkRow::decode(value))
                    && row.place.pack == pack
                {
                    rows.push((id, row));
                }
                true
            })?;
            for (id, mut row) in rows {
                if moved > MOVE {
                    left = true;
                    break;
                }
                row.place = self.move_record(row.kind, &id, row.place)?;
                moved += u64::from(row.place.len);
                batch.put(Table::Chunks, id, row.encode());
            }
            let mut batches = Vec::new();
            self.core.db.scan(Table::Batches, b"", &mut |key, value| {
                if let Ok(row) = BatchRow::decode(value)
                    && row.place.pack == pack
                {
                    batches.push((key.to_vec(), row));
                }
                true
            })?;
            for (key, mut row) in batches {
                if moved > MOVE {
                    left = true;
                    break;
                }
                row.place = self.move_record(kind::BATCH, &row.head, row.place)?;
                moved += u64::from(row.place.len);
                batch.put(Table::Batches, key, row.encode());
            }
            let fresh = self.core.fresh.lock().values().any(|row| row.place.pack == pack);
            if !left && fresh {
                return Ok(false);
            }
            if !left {
                batch.delete(Table::Packs, pack.to_be_bytes());
                batch.delete(Table::Pending, pack_note(pack));
            }
            self.apply_moved(batch, (!left).then_some(pack))?;
            if !left {
                self.core.packs.retire(pack);
                return Ok(true);
            }
        }
    }

    /// Applies what names records that were just appended; `gone` is listed no more by it.
    pub(super) fn apply_moved(&self, mut batch: Batch, gone: Option<u32>) -> Result<(), StoreError> {
        let mut lengths = self.core.packs.sync()?;
        lengths.retain(|(grown, _)| Some(*grown) != gone);
        for (pack, len) in &lengths {
            batch.put(Table::Packs, pack.to_be_bytes(), len.to_be_bytes());
        }
        self.core.db.apply(&batch)?;
        self.core.packs.committed(&lengths);
        Ok(())
    }

    fn move_record(&self, kind: u8, id: &[u8; 32], place: Place) -> Result<Place, StoreError> {
        let mut bytes = vec![0; place.len as usize];
        self.core.packs.read(place, 0, &mut bytes)?;
        Ok(self.core.packs.append(kind, id, &bytes)?)
    }

    /// Whether a part of a file that is not yet a version lies in this pack. Such parts go
    /// when the file is chunked anew.
    fn has_extents(&self, pack: u32) -> Result<bool, StoreError> {
        let mut inos: HashSet<Ino> = HashSet::new();
        self.core.db.scan(Table::Log, b"", &mut |key, _| {
            inos.extend(
                key.get(..8)
                    .and_then(|k| <[u8; 8]>::try_from(k).ok())
                    .map(u64::from_be_bytes),
            );
            true
        })?;
        let mut alive = Alive::default();
        for ino in inos {
            if let Some((key, record)) = self.read_record(ino)? {
                self.mark_log(ino, &key, &record, &mut alive)?;
            }
        }
        for inode in self.inodes.lock().all() {
            let state = inode.state.read();
            if let Some(content) = &state.content {
                content.names(&mut |_| {}, &mut |place| alive.place(place));
            }
        }
        Ok(alive.packs.contains_key(&pack))
    }
}
