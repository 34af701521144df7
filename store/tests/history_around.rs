//! Guards history where the rest of the store meets it: another password, a backup, salvage, and
//! a check that finds what is damaged of it.

mod history_support;

use std::path::Path;
use std::sync::Arc;

use coffer_store::db::{Batch, Db, Table};
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::Time;
use coffer_store::vault::{CheckOptions, Identity, Sealed, Subject, Vault, salvage};
use history_support::*;

fn on(dir: &Path) -> Arc<Vault> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    let vault = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None);
    let vault = vault.unwrap().0;
    vault.stop_keeper();
    vault
}

/// Three versions of a note, two of a large file, and one of each that was removed.
fn fill(vault: &Vault) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut rng = SplitMix64(1);
    let mut files = Vec::new();
    for (name, sizes) in [
        ("note", &[100, 0, 3000][..]),
        ("large", &[200_000, 300_000]),
        ("gone note", &[50, 60]),
        ("gone large", &[150_000, 40_000]),
    ] {
        let ino = make(vault, TOP, name);
        let saved: Vec<Vec<u8>> = sizes.iter().map(|size| rng.bytes(*size)).collect();
        for bytes in &saved {
            save_version(vault, ino, bytes);
        }
        if name.starts_with("gone") {
            vault.remove(TOP, name.as_bytes(), false).unwrap();
        }
        files.push((name, saved));
    }
    vault.commit().unwrap();
    files
}

fn subject(vault: &Vault, name: &str) -> Subject {
    match vault.lookup(TOP, name.as_bytes()) {
        Ok(ino) => Subject::File(ino),
        Err(_) => Subject::Removed(gone(vault, name).node),
    }
}

fn all_there(vault: &Vault, files: &[(&str, Vec<Vec<u8>>)]) {
    for (name, saved) in files {
        let of = subject(vault, name);
        assert_eq!(versions(vault, of).len(), saved.len(), "{name}");
        for (number, bytes) in (1..).zip(saved) {
            assert!(
                read_version(vault, of, number).unwrap() == *bytes,
                "{name}, {number}"
            );
        }
    }
    check(vault);
}

#[test]
fn another_password_opens_it() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let files = fill(&vault);
    let other = Password::new(b"another password altogether".to_vec());
    vault
        .change_password(&password(), &other, KdfParams::FLOOR)
        .unwrap();
    all_there(&vault, &files);
    vault.close().unwrap();
    drop(vault);
    let sealed = Sealed::open_on(Arc::new(disk.clone()), "sim".into(), None).unwrap();
    let vault = sealed.unlock(&other, Identity::Same).unwrap();
    all_there(&vault, &files);
    let node = gone(&vault, "gone large").node;
    let ino = vault.bring_back(node, Some(1), at(TOP, "back")).unwrap();
    assert!(read(&vault, ino) == files[3].1[0]);
}

/// A backup holds it all; and one that is made again after a purge holds no more of it than the
/// vault does.
#[test]
fn a_backup_contains_it() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("vault"), dir.path().join("backup"));
    std::fs::create_dir(&from).unwrap();
    let vault = on(&from);
    let files = fill(&vault);
    vault.backup(&to, &mut |_, _| {}).unwrap();
    let copy = Sealed::open(&to)
        .unwrap()
        .unlock(&password(), Identity::Same)
        .unwrap();
    all_there(&copy, &files);
    copy.close().unwrap();
    drop(copy);
    let of = subject(&vault, "gone large");
    vault.purge(of).unwrap();
    assert_eq!(vault.collect().unwrap().left, 0);
    let report = vault.backup(&to, &mut |_, _| {}).unwrap();
    assert_eq!(report.problems, []);
    let copy = Sealed::open(&to)
        .unwrap()
        .unlock(&password(), Identity::Same)
        .unwrap();
    assert_eq!(copy.versions(of).unwrap_err().errno(), libc::ENOENT);
    all_there(&copy, &files[..3]);
}

/// What salvage brings without the database is what is there: after thinning and purging, too, and
/// though batches lie in packs twice.
#[test]
fn salvage_brings_what_is_there() {
    for after in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("vault"), dir.path().join("out"));
        std::fs::create_dir(&from).unwrap();
        let vault = on(&from);
        let files = fill(&vault);
        let year = Time {
            sec: Time::now().sec + 400 * 86_400,
            nsec: 0,
        };
        match after {
            0 => {}
            1 => {
                assert!(vault.thin(year).unwrap().versions > 0);
                vault.collect().unwrap();
            }
            _ => {
                for name in ["note", "large", "gone note", "gone large"] {
                    vault.purge(subject(&vault, name)).unwrap();
                }
                assert_eq!(vault.collect().unwrap().left, 0);
            }
        }
        vault.close().unwrap();
        drop(vault);
        for file in ["vault.redb", "vault.journal"] {
            let _ = std::fs::remove_file(from.join(file));
        }
        salvage(&from, &password(), &to, &mut |_| {}).unwrap();
        for (name, saved) in &files[..2] {
            assert!(
                std::fs::read(to.join(name)).unwrap() == *saved.last().unwrap(),
                "{name}, {after}"
            );
        }
        for (name, _) in &files[2..] {
            assert!(!to.join(name).exists(), "{name} was removed");
        }
    }
}

/// A file whose record is damaged may be what stands for an entity: it was taken for nameless, and its
/// history for nobody's. Nothing is destroyed then, and what is damaged is said.
#[test]
fn nothing_is_destroyed_beside_a_damaged_record() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let ino = make(&vault, TOP, "note");
    for text in [&b"one"[..], b"two", b"three"] {
        save_version(&vault, ino, text);
    }
    // One of its names is gone, the other is there.
    vault.link(ino, TOP, b"again").unwrap();
    vault.commit().unwrap();
    vault.remove(TOP, b"again", false).unwrap();
    let other = make(&vault, TOP, "other");
    save_version(&vault, other, b"other");
    vault.remove(TOP, b"other", false).unwrap();
    vault.commit().unwrap();
    let nodes = [gone(&vault, "again").node, gone(&vault, "other").node];
    vault.close().unwrap();
    drop(vault);
    let db = Db::open(Arc::new(disk.clone())).unwrap();
    let mut value = db.get(Table::Inodes, &ino.to_be_bytes()).unwrap().unwrap();
    value[30] ^= 1;
    let mut batch = Batch::new();
    batch.put(Table::Inodes, ino.to_be_bytes(), value.clone());
    db.apply(&batch).unwrap();
    db.close();
    drop(db);
    let vault = open(&disk);
    let year = Time {
        sec: Time::now().sec + 400 * 86_400,
        nsec: 0,
    };
    assert!(vault.purge_removed(&nodes).is_err());
    assert!(vault.thin(year).is_err());
    assert_eq!(vault.removed().unwrap().len(), 2);
    vault.close().unwrap();
    drop(vault);
    let db = Db::open(Arc::new(disk.clone())).unwrap();
    value[30] ^= 1;
    let mut batch = Batch::new();
    batch.put(Table::Inodes, ino.to_be_bytes(), value);
    db.apply(&batch).unwrap();
    db.close();
    drop(db);
    let vault = open(&disk);
    assert_eq!(versions(&vault, Subject::File(ino)).len(), 3);
    check(&vault);
}

/// Each damage that keeps a version from being read is found, and named by the file.
#[test]
fn the_check_finds_what_is_damaged() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    fill(&vault);
    vault.close().unwrap();
    drop(vault);
    for table in [Table::Versions, Table::Removed, Table::Batches] {
        let found = disk.crash_all_kept();
        let db = Db::open(Arc::new(found.clone())).unwrap();
        let mut rows = Vec::new();
        db.scan(table, b"", &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })
        .unwrap();
        let mut batch = Batch::new();
        let (key, mut value) = rows.swap_remove(0);
        match table {
            Table::Batches => batch.delete(table, key),
            _ => {
                value[30] ^= 1;
                batch.put(table, key, value);
            }
        }
        db.apply(&batch).unwrap();
        db.close();
        drop(db);
        let vault = open(&found);
        let report = vault
            .check(CheckOptions { read_data: false }, &mut |_| {})
            .unwrap();
        let said: Vec<String> = report.problems.iter().map(|p| p.to_string()).collect();
        let named = match table {
            Table::Removed => "what was removed",
            _ => "version 1 of it",
        };
        assert!(
            said.iter().any(|what| what.contains(named)),
            "{table:?}: {said:?}"
        );
        assert!(
            vault.collect().is_err(),
            "nothing is given back of a damaged vault"
        );
    }
}
