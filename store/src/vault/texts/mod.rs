//! Texts in the open vault: from saves to changes that merge.
//!
//! A save takes the way of every file. Behind it, in no lock that a writer or an fsync needs, the
//! step ([`weave`]) turns each version of a text that is not told yet into a change at the version
//! that its editor had; the next commit tells it. The documents are hot in memory for a while
//! ([`shelf`]); each follows from the events of its text alone, and is built from them again
//! whenever it is missing, damaged or has failed.
//!
//! Guarantees: what is not ready is told by a later commit, and a crash loses none of it, since the
//! bytes are in the file. A change that was made is told, or its document is made anew without it.
//! A text that its document fails at is told with its bytes, as a file whose versions are whole.
//! It never changes what a file shows but to show a merge, and that only while nobody writes to it.
//!
//! Locks: those of the shelf and its slots are never waited for by whoever holds the committer, the
//! tree or an inode; `ready`, `shown` and `news` are leaves.
//!
//! Parts, each importing only those above it: `hot` (one document), `shelf` (all of them), `shown`
//! (who was shown what), `weave` (the step), `tell` (what commits ask), `read` (old versions).

mod hot;
mod read;
mod shelf;
mod shown;
mod tell;
mod weave;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::saves::Process;
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::text::{ChangeHash, Heads};
pub(super) use shown::Stand;
pub(super) use tell::{Telling, ToldText, form_of};

/// What the vault keeps of its texts.
#[derive(Default)]
pub(super) struct Texts {
    shelf: Mutex<shelf::Shelf>,
    /// One at a time weaves.
    weaving: Mutex<()>,
    /// By the draft's serial: how it is told.
    ready: Mutex<HashMap<u64, Arc<Ready>>>,
    /// Which event a change became, until nothing waits for it.
    born: Mutex<HashMap<ChangeHash, EventRef>>,
    /// What commits have told since the documents looked.
    news: Mutex<HashMap<EntityId, Vec<ToldText>>>,
    /// Documents to be stored with the next transaction.
    rows: Mutex<HashMap<EntityId, Vec<u8>>>,
    shown: Mutex<shown::Shown>,
    /// Orders what was shown and what was saved.
    order: AtomicU64,
}

impl Texts {
    /// A file of this text was opened.
    pub(super) fn show(&self, entity: EntityId, who: Process, stand: Stand) {
        let order = self.order();
        self.shown.lock().note(entity, order, who, stand);
    }

    /// The next place in the order of what was shown and saved.
    pub(super) fn order(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }
}

/// How a version is told.
#[derive(Debug)]
pub(super) struct Ready {
    entity: EntityId,
    told_as: ToldAs,
    /// It was made from what the file was before.
    on_stand: bool,
    /// What the file comes to show with it, if others have written meanwhile.
    shows: Option<Merge>,
}

/// See [`Ready`].
#[derive(Debug)]
enum ToldAs {
    /// With its bytes.
    Whole,
    /// As a change.
    Change {
        serial: Option<u64>,
        bytes: Vec<u8>,
        hash: ChangeHash,
        /// The changes that name the version that it was made from.
        on: Vec<ChangeHash>,
    },
    /// As the same text again.
    Same { on: Vec<ChangeHash> },
    /// Not at all: it says nothing that is not known.
    Nothing,
}

/// What the file shows when it shows a merge.
#[derive(Debug)]
struct Merge {
    text: Arc<Vec<u8>>,
    /// The changes that name it.
    heads: Heads,
}
