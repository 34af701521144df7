//! An inode in memory: attributes and content of one POSIX file, under one lock.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::RwLock;

use crate::content::{Content, Durable, Owner};
use crate::core::Core;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino, NodeId, ROOT, ROOT_NODE};
use crate::keys::Key;
use crate::record::{InodeRecord, Meta};

/// One POSIX file.
pub(crate) struct Inode {
    pub(crate) ino: Ino,
    /// The entity's key; made when the first byte must be sealed.
    key: OnceLock<Key>,
    pub(crate) state: RwLock<State>,
}

/// What changes about it.
pub(crate) struct State {
    pub(crate) entity: EntityId,
    pub(crate) meta: Meta,
    /// Files and symlinks have one.
    pub(crate) content: Option<Box<Content>>,
    /// The database has its row and its key.
    pub(crate) stored: bool,
    /// The row does not say what `meta` says.
    pub(crate) meta_dirty: bool,
    /// If so: it says all but a folder's times, as its entries change them.
    pub(crate) times_only: bool,
    /// The other devices have not been told.
    pub(crate) untold: bool,
    /// The database notes that they have not.
    pub(crate) untold_row: bool,
    /// The event that told them last.
    pub(crate) published: Option<EventRef>,
    /// Open handles.
    pub(crate) opens: u32,
    /// Of those, handles that may write.
    pub(crate) writers: u32,
    /// When it was cut while open: a save may be under way.
    pub(crate) saving_since: Option<Instant>,
}

impl State {
    pub(crate) fn size(&self) -> u64 {
        self.content.as_ref().map_or(0, |c| c.size())
    }

    pub(crate) fn content_dirty(&self) -> bool {
        self.content.as_ref().is_some_and(|c| c.is_dirty())
    }

    /// Whether memory holds nothing that the database does not.
    pub(crate) fn is_clean(&self) -> bool {
        self.stored && !self.meta_dirty && !self.content_dirty()
    }

    pub(crate) fn record(&self, durable: Durable, published: Option<EventRef>) -> InodeRecord {
        InodeRecord {
            entity: self.entity,
            meta: self.meta.clone(),
            size: durable.size,
            allocated: durable.allocated,
            base: durable.base,
            base_len: durable.base_len,
            log_first: durable.log_first,
            log_next: durable.log_next,
            published,
        }
    }
}

impl Inode {
    pub(crate) fn new(ino: Ino, entity: EntityId, meta: Meta, with_content: bool) -> Inode {
        Inode {
            ino,
            key: OnceLock::new(),
            state: RwLock::new(State {
                entity,
                meta,
                content: with_content.then(|| Box::new(Content::new())),
                stored: false,
                meta_dirty: true,
                times_only: false,
                untold: true,
                untold_row: false,
                published: None,
                opens: 0,
                writers: 0,
                saving_since: None,
            }),
        }
    }

    pub(crate) fn loaded(ino: Ino, key: Key, record: InodeRecord, untold: bool, with_content: bool) -> Inode {
        let durable = Durable {
            size: record.size,
            allocated: record.allocated,
            base: record.base,
            base_len: record.base_len,
            log_first: record.log_first,
            log_next: record.log_next,
        };
        Inode {
            ino,
            key: OnceLock::from(key),
            state: RwLock::new(State {
                entity: record.entity,
                meta: record.meta,
                content: with_content.then(|| Box::new(Content::stored(durable))),
                stored: true,
                meta_dirty: false,
                times_only: false,
                untold,
                untold_row: untold,
                published: record.published,
                opens: 0,
                writers: 0,
                saving_since: None,
            }),
        }
    }

    pub(crate) fn key(&self) -> &Key {
        self.key.get_or_init(Key::random)
    }

    /// A new file of an entity that was there before: `published` told it last.
    pub(crate) fn again(
        ino: Ino,
        entity: EntityId,
        key: Key,
        meta: Meta,
        published: Option<EventRef>,
    ) -> Inode {
        let mut inode = Inode::new(ino, entity, meta, true);
        inode.key = OnceLock::from(key);
        inode.state.get_mut().published = published;
        inode
    }

    /// A folder's node.
    pub(crate) fn node(&self) -> NodeId {
        match self.ino {
            ROOT => ROOT_NODE,
            _ => NodeId(self.state.read().entity.0),
        }
    }

    pub(crate) fn owner<'a>(&'a self, core: &'a Arc<Core>, entity: EntityId) -> Owner<'a> {
        Owner {
            core,
            key: self.key(),
            ino: self.ino,
            entity,
        }
    }
}
