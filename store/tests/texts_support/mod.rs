//! What the suites of texts in the vault share: a vault on a disk in memory, and editors that open,
//! keep and save notes in it.

#![allow(unreachable_pub, dead_code)] // a module of each test program; each uses a part

pub mod pair;

use std::path::PathBuf;
use std::sync::Arc;

use coffer_store::event::Form;
use coffer_store::ids::{EntityId, EventRef, Ino, ROOT};
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{CheckOptions, Identity, Process, Sealed, Subject, Vault, VersionInfo};

/// Two processes that are none, and so different ones.
pub const VIM: Process = 4_100_001;
pub const EMACS: Process = 4_100_002;

pub fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

pub fn meta() -> Meta {
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

/// What one knows of the space's devices comes to another.
pub fn introduce(from: &Vault, to: &Vault) {
    let (want, have) = to.lacking_statements(&from.statement_heads());
    let (statements, more) = from.statements(&want, &have, 0, usize::MAX);
    assert!(!more);
    for bytes in statements {
        to.take_statement(&bytes).unwrap();
    }
}

/// A vault in which only the test commits.
pub struct Bench {
    pub disk: SimDisk,
    pub vault: Arc<Vault>,
}

impl Bench {
    pub fn new() -> Bench {
        let disk = SimDisk::new();
        let made = Vault::create_on(Arc::new(disk.clone()), &password(), KdfParams::FLOOR, false, None);
        let vault = made.unwrap().0;
        vault.stop_keeper();
        Bench { disk, vault }
    }

    pub fn on(disk: SimDisk, identity: Identity) -> Bench {
        let sealed = Sealed::open_on(Arc::new(disk.clone()), PathBuf::from("sim"), None).unwrap();
        let vault = sealed.unlock(&password(), identity).unwrap();
        vault.stop_keeper();
        Bench { disk, vault }
    }

    /// Locked, and unlocked again.
    pub fn again(self) -> Bench {
        self.vault.close().unwrap();
        let disk = self.disk.clone();
        drop(self);
        Bench::on(disk, Identity::Same)
    }

    /// After a power cut that loses what was not synced.
    pub fn crashed(&self) -> Bench {
        Bench::on(self.disk.crash_all_lost(), Identity::Same)
    }

    pub fn tell(&self) {
        self.vault.tick().unwrap();
    }

    pub fn ino(&self, name: &str) -> Ino {
        self.vault.lookup(ROOT, name.as_bytes()).unwrap()
    }

    pub fn entity(&self, name: &str) -> EntityId {
        self.vault.entity(self.ino(name)).unwrap()
    }

    /// What a process reads.
    pub fn read(&self, who: Process, name: &str) -> String {
        let ino = self.ino(name);
        self.vault.open_by(who, ino, false, false, false).unwrap();
        let mut out = Vec::new();
        self.vault.read(ino, 0, 4 << 20, &mut out).unwrap();
        self.vault.release(ino, false);
        String::from_utf8(out).unwrap()
    }

    /// What the file shows; nobody is noted to have seen it.
    pub fn text(&self, name: &str) -> String {
        let mut out = Vec::new();
        self.vault.read(self.ino(name), 0, 4 << 20, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What the file shows, whatever it is.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.vault.read(self.ino(name), 0, 4 << 20, &mut out).unwrap();
        out
    }

    /// The events that name what the file shows.
    pub fn names(&self, name: &str) -> Vec<EventRef> {
        let mut names = self.vault.shows(self.ino(name)).unwrap();
        names.sort_unstable();
        names
    }

    /// Saves as an editor does that writes over the file.
    pub fn save(&self, who: Process, name: &str, bytes: impl AsRef<[u8]>) {
        let ino = match self.vault.lookup(ROOT, name.as_bytes()) {
            Ok(ino) => ino,
            Err(_) => self
                .vault
                .make_by(who, ROOT, name.as_bytes(), meta(), b"")
                .unwrap(),
        };
        self.vault.open_by(who, ino, true, true, false).unwrap();
        self.vault.write(ino, Some(0), bytes.as_ref(), false).unwrap();
        self.vault.release(ino, true);
    }

    /// Saves as an editor does that puts a new file in the place of the old one.
    pub fn save_by_rename(&self, who: Process, name: &str, bytes: impl AsRef<[u8]>) {
        let new = format!(".{name}.x7Qa9Z");
        self.save(who, &new, bytes);
        let (from, to) = ((ROOT, new.as_bytes()), (ROOT, name.as_bytes()));
        self.vault.rename_by(who, from, to, false).unwrap();
    }

    pub fn chmod(&self, name: &str, perm: u16) {
        let change = coffer_store::vault::Change {
            perm: Some(perm),
            ..Default::default()
        };
        self.vault.change(self.ino(name), change).unwrap();
    }

    pub fn versions(&self, name: &str) -> Vec<VersionInfo> {
        self.vault.versions(Subject::File(self.ino(name))).unwrap()
    }

    pub fn forms(&self, name: &str) -> Vec<Form> {
        self.versions(name).iter().map(|version| version.form).collect()
    }

    /// The bytes of a version.
    pub fn version(&self, name: &str, number: u64) -> Vec<u8> {
        let version = self
            .vault
            .open_version(Subject::File(self.ino(name)), number)
            .unwrap();
        let mut out = Vec::new();
        version.read(&self.vault, 0, 4 << 20, &mut out).unwrap();
        assert_eq!(out.len() as u64, version.info.size);
        out
    }

    /// All that is stored is whole.
    pub fn check(&self) {
        let options = CheckOptions { read_data: true };
        let report = self.vault.check(options, &mut |_| {}).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}
