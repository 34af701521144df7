//! The vault's file system without a kernel, on a disk in memory: what the suites play on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use coffer_fs::vaultfs::CofferFs;
use coffer_store::io::Disk;
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{CheckOptions, CheckReport, Identity, Sealed, Subject, Vault};

use crate::play::direct::Bench;

/// The password of every vault in the suites.
pub fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

/// Makes a vault on a disk, with the cheapest password derivation that is allowed.
pub fn create(disk: &SimDisk) -> Arc<Vault> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None)
        .expect("a new vault on an empty disk")
        .0
}

/// A disk with a vault that nothing was put in yet: a copy of the same one each time, so
/// that suites which need thousands do not derive thousands of passwords.
pub fn empty() -> SimDisk {
    static EMPTY: OnceLock<SimDisk> = OnceLock::new();
    let disk = EMPTY.get_or_init(|| {
        let disk = SimDisk::new();
        create(&disk).close().expect("a vault closes on a healthy disk");
        disk
    });
    disk.crash_all_kept()
}

/// Opens it again.
pub fn open(disk: &SimDisk) -> Arc<Vault> {
    try_open(disk).expect("the vault opens")
}

/// The same, or why not.
///
/// # Errors
/// What opening or unlocking said.
pub fn try_open(disk: &SimDisk) -> Result<Arc<Vault>, String> {
    try_open_on(Arc::new(disk.clone()))
}

/// The same on any disk.
///
/// # Errors
/// What opening or unlocking said.
pub fn try_open_on(disk: Arc<dyn Disk>) -> Result<Arc<Vault>, String> {
    let sealed = Sealed::open_on(disk, PathBuf::from("sim"), None).map_err(|e| e.to_string())?;
    sealed
        .unlock(&password(), Identity::Same)
        .map_err(|e| e.to_string())
}

/// Writes a disk's files, as they are now, into a new folder.
pub fn write_out(disk: &SimDisk, folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder can be made");
    for name in disk.list().expect("a simulated disk lists its files") {
        let file = disk.open(&name).expect("it was just listed");
        let mut bytes = vec![0; file.len().expect("it has a length") as usize];
        file.read_at(0, &mut bytes).expect("it is as long as it says");
        std::fs::write(folder.join(name), bytes).expect("a file can be written");
    }
}

/// An ordinary file's attributes, as of now.
pub fn file_meta() -> Meta {
    let now = Time::now();
    Meta {
        kind: Kind::File,
        perm: 0o644,
        uid: 0,
        gid: 0,
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    }
}

/// Checks a vault, every byte of it.
pub fn check(vault: &Vault) -> CheckReport {
    vault
        .check(CheckOptions { read_data: true }, &mut |_| {})
        .expect("a check goes through")
}

/// The file system under test.
pub struct Engine {
    disk: SimDisk,
    fs: Arc<CofferFs>,
}

impl Default for Engine {
    fn default() -> Engine {
        let disk = SimDisk::new();
        let fs = Arc::new(CofferFs::new(create(&disk)).expect("threads can be started"));
        Engine { disk, fs }
    }
}

impl Engine {
    /// Its disk.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }
}

impl Bench for Engine {
    type Fs = CofferFs;

    fn name(&self) -> String {
        "vault".into()
    }

    fn fs(&self) -> Arc<CofferFs> {
        self.fs.clone()
    }

    fn sync(&mut self) {
        self.fs.vault().commit().expect("a commit on a healthy disk");
    }

    fn remount(&mut self) {
        self.fs.vault().close().expect("a vault closes on a healthy disk");
        let vault = open(&self.disk);
        self.fs = Arc::new(CofferFs::new(vault).expect("threads can be started"));
        self.verify()
            .unwrap_or_else(|what| panic!("after a remount: {what}"));
    }

    fn verify(&mut self) -> Result<(), String> {
        let problems = check(self.fs.vault()).problems;
        if problems.is_empty() {
            Ok(())
        } else {
            Err(format!("check finds {problems:?}"))
        }
    }
}

/// Lets go of everything that was removed, so that its room can be given back.
pub fn forget_removed(vault: &Vault) {
    for gone in vault.removed().expect("what was removed can be listed") {
        vault
            .purge(Subject::Removed(gone.node))
            .expect("it can be purged");
    }
}
