//! The inodes in memory, and how often each is held by whoever uses the vault.
//!
//! What is clean, closed and not needed at the moment may be forgotten at any time: it
//! is read again when asked for. A file without names is kept while it is held.

use std::collections::HashMap;
use std::sync::Arc;

use super::inode::Inode;
use crate::ids::{EntityId, Ino};

/// How many inodes stay in memory before the clean ones are looked through.
const KEEP: usize = 24_000;

/// See the module.
#[derive(Default)]
pub(crate) struct Map {
    inodes: HashMap<Ino, Arc<Inode>>,
    /// For each entity those that stand for it, and perhaps others that did: whoever asks looks at them.
    of: HashMap<EntityId, Vec<Ino>>,
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

    /// Adds one that was made, and stands for this entity.
    pub(crate) fn put(&mut self, inode: Arc<Inode>, entity: EntityId) {
        self.make_room();
        self.stands_for(entity, inode.ino);
        self.inodes.insert(inode.ino, inode);
    }

    /// A file stands for this entity from now on: to be said before its lock is let go.
    pub(crate) fn stands_for(&mut self, entity: EntityId, ino: Ino) {
        if self.of.len() > 2 * self.inodes.len() + KEEP {
            self.forget_others();
        }
        let of = self.of.entry(entity).or_default();
        if !of.contains(&ino) {
            of.push(ino);
        }
    }

    /// All in memory that may stand for this entity, those that do among them.
    pub(crate) fn that_may_be(&self, entity: &EntityId) -> Vec<Arc<Inode>> {
        let of = self.of.get(entity).into_iter().flatten();
        of.filter_map(|ino| self.get(*ino)).collect()
    }

    fn forget_others(&mut self) {
        let inodes = &self.inodes;
        self.of.retain(|_, of| {
            of.retain(|ino| inodes.contains_key(ino));
            !of.is_empty()
        });
    }

    /// Where the map stands, for [`Map::put_read`].
    pub(crate) fn stand(&self) -> u64 {
        self.forgotten
    }

    /// Adds one that was read, and stands for this entity, unless another did so meanwhile; returns the one that
    /// counts. `None` if something was forgotten since `stand`: it may have been this
    /// inode, changed in between, and it must be read again.
    pub(crate) fn put_read(&mut self, stand: u64, inode: Arc<Inode>, entity: EntityId) -> Option<Arc<Inode>> {
        if let Some(known) = self.inodes.get(&inode.ino) {
            return Some(known.clone());
        }
        if self.forgotten != stand {
            return None;
        }
        self.make_room();
        self.stands_for(entity, inode.ino);
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
        self.of.clear();
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
        self.forget_others();
        // If little could go, do not look again at once.
        self.limit = (self.inodes.len() * 2).max(KEEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Meta, Time};
    use crate::tree::Kind;

    fn file(ino: Ino, entity: EntityId) -> Arc<Inode> {
        let now = Time::now();
        let meta = Meta {
            kind: Kind::File,
            perm: 0o644,
            uid: 0,
            gid: 0,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
        };
        Arc::new(Inode::new(ino, entity, meta, true))
    }

    /// Guards against looking at every file in memory for each that another device told of: taking in
    /// 100,000 notes took minutes. Whoever asks for an entity is given the few that may stand for it,
    /// also after one took over from another, and what is gone leaves nothing behind.
    #[test]
    fn an_entity_is_found_without_looking_at_all() {
        let mut map = Map::default();
        let entity = |n: u64| EntityId((u128::from(n) << 64).to_be_bytes());
        for n in 2..20_000 {
            map.put(file(n, entity(n)), entity(n));
        }
        map.stands_for(entity(7), 9);
        map.stands_for(entity(7), 9);
        let inos = |map: &Map, n| -> Vec<Ino> { map.that_may_be(&entity(n)).iter().map(|i| i.ino).collect() };
        assert_eq!(inos(&map, 7), [7, 9]);
        assert_eq!(inos(&map, 8), [8]);
        map.remove(7);
        assert_eq!(inos(&map, 7), [9]);
        assert!(inos(&map, 30_000).is_empty());
        for n in 2..20_000 {
            map.remove(n);
        }
        for n in 20_000..200_000 {
            map.put(file(n, entity(n)), entity(n));
            map.remove(n);
        }
        assert!(map.of.len() <= KEEP + 1, "{} are remembered", map.of.len());
    }
}
