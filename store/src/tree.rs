//! The tree in memory: folders, their entries, and what of it is not committed yet.
//!
//! It owns names only: attributes and content are the inodes'. Every method is one
//! atomic step on one instant's tree; the caller holds the lock. A failed step changes
//! nothing. It never touches a disk: [`Tree::take_dirty`] says what to write.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::codec::Malformed;
use crate::ids::{Ino, NodeId, NodeNo, ROOT};
use crate::record::{NAME_MAX, NodeRecord, valid_name};

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    File = 1,
    /// A folder.
    Folder = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A named pipe.
    Fifo = 4,
    /// A socket's name.
    Socket = 5,
    /// A character device.
    CharDevice = 6,
    /// A block device.
    BlockDevice = 7,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Result<Kind, Malformed> {
        Ok(match byte {
            1 => Kind::File,
            2 => Kind::Folder,
            3 => Kind::Symlink,
            4 => Kind::Fifo,
            5 => Kind::Socket,
            6 => Kind::CharDevice,
            7 => Kind::BlockDevice,
            _ => return Err(Malformed("a file of an unknown kind")),
        })
    }

    /// Whether it is of this machine only and never published.
    pub fn is_local(self) -> bool {
        matches!(
            self,
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice
        )
    }
}

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

/// What an event says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Told {
    /// Nothing yet.
    Never = 0,
    /// Where it was before.
    Before = 1,
    /// Where it is.
    Now = 2,
}

impl Told {
    pub(crate) fn from_byte(byte: u8) -> Result<Told, Malformed> {
        match byte {
            0 => Ok(Told::Never),
            1 => Ok(Told::Before),
            2 => Ok(Told::Now),
            _ => Err(Malformed("a node in an unknown state")),
        }
    }
}

/// A folder.
#[derive(Debug)]
pub struct Folder {
    /// The folder above; the root's is itself. A removed folder keeps its last.
    pub parent: Ino,
    /// Entries by node number: the order in which they are listed.
    pub entries: BTreeMap<NodeNo, Entry>,
    names: HashTable<NodeNo>,
    /// How many of them are folders.
    pub subfolders: u32,
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
}

/// What became of a node since the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirtyNode {
    /// It is, or has changed to, this.
    Is(NodeRecord),
    /// It is gone.
    Gone,
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
        };
        tree.folders.insert(ROOT, Folder::new(ROOT));
        tree
    }
}

impl Folder {
    fn new(parent: Ino) -> Folder {
        Folder {
            parent,
            entries: BTreeMap::new(),
            names: HashTable::new(),
            subfolders: 0,
        }
    }

    fn find(&self, hasher: &DefaultHashBuilder, name: &[u8]) -> Option<NodeNo> {
        let entries = &self.entries;
        self.names
            .find(hasher.hash_one(name), |no| {
                entries.get(no).is_some_and(|e| &*e.name == name)
            })
            .copied()
    }

    fn put(&mut self, hasher: &DefaultHashBuilder, no: NodeNo, entry: Entry) {
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

    fn take(&mut self, hasher: &DefaultHashBuilder, no: NodeNo) -> Option<Entry> {
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
                    folder.put(hasher, no, entry);
                    tree.nodes += 1;
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

    /// Moves a name, over what may be there.
    ///
    /// # Errors
    /// NotFound, Exists (`no_replace`), IsFolder, NotFolder, NotEmpty, Loop, names.
    pub fn rename(
        &mut self,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
        no_replace: bool,
    ) -> Result<(NodeNo, Option<Replaced>), TreeError> {
        check(to.1)?;
        let (no, entry) = self.lookup(from.0, from.1)?;
        let (ino, kind) = (entry.ino, entry.kind);
        self.live(to.0)?;
        if no_replace && self.lookup(to.0, to.1).is_ok() {
            return Err(TreeError::Exists);
        }
        if kind == Kind::Folder && self.lies_in(to.0, ino) {
            return Err(TreeError::Loop);
        }
        let mut replaced = None;
        if let Ok((target_no, target)) = self.lookup(to.0, to.1) {
            if target.ino == ino {
                return Ok((no, None)); // two names of one file: POSIX says to do nothing
            }
            if target.kind == Kind::Folder && self.lies_in(from.0, target.ino) {
                return Err(TreeError::NotEmpty); // whatever moves: as Linux says first
            }
            match (kind == Kind::Folder, target.kind == Kind::Folder) {
                (true, false) => return Err(TreeError::NotFolder),
                (false, true) => return Err(TreeError::IsFolder),
                (true, true) => self.must_be_empty(target.ino)?,
                (false, false) => {}
            }
            replaced = Some(self.drop_node(to.0, target_no));
        }
        self.relocate(no, from.0, to.0, to.1);
        Ok((no, replaced))
    }

    /// Swaps what two names stand for.
    ///
    /// # Errors
    /// NotFound, Loop.
    pub fn exchange(&mut self, a: (Ino, &[u8]), b: (Ino, &[u8])) -> Result<(), TreeError> {
        let (no_a, entry_a) = self.lookup(a.0, a.1)?;
        let (no_b, entry_b) = self.lookup(b.0, b.1)?;
        if no_a == no_b {
            return Ok(());
        }
        if (entry_a.kind == Kind::Folder && self.lies_in(b.0, entry_a.ino))
            || (entry_b.kind == Kind::Folder && self.lies_in(a.0, entry_b.ino))
        {
            return Err(TreeError::Loop);
        }
        let (name_a, name_b) = (entry_a.name.clone(), entry_b.name.clone());
        self.relocate(no_a, a.0, b.0, &name_b);
        self.relocate(no_b, b.0, a.0, &name_a);
        Ok(())
    }

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
        let Some(entry) = folder.entries.get_mut(&no) else {
            return false;
        };
        let there = parent == record.parent && *entry.name == *record.name;
        entry.told = if there { Told::Now } else { Told::Before };
        true
    }

    /// Node numbers up to this one are taken.
    pub fn reserve(&mut self, no: NodeNo) {
        self.next_node = self.next_node.max(no.saturating_add(1));
    }

    /// A folder's own attributes changed: its node is to be told again.
    pub fn retell(&mut self, ino: Ino) {
        let Some(parent) = self.folders.get(&ino).map(|f| f.parent).filter(|_| ino != ROOT) else {
            return;
        };
        let Some(above) = self.folders.get_mut(&parent) else {
            return;
        };
        if let Some((no, entry)) = above.entries.iter_mut().find(|(_, e)| e.ino == ino) {
            if entry.told == Told::Now {
                entry.told = Told::Before;
            }
            self.dirty.insert(*no, Some(parent));
        }
    }

    /// A node's present state.
    pub fn record(&self, parent: Ino, no: NodeNo) -> Option<NodeRecord> {
        match self.state(no, Some(parent)) {
            DirtyNode::Is(record) => Some(record),
            DirtyNode::Gone => None,
        }
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

    /// The path of a folder from the root, without a leading slash.
    pub fn folder_path(&self, ino: Ino) -> Option<Vec<u8>> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = ino;
        while at != ROOT {
            let parent = self.folders.get(&at)?.parent;
            let folder = self.folders.get(&parent)?;
            parts.push(&folder.entries.values().find(|e| e.ino == at)?.name);
            if parts.len() > self.folders.len() {
                return None;
            }
            at = parent;
        }
        parts.reverse();
        Some(parts.join(&b'/'))
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
        if let Some(folder) = self.folders.get_mut(&parent) {
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
        Replaced {
            node: no,
            ino: entry.ino,
            kind: entry.kind,
            id: entry.id,
            told: entry.told,
        }
    }

    fn relocate(&mut self, no: NodeNo, from: Ino, to: Ino, name: &[u8]) {
        let mut entry = self
            .folders
            .get_mut(&from)
            .and_then(|f| f.take(&self.hasher, no))
            .expect("the caller has just looked this node up under the same lock");
        entry.name = name.into();
        if entry.told == Told::Now {
            entry.told = Told::Before;
        }
        if entry.kind == Kind::Folder
            && let Some(folder) = self.folders.get_mut(&entry.ino)
        {
            folder.parent = to;
        }
        self.put(to, no, entry);
    }
}
