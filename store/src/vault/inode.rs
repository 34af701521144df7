//! An inode in memory: attributes and content of one POSIX file, under one lock.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::saves::Draft;
use crate::binding::Binding;
use crate::content::{Content, Durable, Owner};
use crate::core::Core;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::keys::Key;
use crate::record::{InodeRecord, Marks, Meta, Time};

/// How long after it was last opened a file counts as being edited.
const EDITED: Duration = Duration::from_secs(600);

/// How long a file that was made and not yet opened may be about to be.
const BEGUN: Duration = Duration::from_secs(1);

/// What a file's note in the database says.
pub(crate) mod pending {
    /// The other devices have not been told what it is.
    pub(crate) const UNTOLD: u8 = 1;
    /// There are newer versions than what it shows.
    pub(crate) const BEHIND: u8 = 2;
    /// What they have not been told is content, not only attributes.
    pub(crate) const FRESH: u8 = 4;
    /// All of it.
    pub(crate) const ALL: u8 = 7;

    /// The row that says this: version 0, and it.
    pub(crate) fn note(note: u8) -> Vec<u8> {
        vec![0, note]
    }

    /// What a row says; 0, which none does, of one that cannot be read.
    pub(crate) fn read(row: &[u8]) -> u8 {
        match row {
            [0, note] => *note,
            _ => 0,
        }
    }
}

/// The same, and what else is known of a file that was read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Note {
    pub(crate) row: u8,
    pub(crate) untold: bool,
    pub(crate) fresh: bool,
    pub(crate) behind: bool,
}

/// One POSIX file.
pub(crate) struct Inode {
    pub(crate) ino: Ino,
    /// Its own key, and that of the entity that was made with it; made when the first byte must
    /// be sealed.
    key: OnceLock<Key>,
    pub(crate) state: RwLock<State>,
}

/// What changes about it.
pub(crate) struct State {
    pub(crate) binding: Binding,
    pub(crate) marks: Marks,
    pub(crate) meta: Meta,
    /// Files and symlinks have one.
    pub(crate) content: Option<Box<Content>>,
    /// The database has its row and its key.
    pub(crate) stored: bool,
    /// The row does not say what `meta` says.
    pub(crate) meta_dirty: bool,
    /// If so: it says all but a folder's times, as its entries change them.
    pub(crate) times_only: bool,
    /// The other devices have not been told.
    pub(crate) untold: bool,
    /// What the database's note of it says: see [`pending`].
    pub(crate) pending: u8,
    /// The event that told them last.
    pub(crate) published: Option<EventRef>,
    /// The others of a text's newest events, if what it shows is a merge of several.
    pub(crate) beside: Vec<EventRef>,
    /// How often newer versions came than what it shows, since it showed the newest.
    pub(crate) behind: u32,
    /// It has come to show what no transaction has stored yet: what named it before.
    pub(crate) was_named: Option<Vec<EventRef>>,
    /// Its content was put there as a version of what it was before, whoever had what.
    pub(crate) on_present: bool,
    /// Its text is to begin anew with the next version.
    pub(crate) anew: bool,
    /// Open handles.
    pub(crate) opens: u32,
    /// Of those, handles that may write.
    pub(crate) writers: u32,
    /// Those of them that were closed, though their release is still to come: it comes late.
    pub(crate) closing: Vec<u64>,
    /// When it was cut while open, with a whole state of it on disk: a save may be under way, and until
    /// it is over commits leave that state there. Over with the last close, an fsync or another name.
    pub(crate) saving_since: Option<Instant>,
    /// The content changed since the others were last told of it, or it was last kept as a draft.
    pub(crate) fresh: bool,
    /// Versions that are over and not told.
    pub(crate) drafts: Vec<Draft>,
    /// The program that last opened it to write.
    pub(crate) program: Option<Arc<str>>,
    /// The thread that did.
    pub(crate) writer: u32,
    /// When it was made and by which process, if since the vault was unlocked.
    pub(crate) made: Option<(Instant, u32)>,
    /// When it was emptied to be written anew, and by which thread: all that is in it is that one's.
    pub(crate) emptied: Option<(Instant, u32)>,
    /// Its name is one that a program may take away again in a moment.
    pub(crate) passing: bool,
    /// It was opened since it was made.
    pub(crate) opened: bool,
    /// When it was last opened by somebody who found it there.
    pub(crate) found: Option<Instant>,
    /// How many wait for bytes of it that other devices hold.
    pub(crate) fetching: u32,
    /// It could not be told for want of such.
    pub(crate) starved: bool,
}

impl State {
    pub(crate) fn size(&self) -> u64 {
        self.content.as_ref().map_or(0, |c| c.size())
    }

    /// It has another name: what is on disk is not what that name is to show.
    pub(crate) fn renamed(&mut self, now: Time) {
        self.meta.ctime = now;
        self.saving_since = None;
    }

    pub(crate) fn content_dirty(&self) -> bool {
        self.content.as_ref().is_some_and(|c| c.is_dirty())
    }

    /// Whether a save has just made it anew under a known name, and is about to open it: it is empty,
    /// and no version yet.
    pub(crate) fn is_begun(&self) -> bool {
        let made = self.made.is_some_and(|(at, _)| at.elapsed() < BEGUN);
        made && !self.opened && self.published.is_some() && self.size() == 0
    }

    /// What names the version that it was when it was told last, or shows.
    pub(crate) fn named_by(&self) -> Vec<EventRef> {
        self.published.iter().chain(&self.beside).copied().collect()
    }

    /// Whether it is just what names it, and nobody is about to change it.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.writers == 0 && !self.untold && !self.fresh && self.drafts.is_empty() && self.meta.nlink > 0
    }

    /// Whether somebody writes to it, or has, and that is no version yet.
    pub(crate) fn is_being_written(&self) -> bool {
        self.writers > 0 || self.fresh || !self.drafts.is_empty()
    }

    /// Whether nobody has it open to write: what it is now was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.writers as usize <= self.closing.len()
    }

    /// Whether it is at rest, and no part of a save: the other devices may be told of it. `all`: of what may pass, too.
    pub(crate) fn may_be_told(&self, all: bool) -> bool {
        self.writers == 0
            && !self.meta.kind.is_local()
            && !self.is_scratch()
            && (all || !self.is_passing())
            && !self.is_begun()
    }

    /// Whether memory holds nothing that the database does not.
    pub(crate) fn is_clean(&self) -> bool {
        self.stored && !self.meta_dirty && !self.content_dirty() && self.drafts.is_empty()
    }

    /// Whether somebody has it open, or lately had, who did not make it.
    pub(crate) fn is_being_edited(&self) -> bool {
        let open = self.opens > 0 && self.published.is_some();
        open || self.found.is_some_and(|at| at.elapsed() < EDITED)
    }
}

/// The row of a file with this content, that the other devices know by this event.
pub(crate) fn record(
    binding: &Binding,
    marks: Marks,
    meta: Meta,
    durable: Durable,
    (published, beside): (Option<EventRef>, Vec<EventRef>),
) -> InodeRecord {
    let (entity_key, body_key) = binding.to_store(durable.base);
    InodeRecord {
        entity: binding.entity(),
        entity_key,
        body_key,
        marks,
        meta,
        size: durable.size,
        allocated: durable.allocated,
        base: durable.base,
        base_len: durable.base_len,
        log_first: durable.log_first,
        log_next: durable.log_next,
        published,
        beside,
    }
}

impl Inode {
    pub(crate) fn new(ino: Ino, entity: EntityId, meta: Meta, with_content: bool) -> Inode {
        Inode {
            ino,
            key: OnceLock::new(),
            state: RwLock::new(State {
                binding: Binding::own(entity),
                marks: Marks::default(),
                meta,
                content: with_content.then(|| Box::new(Content::new())),
                stored: false,
                meta_dirty: true,
                times_only: false,
                untold: true,
                pending: 0,
                published: None,
                beside: Vec::new(),
                behind: 0,
                was_named: None,
                on_present: false,
                anew: false,
                opens: 0,
                writers: 0,
                closing: Vec::new(),
                saving_since: None,
                fresh: false,
                drafts: Vec::new(),
                program: None,
                writer: 0,
                made: None,
                emptied: None,
                passing: false,
                opened: false,
                found: None,
                fetching: 0,
                starved: false,
            }),
        }
    }

    pub(crate) fn loaded(ino: Ino, key: Key, record: InodeRecord, note: Note, with_content: bool) -> Inode {
        let durable = Durable {
            size: record.size,
            allocated: record.allocated,
            base: record.base,
            base_len: record.base_len,
            log_first: record.log_first,
            log_next: record.log_next,
        };
        Inode {
            ino,
            key: OnceLock::from(key),
            state: RwLock::new(State {
                binding: Binding::stored(
                    record.entity,
                    record.entity_key,
                    record.base.sealed_for().zip(record.body_key),
                ),
                marks: record.marks,
                meta: record.meta,
                content: with_content.then(|| Box::new(Content::stored(durable))),
                stored: true,
                meta_dirty: false,
                times_only: false,
                untold: note.untold,
                pending: note.row,
                published: record.published,
                beside: record.beside,
                behind: u32::from(note.behind),
                was_named: None,
                on_present: false,
                anew: false,
                opens: 0,
                writers: 0,
                closing: Vec::new(),
                saving_since: None,
                fresh: note.fresh,
                drafts: Vec::new(),
                program: None,
                writer: 0,
                made: None,
                emptied: None,
                passing: false,
                opened: false,
                found: None,
                fetching: 0,
                starved: false,
            }),
        }
    }

    pub(crate) fn key(&self) -> &Key {
        self.key.get_or_init(Key::random)
    }

    /// A new file of an entity that was there before: this is what named it last.
    pub(crate) fn again(ino: Ino, entity: EntityId, key: Key, meta: Meta, named_by: &[EventRef]) -> Inode {
        let mut inode = Inode::new(ino, entity, meta, true);
        inode.key = OnceLock::from(key);
        let state = inode.state.get_mut();
        state.published = named_by.first().copied();
        state.beside = named_by.get(1..).unwrap_or_default().to_vec();
        // More may have come since it went.
        state.behind = 1;
        inode
    }

    pub(crate) fn owner<'a>(&'a self, core: &'a Arc<Core>, binding: &'a Binding) -> Owner<'a> {
        Owner {
            core,
            key: self.key(),
            ino: self.ino,
            binding,
        }
    }
}
