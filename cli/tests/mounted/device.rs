//! A second device with the vault of a [`Mounted`]: it has a store of its own, and events are carried
//! between the two by hand.

use super::{Mounted, PATIENCE};
use coffer_store::ids::ROOT;
use coffer_store::keys::Password;
use coffer_store::vault::{Identity, OpenError, Sealed, Vault};
use std::sync::Arc;
use std::time::Instant;

/// See the module.
pub struct Device {
    pub vault: Arc<Vault>,
    /// How far the other has its events, and it those of the other.
    told: u64,
    heard: u64,
}

impl Device {
    /// It has all that the mounted vault has.
    pub fn of(here: &Mounted) -> Device {
        let dir = here.outside().join("the other device");
        // What is not told yet would be told by both, each as a text of its own: and the kernel says late
        // that who has just written has closed.
        let end = Instant::now() + PATIENCE;
        for entry in std::fs::read_dir(here.path("")).unwrap() {
            let ino = here
                .vault
                .lookup(ROOT, entry.unwrap().file_name().as_encoded_bytes());
            let ino = ino.unwrap();
            while here.vault.is_being_written(ino) {
                assert!(Instant::now() < end, "a file is never released");
                std::thread::yield_now();
            }
        }
        here.vault.commit().unwrap();
        here.vault.backup(&dir, &mut |_, _| {}).unwrap();
        let password = Password::new(b"a password".to_vec());
        // A child that a test beside this one has just begun may have its lock still, until it is another
        // program.
        let end = Instant::now() + PATIENCE;
        let vault = loop {
            match Sealed::open(&dir) {
                Err(OpenError::Held(_)) if Instant::now() < end => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        let vault = vault.unlock(&password, Identity::NewDevice).unwrap();
        let told = here.vault.told_after(0).unwrap();
        let heard = told.last().map_or(0, |carried| carried.row.last().unwrap());
        Device {
            vault,
            told: 0,
            heard,
        }
    }

    pub fn text(&self, name: &str) -> String {
        let mut out = Vec::new();
        let ino = self.vault.lookup(ROOT, name.as_bytes()).unwrap();
        self.vault.read(ino, 0, 4 << 20, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Writes over a note, as a program of this device that has just read it.
    pub fn save(&self, name: &str, text: &str) {
        let ino = self.vault.lookup(ROOT, name.as_bytes()).unwrap();
        self.vault.open_by(4_100_007, ino, false, false, false).unwrap();
        self.vault.release(ino, false);
        self.vault.open_by(4_100_007, ino, true, true, false).unwrap();
        self.vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
        self.vault.release(ino, true);
    }

    /// What it has told since then comes to the mounted vault.
    pub fn send(&mut self, here: &Mounted) {
        self.vault.commit().unwrap();
        for carried in self.vault.told_after(self.told).unwrap() {
            here.vault.take_in(&self.vault.device(), &carried).unwrap();
            self.told = carried.row.last().unwrap();
        }
    }

    /// What the mounted vault has told since then comes to it.
    pub fn hear(&mut self, here: &Mounted) {
        here.vault.commit().unwrap();
        for carried in here.vault.told_after(self.heard).unwrap() {
            self.vault.take_in(&here.vault.device(), &carried).unwrap();
            self.heard = carried.row.last().unwrap();
        }
    }
}
