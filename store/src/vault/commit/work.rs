//! What one commit is about: how much it does, and what it has found so far.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::content::{Durable, Plan};
use crate::db::Batch;
use crate::event::EventRef;
use crate::ids::{Ino, NodeId, NodeNo};
use crate::record::{GoneRecord, Meta, NodeRecord};
use crate::tree::{DirtyNode, Kind};
use crate::vault::history::Setting;
use crate::vault::inode::Inode;
use crate::vault::publish::{GoneNode, ToldNow};

/// How much a commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Durability of everything for this file's sake, as quickly as may be.
    Sync(Ino),
    /// Durability, and events for what is at rest.
    Timer,
    /// The same, and no file is left out.
    All,
}

/// An inode that this commit writes.
pub(in crate::vault) struct Item {
    pub(in crate::vault) inode: Arc<Inode>,
    pub(in crate::vault) plan: Option<Plan>,
    /// What an earlier round of this commit has put into the batch.
    pub(super) logged: Option<Plan>,
    /// A small file's bytes, to be stored with its event.
    pub(in crate::vault) body: Option<Vec<u8>>,
    /// It is to be told to the other devices now.
    pub(in crate::vault) publish: bool,
    /// Taken with the tree.
    pub(in crate::vault) seen: Option<Seen>,
    /// The content is left for a later commit.
    pub(super) left: bool,
}

/// An inode at the commit's instant.
pub(in crate::vault) struct Seen {
    pub(in crate::vault) meta: Meta,
    pub(in crate::vault) durable: Durable,
    pub(in crate::vault) stored: bool,
    pub(in crate::vault) published: Option<EventRef>,
    pub(in crate::vault) untold: bool,
    pub(in crate::vault) untold_row: bool,
}

impl Seen {
    /// Whether the database must note that the other devices have not been told. What they
    /// never heard of is found by its names, which say so; and a folder is told by its name.
    pub(super) fn needs_row(&self) -> bool {
        let known = self.published.is_some() && self.meta.kind != Kind::Folder;
        self.untold && known && !self.meta.kind.is_local()
    }
}

impl Item {
    /// Leaves the content at what the batch says of it already, or the database. Not at a body
    /// that was planned: it goes with no event now, and the row would name bytes that lie nowhere.
    pub(super) fn leave(&mut self) {
        self.left = true;
        self.publish = false;
        self.body = None;
        self.plan = self.logged;
    }

    /// Whether the content has changed since it was prepared.
    pub(super) fn has_moved_on(&self) -> bool {
        let state = self.inode.state.read();
        match (&self.plan, &state.content) {
            (Some(plan), Some(content)) => content.changes() != plan.changes,
            _ => false,
        }
    }

    /// Its bytes were to go with an event that was not made: its last name went, or it was
    /// damaged, while it was being prepared. Then its row stays as it is.
    pub(super) fn is_unwritten(&self, told: &ToldNow) -> bool {
        self.body.is_some() && !told.entities.contains_key(&self.inode.ino)
    }

    /// Takes attributes at the commit's instant. The tree is locked.
    pub(super) fn see(&mut self) {
        let mut state = self.inode.state.write();
        state.meta_dirty = false;
        let durable = match (&self.plan, &state.content) {
            (Some(plan), _) => plan.durable,
            (None, Some(content)) => content.durable(),
            (None, None) => Durable::default(),
        };
        self.seen = Some(Seen {
            meta: state.meta.clone(),
            durable,
            stored: state.stored,
            published: state.published,
            untold: state.untold,
            untold_row: state.untold_row,
        });
    }
}

/// One commit's work.
pub(in crate::vault) struct Work {
    pub(in crate::vault) scope: Scope,
    /// Files at rest become events.
    pub(super) tells: bool,
    pub(in crate::vault) items: HashMap<Ino, Item>,
    pub(in crate::vault) nodes: Vec<(NodeNo, DirtyNode)>,
    pub(in crate::vault) dead: Vec<Dead>,
    /// What was dirty: after a panic nobody knows how far it came.
    pub(super) drained: HashSet<Ino>,
    /// Inodes that stay dirty.
    pub(super) later: Vec<Ino>,
    /// Nodes that were told nowhere, or of an earlier place, at the commit's instant.
    pub(in crate::vault) untold: Vec<(NodeNo, NodeRecord)>,
    /// Removals that were not told, at the same.
    pub(in crate::vault) gone: Vec<(NodeNo, GoneNode)>,
    /// Of those, what this commit notes in rows.
    pub(in crate::vault) noted: Vec<NodeNo>,
    /// What is kept of names that are gone, and has no row yet.
    pub(in crate::vault) removed: HashMap<NodeId, GoneRecord>,
    /// Removed nodes that came back: their rows go.
    pub(in crate::vault) revived: Vec<NodeId>,
    /// Settings that are new.
    pub(in crate::vault) settings: Vec<Setting>,
    pub(in crate::vault) batch: Batch,
    /// Removals that the batch notes.
    pub(in crate::vault) gone_rows: Vec<NodeNo>,
}

/// An inode whose rows go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dead {
    pub(crate) ino: Ino,
    /// There may be a note that it is untold.
    pub(crate) noted: bool,
}

impl Work {
    pub(super) fn is_sync(&self) -> bool {
        matches!(self.scope, Scope::Sync(_))
    }

    pub(super) fn new(scope: Scope) -> Work {
        Work {
            scope,
            tells: false,
            items: HashMap::new(),
            nodes: Vec::new(),
            dead: Vec::new(),
            drained: HashSet::new(),
            later: Vec::new(),
            untold: Vec::new(),
            gone: Vec::new(),
            noted: Vec::new(),
            removed: HashMap::new(),
            revived: Vec::new(),
            settings: Vec::new(),
            batch: Batch::new(),
            gone_rows: Vec::new(),
        }
    }
}
