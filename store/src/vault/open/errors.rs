//! Why a vault was not opened, stayed locked, or could not be recovered.

use std::io;
use std::path::PathBuf;

use crate::core::StoreError;
use crate::db::DbError;
use crate::keys::{KdfError, RecoverError, UnlockError};

/// Why a vault was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no vault in {}; `coffer init` makes one", .0.display())]
    NotAVault(PathBuf),
    /// There was one: its database is missing, other files of it are there.
    #[error(
        "the vault in {} has lost its database, {}; restore a backup, or try `coffer check --salvage DIR`",
        .0.display(), crate::db::FILE
    )]
    NoDatabase(PathBuf),
    /// Another process has it.
    #[error("the vault in {} is in use by another process", .0.display())]
    Held(PathBuf),
    /// A later program wrote it.
    #[error("the vault was written by a newer version of Coffer; update this one to open it")]
    TooNew,
    /// An earlier program wrote it, while formats were on trial.
    #[error(
        "the vault was made by an earlier trial version of Coffer, and this one cannot read it; open it with that version and export its files, then import them here"
    )]
    Trial,
    /// Its head cannot be read.
    #[error("the vault's header is damaged: {0}; restore a backup, or try `coffer check --salvage DIR`")]
    BadHeader(String),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The folder.
    #[error("cannot open the vault in {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

/// Why a vault stayed locked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockVaultError {
    /// It was opened to be read only, and a new chain must be written down.
    #[error("the vault is open read-only, and cannot be taken into use as one that was moved or copied")]
    ReadOnly,
    /// The password, or the header.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a recovery failed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverVaultError {
    /// The phrase.
    #[error(transparent)]
    Phrase(#[from] RecoverError),
    /// The new password's parameters.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for UnlockVaultError {
    fn from(e: DbError) -> Self {
        UnlockVaultError::Store(e.into())
    }
}
