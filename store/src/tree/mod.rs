//! The tree in memory: folders, their entries, and what of it is not committed yet.
//!
//! It owns names only: attributes and content are the inodes'. Every method is one
//! atomic step on one instant's tree; the caller holds the lock. A failed step changes
//! nothing. It never touches a disk: [`Tree::take_dirty`] says what to write.

mod bind;
mod dirty;
mod folder;
mod moves;
mod shared;

use std::collections::{BTreeMap, HashMap};

use hashbrown::DefaultHashBuilder;

use crate::ids::{Ino, NodeId, NodeNo, ROOT, ROOT_NODE};
pub use crate::record::{Kind, Told};
use crate::record::{NAME_MAX, NodeRecord, valid_name};
pub use bind::Known;
pub use dirty::DirtyNode;
pub use folder::{Entry, Folder};
pub use shared::Detached;

/// Why a step on the tree cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// No such name, or no such folder.
    #[error("there is no such file or folder")]
    NotFound,
    /// The name is taken.
    #[error("there is already something of that name")]
    Exists,
    /// A folder is needed.
    #[error("that is not a folder")]
    NotFolder,
    /// A folder cannot be.
    #[error("that is a folder")]
    IsFolder,
    /// The folder has entries.
    #[error("the folder is not empty")]
    NotEmpty,
    /// A folder would come to lie in itself.
    #[error("a folder cannot be moved into itself")]
    Loop,
    /// More than 255 bytes.
    #[error("the name is longer than 255 bytes")]
    NameTooLong,
    /// Empty, `.`, `..`, or with `/` or NUL.
    #[error("no file can have that name")]
    BadName,
}

/// What a rename replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The node that is gone.
    pub node: NodeNo,
    /// What it named.
    pub ino: Ino,
    /// What that is.
    pub kind: Kind,
    /// Its name everywhere.
    pub id: NodeId,
    /// Whether the other devices know of it.
    pub told: Told,
    /// Its name.
    pub name: Box<[u8]>,
}

/// All folders.
#[derive(Debug)]
pub struct Tree {
    folders: HashMap<Ino, Folder>,
    hasher: DefaultHashBuilder,
    next_node: NodeNo,
    /// Node → the folder it is in now, or none.
    dirty: BTreeMap<NodeNo, Option<Ino>>,
    nodes: u64,
    /// Where each node is by its name everywhere, if that was ever asked for.
    ids: Option<HashMap<NodeId, (Ino, NodeNo)>>,
}

/// The first node number: `.` and `..` are listed as 1 and 2.
const FIRST_NODE: NodeNo = 3;

impl Default for Tree {
    fn default() -> Tree {
        let mut tree = Tree {
            folders: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
            next_node: FIRST_NODE,
            dirty: BTreeMap::new(),
            nodes: 0,
            ids: None,
        };
        tree.folders.insert(ROOT, Folder::new(ROOT));
        tree
    }
}

fn check(name: &[u8]) -> Result<(), TreeError> {
    if name.len() > NAME_MAX {
        return Err(TreeError::NameTooLong);
    }
    if !valid_name(name) {
        return Err(TreeError::BadName);
    }
    Ok(())
}

impl Tree {
    /// The tree of the rows of the node table. Returns nodes that hang nowhere or twice:
    /// damage, left out.
    pub fn load(rows: Vec<(NodeNo, NodeRecord)>) -> (Tree, Vec<(NodeNo, NodeRecord)>) {
        let mut tree = Tree::default();
        for (_, row) in &rows {
            if row.kind == Kind::Folder && row.ino != ROOT {
                tree.folders
                    .entry(row.ino)
                    .or_insert_with(|| Folder::new(row.parent));
            }
        }
        let mut stray = Vec::new();
        for (no, row) in rows {
            tree.next_node = tree.next_node.max(no.saturating_add(1));
            let hasher = &tree.hasher;
            match tree.folders.get_mut(&row.parent) {
                Some(folder) if no >= FIRST_NODE && folder.find(hasher, &row.name).is_none() => {
                    let entry = Entry {
                        ino: row.ino,
                        kind: row.kind,
                        id: row.id,
                        told: row.told,
                        name: row.name.into_boxed_slice(),
                    };
                    let below = (entry.kind == Kind::Folder).then_some(entry.ino);
                    folder.put(hasher, no, entry);
                    tree.nodes += 1;
                    if let Some(own) = below.and_then(|ino| tree.folders.get_mut(&ino)) {
                        (own.parent, own.node) = (row.parent, no);
                    }
                }
                _ => stray.push((no, row)),
            }
        }
        (tree, stray)
    }

    /// A folder.
    pub fn folder(&self, ino: Ino) -> Option<&Folder> {
        self.folders.get(&ino)
    }

    /// How many names there are.
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// How many folders there are, the root too.
    pub fn folders(&self) -> u64 {
        self.folders.len() as u64
    }

    /// Every folder's inode and itself.
    pub fn iter(&self) -> impl Iterator<Item = (Ino, &Folder)> {
        self.folders.iter().map(|(ino, folder)| (*ino, folder))
    }

    /// Looks a name up.
    ///
    /// # Errors
    /// [`TreeError::NotFound`]; the parent may be gone too.
    pub fn lookup(&self, parent: Ino, name: &[u8]) -> Result<(NodeNo, &Entry), TreeError> {
        if name.len() > NAME_MAX {
            return Err(TreeError::NameTooLong);
        }
        let folder = self.folders.get(&parent).ok_or(TreeError::NotFound)?;
        let no = folder.find(&self.hasher, name).ok_or(TreeError::NotFound)?;
        let entry = folder.entries.get(&no).ok_or(TreeError::NotFound)?;
        Ok((no, entry))
    }

    /// Whether a new entry may come under this name.
    ///
    /// # Errors
    /// Why not.
    pub fn may_insert(&self, parent: Ino, name: &[u8]) -> Result<(), TreeError> {
        check(name)?;
        let folder = self.live(parent)?;
        match folder.find(&self.hasher, name) {
            Some(_) => Err(TreeError::Exists),
            None => Ok(()),
        }
    }

    /// Names `ino` in a folder. A folder's own place is made with it. `id` is the node's
    /// name everywhere.
    ///
    /// # Errors
    /// As [`Tree::may_insert`].
    pub fn insert(
        &mut self,
        parent: Ino,
        name: &[u8],
        ino: Ino,
        kind: Kind,
        id: NodeId,
    ) -> Result<NodeNo, TreeError> {
        self.may_insert(parent, name)?;
        let no = self.next_node;
        self.next_node += 1;
        if kind == Kind::Folder {
            self.folders.insert(ino, Folder::new(parent));
        }
        self.put(
            parent,
            no,
            Entry {
                ino,
                kind,
                id,
                told: Told::Never,
                name: name.into(),
            },
        );
        self.nodes += 1;
        Ok(no)
    }

    /// Removes a name; an empty folder's place goes with it. `folder` says which of
    /// the two is meant.
    ///
    /// # Errors
    /// NotFound, IsFolder, NotFolder, NotEmpty.
    pub fn remove(&mut self, parent: Ino, name: &[u8], folder: bool) -> Result<Replaced, TreeError> {
        let (no, entry) = self.lookup(parent, name)?;
        let ino = entry.ino;
        match (folder, entry.kind == Kind::Folder) {
            (true, false) => return Err(TreeError::NotFolder),
            (false, true) => return Err(TreeError::IsFolder),
            (true, true) => self.must_be_empty(ino)?,
            (false, false) => {}
        }
        Ok(self.drop_node(parent, no))
    }

    /// The path of a folder from the root, without a leading slash.
    pub fn folder_path(&self, ino: Ino) -> Option<Vec<u8>> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = ino;
        while at != ROOT {
            let entry = self.entry_of(at)?;
            parts.push(&entry.name);
            let parent = self.folders.get(&at)?.parent;
            if parts.len() > self.folders.len() {
                return None;
            }
            at = parent;
        }
        parts.reverse();
        Some(parts.join(&b'/'))
    }

    /// How many folders a folder lies in.
    pub fn depth(&self, folder: Ino) -> usize {
        let mut at = folder;
        for depth in 0..self.folders.len() {
            match self.folders.get(&at) {
                Some(folder) if at != ROOT => at = folder.parent,
                _ => return depth,
            }
        }
        0
    }

    /// A folder's own entry; the root has none.
    pub fn entry_of(&self, folder: Ino) -> Option<&Entry> {
        let folder = self.folders.get(&folder)?;
        let above = self.folders.get(&folder.parent)?;
        above.entries.get(&folder.node)
    }

    /// A folder's node.
    pub fn node_of(&self, folder: Ino) -> Option<NodeId> {
        match folder {
            ROOT => Some(ROOT_NODE),
            folder => self.entry_of(folder).map(|entry| entry.id),
        }
    }

    fn live(&self, ino: Ino) -> Result<&Folder, TreeError> {
        // A removed folder's place is gone: nothing can be made in it.
        self.folders.get(&ino).ok_or(TreeError::NotFound)
    }

    fn must_be_empty(&self, ino: Ino) -> Result<(), TreeError> {
        match self.folders.get(&ino) {
            Some(folder) if !folder.entries.is_empty() => Err(TreeError::NotEmpty),
            _ => Ok(()),
        }
    }

    fn lies_in(&self, mut at: Ino, ancestor: Ino) -> bool {
        loop {
            if at == ancestor {
                return true;
            }
            match self.folders.get(&at) {
                Some(folder) if at != ROOT => at = folder.parent,
                _ => return false,
            }
        }
    }

    fn put(&mut self, parent: Ino, no: NodeNo, entry: Entry) {
        if entry.kind == Kind::Folder
            && let Some(own) = self.folders.get_mut(&entry.ino)
        {
            (own.parent, own.node) = (parent, no);
        }
        if let Some(folder) = self.folders.get_mut(&parent) {
            if let Some(ids) = &mut self.ids {
                ids.insert(entry.id, (parent, no));
            }
            folder.put(&self.hasher, no, entry);
            self.dirty.insert(no, Some(parent));
        }
    }

    fn drop_node(&mut self, parent: Ino, no: NodeNo) -> Replaced {
        let entry = self
            .folders
            .get_mut(&parent)
            .and_then(|f| f.take(&self.hasher, no))
            .expect("the caller has just looked this node up under the same lock");
        if entry.kind == Kind::Folder {
            self.folders.remove(&entry.ino);
        }
        self.nodes -= 1;
        self.dirty.insert(no, None);
        self.forget_id(&entry.id, no);
        Replaced {
            node: no,
            ino: entry.ino,
            kind: entry.kind,
            id: entry.id,
            told: entry.told,
            name: entry.name,
        }
    }
}
