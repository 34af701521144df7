//! One simulated file: its bytes as programs see them, its bytes as the platter holds
//! them, and what lies between.
//!
//! Guarantees: the durable bytes change only by `sync` (all that is pending), by
//! `sync_failed` (some of it, the rest never), and by nothing else. A sector of
//! [`SECTOR`] bytes is written whole or not at all.

use super::SplitMix64;

/// What a disk writes atomically, in bytes.
pub(super) const SECTOR: u64 = 512;

/// A change that is not durable yet.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

/// One file's content, live and durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

impl Image {
    /// A file as it is found on the platter: nothing pending.
    pub(super) fn found(bytes: Vec<u8>) -> Image {
        Image {
            live: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        }
    }

    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn durable(&self) -> &[u8] {
        &self.durable
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        put(&mut self.live, offset, data);
        self.pending.push(Change::Write {
            offset,
            data: data.to_vec(),
        });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.live.resize(len as usize, 0);
        self.pending.push(Change::SetLen(len));
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &change);
        }
    }

    /// A sync that reported an error: some of what was pending reached the platter, the
    /// rest never will, though programs go on seeing it. That is what Linux does: pages
    /// whose write-back failed are marked clean.
    pub(super) fn sync_failed(&mut self, rng: &mut SplitMix64) {
        self.durable = self.torn(rng);
        self.pending.clear();
    }

    /// All pending changes kept.
    pub(super) fn kept(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.pending.iter().for_each(|change| apply(&mut bytes, change));
        bytes
    }

    /// The bytes as a power loss could leave them: any subset of the pending changes, in
    /// any order, any write torn at sectors.
    pub(super) fn torn(&self, rng: &mut SplitMix64) -> Vec<u8> {
        // Some crashes lose nearly all, some nearly nothing: even odds for each write
        // would hardly ever show either end.
        let keep_of_eight = [0, 1, 4, 7, 8][rng.below(5) as usize];
        let mut order: Vec<&Change> = self.pending.iter().collect();
        if rng.below(2) == 0 {
            for i in (1..order.len()).rev() {
                order.swap(i, rng.below(i as u64 + 1) as usize);
            }
        }
        let mut bytes = self.durable.clone();
        for change in order {
            if rng.below(8) >= keep_of_eight {
                continue;
            }
            match change {
                Change::Write { offset, data } if rng.below(3) == 0 => tear(&mut bytes, *offset, data, rng),
                whole => apply(&mut bytes, whole),
            }
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, data } => put(bytes, *offset, data),
        Change::SetLen(len) => bytes.resize(*len as usize, 0),
    }
}

fn put(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + data.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(data);
}

/// Puts some sectors of a write. The length may come without the bytes, as zeros.
fn tear(bytes: &mut Vec<u8>, offset: u64, data: &[u8], rng: &mut SplitMix64) {
    let end = offset + data.len() as u64;
    if rng.below(4) == 0 && (bytes.len() as u64) < end {
        bytes.resize(end as usize, 0);
    }
    let mut at = offset;
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        if rng.below(2) == 0 {
            put(bytes, at, &data[(at - offset) as usize..(next - offset) as usize]);
        }
        at = next;
    }
}
