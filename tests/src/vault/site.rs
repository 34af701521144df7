//! A mounted vault as a place to play streams in.

use super::Vault;
use crate::play::syscalls::Site;
use std::fs;
use std::path::{Path, PathBuf};

/// A mounted vault as a place to play streams in: its folder `stream`.
#[derive(Debug)]
pub struct VaultSite {
    vault: Vault,
    folder: PathBuf,
}

impl VaultSite {
    /// In this vault, which is mounted.
    pub fn new(vault: Vault) -> VaultSite {
        let folder = vault.mountpoint.join("stream");
        fs::create_dir(&folder).expect("the vault is new");
        VaultSite { vault, folder }
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Starts with an empty folder again.
    pub fn clear(&self) {
        fs::remove_dir_all(&self.folder).expect("what was made can be removed");
        fs::create_dir(&self.folder).expect("it was just removed");
    }
}

impl Site for &VaultSite {
    fn name(&self) -> String {
        "mounted vault".into()
    }

    fn root(&self) -> &Path {
        &self.folder
    }

    fn sync(&mut self) {
        let folder = fs::File::open(&self.folder).expect("it is there");
        folder.sync_all().expect("fsync of a folder");
    }

    fn remount(&mut self) {
        self.vault.lock();
        self.vault.mount();
    }
}
