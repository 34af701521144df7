//! What the tests of packs share: records that can be told apart, and the part of a
//! database that packs rely on.

#![allow(unreachable_pub, dead_code)] // a module of each test program; each uses a part

pub mod hooked;

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_store::chunk::pack::{Packs, Place};
use coffer_store::io::sim::{SimDisk, SplitMix64};

/// Small packs, so that a test fills several.
pub const LIMIT: u64 = 1 << 20;

/// The id of record `n`.
pub fn id(n: u64) -> [u8; 32] {
    *blake3::hash(&n.to_le_bytes()).as_bytes()
}

/// The payload of record `n`: mostly small, some of 64 KiB and more, some empty.
pub fn payload(n: u64) -> Vec<u8> {
    let mut rng = SplitMix64(n);
    let len = match rng.below(8) {
        0 | 1 => (64 << 10) + rng.below(100_000),
        2 => rng.below(3),
        _ => rng.below(9_000),
    };
    rng.bytes(len as usize)
}

/// Appends record `n`.
pub fn append(packs: &Packs, n: u64) -> Place {
    packs.append(1, &id(n), &payload(n)).unwrap()
}

/// The whole payload at a place.
pub fn read(packs: &Packs, place: Place) -> Vec<u8> {
    let mut out = vec![0xee; place.len as usize];
    packs.read(place, 0, &mut out).unwrap();
    out
}

/// What a transaction would hold: lengths, and the places of records.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pub lengths: BTreeMap<u32, u64>,
    pub places: BTreeMap<u64, Place>,
}

impl Database {
    /// Opens packs as the database lists them.
    pub fn open(&self, disk: &SimDisk) -> Packs {
        let lengths: Vec<_> = self.lengths.iter().map(|(pack, len)| (*pack, *len)).collect();
        Packs::with_limit(Arc::new(disk.clone()), &lengths, LIMIT).unwrap()
    }

    /// A transaction after a sync.
    pub fn commit(&mut self, packs: &Packs, lengths: Vec<(u32, u64)>, places: &BTreeMap<u64, Place>) {
        packs.committed(&lengths);
        self.lengths.extend(lengths);
        self.places = places.clone();
    }

    /// Every record reads back, header and payload.
    pub fn verify(&self, packs: &Packs) {
        for (&n, &place) in &self.places {
            assert_eq!(read(packs, place), payload(n), "record {n} at {place:?}");
            assert_eq!(packs.header(place).unwrap().id, id(n));
        }
    }
}
