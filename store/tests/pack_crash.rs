//! Guards durability: at whatever call the power goes, and whatever of the unsynced
//! bytes is lost, torn or reordered, every record that a transaction named reads back,
//! and the packs can be appended to and crashed again.

mod pack_support;

use std::collections::BTreeMap;

use coffer_store::chunk::pack::{Packs, Place};
use coffer_store::io::sim::{SimDisk, SplitMix64};
use pack_support::{Database, append};

/// Appends at random, syncing and committing now and then; sometimes the transaction
/// fails after the sync. Each commit is told with the disk's number of calls so far.
fn work(disk: &SimDisk, db: &mut Database, seed: u64, rounds: u64, mut told: impl FnMut(u64, &Database)) {
    let mut rng = SplitMix64(seed);
    let packs = db.open(disk);
    let mut places: BTreeMap<u64, Place> = db.places.clone();
    for n in 0..rounds {
        let record = seed.wrapping_mul(1000) + n;
        places.insert(record, append(&packs, record));
        if rng.below(6) == 0 {
            let lengths = packs.sync().unwrap();
            if rng.below(4) > 0 {
                db.commit(&packs, lengths, &places);
                told(disk.ops(), db);
            }
        }
    }
}

/// The same with three threads appending while one of them syncs.
fn work_threaded(disk: &SimDisk, db: &mut Database, seed: u64) {
    let packs: &Packs = &db.open(disk);
    let batch = |t: u64| {
        move || {
            (0..8)
                .map(|n| seed * 1000 + t * 100 + n)
                .map(|n| (n, append(packs, n)))
                .collect()
        }
    };
    let mut places = db.places.clone();
    for round in 0..3 {
        std::thread::scope(|scope| {
            let late: Vec<_> = (0..2).map(|t| scope.spawn(batch(10 * round + t))).collect();
            let mine: Vec<(u64, Place)> = batch(10 * round + 5)();
            places.extend(mine);
            // The others are anywhere; only what has returned is committed.
            let lengths = packs.sync().unwrap();
            db.commit(packs, lengths, &places);
            for thread in late {
                let theirs: Vec<_> = thread.join().unwrap();
                places.extend(theirs);
            }
        });
    }
}

/// The power goes before every call of a workload in turn; for each, several crashes.
/// Each disk found is worked with further, and loses power once more.
#[test]
fn at_every_call() {
    let whole = SimDisk::new();
    work(&whole, &mut Database::default(), 1, 120, |_, _| {});
    let calls = whole.ops();
    assert!(calls > 100, "{calls} calls");
    let mut partly = 0;
    for k in 1..=calls {
        let disk = SimDisk::new();
        disk.freeze_at(k);
        let mut last = Database::default();
        work(&disk, &mut Database::default(), 1, 120, |ops, db| {
            if ops < k {
                last = db.clone();
            }
        });
        partly += usize::from(!last.places.is_empty() && k < calls);
        let random = (0..4).map(|seed| disk.crash(k * 100 + seed));
        for (i, found) in random
            .chain([disk.crash_all_lost(), disk.crash_all_kept()])
            .enumerate()
        {
            last.verify(&last.open(&found));
            let mut db = last.clone();
            work(&found, &mut db, 2 + i as u64, 12, |_, _| {});
            let again = found.crash(k * 1000 + i as u64);
            db.verify(&db.open(&again));
        }
    }
    assert!(partly > 20, "crashes with something to lose: {partly}");
}

/// Ten lives, one after the other, each ended by a crash, with threads.
#[test]
fn life_after_life() {
    for seed in 0..20 {
        let mut disk = SimDisk::new();
        let mut db = Database::default();
        for life in 0..6 {
            if life % 2 == 0 {
                work_threaded(&disk, &mut db, seed * 10 + life + 1);
            } else {
                work(&disk, &mut db, seed * 10 + life + 1, 30, |_, _| {});
            }
            disk = disk.crash(seed * 77 + life);
            db.verify(&db.open(&disk));
        }
        assert!(db.places.len() > 60);
    }
}
