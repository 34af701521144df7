//! The change feed: who subscribes is told what each transaction changed.

use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;

use super::commit::Work;
use super::publish::ToldNow;
use crate::ids::{Ino, NodeNo};

/// One transaction's changes. Inodes and nodes may have changed again since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Inodes whose content or attributes changed.
    pub inodes: Vec<Ino>,
    /// Inodes that are gone.
    pub gone: Vec<Ino>,
    /// Nodes that were made, moved or removed.
    pub nodes: Vec<NodeNo>,
    /// Sequence numbers of the events that were published: first, count.
    pub events: (u64, u32),
}

/// The subscribers.
#[derive(Default)]
pub(crate) struct Feed(Mutex<Vec<Sender<Changes>>>);

impl Feed {
    pub(crate) fn subscribe(&self) -> Receiver<Changes> {
        let (sender, receiver) = channel();
        self.0.lock().push(sender);
        receiver
    }

    pub(super) fn tell(&self, work: &Work, told: &ToldNow) {
        let mut subscribers = self.0.lock();
        if subscribers.is_empty() {
            return;
        }
        let changes = Changes {
            inodes: work.items.keys().copied().collect(),
            gone: work.dead.iter().map(|d| d.ino).collect(),
            nodes: work.nodes.iter().map(|(no, _)| *no).collect(),
            events: (told.first, told.count),
        };
        // Who has gone away is forgotten.
        subscribers.retain(|s| s.send(changes.clone()).is_ok());
    }
}
