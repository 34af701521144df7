//! The names of a vault, mirrored: which names there are, and which path each has.
//!
//! Owns names by their numbers. Guarantees: what it says follows from the names that are there, whatever came in which order: a name
//! whose folder is not known has no path until that comes. A loop of folders has no paths. Below `.coffer` in the root nothing has one.
//! Asks nobody, and knows no bytes of files.

use std::collections::{HashMap, HashSet};

use crate::few::Few;
use crate::said::{Kind, Name};

/// The root's folder, as a file.
const ROOT: u64 = 1;
/// In the root: what is shown there is no content.
const HIDDEN: &[u8] = b".coffer";
/// Folders in each other, at most: the tree of a vault allows fewer.
const DEPTH_MAX: usize = 10_000;

/// All names.
#[derive(Default)]
pub(super) struct Tree {
    names: HashMap<u64, Entry>,
    /// Names by the folder that they stand in.
    within: HashMap<u64, HashSet<u64>>,
    /// Names by what they name; sorted, so that the first is always the same.
    of: HashMap<u64, Few>,
}

struct Entry {
    parent: u64,
    file: u64,
    kind: Kind,
    name: Box<[u8]>,
}

impl Tree {
    /// A name is there, in place of where it was. All names whose paths that changes are added to `touched`, and
    /// the files that had them or have them now to `files`.
    pub(super) fn set(&mut self, name: Name, touched: &mut HashSet<u64>, files: &mut HashSet<u64>) {
        if let Some(old) = self.names.get(&name.node)
            && old.parent == name.parent
            && old.file == name.file
            && *old.name == *name.name
        {
            return;
        }
        self.touch(name.node, touched, files);
        self.unlink(name.node);
        self.within.entry(name.parent).or_default().insert(name.node);
        self.of.entry(name.file).or_default().insert(name.node);
        let entry = Entry {
            parent: name.parent,
            file: name.file,
            kind: name.kind,
            name: name.name.into_boxed_slice(),
        };
        self.names.insert(name.node, entry);
        self.touch(name.node, touched, files);
    }

    /// A name is gone.
    pub(super) fn remove(&mut self, node: u64, touched: &mut HashSet<u64>, files: &mut HashSet<u64>) {
        self.touch(node, touched, files);
        self.unlink(node);
    }

    fn unlink(&mut self, node: u64) {
        fn out(map: &mut HashMap<u64, HashSet<u64>>, key: u64, node: u64) {
            if let Some(set) = map.get_mut(&key) {
                set.remove(&node);
                if set.is_empty() {
                    map.remove(&key);
                }
            }
        }
        let Some(old) = self.names.remove(&node) else {
            return;
        };
        out(&mut self.within, old.parent, node);
        if self.of.get_mut(&old.file).is_some_and(|few| few.remove(node)) {
            self.of.remove(&old.file);
        }
    }

    /// This name and all that lie below it.
    fn touch(&self, node: u64, touched: &mut HashSet<u64>, files: &mut HashSet<u64>) {
        let (mut next, mut seen) = (vec![node], HashSet::new());
        while let Some(node) = next.pop() {
            if !seen.insert(node) {
                continue;
            }
            touched.insert(node);
            let Some(entry) = self.names.get(&node) else {
                continue;
            };
            match entry.kind {
                Kind::Folder => next.extend(self.within.get(&entry.file).into_iter().flatten()),
                _ => drop(files.insert(entry.file)),
            }
        }
    }

    /// The path of a name that has one, from the root, and what it names; none for a folder.
    pub(super) fn path(&self, node: u64) -> Option<(String, u64)> {
        let entry = self.names.get(&node)?;
        if entry.kind == Kind::Folder {
            return None;
        }
        let mut parts: Vec<&[u8]> = vec![&entry.name];
        let mut folder = entry.parent;
        while folder != ROOT {
            // A folder has one name.
            let above = self.of.get(&folder)?.all().first()?;
            let above = self.names.get(above)?;
            parts.push(&above.name);
            folder = above.parent;
            if parts.len() > DEPTH_MAX {
                return None;
            }
        }
        if parts.last().is_some_and(|first| *first == HIDDEN) {
            return None;
        }
        parts.reverse();
        Some((
            String::from_utf8_lossy(&parts.join(&b'/')).into_owned(),
            entry.file,
        ))
    }

    /// The names of a file, with their paths; the first path first.
    pub(super) fn paths(&self, file: u64) -> Vec<(u64, String)> {
        let nodes = self.of.get(&file).into_iter().flat_map(Few::all);
        let mut paths: Vec<(u64, String)> = nodes
            .filter_map(|node| Some((*node, self.path(*node)?.0)))
            .collect();
        paths.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
        paths
    }

    /// The kind by which a file is named.
    pub(super) fn kind(&self, file: u64) -> Option<Kind> {
        let node = self.of.get(&file)?.all().first()?;
        Some(self.names.get(node)?.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(node: u64, parent: u64, name: &str, file: u64, kind: Kind) -> Name {
        Name {
            node,
            parent,
            name: name.as_bytes().to_vec(),
            file,
            kind,
        }
    }

    /// Guards paths in any order of arrival, moved folders, and what has no path.
    #[test]
    fn paths_follow_from_the_names() {
        let (mut tree, mut touched, mut files) = (Tree::default(), HashSet::new(), HashSet::new());
        let mut set = |tree: &mut Tree, n: Name| {
            touched.clear();
            files.clear();
            tree.set(n, &mut touched, &mut files);
            (touched.len(), files.len())
        };
        assert_eq!(set(&mut tree, name(12, 20, "a.md", 30, Kind::File)), (1, 1));
        assert_eq!(tree.paths(30), []);
        assert_eq!(set(&mut tree, name(11, 1, "x", 20, Kind::Folder)), (2, 1));
        assert_eq!(tree.paths(30), [(12, "x/a.md".to_owned())]);
        assert_eq!(set(&mut tree, name(13, 1, "b.md", 30, Kind::File)), (1, 1));
        assert_eq!(
            tree.paths(30),
            [(13, "b.md".to_owned()), (12, "x/a.md".to_owned())]
        );
        assert_eq!(set(&mut tree, name(11, 1, "y", 20, Kind::Folder)), (2, 1));
        assert_eq!(tree.path(12), Some(("y/a.md".to_owned(), 30)));
        assert_eq!(set(&mut tree, name(11, 1, "y", 20, Kind::Folder)), (0, 0));
        set(&mut tree, name(11, 1, ".coffer", 20, Kind::Folder));
        assert_eq!(tree.path(12), None);
        set(&mut tree, name(11, 20, "loop", 20, Kind::Folder));
        assert_eq!(tree.path(12), None);
        let (mut touched, mut files) = (HashSet::new(), HashSet::new());
        tree.remove(13, &mut touched, &mut files);
        assert_eq!((tree.path(13), touched.len(), files.len()), (None, 1, 1));
    }
}
