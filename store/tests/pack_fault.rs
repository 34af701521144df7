//! Guards against a disk that is full or fails: at whatever call, no record that was
//! acknowledged is lost, nothing panics, and work goes on once the fault is gone.

mod pack_support;

use std::collections::BTreeMap;

use coffer_store::chunk::pack::{Condition, PackError, Packs, Place, pack_name};
use coffer_store::io::Disk;
use coffer_store::io::sim::{Fault, SimDisk};
use pack_support::{Database, append, id, payload, read};

/// What a careful caller does when a sync fails: appends again what is in doubt, and
/// abandons the rest.
fn repair(packs: &Packs, places: &mut BTreeMap<u64, Place>) -> Result<(), PackError> {
    for (pack, from, end) in packs.doubtful() {
        for (&n, place) in places.iter_mut() {
            assert!(place.pack != pack || place.offset + u64::from(place.len) <= end);
            if place.pack == pack && place.offset + u64::from(place.len) > from {
                *place = packs.append(1, &id(n), &payload(n))?;
            }
        }
        packs.abandon(pack);
    }
    Ok(())
}

/// A workload that meets a fault somewhere: records are appended, read, synced, and
/// committed when the sync succeeds. Gives the number of errors.
fn work(
    packs: &Packs,
    db: &mut Database,
    places: &mut BTreeMap<u64, Place>,
    ns: std::ops::Range<u64>,
) -> usize {
    let mut errors = 0;
    for n in ns {
        match packs.append(1, &id(n), &payload(n)) {
            Ok(place) => {
                places.insert(n, place);
            }
            Err(error) => {
                assert!(
                    error.io_error().is_some() || matches!(error, PackError::Doubtful { .. }),
                    "{error}"
                );
                errors += 1;
            }
        }
        for (&n, &place) in places.iter().rev().take(20) {
            assert_eq!(read(packs, place), payload(n), "acknowledged, so readable");
        }
        if n % 5 == 4 {
            match packs.sync() {
                Ok(lengths) => db.commit(packs, lengths, places),
                Err(error) => {
                    assert!(
                        error.io_error().is_some() || matches!(error, PackError::Doubtful { .. }),
                        "{error}"
                    );
                    errors += 1;
                    errors += usize::from(repair(packs, places).is_err());
                }
            }
        }
    }
    errors
}

fn at_every_call(fault: Fault, sticky: bool) {
    let whole = SimDisk::new();
    let mut db = Database::default();
    let packs = db.open(&whole);
    assert_eq!(work(&packs, &mut db, &mut BTreeMap::new(), 0..90), 0);
    let calls = whole.ops();
    assert!(calls > 80, "{calls} calls");
    for k in 1..=calls {
        let disk = SimDisk::new();
        let mut db = Database::default();
        let mut places = BTreeMap::new();
        let packs = db.open(&disk);
        disk.fail_at(k, fault, sticky);
        let errors = work(&packs, &mut db, &mut places, 0..90);
        // Losing power in the middle of the trouble keeps what was committed.
        let found = disk.crash(k);
        db.verify(&db.open(&found));
        // The fault over, work goes on in the same process.
        disk.heal();
        repair(&packs, &mut places).unwrap();
        assert_eq!(
            work(&packs, &mut db, &mut places, 100..115),
            0,
            "usable after call {k} failed"
        );
        let lengths = packs.sync().unwrap();
        db.commit(&packs, lengths, &places);
        assert!(
            errors > 0 || !sticky || k == calls,
            "call {k} failed and nobody said so"
        );
        assert!(
            places.len() >= if sticky { 15 } else { 104 },
            "{} records",
            places.len()
        );
        let lost = disk.crash_all_lost();
        db.verify(&db.open(&lost));
        assert_eq!(db.places.len(), places.len());
    }
}

#[test]
fn disk_full_once() {
    at_every_call(Fault::NoSpace, false);
}

#[test]
fn disk_full_for_long() {
    at_every_call(Fault::NoSpace, true);
}

#[test]
fn io_error_once() {
    at_every_call(Fault::Io, false);
}

#[test]
fn io_error_for_long() {
    at_every_call(Fault::Io, true);
}

/// A disk that runs full says so at once for each record, keeps what it took, and takes
/// more when there is space.
#[test]
fn space_runs_out_and_comes_back() {
    for free in [0, 10, 50, 3_000, 100_000, 1_500_000] {
        let disk = SimDisk::new();
        let mut db = Database::default();
        let packs = db.open(&disk);
        disk.set_free(Some(free));
        let mut places = BTreeMap::new();
        let mut refused = 0;
        for n in 0..600 {
            match packs.append(1, &id(n), &payload(n)) {
                Ok(place) => {
                    places.insert(n, place);
                }
                Err(error) => {
                    assert!(error.is_no_space(), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 50, "with {free} free, {refused} refused");
        assert!(packs.sync().unwrap_err().is_no_space());
        for (&n, &place) in &places {
            assert_eq!(read(&packs, place), payload(n));
        }
        disk.set_free(None);
        places.insert(1000, append(&packs, 1000));
        let lengths = packs.sync().unwrap();
        db.commit(&packs, lengths, &places);
        let lost = disk.crash_all_lost();
        db.verify(&db.open(&lost));
    }
}

/// A failed fdatasync is never forgotten: sync fails until the pack is abandoned, however
/// often it is asked, though the system would say yes the second time.
#[test]
fn a_failed_sync_is_remembered() {
    let disk = SimDisk::new();
    let mut db = Database::default();
    let packs = db.open(&disk);
    let kept = append(&packs, 1);
    let lengths = packs.sync().unwrap(); // durable, and not committed yet
    let lost = append(&packs, 2);
    disk.fail_at(disk.ops() + 2, Fault::Io, false); // the write, the sync
    assert!(packs.sync().unwrap_err().io_error().is_some());
    for n in 10..13 {
        assert!(matches!(packs.sync(), Err(PackError::Doubtful { pack: 1 })));
        assert_eq!(append(&packs, n).pack, 2, "a new pack");
    }
    let good = lengths[0].1;
    assert_eq!(packs.list()[0].condition, Condition::Doubtful { from: good });
    assert_eq!(packs.doubtful(), [(1, good, lost.offset + u64::from(lost.len))]);
    packs.abandon(2); // not doubtful: nothing happens
    packs.abandon(1);
    let lengths = packs.sync().unwrap();
    assert_eq!((lengths[0], lengths[1].0, lengths.len()), ((1, good), 2, 2));
    db.commit(&packs, lengths, &BTreeMap::from([(1, kept)]));
    db.verify(&db.open(&disk.crash_all_lost()));
}

/// If the directory cannot be saved, a new pack's records are in doubt like any others.
#[test]
fn a_failed_directory_sync_is_remembered() {
    let disk = SimDisk::new();
    let packs = Database::default().open(&disk);
    append(&packs, 2);
    disk.fail_at(4, Fault::Io, false); // after create, write, sync_data
    assert!(matches!(packs.sync(), Err(PackError::Folder { .. })));
    assert!(matches!(packs.sync(), Err(PackError::Doubtful { pack: 1 })));
    packs.remove(1).unwrap();
    assert_eq!(packs.sync().unwrap(), [], "removing it settles it too");
}

/// A pack that was created, and written to by nobody yet, when the directory could not be
/// saved: its name is lost for good, though saving the directory works again. What goes
/// into a pack after that must not be in that one.
#[test]
fn a_pack_still_empty_when_the_directory_fails_is_not_relied_on() {
    let disk = SimDisk::new();
    let mut db = Database::default();
    let packs = Packs::with_limit(std::sync::Arc::new(disk.clone()), &[], 256 << 10).unwrap();
    let big = vec![7; 200 << 10];
    packs.append(1, &[1; 32], &big).unwrap();
    disk.fail_at(disk.ops() + 2, Fault::NoSpace, true); // after the creation of pack 2
    packs.append(1, &[2; 32], &big).unwrap_err();
    assert_eq!(packs.current(), Some(2));
    packs.sync().unwrap_err();
    disk.heal();
    for (pack, ..) in packs.doubtful() {
        packs.abandon(pack);
    }
    let place = packs.append(1, &[3; 32], &big).unwrap();
    let lengths = packs.sync().unwrap();
    let named: Vec<u32> = lengths.iter().map(|(pack, _)| *pack).collect();
    assert!(named.contains(&place.pack));
    db.commit(&packs, lengths, &BTreeMap::new());
    let found = disk.crash_all_lost().list().unwrap();
    for pack in named {
        assert!(found.contains(&pack_name(pack)), "{found:?}");
    }
}
