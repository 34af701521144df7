//! Guards what packs promise while nothing fails: places read back, lengths are told
//! until they are committed, opening destroys nothing, wrong places do no harm.

mod pack_support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_store::chunk::pack::{
    Condition, HEADER, Header, MAX_PAYLOAD, PackError, Packs, Place, pack_name, pack_number,
};
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use pack_support::{Database, LIMIT, append, id, payload, read};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Frozen: the bytes of a record, on which every vault ever written depends.
#[test]
fn frozen_record() {
    let disk = SimDisk::new();
    let packs = Packs::open(Arc::new(disk.clone()), &[]).unwrap();
    let place = packs.append(7, &[0xab; 32], b"sealed").unwrap();
    assert_eq!(
        place,
        Place {
            pack: 1,
            offset: 45,
            len: 6
        }
    );
    packs.append(8, &[0; 32], b"").unwrap();
    assert_eq!(packs.sync().unwrap(), [(1, 96)]);
    let mut bytes = [0; 96];
    disk.open("pack-00000001")
        .unwrap()
        .read_at(0, &mut bytes)
        .unwrap();
    let want = [
        // magic and version, kind, length, id, check, payload
        "c0ffe500",
        "07",
        "06000000",
        "abababababababababababababababababababababababababababababababab",
        "25a2c5d1",
        "7365616c6564",
        "c0ffe500",
        "08",
        "00000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "8e5d6e16",
    ];
    let want = want.concat();
    assert_eq!(hex(&bytes), want);
    let header = Header::decode(&bytes).unwrap();
    assert_eq!(
        header,
        Header {
            kind: 7,
            len: 6,
            id: [0xab; 32]
        }
    );
}

/// A header with any bit changed, or cut short, is none; nor is one that claims too much,
/// or is of another version, with a check to match.
#[test]
fn hostile_headers() {
    let good = Header {
        kind: 1,
        len: 5,
        id: [3; 32],
    }
    .encode();
    for bit in 0..HEADER * 8 {
        let mut bad = good;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&bad), None, "bit {bit}");
    }
    for len in 0..HEADER {
        assert_eq!(Header::decode(&good[..len]), None);
    }
    let largest = Header {
        kind: 1,
        len: MAX_PAYLOAD as u32,
        id: [3; 32],
    };
    assert_eq!(Header::decode(&largest.encode()), Some(largest));
    let huge = Header {
        len: MAX_PAYLOAD as u32 + 1,
        ..largest
    };
    assert_eq!(Header::decode(&huge.encode()), None);
    let mut newer = good;
    newer[3] = 1;
    let check = blake3::hash(&newer[..41]);
    newer[41..].copy_from_slice(&check.as_bytes()[..4]);
    assert_eq!(Header::decode(&newer), None);
}

#[test]
fn names() {
    assert_eq!(pack_name(1), "pack-00000001");
    assert_eq!(pack_name(u32::MAX), "pack-4294967295");
    assert_eq!(pack_number("pack-4294967295"), Some(u32::MAX));
    assert_eq!(pack_number("pack-00000012"), Some(12));
    for name in [
        "pack-1",
        "pack-000000012",
        "pack-4294967296",
        "pack-+0000001",
        "pack-0000001a",
        "vault.redb",
    ] {
        assert_eq!(pack_number(name), None, "{name}");
    }
}

/// Records read back before they are synced, after, and in another process; in parts too.
/// Packs stay within their limit.
#[test]
fn what_is_appended_is_readable() {
    let disk = SimDisk::new();
    let mut db = Database::default();
    let packs = db.open(&disk);
    let mut places = BTreeMap::new();
    for n in 0..400 {
        places.insert(n, append(&packs, n));
        for back in [n, n / 2, n.saturating_sub(7)] {
            assert_eq!(read(&packs, places[&back]), payload(back));
        }
    }
    let mut rng = SplitMix64(1);
    for (&n, &place) in &places {
        let from = rng.below(u64::from(place.len) + 1) as u32;
        let mut part = vec![0; rng.below(u64::from(place.len - from) + 1) as usize];
        packs.read(place, from, &mut part).unwrap();
        assert_eq!(part, payload(n)[from as usize..from as usize + part.len()]);
    }
    let lengths = packs.sync().unwrap();
    db.commit(&packs, lengths, &places);
    db.verify(&packs);
    db.verify(&db.open(&disk));
    db.verify(&db.open(&disk.crash_all_lost()));
    assert!(packs.list().len() > 3);
    assert!(
        packs
            .list()
            .iter()
            .all(|info| info.len <= LIMIT && info.condition == Condition::Whole)
    );
    assert_eq!(packs.bytes(), db.lengths.values().sum::<u64>());
    let one = packs
        .append_batch(&[(1, id(0), payload(0)), (1, id(8), payload(8))])
        .unwrap();
    assert_eq!(
        (read(&packs, one[0]), read(&packs, one[1])),
        (payload(0), payload(8))
    );
}

/// The largest record fits, and has a pack of its own where packs are smaller.
#[test]
fn the_largest_record() {
    let packs = Database::default().open(&SimDisk::new());
    append(&packs, 1);
    let large = vec![5; MAX_PAYLOAD];
    let place = packs.append(1, &id(1), &large).unwrap();
    assert_eq!((place.pack, place.offset), (2, 45));
    assert!(read(&packs, place) == large);
    let error = packs.append(1, &id(1), &vec![5; MAX_PAYLOAD + 1]).unwrap_err();
    assert!(matches!(error, PackError::TooLarge { len } if len == MAX_PAYLOAD + 1));
}

/// A sync with nothing new asks nothing of the system; a length is told again until its
/// transaction has succeeded, even if another sync lay between.
#[test]
fn lengths_are_told_until_committed() {
    let disk = SimDisk::new();
    let packs = Database::default().open(&disk);
    assert_eq!(packs.sync().unwrap(), []);
    assert_eq!(disk.ops(), 0);
    append(&packs, 1);
    let lengths = packs.sync().unwrap();
    assert_eq!(lengths.len(), 1);
    let ops = disk.ops();
    assert_eq!(packs.sync().unwrap(), lengths, "the transaction may have failed");
    packs.committed(&lengths);
    assert_eq!(packs.sync().unwrap(), []);
    assert_eq!(disk.ops(), ops, "no system call");
    append(&packs, 2);
    assert!(packs.sync().unwrap()[0].1 > lengths[0].1);
}

/// Small records go to the system together, not one by one.
#[test]
fn small_records_are_gathered() {
    let disk = SimDisk::new();
    let packs = Packs::open(Arc::new(disk.clone()), &[]).unwrap();
    for n in 0..3_000 {
        packs.append(1, &id(n), &[1; 1000]).unwrap();
    }
    assert!(disk.ops() <= 4, "{} calls", disk.ops());
    packs.sync().unwrap();
    assert!(disk.ops() <= 7, "{} calls", disk.ops());
}

/// Opening writes nothing. The first append cuts what was not committed, once, and no
/// pack that is not listed is touched or its number used again.
#[test]
fn opening_destroys_nothing() {
    let disk = SimDisk::new();
    let mut db = Database::default();
    let packs = db.open(&disk);
    let places: BTreeMap<_, _> = (0..100).map(|n| (n, append(&packs, n))).collect();
    let lengths = packs.sync().unwrap();
    db.commit(&packs, lengths, &places);
    let newest = *db.lengths.last_key_value().unwrap().0;
    assert!(newest >= 2);
    while packs.list().len() < newest as usize + 2 {
        append(&packs, 5);
    }
    packs.sync().unwrap();
    // As if pack 1 had been dropped from the list and its removal lost.
    db.lengths.remove(&1);
    db.places.retain(|_, place| place.pack != 1);
    let before: BTreeMap<_, _> = lens(&disk);
    let ops = disk.ops();

    let packs = db.open(&disk);
    db.verify(&packs);
    assert_eq!(packs.strays(), [1, newest + 1, newest + 2]);
    assert_eq!(packs.sync().unwrap(), []);
    assert_eq!(disk.ops(), ops, "opening and reading write nothing");

    let place = append(&packs, 3);
    assert_eq!(
        (place.pack, place.offset),
        (newest, db.lengths[&newest] + HEADER as u64)
    );
    packs.sync().unwrap();
    let mut after = lens(&disk);
    assert_eq!(
        after.remove(&pack_name(newest)),
        Some(place.offset + u64::from(place.len))
    );
    assert!(
        after.iter().all(|(name, len)| before[name] == *len),
        "others as they were"
    );
    while packs.list().len() < newest as usize + 3 {
        append(&packs, 5);
    }
    assert_eq!(packs.list().last().unwrap().pack, newest + 3);

    let mut found = 0;
    packs.scan(1, &mut |_| found += 1).unwrap();
    assert!(found > 10, "a stray can be scanned");
    packs.remove(1).unwrap();
    packs.remove(1).unwrap();
    assert_eq!(packs.strays(), [newest + 1, newest + 2]);
    assert!(!disk.list().unwrap().contains(&pack_name(1)));
    assert!(matches!(
        packs.scan(1, &mut |_| {}),
        Err(PackError::Unknown { pack: 1 })
    ));
}

fn lens(disk: &SimDisk) -> BTreeMap<String, u64> {
    disk.list()
        .unwrap()
        .into_iter()
        .map(|name| (name.clone(), disk.open(&name).unwrap().len().unwrap()))
        .collect()
}

/// A pack cut short or missing is named, what is left of it is readable, the others are
/// whole, and nothing is appended to it.
#[test]
fn damage_stays_where_it_is() {
    let disk = SimDisk::new();
    let mut db = Database::default();
    let packs = db.open(&disk);
    let places: BTreeMap<_, _> = (0..300).map(|n| (n, append(&packs, n))).collect();
    let lengths = packs.sync().unwrap();
    db.commit(&packs, lengths, &places);
    let newest = *db.lengths.last_key_value().unwrap().0;
    assert!(newest >= 3);
    let first = places.values().find(|place| place.pack == newest).unwrap();
    let keep = first.offset + u64::from(first.len) + 10;
    disk.remove("pack-00000001").unwrap();
    disk.open(&pack_name(newest)).unwrap().set_len(keep).unwrap();

    let packs = db.open(&disk);
    let condition = |pack: u32| packs.list()[pack as usize - 1].condition;
    assert_eq!(condition(1), Condition::Damaged { have: None });
    assert_eq!(condition(2), Condition::Whole);
    assert_eq!(condition(newest), Condition::Damaged { have: Some(keep) });
    let mut kept = 0;
    for (&n, &place) in &places {
        let mut out = vec![0; place.len as usize];
        let lost = place.pack == 1 || place.pack == newest && place.offset + u64::from(place.len) > keep;
        match packs.read(place, 0, &mut out) {
            Ok(()) => {
                assert!(!lost && out == payload(n));
                kept += usize::from(place.pack == newest);
            }
            Err(error) => {
                assert!(lost, "{error}");
                assert!(matches!(error, PackError::Damaged { pack, .. } if pack == place.pack));
                assert!(error.to_string().contains(&pack_name(place.pack)), "{error}");
            }
        }
    }
    assert!(kept > 0);
    assert_eq!(append(&packs, 1).pack, newest + 1);
    packs.sync().unwrap();
    assert_eq!(disk.open(&pack_name(newest)).unwrap().len().unwrap(), keep);
}

/// Places from a damaged database: an error each, never a panic, never other bytes.
#[test]
fn hostile_places() {
    let packs = Database::default().open(&SimDisk::new());
    let good = append(&packs, 3);
    for synced in [false, true] {
        for (pack, offset, len) in [
            (0, 45, 5),
            (9, 45, 5),
            (u32::MAX, u64::MAX, u32::MAX),
            (1, u64::MAX, 1),
            (1, u64::MAX - 3, 9),
            (1, good.offset, good.len + 1),
            (1, good.offset + u64::from(good.len), 1),
        ] {
            let mut out = vec![0; len.min(1 << 20) as usize];
            let place = Place { pack, offset, len };
            assert!(packs.read(place, 0, &mut out).is_err(), "{place:?} {synced}");
            assert!(packs.header(place).is_err(), "{place:?} {synced}");
        }
        assert!(packs.read(good, good.len, &mut [0]).is_err());
        assert!(packs.read(good, u32::MAX, &mut [0; 9]).is_err());
        packs.read(good, good.len, &mut []).unwrap();
        assert!(packs.header(Place { offset: 44, ..good }).is_err());
        let error = packs
            .header(Place {
                len: good.len - 1,
                ..good
            })
            .unwrap_err();
        assert!(matches!(error, PackError::NotARecord { .. }));
        packs.sync().unwrap();
    }
    let hostile = Packs::open(Arc::new(SimDisk::new()), &[(u32::MAX, u64::MAX), (0, 1), (0, 7)]).unwrap();
    assert!(
        hostile
            .read(
                Place {
                    pack: u32::MAX,
                    offset: 5,
                    len: 5
                },
                0,
                &mut [0; 5]
            )
            .is_err()
    );
    assert!(matches!(
        hostile.append(1, &id(1), b"x"),
        Err(PackError::NoNumber)
    ));
}

/// Several threads append, read and sync at once on a real disk; more packs than are held
/// open.
#[test]
fn threads_on_a_real_disk() {
    const THREADS: u64 = 4;
    const EACH: u64 = 150;
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).unwrap());
    let packs = Packs::with_limit(disk.clone(), &[], 40_000).unwrap();
    let done = AtomicBool::new(false);
    let mut places = BTreeMap::new();
    std::thread::scope(|scope| {
        let syncer = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let lengths = packs.sync().unwrap();
                packs.committed(&lengths);
            }
        });
        let writers: Vec<_> = (0..THREADS)
            .map(|t| {
                let packs = &packs;
                scope.spawn(move || {
                    let mut mine: Vec<(u64, Place)> = vec![];
                    for n in t * EACH..(t + 1) * EACH {
                        mine.push((n, append(packs, n)));
                        let (old, place) = mine[mine.len() / 2];
                        assert_eq!(read(packs, place), payload(old));
                    }
                    mine
                })
            })
            .collect();
        for writer in writers {
            places.extend(writer.join().unwrap());
        }
        done.store(true, Ordering::Relaxed);
        syncer.join().unwrap();
    });
    packs.sync().unwrap();
    let lengths: Vec<_> = packs.list().iter().map(|info| (info.pack, info.len)).collect();
    assert!(lengths.len() > 130, "{} packs", lengths.len());
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    for place in places.values() {
        let start = (u64::from(place.pack) << 40) + place.offset - HEADER as u64;
        assert!(
            ends.insert(start, start + HEADER as u64 + u64::from(place.len))
                .is_none()
        );
    }
    assert!(
        ends.values()
            .zip(ends.keys().skip(1))
            .all(|(end, next)| end <= next),
        "places overlap"
    );
    let reopened = Packs::open(disk, &lengths).unwrap();
    for packs in [&packs, &reopened] {
        for (&n, &place) in &places {
            assert_eq!(read(packs, place), payload(n));
        }
    }
}
