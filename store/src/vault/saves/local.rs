//! What stays on this device, for `coffer status`: what editors keep beside what they edit, for as
//! long as they do, and special files for good.

use crate::ids::{Ino, ROOT};
use crate::tree::{Entry, Kind, Told};
use crate::vault::Vault;

/// A file that no other device is told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Local {
    /// From the root, without a leading slash.
    pub path: Vec<u8>,
    /// It is a socket, a FIFO or a device, which mean something on one machine only. Else an editor
    /// keeps it beside what it edits, and it is told of if it stays.
    pub special: bool,
}

impl Vault {
    /// Every such file, by path.
    pub(in crate::vault) fn local_files(&self) -> Vec<Local> {
        let tree = self.tree.read();
        let in_folder = |folder: Ino, entry: &Entry| match folder {
            ROOT => Some(entry.name.to_vec()),
            _ => Some([&tree.folder_path(folder)?, &b"/"[..], &entry.name].concat()),
        };
        let mut found = Vec::new();
        for (ino, folder) in tree.iter() {
            for entry in folder.entries.values() {
                let special = entry.kind.is_local();
                let maybe = entry.kind == Kind::File && entry.told == Told::Never;
                if special || (maybe && self.is_kept_here(entry.ino)) {
                    found.extend(in_folder(ino, entry).map(|path| Local { path, special }));
                }
            }
        }
        found.sort();
        found
    }

    fn is_kept_here(&self, ino: Ino) -> bool {
        self.get(ino).is_ok_and(|inode| inode.state.read().is_scratch())
    }
}
