//! The errors of the layers below as failures: the right code, and a sentence.

use super::sentence;
use crate::failure::{Failure, Kind};
use crate::shown::Shown;
use coffer_store::StoreError;
use coffer_store::chunk::PackError;
use coffer_store::db::DbError;
use coffer_store::keys::{RecoverError, UnlockError};
use coffer_store::vault::{
    BackupError, CreateError, OpError, OpenError, PasswdError, RecoverVaultError, SalvageError,
    UnlockVaultError,
};
use std::io::ErrorKind;

/// What the database says, where its own words would not help a person.
fn database(error: &DbError) -> Option<Failure> {
    let DbError::Io(io) = error else { return None };
    match (io.kind(), io.raw_os_error()) {
        // Whose first bytes or length are not those of a database.
        (ErrorKind::InvalidData | ErrorKind::UnexpectedEof, None) => Some(Failure::new(
            Kind::Damaged,
            "The database is damaged: it is not one, or lacks its end; restore a backup, or save what is whole with “coffer check --salvage DIR”.",
        )),
        (_, Some(libc::EROFS)) => Some(Failure::failed(
            "The vault can only be read: its disk is read-only, or it is mounted with -o ro; nothing was changed.",
        )),
        _ => None,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        if let StoreError::Db(inner) = &error
            && let Some(failure) = database(inner)
        {
            return failure;
        }
        let kind = match &error {
            full if full.errno() == libc::ENOSPC || full.errno() == libc::EDQUOT => Kind::NoSpace,
            StoreError::Db(DbError::Damaged(_)) | StoreError::Pack(PackError::Damaged { .. }) => {
                Kind::Damaged
            }
            StoreError::Tampered { .. } | StoreError::Malformed { .. } | StoreError::Missing { .. } => {
                Kind::Damaged
            }
            StoreError::Closed | StoreError::Db(DbError::Closed) => Kind::NotOpen,
            _ => Kind::Failed,
        };
        Failure::new(kind, sentence(&error))
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Failure {
        match error {
            CreateError::Store(error) => error.into(),
            CreateError::Io(dir, error) => Failure::io(format_args!("write to {}", dir.shown()), &error),
            CreateError::Kdf(error) => Failure::usage(sentence(&error)),
            CreateError::NotEmpty(_) => Failure::failed(sentence(&error)),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        if let OpenError::Db(inner) = &error
            && let Some(failure) = database(inner)
        {
            return failure;
        }
        let kind = match &error {
            OpenError::NotAVault(dir) => return crate::paths::no_vault(dir),
            OpenError::Io(dir, error) => {
                return Failure::io(format_args!("open the vault in {}", dir.shown()), error);
            }
            OpenError::Held(_) => Kind::InUse,
            OpenError::TooNew => Kind::TooNew,
            OpenError::Trial => Kind::Trial,
            OpenError::BadHeader(_) | OpenError::NoDatabase(_) | OpenError::Db(DbError::Damaged(_)) => {
                Kind::Damaged
            }
            OpenError::Db(DbError::Io(_) | DbError::Closed) => Kind::Failed,
        };
        Failure::new(kind, sentence(&error))
    }
}

impl From<UnlockError> for Failure {
    fn from(error: UnlockError) -> Failure {
        let kind = match error {
            UnlockError::WrongPassword => Kind::WrongPassword,
            UnlockError::Kdf(_) => Kind::Failed,
            UnlockError::Altered => Kind::Damaged,
        };
        Failure::new(kind, sentence(&error))
    }
}

impl From<UnlockVaultError> for Failure {
    fn from(error: UnlockVaultError) -> Failure {
        match error {
            UnlockVaultError::Unlock(error) => error.into(),
            UnlockVaultError::Store(error) => error.into(),
            UnlockVaultError::ReadOnly => Failure::usage(sentence(&error)),
        }
    }
}

impl From<RecoverError> for Failure {
    fn from(error: RecoverError) -> Failure {
        let kind = match error {
            RecoverError::WrongPhrase => Kind::WrongPassword,
            RecoverError::NoRecovery => Kind::NotOpen,
            RecoverError::Altered => Kind::Damaged,
        };
        Failure::new(kind, sentence(&error))
    }
}

impl From<RecoverVaultError> for Failure {
    fn from(error: RecoverVaultError) -> Failure {
        match error {
            RecoverVaultError::Phrase(error) => error.into(),
            RecoverVaultError::Kdf(error) => Failure::usage(sentence(&error)),
            RecoverVaultError::Store(error) => error.into(),
        }
    }
}

impl From<PasswdError> for Failure {
    fn from(error: PasswdError) -> Failure {
        match error {
            PasswdError::Unlock(error) => error.into(),
            PasswdError::Kdf(error) => Failure::usage(sentence(&error)),
            PasswdError::Store(error) => error.into(),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        match error {
            BackupError::Store(error) => error.into(),
            BackupError::Io(dest, error) => {
                Failure::io(format_args!("write the backup to {}", dest.shown()), &error)
            }
            BackupError::Foreign(_) => Failure::failed(sentence(&error)),
            BackupError::Held(_) => Failure::new(Kind::InUse, sentence(&error)),
            BackupError::Damaged(..) => Failure::new(Kind::Damaged, sentence(&error)),
        }
    }
}

impl From<SalvageError> for Failure {
    fn from(error: SalvageError) -> Failure {
        match error {
            SalvageError::Unlock(error) => error.into(),
            SalvageError::Phrase(error) => error.into(),
            SalvageError::Open(error) => error.into(),
            SalvageError::Vault(dir, error) => {
                Failure::io(format_args!("read the vault in {}", dir.shown()), &error)
            }
            SalvageError::Io(dest, error) => Failure::io(format_args!("write to {}", dest.shown()), &error),
            SalvageError::NoKeys => Failure::new(Kind::Damaged, sentence(&error)),
        }
    }
}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Failure {
        match error {
            OpError::Store(error) => error.into(),
            OpError::Errno(libc::EROFS) => Failure::failed(
                "The vault can only be read: it is mounted with -o ro, or its disk is read-only; nothing was changed.",
            ),
            other => Failure::failed(sentence(&other)),
        }
    }
}
