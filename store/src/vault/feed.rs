//! The change feed: who subscribes is told what each transaction changed.

use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;

use super::commit::Work;
use super::publish::ToldNow;
use super::shared::Renamed;
use crate::ids::{Ino, NodeNo};

/// One transaction's changes. Inodes and nodes may have changed again since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Inodes whose content or attributes changed.
    pub inodes: Vec<Ino>,
    /// Of these, files that show other bytes than somebody wrote through the vault: a merge, or what
    /// another device made. Whoever keeps their bytes must forget them.
    pub merged: Vec<Ino>,
    /// Of these, files that show the same bytes with the attributes of such a version.
    pub touched: Vec<Ino>,
    /// Of these, files in which a version was just put: whoever did announces it. Whoever keeps their bytes
    /// must not take them for what they are until then.
    pub put: Vec<Ino>,
    /// Inodes that are gone.
    pub gone: Vec<Ino>,
    /// Nodes that were made, moved or removed.
    pub nodes: Vec<NodeNo>,
    /// Names that came, went or are others by what other devices said, in this order: whoever keeps names must
    /// forget them.
    pub renamed: Vec<Renamed>,
    /// Sequence numbers of the events that were published: first, count.
    pub events: (u64, u32),
}

/// The subscribers, in the order in which they came: in which they are told, too.
#[derive(Default)]
pub(crate) struct Feed {
    subscribers: Mutex<Vec<Sender<Changes>>>,
}

impl Feed {
    pub(crate) fn subscribe(&self) -> Receiver<Changes> {
        let (sender, receiver) = channel();
        self.subscribers.lock().push(sender);
        receiver
    }

    /// A file has come to show newer versions: other bytes, or only other attributes. Nobody waits for
    /// the transaction: whoever reads what is cached meanwhile has what the file does not show any more.
    pub(super) fn shows(&self, ino: Ino, other_bytes: bool) {
        let (merged, touched) = match other_bytes {
            true => (vec![ino], Vec::new()),
            false => (Vec::new(), vec![ino]),
        };
        self.send(&Changes {
            inodes: vec![ino],
            merged,
            touched,
            ..Changes::default()
        });
    }

    /// A version was put in a file's place.
    pub(super) fn puts(&self, ino: Ino) {
        self.send(&Changes {
            inodes: vec![ino],
            put: vec![ino],
            ..Changes::default()
        });
    }

    /// Names follow what other devices said, and so do attributes of these folders.
    pub(super) fn renames(&self, renamed: Vec<Renamed>, touched: Vec<Ino>) {
        if !(renamed.is_empty() && touched.is_empty()) {
            self.send(&Changes {
                inodes: touched.clone(),
                touched,
                renamed,
                ..Changes::default()
            });
        }
    }

    fn send(&self, changes: &Changes) {
        // Who has gone away is forgotten.
        self.subscribers
            .lock()
            .retain(|s| s.send(changes.clone()).is_ok());
    }

    /// Events were published beside a commit.
    pub(super) fn told(&self, told: &ToldNow) {
        self.send(&Changes {
            events: (told.first, told.count),
            ..Changes::default()
        });
    }

    pub(super) fn tell(&self, work: &Work, told: &ToldNow) {
        if self.subscribers.lock().is_empty() {
            return;
        }
        let changes = Changes {
            inodes: work.items.keys().copied().collect(),
            gone: work.dead.iter().map(|d| d.ino).collect(),
            nodes: work.nodes.iter().map(|(no, _)| *no).collect(),
            events: (told.first, told.count),
            ..Changes::default()
        };
        self.send(&changes);
    }
}
