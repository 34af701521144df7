//! Guards history where room is short, or seems to be: it is given for room that was refused and that
//! it can give back, and for nothing else.

mod history_support;

use std::fmt;
use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use coffer_store::db::{Batch, Db, Table};
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::io::{Disk, DiskFile, Space};
use coffer_store::keys::KdfParams;
use coffer_store::tree::Kind;
use coffer_store::vault::{Subject, Vault};
use history_support::*;

/// A disk that refuses to write packs with this errno, if that is not 0.
#[derive(Clone)]
struct NoPacks(SimDisk, Arc<AtomicI32>);

struct Pack(Arc<dyn DiskFile>, Arc<AtomicI32>);

impl fmt::Debug for NoPacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl NoPacks {
    fn file(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        match name.contains("pack") {
            true => Arc::new(Pack(file, self.1.clone())),
            false => file,
        }
    }
}

impl Disk for NoPacks {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(name, self.0.open(name)?))
    }
    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(name, self.0.create(name)?))
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.0.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to)
    }
    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }
    fn sync_dir(&self) -> Result<()> {
        self.0.sync_dir()
    }
    fn space(&self) -> Result<Space> {
        self.0.space()
    }
}

impl DiskFile for Pack {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.0.read_at(offset, out)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        match self.1.load(Ordering::SeqCst) {
            0 => self.0.write_at(offset, data),
            errno => Err(Error::from_raw_os_error(errno)),
        }
    }
    fn set_len(&self, len: u64) -> Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<()> {
        self.0.sync_data()
    }
}

/// How many files each vault has in its trash, and how large they are.
const REMOVED: usize = 6;
const SIZE: usize = 2 << 20;

fn remove_some(vault: &Vault, rng: &mut SplitMix64) {
    for i in 0..REMOVED {
        let name = format!("{i:02}");
        let ino = make(vault, TOP, &name);
        save_version(vault, ino, &rng.bytes(SIZE));
        vault.remove(TOP, name.as_bytes(), false).unwrap();
        vault.commit().unwrap();
    }
}

/// Writes until there is no room.
fn be_refused(vault: &Vault, rng: &mut SplitMix64) {
    let refused = (0..256).find_map(|i| {
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
}

/// A damaged vault gives nothing back, on purpose: after one refusal all its history was destroyed,
/// version by version, at each look of the keeper, and freed nothing.
#[test]
fn a_damaged_vault_gives_no_history() {
    let disk = SimDisk::new();
    let mut rng = SplitMix64(1);
    let vault = create(&disk);
    vault.limit_packs(4 << 20);
    remove_some(&vault, &mut rng);
    vault.close().unwrap();
    drop(vault);
    let db = Db::open(Arc::new(disk.clone())).unwrap();
    let mut rows = Vec::new();
    db.scan(Table::Removed, b"", &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    })
    .unwrap();
    let (key, mut value) = rows.swap_remove(0);
    value[30] ^= 1;
    let mut batch = Batch::new();
    batch.put(Table::Removed, key, value);
    db.apply(&batch).unwrap();
    db.close();
    drop(db);
    let vault = open(&disk);
    disk.set_free(Some(32 << 20));
    assert_eq!(vault.removed().unwrap().len(), REMOVED - 1);
    be_refused(&vault, &mut rng);
    for _ in 0..5 {
        vault.tend();
        assert!(
            vault.collect().is_err(),
            "nothing is given back of a damaged vault"
        );
    }
    assert_eq!(vault.removed().unwrap().len(), REMOVED - 1);
    assert_eq!(vault.status().unwrap().early, 0);
}

/// A disk that fails has not refused anything for want of room; and where not even the collection's
/// own commit goes through, letting go of history gives nothing back. It was destroyed in both cases.
#[test]
fn a_disk_that_fails_takes_no_history() {
    for errno in [libc::EIO, libc::ENOSPC] {
        let sim = SimDisk::new();
        let disk = NoPacks(sim.clone(), Arc::default());
        let made = Vault::create_on(Arc::new(disk.clone()), &password(), KdfParams::FLOOR, false, None);
        let vault = made.unwrap().0;
        vault.stop_keeper();
        let mut rng = SplitMix64(2);
        remove_some(&vault, &mut rng);
        // Little is left, but enough.
        sim.set_free(Some(12 << 20));
        disk.1.store(errno, Ordering::SeqCst);
        let ino = make(&vault, TOP, "saved");
        save(&vault, ino, &rng.bytes(20_000));
        assert!(vault.tick().is_err());
        for _ in 0..5 {
            vault.tend();
        }
        disk.1.store(0, Ordering::SeqCst);
        vault.tick().unwrap();
        assert_eq!(vault.removed().unwrap().len(), REMOVED, "{errno}");
        assert_eq!(vault.status().unwrap().early, 0);
        check(&vault);
    }
}

/// Where the first of it frees nothing, since what is there holds the same bytes, no more is given:
/// all of it went, for nothing.
#[test]
fn history_that_frees_nothing_is_kept() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let mut rng = SplitMix64(3);
    let bytes = rng.bytes(7 << 20);
    let ino = make(&vault, TOP, "there");
    save_version(&vault, ino, &bytes);
    for i in 0..14 {
        let name = format!("{i:02}");
        let ino = make(&vault, TOP, &name);
        save_version(&vault, ino, &bytes);
        vault.remove(TOP, name.as_bytes(), false).unwrap();
        vault.commit().unwrap();
    }
    vault.collect().unwrap();
    disk.set_free(Some(100 << 20));
    vault.limit_packs(4 << 20);
    be_refused(&vault, &mut rng);
    for _ in 0..20 {
        vault.tend();
    }
    let left = vault.removed().unwrap().len();
    assert!(left >= 14 - 4, "{left} are left");
    check(&vault);
}

/// The trash could not be listed on a full disk, since that began with a commit: whoever looked for what could go was told
/// that there is no room.
#[test]
fn the_trash_is_listed_on_a_full_disk() {
    let disk = NoPacks(SimDisk::new(), Arc::default());
    let made = Vault::create_on(Arc::new(disk.clone()), &password(), KdfParams::FLOOR, false, None);
    let vault = made.unwrap().0;
    vault.stop_keeper();
    let mut rng = SplitMix64(3);
    remove_some(&vault, &mut rng);
    let kept = make(&vault, TOP, "kept");
    save_version(&vault, kept, &rng.bytes(20_000));
    disk.1.store(libc::ENOSPC, Ordering::SeqCst);
    save(&vault, kept, &rng.bytes(20_000));
    assert_eq!(vault.tick().unwrap_err().errno(), libc::ENOSPC);
    assert_eq!(vault.removed().unwrap().len(), REMOVED);
    assert_eq!(
        vault.versions(Subject::File(kept)).unwrap().len(),
        1,
        "what is recorded"
    );
    disk.1.store(libc::EIO, Ordering::SeqCst);
    assert_eq!(
        vault.removed().unwrap_err().errno(),
        libc::EIO,
        "a disk that fails is said"
    );
    disk.1.store(0, Ordering::SeqCst);
    vault.tick().unwrap();
    assert_eq!(vault.versions(Subject::File(kept)).unwrap().len(), 2);
    check(&vault);
}

/// Writes 16 MiB into a new file, at once; the errno if that is refused.
fn write_much(vault: &Vault, name: &str, rng: &mut SplitMix64) -> std::result::Result<(), i32> {
    let ino = make(vault, TOP, name);
    vault.open(ino, true, false, false).unwrap();
    let written = vault.write(ino, Some(0), &rng.bytes(16 << 20), false);
    vault.release(ino, true);
    written.map(drop).map_err(|e| e.errno())
}

/// A save cuts a file to nothing first: its former bytes are dropped then, and become history once the save is told. On a full
/// disk history was asked in between, and not again before something else was dropped: all writes were refused beside
/// history that could have made room.
#[test]
fn what_became_history_since_it_was_asked_makes_room() {
    for small in [&b""[..], b"small"] {
        let disk = SimDisk::new();
        let mut rng = SplitMix64(5);
        let vault = create(&disk);
        vault.limit_packs(4 << 20);
        disk.set_free(Some(96 << 20));
        let large = make(&vault, TOP, "large");
        save_version(&vault, large, &rng.bytes(24 << 20));
        be_refused(&vault, &mut rng);
        vault.tend();
        assert!(!vault.tend(), "history has nothing to give");
        vault.open(large, true, true, false).unwrap();
        vault.write(large, Some(0), small, false).unwrap();
        assert!(vault.tend(), "something was dropped");
        assert!(!vault.tend());
        vault.release(large, true);
        vault.commit().unwrap();
        assert_eq!(versions(&vault, Subject::File(large)).len(), 2);
        assert_eq!(write_much(&vault, "refused", &mut rng), Err(libc::ENOSPC));
        assert!(vault.tend(), "it has by now");
        assert_eq!(vault.status().unwrap().early, 1);
        write_much(&vault, "taken", &mut rng).unwrap();
        check(&vault);
    }
}
