//! Guards salvage: without the database, every record whose header is whole is found,
//! whatever happened to the bytes before it, and nothing is found that is not there.

mod pack_support;

use std::sync::Arc;

use coffer_store::chunk::pack::{HEADER, Header, PackError, Packs, Place, ScanItem, pack_name};
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::io::{Disk, DiskFile};
use pack_support::hooked::{Call, Hooked};
use pack_support::{Database, LIMIT, append, id, payload};

/// One pack of records, their places in order.
fn filled(count: u64) -> (SimDisk, Packs, Vec<Place>) {
    let disk = SimDisk::new();
    let packs = Packs::open(Arc::new(disk.clone()), &[]).unwrap();
    let places = (0..count).map(|n| append(&packs, n)).collect();
    packs.sync().unwrap();
    (disk, packs, places)
}

/// The numbers of the records found, and the gaps; fails unless the items cover the pack
/// from end to end without overlap.
fn scan(packs: &Packs, disk: &SimDisk, pack: u32) -> (Vec<Place>, Vec<(u64, u64)>) {
    let (mut places, mut gaps, mut at) = (vec![], vec![], 0);
    let mut each = |item| match item {
        ScanItem::Record {
            kind,
            id: found,
            place,
        } => {
            assert_eq!(place.offset, at + HEADER as u64);
            assert_eq!(
                packs.header(place).unwrap(),
                Header {
                    kind,
                    len: place.len,
                    id: found
                }
            );
            at = place.offset + u64::from(place.len);
            places.push(place);
        }
        ScanItem::Gap { offset, len } => {
            assert!(offset == at && len > 0);
            at += len;
            gaps.push((offset, len));
        }
    };
    packs.scan(pack, &mut each).unwrap();
    assert_eq!(at, disk.open(&pack_name(pack)).unwrap().len().unwrap());
    (places, gaps)
}

fn flip(file: &dyn DiskFile, at: u64) {
    let mut byte = [0];
    file.read_at(at, &mut byte).unwrap();
    file.write_at(at, &[byte[0] ^ 0x20]).unwrap();
}

/// An undamaged pack gives its records and no gap, those in memory too.
#[test]
fn finds_all() {
    let (disk, packs, mut places) = filled(200);
    places.push(append(&packs, 201));
    assert_eq!(scan(&packs, &disk, 1), (places.clone(), vec![]));
    for (n, place) in places.iter().take(200).enumerate() {
        assert_eq!(packs.header(*place).unwrap().id, id(n as u64));
    }
    assert!(matches!(
        packs.scan(2, &mut |_| {}),
        Err(PackError::Unknown { pack: 2 })
    ));
}

/// A changed byte in a header loses that record only; one in a payload loses none here:
/// the seal tells.
#[test]
fn one_changed_byte() {
    for (victim, in_header) in [(0, true), (57, true), (99, true), (58, false)] {
        for byte in if in_header { 0..HEADER as u64 } else { 45..50 } {
            let (disk, packs, places) = filled(100);
            let start = places[victim].offset - HEADER as u64;
            flip(&*disk.open(&pack_name(1)).unwrap(), start + byte);
            let (found, gaps) = scan(&packs, &disk, 1);
            if in_header {
                let mut want = places.clone();
                let lost = want.remove(victim);
                assert_eq!(found, want, "byte {byte} of record {victim}");
                assert_eq!(gaps, [(start, HEADER as u64 + u64::from(lost.len))]);
            } else {
                assert_eq!((found, gaps), (places, vec![]));
            }
        }
    }
}

/// A torn tail, and zeros where a write failed.
#[test]
fn torn_and_zeroed() {
    let (disk, packs, places) = filled(102);
    let file = disk.open(&pack_name(1)).unwrap();
    let last = *places.last().unwrap();
    assert!(last.len > 100);
    for len in [
        last.offset + u64::from(last.len) - 1,
        last.offset,
        last.offset - 1,
        last.offset - 44,
    ] {
        file.set_len(len).unwrap();
        let (found, gaps) = scan(&packs, &disk, 1);
        assert_eq!(found, places[..101]);
        assert_eq!(gaps, [(last.offset - 45, len - (last.offset - 45))]);
    }
    file.set_len(last.offset - 45).unwrap();
    assert_eq!(scan(&packs, &disk, 1), (places[..101].to_vec(), vec![]));

    let first = (20..).find(|&n| places[n].len > 10).unwrap();
    let (from, to) = (places[first].offset + 10, places[40].offset - 45 + 7);
    file.write_at(from, &vec![0; (to - from) as usize]).unwrap();
    let (found, gaps) = scan(&packs, &disk, 1);
    let want: Vec<_> = places[..=first].iter().chain(&places[41..101]).copied().collect();
    assert_eq!(
        found, want,
        "the record that was zeroed in its payload is there, its seal tells"
    );
    let gap = places[first].offset + u64::from(places[first].len);
    assert_eq!(gaps, [(gap, places[41].offset - 45 - gap)]);
}

/// Damage over more than one window of reading, and a magic across a window's edge.
#[test]
fn far_damage() {
    for shift in 0..60 {
        let disk = SimDisk::new();
        let file = disk.create("pack-00000001").unwrap();
        let start = (3 << 20) - 50 + shift;
        let record = [
            &Header {
                kind: 1,
                len: 8_000,
                id: id(4),
            }
            .encode()[..],
            &[7; 8_000],
        ]
        .concat();
        file.write_at(start, &record).unwrap();
        let packs = Database::default().open(&disk);
        let place = Place {
            pack: 1,
            offset: start + 45,
            len: 8_000,
        };
        assert_eq!(scan(&packs, &disk, 1), (vec![place], vec![(0, start)]));
    }
}

/// Noise, much of it beginning like a record, gives no record; records among it are found.
#[test]
fn noise_is_not_believed() {
    let mut rng = SplitMix64(11);
    for round in 0..30 {
        let disk = SimDisk::new();
        let file = disk.create("pack-00000001").unwrap();
        let mut bytes = vec![];
        let mut want = vec![];
        for n in 0..200 {
            match rng.below(4) {
                0 => bytes.extend(rng.bytes(300)),
                1 => bytes.extend([0xc0, 0xff, 0xe5, 0]),
                2 => {
                    let part = Header {
                        kind: 1,
                        len: 3_000,
                        id: id(n),
                    }
                    .encode();
                    bytes.extend(&part[..rng.below(45) as usize]);
                }
                _ => {
                    let payload = payload(rng.below(100));
                    bytes.extend(
                        Header {
                            kind: 1,
                            len: payload.len() as u32,
                            id: id(n),
                        }
                        .encode(),
                    );
                    want.push(Place {
                        pack: 1,
                        offset: bytes.len() as u64,
                        len: payload.len() as u32,
                    });
                    bytes.extend(payload);
                }
            }
        }
        file.write_at(0, &bytes).unwrap();
        let packs = Database::default().open(&disk);
        assert_eq!(scan(&packs, &disk, 1).0, want, "round {round}");
    }
}

/// A disk that cannot read some blocks: the rest is found around them.
#[test]
fn around_unreadable_blocks() {
    let (disk, _, places) = filled(100);
    let end = places
        .last()
        .map(|place| place.offset + u64::from(place.len))
        .unwrap();
    let bad = (places[30].offset / 4096) * 4096;
    let sick = Hooked::new(disk, move |call| match call {
        Call::Read { offset, len } if offset < bad + 4096 && offset + len > bad => {
            Err(std::io::Error::from_raw_os_error(libc::EIO))
        }
        _ => Ok(()),
    });
    let packs = Packs::with_limit(Arc::new(sick), &[(1, end)], LIMIT).unwrap();
    let (mut found, mut covered) = (vec![], 0);
    let mut each = |item| match item {
        ScanItem::Record { place, .. } => {
            covered += HEADER as u64 + u64::from(place.len);
            found.push(place);
        }
        ScanItem::Gap { len, .. } => covered += len,
    };
    packs.scan(1, &mut each).unwrap();
    assert_eq!(covered, end);
    let hit = |place: &Place| place.offset - 45 < bad + 4096 && place.offset > bad;
    let want: Vec<_> = places.iter().filter(|place| !hit(place)).copied().collect();
    assert!(want.len() < 100 && found == want);
}
