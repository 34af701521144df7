//! Guards the simulated disk, on whose honesty every crash test rests: it must keep what
//! was synced, and must be able to lose, tear and reorder everything else.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use coffer_store::io::sim::{Fault, SimDisk, SplitMix64};
use coffer_store::io::{Disk, DiskFile};

fn bytes(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(name).ok()?;
    let mut out = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut out).unwrap();
    Some(out)
}

/// A durable file of `len` bytes of value 1.
fn durable(disk: &SimDisk, name: &str, len: usize) -> Arc<dyn DiskFile> {
    let file = disk.create(name).unwrap();
    file.write_at(0, &vec![1; len]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
    file
}

/// What was synced survives whatever the seed; what was not can be kept, lost, and torn
/// at sectors, and nowhere else.
#[test]
fn a_crash_keeps_the_synced_and_tears_the_rest() {
    let disk = SimDisk::new();
    let file = durable(&disk, "a", 4096);
    file.write_at(1000, &[2; 2000]).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let found = bytes(&disk.crash(seed), "a").unwrap();
        assert_eq!(found.len(), 4096);
        assert!(found[..1000].iter().chain(&found[3000..]).all(|&b| b == 1));
        // 1000..1024, 1024..1536, …, 2560..3000: each all old or all new.
        let cuts = [1000, 1024, 1536, 2048, 2560, 3000];
        let sectors: Vec<u8> = cuts.windows(2).map(|w| found[w[0]]).collect();
        for (w, value) in cuts.windows(2).zip(&sectors) {
            assert!(found[w[0]..w[1]].iter().all(|b| b == value), "a torn sector");
        }
        seen.insert(sectors);
    }
    assert!(seen.contains(&vec![1; 5]) && seen.contains(&vec![2; 5]));
    assert!(seen.len() > 10, "only {} ways to tear", seen.len());
    assert_eq!(bytes(&disk.crash_all_lost(), "a").unwrap(), vec![1; 4096]);
    assert_eq!(bytes(&disk.crash_all_kept(), "a"), bytes(&disk, "a"));
    assert_eq!(
        bytes(&disk.crash(7), "a"),
        bytes(&disk.crash(7), "a"),
        "a seed repeats its crash"
    );
}

/// Two unsynced writes can reach the platter in either order, and a length without its
/// bytes or the bytes without the length.
#[test]
fn a_crash_reorders() {
    let disk = SimDisk::new();
    let file = durable(&disk, "a", 512);
    file.write_at(512, &[2; 512]).unwrap();
    file.write_at(1024, &[3; 512]).unwrap();
    file.set_len(2048).unwrap();
    let seen: BTreeSet<_> = (0..400)
        .map(|seed| bytes(&disk.crash(seed), "a").unwrap())
        .collect();
    let has = |want: &dyn Fn(&[u8]) -> bool| seen.iter().any(|found| want(found));
    assert!(
        has(&|f| f.len() >= 1536 && f[512] == 0 && f[1024] == 3),
        "the second without the first"
    );
    assert!(
        has(&|f| f.len() == 1024 && f[512] == 2),
        "the first without the second"
    );
    assert!(
        has(&|f| f.len() == 2048 && f[512..].iter().all(|&b| b == 0)),
        "the length alone"
    );
    assert!(has(&|f| f.len() == 512), "nothing");
}

/// Names are durable only by `sync_dir`: before, a creation, a removal and a renaming can
/// each be lost, even if the file's bytes were synced.
#[test]
fn names_wait_for_sync_dir() {
    let disk = SimDisk::new();
    durable(&disk, "old", 10);
    disk.create("new").unwrap().sync_data().unwrap();
    disk.rename("old", "moved").unwrap();
    assert_eq!(disk.crash_all_lost().list().unwrap(), ["old"]);
    assert_eq!(disk.crash_all_kept().list().unwrap(), ["moved", "new"]);
    let seen: BTreeSet<_> = (0..100).map(|seed| disk.crash(seed).list().unwrap()).collect();
    assert_eq!(seen.len(), 4, "each change alone, both, none");
    disk.sync_dir().unwrap();
    disk.remove("moved").unwrap();
    assert_eq!(disk.crash_all_lost().list().unwrap(), ["moved", "new"]);
    assert_eq!(bytes(&disk.crash_all_lost(), "moved").unwrap(), [1; 10]);
}

/// `fail_at` fails just that call, or all from there on; a write that fails may leave a
/// part; `heal` ends it.
#[test]
fn faults_come_when_asked() {
    let mut parts = BTreeSet::new();
    for k in 3..40 {
        let disk = SimDisk::new();
        let file = durable(&disk, "a", 8);
        while disk.ops() + 1 < k {
            file.write_at(0, &[1]).unwrap();
        }
        disk.fail_at(disk.ops() + 1, Fault::NoSpace, false);
        let error = file.write_at(0, &[2; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let part = bytes(&disk, "a").unwrap().iter().filter(|&&b| b == 2).count();
        parts.insert(part);
        file.write_at(0, &[3; 8]).unwrap();
    }
    assert!(parts.contains(&0) && parts.len() > 3, "parts {parts:?}");

    let disk = SimDisk::new();
    disk.fail_at(1, Fault::Io, true);
    assert!(disk.create("a").is_err() && disk.sync_dir().is_err());
    disk.heal();
    disk.create("a").unwrap();
    assert_eq!(disk.ops(), 3, "failed calls are counted");
}

/// After a failed fdatasync, a later one that succeeds has not saved what the first lost.
#[test]
fn a_failed_sync_loses_for_good() {
    let mut lost = 0;
    for extra in 0..50 {
        let disk = SimDisk::new();
        let file = durable(&disk, "a", 512);
        for _ in 0..extra {
            file.sync_data().unwrap();
        }
        file.write_at(0, &[2; 512]).unwrap();
        disk.fail_at(disk.ops() + 1, Fault::Io, false);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(bytes(&disk, "a").unwrap()[0], 2, "programs go on seeing it");
        lost += usize::from(bytes(&disk.crash_all_kept(), "a").unwrap()[0] == 1);
    }
    assert!(lost > 5 && lost < 45, "lost {lost} of 50");
}

/// A limit gives ENOSPC when it is met, having written what fits; removal gives space.
#[test]
fn space_runs_out_and_comes_back() {
    let disk = SimDisk::new();
    let file = durable(&disk, "a", 100);
    disk.set_free(Some(50));
    assert_eq!(disk.space().unwrap().available, 50);
    file.write_at(0, &[2; 150]).unwrap();
    assert_eq!(
        file.write_at(140, &[2; 20]).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(file.set_len(151).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(0, &[3; 150]).unwrap();
    disk.remove("a").unwrap();
    assert_eq!(disk.space().unwrap().available, 150);
}

/// `freeze_at(k)`: the program runs on, and a crash finds what was there before call k,
/// also where files were renamed before it.
#[test]
fn frozen_is_the_past() {
    let run = |disk: &SimDisk| {
        let file = durable(disk, "a", 4); // calls 1 to 4
        file.write_at(0, &[2; 4]).unwrap();
        file.sync_data().unwrap();
        disk.rename("a", "b").unwrap();
        disk.sync_dir().unwrap();
        file.write_at(0, &[3; 4]).unwrap();
        file.sync_data().unwrap();
    };
    let states: Vec<_> = (1..=11)
        .map(|k| {
            let disk = SimDisk::new();
            disk.freeze_at(k);
            run(&disk);
            assert_eq!(bytes(&disk, "b").unwrap(), [3; 4], "the program sees its writes");
            let lost = disk.crash_all_lost();
            (bytes(&lost, "a").map(|b| b[0]), bytes(&lost, "b").map(|b| b[0]))
        })
        .collect();
    let (none, one, two) = ((None, None), (Some(1), None), (Some(2), None));
    let (b2, b3) = ((None, Some(2)), (None, Some(3)));
    assert_eq!(states, [none, none, none, none, one, one, two, two, b2, b2, b3]);
}

/// The generator is the published one: seed 1234567 begins so.
#[test]
fn splitmix_is_splitmix() {
    let mut rng = SplitMix64(1_234_567);
    assert_eq!(
        [rng.next_u64(), rng.next_u64()],
        [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
    );
}
