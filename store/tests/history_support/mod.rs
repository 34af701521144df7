//! What the suites of history share: a vault on a disk in memory, and files saved into it.

#![allow(unreachable_pub, dead_code)] // a module of each test program; each uses a part

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use coffer_store::chunk::pack::{Packs, ScanItem};
use coffer_store::event::EventRef;
use coffer_store::ids::{Ino, ROOT};
use coffer_store::io::Disk;
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::testing;
use coffer_store::tree::Kind;
use coffer_store::vault::{At, CheckOptions, Identity, Removed, Sealed, Subject, Vault, VersionInfo};

pub fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

/// A new vault in which only the test commits.
pub fn create(disk: &SimDisk) -> Arc<Vault> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let made = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None);
    let vault = made.unwrap().0;
    vault.stop_keeper();
    vault
}

pub fn open(disk: &SimDisk) -> Arc<Vault> {
    try_open(disk).unwrap()
}

pub fn try_open(disk: &SimDisk) -> Result<Arc<Vault>, String> {
    let sealed = Sealed::open_on(Arc::new(disk.clone()), PathBuf::from("sim"), None);
    let vault = sealed
        .map_err(|e| e.to_string())?
        .unlock(&password(), Identity::Same);
    let vault = vault.map_err(|e| e.to_string())?;
    vault.stop_keeper();
    Ok(vault)
}

pub fn meta(kind: Kind) -> Meta {
    let now = Time::now();
    Meta {
        kind,
        perm: 0o644,
        uid: 7,
        gid: 8,
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    }
}

pub fn folder(vault: &Vault, parent: Ino, name: &str) -> Ino {
    vault
        .make(parent, name.as_bytes(), meta(Kind::Folder), b"")
        .unwrap()
}

/// A new, empty file.
pub fn make(vault: &Vault, parent: Ino, name: &str) -> Ino {
    vault
        .make(parent, name.as_bytes(), meta(Kind::File), b"")
        .unwrap()
}

/// Saves a file as an editor does that truncates it first.
pub fn save(vault: &Vault, ino: Ino, bytes: &[u8]) {
    vault.open(ino, true, true, false).unwrap();
    for (i, part) in bytes.chunks(1 << 20).enumerate() {
        vault.write(ino, Some((i << 20) as u64), part, false).unwrap();
    }
    vault.release(ino, true);
}

/// The same, told.
pub fn save_version(vault: &Vault, ino: Ino, bytes: &[u8]) {
    save(vault, ino, bytes);
    vault.commit().unwrap();
}

pub fn read(vault: &Vault, ino: Ino) -> Vec<u8> {
    let mut bytes = Vec::new();
    vault.read(ino, 0, 1 << 30, &mut bytes).unwrap();
    bytes
}

pub fn read_version(vault: &Vault, of: Subject, number: u64) -> Result<Vec<u8>, i32> {
    let version = vault.open_version(of, number).map_err(|e| e.errno())?;
    let mut bytes = Vec::new();
    version
        .read(vault, 0, 1 << 30, &mut bytes)
        .map_err(|e| e.errno())?;
    assert_eq!(bytes.len() as u64, version.info.size);
    Ok(bytes)
}

pub fn versions(vault: &Vault, of: Subject) -> Vec<VersionInfo> {
    vault.versions(of).unwrap()
}

pub fn at(folder: Ino, name: &str) -> At<'_> {
    At {
        folder,
        name: name.as_bytes(),
        replace: false,
        keep_times: false,
    }
}

/// The one removed thing that was at this path.
pub fn gone(vault: &Vault, path: &str) -> Removed {
    let all = vault.removed().unwrap();
    let mut found = all.iter().filter(|gone| gone.path == path.as_bytes());
    let one = found
        .next()
        .unwrap_or_else(|| panic!("{path} is not among {all:?}"));
    assert!(found.next().is_none(), "{path} is there twice");
    one.clone()
}

/// Nothing is amiss, to the last byte.
pub fn check(vault: &Vault) {
    let report = vault
        .check(CheckOptions { read_data: true }, &mut |_| {})
        .unwrap();
    assert_eq!(report.problems, Vec::new());
}

/// Whether any pack holds these bytes, which some record is made of.
pub fn packs_hold(disk: &SimDisk, bytes: &[u8]) -> bool {
    let packs = disk.list().unwrap();
    packs.iter().filter(|name| name.contains("pack")).any(|name| {
        let file = disk.open(name).unwrap();
        let mut all = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut all).unwrap();
        all.windows(bytes.len()).any(|window| window == bytes)
    })
}

/// The root folder.
pub const TOP: Ino = ROOT;

/// What lies in packs: the payload and wrapped key of each event, all chunks and extents.
#[derive(Default)]
pub struct InPacks {
    pub payloads: HashMap<EventRef, Vec<u8>>,
    pub keys: HashMap<EventRef, Vec<u8>>,
    pub chunks: HashMap<[u8; 32], Vec<u8>>,
    /// Parts of files before they were versions.
    pub extents: Vec<Vec<u8>>,
}

/// Reads the packs as salvage does, without the database.
pub fn in_packs(disk: &SimDisk) -> InPacks {
    let packs = Packs::open(Arc::new(disk.clone()), &[]).unwrap();
    let mut found = InPacks::default();
    for info in packs.list() {
        let mut records = Vec::new();
        packs
            .scan(info.pack, &mut |item| {
                if let ScanItem::Record { kind, id, place } = item {
                    records.push((kind, id, place));
                }
            })
            .unwrap();
        for (kind, id, place) in records {
            let mut bytes = vec![0; place.len as usize];
            packs.read(place, 0, &mut bytes).unwrap();
            match kind {
                4 => found.extents.push(bytes),
                12 | 13 => drop(found.chunks.insert(id, bytes)),
                14 => events(&bytes, &mut found),
                _ => {}
            }
        }
    }
    found
}

fn events(bytes: &[u8], found: &mut InPacks) {
    for (event, _) in testing::events(bytes).unwrap().1 {
        if let Some(sealed) = event.sealed {
            found.payloads.insert(event.head.at, sealed);
        }
        if let Some(key) = event.wrapped {
            found.keys.insert(event.head.at, key.to_vec());
        }
    }
}
