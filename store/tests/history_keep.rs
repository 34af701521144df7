//! Guards how long history is kept: what the retention says, day by day; that the setting is kept,
//! told, and the default where none was set; and that a full disk takes the oldest first.

mod history_support;

use std::collections::BTreeSet;

use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::record::Time;
use coffer_store::tree::Kind;
use coffer_store::vault::{Change, Retention, Subject, Vault};
use history_support::*;

const DAY: i64 = 86_400;

fn days_from_now(days: i64) -> Time {
    Time {
        sec: Time::now().sec + days * DAY,
        nsec: 0,
    }
}

fn held(vault: &Vault, of: Subject) -> Vec<u64> {
    let listed = versions(vault, of).into_iter();
    listed.filter(|v| v.held).map(|v| v.number).collect()
}

/// The setting: the default, then what was set, also of a reopened vault; nonsense is refused.
#[test]
fn the_retention_is_kept() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    assert_eq!(vault.retention(), Retention::default());
    let events = vault.status().unwrap().events;
    let short = Retention {
        all_days: 1,
        daily_days: 2,
        removed_days: 3,
    };
    vault.set_retention(short).unwrap();
    assert_eq!(vault.status().unwrap().events, events + 1, "it is told");
    let endless = Retention {
        all_days: u32::MAX,
        ..short
    };
    let refused = vault.set_retention(endless).unwrap_err();
    assert_eq!(refused.errno(), libc::EINVAL);
    assert_eq!(vault.retention(), short);
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    assert_eq!(vault.retention(), short);
    check(&vault);
}

/// A setting that was cut is as it was or as it is to be, and told only if it is kept.
#[test]
fn a_setting_that_is_cut_is_whole() {
    let disk = SimDisk::new();
    create(&disk).close().unwrap();
    let short = Retention {
        all_days: 1,
        daily_days: 2,
        removed_days: 3,
    };
    let mut new = 0;
    for k in 1..60 {
        let cut = disk.crash_all_kept();
        let vault = open(&cut);
        cut.freeze_at(cut.ops() + k);
        vault.set_retention(short).unwrap();
        let found = cut.crash_all_lost();
        let vault = open(&found);
        let kept = vault.retention();
        assert!(kept == short || kept == Retention::default());
        assert_eq!(vault.status().unwrap().events, u64::from(kept == short));
        new += u64::from(kept == short);
        check(&vault);
    }
    assert!((1..59).contains(&new), "{new}");
}

/// All of what was saved today is there for thirty days; then the last of the day; the present
/// version always.
#[test]
fn versions_go_as_they_grow_old() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let ino = make(&vault, TOP, "file");
    let of = Subject::File(ino);
    for i in 1..=5 {
        save_version(&vault, ino, &[i; 100]);
    }
    let node = {
        let second = make(&vault, TOP, "second");
        save_version(&vault, second, b"1");
        save_version(&vault, second, b"2");
        vault.remove(TOP, b"second", false).unwrap();
        gone(&vault, "second").node
    };
    assert_eq!(vault.thin(days_from_now(29)).unwrap().versions, 0);
    assert_eq!(held(&vault, of), [1, 2, 3, 4, 5]);
    // Saving went over midnight, perhaps: then the last of each of two days.
    let thinned = vault.thin(days_from_now(31)).unwrap();
    let left = held(&vault, of);
    assert!(left.ends_with(&[5]) && left.len() <= 2, "{left:?}");
    assert_eq!(read_version(&vault, of, 5).unwrap(), [5; 100]);
    assert!(thinned.versions >= 4 && thinned.removed == 0, "{thinned:?}");
    assert_eq!(gone(&vault, "second").versions, 1);
    assert_eq!(held(&vault, Subject::Removed(node)), [2]);
    save_version(&vault, ino, b"six");
    assert_eq!(vault.thin(days_from_now(91)).unwrap().removed, 1);
    assert!(vault.removed().unwrap().is_empty());
    vault.thin(days_from_now(4000)).unwrap();
    assert_eq!(held(&vault, of), [6]);
    assert_eq!(read(&vault, ino), b"six");
    vault.collect().unwrap();
    check(&vault);
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    assert_eq!(held(&vault, of), [6]);
    check(&vault);
}

/// A mode or a time that changes alone is told, but is no version: the one before has it. It was a
/// version by itself, so that `rsync -a`, which sets times after closing, made two of one save.
#[test]
fn attributes_alone_are_no_version() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let of = |vault: &Vault| Subject::File(vault.lookup(TOP, b"file").unwrap());
    let ino = make(&vault, TOP, "file");
    let touch = |vault: &Vault, perm: u16, sec: i64| {
        let change = Change {
            perm: Some(perm),
            mtime: Some(Time { sec, nsec: 0 }),
            ..Change::default()
        };
        vault.change(ino, change).unwrap();
        vault.commit().unwrap();
    };
    for (i, len) in [10, 100_000, 20].into_iter().enumerate() {
        save_version(&vault, ino, &vec![i as u8; len]);
        touch(&vault, 0o600, 1000 + i as i64);
        touch(&vault, 0o640, 2000 + i as i64);
    }
    let as_it_should_be = |vault: &Vault| {
        let all = versions(vault, of(vault));
        let all = &all[all.len() - 3..];
        let seen: Vec<_> = all
            .iter()
            .map(|v| (v.events.len(), v.perm, v.modified.sec, v.size))
            .collect();
        assert_eq!(
            seen,
            [
                (3, 0o640, 2000, 10),
                (3, 0o640, 2001, 100_000),
                (3, 0o640, 2002, 20)
            ]
        );
        for (a, b) in all.iter().zip(&all[1..]) {
            assert_eq!((b.number, b.parents.as_slice()), (a.number + 1, &a.events[2..]));
        }
        for (i, version) in all.iter().enumerate() {
            let bytes = read_version(vault, of(vault), version.number).unwrap();
            assert_eq!(bytes, vec![i as u8; bytes.len()]);
        }
        check(vault);
    };
    as_it_should_be(&vault);
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    as_it_should_be(&vault);
    // What it was before is one state less, and the number goes on.
    vault.thin(days_from_now(4000)).unwrap();
    vault.collect().unwrap();
    let left = versions(&vault, of(&vault));
    let held: Vec<_> = left
        .iter()
        .filter(|v| v.held)
        .map(|v| (v.number, v.perm))
        .collect();
    assert_eq!(held, [(left.last().unwrap().number, 0o640)]);
    save_version(&vault, vault.lookup(TOP, b"file").unwrap(), b"more");
    let after = versions(&vault, of(&vault));
    assert_eq!(after.last().unwrap().number, left.last().unwrap().number + 1);
    check(&vault);
}

/// The same twice is the same; and thinning step by step leaves what thinning at once leaves.
#[test]
fn thinning_again_changes_nothing() {
    let vault = create(&SimDisk::new());
    let ino = make(&vault, TOP, "file");
    for i in 0..10 {
        save_version(&vault, ino, &[i; 50]);
    }
    let of = Subject::File(ino);
    for days in [10, 35, 60, 130, 500] {
        vault.thin(days_from_now(days)).unwrap();
        let once: BTreeSet<u64> = held(&vault, of).into_iter().collect();
        assert_eq!(vault.thin(days_from_now(days)).unwrap().versions, 0);
        assert_eq!(held(&vault, of).into_iter().collect::<BTreeSet<_>>(), once);
        vault.collect().unwrap();
    }
    check(&vault);
}

/// A file that is open, or that somebody reads an old version of, keeps it until it is closed.
#[test]
fn what_is_being_read_stays() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let ino = make(&vault, TOP, "file");
    let large = SplitMix64(1).bytes(500_000);
    save_version(&vault, ino, &large);
    save_version(&vault, ino, b"small");
    save_version(&vault, ino, b"again");
    let of = Subject::File(ino);
    let first = vault.open_version(of, 1).unwrap();
    let second = vault.open_version(of, 2).unwrap();
    assert_eq!(vault.thin(days_from_now(400)).unwrap().versions, 2);
    vault.collect().unwrap();
    let mut bytes = Vec::new();
    first.read(&vault, 0, 1 << 20, &mut bytes).unwrap();
    assert!(bytes == large);
    bytes.clear();
    second.read(&vault, 0, 1 << 20, &mut bytes).unwrap();
    assert_eq!(bytes, b"small");
    drop((first, second));
    let before = vault.status().unwrap().chunks;
    vault.collect().unwrap();
    assert!(vault.status().unwrap().chunks < before);
    check(&vault);
}

/// A disk that is full takes the oldest of what was removed, and no more than is needed.
#[test]
fn a_full_disk_takes_the_oldest_first() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    disk.set_free(Some(128 << 20));
    vault.limit_packs(4 << 20);
    let mut rng = SplitMix64(2);
    for i in 0..14 {
        let name = format!("{i:02}");
        let ino = make(&vault, TOP, &name);
        save_version(&vault, ino, &rng.bytes(7 << 20));
        vault.remove(TOP, name.as_bytes(), false).unwrap();
        vault.commit().unwrap();
    }
    let paths = |vault: &Vault| -> Vec<Vec<u8>> {
        let removed = vault.removed().unwrap();
        removed.into_iter().rev().map(|gone| gone.path).collect()
    };
    assert_eq!(paths(&vault).len(), 14, "there is room for all of it");
    let refused = (0..64).find_map(|i| {
        let made = vault.make(TOP, format!("more {i}").as_bytes(), meta(Kind::File), b"");
        let written = made.and_then(|ino| {
            vault.open(ino, true, false, false)?;
            let written = vault.write(ino, Some(0), &rng.bytes(1 << 20), false);
            vault.release(ino, true);
            written
        });
        vault.tick().unwrap();
        written.err()
    });
    assert_eq!(refused.unwrap().errno(), libc::ENOSPC);
    assert!(vault.tend());
    let left = paths(&vault);
    assert!(!left.is_empty() && left.len() < 14, "{} are left", left.len());
    let newest: Vec<Vec<u8>> = (14 - left.len()..14).map(|i| format!("{i:02}").into()).collect();
    assert_eq!(left, newest);
    assert!(vault.status().unwrap().early > 0);
    assert!(vault.space().unwrap().0.available >= 8 << 20);
    check(&vault);
}
