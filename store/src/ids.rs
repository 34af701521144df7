//! Names that mean the same on every device (random, 128 bits), and numbers that mean
//! something in this store only.
//!
//! An inode number is a POSIX file here; an [`EntityId`] is one file's content in the
//! vault, everywhere. Which entity an inode shows can be re-bound.

use std::fmt;

use crate::keys::random_bytes;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A fresh random one.
            pub fn random() -> $name {
                $name(random_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    };
}

id!(
    /// One file's content: note, attachment, symlink …
    EntityId
);
id!(
    /// One name in the tree.
    NodeId
);
id!(
    /// One unbroken log by one device.
    ChainId
);
id!(
    /// The unit of replication.
    SpaceId
);
id!(
    /// A vault: the same on each of its devices.
    VaultId
);

/// Names an event: its chain and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventRef {
    /// The chain.
    pub chain: ChainId,
    /// 1, 2, 3 …
    pub seq: u64,
}

/// An inode number: a POSIX file of this store. The root is 1; never used again.
pub type Ino = u64;
/// A node's number in this store: also the cookie by which a folder is listed.
pub type NodeNo = u64;

/// The root folder.
pub const ROOT: Ino = 1;
/// The root folder's node.
pub const ROOT_NODE: NodeId = NodeId([0; 16]);

/// A local number in the form in which associated data names it.
pub(crate) fn number(n: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_le_bytes());
    id
}
