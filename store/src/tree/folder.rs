//! One folder: its entries in the order in which they are listed, and by name.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::ids::{Ino, NodeId, NodeNo};
use crate::record::{Kind, Told};

/// One entry of a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it names.
    pub ino: Ino,
    /// What that is.
    pub kind: Kind,
    /// The node's name everywhere.
    pub id: NodeId,
    /// Whether the other devices are told of it.
    pub told: Told,
    /// Its name.
    pub name: Box<[u8]>,
}

/// A folder.
#[derive(Debug)]
pub struct Folder {
    /// The folder above; the root's is itself. A removed folder keeps its last.
    pub parent: Ino,
    /// Its own entry there; none of the root's.
    pub(super) node: NodeNo,
    /// Entries by node number: the order in which they are listed.
    pub entries: BTreeMap<NodeNo, Entry>,
    names: HashTable<NodeNo>,
    /// How many of them are folders.
    pub subfolders: u32,
}

impl Folder {
    pub(super) fn new(parent: Ino) -> Folder {
        Folder {
            parent,
            node: 0,
            entries: BTreeMap::new(),
            names: HashTable::new(),
            subfolders: 0,
        }
    }

    pub(super) fn find(&self, hasher: &DefaultHashBuilder, name: &[u8]) -> Option<NodeNo> {
        let entries = &self.entries;
        self.names
            .find(hasher.hash_one(name), |no| {
                entries.get(no).is_some_and(|e| &*e.name == name)
            })
            .copied()
    }

    pub(super) fn put(&mut self, hasher: &DefaultHashBuilder, no: NodeNo, entry: Entry) {
        if entry.kind == Kind::Folder {
            self.subfolders += 1;
        }
        let hash = hasher.hash_one(&*entry.name);
        self.entries.insert(no, entry);
        let entries = &self.entries;
        self.names.insert_unique(hash, no, |no| {
            entries.get(no).map_or(0, |e| hasher.hash_one(&*e.name))
        });
    }

    pub(super) fn take(&mut self, hasher: &DefaultHashBuilder, no: NodeNo) -> Option<Entry> {
        let hash = hasher.hash_one(&*self.entries.get(&no)?.name);
        if let Ok(found) = self.names.find_entry(hash, |n| *n == no) {
            found.remove();
        }
        let entry = self.entries.remove(&no)?;
        if entry.kind == Kind::Folder {
            self.subfolders -= 1;
        }
        Some(entry)
    }
}
