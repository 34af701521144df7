//! What a commit asks about a text, and what it says of what it told.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Name, Ready, Texts, ToldAs};
use crate::core::StoreError;
use crate::event::{Body, EventRef, Form};
use crate::ids::{EntityId, Ino};
use crate::keys::Key;
use crate::record::Kind;
use crate::text::{Heads, TEXT_MAX};
use crate::vault::Vault;
use crate::vault::inode::State;
use crate::vault::saves::Draft;

/// How the present state of a file is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Telling {
    /// With its bytes.
    Whole,
    /// Not by this commit: the step comes first.
    Later,
    /// As its last draft is.
    Woven,
    /// As the same text: only attributes changed.
    Attributes,
}

/// What a commit has told of an entity, or let its file show.
#[derive(Clone, Debug)]
pub(in crate::vault) enum ToldText {
    /// A version of its text.
    Version {
        /// Which draft it was.
        draft: u64,
        at: EventRef,
        parents: Vec<EventRef>,
        heads: Heads,
        number: u64,
    },
    /// A draft that is no version of its text: what it is instead, if anything is known of it.
    Passed { draft: u64, is: Vec<EventRef> },
    /// A version with its bytes: the text begins anew, or ends.
    Other(EventRef),
    /// The same bytes as these, as a version of its own: the text begins anew with it.
    Again { was: Vec<EventRef>, at: EventRef },
    /// The same text with other attributes; it is known from its row.
    Same,
    /// The file shows the merge of these.
    Shows(Vec<EventRef>),
}

/// How drafts are told, and how often anything of that was taken back.
#[derive(Default)]
pub(super) struct ReadyDrafts {
    pub(super) by_serial: HashMap<u64, Arc<Ready>>,
    pub(super) taken_back: u64,
}

impl ReadyDrafts {
    /// Nothing is ready of an entity: its document is made anew without what was not told.
    pub(super) fn take_back(&mut self, entity: &EntityId) {
        self.by_serial.retain(|_, ready| ready.entity != *entity);
        self.taken_back += 1;
    }

    /// Nothing is ready.
    pub(super) fn take_back_all(&mut self) {
        self.by_serial.clear();
        self.taken_back += 1;
    }

    /// A draft is these versions now.
    fn told(&mut self, entity: &EntityId, serial: u64, versions: &[EventRef]) {
        for ready in self
            .by_serial
            .values_mut()
            .filter(|ready| ready.entity == *entity)
        {
            if ready.names().contains(&Name::Draft(serial)) {
                Arc::make_mut(ready).rename(serial, versions);
            }
        }
    }
}

/// The form of a version that is told with its bytes.
pub(in crate::vault) fn form_of(is_text_name: bool, kind: Kind, bytes: &[u8]) -> Form {
    let fits = is_text_name && kind == Kind::File && (1..=TEXT_MAX).contains(&bytes.len());
    match fits && std::str::from_utf8(bytes).is_ok() {
        true => Form::Text,
        false => Form::Blob,
    }
}

impl Ready {
    pub(in crate::vault) fn is_whole(&self) -> bool {
        matches!(self.told_as, ToldAs::Whole | ToldAs::Apart { .. })
    }

    /// The versions that it replaces with its bytes, if they are others than what the file was.
    pub(in crate::vault) fn apart(&self) -> Option<&[EventRef]> {
        match &self.told_as {
            ToldAs::Apart { on } => Some(on),
            _ => None,
        }
    }

    /// What the event says; none if it has the bytes, or there is none.
    pub(in crate::vault) fn body(&self) -> Option<Body> {
        match &self.told_as {
            ToldAs::Change { serial, bytes, .. } => Some(Body::Change {
                serial: *serial,
                bytes: bytes.clone(),
            }),
            ToldAs::Same { .. } => Some(Body::Same),
            ToldAs::Whole | ToldAs::Apart { .. } | ToldAs::Nothing { .. } => None,
        }
    }

    /// What it was made from; or what it is, if it says nothing.
    pub(in crate::vault) fn names(&self) -> &[Name] {
        match &self.told_as {
            ToldAs::Change { on, .. } | ToldAs::Same { on } => on,
            ToldAs::Nothing { equal } => equal,
            ToldAs::Whole | ToldAs::Apart { .. } => &[],
        }
    }

    /// The changes that name what the file is with it.
    pub(in crate::vault) fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Whether the newest versions are others than what the file shows with it.
    pub(in crate::vault) fn is_behind(&self) -> bool {
        self.behind
    }

    fn rename(&mut self, serial: u64, versions: &[EventRef]) {
        let (ToldAs::Change { on: names, .. }
        | ToldAs::Same { on: names }
        | ToldAs::Nothing { equal: names }) = &mut self.told_as
        else {
            return;
        };
        names.retain(|name| *name != Name::Draft(serial));
        for at in versions {
            if !names.contains(&Name::Told(*at)) {
                names.push(Name::Told(*at));
            }
        }
    }
}

impl Texts {
    /// How these drafts are told, as far as that is known: as of one instant.
    pub(in crate::vault) fn ready_of(&self, drafts: &[Draft]) -> Vec<Option<Arc<Ready>>> {
        if drafts.is_empty() {
            return Vec::new();
        }
        let ready = self.ready.lock();
        let each = drafts.iter().map(|draft| ready.by_serial.get(&draft.serial));
        each.map(|ready| ready.cloned()).collect()
    }

    /// A transaction has told this of the entity that this file had.
    pub(in crate::vault) fn told(&self, entity: EntityId, ino: Ino, told: Vec<ToldText>) {
        let mut broken = false;
        for told in &told {
            let (serial, versions) = match told {
                ToldText::Version { draft, at, heads, .. } => {
                    let mut ready = self.ready.lock();
                    // Has it been made anew since, what was made after it builds on another.
                    let was = ready.by_serial.remove(draft);
                    broken |= was.is_none_or(|was| was.heads != *heads);
                    ready.told(&entity, *draft, &[*at]);
                    (*draft, vec![*at])
                }
                ToldText::Passed { draft, is } => {
                    let mut ready = self.ready.lock();
                    ready.by_serial.remove(draft);
                    ready.told(&entity, *draft, is);
                    (*draft, is.clone())
                }
                ToldText::Other(at) => {
                    self.shown.lock().told_whole(&entity, ino, *at);
                    continue;
                }
                ToldText::Again { was, at } => {
                    let mut shown = self.shown.lock();
                    shown.told_again(&entity, was, *at);
                    shown.told_whole(&entity, ino, *at);
                    continue;
                }
                ToldText::Same | ToldText::Shows(_) => continue,
            };
            let mut shown = self.shown.lock();
            match versions.is_empty() {
                true => shown.given_up(&entity, serial),
                false => shown.told(&entity, serial, &versions),
            }
        }
        if broken {
            self.ready.lock().take_back(&entity);
        }
        self.tell_document(entity, told);
    }

    /// Lets the document hear, if it is in memory.
    pub(super) fn tell_document(&self, entity: EntityId, told: Vec<ToldText>) {
        let is_there = self.shelf.lock().has(&entity);
        if is_there && !told.is_empty() {
            self.news.lock().entry(entity).or_default().extend(told);
        }
    }

    /// A draft is given up.
    pub(in crate::vault) fn given_up(&self, entity: EntityId, draft: u64) {
        // Who was shown it was: a commit under way may be telling it. The next one forgets it.
        self.given_up.lock().push((entity, draft));
        let ready = self.ready.lock().by_serial.remove(&draft);
        if let Some(ready) = ready
            && ready.body().is_some()
        {
            // The document has a change that is never told: it is made anew.
            self.discard(&ready.entity);
        }
    }

    /// Nobody tells any more what was given up by now: nor is there anything that names who was shown it.
    pub(in crate::vault) fn forget_given_up(&self) {
        let given_up = std::mem::take(&mut *self.given_up.lock());
        let mut shown = self.shown.lock();
        for (entity, draft) in given_up {
            shown.given_up(&entity, draft);
        }
    }
}

impl Vault {
    /// How a file's present state is told.
    pub(in crate::vault) fn telling(&self, key: &Key, state: &State) -> Result<Telling, StoreError> {
        if state.meta.kind != Kind::File {
            return Ok(Telling::Whole);
        }
        let fits = state.marks.text && state.size() <= TEXT_MAX as u64;
        let ready = self.texts.ready_of(&state.drafts);
        Ok(match (ready.last(), state.published) {
            (None, None) => Telling::Whole,
            (None, _) if state.anew && !state.fresh => Telling::Whole,
            (None, Some(at)) if !state.fresh => match self.is_text(key, &state.binding.entity(), at)? {
                true => Telling::Attributes,
                false => Telling::Whole,
            },
            (None, _) if fits => Telling::Later,
            (None, _) => Telling::Whole,
            // The first version of all begins the text, or is no text.
            (Some(_), None) if ready.len() == 1 && !state.fresh => Telling::Whole,
            (Some(_), None) => Telling::Later,
            (Some(last), _) if !state.fresh => match last {
                Some(ready) if ready.is_whole() => Telling::Whole,
                Some(_) => Telling::Woven,
                None => Telling::Later,
            },
            // What is no text any more comes after all that was one.
            (Some(_), _) if !fits && ready.iter().all(Option::is_some) => Telling::Whole,
            (Some(_), _) => Telling::Later,
        })
    }

    /// Whether this version of an entity is one of a text.
    pub(in crate::vault) fn is_text(
        &self,
        key: &Key,
        entity: &EntityId,
        at: EventRef,
    ) -> Result<bool, StoreError> {
        let row = self.row_of(key, entity, at)?;
        Ok(row.is_some_and(|row| row.is_change() || row.is_genesis()))
    }

    /// Whether the step can do something so that more is told.
    pub(in crate::vault) fn awaits_weaving(&self) -> bool {
        let inos: Vec<_> = self.untold.lock().inodes.iter().copied().collect();
        inos.into_iter().any(|ino| {
            let inode = self.inodes.lock().get(ino);
            inode.is_some_and(|inode| self.needs_weaving(&inode.state.read()))
        })
    }
}
