//! Guards what a hostile review of the engine found, each by the sequence that showed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_store::db::{Batch, Db, Table};
use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::sim::{Fault, SimDisk, SplitMix64};
use coffer_store::record::Meta;
use coffer_store::tree::Kind;
use coffer_store::vault::{Change, Vault, salvage};
use coffer_tests::engine::{check, create, file_meta, open, password};

fn make(vault: &Vault, name: &str) -> u64 {
    vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap()
}

/// A file of noise, closed.
fn file(vault: &Vault, name: &str, len: usize) -> u64 {
    let ino = make(vault, name);
    vault.open(ino, true, false, false).unwrap();
    let noise = SplitMix64(ino + 1).bytes(len);
    vault.write(ino, Some(0), &noise, false).unwrap();
    vault.release(ino, true);
    ino
}

fn read(vault: &Vault, ino: u64) -> Vec<u8> {
    let mut out = Vec::new();
    vault.read(ino, 0, 1 << 30, &mut out).unwrap();
    out
}

fn at_rest(vault: &Vault) {
    vault.commit().unwrap();
    vault.commit().unwrap();
}

/// As damage does it: behind the back of the sums.
fn lose_row(disk: &SimDisk, table: Table, which: usize) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let db = Db::open(disk).unwrap();
    let mut keys = Vec::new();
    db.scan(table, b"", &mut |key, _| {
        keys.push(key.to_vec());
        true
    })
    .unwrap();
    let mut batch = Batch::new();
    batch.delete(table, &keys[which]);
    db.apply(&batch).unwrap();
    db.close();
}

fn rows(disk: &SimDisk, table: Table) -> u64 {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let db = Db::open(disk).unwrap();
    let rows = db.rows(table).unwrap();
    db.close();
    rows
}

/// Finding 1: a lost row of the table of packs made a pack a stray, and it was deleted.
#[test]
fn a_pack_whose_row_is_lost_is_not_deleted() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    file(&vault, "photo", 3 << 20);
    at_rest(&vault);
    vault.close().unwrap();
    drop(vault);
    lose_row(&disk, Table::Packs, 0);
    open(&disk).close().unwrap();
    assert!(disk.list().unwrap().contains(&"pack-00000001".to_string()));
}

/// Finding 2: a lost name made its file an orphan, and a check deleted it.
#[test]
fn a_file_whose_name_is_lost_is_not_deleted() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    file(&vault, "photo", 100_000);
    at_rest(&vault);
    vault.close().unwrap();
    drop(vault);
    let before = rows(&disk, Table::Inodes);
    lose_row(&disk, Table::Nodes, 0);
    let vault = open(&disk);
    assert!(!check(&vault).problems.is_empty());
    vault.close().unwrap();
    drop(vault);
    assert_eq!(rows(&disk, Table::Inodes), before);
}

/// Finding 3: the chunks of a file whose row is lost were taken for dead.
#[test]
fn nothing_is_collected_while_a_record_is_lost() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    file(&vault, "photo", 3 << 20);
    file(&vault, "other", 3 << 20);
    at_rest(&vault);
    vault.close().unwrap();
    drop(vault);
    let before = rows(&disk, Table::Chunks);
    lose_row(&disk, Table::Inodes, 1);
    let vault = open(&disk);
    assert!(vault.collect().is_err());
    vault.close().unwrap();
    drop(vault);
    assert_eq!(rows(&disk, Table::Chunks), before);
}

/// Finding 5: a sync was answered by another file's commit, which had left this one out
/// because a save was under way.
#[test]
fn a_sync_is_not_answered_by_a_commit_that_left_the_file_out() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let stop = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..3)
        .map(|i| {
            let (vault, stop) = (vault.clone(), stop.clone());
            let ino = make(&vault, &format!("other{i}"));
            std::thread::spawn(move || {
                vault.open(ino, true, false, false).unwrap();
                let mut at = 0;
                while !stop.load(Ordering::Relaxed) {
                    at = (at + 100) % 2000;
                    vault.write(ino, Some(at), b"x", false).unwrap();
                    vault.sync(ino).unwrap();
                }
            })
        })
        .collect();
    let note = make(&vault, "note");
    for i in 0..40 {
        let text = format!("version {i:05}");
        vault.open(note, true, true, false).unwrap();
        vault.write(note, Some(0), text.as_bytes(), false).unwrap();
        vault.sync(note).unwrap();
        let found = disk.crash_all_lost();
        vault.release(note, true);
        assert_eq!(read(&open(&found), note), text.as_bytes());
    }
    stop.store(true, Ordering::Relaxed);
    others.into_iter().for_each(|t| t.join().unwrap());
}

/// Finding 7: reading a file's log again counted its bytes as pending for ever, until
/// every write was refused.
#[test]
fn what_is_durable_is_not_pending() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    for i in 0..50 {
        let ino = make(&vault, &format!("f{i}"));
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), &[i; 16 << 10], false).unwrap();
        vault.sync(ino).unwrap();
        vault.release(ino, true);
    }
    at_rest(&vault);
    assert_eq!(vault.status().unwrap().pending, 0);
}

/// Finding 10: extents that the log held already were counted as pending too.
#[test]
fn logged_extents_are_not_pending() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let ino = file(&vault, "db", 9 << 20);
    at_rest(&vault);
    vault.open(ino, true, false, false).unwrap();
    for i in 0..150 {
        vault
            .write(ino, Some(i * (44 << 10)), &[7; 40 << 10], false)
            .unwrap();
        vault.sync(ino).unwrap();
    }
    assert_eq!(vault.status().unwrap().pending, 0);
}

/// Finding 8: one damaged chunk under an edit kept everything else from being committed,
/// and it was lost at unmount.
#[test]
fn a_damaged_file_keeps_no_other_from_being_committed() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let big = file(&vault, "big", 4 << 20);
    at_rest(&vault);
    vault.close().unwrap();
    drop(vault);
    let pack = disk.open("pack-00000001").unwrap();
    pack.write_at(pack.len().unwrap() / 2, &[0xAA; 4096]).unwrap();
    let vault = open(&disk);
    vault.open(big, true, false, false).unwrap();
    for at in (0..4 << 20).step_by(200_000) {
        vault.write(big, Some(at), b"hello", false).unwrap();
    }
    vault.release(big, true);
    let other = file(&vault, "other", 1000);
    let bytes = read(&vault, other);
    vault.commit().unwrap();
    assert!(!check(&vault).problems.is_empty());
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    assert_eq!(read(&vault, vault.lookup(ROOT, b"other").unwrap()), bytes);
}

/// A sync left out every other folder, though not only the times of one had changed.
#[test]
fn a_sync_takes_along_who_may_enter_a_folder() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    vault.stop_keeper();
    let folder = Meta {
        kind: Kind::Folder,
        perm: 0o755,
        ..file_meta()
    };
    let folder = vault.make(ROOT, b"private", folder, b"").unwrap();
    let note = make(&vault, "note");
    vault.commit().unwrap();
    let close = Change {
        perm: Some(0o700),
        uid: Some(1000),
        ..Change::default()
    };
    vault.change(folder, close).unwrap();
    vault.set_xattr(folder, b"user.of", b"me", None).unwrap();
    vault.sync(note).unwrap();
    let found = open(&disk.crash_all_lost());
    let meta = found.stat(folder).unwrap().meta;
    assert_eq!((meta.perm, meta.uid), (0o700, 1000));
    assert_eq!(found.xattr(folder, b"user.of").unwrap(), b"me");
}

/// A sync of a file that could not be stored, for something stored is damaged, succeeded.
#[test]
fn a_sync_says_so_if_damage_keeps_the_file_from_being_stored() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    file(&vault, "photo", 3 << 20);
    at_rest(&vault);
    vault.close().unwrap();
    drop(vault);
    {
        let db = Db::open(Arc::new(disk.clone()) as Arc<dyn Disk>).unwrap();
        let mut batch = Batch::new();
        db.scan(Table::Chunks, b"", &mut |key, value| {
            batch.put(Table::Chunks, key, value[..value.len() - 1].to_vec());
            true
        })
        .unwrap();
        db.apply(&batch).unwrap();
        db.close();
    }
    let vault = open(&disk);
    vault.stop_keeper();
    let other = make(&vault, "other");
    vault.commit().unwrap();
    vault.open(other, true, false, false).unwrap();
    // The same bytes: each chunk is looked for where its row is damaged.
    let noise = SplitMix64(vault.lookup(ROOT, b"photo").unwrap() + 1).bytes(3 << 20);
    vault.write(other, Some(0), &noise, false).unwrap();
    let told = vault.sync(other);
    let found = open(&disk.crash_all_lost());
    let kept = found.stat(other).unwrap().size == noise.len() as u64;
    assert!(told.is_err() || kept, "fsync promised what is not there");
}

/// A commit whose transaction failed had its events in a pack already; the next one's had the same
/// numbers. Where those went further, salvage took what was told first for the newest.
#[test]
fn salvage_believes_no_event_of_a_commit_that_failed() {
    for k in 1..40 {
        let disk = SimDisk::new();
        let vault = create(&disk);
        vault.stop_keeper();
        let write = |name: &str, text: &str| {
            let ino = vault
                .lookup(ROOT, name.as_bytes())
                .unwrap_or_else(|_| make(&vault, name));
            vault.open(ino, true, true, false).unwrap();
            vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
            vault.release(ino, true);
        };
        let notes = 0..8;
        let name = |i: i32| format!("note {i}");
        notes
            .clone()
            .for_each(|i| write(&name(i), &format!("{i}: first")));
        vault.commit().unwrap();
        notes
            .clone()
            .for_each(|i| write(&name(i), &format!("{i}: second")));
        (0..40).for_each(|i| write(&format!("other {i}"), "more"));
        disk.fail_at(disk.ops() + k, Fault::Io, false);
        let failed = vault.commit().is_err();
        disk.heal();
        notes
            .clone()
            .for_each(|i| write(&name(i), &format!("{i}: third")));
        for i in 0..40 {
            vault
                .remove(ROOT, format!("other {i}").as_bytes(), false)
                .unwrap();
        }
        vault.commit().unwrap();
        vault.close().unwrap();
        if !failed {
            assert!(k > 3, "no commit failed");
            return;
        }
        let work = tempfile::tempdir().unwrap();
        let (dir, out) = (work.path().join("v"), work.path().join("out"));
        coffer_tests::engine::write_out(&disk, &dir);
        std::fs::remove_file(dir.join("vault.redb")).unwrap();
        salvage(&dir, &password(), &out, &mut |_| {}).unwrap();
        let mut brought = String::new();
        let mut folders = vec![out];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
            {
                match entry.is_dir() {
                    true => folders.push(entry),
                    false => brought += &std::fs::read_to_string(entry).unwrap(),
                }
            }
        }
        for i in notes {
            let third = format!("{i}: third");
            assert!(brought.contains(&third), "call {k}: {brought}");
        }
    }
}
