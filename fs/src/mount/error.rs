//! What can go wrong with mounting and unmounting, each as one sentence for a person:
//! what happened, to what, what to do. Never names anything inside a vault.

use std::io;
use std::path::PathBuf;

use super::users::User;

/// Why something was not mounted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum MountError {
    #[error("{} does not exist; create the folder first", point.display())]
    NotFound { point: PathBuf },
    #[error("{} is not a folder; choose a folder to mount on", point.display())]
    NotAFolder { point: PathBuf },
    #[error("{} is not empty, and mounting would hide what it holds; choose an empty folder", point.display())]
    NotEmpty { point: PathBuf },
    #[error("a vault is already mounted on {}; unmount it first, or choose another folder", point.display())]
    AlreadyMounted { point: PathBuf },
    #[error("a vault is mounted on {} but does not answer; end its process, then try again", point.display())]
    Silent { point: PathBuf },
    #[error("the unusable mount of a process that is gone could not be removed from {}: {reason}", point.display())]
    Stale { point: PathBuf, reason: String },
    #[error("this system offers no FUSE (/dev/fuse: {source}); load the kernel's module: modprobe fuse")]
    NoFuse { source: io::Error },
    #[error("fusermount3 was not found, which mounts for ordinary users; install the package fuse3")]
    NoHelper,
    #[error("mounting on {} was refused: {reason}", point.display())]
    Refused { point: PathBuf, reason: String },
    #[error("the mount option “{option}” needs root; leave it out")]
    NeedsRoot { option: &'static str },
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error("{what} {}: {source}", point.display())]
    Io {
        what: &'static str,
        point: PathBuf,
        source: io::Error,
    },
}

/// A mount option that is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OptionError {
    #[error("the mount option “{option}” is not known here; leave it out")]
    Unknown { option: String },
    #[error("the mount option “{option}” takes a value, as in {option}=…")]
    NoValue { option: String },
    #[error("the mount option “{option}” takes no value; write only its name")]
    Value { option: String },
}

/// Why something was not unmounted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum UnmountError {
    #[error("{} is in use{}; close what uses it, then try again", point.display(), list(users))]
    Busy { point: PathBuf, users: Vec<User> },
    #[error("fusermount3 was not found, which unmounts for ordinary users; install the package fuse3")]
    NoHelper,
    #[error("unmounting {} was refused: {reason}", point.display())]
    Refused { point: PathBuf, reason: String },
    #[error("{what} {}: {source}", point.display())]
    Io {
        what: &'static str,
        point: PathBuf,
        source: io::Error,
    },
}

/// At most this many users are named in a sentence.
const NAMED: usize = 5;

/// ` by vim (4242: open file) and …`, or nothing.
fn list(users: &[User]) -> String {
    let mut named: Vec<String> = users.iter().take(NAMED).map(User::to_string).collect();
    if users.len() > NAMED {
        named.push(format!("{} more", users.len() - NAMED));
    }
    match named.split_last() {
        None => String::new(),
        Some((last, [])) => format!(" by {last}"),
        Some((last, others)) => format!(" by {} and {last}", others.join(", ")),
    }
}
