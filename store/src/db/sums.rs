//! The hash over the set of all rows: a sum a table, of keyed hashes, so that a change of a row
//! costs two hashes and the order of changes does not matter.

use super::table::Table;

/// One sum a table: the keyed hashes of its rows, added up lane by lane, and their count.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Sum {
    lanes: [u64; 4],
    count: u64,
}

impl Sum {
    pub(super) fn add(&mut self, hash: [u64; 4]) {
        for (lane, h) in self.lanes.iter_mut().zip(hash) {
            *lane = lane.wrapping_add(h);
        }
        self.count = self.count.wrapping_add(1);
    }
    pub(super) fn sub(&mut self, hash: [u64; 4]) {
        for (lane, h) in self.lanes.iter_mut().zip(hash) {
            *lane = lane.wrapping_sub(h);
        }
        self.count = self.count.wrapping_sub(1);
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums(pub(super) [Sum; Table::ALL.len()]);

const SUMS_LEN: usize = Table::ALL.len() * 40 + 32;

impl Sums {
    pub(super) fn encode(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut out = Vec::with_capacity(SUMS_LEN);
        for sum in &self.0 {
            for lane in sum.lanes {
                out.extend_from_slice(&lane.to_le_bytes());
            }
            out.extend_from_slice(&sum.count.to_le_bytes());
        }
        let tag = blake3::keyed_hash(key, &out);
        out.extend_from_slice(tag.as_bytes());
        out
    }
    pub(super) fn decode(key: &[u8; 32], bytes: &[u8]) -> Option<Sums> {
        let bytes: &[u8; SUMS_LEN] = bytes.try_into().ok()?;
        let (body, tag) = bytes.split_at(SUMS_LEN - 32);
        if blake3::keyed_hash(key, body) != blake3::Hash::from_slice(tag).ok()? {
            return None;
        }
        let mut sums = Sums::default();
        for (sum, raw) in sums.0.iter_mut().zip(body.chunks_exact(40)) {
            let word = |i: usize| {
                u64::from_le_bytes(raw[i * 8..i * 8 + 8].try_into().expect("eight bytes of forty"))
            };
            *sum = Sum {
                lanes: [word(0), word(1), word(2), word(3)],
                count: word(4),
            };
        }
        Some(sums)
    }
}

pub(super) fn row_hash(key: &[u8; 32], table: Table, row: &[u8], value: &[u8]) -> [u64; 4] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[table as u8]);
    hasher.update(&(row.len() as u64).to_le_bytes());
    hasher.update(row);
    hasher.update(value);
    let hash = *hasher.finalize().as_bytes();
    let word = |i: usize| u64::from_le_bytes(hash[i * 8..i * 8 + 8].try_into().expect("eight of 32 bytes"));
    [word(0), word(1), word(2), word(3)]
}
