//! Texts in the open vault: from saves to changes that merge.
//!
//! A save takes the way of every file. Behind it, in no lock that a writer or an fsync needs, the
//! step ([`weave`]) turns each version of a text that is not told yet into a change at the version
//! that its editor had; the next commit tells what was saved, and never changes what a file shows.
//! Where that leaves the newest versions other than what the file shows, it is *behind*, until
//! [`show`] lets it show their merge. The documents are hot in memory for a while ([`shelf`]);
//! each follows from the events of its text alone, and is built from them again whenever it is
//! missing, damaged or has failed.
//!
//! Guarantees: a version has one name, its event; a draft has its serial until it is told. What is
//! not ready is told by a later commit, and a crash loses none of it, since the bytes are in the
//! file. A draft that is ready can always be told. A text that its document fails at is told with
//! its bytes, as a file whose versions are whole. It never changes what a file shows but to show
//! a merge, and that only while nobody writes to it and nothing of it is untold.
//!
//! Locks: those of the slots are never waited for by whoever holds the committer, the tree or an
//! inode, and whoever holds one waits for none of these; the shelf's own and all others here are leaves.
//!
//! Parts, each importing only those above it: `reader` (what one process was shown), `shown` (who was
//! shown what), `tell` (what commits ask), `lately` (what a file showed), `limits` (how long a past may
//! be), `hot` (one document), `shelf` (all of them), `base` (what an editor had), `weave` (the step),
//! `read` (old versions), `lines` (which of concurrent versions is shown), `attributes` (of a merge),
//! `carry` (what others changed in a text that was begun anew), `show` (merges), `take` (what others send).

mod attributes;
mod base;
mod carry;
mod hot;
mod lately;
mod limits;
mod lines;
mod read;
mod reader;
mod shelf;
mod show;
mod shown;
mod take;
mod tell;
mod weave;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::saves::Process;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::text::Heads;
pub(super) use carry::place_in;
pub(super) use lines::{Line, Step, lines, newest_lines, not_shown_of};
pub(super) use reader::Stand;
pub(super) use show::merged_text;
pub(super) use take::Verdict;
pub(super) use tell::{Telling, ToldText, form_of};

/// What the vault keeps of its texts.
#[derive(Default)]
pub(super) struct Texts {
    limits: limits::Limits,
    shelf: Mutex<shelf::Shelf>,
    /// One at a time weaves.
    weaving: Mutex<()>,
    /// By the draft's serial: how it is told.
    ready: Mutex<tell::ReadyDrafts>,
    /// What the documents in memory have not heard yet.
    news: Mutex<HashMap<EntityId, Vec<ToldText>>>,
    /// Documents to be stored with the next transaction.
    rows: Mutex<HashMap<EntityId, Vec<u8>>>,
    shown: Mutex<shown::Shown>,
    /// Drafts that were given up since the last commit began.
    given_up: Mutex<Vec<(EntityId, u64)>>,
    /// One at a time takes in what others have told.
    pub(super) taking: Mutex<()>,
    /// Versions wait since the vault was opened.
    pub(super) to_retry: AtomicBool,
    /// How much the program reads of what others tell; tests say that it reads more.
    pub(super) level: AtomicU8,
    /// What an older program has judged was not tried since the vault was opened.
    pub(super) try_older: AtomicBool,
    /// Up to which note of what waits they were tried by turns.
    pub(super) tried: Mutex<Vec<u8>>,
    /// Files that are behind, and at rest since somebody looked.
    to_show: Mutex<HashSet<Ino>>,
    /// Orders what was shown and what was saved.
    order: AtomicU64,
}

impl Texts {
    /// A process has opened this file of this text by this handle.
    pub(super) fn show(&self, file: (EntityId, Ino), who: Process, stand: Stand, handle: u64) {
        let order = self.order();
        self.shown.lock().note(file, order, who, stand, handle);
    }

    /// This file of this text shows something that came past whoever has it open.
    pub(in crate::vault) fn shows(&self, file: (EntityId, Ino), stand: &Stand) {
        let order = self.order();
        self.shown.lock().changed(file, order, 0, stand);
    }

    /// A handle is closed.
    pub(super) fn closed(&self, handle: u64) {
        if handle != 0 {
            self.shown.lock().closed(handle);
        }
    }

    /// A process has saved what is a draft now.
    pub(super) fn saved(&self, entity: EntityId, (who, order): (Process, u64), ino: Ino, serial: u64) {
        self.shown.lock().saved((entity, ino), order, who, serial);
    }

    /// The next place in the order of what was shown and saved.
    pub(super) fn order(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    /// A file that is behind is at rest, perhaps: it is looked at.
    pub(super) fn may_show(&self, ino: Ino) {
        self.to_show.lock().insert(ino);
    }
}

/// What names a version: its event, or while it has none the draft that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Told(EventRef),
    Draft(u64),
}

/// How a version is told.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    entity: EntityId,
    told_as: ToldAs,
    /// The changes that name what the file is with it.
    heads: Heads,
    /// Others have written meanwhile: with it the file is behind.
    behind: bool,
    /// It is no version of the text that the file shows: what comes after it begins with its event.
    aside: bool,
}

/// See [`Ready`]. Drafts that are named come before it, and are of the same file.
#[derive(Clone, Debug)]
enum ToldAs {
    /// With its bytes.
    Whole,
    /// The same, beside what the file was: its editor had these versions, of another text.
    Apart { on: Vec<EventRef> },
    /// As a change of these versions.
    Change {
        serial: Option<u64>,
        bytes: Vec<u8>,
        on: Vec<Name>,
    },
    /// As the same text as these again.
    Same { on: Vec<Name> },
    /// Not at all: it is what these are, and says nothing new.
    Nothing { equal: Vec<Name> },
}
