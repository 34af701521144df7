//! Telling the mount what came back, so that no program is shown what was before, and whoever
//! watches hears of it.

use super::super::Mount;
use coffer_fs::adapter::{Change, Place};
use std::time::Duration;

/// How long that may take: it waits for whoever works in the folder.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where changes are told; nobody is, if the vault is not mounted.
pub(super) struct Announce<'a>(pub(super) Option<&'a Mount>);

impl Announce<'_> {
    /// A file has other bytes than before.
    pub(super) fn content(&self, folder: u64, name: &[u8], ino: u64) {
        let at = Place::new(folder, name);
        self.tell(Change::Content { at, ino });
    }

    /// A file that has no name any more has other bytes; somebody may have it open.
    pub(super) fn nameless(&self, ino: u64) {
        if let Some(mount) = self.0 {
            mount.announcer().announce_nameless(ino);
        }
    }

    /// Something came to be where nothing was.
    pub(super) fn made(&self, folder: u64, name: &[u8], ino: u64) {
        let at = Place::new(folder, name);
        self.tell(Change::Made { at, ino, over: None });
    }

    /// Waits until all of it is known.
    pub(super) fn settle(&self) {
        if let Some(mount) = self.0 {
            mount.announcer().settle(PATIENCE);
        }
    }

    fn tell(&self, change: Change) {
        if let Some(mount) = self.0 {
            mount.announcer().announce(change);
        }
    }
}
