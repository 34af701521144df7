//! Appending.
//!
//! Guarantees: a reservation is made under a short lock, the bytes are written outside
//! it, so that several threads write at once; gathered records stay in memory until they
//! are written, and no more are taken while that fails. Never writes where anything else
//! was reserved.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::record::{HEADER, Header};
use super::state::{Pack, Region, State};
use super::{Condition, MAX_PAYLOAD, PackError, Packs, Place, pack_name};

/// Payloads below this are gathered, in bytes.
const SMALL: usize = 64 << 10;
/// What is gathered before it is written, in bytes.
const GATHER: usize = 1 << 20;

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
            if offset == 0 || offset + total <= self.limit.load(Ordering::Relaxed) {
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
}
