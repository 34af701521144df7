//! What can lie in the folder `.coffer`: each thing as what it stands for, which is what its number is made of.
//!
//! Guarantees: what a place shows, besides folders, never changes: another target, text or table is another place.

use std::sync::Arc;

use coffer_store::ids::NodeId;
use coffer_store::vault::Subject;

use crate::types::Ino;

/// Whose versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// A file that is there.
    File(Ino),
    /// A removed one.
    Removed(NodeId),
}

impl From<Whose> for Subject {
    fn from(whose: Whose) -> Subject {
        match whose {
            Whose::File(ino) => Subject::File(ino),
            Whose::Removed(node) => Subject::Removed(node),
        }
    }
}

/// A place in `.coffer/history`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Past {
    /// `.coffer/history` and everything below that has a path of the vault, from its root.
    At(Vec<u8>),
    /// A removed file whose path another file has, or had after it; and that path.
    Earlier(NodeId, Vec<u8>),
    /// A version, by its number.
    Version(Whose, u64),
}

/// What a number stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// `.coffer`.
    Top,
    /// `.coffer/views`, real or not.
    Views,
    /// `.coffer/tables`.
    Tables,
    /// `.coffer/search`.
    Searches,
    /// A real folder below `.coffer/views`.
    Folder(Ino),
    /// The folder that a query makes: the real folder that its file lies in, and its name.
    Smart(Ino, Vec<u8>),
    /// The folder that a search makes.
    Words(String),
    /// An entry of one of these two: its name, and where it points to.
    Link(Arc<Place>, Vec<u8>, Vec<u8>),
    /// What one of these two shows instead of entries.
    Error(Arc<Place>, Arc<str>),
    /// One making of a table, by its number.
    Table(u64),
    /// Something in the history.
    Past(Past),
}

impl Place {
    /// The history's root.
    pub(super) fn history() -> Place {
        Place::Past(Past::At(Vec::new()))
    }
}
