//! What of `.coffer` is real: a folder of the vault's root, in it `views`, and the queries there.
//!
//! Reads the tree in memory alone: nothing here waits. Never changes anything.

use std::sync::Arc;

use coffer_store::vault::Vault;

use super::NAME;
use crate::types::{Ino, Kind, ROOT, Time};

/// The name of the folder of saved queries.
pub(super) const VIEWS: &[u8] = b"views";
/// What the name of a query's file ends with.
const QUERY: &[u8] = b".sql";
/// Folders in folders that are walked up.
const DEEPEST: usize = 256;

/// A query's file, and what changes when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Query {
    pub(super) file: Ino,
    pub(super) size: u64,
    /// When it changed: its content, and anything.
    stamp: [(i64, u32); 2],
}

impl Query {
    /// When it was saved.
    pub(super) fn saved(&self) -> Time {
        let (sec, nsec) = self.stamp[1];
        Time { sec, nsec }
    }
}

/// See the module.
pub(super) struct Real(pub(super) Arc<Vault>);

impl Real {
    /// What has a name in a folder.
    pub(super) fn child(&self, folder: Ino, name: &[u8]) -> Option<(Ino, Kind)> {
        let ino = self.0.lookup(folder, name).ok()?;
        Some((ino, self.0.stat(ino).ok()?.meta.kind))
    }

    fn folder(&self, above: Ino, name: &[u8]) -> Option<Ino> {
        let (ino, kind) = self.child(above, name)?;
        (kind == Kind::Folder).then_some(ino)
    }

    /// Whether something that is no folder has the name of ours: then it is what is shown.
    pub(super) fn hides_all(&self) -> bool {
        self.child(ROOT, NAME)
            .is_some_and(|(_, kind)| kind != Kind::Folder)
    }

    /// The real folder `.coffer`.
    pub(super) fn top(&self) -> Option<Ino> {
        self.folder(ROOT, NAME)
    }

    /// The real folder `.coffer/views`.
    pub(super) fn views(&self) -> Option<Ino> {
        self.folder(self.top()?, VIEWS)
    }

    /// The query whose folder has this name beside it; nothing where something real has that name.
    pub(super) fn query(&self, folder: Ino, name: &[u8]) -> Option<Query> {
        if name.first().is_none_or(|first| *first == b'.') || self.child(folder, name).is_some() {
            return None;
        }
        let (file, kind) = self.child(folder, &[name, QUERY].concat())?;
        let stat = self.0.stat(file).ok().filter(|_| kind == Kind::File)?;
        let stamp = [stat.meta.mtime, stat.meta.ctime].map(|time| (time.sec, time.nsec));
        Some(Query {
            file,
            size: stat.size,
            stamp,
        })
    }

    /// What a query's folder is called, after the name of its file.
    pub(super) fn smart_name(file: &[u8]) -> Option<&[u8]> {
        let name = file.strip_suffix(QUERY)?;
        (name.first().is_some_and(|first| *first != b'.')).then_some(name)
    }

    /// How deep a folder of queries lies below the root; nothing if it is none any more.
    pub(super) fn depth(&self, folder: Ino) -> Option<usize> {
        let views = self.views()?;
        let mut at = folder;
        for depth in 2..DEEPEST {
            if at == views {
                return Some(depth);
            }
            at = self.0.parent(at).filter(|above| *above != at && at != ROOT)?;
        }
        None
    }

    /// What lies at a path from the root.
    pub(super) fn at(&self, path: &[u8]) -> Option<Ino> {
        let mut names = path.split(|byte| *byte == b'/');
        names.try_fold(ROOT, |at, name| self.0.lookup(at, name).ok())
    }
}
