//! What can be announced: a change that is made, in words that both caches and watchers understand.

use crate::types::Ino;

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub folder: Ino,
    /// The name in it.
    pub name: Vec<u8>,
}

impl Place {
    /// This name in this folder.
    pub fn new(folder: Ino, name: impl Into<Vec<u8>>) -> Place {
        Place {
            folder,
            name: name.into(),
        }
    }
}

/// What happened, and is already so for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A name stands for something: a new file, folder or symlink, or one more name of a file.
    Made {
        /// Where.
        at: Place,
        /// For what.
        ino: Ino,
        /// What it stood for before, if anything: that is replaced, as by a rename over it.
        over: Option<Ino>,
    },
    /// A file has other bytes.
    Content {
        /// A name of the file.
        at: Place,
        /// The file.
        ino: Ino,
    },
    /// A file or folder has another mode, owner, time or user attribute.
    Attributes {
        /// A name of it.
        at: Place,
        /// The file or folder.
        ino: Ino,
    },
    /// Something has another name, in the same folder or another.
    Moved {
        /// The name that it had.
        from: Place,
        /// The name that it has.
        to: Place,
        /// What was moved.
        ino: Ino,
        /// What lay at the new name before, if anything.
        over: Option<Ino>,
    },
    /// A name is gone.
    Removed {
        /// The name.
        at: Place,
        /// What it stood for; it may have other names.
        ino: Ino,
        /// Whether that was a folder.
        folder: bool,
    },
}

impl Change {
    /// The names that stand for something else than before.
    pub(super) fn names(&self) -> impl Iterator<Item = &Place> {
        let (one, two) = match self {
            Change::Made { at, .. } | Change::Removed { at, .. } => (Some(at), None),
            Change::Moved { from, to, .. } => (Some(from), Some(to)),
            Change::Content { .. } | Change::Attributes { .. } => (None, None),
        };
        one.into_iter().chain(two)
    }

    /// The folders in which somebody may watch it.
    pub(super) fn folders(&self) -> impl Iterator<Item = Ino> + use<> {
        let (one, two) = match self {
            Change::Made { at, .. }
            | Change::Removed { at, .. }
            | Change::Content { at, .. }
            | Change::Attributes { at, .. } => (at.folder, None),
            Change::Moved { from, to, .. } => (from.folder, Some(to.folder)),
        };
        std::iter::once(one).chain(two)
    }

    /// Files whose attributes are others than before.
    pub(super) fn files(&self) -> impl Iterator<Item = Ino> + use<> {
        let (one, two) = match self {
            Change::Made { ino, over, .. } | Change::Moved { ino, over, .. } => (*ino, *over),
            Change::Content { ino, .. } | Change::Attributes { ino, .. } | Change::Removed { ino, .. } => {
                (*ino, None)
            }
        };
        std::iter::once(one).chain(two)
    }
}
