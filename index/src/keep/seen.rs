//! What searches may know of files while others change it.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::RwLock;

use crate::search::{Facts, Files};

/// Of each file that has a path: the first of them, when it was changed, and its kind.
#[derive(Default)]
pub(super) struct Seen(RwLock<HashMap<u64, Entry>>);

/// One file.
pub(super) struct Entry {
    pub(super) path: Box<str>,
    pub(super) modified: Timestamp,
    pub(super) kind: &'static str,
}

impl Seen {
    /// Sets what is known of files; of those that are not there any more, nothing.
    pub(super) fn set(&self, entries: Vec<(u64, Option<Entry>)>) {
        let mut all = self.0.write();
        for (file, entry) in entries {
            match entry {
                Some(entry) => drop(all.insert(file, entry)),
                None => drop(all.remove(&file)),
            }
        }
    }

    /// Looks something up in all of them, while nothing changes.
    pub(super) fn with<T>(&self, look: impl FnOnce(&dyn Files) -> T) -> T {
        look(&Reading(&self.0.read()))
    }
}

struct Reading<'a>(&'a HashMap<u64, Entry>);

impl Files for Reading<'_> {
    fn facts(&self, file: u64) -> Option<Facts<'_>> {
        let entry = self.0.get(&file)?;
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        Some(Facts {
            modified: entry.modified,
            kind: entry.kind,
            extension,
        })
    }

    fn path(&self, file: u64) -> Cow<'_, str> {
        self.0.get(&file).map_or("".into(), |entry| (&*entry.path).into())
    }
}
