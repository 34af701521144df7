//! Telling the mount what came back, so that no program is shown what was before.

use super::super::Mount;
use coffer_fs::adapter::Changed;
use std::time::Duration;

/// How long the kernel may take. It waits for whoever works in the folder.
const FORGET: Duration = Duration::from_secs(30);

/// Where changes are told; nobody is, if the vault is not mounted.
pub(super) struct Announce<'a>(pub(super) Option<&'a Mount>);

impl Announce<'_> {
    /// A file has other bytes than before.
    pub(super) fn content(&self, folder: u64, name: &[u8], file: u64) {
        self.tell(folder, name, Some(file));
    }

    /// Something came to be where nothing was.
    pub(super) fn made(&self, folder: u64, name: &[u8]) {
        self.tell(folder, name, None);
    }

    /// Waits until all of it is known.
    pub(super) fn settle(&self) {
        if let Some(mount) = self.0 {
            mount.announcer().settle(FORGET);
        }
    }

    fn tell(&self, folder: u64, name: &[u8], file: Option<u64>) {
        if let Some(mount) = self.0 {
            mount.announcer().announce(Changed {
                folder,
                name: name.to_vec(),
                file,
            });
        }
    }
}
