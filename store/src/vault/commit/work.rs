//! What one commit is about: how much it does, and what it has found so far.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::binding::Binding;
use crate::content::{Durable, Plan};
use crate::db::Batch;
use crate::event::{EventRef, Form};
use crate::ids::{EntityId, Ino, NodeId, NodeNo};
use crate::moves::Op;
use crate::record::{GoneRecord, Marks, Meta, NodeRecord};
use crate::tree::{DirtyNode, Kind};
use crate::vault::history::Setting;
use crate::vault::inode::{Inode, State, pending};
use crate::vault::publish::{GoneNode, ToldEntity, ToldNow};
use crate::vault::saves::Draft;
use crate::vault::texts::{Ready, Telling, Texts};

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
    /// And if so, how.
    pub(in crate::vault) telling: Telling,
    /// Of a version that is told with its bytes: how it merges.
    pub(in crate::vault) form: Form,
    /// What named it when `logged` was made.
    pub(super) logged_name: Vec<EventRef>,
    /// Taken with the tree.
    pub(in crate::vault) seen: Option<Seen>,
    /// The content is left for a later commit.
    pub(in crate::vault) left: bool,
}

/// An inode at the commit's instant.
pub(in crate::vault) struct Seen {
    pub(in crate::vault) meta: Meta,
    pub(in crate::vault) binding: Binding,
    pub(in crate::vault) marks: Marks,
    pub(in crate::vault) durable: Durable,
    pub(in crate::vault) stored: bool,
    pub(in crate::vault) published: Option<EventRef>,
    pub(in crate::vault) beside: Vec<EventRef>,
    /// What names the content that the row gets: another, if that is left at what it was.
    pub(super) row_name: Vec<EventRef>,
    pub(in crate::vault) untold: bool,
    /// What the database's note of it says.
    pub(in crate::vault) pending: u8,
    /// It shows older versions than there are.
    pub(in crate::vault) behind: bool,
    /// Versions that are over, to be told before the present one.
    pub(in crate::vault) drafts: Vec<Draft>,
    /// How each of them is told, if that is known.
    pub(in crate::vault) ready: Vec<Option<Arc<Ready>>>,
    /// The content changed since the last version.
    pub(in crate::vault) fresh: bool,
    pub(in crate::vault) program: Option<Arc<str>>,
}

impl Seen {
    /// The draft that the file is still the same as.
    pub(in crate::vault) fn present_draft(&self) -> Option<&Draft> {
        self.drafts.last().filter(|_| !self.fresh)
    }

    /// What named it.
    pub(super) fn named_by(&self) -> Vec<EventRef> {
        self.published.iter().chain(&self.beside).copied().collect()
    }

    /// What the database must note: whether the other devices have not been told, and of content, and
    /// whether it is behind. What they never heard of is found by its names, which say so; and a
    /// folder is told by its name.
    pub(super) fn note(&self, now: Option<&ToldEntity>) -> u8 {
        let published = now.map_or(self.published, |now| now.at);
        if published.is_none() || self.meta.kind == Kind::Folder || self.meta.kind.is_local() {
            return 0;
        }
        let is_told = now.is_some_and(|now| now.present);
        let drafts = self.drafts.len() - now.map_or(0, |now| now.drafts.len());
        let mut note = 0;
        if self.untold && !is_told {
            note |= pending::UNTOLD;
            if self.fresh || drafts > 0 {
                note |= pending::FRESH;
            }
        }
        if self.behind || now.is_some_and(|now| now.behind) {
            note |= pending::BEHIND;
        }
        note
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
        self.has_changed(&self.inode.state.read())
    }

    fn has_changed(&self, state: &State) -> bool {
        match (&self.plan, &state.content) {
            (Some(plan), Some(content)) => content.changes() != plan.changes,
            _ => false,
        }
    }

    /// Its bytes were to go with an event that was not made: its last name went, or it was
    /// damaged, while it was being prepared. Then its row stays as it is.
    pub(super) fn is_unwritten(&self, told: &ToldNow) -> bool {
        let told = told.entities.get(&self.inode.ino);
        self.body.is_some() && !told.is_some_and(|told| told.present)
    }

    /// Takes attributes at the commit's instant. The tree is locked.
    pub(super) fn see(&mut self, texts: &Texts) {
        let mut state = self.inode.state.write();
        state.meta_dirty = false;
        let durable = match (&self.plan, &state.content) {
            (Some(plan), _) => plan.durable,
            (None, Some(content)) => content.durable(),
            (None, None) => Durable::default(),
        };
        let row_name = match (self.left, self.logged.is_some()) {
            (false, _) => state.named_by(),
            (true, true) => self.logged_name.clone(),
            (true, false) => state.was_named.clone().unwrap_or_else(|| state.named_by()),
        };
        self.seen = Some(Seen {
            row_name,
            ready: texts.ready_of(&state.drafts),
            meta: state.meta.clone(),
            binding: state.binding.duplicate(),
            marks: state.marks,
            durable,
            stored: state.stored,
            published: state.published,
            beside: state.beside.clone(),
            untold: state.untold,
            pending: state.pending,
            behind: state.behind > 0,
            drafts: state.drafts.clone(),
            fresh: state.fresh,
            program: state.program.clone(),
        });
        // What was written since it was prepared is not what is told.
        if self.publish && !self.has_changed(&state) {
            state.fresh = false;
        }
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
    /// Removals that did not happen after all.
    pub(in crate::vault) undone: Vec<NodeNo>,
    /// Nodes of names that are held for who may be saving: told of later.
    pub(in crate::vault) held: HashSet<NodeNo>,
    /// Rows of such names: to be written, to go.
    pub(in crate::vault) left: (Vec<(NodeNo, Vec<u8>)>, Vec<NodeNo>),
    /// Of the removals, what this commit notes in rows.
    pub(in crate::vault) noted: Vec<NodeNo>,
    /// What is kept of names that are gone, and has no row yet.
    pub(in crate::vault) removed: HashMap<NodeId, GoneRecord>,
    /// Removed nodes that came back: their rows go.
    pub(in crate::vault) revived: Vec<NodeId>,
    /// Of the keys that wait for a name, how many are stored.
    pub(in crate::vault) awaited: usize,
    /// Settings that are new.
    pub(in crate::vault) settings: Vec<Setting>,
    /// Documents of texts that are stored with it; an empty one goes.
    pub(in crate::vault) documents: Vec<(EntityId, Vec<u8>)>,
    /// What was told of names, for the tree of all devices.
    pub(super) ops: Vec<Op>,
    /// Of which entities there are versions more.
    pub(super) edited: Vec<EntityId>,
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
            undone: Vec::new(),
            held: HashSet::new(),
            left: (Vec::new(), Vec::new()),
            noted: Vec::new(),
            removed: HashMap::new(),
            revived: Vec::new(),
            awaited: 0,
            settings: Vec::new(),
            documents: Vec::new(),
            ops: Vec::new(),
            edited: Vec::new(),
            batch: Batch::new(),
            gone_rows: Vec::new(),
        }
    }
}
