//! What every part of an open vault shares: disk, database, packs, keys, and the ways
//! from bytes to sealed bytes and back.
//!
//! Guarantees: a chunk is stored once however many ask at a time (two at the very same
//! moment may both be written; one of them is then dead space); nothing that is read is
//! returned unverified. It never decides when something is committed.

mod batches;
mod error;
mod keyring;
pub(crate) mod pool;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::chunk::{Cutter, Packs, Place};
use crate::db::{Db, DbError, Table};
use crate::ids::{Ino, number};
use crate::io::{Disk, Space};
use crate::keys::{Aad, ChunkId, ChunkKeys, Key, SEGMENT, TAG, open, seal};
use crate::record::{ChunkRef, ChunkRow, kind};
use batches::Batches;
pub use error::{Absent, StoreError};
pub(crate) use keyring::{EpochKeys, Keyring, Unopened, tag_of};
use pool::Pool;

/// Room that is kept for what was accepted but is not stored yet, in bytes.
pub(crate) const RESERVE: u64 = 8 << 20;
/// How long a measured free space is believed …
const SPACE_AGE: Duration = Duration::from_millis(200);
/// … while there is so much more than is needed, in bytes: what is stored can take several times what was accepted meanwhile, as
/// parts that are chunked anew and rows do.
const PLENTY: u64 = 2 << 30;

/// See the module.
pub(crate) struct Core {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) db: Db,
    pub(crate) packs: Packs,
    batches: Batches,
    keyring: RwLock<Arc<Keyring>>,
    pub(crate) cutter: Cutter,
    pub(crate) pool: Pool,
    /// Chunks that are in packs and not yet in the database.
    pub(crate) fresh: Mutex<HashMap<ChunkId, ChunkRow>>,
    /// Packs that took what no row will name for long: parts of files that are not yet versions, what
    /// was appended twice, what a failed commit left. The next commit notes them.
    pub(crate) strewn: Mutex<BTreeSet<u32>>,
    /// Read by who stores a chunk, from before it asks whether it is there until whoever
    /// looks for living chunks can see it. Held for writing, there is nobody in between.
    pub(crate) appending: RwLock<()>,
    /// While dead chunks are looked for: the chunks that were asked for since it began.
    pub(crate) asked: Mutex<Option<HashSet<ChunkId>>>,
    /// Plaintext bytes that the packs did not have to take again since unlock.
    pub(crate) saved: AtomicU64,
    /// Bytes accepted into memory and not yet stored.
    pub(crate) dirty: AtomicU64,
    /// Bytes of files that were removed or written over since dead chunks were last looked for.
    pub(crate) dropped: AtomicU64,
    /// A background write has failed since the last commit that went well.
    pub(crate) failing: AtomicBool,
    /// When something was last refused for want of room.
    pub(crate) refused: Mutex<Option<Instant>>,
    /// Other devices may hold pieces of files that this one does not: one that has no row is absent, not lost.
    pub(crate) partial: AtomicBool,
    space: Mutex<Option<(Instant, Space, u64)>>,
}

impl Core {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        db: Db,
        packs: Packs,
        keyring: Keyring,
        threads: usize,
    ) -> io::Result<Core> {
        let cutter = Cutter::new(keyring.chunks.gear_key().expose());
        Ok(Core {
            disk,
            db,
            packs,
            batches: Batches::default(),
            keyring: RwLock::new(Arc::new(keyring)),
            cutter,
            pool: Pool::new(threads)?,
            fresh: Mutex::default(),
            strewn: Mutex::default(),
            appending: RwLock::default(),
            asked: Mutex::new(None),
            saved: AtomicU64::new(0),
            dirty: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            refused: Mutex::new(None),
            partial: AtomicBool::new(false),
            space: Mutex::new(None),
        })
    }

    /// The keys of all epochs, as they are now.
    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        self.keyring.read().clone()
    }

    /// Other keys from now on.
    pub(crate) fn set_keyring(&self, keyring: Keyring) {
        *self.keyring.write() = Arc::new(keyring);
    }

    /// Seals and stores a chunk, unless the store has it.
    pub(crate) fn store_chunk(&self, kind: u8, plain: &[u8]) -> Result<ChunkRef, StoreError> {
        let keyring = self.keyring();
        let id = keyring.chunks.id(kind, plain);
        self.store_as(kind, id, plain.len(), |sealed| {
            keyring.chunks.seal(kind, &id, plain, sealed);
        })
    }

    /// Stores a chunk as it came, sealed, unless the store has it: it has been opened, and is what its name stands for.
    pub(crate) fn store_sealed(
        &self,
        kind: u8,
        id: ChunkId,
        len: usize,
        sealed: &[u8],
    ) -> Result<ChunkRef, StoreError> {
        self.store_as(kind, id, len, |out| out.extend_from_slice(sealed))
    }

    fn store_as(
        &self,
        kind: u8,
        id: ChunkId,
        len: usize,
        seal: impl FnOnce(&mut Vec<u8>),
    ) -> Result<ChunkRef, StoreError> {
        let _appending = self.appending.read_recursive();
        // Before looking whether it is there: see `vault/gc.rs`.
        if let Some(asked) = self.asked.lock().as_mut() {
            asked.insert(id);
        }
        if let Some(row) = self.chunk_row(&id)?
            && row.kind == kind
            && self.packs.holds(row.place)
        {
            self.saved.fetch_add(len as u64, Ordering::Relaxed);
            return Ok(ChunkRef {
                id,
                sealed: row.sealed,
                len: row.len,
            });
        }
        let mut sealed = Vec::with_capacity(ChunkKeys::sealed_len(len));
        seal(&mut sealed);
        let hash = *blake3::hash(&sealed).as_bytes();
        let place = self.packs.append(kind, &id.0, &sealed)?;
        let row = ChunkRow {
            place,
            len: len as u32,
            sealed: hash,
            kind,
        };
        let twice = self.fresh.lock().insert(id, row);
        self.strewn.lock().extend(twice.map(|row| row.place.pack));
        Ok(ChunkRef {
            id,
            sealed: hash,
            len: row.len,
        })
    }

    /// A chunk is taken over by another file: as good as storing it again.
    pub(crate) fn ask_again(&self, id: ChunkId) {
        if let Some(asked) = self.asked.lock().as_mut() {
            asked.insert(id);
        }
    }

    /// Where a chunk lies.
    pub(crate) fn chunk_row(&self, id: &ChunkId) -> Result<Option<ChunkRow>, StoreError> {
        if let Some(row) = self.fresh.lock().get(id) {
            return Ok(Some(*row));
        }
        match self.db.get(Table::Chunks, &id.0)? {
            Some(bytes) => Ok(Some(
                ChunkRow::decode(&bytes).map_err(StoreError::malformed(format!("chunk {id}")))?,
            )),
            None => Ok(None),
        }
    }

    /// Whether a chunk of this kind that has no row may be elsewhere: manifests are always here.
    pub(crate) fn may_be_absent(&self, kind: u8) -> bool {
        kind == kind::CHUNK && self.partial.load(Ordering::Relaxed)
    }

    /// Does `read` where a chunk lies. Its pack may be written anew and removed meanwhile: then
    /// again, where it lies by then.
    fn at_chunk<T>(
        &self,
        kind: u8,
        chunk: &ChunkRef,
        mut read: impl FnMut(Place) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let what = || format!("chunk {}", chunk.id);
        let find = || -> Result<Place, StoreError> {
            let row = self.chunk_row(&chunk.id)?;
            if row.is_none() && self.may_be_absent(kind) {
                return Err(StoreError::Absent(Absent(*chunk)));
            }
            let row = row.filter(|row| row.kind == kind && row.len == chunk.len);
            let row = row.ok_or_else(|| StoreError::Missing { what: what() })?;
            if row.place.len as usize != ChunkKeys::sealed_len(chunk.len as usize) {
                return Err(StoreError::Tampered { what: what() });
            }
            Ok(row.place)
        };
        let mut place = find()?;
        loop {
            let failed = match read(place) {
                Err(e) => e,
                done => return done,
            };
            match find() {
                Ok(now) if now != place => place = now,
                _ => return Err(failed),
            }
        }
    }

    /// Reads `out.len()` bytes of a chunk from `from` on; opens no more segments than that takes.
    pub(crate) fn read_chunk(
        &self,
        kind: u8,
        chunk: &ChunkRef,
        from: usize,
        out: &mut [u8],
    ) -> Result<(), StoreError> {
        if out.is_empty() {
            return Ok(());
        }
        let len = chunk.len as usize;
        if from + out.len() > len {
            return Err(StoreError::Tampered {
                what: format!("chunk {}", chunk.id),
            });
        }
        let first = from / SEGMENT;
        let last = (from + out.len() - 1) / SEGMENT;
        let begin = first * (SEGMENT + TAG);
        let end = (len + len.div_ceil(SEGMENT) * TAG).min((last + 1) * (SEGMENT + TAG));
        with_scratch(end - begin, |sealed| {
            self.at_chunk(kind, chunk, |place| {
                self.packs.read(place, begin as u32, sealed)?;
                self.keyring()
                    .chunks
                    .open_segments(kind, &chunk.id, len, first, sealed)
                    .map_err(|e| StoreError::tampered(format!("chunk {}", chunk.id))(e))
            })?;
            let mut done = 0;
            for segment in first..=last {
                let base = (segment - first) * (SEGMENT + TAG);
                let skip = if segment == first {
                    from - first * SEGMENT
                } else {
                    0
                };
                let take = (SEGMENT - skip).min(out.len() - done);
                out[done..done + take].copy_from_slice(&sealed[base + skip..base + skip + take]);
                done += take;
            }
            Ok(())
        })
    }

    /// Reads a whole chunk, and checks that it is the one.
    pub(crate) fn whole_chunk(&self, kind: u8, chunk: &ChunkRef) -> Result<Vec<u8>, StoreError> {
        let len = chunk.len as usize;
        self.at_chunk(kind, chunk, |place| {
            let mut sealed = vec![0; place.len as usize];
            self.packs.read(place, 0, &mut sealed)?;
            self.keyring()
                .chunks
                .open(kind, &chunk.id, len, &sealed)
                .map_err(|e| StoreError::tampered(format!("chunk {}", chunk.id))(e))
        })
    }

    /// Seals bytes of a file into a pack, under its own key.
    pub(crate) fn store_extent(
        &self,
        key: &Key,
        ino: Ino,
        serial: u64,
        plain: &[u8],
    ) -> Result<Place, StoreError> {
        let sealed = seal(key, &extent_aad(ino, serial), plain);
        let mut id = [0; 32];
        id[..16].copy_from_slice(&number(ino));
        id[16..24].copy_from_slice(&serial.to_le_bytes());
        let place = self.packs.append(kind::EXTENT, &id, &sealed)?;
        self.strewn.lock().insert(place.pack);
        Ok(place)
    }

    /// Opens them again.
    pub(crate) fn read_extent(
        &self,
        key: &Key,
        ino: Ino,
        serial: u64,
        place: Place,
    ) -> Result<Vec<u8>, StoreError> {
        let mut sealed = vec![0; place.len as usize];
        self.packs.read(place, 0, &mut sealed)?;
        open(key, &extent_aad(ino, serial), &sealed)
            .map_err(StoreError::tampered("a part of a file that is not yet a version"))
    }

    /// Whether `more` bytes can be accepted and still be stored later.
    pub(crate) fn room_for(&self, more: u64) -> Result<(), StoreError> {
        let mut cached = self.space.lock();
        if cached.as_ref().is_some_and(|(at, ..)| at.elapsed() >= SPACE_AGE) {
            *cached = None;
        }
        loop {
            let measured = cached.is_none();
            let (_, space, spent) = match cached.as_mut() {
                Some(known) => known,
                None => {
                    let space = self.disk.space().map_err(|e| StoreError::Db(DbError::Io(e)))?;
                    cached.insert((Instant::now(), space, 0))
                }
            };
            let needed = self.kept().saturating_add(more);
            let slack = if measured { 0 } else { PLENTY };
            if space.available.saturating_sub(*spent) >= needed.saturating_add(slack) {
                *spent += more;
                return Ok(());
            }
            if measured {
                *self.refused.lock() = Some(Instant::now());
                return Err(StoreError::NoSpace);
            }
            // Somebody may have made room since: a refusal is always measured.
            *cached = None;
        }
    }

    /// Room that no write is given, in bytes: for what was accepted already, and the reserve.
    pub(crate) fn kept(&self) -> u64 {
        self.promised().saturating_add(RESERVE)
    }

    /// Bytes that were accepted and are yet to be stored.
    pub(crate) fn promised(&self) -> u64 {
        let held = self.dirty.load(Ordering::Relaxed);
        held.saturating_add(self.pool.in_flight())
    }

    pub(crate) fn note_failure(&self, error: &StoreError) {
        if matches!(error.errno(), libc::ENOSPC | libc::EDQUOT) {
            *self.refused.lock() = Some(Instant::now());
        }
        self.failing.store(true, Ordering::Relaxed);
        *self.space.lock() = None;
    }
}

pub(crate) fn extent_aad(ino: Ino, serial: u64) -> Aad {
    Aad {
        kind: kind::EXTENT,
        id: number(ino),
        chain: [0; 16],
        version: serial,
        generation: 0,
    }
}

/// A buffer of this thread's, so that reads do not allocate.
fn with_scratch<T>(len: usize, call: impl FnOnce(&mut [u8]) -> T) -> T {
    use std::cell::RefCell;
    thread_local!(static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    SCRATCH.with_borrow_mut(|buf| {
        if buf.len() < len {
            buf.resize(len, 0);
        }
        call(&mut buf[..len])
    })
}
