//! What can go wrong with the database.

use std::io;

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The disk said no.
    #[error("the database could not be read or written: {0}")]
    Io(#[source] io::Error),
    /// It was closed.
    #[error("the vault is locked")]
    Closed,
    /// The file is not what was written.
    #[error("the database is damaged ({0}); `coffer check --salvage DIR` saves what is whole")]
    Damaged(String),
}

impl DbError {
    /// The errno that a caller of the file system should see.
    pub fn errno(&self) -> i32 {
        match self {
            DbError::Io(e) => e.raw_os_error().unwrap_or(libc::EIO),
            DbError::Damaged(_) | DbError::Closed => libc::EIO,
        }
    }
}

macro_rules! from_redb {
    ($($t:ty),*) => {$(
        impl From<$t> for DbError {
            fn from(e: $t) -> DbError {
                match redb::Error::from(e) {
                    redb::Error::Io(e) => DbError::Io(e),
                    redb::Error::PreviousIo => DbError::Io(io::Error::other("an earlier write failed")),
                    other => DbError::Damaged(other.to_string()),
                }
            }
        }
    )*};
}
from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);
