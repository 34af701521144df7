//! Guards vaults of earlier trials of the formats: they are refused before a password is tried, and by salvage
//! too, in words that say what to do; not a byte of them is changed.

mod history_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coffer_store::db::{Batch, Db, Table};
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::keys::KdfParams;
use coffer_store::vault::{OpenError, SalvageError, Sealed, Vault, salvage};
use history_support::password;

/// A vault whose header says that it is of the earlier trial.
fn earlier(dir: &Path) {
    fs::create_dir(dir).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    let made = Vault::create_on(disk.clone(), &password(), KdfParams::FLOOR, false, None);
    let (vault, _) = made.unwrap();
    vault.close().unwrap();
    drop(vault);
    let db = Db::open(disk).unwrap();
    let mut header = db.get(Table::Meta, b"header").unwrap().unwrap();
    assert_eq!(header[8..10], [6, 0]);
    header[8] = 0;
    let mut batch = Batch::new();
    batch.put(Table::Meta, b"header", header);
    db.apply(&batch).unwrap();
    drop(db);
    let path = dir.join("vault.key");
    let mut key = fs::read(&path).unwrap();
    assert_eq!(&key[..8], b"COFFERK6");
    key[7] = b'0';
    fs::write(path, key).unwrap();
}

/// Every file's name and bytes, but for the lock, which says nothing.
fn bytes(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| !path.ends_with("lock"));
    let mut all: Vec<_> = paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn an_earlier_trial_is_refused() {
    let scene = tempfile::tempdir().unwrap();
    let dir = scene.path().join("vault");
    earlier(&dir);
    let before = bytes(&dir);
    let refused = Sealed::open_read_only(&dir).err().unwrap();
    assert!(matches!(refused, OpenError::Trial), "{refused}");
    let says = refused.to_string();
    assert!(
        says.contains("earlier trial version") && says.contains("export its files"),
        "{says}"
    );
    let salvaged = || salvage(&dir, &password(), &scene.path().join("out"), &mut |_| {});
    let refused = |e| matches!(e, Err(SalvageError::Open(OpenError::Trial)));
    assert!(refused(salvaged()));
    for ((name, now), (_, then)) in bytes(&dir).iter().zip(&before) {
        assert!(now == then, "{} was changed", name.display());
    }
    assert_eq!(bytes(&dir).len(), before.len());
    // Where the database is lost, the key file says it.
    fs::write(dir.join("vault.redb"), b"nothing of it is left").unwrap();
    assert!(refused(salvaged()));
    assert!(matches!(Sealed::open(&dir), Err(OpenError::Db(_))));
}
