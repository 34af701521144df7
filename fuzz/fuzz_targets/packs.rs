//! Any bytes as a pack, behind what a database says of it: its committed length, and where
//! a payload lies. Each byte is in one item of a scan, records are where the scan says, and
//! any place may be asked for.
#![no_main]

use std::sync::Arc;

use coffer_fuzz::fuzz_target;
use coffer_store::chunk::pack::{HEADER, Header, Packs, Place, ScanItem, pack_name};
use coffer_store::io::Disk;
use coffer_store::io::sim::SimDisk;

/// Lengths and offsets that come before the pack, in bytes.
const SAID: usize = 8 + 4 + 8 + 4;

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut le = [0; 8];
    le[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(le)
}

/// Puts right the check of whatever begins like a record: noise alone never has one.
fn repair(pack: &mut [u8]) {
    for at in 0..pack.len().saturating_sub(HEADER - 1) {
        let bytes = &mut pack[at..at + HEADER];
        if bytes[..4] == [0xc0, 0xff, 0xe5, 0] {
            let header = Header {
                kind: bytes[4],
                len: number::<4>(bytes, 5) as u32,
                id: std::array::from_fn(|i| bytes[9 + i]),
            };
            bytes.copy_from_slice(&header.encode());
        }
    }
}

/// A length or offset: mostly near the pack's.
fn near(n: u64, len: u64) -> u64 {
    if n >> 62 == 3 { n } else { n % (len + 2) }
}

fuzz_target!(|input: &[u8]| {
    let Some((said, pack)) = input.split_at_checked(SAID) else {
        return;
    };
    let mut pack = pack.to_vec();
    if said[11] & 1 == 0 {
        repair(&mut pack);
    }
    let len = pack.len() as u64;
    let disk = SimDisk::new();
    let file = disk.create(&pack_name(1)).expect("a new disk takes a file");
    file.write_at(0, &pack).expect("a new disk takes bytes");
    let committed = near(number::<8>(said, 0), len);
    let packs = Packs::open(Arc::new(disk), &[(1, committed)]).expect("a new disk lists its files");

    let (mut at, mut gap) = (0, false);
    packs
        .scan(1, &mut |item| match item {
            ScanItem::Record { kind, id, place } => {
                assert_eq!((place.pack, place.offset), (1, at + HEADER as u64));
                let header = Header {
                    kind,
                    len: place.len,
                    id,
                };
                assert_eq!(Header::decode(&pack[at as usize..]), Some(header));
                if place.offset + u64::from(place.len) <= committed {
                    assert_eq!(packs.header(place).ok(), Some(header));
                }
                (at, gap) = (place.offset + u64::from(place.len), false);
            }
            ScanItem::Gap { offset, len } => {
                assert!(offset == at && len > 0 && !gap, "gaps are whole");
                (at, gap) = (offset + len, true);
            }
        })
        .expect("a pack that is there is walked");
    assert_eq!(at, len, "every byte is in an item");

    let place = Place {
        pack: number::<4>(said, 8) as u32 % 3,
        offset: near(number::<8>(said, 12), len),
        len: number::<4>(said, 20) as u32,
    };
    let _ = packs.header(place);
    let mut out = vec![0; (place.len as usize).min(pack.len() + 1)];
    if packs.read(place, 0, &mut out).is_ok() && place.pack == 1 && committed <= len {
        let from = place.offset as usize;
        assert!(
            pack[from..from + out.len()] == out[..],
            "other bytes than the pack's"
        );
    }
    let _ = packs.bytes();
    // What is there is never overwritten, wherever the next record goes.
    if let Ok(place) = packs.append(1, &[7; 32], b"payload") {
        assert!(place.pack != 1 || place.offset >= committed + HEADER as u64);
    }
});
