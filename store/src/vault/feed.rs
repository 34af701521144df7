//! The change feed: who subscribes is told what each transaction changed.
//!
//! **Staying current.** Whoever keeps a mirror of the vault (an index, say) subscribes first, then reads all there is
//! ([`Vault::names`](super::Vault::names), [`Vault::facts_of`](super::Vault::facts_of)), and then does this for each
//! [`Changes`], in order:
//!
//! 1. each of `names` is put over what was kept of that node, or that is forgotten. A folder that moves or is renamed is one
//!    node: what lies in it has its path by it;
//! 2. of each of `inodes` and `came` all that was kept is asked for anew: facts, text, content, history. ENOENT: it is gone;
//! 3. of each of `gone`, and of each file without a name, all that was kept is forgotten;
//! 4. of each of `removed` the history is asked for, by [`Subject::Removed`](super::Subject::Removed); it counts if no file stands
//!    for that entity;
//! 5. with `thinned`, numbers of versions and all of history are asked for anew; with `evicted`, whether bytes are here, of all
//!    files.
//!
//! After the last message the mirror is what one made from scratch would be: all that is told is asked for at present, so what is
//! told late does no harm. The rest of the fields serves those who cache names and bytes.
//!
//! Of what was removed the path is as of when it was asked for: folders above it may have other names since.
//!
//! What is in memory alone is told with the transaction that stores it: 5 seconds after it was done at the latest, sooner when a
//! text is closed, and before [`Vault::store_saved`](super::Vault::store_saved) returns. What is kept of chunks, what devices are called, and
//! which names are texts (a setting) is not told.
//!
//! Guarantees: nobody who makes a change waits for a subscriber. What nobody takes in lies in memory until he does.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;

use super::commit::Work;
use super::facts::Name;
use super::publish::ToldNow;
use super::shared::Renamed;
use crate::ids::{Ino, NodeId, NodeNo};

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
    /// Where each of these nodes is as of this transaction; nowhere: it is gone.
    pub names: Arc<[(NodeNo, Option<Name>)]>,
    /// Names that were removed, and that of which they were the last can be brought back by from now on.
    pub removed: Vec<NodeId>,
    /// Files of which bytes that other devices hold have come.
    pub came: Vec<Ino>,
    /// Versions were let go of, or their numbers are others.
    pub thinned: bool,
    /// Bytes that other devices hold, too, were given up.
    pub evicted: bool,
    /// Sequence numbers of the events that were published: first, count.
    pub events: (u64, u32),
}

/// Takes a message, at once and without waiting; false: no more of them are wanted.
type Tell = Box<dyn Fn(&Changes) -> bool + Send>;

/// The subscribers, in the order in which they came: in which they are told, too.
#[derive(Default)]
pub(crate) struct Feed {
    subscribers: Mutex<Vec<Tell>>,
}

impl Feed {
    pub(crate) fn subscribe(&self) -> Receiver<Changes> {
        let (sender, receiver): (Sender<Changes>, _) = channel();
        self.subscribe_by(Box::new(move |changes| sender.send(changes.clone()).is_ok()));
        receiver
    }

    pub(crate) fn subscribe_by(&self, tell: Tell) {
        self.subscribers.lock().push(tell);
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

    /// There are versions more of these, which they do not show yet, or never will.
    pub(super) fn hears(&self, inodes: Vec<Ino>) {
        if !inodes.is_empty() {
            self.send(&Changes {
                inodes,
                ..Changes::default()
            });
        }
    }

    /// Bytes of these have come from other devices.
    pub(super) fn came(&self, came: Vec<Ino>) {
        if !came.is_empty() {
            self.send(&Changes {
                came,
                ..Changes::default()
            });
        }
    }

    /// It was looked whether history may go, and some has, if `thinned`.
    pub(super) fn thinned(&self, thinned: bool) {
        if thinned {
            self.send(&Changes {
                thinned,
                ..Changes::default()
            });
        }
    }

    /// Bytes were given up.
    pub(super) fn evicted(&self) {
        self.send(&Changes {
            evicted: true,
            ..Changes::default()
        });
    }

    fn send(&self, changes: &Changes) {
        // Who has gone away is forgotten.
        self.subscribers.lock().retain(|tell| tell(changes));
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
            names: work
                .nodes
                .iter()
                .map(|(no, node)| (*no, Name::of(*no, node)))
                .collect(),
            removed: work.removed.keys().copied().collect(),
            events: (told.first, told.count),
            ..Changes::default()
        };
        self.send(&changes);
    }
}
