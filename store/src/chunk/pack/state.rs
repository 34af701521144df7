//! What is known of each pack, and the records not yet handed to the system. No I/O
//! here, so that the lock around it is held shortly.
//!
//! Guarantees: a byte range is reserved for one record only; bytes that `append` took
//! are readable from memory until they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Condition, MAX_OPEN};
use crate::io::DiskFile;

/// One pack. Lengths and offsets in bytes.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) condition: Condition,
    /// What a transaction says of it.
    pub(super) committed: u64,
    /// What a sync made durable.
    pub(super) durable: u64,
    /// The end of the furthest finished write.
    pub(super) written: u64,
    /// The end of the furthest reservation.
    pub(super) end: u64,
    /// The start of the lowest write that no sync has covered yet.
    pub(super) dirty_from: Option<u64>,
    /// From this byte on, a failed sync may have lost what was appended. Stays.
    pub(super) lost_from: Option<u64>,
    /// Its name is not durable yet.
    pub(super) nameless: bool,
    pub(super) file: Option<Arc<dyn DiskFile>>,
    used: u64,
}

impl Pack {
    /// A pack of which `len` bytes are there and durable.
    pub(super) fn found(condition: Condition, committed: u64, len: u64) -> Pack {
        Pack {
            condition,
            committed,
            durable: len,
            written: len,
            end: len,
            dirty_from: None,
            lost_from: None,
            nameless: false,
            file: None,
            used: 0,
        }
    }
}

/// Small records on their way to a pack, one behind the other.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) pack: u32,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) file: Arc<dyn DiskFile>,
}

impl Region {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    fn get(&self, pack: u32, at: u64, len: usize) -> Option<&[u8]> {
        if self.pack != pack {
            return None;
        }
        let start = usize::try_from(at.checked_sub(self.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }
}

/// A region that is full or was asked for, and not known to be written.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) region: Arc<Region>,
    pub(super) failed: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) packs: BTreeMap<u32, Pack>,
    /// Where appends go.
    pub(super) current: Option<u32>,
    /// The number of the next new pack; `None` when they are used up.
    pub(super) next: Option<u32>,
    /// Packs with bytes behind their committed length, to be cut before the first append.
    pub(super) tails: Vec<u32>,
    /// Small records being gathered, at the end of the current pack.
    pub(super) buffer: Option<Region>,
    pub(super) unwritten: Vec<Unwritten>,
    clock: u64,
}

impl State {
    /// Ends the buffer; its bytes stay readable until written.
    pub(super) fn close_buffer(&mut self) -> Option<Arc<Region>> {
        let region = Arc::new(self.buffer.take()?);
        self.unwritten.push(Unwritten {
            region: region.clone(),
            failed: false,
        });
        Some(region)
    }

    /// Bytes that are still in memory.
    pub(super) fn in_memory(&self, pack: u32, at: u64, len: usize) -> Option<&[u8]> {
        let unwritten = self.unwritten.iter().map(|unwritten| &*unwritten.region);
        unwritten
            .chain(self.buffer.as_ref())
            .find_map(|region| region.get(pack, at, len))
    }

    /// Notes a finished write. False: the pack is no longer one to rely on.
    pub(super) fn wrote(&mut self, number: u32, from: u64, to: u64) -> bool {
        let Some(pack) = self.packs.get_mut(&number) else {
            return false;
        };
        pack.written = pack.written.max(to);
        pack.dirty_from = Some(pack.dirty_from.map_or(from, |dirty| dirty.min(from)));
        pack.condition == Condition::Whole
    }

    /// Notes the outcome of writing a region. It may have been written, or dropped with
    /// its pack, by another thread meanwhile.
    pub(super) fn wrote_region(&mut self, region: &Arc<Region>, written: bool) {
        let same = |unwritten: &Unwritten| Arc::ptr_eq(&unwritten.region, region);
        let Some(i) = self.unwritten.iter().position(same) else {
            return;
        };
        if written {
            self.unwritten.swap_remove(i);
            self.wrote(region.pack, region.offset, region.end());
        } else {
            self.unwritten[i].failed = true;
        }
    }

    /// Gives a reservation back if nothing was reserved behind it; else it stays a hole.
    pub(super) fn give_back(&mut self, number: u32, from: u64, to: u64) {
        if let Some(pack) = self.packs.get_mut(&number)
            && pack.end == to
        {
            pack.end = from;
        }
    }

    /// A sync of this pack failed: nothing appended since the last good one can be relied
    /// on, nor anything that is on its way to it.
    pub(super) fn doubt(&mut self, number: u32, from: u64) {
        self.leave(number);
        let regions = self
            .unwritten
            .iter()
            .filter(|unwritten| unwritten.region.pack == number);
        let from = regions
            .map(|unwritten| unwritten.region.offset)
            .fold(from, u64::min);
        if let Some(pack) = self.packs.get_mut(&number) {
            let from = pack.dirty_from.map_or(from, |dirty| dirty.min(from));
            pack.condition = Condition::Doubtful { from };
            pack.lost_from = Some(pack.lost_from.map_or(from, |lost| lost.min(from)));
        }
    }

    /// The names of new packs may be lost for good, also of those that nothing has been
    /// written to yet: whatever is in them is in doubt.
    pub(super) fn doubt_names(&mut self) {
        let appended = |pack: &Pack| matches!(pack.condition, Condition::Whole | Condition::Doubtful { .. });
        let needed = |pack: &Pack| pack.nameless && appended(pack);
        let nameless = self.packs.iter().filter(|(_, pack)| needed(pack));
        let numbers: Vec<u32> = nameless.map(|(number, _)| *number).collect();
        for number in numbers {
            self.doubt(number, 0);
        }
    }

    /// Appends no more to this pack.
    pub(super) fn leave(&mut self, number: u32) {
        if self.current == Some(number) {
            self.close_buffer();
            self.current = None;
        }
    }

    /// Forgets what has not been written to this pack.
    pub(super) fn drop_regions(&mut self, number: u32) {
        self.leave(number);
        self.unwritten.retain(|unwritten| unwritten.region.pack != number);
    }

    /// A pack's open file, if it is open.
    pub(super) fn file(&mut self, number: u32) -> Option<Arc<dyn DiskFile>> {
        self.clock += 1;
        let pack = self.packs.get_mut(&number)?;
        pack.used = self.clock;
        pack.file.clone()
    }

    /// Keeps a file open, at the cost of the one unused for longest. A file with writes
    /// to sync stays: another descriptor might not be told of their failure.
    pub(super) fn keep_open(&mut self, number: u32, file: Arc<dyn DiskFile>) {
        self.clock += 1;
        if let Some(pack) = self.packs.get_mut(&number) {
            pack.used = self.clock;
            pack.file.get_or_insert(file);
        }
        let open = || self.packs.iter().filter(|(_, pack)| pack.file.is_some());
        if open().count() > MAX_OPEN {
            let idle = open().filter(|(n, pack)| pack.dirty_from.is_none() && self.current != Some(**n));
            let oldest = idle.min_by_key(|(_, pack)| pack.used).map(|(n, _)| *n);
            if let Some(pack) = oldest.and_then(|n| self.packs.get_mut(&n)) {
                pack.file = None;
            }
        }
    }
}
