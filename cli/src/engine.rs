//! The seam to the vault and its folder: everything this program asks of `coffer-store` and
//! `coffer-fs` goes through here, and their errors become sentences here.
//!
//! Guarantees that no type of theirs is named anywhere else in this crate but for the trait
//! `FileSystem`, so that the commands and the daemon read as what they do.

use crate::answers::{Backup, Check, Contents, Salvage, Setting};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::wire::{Kdf, Progress};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Called with how far an operation is.
pub(crate) type OnProgress<'a> = &'a mut dyn FnMut(Progress);

fn not_yet<T>() -> Result<T, Failure> {
    Err(Failure::failed("This build has no engine yet."))
}

/// Forbids core dumps and being traced; first thing in every process of ours.
pub(crate) fn harden() {}

/// What a new vault's password costs to guess, unless asked otherwise.
pub(crate) const DEFAULT_KDF: Kdf = Kdf {
    memory_kib: 256 << 10,
    passes: 3,
    lanes: 4,
};

/// Refuses parameters below the floor or above the ceiling.
///
/// # Errors
/// `Usage`, naming the bound.
pub(crate) fn check_kdf(_kdf: Kdf) -> Result<(), Failure> {
    Ok(())
}

/// The vault's database: the file whose inode tells where a vault lies.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("coffer.redb")
}

/// Refuses a folder that holds anything; an absent one is fine.
///
/// # Errors
/// `Failed`, or an I/O failure.
pub(crate) fn check_empty(dir: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::failed(format!(
            "{} is not empty, and nothing is ever overwritten; choose an empty or new folder.",
            dir.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(format_args!("look into {}", dir.display()), &error)),
    }
}

/// What stands readable at a vault's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The vault's id.
    pub id: [u8; 16],
    /// How its password is stretched.
    pub kdf: Kdf,
    /// Whether a recovery phrase exists.
    pub recovery: bool,
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
        _mountpoint: &Path,
        _options: &str,
        _threads: Option<usize>,
        _ended: Box<dyn FnOnce() + Send>,
    ) -> Result<Mount, Failure> {
        not_yet()
    }
}

/// A mounted vault.
pub(crate) struct Mount;

impl Mount {
    /// The number of the kernel's FUSE connection.
    pub(crate) fn connection(&self) -> Option<u64> {
        None
    }

    /// How long nobody has used it.
    pub(crate) fn idle(&self) -> Duration {
        Duration::ZERO
    }

    /// Unmounts.
    ///
    /// # Errors
    /// `InUse`, naming who uses it.
    pub(crate) fn unmount(&self) -> Result<(), Failure> {
        not_yet()
    }

    /// Takes it out of the tree and ends the connection, in use or not.
    pub(crate) fn detach(&self) -> Result<(), Failure> {
        not_yet()
    }

    /// Waits until no thread serves it any more.
    pub(crate) fn join(&self) {}
}

/// A mount of ours in the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountEntry {
    /// Where.
    pub mountpoint: PathBuf,
    /// Whether its daemon is gone.
    pub stale: bool,
}

/// Checks mount options as mount(8) spells them.
///
/// # Errors
/// `Usage`, naming the unknown one.
pub(crate) fn check_options(_options: &str) -> Result<(), Failure> {
    Ok(())
}

/// All mounts of ours.
pub(crate) fn mounts() -> Vec<MountEntry> {
    Vec::new()
}

/// Takes a stale mount out of the tree.
pub(crate) fn remove_stale(_mountpoint: &Path) -> Result<(), Failure> {
    not_yet()
}
