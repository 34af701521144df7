//! Telling a mount of what its files come to show by themselves: merges, and versions of other
//! devices; and of names that follow what other devices said. No request of the kernel's brings those, so
//! they are announced to it.
//!
//! Guarantees: the vault is never waited for and never made to wait. What it showed is heard by a thread
//! that does nothing else, and kept by file until it is told, so that it takes no more room than there are files,
//! however long the kernel takes; names are kept in the order in which they changed. Whoever serves the mount and looks at a file hears before
//! that of all that the vault said until then, and takes the file for one that the kernel is not to be believed of.
//! The threads end with the vault, which they do not keep. It decides nothing about what a file shows.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread;

use coffer_store::tree::Kind;
use coffer_store::vault::{Changes, Renamed, Vault};
use parking_lot::{Condvar, Mutex};

use crate::adapter::{Announcer, Change, Place};
use crate::types::Ino;

/// What a vault shows from now on, to be told to a mount.
#[derive(Debug)]
pub struct Follow {
    vault: Weak<Vault>,
    changes: Receiver<Changes>,
    /// Says the same, a moment later: whoever waits for it has not locked what is to be heard.
    bell: Receiver<Changes>,
}

/// What is not yet told, by file: to say something twice is to say it once.
#[derive(Default)]
struct Untold {
    /// Files that show other bytes.
    merged: HashSet<Ino>,
    /// Files and folders that show other attributes.
    touched: HashSet<Ino>,
    /// Names that came, went or changed.
    renamed: Vec<Renamed>,
    /// The vault is gone.
    ended: bool,
}

/// What the threads share.
struct Heard {
    changes: Mutex<Receiver<Changes>>,
    untold: Mutex<Untold>,
    more: Condvar,
    announcer: Announcer,
}

impl Follow {
    /// Listens. Begun before the mount is served, it misses nothing that the kernel may remember.
    pub fn new(vault: &Arc<Vault>) -> Follow {
        // Subscribers are told in the order in which they came: what the bell says is in the other already.
        let changes = vault.subscribe();
        Follow {
            vault: Arc::downgrade(vault),
            changes,
            bell: vault.subscribe(),
        }
    }

    /// Announces all of it, from threads that end with the vault.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn announce(self, announcer: Announcer) -> io::Result<()> {
        let heard = Arc::new(Heard {
            changes: Mutex::new(self.changes),
            untold: Mutex::new(Untold::default()),
            more: Condvar::new(),
            announcer: announcer.clone(),
        });
        let (vault, tells) = (self.vault, heard.clone());
        let telling = thread::Builder::new().name("fuse-follow".into());
        telling.spawn(move || tells.tell(&vault))?;
        let (bell, hears) = (self.bell, heard.clone());
        let hearing = thread::Builder::new().name("fuse-hear".into());
        let hearing = hearing.spawn(move || {
            // It ends when the vault is gone, and with it the other end.
            while bell.recv().is_ok() {
                hears.hear();
            }
            hears.end();
        });
        if let Err(error) = hearing {
            heard.end();
            return Err(error);
        }
        let weak = Arc::downgrade(&heard);
        announcer.look_before(move || {
            if let Some(heard) = weak.upgrade() {
                heard.hear();
            }
        });
        Ok(())
    }
}

impl Heard {
    /// Takes in what the vault said. Waits for nobody but who does the same.
    fn hear(&self) {
        let changes = self.changes.lock();
        for changes in changes.try_iter() {
            // Each time anew: it was perhaps forgotten since the last.
            let others = changes.merged.iter().chain(&changes.put);
            others.for_each(|ino| self.announcer.mark(*ino));
            if self.untold.lock().take_in(&changes) {
                self.more.notify_one();
            }
        }
    }

    fn end(&self) {
        self.untold.lock().ended = true;
        self.more.notify_one();
    }

    /// Tells what was heard, again and again until the vault is gone.
    fn tell(&self, vault: &Weak<Vault>) {
        loop {
            let untold = {
                let mut untold = self.untold.lock();
                while untold.is_empty() && !untold.ended {
                    self.more.wait(&mut untold);
                }
                let ended = untold.ended;
                std::mem::replace(
                    &mut *untold,
                    Untold {
                        ended,
                        ..Untold::default()
                    },
                )
            };
            let Some(vault) = vault.upgrade() else { return };
            if untold.is_empty() {
                return;
            }
            for renamed in &untold.renamed {
                if let Some(change) = change_of(renamed) {
                    self.announcer.announce(change);
                }
            }
            let mut nameless = untold.files();
            let names = vault.names_of(&nameless);
            drop(vault);
            // Several names of one file: all their folders before it is told by one of them.
            let mut first: HashMap<Ino, Ino> = HashMap::new();
            for (ino, folder, _) in names.iter().filter(|(ino, ..)| untold.merged.contains(ino)) {
                let other = *first.entry(*ino).or_insert(*folder);
                if other != *folder {
                    self.announcer.pass(other);
                    self.announcer.pass(*folder);
                }
            }
            for (ino, folder, name) in names {
                nameless.remove(&ino);
                let at = Place::new(folder, name);
                self.announcer
                    .announce_marked(match untold.merged.contains(&ino) {
                        true => Change::Content { at, ino },
                        false => Change::Attributes { at, ino },
                    });
            }
            for ino in nameless {
                self.announcer.announce_marked_nameless(ino);
            }
        }
    }
}

/// A name that changed, as it is announced.
fn change_of(renamed: &Renamed) -> Option<Change> {
    let place = |at: &(Ino, Box<[u8]>)| Place::new(at.0, at.1.to_vec());
    let (ino, over) = (renamed.ino, None);
    Some(match (&renamed.from, &renamed.to) {
        (None, Some(to)) => Change::Made {
            at: place(to),
            ino,
            over,
        },
        (Some(from), Some(to)) => Change::Moved {
            from: place(from),
            to: place(to),
            ino,
            over,
        },
        (Some(from), None) => Change::Removed {
            at: place(from),
            ino,
            folder: renamed.kind == Kind::Folder,
        },
        (None, None) => return None,
    })
}

impl Untold {
    fn is_empty(&self) -> bool {
        self.merged.is_empty() && self.touched.is_empty() && self.renamed.is_empty()
    }

    fn files(&self) -> HashSet<Ino> {
        self.merged.union(&self.touched).copied().collect()
    }

    /// Adds what was said; whether there is something new to tell. What came through the kernel, or is
    /// announced by who brought it, is not told here.
    fn take_in(&mut self, changes: &Changes) -> bool {
        let before = self.merged.len() + self.touched.len();
        self.merged.extend(&changes.merged);
        self.touched.extend(&changes.touched);
        self.renamed.extend_from_slice(&changes.renamed);
        self.merged.len() + self.touched.len() > before || !changes.renamed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the bound: while nobody is told, saying the same again takes no room; and what is no news of
    /// ours wakes nobody.
    #[test]
    fn what_is_said_twice_is_kept_once() {
        let mut untold = Untold::default();
        let say = |untold: &mut Untold, merged: &[Ino], touched: &[Ino]| {
            untold.take_in(&Changes {
                inodes: (0..100).collect(),
                merged: merged.to_vec(),
                touched: touched.to_vec(),
                ..Changes::default()
            })
        };
        assert!(!say(&mut untold, &[], &[]) && untold.is_empty());
        assert!(say(&mut untold, &[5], &[]));
        assert!(say(&mut untold, &[], &[6, 7]));
        for _ in 0..1000 {
            assert!(!say(&mut untold, &[5], &[6, 7]));
        }
        assert!(
            say(&mut untold, &[6], &[]),
            "other bytes are more than other attributes"
        );
        assert_eq!((untold.merged.len(), untold.touched.len()), (2, 2));
        assert_eq!(untold.files(), HashSet::from([5, 6, 7]));
    }
}
