//! Appending and making durable.
//!
//! Guarantees: a reservation is made under a short lock, the bytes are written outside
//! it, so that several threads write at once; a sync covers every append that returned
//! before it began; a length that it gives is backed by the file. Never takes a failed
//! fdatasync for a passing matter.

use std::io::ErrorKind;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::record::{HEADER, Header};
use super::state::{Pack, Region, State};
use super::{Condition, MAX_PAYLOAD, PackError, Packs, Place, pack_name};

/// Payloads below this are gathered, in bytes.
const SMALL: usize = 64 << 10;
/// What is gathered before it is written, in bytes.
const GATHER: usize = 1 << 20;

/// A pack with writes to make durable.
struct Dirty {
    number: u32,
    from: u64,
    written: u64,
    nameless: bool,
}

impl Packs {
    /// Appends a record. Its payload is readable at once, durable after the next
    /// [`Packs::sync`]. Below 64 KiB it may wait in memory until then.
    ///
    /// # Errors
    /// [`PackError::TooLarge`]; or the system refuses, and nothing was appended.
    pub fn append(&self, kind: u8, id: &[u8; 32], payload: &[u8]) -> Result<Place, PackError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(PackError::TooLarge { len: payload.len() });
        }
        let len = payload.len() as u32;
        let header = Header { kind, len, id: *id }.encode();
        if payload.len() < SMALL {
            self.append_small(&header, payload)
        } else {
            self.append_large(&header, payload)
        }
    }

    /// Appends several records: their places, in order.
    ///
    /// # Errors
    /// As [`Packs::append`]; some may have been appended, and are garbage.
    pub fn append_batch(&self, records: &[(u8, [u8; 32], Vec<u8>)]) -> Result<Vec<Place>, PackError> {
        records
            .iter()
            .map(|(kind, id, payload)| self.append(*kind, id, payload))
            .collect()
    }

    fn append_small(&self, header: &[u8; HEADER], payload: &[u8]) -> Result<Place, PackError> {
        let mut state = self.state.lock();
        // Memory is bounded: while gathered records cannot be written, no more are taken.
        while let Some(failed) = state.unwritten.iter().find(|unwritten| unwritten.failed) {
            let region = failed.region.clone();
            MutexGuard::unlocked(&mut state, || self.write_region(&region))?;
        }
        let (pack, offset) = self.reserve(&mut state, header.len() + payload.len())?;
        if state.buffer.is_none() {
            let file = state.file(pack).ok_or(PackError::Unknown { pack })?;
            state.buffer = Some(Region {
                pack,
                offset,
                bytes: Vec::new(),
                file,
            });
        }
        let mut full = None;
        if let Some(buffer) = &mut state.buffer {
            buffer.bytes.extend_from_slice(header);
            buffer.bytes.extend_from_slice(payload);
            if buffer.bytes.len() >= GATHER {
                full = state.close_buffer();
            }
        }
        drop(state);
        if let Some(region) = full {
            // If this fails, the records stay in memory, and the next append or sync says so.
            let _ = self.write_region(&region);
        }
        Ok(Place {
            pack,
            offset: offset + HEADER as u64,
            len: payload.len() as u32,
        })
    }

    fn append_large(&self, header: &[u8; HEADER], payload: &[u8]) -> Result<Place, PackError> {
        let mut state = self.state.lock();
        let total = header.len() + payload.len();
        let (pack, offset) = self.reserve(&mut state, total)?;
        let (end, payload_at) = (offset + total as u64, offset + HEADER as u64);
        // What was gathered so far ends where this record begins.
        let gathered = state.close_buffer();
        let file = state.file(pack).ok_or(PackError::Unknown { pack })?;
        drop(state);
        if let Some(region) = gathered {
            let _ = self.write_region(&region);
        }
        let written = file
            .write_at(offset, header)
            .and_then(|()| file.write_at(payload_at, payload));
        let mut state = self.state.lock();
        if let Err(source) = written {
            state.give_back(pack, offset, end);
            return Err(PackError::Io {
                pack,
                action: "write to",
                source,
            });
        }
        if !state.wrote(pack, offset, end) {
            return Err(PackError::Doubtful { pack });
        }
        Ok(Place {
            pack,
            offset: payload_at,
            len: payload.len() as u32,
        })
    }

    /// Room for `total` bytes: the pack, which then is open, and where.
    fn reserve(&self, state: &mut State, total: usize) -> Result<(u32, u64), PackError> {
        self.cut_tails(state);
        let total = total as u64;
        if let Some(number) = state.current {
            let pack = state
                .packs
                .get_mut(&number)
                .ok_or(PackError::Unknown { pack: number })?;
            let offset = pack.end;
            if offset == 0 || offset + total <= self.limit {
                pack.end += total;
                return Ok((number, offset));
            }
            state.leave(number);
        }
        let number = self.create(state)?;
        let pack = state
            .packs
            .get_mut(&number)
            .ok_or(PackError::Unknown { pack: number })?;
        pack.end = total;
        Ok((number, 0))
    }

    /// Before the first append: cuts off what no transaction names, and opens the pack to
    /// append to. Where that fails, the pack is left as it is and a new one begun.
    fn cut_tails(&self, state: &mut State) {
        let tails = std::mem::take(&mut state.tails);
        for &number in &tails {
            let Some(pack) = state.packs.get(&number) else {
                continue;
            };
            let len = pack.committed;
            let cut = self
                .disk
                .open(&pack_name(number))
                .and_then(|file| file.set_len(len));
            if cut.is_err() {
                state.leave(number);
            }
        }
        if let Some(number) = state.current
            && state.file(number).is_none()
        {
            match self.disk.open(&pack_name(number)) {
                Ok(file) => state.keep_open(number, file),
                Err(_) => state.leave(number),
            }
        }
    }

    fn create(&self, state: &mut State) -> Result<u32, PackError> {
        loop {
            let number = state.next.ok_or(PackError::NoNumber)?;
            match self.disk.create(&pack_name(number)) {
                Ok(file) => {
                    state.next = number.checked_add(1);
                    let mut pack = Pack::found(Condition::Whole, 0, 0);
                    pack.nameless = true;
                    state.packs.insert(number, pack);
                    state.current = Some(number);
                    state.keep_open(number, file);
                    return Ok(number);
                }
                // A file that came to be there since opening is not ours to touch.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => state.next = number.checked_add(1),
                Err(source) => {
                    return Err(PackError::Io {
                        pack: number,
                        action: "create",
                        source,
                    });
                }
            }
        }
    }

    /// Writes gathered records. Two threads may do it at once: the bytes are the same.
    fn write_region(&self, region: &Arc<Region>) -> Result<(), PackError> {
        let written = region.file.write_at(region.offset, &region.bytes);
        self.state.lock().wrote_region(region, written.is_ok());
        written.map_err(|source| PackError::Io {
            pack: region.pack,
            action: "write to",
            source,
        })
    }

    /// Hands all that was gathered to the system.
    pub(super) fn flush(&self) -> Result<(), PackError> {
        let regions: Vec<_> = {
            let mut state = self.state.lock();
            state.close_buffer();
            state
                .unwritten
                .iter()
                .map(|unwritten| unwritten.region.clone())
                .collect()
        };
        regions.iter().try_for_each(|region| self.write_region(region))
    }

    /// Makes durable every record whose append returned before this call. Gives the packs
    /// whose durable length, in bytes, is not [committed](Packs::committed) yet: the
    /// transaction that names the records must list these lengths. If nothing was
    /// appended, the system is not asked for anything.
    ///
    /// # Errors
    /// [`PackError::Doubtful`] while records from before a failed sync are neither removed
    /// nor [abandoned](Packs::abandon); or the system refuses. Then nothing may be
    /// committed that names a record appended since the last good sync.
    pub fn sync(&self) -> Result<Vec<(u32, u64)>, PackError> {
        let _one = self.syncing.lock();
        let doubtful = |state: &State| {
            let mut packs = state.packs.iter();
            packs
                .find(|(_, p)| matches!(p.condition, Condition::Doubtful { .. }))
                .map(|(number, _)| *number)
        };
        if let Some(pack) = doubtful(&self.state.lock()) {
            return Err(PackError::Doubtful { pack });
        }
        self.flush()?;
        self.sync_files()?;
        let state = self.state.lock();
        let ours = |pack: &Pack| matches!(pack.condition, Condition::Whole | Condition::Abandoned);
        let grown = state
            .packs
            .iter()
            .filter(|(_, pack)| ours(pack) && pack.durable > pack.committed);
        Ok(grown.map(|(number, pack)| (*number, pack.durable)).collect())
    }

    /// fdatasync of each pack written to, then of the directory if a pack is new.
    fn sync_files(&self) -> Result<(), PackError> {
        let mut dirty = Vec::new();
        for (number, pack) in &mut self.state.lock().packs {
            if pack.condition == Condition::Whole
                && let Some(from) = pack.dirty_from.take()
            {
                dirty.push(Dirty {
                    number: *number,
                    from,
                    written: pack.written,
                    nameless: pack.nameless,
                });
            }
        }
        let mut first_error = None;
        for Dirty { number, from, .. } in &dirty {
            if let Err(error) = self.sync_file(*number) {
                let mut state = self.state.lock();
                // One that was removed meanwhile needs no saving.
                if state.packs.contains_key(number) {
                    state.doubt(*number, *from);
                    first_error.get_or_insert(error);
                }
            }
        }
        if dirty.iter().any(|dirty| dirty.nameless)
            && let Err(source) = self.disk.sync_dir()
        {
            let mut state = self.state.lock();
            for Dirty { number, from, .. } in dirty.iter().filter(|dirty| dirty.nameless) {
                state.doubt(*number, *from);
            }
            first_error.get_or_insert(PackError::Folder {
                action: "save",
                source,
            });
        }
        let mut state = self.state.lock();
        for Dirty { number, written, .. } in dirty {
            if let Some(pack) = state.packs.get_mut(&number)
                && pack.condition == Condition::Whole
            {
                pack.durable = pack.durable.max(written);
                pack.nameless = false;
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn sync_file(&self, pack: u32) -> Result<(), PackError> {
        let saved = self.file(pack)?.sync_data();
        saved.map_err(|source| PackError::Io {
            pack,
            action: "save",
            source,
        })
    }

    /// Notes that a transaction lists these lengths durably: [`Packs::sync`] repeats
    /// lengths until then, so that a transaction that failed loses none.
    pub fn committed(&self, lengths: &[(u32, u64)]) {
        let mut state = self.state.lock();
        for (number, len) in lengths {
            if let Some(pack) = state.packs.get_mut(number) {
                pack.committed = pack.committed.max(*len);
            }
        }
    }

    /// The parts of packs, as (pack, first byte, end), that a failed sync may have lost.
    /// They can still be read here, without any promise: who has the records elsewhere
    /// should append them again, and then abandon the pack.
    pub fn doubtful(&self) -> Vec<(u32, u64, u64)> {
        let part = |(number, pack): (&u32, &Pack)| match pack.condition {
            Condition::Doubtful { from } => Some((*number, from, pack.end)),
            _ => None,
        };
        self.state.lock().packs.iter().filter_map(part).collect()
    }

    /// Declares that no later transaction will name a place in the doubtful part of this
    /// pack, so that [`Packs::sync`] works again. What was committed of it stays.
    pub fn abandon(&self, number: u32) {
        let mut state = self.state.lock();
        if let Some(pack) = state.packs.get_mut(&number)
            && matches!(pack.condition, Condition::Doubtful { .. })
        {
            pack.condition = Condition::Abandoned;
            pack.dirty_from = None;
            state.drop_regions(number);
        }
    }
}
