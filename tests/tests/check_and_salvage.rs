//! Guards what stands between damage and loss: `check` of a vault in use, salvage where
//! the database has lost records, backups of what is damaged, and the key file beside
//! every change of the password.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_store::db::{Batch, Db, Table};
use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::{Fault, SimDisk, SplitMix64};
use coffer_store::keys::{KdfParams, Password, UnlockError};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Sealed, Vault, salvage};
use coffer_tests::engine::{check, create, empty, file_meta, open, password};

fn file(vault: &Vault, name: &str, parts: &[(u64, &[u8])]) -> u64 {
    let ino = vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap();
    vault.open(ino, true, false, false).unwrap();
    for (at, bytes) in parts {
        for (i, part) in bytes.chunks(1 << 20).enumerate() {
            vault
                .write(ino, Some(at + ((i as u64) << 20)), part, false)
                .unwrap();
        }
    }
    vault.release(ino, true);
    ino
}

/// A vault in a folder of the real disk, made and filled; closed again.
fn vault_in(dir: &Path, fill: impl FnOnce(&Vault)) {
    let (vault, _) = Vault::create(dir, &password(), KdfParams::FLOOR, false).unwrap();
    fill(&vault);
    vault.close().unwrap();
}

fn open_in(dir: &Path) -> Arc<Vault> {
    let sealed = Sealed::open(dir).unwrap();
    sealed.unlock(&password(), Identity::Same).unwrap()
}

fn contents(vault: &Vault, name: &str) -> Vec<u8> {
    let mut ino = 0;
    let mut each = |_, at, _, entry: &[u8]| {
        if entry == name.as_bytes() {
            ino = at;
        }
        ino == 0
    };
    vault.list(ROOT, 0, &mut each).unwrap();
    let mut out = Vec::new();
    vault.read(ino, 0, 64 << 20, &mut out).unwrap();
    out
}

/// Removes the `n`-th row of a table, as a damaged page would.
fn lose_row(dir: &Path, table: Table, n: usize) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    let db = Db::open(disk).unwrap();
    let mut keys = Vec::new();
    let mut each = |key: &[u8], _: &[u8]| {
        keys.push(key.to_vec());
        true
    };
    db.scan(table, b"", &mut each).unwrap();
    let mut batch = Batch::new();
    batch.delete(table, &keys[n]);
    db.apply(&batch).unwrap();
    db.close();
}

fn listed(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn finding_13_a_sync_goes_through_while_check_reads() {
    let vault = create(&SimDisk::new());
    let bytes = SplitMix64(1).bytes(3 << 20);
    let ino = file(&vault, "large", &[(0, &bytes)]);
    vault.commit().unwrap();
    let mut synced = 0;
    let options = coffer_store::vault::CheckOptions { read_data: true };
    let report = vault
        .check(options, &mut |_| {
            let result = vault.try_sync(ino);
            result.expect("check holds the committer while it reads").unwrap();
            synced += 1;
        })
        .unwrap();
    assert!(synced > 0);
    assert!(report.bytes >= bytes.len() as u64);
    assert_eq!(report.problems, []);
}

#[test]
fn finding_14_a_vault_in_use_is_sound() {
    let vault = create(&SimDisk::new());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rng = SplitMix64(2);
            let mut n = 0u64;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                let len = if n.is_multiple_of(5) { 300 << 10 } else { 900 };
                let name = format!("file {n}");
                let ino = file(&vault, &name, &[(0, &rng.bytes(len))]);
                let link = format!("link {n}");
                vault.link(ino, ROOT, link.as_bytes()).unwrap();
                if n.is_multiple_of(3) {
                    vault.remove(ROOT, name.as_bytes(), false).unwrap();
                }
                if n > 40 {
                    let _ = vault.remove(ROOT, format!("link {}", n - 40).as_bytes(), false);
                }
                if n.is_multiple_of(16) {
                    vault.commit().unwrap();
                }
            }
        });
        let mut reports = Vec::new();
        // However the threads are scheduled, files must have been there to be checked.
        while reports.len() < 25
            || reports
                .iter()
                .map(|r: &coffer_store::vault::CheckReport| r.files)
                .sum::<u64>()
                < 500
        {
            reports.push(check(&vault));
        }
        stop.store(true, Ordering::Relaxed);
        for report in reports {
            assert_eq!(report.problems, []);
        }
    });
}

#[test]
fn finding_14_a_check_during_a_backup_is_no_damage_and_does_not_spoil_it() {
    let dir = tempfile::tempdir().unwrap();
    let vault = create(&SimDisk::new());
    let bytes = SplitMix64(3).bytes(2 << 20);
    file(&vault, "large", &[(0, &bytes)]);
    let mut skipped = 0;
    let dest = dir.path().join("backup");
    let report = vault
        .backup(&dest, &mut |_, _| {
            let report = check(&vault);
            assert_eq!(report.problems, []);
            skipped += report.skipped.len();
        })
        .unwrap();
    assert!(skipped > 0, "the structure cannot be checked during a backup");
    assert_eq!(report.problems, []);
    assert_eq!(check(&vault).skipped, Vec::<String>::new());
    let backup = open_in(&dest);
    assert_eq!(contents(&backup, "large"), bytes);
    assert_eq!(check(&backup).problems, []);
}

#[test]
fn finding_14_a_lost_record_and_a_wrong_count_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("vault");
    vault_in(&at, |vault| {
        let ino = file(vault, "twice", &[(0, b"named twice")]);
        vault.link(ino, ROOT, b"again").unwrap();
        file(vault, "lost", &[(0, b"without a record")]);
    });
    lose_row(&at, Table::Nodes, 1); // "again"
    lose_row(&at, Table::Inodes, 2); // of "lost"
    let sealed = Sealed::open(&at).unwrap();
    let report = check(&sealed.unlock_quietly(&password()).unwrap());
    let found = |path: &str, what: &str| {
        let path = Some(path.as_bytes());
        let mut problems = report.problems.iter();
        problems.any(|p| p.path.as_deref() == path && p.what.contains(what))
    };
    assert!(found("twice", "it has 1 names and counts 2"), "{report:?}");
    assert!(found("lost", "its record is missing"), "{report:?}");
}

#[test]
fn finding_8b_check_and_backup_go_on_with_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SimDisk::new();
    let vault = create(&disk);
    vault.stop_keeper();
    file(&vault, "committed", &[(0, b"yes")]);
    vault.commit().unwrap();
    file(&vault, "not yet", &[(0, b"no")]);
    disk.fail_at(disk.ops() + 1, Fault::NoSpace, false);
    let report = check(&vault);
    let unsaved = |what: &str| what.starts_with("the last changes could not be saved");
    assert!(report.problems.iter().any(|p| unsaved(&p.what)), "{report:?}");
    assert_eq!(report.problems.len(), 1, "{report:?}");
    disk.fail_at(disk.ops() + 1, Fault::NoSpace, false);
    let dest = dir.path().join("backup");
    let report = vault.backup(&dest, &mut |_, _| {}).unwrap();
    assert!(report.problems.iter().any(|p| unsaved(&p.what)), "{report:?}");
    assert_eq!(contents(&open_in(&dest), "committed"), b"yes");
    disk.heal();
    assert_eq!(check(&vault).problems, []);
}

#[test]
fn finding_15_what_the_tree_lost_is_brought_by_records_and_events() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("vault");
    let large = SplitMix64(4).bytes(3 << 20);
    vault_in(&at, |vault| {
        file(vault, "kept", &[(0, b"kept")]);
        file(vault, "no name", &[(0, b"its name is lost")]);
        file(vault, "no record", &[(0, &large)]);
        file(vault, "removed", &[(0, b"not to come back")]);
        vault.commit().unwrap();
        vault.remove(ROOT, b"removed", false).unwrap();
    });
    lose_row(&at, Table::Nodes, 1);
    lose_row(&at, Table::Inodes, 3);
    fs::write(at.join("pack-00000099"), b"a pack that no transaction names").unwrap();
    let before = listed(&at);
    let dest = dir.path().join("out");
    let report = salvage(&at, &password(), &dest, &mut |_| {}).unwrap();
    assert_eq!(listed(&at), before, "salvage removes nothing");
    assert_eq!(fs::read(dest.join("kept")).unwrap(), b"kept");
    assert_eq!(fs::read(dest.join("no name")).unwrap(), b"its name is lost");
    assert!(fs::read(dest.join("no record")).unwrap() == large);
    assert_eq!(listed(&dest).len(), 3, "{:?}", listed(&dest));
    assert_eq!((report.files, report.from_events), (3, 1), "{report:?}");
    // A whole vault is brought out whole, by its tree alone.
    let whole = dir.path().join("whole");
    vault_in(&whole, |vault| assert!(file(vault, "a", &[(0, b"a")]) > ROOT));
    let report = salvage(&whole, &password(), &dir.path().join("out 2"), &mut |_| {}).unwrap();
    assert_eq!((report.files, report.from_events), (1, 0));
    assert_eq!(report.problems, []);
}

#[test]
fn finding_15_a_sparse_terabyte_takes_neither_memory_nor_room() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("vault");
    let end = (1 << 40) - 6;
    let large = SplitMix64(5).bytes(1 << 20);
    vault_in(&at, |vault| {
        file(vault, "sparse", &[(0, &large), (end, b"at end")]);
    });
    let verify = |dest: &Path| {
        let meta = fs::metadata(dest.join("sparse")).unwrap();
        assert_eq!(meta.len(), 1 << 40);
        assert!(meta.blocks() * 512 < 16 << 20, "{} blocks", meta.blocks());
        let file = fs::File::open(dest.join("sparse")).unwrap();
        let mut bytes = vec![0; 6];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, end).unwrap();
        assert_eq!(bytes, b"at end");
        let mut bytes = vec![0; large.len()];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
        assert!(bytes == large);
    };
    let dest = dir.path().join("by tree");
    salvage(&at, &password(), &dest, &mut |_| {}).unwrap();
    verify(&dest);
    fs::write(at.join("vault.redb"), b"nothing of it is left").unwrap();
    let dest = dir.path().join("by events");
    let report = salvage(&at, &password(), &dest, &mut |_| {}).unwrap();
    assert_eq!(report.from_events, 1);
    verify(&dest);
}

#[test]
fn finding_15_what_the_destination_refuses_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("vault");
    vault_in(&at, |vault| {
        let now = Time::now();
        let ino = file(vault, "a", &[(0, b"a")]);
        let folder = Meta {
            kind: Kind::Folder,
            perm: 0o755,
            uid: 0,
            gid: 0,
            rdev: 0,
            nlink: 2,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
        };
        let sub = vault.make(ROOT, b"folder", folder, b"").unwrap();
        vault.link(ino, sub, b"b").unwrap();
    });
    let dest = dir.path().join("out");
    fs::create_dir(&dest).unwrap();
    fs::write(dest.join("folder"), b"a file in the folder's place").unwrap();
    let report = salvage(&at, &password(), &dest, &mut |_| {}).unwrap();
    assert_eq!(fs::read(dest.join("a")).unwrap(), b"a");
    assert!(
        report
            .problems
            .iter()
            .any(|p| p.path.as_deref() == Some(b"folder/b"))
    );
    assert_eq!(
        fs::read(dest.join("folder")).unwrap(),
        b"a file in the folder's place"
    );
}

/// The key file alone leads to the keys: what salvage does when the database is gone.
fn key_file_opens(disk: &SimDisk, password: &Password) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let Ok(file) = disk.open("vault.key") else {
        return false;
    };
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    fs::write(dir.path().join("vault.key"), bytes).unwrap();
    salvage(dir.path(), password, &dir.path().join("out"), &mut |_| {}).is_ok()
}

#[test]
fn finding_18_the_key_file_follows_the_password_whatever_fails() {
    let new = Password::new(b"another battery horse staple".to_vec());
    let (mut changed, mut kept) = (0, 0);
    for k in 1.. {
        let disk = empty();
        let vault = open(&disk);
        vault.stop_keeper();
        let from = disk.ops();
        disk.fail_at(from + k, Fault::Io, true);
        let result = vault.change_password(&password(), &new, KdfParams::FLOOR);
        let done = disk.ops() < from + k;
        // As after a kill: what was written is there, nothing was tidied up.
        let killed = disk.crash_all_kept();
        disk.heal();
        if result.is_err() {
            // Without a kill the old one stays, and the failure leaves nothing behind.
            assert_eq!(vault.verify_password(&password()), Ok(()));
            assert_eq!(check(&vault).problems, [], "operation {k}");
            vault.close().unwrap();
            drop(open(&disk));
            assert!(key_file_opens(&disk, &password()), "operation {k}");
        }
        drop(vault);
        let unlock = |password: &Password| {
            let sealed = Sealed::open_on(Arc::new(killed.clone()), "sim".into(), None).unwrap();
            sealed.unlock(password, Identity::Same)
        };
        // A transaction whose last sync failed may be there after a kill or not; one that
        // went through is.
        let (right, wrong) = match (unlock(&new).is_ok(), result.is_ok()) {
            (true, _) => (&new, &password()),
            (false, false) => (&password(), &new),
            (false, true) => panic!("operation {k}: the change went through and is not there"),
        };
        let vault = unlock(right).unwrap();
        assert_eq!(vault.verify_password(right), Ok(()));
        assert_eq!(vault.verify_password(wrong), Err(UnlockError::WrongPassword));
        assert_eq!(check(&vault).problems, []);
        drop(vault);
        assert!(
            key_file_opens(&killed, right),
            "operation {k}: the key file is not the vault's"
        );
        *(if result.is_ok() { &mut changed } else { &mut kept }) += 1;
        if done {
            break;
        }
    }
    assert!(changed > 3 && kept > 1, "{changed} changed, {kept} kept");
}

#[test]
fn finding_18_a_lost_key_file_and_that_of_another_device_are_written_anew() {
    let disk = empty();
    let read = || {
        let file = disk.open("vault.key").unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    };
    let first = read();
    drop(open(&disk));
    assert_eq!(read(), first, "a good one is left alone");
    disk.remove("vault.key").unwrap();
    drop(open(&disk));
    let second = read();
    let sealed = Sealed::open_on(Arc::new(disk.clone()), "sim".into(), None).unwrap();
    drop(sealed.unlock(&password(), Identity::NewDevice).unwrap());
    assert_ne!(read(), second, "it holds the new device's secrets");
    assert!(key_file_opens(&disk, &password()));
}

#[test]
fn finding_18_readers_during_a_password_change_see_no_damage() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let names: Vec<String> = (0..300).map(|i| format!("f{i}")).collect();
    for name in &names {
        file(&vault, name, &[(0, name.as_bytes())]);
    }
    vault.close().unwrap();
    let stop = AtomicBool::new(false);
    for round in 0..3 {
        let vault = open(&disk);
        stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(check(&vault).problems, [], "round {round}");
                }
            });
            for _ in 0..4 {
                vault
                    .change_password(&password(), &password(), KdfParams::FLOOR)
                    .unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        vault.close().unwrap();
    }
}

#[test]
fn finding_24_a_backup_of_a_damaged_vault_copies_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (at, dest) = (dir.path().join("vault"), dir.path().join("backup"));
    let large = SplitMix64(6).bytes(2 << 20);
    vault_in(&at, |vault| assert!(file(vault, "large", &[(0, &large)]) > ROOT));
    let vault = open_in(&at);
    let earlier = dir.path().join("earlier");
    vault.backup(&earlier, &mut |_, _| {}).unwrap();
    let pack = at.join("pack-00000001");
    let len = fs::metadata(&pack).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&pack)
        .unwrap()
        .set_len(len / 2)
        .unwrap();
    let report = vault.backup(&dest, &mut |_, _| {}).unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|p| p.what.contains("pack-00000001 lacks")),
        "{report:?}"
    );
    assert_eq!(report.copied, len / 2);
    assert_eq!(fs::metadata(dest.join("pack-00000001")).unwrap().len(), len / 2);
    // Where the backup has what the vault lost, it keeps it.
    vault.backup(&earlier, &mut |_, _| {}).unwrap();
    fs::remove_file(&pack).unwrap();
    vault.backup(&earlier, &mut |_, _| {}).unwrap();
    let report = vault.backup(&dest, &mut |_, _| {}).unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|p| p.what.contains("pack-00000001 lacks")),
        "{report:?}"
    );
    drop(vault);
    assert_eq!(contents(&open_in(&earlier), "large"), large);
}

#[test]
fn finding_24_another_history_replaces_a_backup_only_when_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, dest] = ["one", "two", "backup"].map(|name| dir.path().join(name));
    let (x, y) = (SplitMix64(7).bytes(1 << 20), SplitMix64(8).bytes(1 << 20));
    vault_in(&one, |vault| {
        assert!(file(vault, "common", &[(0, b"common")]) > ROOT)
    });
    fs::create_dir(&two).unwrap();
    for path in listed(&one) {
        fs::copy(&path, two.join(path.file_name().unwrap())).unwrap();
    }
    let vault = open_in(&one);
    file(&vault, "x", &[(0, &x)]);
    vault.backup(&dest, &mut |_, _| {}).unwrap();
    let vault = open_in(&two);
    file(&vault, "y", &[(0, &y)]);
    // The backup of the first history is whole until the second is.
    let mut steps = 0;
    vault
        .backup(&dest, &mut |_, _| {
            let copy = dir.path().join(format!("step {steps}"));
            fs::create_dir(&copy).unwrap();
            for path in listed(&dest).into_iter().filter(|path| path.is_file()) {
                fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
            }
            let earlier = open_in(&copy);
            assert!(contents(&earlier, "x") == x);
            assert_eq!(check(&earlier).problems, []);
            steps += 1;
        })
        .unwrap();
    assert!(steps > 0);
    let later = open_in(&dest);
    assert!(contents(&later, "y") == y);
    assert_eq!(check(&later).problems, []);
    assert!(!dest.join("next").exists());
}
