//! What a commit asks about a text, and what it says of what it told.

use std::sync::Arc;

use super::{Merge, Ready, Texts, ToldAs};
use crate::event::{Body, EventRef, Form};
use crate::ids::{EntityId, Ino};
use crate::record::Kind;
use crate::text::{ChangeHash, Heads, TEXT_MAX};
use crate::vault::commit::Scope;
use crate::vault::inode::State;
use crate::vault::saves::Draft;
use crate::vault::{OpError, Vault};

/// How the present state of a file is told.
#[derive(Clone, Debug)]
pub(in crate::vault) enum Telling {
    /// With its bytes.
    Whole,
    /// Not by this commit: the step comes first.
    Later,
    /// As its last draft is, of this serial.
    Woven(u64, Arc<Ready>),
}

/// What a commit has told of an entity.
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
    /// A draft that was not told, since it says nothing.
    Passed(u64),
    /// A version with its bytes: the text begins anew, or ends.
    Other,
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
        matches!(self.told_as, ToldAs::Whole)
    }

    /// What the event says, unless it has the bytes.
    pub(in crate::vault) fn body(&self) -> Option<Body> {
        match &self.told_as {
            ToldAs::Change { serial, bytes, .. } => Some(Body::Change {
                serial: *serial,
                bytes: bytes.clone(),
            }),
            ToldAs::Same { .. } => Some(Body::Same),
            ToldAs::Whole | ToldAs::Nothing => None,
        }
    }

    /// Whether it was made from what the file was before, however that is named.
    pub(in crate::vault) fn is_on_stand(&self) -> bool {
        self.on_stand
    }

    /// The changes that name what it was made from.
    pub(in crate::vault) fn on(&self) -> &[ChangeHash] {
        match &self.told_as {
            ToldAs::Change { on, .. } | ToldAs::Same { on } => on,
            ToldAs::Whole | ToldAs::Nothing => &[],
        }
    }

    /// What names the version.
    pub(in crate::vault) fn heads(&self) -> Heads {
        match &self.told_as {
            ToldAs::Change { hash, .. } => [*hash].into_iter().collect(),
            _ => self.on().iter().copied().collect(),
        }
    }

    /// What the file shows with it, instead of what was saved.
    pub(in crate::vault) fn shows(&self) -> Option<&Arc<Vec<u8>>> {
        self.shows.as_ref().map(|Merge { text, .. }| text)
    }

    /// The changes that name what the file shows.
    pub(in crate::vault) fn shown(&self) -> Option<&Heads> {
        self.shows.as_ref().map(|merge| &merge.heads)
    }
}

impl Texts {
    /// How a draft is told, if that is known.
    pub(in crate::vault) fn ready(&self, draft: u64) -> Option<Arc<Ready>> {
        self.ready.lock().get(&draft).cloned()
    }

    /// The events of these changes.
    pub(in crate::vault) fn events_of(&self, changes: &[ChangeHash]) -> Option<Vec<EventRef>> {
        let born = self.born.lock();
        changes.iter().map(|change| born.get(change).copied()).collect()
    }

    /// A transaction has told this.
    pub(in crate::vault) fn told(&self, entity: EntityId, told: Vec<ToldText>) {
        let mut ready = self.ready.lock();
        for told in &told {
            match told {
                ToldText::Version { draft, .. } | ToldText::Passed(draft) => ready.remove(draft),
                ToldText::Other => None,
            };
        }
        let is_idle = ready.is_empty();
        drop(ready);
        let mut born = self.born.lock();
        for told in &told {
            if let ToldText::Version { at, heads, .. } = told
                && let [change] = heads.as_slice()
            {
                born.insert(*change, *at);
            }
        }
        if is_idle && born.len() > 4096 {
            born.clear();
        }
        drop(born);
        self.news.lock().entry(entity).or_default().extend(told);
    }

    /// A draft is given up.
    pub(in crate::vault) fn given_up(&self, draft: u64) {
        let ready = self.ready.lock().remove(&draft);
        if let Some(ready) = ready
            && ready.body().is_some()
        {
            // The document has a change that is never told: it is made anew.
            self.news
                .lock()
                .entry(ready.entity)
                .or_default()
                .push(ToldText::Other);
        }
    }
}

impl Vault {
    /// Tells the present state of a text with its bytes, so that it needs nothing of its past. False
    /// if that is so already.
    pub(in crate::vault) fn begin_anew(&self, ino: Ino) -> Result<bool, OpError> {
        let inode = self.get(ino)?;
        self.commit_all(Scope::Timer)?;
        let Some(at) = inode.state.read().published else {
            return Ok(false);
        };
        let (entity, key) = {
            let state = inode.state.read();
            (state.binding.entity(), state.binding.key(inode.key()).duplicate())
        };
        let mut is_change = false;
        self.each_version(&key, &entity, &mut |_, row| {
            is_change |= row.is_ok_and(|row| row.at == at && row.is_change());
        })?;
        if is_change {
            let mut state = inode.state.write();
            (state.anew, state.untold, state.meta_dirty) = (true, true, true);
            drop(state);
            self.mark_dirty(ino);
            self.commit_all(Scope::Timer)?;
        }
        Ok(is_change)
    }

    /// How a file's present state is told.
    pub(in crate::vault) fn telling(&self, state: &State) -> Telling {
        if state.meta.kind != Kind::File {
            return Telling::Whole;
        }
        let fits = state.marks.text && state.size() <= TEXT_MAX as u64;
        let ready = |draft: &Draft| self.texts.ready(draft.serial);
        match state.drafts.last() {
            None if state.anew => Telling::Whole,
            None if fits && state.published.is_some() => Telling::Later,
            None => Telling::Whole,
            // The first version of all begins the text, or is no text.
            Some(_) if state.published.is_none() && state.drafts.len() == 1 && !state.fresh => Telling::Whole,
            Some(_) if state.published.is_none() => Telling::Later,
            Some(last) if !state.fresh => match ready(last) {
                Some(ready) if ready.is_whole() => Telling::Whole,
                Some(ready) => Telling::Woven(last.serial, ready),
                None => Telling::Later,
            },
            // What is no text any more comes after all that was one.
            Some(_) if !fits && state.drafts.iter().all(|draft| ready(draft).is_some()) => Telling::Whole,
            Some(_) => Telling::Later,
        }
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
