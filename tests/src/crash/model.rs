//! What there is, and what a crash may leave of it.
//!
//! A commit takes all files and names as they are at one instant, but for those with a
//! save under way (cut to a smaller size while open for writing, with something of it
//! committed, and neither closed nor synced nor given another name since): such a file keeps
//! the content of the last commit that took it. A [`View`] is what a crash just after a commit
//! at that moment would leave.
//!
//! Never does I/O; a clone costs little.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A file of the model.
#[derive(Clone, Debug, Default)]
struct File {
    bytes: Arc<Vec<u8>>,
    /// As the last commit that took the content left it.
    committed: Arc<Vec<u8>>,
    saving: bool,
    writers: u32,
    opens: u32,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    Symlink(Vec<u8>),
    File(u64),
}

/// What one name shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A folder.
    Folder,
    /// A symlink to this.
    Symlink(Vec<u8>),
    /// A file.
    File {
        /// Names with one number are one file.
        id: u64,
        /// Its content.
        bytes: Arc<Vec<u8>>,
        /// Its attributes.
        xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    },
}

/// All names with what they show, by path.
pub type View = BTreeMap<String, Shown>;

/// See the module. Calls panic over what the workload should not have asked for.
#[derive(Clone, Debug, Default)]
pub struct Model {
    names: BTreeMap<String, Node>,
    files: BTreeMap<u64, File>,
    last: u64,
}

impl Model {
    fn id(&self, path: &str) -> u64 {
        match self.names.get(path) {
            Some(Node::File(id)) => *id,
            other => panic!("the model has {other:?} at {path}"),
        }
    }

    fn file(&mut self, id: u64) -> &mut File {
        self.files.get_mut(&id).expect("the model has the file")
    }

    /// Opens a file for writing, making or cutting it as asked; its number.
    pub fn open(&mut self, path: &str, truncate: bool) -> u64 {
        if !self.names.contains_key(path) {
            self.last += 1;
            self.names.insert(path.into(), Node::File(self.last));
            self.files.insert(self.last, File::default());
        }
        let id = self.id(path);
        let file = self.file(id);
        file.opens += 1;
        file.writers += 1;
        if truncate && !file.bytes.is_empty() {
            file.bytes = Arc::default();
            file.saving = !file.committed.is_empty();
        }
        id
    }

    /// Closes it.
    pub fn close(&mut self, id: u64) {
        let file = self.file(id);
        file.opens -= 1;
        file.writers -= 1;
        file.saving &= file.writers > 0;
        self.sweep();
    }

    /// Writes.
    pub fn write(&mut self, id: u64, offset: usize, data: &[u8]) {
        let bytes = Arc::make_mut(&mut self.file(id).bytes);
        if bytes.len() < offset + data.len() {
            bytes.resize(offset + data.len(), 0);
        }
        bytes[offset..offset + data.len()].copy_from_slice(data);
    }

    /// Cuts or lengthens an open file.
    pub fn truncate(&mut self, id: u64, len: usize) {
        let file = self.file(id);
        // What only grows is no save that begins anew.
        file.saving |= len < file.bytes.len() && !file.committed.is_empty();
        Arc::make_mut(&mut file.bytes).resize(len, 0);
    }

    /// Makes a hole.
    pub fn punch(&mut self, id: u64, offset: usize, len: usize) {
        let bytes = Arc::make_mut(&mut self.file(id).bytes);
        let end = bytes.len().min(offset + len);
        bytes[offset.min(end)..end].fill(0);
    }

    /// A file's content.
    pub fn bytes(&self, id: u64) -> Arc<Vec<u8>> {
        self.files[&id].bytes.clone()
    }

    /// The number of the file at a path, if there is one.
    pub fn find(&self, path: &str) -> Option<u64> {
        match self.names.get(path) {
            Some(Node::File(id)) => Some(*id),
            _ => None,
        }
    }

    /// Whether there is such a name.
    pub fn has(&self, path: &str) -> bool {
        self.names.contains_key(path)
    }

    /// Whether the folder that a path lies in is there.
    pub fn has_room(&self, path: &str) -> bool {
        match path.rsplit_once('/') {
            Some(("", _)) => true,
            Some((folder, _)) => self.is_folder(folder),
            None => false,
        }
    }

    /// Replaces a file's content.
    pub fn set(&mut self, id: u64, bytes: Vec<u8>) {
        self.file(id).bytes = Arc::new(bytes);
    }

    /// Makes a folder.
    pub fn mkdir(&mut self, path: &str) {
        self.names.insert(path.into(), Node::Folder);
    }

    /// Makes a symlink.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.names.insert(path.into(), Node::Symlink(target.into()));
    }

    /// Removes a name.
    pub fn remove(&mut self, path: &str) {
        self.names.remove(path);
        self.sweep();
    }

    /// Gives a file one more name.
    pub fn link(&mut self, from: &str, to: &str) {
        self.names.insert(to.into(), self.names[from].clone());
        self.renamed(to);
    }

    /// Moves a name, and what lies under it.
    pub fn rename(&mut self, from: &str, to: &str) {
        // Two names of one file: POSIX leaves both.
        if self.find(from).is_some() && self.find(from) == self.find(to) {
            return;
        }
        let under = format!("{from}/");
        let moved: Vec<String> = self
            .names
            .keys()
            .filter(|name| *name == from || name.starts_with(&under))
            .cloned()
            .collect();
        for name in moved {
            if let Some(node) = self.names.remove(&name) {
                self.names.insert(format!("{to}{}", &name[from.len()..]), node);
            }
        }
        self.renamed(to);
        self.sweep();
    }

    /// What a save leaves on disk until it is over is not what another name is to show.
    fn renamed(&mut self, path: &str) {
        if let Some(id) = self.find(path) {
            self.file(id).saving = false;
        }
    }

    /// Swaps two files' names.
    pub fn exchange(&mut self, a: &str, b: &str) {
        let (one, two) = (self.names[a].clone(), self.names[b].clone());
        self.names.insert(a.into(), two);
        self.names.insert(b.into(), one);
        self.renamed(a);
        self.renamed(b);
    }

    /// Sets an attribute, or removes it.
    pub fn xattr(&mut self, path: &str, name: &[u8], value: Option<&[u8]>) {
        let id = self.id(path);
        let xattrs = &mut self.file(id).xattrs;
        match value {
            Some(value) => xattrs.insert(name.to_vec(), value.to_vec()),
            None => xattrs.remove(name),
        };
    }

    /// A commit: by a timer (`None`), or asked for by fsync of a file.
    pub fn commit(&mut self, synced: Option<u64>) {
        for (id, file) in &mut self.files {
            if !file.saving || synced == Some(*id) {
                file.committed = file.bytes.clone();
                file.saving = false;
            }
        }
    }

    /// What a crash just after a commit at this moment would leave.
    pub fn view(&self) -> View {
        let shown = |node: &Node| match node {
            Node::Folder => Shown::Folder,
            Node::Symlink(target) => Shown::Symlink(target.clone()),
            Node::File(id) => {
                let file = &self.files[id];
                let bytes = if file.saving { &file.committed } else { &file.bytes };
                Shown::File {
                    id: *id,
                    bytes: bytes.clone(),
                    xattrs: file.xattrs.clone(),
                }
            }
        };
        self.names
            .iter()
            .map(|(n, node)| (n.clone(), shown(node)))
            .collect()
    }

    /// What there is now, saves under way included.
    pub fn present(&self) -> View {
        let mut now = self.clone();
        now.files.values_mut().for_each(|file| file.saving = false);
        now.view()
    }

    /// All names.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    /// Whether a folder is at this path.
    pub fn is_folder(&self, path: &str) -> bool {
        self.names.get(path) == Some(&Node::Folder)
    }

    /// Forgets files without names that nobody has open.
    fn sweep(&mut self) {
        let named: Vec<u64> = self
            .names
            .values()
            .filter_map(|node| match node {
                Node::File(id) => Some(*id),
                _ => None,
            })
            .collect();
        self.files.retain(|id, file| file.opens > 0 || named.contains(id));
    }
}
