//! Names that stay what they are everywhere while what they stand for here is another file.
//!
//! A node is the name's identity: editors that save by putting a new file in the old one's place
//! change which file is shown there, and no other device need hear of a move or a removal.

use super::{Replaced, Tree, TreeError};
use crate::ids::{Ino, NodeId, NodeNo};
use crate::record::{Kind, Told};

/// A name as the other devices know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The node.
    pub id: NodeId,
    /// Whether they were told of it.
    pub told: Told,
}

impl Tree {
    /// Puts the file that `from` names in the place of the one that `to` names: the node at `to`
    /// stays, and that at `from` is gone. Returns the latter, and the node at `to`.
    ///
    /// # Errors
    /// NotFound; IsFolder if one is a folder. The caller sees to it that the files differ.
    pub fn put_in_place(
        &mut self,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
    ) -> Result<(Replaced, NodeNo), TreeError> {
        let (from_no, moved) = self.lookup(from.0, from.1)?;
        let (to_no, target) = self.lookup(to.0, to.1)?;
        if moved.kind == Kind::Folder || target.kind == Kind::Folder {
            return Err(TreeError::IsFolder);
        }
        let (ino, kind) = (moved.ino, moved.kind);
        let gone = self.drop_node(from.0, from_no);
        if let Some(entry) = self
            .folders
            .get_mut(&to.0)
            .and_then(|f| f.entries.get_mut(&to_no))
        {
            (entry.ino, entry.kind) = (ino, kind);
            self.dirty.insert(to_no, Some(to.0));
        }
        Ok((gone, to_no))
    }

    /// Puts a file without a name in the place of the one that `to` names. Returns what was there;
    /// the node stays.
    ///
    /// # Errors
    /// NotFound; IsFolder if a folder is there.
    pub fn put_new_in_place(
        &mut self,
        ino: Ino,
        kind: Kind,
        to: (Ino, &[u8]),
    ) -> Result<Replaced, TreeError> {
        let (no, target) = self.lookup(to.0, to.1)?;
        if kind == Kind::Folder || target.kind == Kind::Folder {
            return Err(TreeError::IsFolder);
        }
        let was = Replaced {
            node: no,
            ino: target.ino,
            kind: target.kind,
            id: target.id,
            told: target.told,
            name: target.name.clone(),
        };
        if let Some(entry) = self.folders.get_mut(&to.0).and_then(|f| f.entries.get_mut(&no)) {
            (entry.ino, entry.kind) = (ino, kind);
            self.dirty.insert(no, Some(to.0));
        }
        Ok(was)
    }

    /// Swaps the files that two names stand for; the names stay the nodes that they are.
    ///
    /// # Errors
    /// NotFound; IsFolder if one is a folder.
    pub fn swap_files(&mut self, a: (Ino, &[u8]), b: (Ino, &[u8])) -> Result<(), TreeError> {
        let (a_no, one) = self.lookup(a.0, a.1)?;
        let (b_no, two) = self.lookup(b.0, b.1)?;
        if one.kind == Kind::Folder || two.kind == Kind::Folder {
            return Err(TreeError::IsFolder);
        }
        let ((a_ino, a_kind), (b_ino, b_kind)) = ((one.ino, one.kind), (two.ino, two.kind));
        for (folder, no, ino, kind) in [(a.0, a_no, b_ino, b_kind), (b.0, b_no, a_ino, a_kind)] {
            if let Some(entry) = self.folders.get_mut(&folder).and_then(|f| f.entries.get_mut(&no)) {
                (entry.ino, entry.kind) = (ino, kind);
                self.dirty.insert(no, Some(folder));
            }
        }
        Ok(())
    }

    /// A file that has come to stand at one name is what a known node stands for, which has moved to
    /// another: the node goes back, number and all, and what stands at its place becomes a new one.
    /// Both files stay where they are. Returns as what the first was known until now; nothing if one of
    /// the two is not there.
    pub fn come_back(
        &mut self,
        new: (Ino, NodeNo),
        moved: (Ino, NodeNo),
        known: Known,
        other: NodeId,
    ) -> Option<Known> {
        let is_there = |at: &(Ino, NodeNo)| {
            self.folders
                .get(&at.0)
                .is_some_and(|f| f.entries.contains_key(&at.1))
        };
        if new.1 == moved.1 || !is_there(&new) || !is_there(&moved) {
            return None;
        }
        let mut entry = self.folders.get_mut(&new.0)?.take(&self.hasher, new.1)?;
        let mut old = self.folders.get_mut(&moved.0)?.take(&self.hasher, moved.1)?;
        let was = Known {
            id: entry.id,
            told: entry.told,
        };
        (entry.id, entry.told) = (known.id, known.told);
        (old.id, old.told) = (other, Told::Never);
        self.put(new.0, moved.1, entry);
        self.put(moved.0, new.1, old);
        Some(was)
    }

    /// The same with a node that was removed.
    pub fn come_back_removed(&mut self, new: (Ino, NodeNo), removed: NodeNo, known: Known) -> Option<Known> {
        let mut entry = self.folders.get_mut(&new.0)?.take(&self.hasher, new.1)?;
        let was = Known {
            id: entry.id,
            told: entry.told,
        };
        (entry.id, entry.told) = (known.id, known.told);
        self.forget_id(&was.id, new.1);
        self.put(new.0, removed, entry);
        self.dirty.insert(new.1, None);
        Some(was)
    }

    /// Where an entry is, by its number: it was there, or has moved since the last commit.
    pub fn folder_of(&self, no: NodeNo, was: Ino) -> Option<Ino> {
        let folder = self.dirty.get(&no).copied().unwrap_or(Some(was))?;
        let there = self.folders.get(&folder)?.entries.contains_key(&no);
        there.then_some(folder)
    }
}
