//! What a commit has told, for memory to learn once it is through.

use std::collections::{HashMap, HashSet};

use crate::content::Durable;
use crate::event::{Body, EventRef, Form, Version};
use crate::ids::{Ino, NodeNo};
use crate::moves::Op;
use crate::record::{Meta, NodeRecord, Time};
use crate::vault::commit::Seen;
use crate::vault::texts::{Ready, ToldText};

/// What one commit tells of an entity.
pub(in crate::vault) struct ToldEntity {
    /// Where the file's content lies then.
    pub(in crate::vault) durable: Durable,
    /// The last event.
    pub(in crate::vault) at: Option<EventRef>,
    /// Its present state is told, and not only what it was before.
    pub(in crate::vault) present: bool,
    /// The others of its newest events, if the file shows the merge of several.
    pub(in crate::vault) beside: Vec<EventRef>,
    /// Drafts that are told.
    pub(in crate::vault) drafts: Vec<u64>,
    /// What its text's document is to hear of.
    pub(in crate::vault) texts: Vec<ToldText>,
    /// There are newer versions than what the file shows.
    pub(in crate::vault) behind: bool,
}

impl ToldEntity {
    /// Nothing yet.
    pub(super) fn before(seen: &Seen) -> ToldEntity {
        ToldEntity {
            durable: seen.durable,
            at: seen.published,
            present: false,
            beside: seen.beside.clone(),
            drafts: Vec::new(),
            texts: Vec::new(),
            behind: false,
        }
    }

    /// What the file shows is named by this from now on.
    pub(super) fn is(&mut self, at: EventRef, beside: Vec<EventRef>) {
        (self.at, self.beside) = (Some(at), beside);
    }

    /// What names what it shows.
    pub(in crate::vault) fn stand(&self) -> Vec<EventRef> {
        self.at.iter().chain(&self.beside).copied().collect()
    }
}

/// A version that was told: its event, its number, its batch, and where in that its sealed payload
/// begins and how long it is.
pub(super) struct ToldVersion {
    pub(super) at: EventRef,
    pub(super) batch: u64,
    pub(super) offset: u32,
    pub(super) len: u32,
    pub(super) number: u64,
}

/// A version with these attributes; form, body and when it was recorded are to be filled in.
pub(super) fn version_of(meta: &Meta, size: u64) -> Version {
    Version {
        kind: meta.kind,
        form: Form::Blob,
        perm: meta.perm,
        mtime: meta.mtime,
        recorded: Time::default(),
        btime: meta.btime,
        size,
        xattrs: meta.xattrs.clone(),
        body: Body::Same,
    }
}

/// What a version that is told with its bytes replaces.
pub(super) fn replaced(ready: Option<&Ready>, told: &ToldEntity) -> Vec<EventRef> {
    let apart = ready.and_then(Ready::apart).map(<[EventRef]>::to_vec);
    apart.unwrap_or_else(|| told.stand())
}

/// What one commit tells.
#[derive(Default)]
pub(in crate::vault) struct ToldNow {
    pub(in crate::vault) entities: HashMap<Ino, ToldEntity>,
    pub(in crate::vault) nodes: Vec<(NodeNo, NodeRecord)>,
    pub(in crate::vault) gone: HashSet<NodeNo>,
    /// The same, as all devices have it, where names are shared.
    pub(in crate::vault) ops: Vec<Op>,
    pub(in crate::vault) first: u64,
    pub(in crate::vault) count: u32,
}
