//! Why an exchange came to nothing.

use std::io;
use std::path::PathBuf;

/// See the module. What goes wrong with single files is no error: the exchange goes on, and says so.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// The folder is not there.
    #[error("there is no folder {}; plug in what it lies on, or make it", .0.display())]
    Absent(PathBuf),
    /// In it there is none of this vault, and none is to be made.
    #[error("in {} there is no folder of this vault any more; is the right stick plugged in? “coffer sync --via” begins a new one", .0.display())]
    Gone(PathBuf),
    /// It lies in the vault that would be carried.
    #[error("{} lies in the vault itself, in its own folder or its mount; choose a folder outside", .0.display())]
    Inside(PathBuf),
    /// This device has not the keys by which it would find its vault's folder.
    #[error(
        "this device lacks the vault's first keys, by which it would find its folder there; let it meet another device over the network once"
    )]
    NoKeys,
    /// It is no member.
    #[error("this device was removed from the vault, and exchanges nothing; pair it again to have it back")]
    NotMember,
    /// The folder cannot be used.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it was not.
        error: io::Error,
    },
    /// The vault.
    #[error("{0}")]
    Store(String),
}

impl CarrierError {
    /// This failed while doing `what`.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> CarrierError {
        let what = what.into();
        move |error| CarrierError::Io { what, error }
    }
}
