//! What the names of a file say of it.
//!
//! Guarantees: a file that has several names is a text if one of them is a text's and none lies in a
//! version control's own folder, in whatever order they came and went; with each commit, for then
//! what cannot be known from the name at hand is found from all of them. So what a row says of a file
//! is what the names say that are stored with it.

use std::collections::{HashMap, HashSet};

use super::Process;
use crate::ids::{Ino, ROOT};
use crate::text::TextNames;
use crate::tree::{Kind, Tree};
use crate::vault::Vault;
use crate::vault::inode::{Inode, State};

/// What one name says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Text,
    Other,
    /// It lies where nothing is a text.
    Closed,
}

/// What several names say together.
fn is_text(names: &[Says]) -> bool {
    names.contains(&Says::Text) && !names.contains(&Says::Closed)
}

impl Vault {
    fn says(&self, tree: &Tree, folder: Ino, name: &[u8]) -> Says {
        match () {
            () if is_closed(tree, folder) => Says::Closed,
            () if self.text_names.read().cover(name) => Says::Text,
            () => Says::Other,
        }
    }

    /// A file has got a name, perhaps its first: what that says of it. The tree is locked, the file is not.
    pub(in crate::vault) fn mark(&self, tree: &Tree, inode: &Inode, folder: Ino, name: &[u8], who: Process) {
        let (scratch, passing) = (
            self.is_beside(tree, folder, name, who),
            self.may_pass(tree, folder, name),
        );
        let mut state = inode.state.write();
        (state.marks.scratch, state.passing) = (scratch, passing);
        drop(state);
        self.mark_text(tree, inode, folder, name);
    }

    /// The same, of whether it is a text alone.
    pub(in crate::vault) fn mark_text(&self, tree: &Tree, inode: &Inode, folder: Ino, name: &[u8]) {
        let says = self.says(tree, folder, name);
        let mut state = inode.state.write();
        if state.meta.nlink < 2 {
            state.marks.text = is_text(&[says]);
            return;
        }
        // It is what it was, or what this name makes of it, until all names are looked at.
        state.marks.text |= says == Says::Text;
        self.to_mark.lock().insert(inode.ino);
    }

    /// A file has lost this name, and has others. The tree is locked.
    pub(in crate::vault) fn unmark(&self, tree: &Tree, ino: Ino, (folder, name): (Ino, &[u8])) {
        if self.says(tree, folder, name) != Says::Other {
            self.to_mark.lock().insert(ino);
        }
    }

    /// Looks at all names of the files for which that is to be done. The tree is locked.
    pub(in crate::vault) fn mark_by_all_names(&self, tree: &Tree) {
        let to_mark: HashSet<Ino> = std::mem::take(&mut *self.to_mark.lock());
        if to_mark.is_empty() {
            return;
        }
        let mut said: HashMap<Ino, Vec<Says>> = HashMap::new();
        for (folder, entries) in tree.iter() {
            let files = entries.entries.values().filter(|entry| entry.kind == Kind::File);
            for entry in files.filter(|entry| to_mark.contains(&entry.ino)) {
                let says = self.says(tree, folder, &entry.name);
                said.entry(entry.ino).or_default().push(says);
            }
        }
        for (ino, names) in said {
            // One that cannot be read is found, and noted, by whoever asks for it.
            let Ok(inode) = self.get(ino) else { continue };
            self.be_text(&inode, &mut inode.state.write(), is_text(&names));
        }
    }

    fn be_text(&self, inode: &Inode, state: &mut State, text: bool) {
        if state.marks.text == text {
            return;
        }
        // What was saved as one of the other kind is a version of that kind.
        self.capture(inode, state);
        state.marks.text = text;
        (state.meta_dirty, state.times_only) = (true, false);
        self.mark_dirty(inode.ino);
    }
}

/// Whether nothing in a folder is a text, whatever it is called.
fn is_closed(tree: &Tree, folder: Ino) -> bool {
    let mut at = folder;
    while let Some(entry) = tree.entry_of(at) {
        if TextNames::is_closed(&entry.name) {
            return true;
        }
        at = tree.folder(at).map_or(ROOT, |folder| folder.parent);
    }
    false
}
