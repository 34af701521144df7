//! The tree, name by name.

use crate::ids::{Ino, NodeId, NodeNo, ROOT};
use crate::moves::is_conflict_name;
use crate::tree::{DirtyNode, Entry, Kind};
use crate::vault::Vault;

/// A name in a folder. A file with several has several of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its number: in this store alone, and never another name's.
    pub no: NodeNo,
    /// What it is called by on every device, however it is moved or renamed.
    pub id: NodeId,
    /// The folder that it lies in.
    pub parent: Ino,
    /// What it names.
    pub ino: Ino,
    /// What that is.
    pub kind: Kind,
    /// The name.
    pub name: Box<[u8]>,
}

impl Name {
    fn new(no: NodeNo, parent: Ino, entry: &Entry) -> Name {
        Name {
            no,
            id: entry.id,
            parent,
            ino: entry.ino,
            kind: entry.kind,
            name: entry.name.clone(),
        }
    }

    /// What became of a node; nothing if it is gone.
    pub(in crate::vault) fn of(no: NodeNo, node: &DirtyNode) -> Option<Name> {
        let DirtyNode::Is(record) = node else { return None };
        Some(Name {
            no,
            id: record.id,
            parent: record.parent,
            ino: record.ino,
            kind: record.kind,
            name: record.name.as_slice().into(),
        })
    }

    /// Whether it is marked as a conflict file: two devices gave two files one name in one folder, and this one was set aside under
    /// a name that says who brought it there, and when. Told by the name's form alone: somebody may have called a file so
    /// by hand.
    pub fn is_conflict(&self) -> bool {
        self.kind != Kind::Folder && is_conflict_name(&self.name)
    }
}

impl Vault {
    /// Calls `each` with all names, folder by folder, a folder before what lies in it; false: enough. The tree is locked for one
    /// folder at a time, and not while `each` is called. What moves meanwhile may come twice, or not at all: whoever must know subscribed
    /// before.
    pub fn names(&self, each: &mut dyn FnMut(Name) -> bool) {
        let mut folders: Vec<Ino> = vec![ROOT];
        let mut seen = std::collections::HashSet::from([ROOT]);
        while let Some(at) = folders.pop() {
            let names: Vec<Name> = {
                let tree = self.tree.read();
                let entries = tree
                    .folder(at)
                    .into_iter()
                    .flat_map(|folder| folder.entries.iter());
                entries.map(|(no, entry)| Name::new(*no, at, entry)).collect()
            };
            for name in names {
                // One that moved meanwhile is walked once.
                if name.kind == Kind::Folder && seen.insert(name.ino) {
                    folders.push(name.ino);
                }
                if !each(name) {
                    return;
                }
            }
        }
    }
}
