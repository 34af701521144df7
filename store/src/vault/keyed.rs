//! Between the password and the open vault: what the store says of itself before it is taken
//! into use, so that whoever remembers it from another day can ask which one this is.

use std::sync::Arc;

use super::Vault;
use super::open::{Identity, Sealed, UnlockVaultError};
use crate::ids::ChainId;
use crate::keys::{MasterKey, Password};

/// A vault whose password is known, and that nobody uses yet: nothing of it is changed.
pub struct Keyed {
    sealed: Sealed,
    master: MasterKey,
}

/// How far a store is. One that was put back from another day is less far, or on another chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The chain that it goes on with.
    pub chain: ChainId,
    /// How many transactions there were, on this chain and before.
    pub commits: u64,
}

impl Sealed {
    /// Opens the head by the password.
    ///
    /// # Errors
    /// As [`UnlockVaultError`] says.
    pub fn key(self, password: &Password) -> Result<Keyed, UnlockVaultError> {
        let master = self.header().unlock(password)?;
        Ok(Keyed { sealed: self, master })
    }
}

impl Keyed {
    /// How far it is.
    ///
    /// # Errors
    /// As [`UnlockVaultError`] says.
    pub fn standing(&self) -> Result<Standing, UnlockVaultError> {
        let (local, secrets) = self.sealed.keys(&self.master)?;
        Ok(Standing {
            chain: secrets.chain(),
            commits: self.sealed.counters(&local)?.commits,
        })
    }

    /// Takes it into use.
    ///
    /// # Errors
    /// As [`UnlockVaultError`] says.
    pub fn unlock(self, identity: Identity) -> Result<Arc<Vault>, UnlockVaultError> {
        self.sealed.unlock_with(self.master, identity)
    }

    /// Opens it for what changes no content: to be checked or copied, or for other keys. What a
    /// crash left, or whoever put an older database back, stays as it is.
    ///
    /// # Errors
    /// As [`UnlockVaultError`] says.
    pub fn visit(self) -> Result<Arc<Vault>, UnlockVaultError> {
        self.sealed.visit_with(self.master)
    }
}

impl Vault {
    /// How far it is now.
    pub fn standing(&self) -> Standing {
        Standing {
            chain: self.secrets().chain(),
            commits: self.committer.lock().counters.commits,
        }
    }

    /// A random tag of this very store: a copy has the same, until it becomes a device of its own.
    pub fn instance(&self) -> [u8; 16] {
        self.instance
    }
}
