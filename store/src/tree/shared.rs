//! Names that follow what other devices said: by what they are everywhere, taken out of their place and
//! put into another. Whoever does so holds the lock until each is in its place again, or gone.

use super::{Entry, Folder, Tree, TreeError};
use crate::ids::{Ino, NodeId, NodeNo, ROOT};
use crate::record::{Kind, Told};

/// A name that is nowhere for a moment. What lies in a folder stays in it.
#[derive(Debug)]
pub struct Detached {
    /// The folder that it lay in.
    pub parent: Ino,
    /// Its number.
    pub no: NodeNo,
    /// What it is.
    pub entry: Entry,
}

impl Tree {
    /// From now on nodes are found by what they are everywhere.
    pub fn index(&mut self) {
        if self.ids.is_some() {
            return;
        }
        let entries = self.folders.iter().flat_map(|(ino, folder)| {
            let entries = folder.entries.iter();
            entries.map(|(no, entry)| (entry.id, (*ino, *no)))
        });
        self.ids = Some(entries.collect());
    }

    /// Where a node is. Nothing is found before [`Tree::index`].
    pub fn at(&self, node: &NodeId) -> Option<(Ino, NodeNo, &Entry)> {
        let (parent, no) = *self.ids.as_ref()?.get(node)?;
        let entry = self.folders.get(&parent)?.entries.get(&no)?;
        Some((parent, no, entry))
    }

    /// Whether a folder and all above it are in their places.
    pub fn is_rooted(&self, folder: Ino) -> bool {
        let mut at = folder;
        for _ in 0..self.folders.len() {
            if at == ROOT {
                return true;
            }
            match (self.entry_of(at), self.folders.get(&at)) {
                (Some(entry), Some(folder)) if entry.ino == at => at = folder.parent,
                _ => return false,
            }
        }
        false
    }

    pub(super) fn forget_id(&mut self, node: &NodeId, no: NodeNo) {
        let Some(ids) = &mut self.ids else { return };
        if ids.get(node).is_some_and(|(_, known)| *known == no) {
            ids.remove(node);
        }
    }

    /// Takes a node out of its place.
    pub fn detach(&mut self, node: &NodeId) -> Option<Detached> {
        let (parent, no, _) = self.at(node)?;
        let entry = self.folders.get_mut(&parent)?.take(&self.hasher, no)?;
        self.forget_id(node, no);
        Some(Detached { parent, no, entry })
    }

    /// Puts it into another, or the same.
    ///
    /// # Errors
    /// With it, if it cannot be there: as [`Tree::may_insert`].
    pub fn attach(&mut self, parent: Ino, detached: Detached) -> Result<(), (TreeError, Box<Detached>)> {
        let entry = &detached.entry;
        if entry.kind == Kind::Folder && self.lies_in(parent, entry.ino) {
            return Err((TreeError::Loop, Box::new(detached)));
        }
        if let Err(e) = self.may_insert(parent, &entry.name) {
            return Err((e, Box::new(detached)));
        }
        self.put(parent, detached.no, detached.entry);
        Ok(())
    }

    /// A name that is new here; a folder's own place is made with it. It is to be attached.
    pub fn draw(&mut self, id: NodeId, ino: Ino, kind: Kind, name: &[u8]) -> Detached {
        if kind == Kind::Folder {
            self.folders.insert(ino, Folder::new(ino));
        }
        self.nodes += 1;
        Detached {
            parent: ino,
            no: self.spare(),
            entry: Entry {
                ino,
                kind,
                id,
                told: Told::Now,
                name: name.into(),
            },
        }
    }

    /// A detached name is gone for good.
    ///
    /// # Errors
    /// With it, if it is a folder with something in it.
    pub fn forget(&mut self, detached: Detached) -> Result<Detached, Detached> {
        let entry = &detached.entry;
        if entry.kind == Kind::Folder {
            if self.must_be_empty(entry.ino).is_err() {
                return Err(detached);
            }
            self.folders.remove(&entry.ino);
        }
        self.nodes -= 1;
        self.dirty.insert(detached.no, None);
        Ok(detached)
    }

    /// What a name is everywhere, from now on: another folder stands for those that are seen as one.
    pub fn be_known_as(&mut self, node: &NodeId, id: NodeId) {
        let Some((parent, no, _)) = self.at(node) else {
            return;
        };
        self.forget_id(node, no);
        let folder = self.folders.get_mut(&parent);
        if let Some(entry) = folder.and_then(|folder| folder.entries.get_mut(&no)) {
            (entry.id, entry.told) = (id, Told::Now);
            self.dirty.insert(no, Some(parent));
            if let Some(ids) = &mut self.ids {
                ids.insert(id, (parent, no));
            }
        }
    }
}
