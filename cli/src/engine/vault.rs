//! The seam to the vault: `coffer_store`, and the file system over it.

use super::mount::Mount;
use super::{Facts, OnProgress};
use crate::answers::{Backup, Check, Contents, Salvage, Setting};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::wire::Kdf;
use std::path::Path;

fn not_yet<T>() -> Result<T, Failure> {
    Err(Failure::failed("This build has no engine yet."))
}

/// A vault held by this process alone, still locked.
pub(crate) struct Sealed;

impl Drop for Sealed {
    fn drop(&mut self) {}
}

impl Sealed {
    /// Takes the vault's lock and reads its head.
    ///
    /// # Errors
    /// `NoVault`, `InUse`, `TooNew`, `Damaged`, or an I/O failure.
    pub(crate) fn open(_dir: &Path) -> Result<Sealed, Failure> {
        not_yet()
    }

    /// What stands readable at its head.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            id: [0; 16],
            kdf: Kdf {
                memory_kib: 0,
                passes: 0,
                lanes: 0,
            },
            recovery: false,
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// `WrongPassword`, `Damaged`, or an I/O failure.
    pub(crate) fn unlock(self, _password: &Secret) -> Result<Vault, Failure> {
        not_yet()
    }

    /// Opens it by its recovery phrase and gives it a new password.
    ///
    /// # Errors
    /// `WrongPassword` if the phrase does not fit, else as `unlock`.
    pub(crate) fn recover(self, _phrase: &Secret, _new: &Secret, _kdf: Kdf) -> Result<Vault, Failure> {
        not_yet()
    }

    /// Brings out what is whole, as plain files under `dest`, reading around damage.
    ///
    /// # Errors
    /// `WrongPassword`, or when nothing can be had at all.
    pub(crate) fn salvage(
        self,
        _password: &Secret,
        _dest: &Path,
        _progress: OnProgress<'_>,
    ) -> Result<Salvage, Failure> {
        not_yet()
    }
}

/// An open vault.
#[derive(Clone)]
pub(crate) struct Vault;

impl Vault {
    /// Makes a vault in an empty or absent folder; with `recovery`, its phrase comes back, the
    /// words separated by single spaces.
    ///
    /// # Errors
    /// When the folder is not empty or cannot be written.
    pub(crate) fn create(
        _dir: &Path,
        _password: &Secret,
        _kdf: Kdf,
        _recovery: bool,
    ) -> Result<(Vault, Option<Secret>), Failure> {
        not_yet()
    }

    /// What stands readable at its head.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            id: [0; 16],
            kdf: Kdf {
                memory_kib: 0,
                passes: 0,
                lanes: 0,
            },
            recovery: false,
        }
    }

    /// What is in it.
    pub(crate) fn contents(&self) -> Result<Contents, Failure> {
        not_yet()
    }

    /// Makes everything durable.
    pub(crate) fn commit(&self) -> Result<(), Failure> {
        not_yet()
    }

    /// Verifies every record and, with `read_data`, every chunk.
    pub(crate) fn check(&self, _read_data: bool, _progress: OnProgress<'_>) -> Result<Check, Failure> {
        not_yet()
    }

    /// Copies what is new into `dest`: a vault of its own, consistent as of one instant.
    pub(crate) fn backup(&self, _dest: &Path, _progress: OnProgress<'_>) -> Result<Backup, Failure> {
        not_yet()
    }

    /// All settings.
    pub(crate) fn settings(&self) -> Result<Vec<Setting>, Failure> {
        not_yet()
    }

    /// Changes a setting.
    pub(crate) fn set(&self, _key: &str, _value: &str) -> Result<(), Failure> {
        not_yet()
    }

    /// Replaces the password, all or nothing.
    ///
    /// # Errors
    /// `WrongPassword` if `current` does not fit.
    pub(crate) fn change_password(&self, _current: &Secret, _new: &Secret, _kdf: Kdf) -> Result<(), Failure> {
        not_yet()
    }

    /// Makes a new recovery phrase; an older one stops working.
    ///
    /// # Errors
    /// `WrongPassword` if `current` does not fit.
    pub(crate) fn add_recovery(&self, _current: &Secret) -> Result<Secret, Failure> {
        not_yet()
    }

    /// The tag that tells this copy of the vault from others.
    pub(crate) fn instance(&self) -> [u8; 16] {
        [0; 16]
    }

    /// Makes this copy a device of its own, with a new tag.
    pub(crate) fn new_instance(&self) -> Result<(), Failure> {
        not_yet()
    }

    /// The folders and the note that a new vault starts with.
    pub(crate) fn welcome(&self) -> Result<(), Failure> {
        not_yet()
    }

    /// Commits, wipes keys, lets go of the vault.
    pub(crate) fn close(self) -> Result<(), Failure> {
        not_yet()
    }

    /// Mounts it; `ended` is called from another thread when the kernel ends the mount.
    ///
    /// # Errors
    /// When the place is not fit, or mounting is not permitted.
    pub(crate) fn mount(
        &self,
        _point: &Path,
        _options: &str,
        _threads: Option<usize>,
        _ended: Box<dyn FnOnce() + Send>,
    ) -> Result<Mount, Failure> {
        not_yet()
    }
}
