//! Events that came, and what becomes of each: what `sort` finds and `write` stores.

use std::collections::{HashMap, HashSet};

use super::holes::{Holes, KeyCame};
use super::notes::About;
use super::settings::SettingCame;
use crate::event::{EventRef, Found, Head, Version};
use crate::ids::{EntityId, NodeId};
use crate::keys::Key;
use crate::moves::Op;
use crate::vault::horizon::{Heard, WordOf};
use crate::vault::texts::Verdict;

/// An event, and the batch that it lies in if that is stored.
pub(super) struct Coming {
    pub(super) batch: Option<u64>,
    /// It is set aside, or waits for a newer program, which this one may be.
    pub(super) anew: bool,
    pub(super) found: Found,
}

impl Coming {
    /// The file that it may tell of.
    pub(super) fn entity(&self) -> Option<[u8; 16]> {
        self.found.event.head.entity()
    }
}

/// A version that is taken.
pub(super) struct Taking {
    pub(super) batch: Option<u64>,
    pub(super) entity: EntityId,
    pub(super) head: Head,
    pub(super) version: Version,
    pub(super) sealed_at: u32,
}

/// What becomes of events that came, each in their order.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) taking: Vec<Taking>,
    pub(super) settings: Vec<SettingCame>,
    /// What was said of names.
    pub(super) ops: Vec<Op>,
    /// Nodes of which something was said that was let go of, with its Lamport time.
    pub(super) gaps: Vec<(NodeId, u64)>,
    /// What was said of chains.
    pub(super) words: Vec<WordOf>,
    /// What came with the batch.
    pub(super) heard: Heard,
    /// What each that came is about.
    pub(super) about: HashMap<EventRef, About>,
    /// Of those that wait, those for a newer program.
    pub(super) newer: HashSet<EventRef>,
    /// Of those that came, those of which what was noted is said anew.
    pub(super) anew: HashSet<EventRef>,
    /// Files that are new, by their keys.
    pub(super) new: Vec<EntityId>,
    /// Versions of which what they said was let go of.
    pub(super) holes: Holes,
    /// The same, of such that were noted to wait.
    pub(super) gone: Vec<EventRef>,
    /// First versions of which the key alone is there.
    pub(super) key_only: Vec<KeyCame>,
    /// They say what cannot be.
    pub(super) bad: Vec<EventRef>,
    /// Of those about names that waited, which do no more.
    pub(super) read: Vec<EventRef>,
    /// They need what is not here; with the batches where they lie, if those are stored.
    pub(super) waiting: Vec<(EventRef, Option<u64>)>,
    /// Nobody here knows yet what to do with them.
    pub(super) unknown: Vec<EventRef>,
    pub(super) keys: HashMap<EntityId, Key>,
}

impl Sorted {
    /// One is not taken.
    pub(super) fn put(&mut self, head: &Head, batch: Option<u64>, verdict: Verdict) {
        let at = head.at;
        match verdict {
            Verdict::Good => {}
            Verdict::Waits | Verdict::Newer => {
                self.waiting.push((at, batch));
                if verdict == Verdict::Newer {
                    self.newer.insert(at);
                    // It may have waited for something else until now.
                    self.anew.extend(batch.map(|_| at));
                }
            }
            Verdict::Refused => self.bad.push(at),
        }
    }
}
