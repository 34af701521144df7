//! The inodes in memory, and how often each is held by whoever uses the vault.
//!
//! What is clean, closed and not needed at the moment may be forgotten at any time: it
//! is read again when asked for. A file without names is kept while it is held.

use std::collections::HashMap;
use std::sync::Arc;

use super::inode::Inode;
use crate::ids::Ino;

/// How many inodes stay in memory before the clean ones are looked through.
const KEEP: usize = 24_000;

/// See the module.
#[derive(Default)]
pub(crate) struct Map {
    inodes: HashMap<Ino, Arc<Inode>>,
    holds: HashMap<Ino, u64>,
    /// Counts how often something was forgotten.
    forgotten: u64,
    /// Size at which to look for what can be forgotten.
    limit: usize,
}

impl Map {
    pub(crate) fn get(&self, ino: Ino) -> Option<Arc<Inode>> {
        self.inodes.get(&ino).cloned()
    }

    /// Adds one that was made.
    pub(crate) fn put(&mut self, inode: Arc<Inode>) {
        self.make_room();
        self.inodes.insert(inode.ino, inode);
    }

    /// Where the map stands, for [`Map::put_read`].
    pub(crate) fn stand(&self) -> u64 {
        self.forgotten
    }

    /// Adds one that was read, unless another did so meanwhile; returns the one that
    /// counts. `None` if something was forgotten since `stand`: it may have been this
    /// inode, changed in between, and it must be read again.
    pub(crate) fn put_read(&mut self, stand: u64, inode: Arc<Inode>) -> Option<Arc<Inode>> {
        if let Some(known) = self.inodes.get(&inode.ino) {
            return Some(known.clone());
        }
        if self.forgotten != stand {
            return None;
        }
        self.make_room();
        self.inodes.insert(inode.ino, inode.clone());
        Some(inode)
    }

    pub(crate) fn remove(&mut self, ino: Ino) {
        self.inodes.remove(&ino);
        self.forgotten += 1;
    }

    pub(crate) fn hold(&mut self, ino: Ino) {
        *self.holds.entry(ino).or_insert(0) += 1;
    }

    /// Returns whether nobody holds it any more.
    pub(crate) fn let_go(&mut self, ino: Ino, count: u64) -> bool {
        match self.holds.get_mut(&ino) {
            Some(held) if *held > count => {
                *held -= count;
                false
            }
            _ => {
                self.holds.remove(&ino);
                true
            }
        }
    }

    pub(crate) fn is_held(&self, ino: Ino) -> bool {
        self.holds.contains_key(&ino)
    }

    /// All that are in memory.
    pub(crate) fn all(&self) -> Vec<Arc<Inode>> {
        self.inodes.values().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.inodes.clear();
        self.holds.clear();
    }

    fn make_room(&mut self) {
        if self.inodes.len() < self.limit.max(KEEP) {
            return;
        }
        self.forgotten += 1;
        self.inodes.retain(|_, inode| {
            Arc::strong_count(inode) > 1
                || inode
                    .state
                    .try_read()
                    .is_none_or(|s| s.opens > 0 || s.meta.nlink == 0 || !s.is_clean())
        });
        // If little could go, do not look again at once.
        self.limit = (self.inodes.len() * 2).max(KEEP);
    }
}
