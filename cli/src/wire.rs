//! What the program and its daemon say to each other over the control socket.
//!
//! One request a connection, then lines back: any number of `progress`, and one `done` or `failed`.
//! Secrets never stand in JSON: a message announces their lengths, and they follow (see `frame`).

pub(crate) mod ask;
pub(crate) mod devices;
pub(crate) mod history;

use crate::failure::Failure;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The protocol's version; a daemon answers only its own.
pub(crate) const VERSION: u32 = 6;
/// The longest request line, in bytes: an import may name as many paths as a command line holds.
pub(crate) const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// The longest reply line, in bytes (a check may name many paths).
pub(crate) const MAX_REPLY: usize = 256 * 1024 * 1024;

/// An answer as it travels: JSON that is written once and read once, for there may be ten thousand things in it.
pub(crate) type Plain = Box<RawValue>;

/// An answer, on its way.
pub(crate) fn plain(answer: &impl Serialize) -> Plain {
    // Our own types have string keys only, so this cannot fail.
    to_raw_value(answer).expect("answers are plain data")
}

/// A path that survives JSON whatever its bytes: a string, or a list of bytes if it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WirePath(pub PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PathForm {
    Text(String),
    Bytes(Vec<u8>),
}

impl Serialize for WirePath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => PathForm::Text(text.to_owned()),
            None => PathForm::Bytes(self.0.as_os_str().as_bytes().to_vec()),
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for WirePath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(WirePath(match PathForm::deserialize(from)? {
            PathForm::Text(text) => PathBuf::from(text),
            PathForm::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        }))
    }
}

/// Argon2id's parameters as the command line gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kdf {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes computed in parallel.
    pub lanes: u32,
}

/// A person's answer to "moved, or a new device?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The same vault in another place.
    Moved,
    /// A second one.
    Copied,
}

/// How hard to try to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// Refuse while programs use the mount.
    Polite,
    /// Commit, then end even if programs use the mount: they get errors.
    Force,
    /// The system goes to sleep: do as the vault's setting says.
    Suspend,
}

/// Something that is taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Where it lies, absolute.
    pub path: WirePath,
    /// What it is called in the vault; of a folder without a name, its contents are taken in.
    pub name: Option<WirePath>,
}

/// What `coffer import` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Import {
    /// What to take in.
    pub sources: Vec<Source>,
    /// The folder in the vault, from its root.
    pub into: WirePath,
    /// Replace files that differ.
    pub replace: bool,
    /// Count everything meanwhile, for whoever watches.
    pub count: bool,
}

/// A file of a watched folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    /// Where it lies, absolute.
    pub path: WirePath,
    /// The folder that receives it, below that of all.
    pub folder: WirePath,
    /// What it is to be called.
    pub name: WirePath,
}

/// What `coffer import --watch` asks for, again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intake {
    /// What to take in.
    pub items: Vec<Item>,
    /// The folder in the vault, from its root.
    pub into: WirePath,
    /// Compare each with what is in the vault, once that is durable.
    pub compare: bool,
}

/// What `coffer export` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Export {
    /// What to bring out, from the vault's root.
    pub path: WirePath,
    /// Of a folder, its contents only.
    pub contents: bool,
    /// The folder that receives it, absolute.
    pub dest: WirePath,
    /// Replace files that differ.
    pub replace: bool,
    /// Count everything meanwhile, for whoever watches.
    pub count: bool,
}

/// What is asked of a daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    /// What is in the vault and how it is.
    Status,
    /// Finish work, unmount, wipe keys, end.
    End {
        /// How hard to try.
        how: Ending,
    },
    /// Is it the password? Secret: the password.
    Verify,
    /// Secrets: the current and the new password.
    Passwd {
        /// Parameters for the new one; the present ones if absent.
        kdf: Option<Kdf>,
    },
    /// Verify records and, if asked, chunks.
    Check {
        /// Read every chunk too.
        read_data: bool,
    },
    /// Copy what is new to a folder.
    Backup {
        /// The folder, absolute.
        dest: WirePath,
    },
    /// Take files in. Ends at a file's end when whoever asked says no more (shuts its side).
    Import(Import),
    /// Take single files in, under names that nothing has; the same.
    Intake(Intake),
    /// Bring files out; the same.
    Export(Export),
    /// Something about devices or syncing. Of an invitation, a secret comes back: its words, its line, and the lines of its code.
    Devices(devices::Devices),
    /// What was asked before.
    Asked(ask::Asked),
    /// Something about what is in the vault.
    Ask(ask::Ask),
    /// Something about the past.
    Past(history::Past),
    /// Make a new recovery phrase. Secret: the current password; a secret comes back.
    RecoverAdd,
    /// Settings were changed: read them anew.
    Reload,
    /// Does it live?
    Ping,
}

/// A request's line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// [`VERSION`].
    pub coffer: u32,
    /// Lengths of the secrets that follow.
    #[serde(default)]
    pub secrets: Vec<usize>,
    /// What to do.
    #[serde(flatten)]
    pub op: Op,
}

/// How far a long operation is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// What is counted ("records", "chunks", "files").
    pub what: String,
    /// How many are done.
    pub done: u64,
    /// Out of how many, where that is known.
    pub total: Option<u64>,
    /// Bytes seen so far.
    pub bytes: u64,
    /// Out of how many, where that is known.
    #[serde(default)]
    pub total_bytes: Option<u64>,
}

/// A reply's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// Still at it.
    Progress(Progress),
    /// Bytes of an answer, as a secret that follows.
    Part {
        /// How many.
        secrets: Vec<usize>,
    },
    /// The answer.
    Done {
        /// What was asked for.
        answer: Plain,
        /// Lengths of the secrets that follow.
        #[serde(default)]
        secrets: Vec<usize>,
    },
    /// It did not work.
    Failed(Failure),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Guards names in any encoding.
    #[test]
    fn paths_of_any_bytes_survive() {
        for bytes in [&b"/a/\xff\xfe"[..], "/ä/ö".as_bytes()] {
            let path = WirePath(Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned());
            let text = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<WirePath>(&text).unwrap(), path);
        }
    }
}
