//! Telling a mount of what its files come to show by themselves: merges, and versions of other
//! devices. No request of the kernel's brings those, so they are announced to it.
//!
//! Guarantees: the vault is never waited for and never made to wait, since what it showed is heard
//! from a queue, by a thread of its own, when it is so already; and the thread ends with the vault,
//! which it does not keep. It decides nothing about what a file shows.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread;

use coffer_store::vault::{Changes, Vault};

use crate::adapter::{Announcer, Change, Place};
use crate::types::Ino;

/// What a vault shows from now on, to be told to a mount.
#[derive(Debug)]
pub struct Follow {
    vault: Weak<Vault>,
    changes: Receiver<Changes>,
}

impl Follow {
    /// Listens. Begun before the mount is served, it misses nothing that the kernel may remember.
    pub fn new(vault: &Arc<Vault>) -> Follow {
        Follow {
            vault: Arc::downgrade(vault),
            changes: vault.subscribe(),
        }
    }

    /// Announces all of it, from a thread that ends with the vault.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn announce(self, announcer: Announcer) -> io::Result<()> {
        let thread = thread::Builder::new().name("fuse-follow".into());
        thread.spawn(move || self.work(&announcer)).map(drop)
    }

    fn work(self, announcer: &Announcer) {
        // It ends when the vault is gone, and with it the other end.
        while let Ok(first) = self.changes.recv() {
            let (mut merged, mut touched) = (HashSet::new(), HashSet::new());
            for changes in std::iter::once(first).chain(self.changes.try_iter()) {
                merged.extend(changes.merged);
                touched.extend(changes.touched);
            }
            let all: HashSet<Ino> = merged.union(&touched).copied().collect();
            if all.is_empty() {
                continue; // what came through the kernel, or was announced by who brought it
            }
            let Some(vault) = self.vault.upgrade() else { return };
            let names = vault.names_of(&all);
            drop(vault);
            for (ino, folder, name) in names {
                let at = Place::new(folder, name);
                announcer.announce(match merged.contains(&ino) {
                    true => Change::Content { at, ino },
                    false => Change::Attributes { at, ino },
                });
            }
        }
    }
}
