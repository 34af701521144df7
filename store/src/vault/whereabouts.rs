//! Where files lie, by their numbers: the way back from an inode to its names.
//!
//! It walks all names, since nothing else asks often enough to keep an index of them; whoever asks
//! for many asks once.

use std::collections::HashSet;

use super::Vault;
use crate::ids::Ino;

impl Vault {
    /// The names of these files: each with the file and the folder that it stands in.
    pub fn names_of(&self, files: &HashSet<Ino>) -> Vec<(Ino, Ino, Vec<u8>)> {
        let tree = self.tree.read();
        let mut names = Vec::new();
        for (folder, entries) in tree.iter() {
            let its = entries
                .entries
                .values()
                .filter(|entry| files.contains(&entry.ino));
            names.extend(its.map(|entry| (entry.ino, folder, entry.name.to_vec())));
        }
        names
    }

    /// A path of each of these files that has a name, from the root, without a leading slash.
    pub fn paths_of(&self, files: &HashSet<Ino>) -> Vec<(Ino, Vec<u8>)> {
        let mut names = self.names_of(files);
        names.sort_unstable();
        names.dedup_by_key(|(ino, ..)| *ino);
        let tree = self.tree.read();
        let whole = |(ino, folder, name): (Ino, Ino, Vec<u8>)| {
            let mut path = tree.folder_path(folder)?;
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(name);
            Some((ino, path))
        };
        names.into_iter().filter_map(whole).collect()
    }
}
