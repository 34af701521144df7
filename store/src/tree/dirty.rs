//! What of the tree is not written yet, and what the other devices were not told.

use super::Tree;
use crate::ids::{Ino, NodeNo, ROOT};
use crate::record::{NodeRecord, Told};

/// What became of a node since the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirtyNode {
    /// It is, or has changed to, this.
    Is(NodeRecord),
    /// It is gone.
    Gone,
}

impl Tree {
    /// What changed since the last call; what is returned is the caller's to commit, or
    /// to give back by [`Tree::put_back`].
    pub fn take_dirty(&mut self) -> Vec<(NodeNo, DirtyNode)> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .map(|(no, parent)| (no, self.state(no, parent)))
            .collect()
    }

    /// An event has told where a node is; it may have moved since. False if it is gone.
    pub fn set_told(&mut self, no: NodeNo, record: &NodeRecord) -> bool {
        let at = self.dirty.get(&no).copied().unwrap_or(Some(record.parent));
        let folder = at.and_then(|parent| self.folders.get_mut(&parent).map(|f| (parent, f)));
        let Some((parent, folder)) = folder else {
            return false;
        };
        let Some(entry) = folder.entries.get_mut(&no).filter(|e| e.id == record.id) else {
            return false;
        };
        let there = parent == record.parent && *entry.name == *record.name;
        entry.told = if there { Told::Now } else { Told::Before };
        true
    }

    /// A number that no node has or will have.
    pub fn spare(&mut self) -> NodeNo {
        self.next_node += 1;
        self.next_node - 1
    }

    /// Node numbers up to this one are taken.
    pub fn reserve(&mut self, no: NodeNo) {
        self.next_node = self.next_node.max(no.saturating_add(1));
    }

    /// A folder's own attributes changed: its node is to be told again.
    pub fn retell(&mut self, ino: Ino) {
        let own = self.folders.get(&ino).filter(|_| ino != ROOT);
        let Some((parent, no)) = own.map(|f| (f.parent, f.node)) else {
            return;
        };
        let above = self.folders.get_mut(&parent);
        if let Some(entry) = above.and_then(|above| above.entries.get_mut(&no)) {
            if entry.told == Told::Now {
                entry.told = Told::Before;
            }
            self.dirty.insert(no, Some(parent));
        }
    }

    /// A node's present state.
    pub fn record(&self, parent: Ino, no: NodeNo) -> Option<NodeRecord> {
        match self.state(no, Some(parent)) {
            DirtyNode::Is(record) => Some(record),
            DirtyNode::Gone => None,
        }
    }

    /// Nodes that would be taken, with the folders that they are in.
    pub fn dirty_nodes(&self) -> impl Iterator<Item = (NodeNo, Ino)> {
        self.dirty
            .iter()
            .filter_map(|(no, folder)| Some((*no, (*folder)?)))
    }

    /// What would be taken.
    pub fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// A commit failed: these are dirty again, unless they changed meanwhile.
    pub fn put_back(&mut self, taken: &[(NodeNo, DirtyNode)]) {
        for (no, state) in taken {
            let parent = match state {
                DirtyNode::Is(record) => Some(record.parent),
                DirtyNode::Gone => None,
            };
            self.dirty.entry(*no).or_insert(parent);
        }
    }

    fn state(&self, no: NodeNo, parent: Option<Ino>) -> DirtyNode {
        let entry = parent.and_then(|p| Some((p, self.folders.get(&p)?.entries.get(&no)?)));
        match entry {
            Some((parent, e)) => DirtyNode::Is(NodeRecord {
                parent,
                ino: e.ino,
                kind: e.kind,
                id: e.id,
                told: e.told,
                name: e.name.to_vec(),
            }),
            None => DirtyNode::Gone,
        }
    }
}
