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
}
