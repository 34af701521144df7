//! Guards what happens between threads: writes that are under way while another thread
//! appends, syncs, or finds that a sync failed. The disk holds a call until the test
//! lets it go, so every order is certain.

mod pack_support;

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_store::chunk::pack::{Condition, HEADER, PackError, Packs};
use coffer_store::io::Disk;
use coffer_store::io::sim::SimDisk;
use crossbeam_channel::{Receiver, Sender, bounded};
use pack_support::hooked::{Call, Hooked};
use pack_support::{Database, append, id, payload, read};

/// The length of the payload whose writing is held.
const HELD: usize = 70_001;

/// The test's side of a disk that holds calls: what arrived, and how it shall end.
struct Gate {
    arrived: Receiver<()>,
    outcome: Sender<Result<()>>,
}

/// A disk that holds each write of [`HELD`] bytes, or each sync of a file.
fn gated(syncs: bool) -> (SimDisk, Packs, Gate) {
    let disk = SimDisk::new();
    let (arrive, arrived) = bounded(0);
    let (outcome, outcomes): (_, Receiver<Result<()>>) = bounded(0);
    let hooked = Hooked::new(disk.clone(), move |call| match call {
        Call::Write(data) if !syncs && data.len() == HELD => {
            let _ = arrive.send(());
            // A test that failed holds nothing up.
            outcomes.recv().unwrap_or(Ok(()))
        }
        Call::Sync if syncs => {
            let _ = arrive.send(());
            // A test that failed holds nothing up.
            outcomes.recv().unwrap_or(Ok(()))
        }
        _ => Ok(()),
    });
    let packs = Packs::open(Arc::new(hooked), &[]).unwrap();
    (disk, packs, Gate { arrived, outcome })
}

fn eio() -> Error {
    Error::from_raw_os_error(libc::EIO)
}

/// A sync beside a write that is under way covers what had returned, and gives a length
/// that the file has; the next one covers the late write.
#[test]
fn sync_beside_a_write() {
    let (disk, packs, gate) = gated(false);
    let mut db = Database::default();
    let first = append(&packs, 1);
    std::thread::scope(|scope| {
        let gate = gate;
        let late = scope.spawn(|| packs.append(1, &id(2), &[2; HELD]).unwrap());
        gate.arrived.recv().unwrap();
        let lengths = packs.sync().unwrap();
        assert_eq!(
            lengths,
            [(1, first.offset + u64::from(first.len))],
            "not beyond what is written"
        );
        db.commit(&packs, lengths, &BTreeMap::from([(1, first)]));
        let found = disk.crash_all_lost();
        let reopened = db.open(&found);
        assert_eq!(reopened.list()[0].condition, Condition::Whole);
        db.verify(&reopened);

        let behind = append(&packs, 3);
        let lengths = packs.sync().unwrap();
        db.commit(&packs, lengths, &BTreeMap::from([(1, first), (3, behind)]));
        db.verify(&db.open(&disk.crash_all_lost()));

        gate.outcome.send(Ok(())).unwrap();
        let late = late.join().unwrap();
        assert!(late.offset < behind.offset);
        assert_eq!(packs.sync().unwrap(), [], "no pack is longer");
        let found = disk.crash_all_lost();
        assert_eq!(
            read(&db.open(&found), late),
            [2; HELD],
            "and yet this is durable now"
        );
    });
}

/// A write that fails after others were placed behind it leaves a hole; nothing is put
/// over its neighbours.
#[test]
fn a_failed_write_leaves_a_hole() {
    let (disk, packs, gate) = gated(false);
    let mut places = BTreeMap::from([(1, append(&packs, 1))]);
    std::thread::scope(|scope| {
        let gate = gate;
        let failing = scope.spawn(|| packs.append(1, &id(2), &[2; HELD]));
        gate.arrived.recv().unwrap();
        places.insert(3, append(&packs, 3));
        gate.outcome.send(Err(eio())).unwrap();
        assert!(failing.join().unwrap().unwrap_err().io_error().is_some());
    });
    assert!(places[&3].offset > places[&1].offset + HELD as u64);
    for n in 4..60 {
        places.insert(n, append(&packs, n));
    }
    let mut db = Database::default();
    let lengths = packs.sync().unwrap();
    db.commit(&packs, lengths, &places);
    db.verify(&db.open(&disk.crash_all_lost()));
}

/// A write that was under way to a pack when its sync failed is not acknowledged; small
/// records gathered meanwhile are in doubt, and readable until abandoned.
#[test]
fn a_write_beside_a_failing_sync() {
    let (disk, packs, gate) = gated(false);
    append(&packs, 1);
    disk.fail_at(4, coffer_store::io::sim::Fault::Io, false); // create, write, header, sync
    std::thread::scope(|scope| {
        let gate = gate;
        let late = scope.spawn(|| packs.append(1, &id(2), &[2; HELD]));
        gate.arrived.recv().unwrap();
        let error = packs.sync().unwrap_err();
        assert!(error.io_error().is_some(), "{error}");
        gate.outcome.send(Ok(())).unwrap();
        assert!(matches!(
            late.join().unwrap(),
            Err(PackError::Doubtful { pack: 1 })
        ));
    });

    let (disk, packs, gate) = gated(true);
    append(&packs, 1);
    std::thread::scope(|scope| {
        let gate = gate;
        let sync = scope.spawn(|| packs.sync());
        gate.arrived.recv().unwrap();
        let small = append(&packs, 5);
        assert!(payload(5).len() < 64 << 10);
        gate.outcome.send(Err(eio())).unwrap();
        assert!(sync.join().unwrap().is_err());
        let (pack, from, end) = packs.doubtful()[0];
        assert!(pack == 1 && from == 0 && end == small.offset + u64::from(small.len));
        assert_eq!(read(&packs, small), payload(5));
        assert!(matches!(packs.sync(), Err(PackError::Doubtful { .. })));
        packs.abandon(1);
        let ops = disk.ops();
        assert_eq!(packs.sync().unwrap(), []);
        assert_eq!(disk.ops(), ops, "what was gathered is abandoned too");
    });
}

/// A sync that finds nothing left to do, because another has begun it, still does not
/// return before that one is done.
#[test]
fn a_second_sync_waits_for_the_first() {
    let (_, packs, gate) = gated(true);
    append(&packs, 1);
    let released = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let gate = gate;
        let first = scope.spawn(|| packs.sync().unwrap());
        gate.arrived.recv().unwrap();
        let second = scope.spawn(|| {
            let lengths = packs.sync().unwrap();
            (lengths, released.load(Ordering::SeqCst))
        });
        // Time for a wrong one to return; a right one cannot, however long this takes.
        for _ in 0..1_000 {
            std::thread::yield_now();
        }
        released.store(true, Ordering::SeqCst);
        gate.outcome.send(Ok(())).unwrap();
        let (lengths, after) = second.join().unwrap();
        assert!(after, "returned while the first was under way");
        assert_eq!(lengths, first.join().unwrap());
    });
}

/// However many packs there are, a bounded number of files is open, and records are
/// still read and saved.
#[test]
fn open_files_are_bounded() {
    let disk = SimDisk::new();
    let hooked = Hooked::new(disk.clone(), |_| Ok(()));
    let open_files = hooked.open_files.clone();
    let packs = Packs::with_limit(Arc::new(hooked), &[], 1).unwrap();
    let mut places = BTreeMap::new();
    for n in 0..400 {
        places.insert(n, append(&packs, n));
        if n % 50 == 49 {
            packs.sync().unwrap();
        }
    }
    let mut db = Database::default();
    let lengths = packs.sync().unwrap();
    db.commit(&packs, lengths, &places);
    assert_eq!(db.lengths.len(), 400);
    for _ in 0..2 {
        db.verify(&packs);
        assert!(open_files.load(Ordering::SeqCst) <= 129, "{open_files:?}");
    }
    db.verify(&db.open(&disk.crash_all_lost()));
}

/// A file that came to be there while the vault was open is left alone.
#[test]
fn a_foreign_pack_is_left_alone() {
    let disk = SimDisk::new();
    let packs = Packs::open(Arc::new(disk.clone()), &[]).unwrap();
    let foreign = disk.create("pack-00000001").unwrap();
    foreign.write_at(0, b"mine").unwrap();
    let place = append(&packs, 1);
    assert_eq!((place.pack, place.offset), (2, HEADER as u64));
    packs.sync().unwrap();
    assert_eq!(foreign.len().unwrap(), 4);
}
