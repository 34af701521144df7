//! What a check is asked and says.

use std::fmt;

use super::super::Aside;

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path from the vault's root, if it has one.
    pub path: Option<Vec<u8>>,
    /// What is wrong.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(path: Option<Vec<u8>>, what: impl Into<String>) -> Problem {
        Problem {
            path,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}: {}", String::from_utf8_lossy(path), self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What to check.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Read and verify every chunk and body, too.
    pub read_data: bool,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Files done.
    pub done: u64,
    /// Files in all.
    pub total: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Rows of all tables.
    pub records: u64,
    /// Files and folders.
    pub files: u64,
    /// Chunks and manifest nodes that are referenced.
    pub chunks: u64,
    /// Events whose chain holds, and this device's present signature over it.
    pub events: u64,
    /// Bytes of content read and verified.
    pub bytes: u64,
    /// Bytes of content that other devices hold and this one does not: no damage, and not looked at.
    pub absent_bytes: u64,
    /// Names of which nothing is known but that whoever sent them had let go of them.
    pub names_let_go: u64,
    /// What is damaged.
    pub problems: Vec<Problem>,
    /// What could not be looked at now, and why; it is no damage.
    pub skipped: Vec<String>,
    /// Files of a newer state, which are kept; they are not looked into.
    pub asides: Vec<Aside>,
}
