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
    /// Of these, files that show other bytes than somebody wrote through the vault: a merge, or what
    /// another device made. Whoever keeps their bytes must forget them.
    pub merged: Vec<Ino>,
    /// Inodes that are gone.
    pub gone: Vec<Ino>,
    /// Nodes that were made, moved or removed.
    pub nodes: Vec<NodeNo>,
    /// Sequence numbers of the events that were published: first, count.
    pub events: (u64, u32),
}

/// The subscribers.
#[derive(Default)]
pub(crate) struct Feed {
    subscribers: Mutex<Vec<Sender<Changes>>>,
    /// Files that came to show other bytes, since they were told.
    merged: Mutex<Vec<Ino>>,
}

impl Feed {
    pub(crate) fn subscribe(&self) -> Receiver<Changes> {
        let (sender, receiver) = channel();
        self.subscribers.lock().push(sender);
        receiver
    }

    /// A file shows other bytes; the next transaction says so.
    pub(super) fn merged(&self, ino: Ino) {
        self.merged.lock().push(ino);
    }

    pub(super) fn tell(&self, work: &Work, told: &ToldNow) {
        let mut merged = std::mem::take(&mut *self.merged.lock());
        merged.extend(
            work.items
                .iter()
                .filter(|(_, item)| item.merged.is_some())
                .map(|(ino, _)| *ino),
        );
        let mut subscribers = self.subscribers.lock();
        if subscribers.is_empty() {
            return;
        }
        let changes = Changes {
            inodes: work.items.keys().copied().collect(),
            merged,
            gone: work.dead.iter().map(|d| d.ino).collect(),
            nodes: work.nodes.iter().map(|(no, _)| *no).collect(),
            events: (told.first, told.count),
        };
        // Who has gone away is forgotten.
        subscribers.retain(|s| s.send(changes.clone()).is_ok());
    }
}
