//! What is said of the tree: that a node lies somewhere, or that it is removed.

use crate::ids::{ChainId, EntityId, EventRef, NodeId};
use crate::record::Xattrs;

/// Where an operation stands among all: by Lamport time, then chain and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// Its event's Lamport time.
    pub lamport: u64,
    /// Its event.
    pub at: EventRef,
}

impl Stamp {
    /// Later than whatever is said, but for others of this Lamport time: of what is only thought of.
    pub const LAST: Stamp = Stamp {
        lamport: u64::MAX,
        at: EventRef {
            chain: ChainId([0; 16]),
            seq: 0,
        },
    };
}

/// What a node names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// It is a folder by itself.
    Folder,
    /// A file or symlink.
    Entity(EntityId),
}

/// Where a node lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder's node.
    pub parent: NodeId,
    /// Its name there.
    pub name: Box<[u8]>,
    /// What it names.
    pub target: Target,
    /// A folder's permission bits.
    pub perm: u16,
    /// A folder's user xattrs.
    pub xattrs: Option<Box<Xattrs>>,
    /// When its device said so, in seconds since 1970: shown, and decides nothing.
    pub when: i64,
}

impl Place {
    /// Whether another says of a node that it lies just there, and is the same.
    pub(super) fn is_at(&self, other: &Place) -> bool {
        (self.parent, &self.name, self.target) == (other.parent, &other.name, other.target)
    }
}

/// What is said of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It lies here: it is made, moved, renamed, or brought back.
    Place(Place),
    /// It is removed, by someone who saw these versions of what it names; and when that was said, in seconds since
    /// 1970, if that is still known: shown, and decides nothing.
    Gone(Box<[EventRef]>, Option<i64>),
    /// It lay somewhere, until something later was said of it: where, nobody says any more.
    Unsaid,
}

/// One operation on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Its place among all.
    pub stamp: Stamp,
    /// The node.
    pub node: NodeId,
    /// What is said of it.
    pub step: Step,
}
