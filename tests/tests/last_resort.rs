//! Guards the second look at what stands between damage and loss: what salvage and backup
//! leave for others to read, whom they disturb, what they bring back and what they say, and
//! what a read-only vault may change. Each test is named for what went wrong.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coffer_store::db::{Batch, Db, Table};
use coffer_store::ids::{Ino, ROOT};
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::SplitMix64;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time, Xattrs};
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, SalvageReport, Sealed, Vault, salvage};
use coffer_tests::engine::{check, password};

fn meta(kind: Kind, perm: u16) -> Meta {
    let now = Time::now();
    Meta {
        kind,
        perm,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    }
}

fn write(vault: &Vault, ino: Ino, bytes: &[u8]) {
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), bytes, false).unwrap();
    vault.release(ino, true);
}

fn file(vault: &Vault, parent: Ino, name: &str, bytes: &[u8]) -> Ino {
    let ino = vault
        .make(parent, name.as_bytes(), meta(Kind::File, 0o644), b"")
        .unwrap();
    write(vault, ino, bytes);
    ino
}

fn folder(vault: &Vault, parent: Ino, name: &str) -> Ino {
    vault
        .make(parent, name.as_bytes(), meta(Kind::Folder, 0o755), b"")
        .unwrap()
}

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Scene {
        Scene(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn vault(&self) -> PathBuf {
        self.path("vault")
    }

    fn create(&self) -> Arc<Vault> {
        Vault::create(&self.vault(), &password(), KdfParams::FLOOR, false)
            .unwrap()
            .0
    }

    fn filled(&self, fill: impl FnOnce(&Vault)) {
        let vault = self.create();
        fill(&vault);
        vault.close().unwrap();
    }

    fn salvage(&self, name: &str) -> SalvageReport {
        salvage(&self.vault(), &password(), &self.path(name), &mut |_| {}).unwrap()
    }

    fn lose_database(&self) {
        fs::write(self.vault().join("vault.redb"), b"nothing of it is left").unwrap();
    }

    fn alter_row(&self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&self.vault()).unwrap());
        let db = Db::open(disk).unwrap();
        let mut batch = Batch::new();
        match value {
            Some(value) => batch.put(table, key, value),
            None => batch.delete(table, key),
        }
        db.apply(&batch).unwrap();
        db.close();
    }

    /// Flips a byte in the middle of the `n`-th batch of events in the first pack.
    fn harm_batch(&self, n: usize) {
        let path = self.vault().join("pack-00000001");
        let mut bytes = fs::read(&path).unwrap();
        let (mut at, mut seen) = (0, 0);
        loop {
            assert_eq!(bytes[at..at + 3], [0xc0, 0xff, 0xe5], "a record begins here");
            let len = u32::from_le_bytes(bytes[at + 5..at + 9].try_into().unwrap()) as usize;
            if bytes[at + 4] == 14 {
                if seen == n {
                    bytes[at + 45 + len - 4] ^= 1;
                    break;
                }
                seen += 1;
            }
            at += 45 + len;
        }
        fs::write(&path, bytes).unwrap();
    }
}

fn open_in(dir: &Path) -> Arc<Vault> {
    let sealed = Sealed::open(dir).unwrap();
    sealed.unlock(&password(), Identity::Same).unwrap()
}

fn all_bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.map(|p| (p.clone(), fs::read(&p).unwrap())).collect()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn assert_closed(dir: &Path) {
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_vault_and_its_backups_are_closed_to_others() {
    let scene = Scene::new();
    let vault = scene.create();
    file(&vault, ROOT, "a", b"a");
    let dest = scene.path("backup");
    vault.backup(&dest, &mut |_, _| {}).unwrap();
    vault.close().unwrap();
    drop(vault);
    assert_closed(&scene.vault());
    assert_closed(&dest);
    // One that was restored carelessly is closed again.
    fs::set_permissions(&dest, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(scene.vault().join("lock"), fs::Permissions::from_mode(0o644)).unwrap();
    let vault = open_in(&scene.vault());
    vault.backup(&dest, &mut |_, _| {}).unwrap();
    assert_closed(&scene.vault());
    assert_closed(&dest);
}

#[test]
fn salvaged_plaintext_is_closed_to_others() {
    let scene = Scene::new();
    scene.filled(|vault| {
        let sub = folder(vault, ROOT, "sub");
        file(vault, sub, "a", b"secret");
    });
    scene.salvage("out");
    assert_eq!(mode(&scene.path("out")), 0o700);
    // An empty folder that was there, open to all.
    fs::create_dir(scene.path("out 2")).unwrap();
    fs::set_permissions(scene.path("out 2"), fs::Permissions::from_mode(0o755)).unwrap();
    scene.salvage("out 2");
    assert_eq!(mode(&scene.path("out 2")), 0o700);
}

#[test]
fn a_backup_that_is_open_is_left_alone_and_said_so() {
    let scene = Scene::new();
    let vault = scene.create();
    file(&vault, ROOT, "a", b"a");
    let dest = scene.path("backup");
    vault.backup(&dest, &mut |_, _| {}).unwrap();
    let held = Sealed::open(&dest).unwrap();
    let before = all_bytes(&dest);
    let said = vault.backup(&dest, &mut |_, _| {}).unwrap_err().to_string();
    assert!(said.contains("in use"), "{said}");
    assert!(all_bytes(&dest) == before);
    drop(held);
    vault.backup(&dest, &mut |_, _| {}).unwrap();
    // The vault's own folder is in use, too.
    let said = vault
        .backup(&scene.vault(), &mut |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(said.contains("in use"), "{said}");
    // A damaged one is called damaged, and kept for salvage.
    fs::write(dest.join("vault.redb"), b"nothing of it is left").unwrap();
    let said = vault.backup(&dest, &mut |_, _| {}).unwrap_err().to_string();
    assert!(said.contains("damaged"), "{said}");
}

#[test]
fn two_backups_at_once_do_not_spoil_each_other() {
    let scene = Scene::new();
    let vault = scene.create();
    file(&vault, ROOT, "large", &SplitMix64(1).bytes(2 << 20));
    let dest = scene.path("backup");
    for round in ["first", "second"] {
        file(&vault, ROOT, round, b"new");
        let mut refused = 0;
        vault
            .backup(&dest, &mut |_, _| {
                let second = vault.backup(&dest, &mut |_, _| {});
                refused += u32::from(second.is_err());
                // Nor is it opened while it is being written.
                assert!(Sealed::open(&dest).is_err());
            })
            .unwrap();
        assert!(refused > 0, "{round}");
        assert_eq!(check(&open_in(&dest)).problems, []);
    }
}

#[test]
fn a_backup_opens_by_one_password_whatever_vault_key_became_meanwhile() {
    let scene = Scene::new();
    let vault = scene.create();
    file(&vault, ROOT, "large", &SplitMix64(1).bytes(2 << 20));
    let new = Password::new(b"another battery horse staple".to_vec());
    let dest = scene.path("backup");
    let mut changed = false;
    vault
        .backup(&dest, &mut |_, _| {
            if !std::mem::replace(&mut changed, true) {
                vault
                    .change_password(&password(), &new, KdfParams::FLOOR)
                    .unwrap();
            }
        })
        .unwrap();
    assert!(changed);
    Sealed::open(&dest).unwrap().unlock_quietly(&password()).unwrap();
    fs::write(dest.join("vault.redb"), b"nothing of it is left").unwrap();
    let report = salvage(&dest, &password(), &scene.path("out"), &mut |_| {}).unwrap();
    assert_eq!(report.files, 1);
}

#[test]
fn salvage_changes_not_a_byte_of_a_vault_that_was_not_closed() {
    let scene = Scene::new();
    let vault = scene.create();
    file(&vault, ROOT, "a", b"a");
    vault.commit().unwrap();
    // As after a kill: copied while it is open.
    let killed = scene.path("killed");
    fs::create_dir(&killed).unwrap();
    for (path, bytes) in all_bytes(&scene.vault()) {
        fs::write(killed.join(path.file_name().unwrap()), bytes).unwrap();
    }
    let before = all_bytes(&killed);
    let report = salvage(&killed, &password(), &scene.path("out"), &mut |_| {}).unwrap();
    assert_eq!(
        (report.files, report.from_events, report.problems),
        (1, 0, Vec::new())
    );
    assert!(all_bytes(&killed) == before);
}

#[test]
fn salvage_does_not_read_a_vault_that_somebody_writes() {
    let scene = Scene::new();
    let vault = scene.create();
    file(&vault, ROOT, "a", b"a");
    vault.commit().unwrap();
    let said = salvage(&scene.vault(), &password(), &scene.path("out"), &mut |_| {});
    assert!(said.unwrap_err().to_string().contains("in use"));
    assert!(!scene.path("out").exists());
}

#[test]
fn a_wrong_password_leaves_no_folder_behind() {
    let scene = Scene::new();
    scene.filled(|_| {});
    let wrong = Password::new(b"wrong".to_vec());
    assert!(salvage(&scene.vault(), &wrong, &scene.path("out"), &mut |_| {}).is_err());
    assert!(!scene.path("out").exists());
}

/// Modes, times, xattrs, empty folders, hard links and pipes.
fn fill_with_attributes(vault: &Vault) {
    let old = Time {
        sec: -5,
        nsec: 500_000_000,
    };
    let mut xattrs = Xattrs::new();
    xattrs.insert(b"user.colour".to_vec(), b"green".to_vec());
    let with = |kind, perm| Meta {
        atime: old,
        mtime: old,
        xattrs: Some(Box::new(xattrs.clone())),
        ..meta(kind, perm)
    };
    let sub = vault.make(ROOT, b"sub", with(Kind::Folder, 0o510), b"").unwrap();
    let ino = vault.make(sub, b"script", with(Kind::File, 0o4750), b"").unwrap();
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(0), b"#!/bin/sh", false).unwrap();
    vault.release(ino, true);
    let change = coffer_store::vault::Change {
        mtime: Some(old),
        atime: Some(old),
        ..Default::default()
    };
    vault.change(ino, change).unwrap();
    vault.link(ino, ROOT, b"again").unwrap();
    folder(vault, ROOT, "empty");
    vault
        .make(ROOT, b"link", meta(Kind::Symlink, 0o777), b"sub/script")
        .unwrap();
    vault.make(ROOT, b"pipe", meta(Kind::Fifo, 0o600), b"").unwrap();
    vault.change(sub, change).unwrap();
}

fn assert_attributes(dest: &Path, perm: u32) {
    let script = fs::metadata(dest.join("sub/script")).unwrap();
    assert_eq!(script.mode() & 0o7777, perm);
    assert_eq!((script.mtime(), script.mtime_nsec()), (-5, 500_000_000));
    assert_eq!(mode(&dest.join("sub")), 0o510);
    let mut value = [0; 16];
    for name in ["sub/script", "sub"] {
        match rustix::fs::getxattr(dest.join(name), "user.colour", &mut value[..]) {
            Ok(len) => assert_eq!(&value[..len], b"green"),
            Err(e) => assert_eq!(e, rustix::io::Errno::NOTSUP, "{name}"),
        }
    }
    assert!(dest.join("empty").is_dir());
    assert_eq!(fs::read_link(dest.join("link")).unwrap(), Path::new("sub/script"));
    assert_eq!(
        fs::metadata(dest.join("again")).unwrap().ino(),
        script.ino(),
        "one file with two names takes the room of one"
    );
}

#[test]
fn salvage_brings_modes_times_and_xattrs() {
    let scene = Scene::new();
    scene.filled(fill_with_attributes);
    let report = scene.salvage("by tree");
    assert_eq!(report.problems, []);
    assert_eq!(report.files, 3, "a script, a link, a pipe");
    let dest = scene.path("by tree");
    assert_attributes(&dest, 0o4750);
    assert!(fs::metadata(dest.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(fs::metadata(dest.join("sub")).unwrap().mtime(), -5);
    scene.lose_database();
    let report = scene.salvage("by events");
    // Whose it was is not known then, and so nobody's rights are given to who runs it.
    assert_attributes(&scene.path("by events"), 0o750);
    // All of it came back: that is no failure, though newer things may be missing.
    assert_eq!(report.problems, []);
    assert!(!report.notes.is_empty());
}

#[test]
fn salvage_writes_through_no_link() {
    let scene = Scene::new();
    let outside = scene.path("outside");
    fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap().as_bytes().to_vec();
    let names: Vec<String> = (0..24).map(|i| format!("n{i}")).collect();
    scene.filled(|vault| {
        for name in &names {
            vault
                .make(ROOT, name.as_bytes(), meta(Kind::Symlink, 0o777), &target)
                .unwrap();
        }
        vault.commit().unwrap();
        for name in &names {
            vault.remove(ROOT, name.as_bytes(), false).unwrap();
        }
        vault.commit().unwrap();
        for name in &names {
            let sub = folder(vault, ROOT, name);
            file(vault, sub, "secret", b"plaintext");
        }
    });
    scene.lose_database();
    // That the links were removed is told no more.
    let pack = scene.vault().join("pack-00000001");
    let bytes = fs::read(&pack).unwrap();
    let mut at = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        let len = u32::from_le_bytes(bytes[from + 5..from + 9].try_into().unwrap()) as usize;
        at.push((from, 45 + len));
        from += 45 + len;
    }
    let mut bytes = bytes;
    let (from, len) = at[1];
    bytes[from..from + len].fill(0);
    fs::write(&pack, bytes).unwrap();
    let report = scene.salvage("out");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "written outside");
    assert_eq!(report.files, 48, "{report:?}");
    assert!(
        !report.problems.is_empty(),
        "a part of the pack is gone: {report:?}"
    );
    for name in names {
        assert!(scene.path("out").join(name).join("secret").is_file());
    }
}

#[test]
fn an_older_version_is_not_called_whole() {
    let scene = Scene::new();
    scene.filled(|vault| {
        let ino = file(vault, ROOT, "note", b"the first version");
        vault.commit().unwrap();
        write(vault, ino, b"the second version");
        vault.commit().unwrap();
    });
    scene.lose_database();
    scene.harm_batch(1);
    let report = scene.salvage("out");
    assert_eq!(fs::read(scene.path("out/note")).unwrap(), b"the first version");
    assert!(
        report.problems.iter().any(|p| p.what.contains("event")),
        "a damaged event is said: {report:?}"
    );
}

#[test]
fn one_lost_row_of_the_store_costs_no_file() {
    // What was only synced is told by no event: it takes the tree.
    for row in ["counters", "sums", "secrets", "local key", "instance"] {
        let scene = Scene::new();
        let vault = scene.create();
        let ino = file(&vault, ROOT, "note", b"published");
        vault.commit().unwrap();
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), b"PUBLISHED and synced", false).unwrap();
        vault.sync(ino).unwrap();
        let crashed = Scene::new();
        fs::create_dir(crashed.vault()).unwrap();
        for (path, bytes) in all_bytes(&scene.vault()) {
            fs::write(crashed.vault().join(path.file_name().unwrap()), bytes).unwrap();
        }
        crashed.alter_row(Table::Meta, row.as_bytes(), None);
        let report = crashed.salvage("out");
        assert_eq!(
            fs::read(crashed.path("out/note")).unwrap(),
            b"PUBLISHED and synced",
            "{row}: {report:?}"
        );
    }
}

#[test]
fn a_vault_without_its_database_is_not_called_no_vault() {
    let scene = Scene::new();
    scene.filled(|vault| assert!(file(vault, ROOT, "a", b"a") > ROOT));
    fs::remove_file(scene.vault().join("vault.redb")).unwrap();
    let said = Sealed::open(&scene.vault()).err().unwrap().to_string();
    assert!(said.contains("salvage") && !said.contains("init"), "{said}");
    assert_eq!(scene.salvage("out").files, 1);
}

#[test]
fn one_damaged_key_does_not_keep_the_password_from_being_changed() {
    let scene = Scene::new();
    scene.filled(|vault| {
        file(vault, ROOT, "good", b"good");
        file(vault, ROOT, "bad", b"bad");
    });
    scene.alter_row(Table::Wraps, &3u64.to_be_bytes(), Some(&[7; 72]));
    let vault = open_in(&scene.vault());
    let new = Password::new(b"another battery horse staple".to_vec());
    vault
        .change_password(&password(), &new, KdfParams::FLOOR)
        .unwrap();
    vault.close().unwrap();
    drop(vault);
    let sealed = Sealed::open(&scene.vault()).unwrap();
    let vault = sealed.unlock(&new, Identity::Same).unwrap();
    let mut out = Vec::new();
    let ino = vault.lookup(ROOT, b"good").unwrap();
    vault.read(ino, 0, 10, &mut out).unwrap();
    assert_eq!(out, b"good");
    let report = check(&vault);
    assert!(
        report.problems.iter().any(|p| p.path.as_deref() == Some(b"bad")),
        "{report:?}"
    );
}

#[test]
fn damage_in_an_earlier_chain_is_found() {
    let scene = Scene::new();
    scene.filled(|vault| {
        let ino = file(vault, ROOT, "note", b"the first version");
        vault.commit().unwrap();
        write(vault, ino, b"the second version");
    });
    let sealed = Sealed::open(&scene.vault()).unwrap();
    let vault = sealed.unlock(&password(), Identity::NewDevice).unwrap();
    assert_eq!(check(&vault).problems, []);
    vault.close().unwrap();
    drop(vault);
    scene.harm_batch(0);
    let report = check(&open_in(&scene.vault()));
    assert!(
        report
            .problems
            .iter()
            .any(|p| p.what.contains("batch 1 of events")),
        "{report:?}"
    );
}

#[test]
fn a_read_only_vault_changes_nothing_and_says_so() {
    let scene = Scene::new();
    let vault = scene.create();
    let ino = file(&vault, ROOT, "note", b"note");
    vault.commit().unwrap();
    let killed = scene.path("killed");
    fs::create_dir(&killed).unwrap();
    for (path, bytes) in all_bytes(&scene.vault()) {
        fs::write(killed.join(path.file_name().unwrap()), bytes).unwrap();
    }
    // What a crash left, and a key file that leads elsewhere.
    fs::write(killed.join("pack-00000042"), b"a pack that no transaction names").unwrap();
    fs::write(killed.join("vault.key"), b"nonsense").unwrap();
    let before = all_bytes(&killed);
    let sealed = Sealed::open_read_only(&killed).unwrap();
    assert!(Sealed::open(&killed).is_err(), "it is held");
    let vault = sealed.unlock(&password(), Identity::Same).unwrap();
    let mut out = Vec::new();
    vault.read(ino, 0, 10, &mut out).unwrap();
    assert_eq!(out, b"note");
    let new = Password::new(b"another battery horse staple".to_vec());
    assert!(
        vault
            .change_password(&password(), &new, KdfParams::FLOOR)
            .is_err()
    );
    assert!(vault.add_recovery().is_err());
    assert!(vault.remove(ROOT, b"note", false).is_err());
    let report = check(&vault);
    assert!(
        report.problems.iter().any(|p| p.what.contains("vault.key")),
        "{report:?}"
    );
    vault.backup(&scene.path("backup"), &mut |_, _| {}).unwrap();
    vault.close().unwrap();
    drop(vault);
    assert!(all_bytes(&killed) == before);
    let sealed = Sealed::open_read_only(&killed).unwrap();
    assert!(sealed.unlock(&password(), Identity::NewDevice).is_err());
    assert!(all_bytes(&killed) == before);
    assert_eq!(check(&open_in(&scene.path("backup"))).problems, []);
}

/// The power goes while a backup of another history takes the earlier one's place: whatever
/// was moved by then, it is the new one, and whole.
#[test]
fn a_backup_that_took_half_its_place_is_whole() {
    let scene = Scene::new();
    let (x, y) = (SplitMix64(7).bytes(1 << 20), SplitMix64(8).bytes(1 << 20));
    scene.filled(|vault| assert!(file(vault, ROOT, "common", b"common") > ROOT));
    let other = scene.path("other");
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).unwrap();
        for (path, bytes) in all_bytes(from) {
            fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
        }
    };
    copy(&scene.vault(), &other);
    let [earlier, new] = ["earlier", "new"].map(|name| scene.path(name));
    let vault = open_in(&scene.vault());
    file(&vault, ROOT, "x", &x);
    vault.backup(&earlier, &mut |_, _| {}).unwrap();
    let vault = open_in(&other);
    file(&vault, ROOT, "y", &y);
    vault.backup(&new, &mut |_, _| {}).unwrap();
    fs::remove_file(new.join("lock")).unwrap();
    let names: Vec<PathBuf> = all_bytes(&new).into_keys().collect();
    assert_eq!(names.len(), 3, "a pack, the database, the key file: {names:?}");
    // Any part of them may have been moved; none of a first backup, too.
    for (moved, first) in (0..8).map(|moved| (moved, false)).chain([(0, true)]) {
        let dest = scene.path(&format!("dest {moved} {first}"));
        match first {
            true => fs::create_dir(&dest).unwrap(),
            false => copy(&earlier, &dest),
        }
        copy(&new, &dest.join("ready"));
        for (i, path) in names.iter().enumerate().filter(|(i, _)| moved >> i & 1 == 1) {
            let name = path.file_name().unwrap();
            fs::rename(dest.join("ready").join(name), dest.join(name)).unwrap();
            assert!(i < 3);
        }
        let verify = |vault: Arc<Vault>| {
            assert_eq!(check(&vault).problems, [], "{moved}");
            let (mut out, ino) = (Vec::new(), vault.lookup(ROOT, b"y").unwrap());
            vault.read(ino, 0, y.len(), &mut out).unwrap();
            assert!(out == y);
            assert!(vault.lookup(ROOT, b"x").is_err());
        };
        let sealed = Sealed::open_read_only(&dest).unwrap();
        verify(sealed.unlock(&password(), Identity::Same).unwrap());
        assert!(dest.join("ready").is_dir(), "reading has moved something");
        let report = salvage(
            &dest,
            &password(),
            &scene.path(&format!("out {moved} {first}")),
            &mut |_| {},
        );
        assert_eq!(report.unwrap().files, 2);
        verify(open_in(&dest));
        assert!(!dest.join("ready").exists());
    }
}

#[test]
fn a_link_in_a_backups_place_is_not_followed() {
    let scene = Scene::new();
    let vault = scene.create();
    file(&vault, ROOT, "a", b"a");
    let dest = scene.path("backup");
    fs::create_dir(&dest).unwrap();
    let victim = scene.path("victim");
    fs::write(&victim, b"precious").unwrap();
    symlink(&victim, dest.join("pack-00000001")).unwrap();
    assert!(vault.backup(&dest, &mut |_, _| {}).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

/// A record of the journal rots: the vault does not open, rightly, but salvage did without the whole
/// database then. What had never been told was lost with it, though all of it was there.
#[test]
fn a_damaged_journal_costs_salvage_only_what_follows_the_damage() {
    let scene = Scene::new();
    let vault = scene.create();
    vault.stop_keeper();
    // Open all the time, so that no event tells it.
    let note = vault.make(ROOT, b"note", meta(Kind::File, 0o644), b"").unwrap();
    vault.open(note, true, false, false).unwrap();
    vault.write(note, Some(0), b"zero", false).unwrap();
    vault.commit().unwrap();
    for text in [b"one.", b"two.", b"six."] {
        vault.write(note, Some(0), text, false).unwrap();
        vault.sync(note).unwrap();
    }
    let killed = scene.path("killed");
    fs::create_dir(&killed).unwrap();
    for (path, bytes) in all_bytes(&scene.vault()) {
        fs::write(killed.join(path.file_name().unwrap()), bytes).unwrap();
    }
    let journal = killed.join("vault.journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[4096 + 60] ^= 1;
    fs::write(&journal, bytes).unwrap();
    assert!(Sealed::open_read_only(&killed).is_err());
    let dest = scene.path("out");
    let report = salvage(&killed, &password(), &dest, &mut |_| {}).unwrap();
    assert_eq!(fs::read(dest.join("note")).unwrap(), b"one.");
    assert!(
        report.problems.iter().any(|p| p.what.contains("journal")),
        "{report:?}"
    );
}
