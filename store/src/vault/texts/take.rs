//! Whether other devices' versions of a text can be taken: its document must take the changes first.
//!
//! Guarantees: a version is refused only for what it says itself, together with what it was made
//! from, so that every device refuses the same; whatever fails for want of something here (a chunk,
//! a row that cannot be read, a document that cannot be built) waits. What is refused leaves no
//! document with it: one that has it is made anew.
//!
//! Beside what the document asks, a change must be made from just the versions that it replaces, its text
//! must have the size that its version says, and an edit on top of it must work.

use std::collections::{HashMap, HashSet};

use super::hot::Hot;
use super::shelf::DocumentError;
use crate::core::StoreError;
use crate::event::{Body, EventRef, Form, Head, Version};
use crate::ids::EntityId;
use crate::keys::Key;
use crate::text::{Change, Document, Heads, Maker, TextError};
use crate::vault::Vault;

/// A version as it came.
pub(in crate::vault) type Came<'a> = (&'a Head, &'a Version);

/// What is to be done with a version that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Verdict {
    /// It can be taken.
    Good,
    /// Something of what it takes is not here, or cannot be read.
    Waits,
    /// It says what cannot be.
    Refused,
}

/// What trying a version on a document came to.
enum Tried {
    /// It is in the document, named so.
    Named(Heads),
    /// Decided without a change of the document.
    Is(Verdict),
    /// The document has it, or failed at it.
    Broken,
}

/// What is known of versions of an entity that came together, in their order.
struct Session<'a> {
    entity: EntityId,
    key: &'a Key,
    verdicts: HashMap<EventRef, Verdict>,
    /// Whole versions that came: a text may begin with one.
    whole: HashMap<EventRef, Came<'a>>,
    /// The version that is here already, or begins a text, to which one goes back; and what names it.
    names: HashMap<EventRef, (EventRef, Heads)>,
    /// Changes that are taken, by what they go back to.
    taken: HashMap<EventRef, Vec<Change>>,
    /// Documents of texts that came whole.
    anew: HashMap<EventRef, Document>,
    /// What goes back to these needs a document that cannot be had.
    stuck: HashSet<EventRef>,
    /// Each change is tried with an edit on top.
    each: bool,
}

fn change_of((head, version): Came<'_>, genesis: EventRef) -> Result<Option<Change>, TextError> {
    let Body::Change { serial, bytes } = &version.body else {
        return Ok(None);
    };
    let maker = Maker {
        chain: head.at.chain,
        serial: *serial,
    };
    let change = Change::open(bytes, maker, genesis).map_err(|_| TextError::Damaged)?;
    Ok(Some(change))
}

impl Vault {
    /// What is to be done with these versions of an entity, in their order: each comes after those
    /// that it goes on from, which are among them or here.
    pub(in crate::vault) fn judge(
        &self,
        (entity, key): (EntityId, &Key),
        came: &[Came<'_>],
    ) -> Result<Vec<Verdict>, StoreError> {
        let (verdicts, sound) = self.judge_all((entity, key), came, false)?;
        if sound {
            return Ok(verdicts);
        }
        // One of them leaves a text that nobody can edit: which? None, if that was so before.
        self.discard_stored(entity);
        let before = came.iter().filter_map(|(head, _)| head.replaces.first());
        for at in before.collect::<HashSet<_>>() {
            if !self.is_sound((entity, key), *at) {
                return Ok(verdicts);
            }
        }
        Ok(self.judge_all((entity, key), came, true)?.0)
    }

    /// The same; and whether an edit on top of them all works.
    fn judge_all(
        &self,
        (entity, key): (EntityId, &Key),
        came: &[Came<'_>],
        each: bool,
    ) -> Result<(Vec<Verdict>, bool), StoreError> {
        let mut session = Session {
            entity,
            key,
            verdicts: HashMap::new(),
            whole: HashMap::new(),
            names: HashMap::new(),
            taken: HashMap::new(),
            anew: HashMap::new(),
            stuck: HashSet::new(),
            each,
        };
        let mut verdicts = Vec::with_capacity(came.len());
        for came in came {
            let verdict = self.judge_one(&mut session, *came)?;
            session.verdicts.insert(came.0.at, verdict);
            verdicts.push(verdict);
        }
        let roots: Vec<EventRef> = session.taken.keys().copied().collect();
        let mut sound = true;
        for root in roots.into_iter().filter(|_| !each) {
            sound &= match session.anew.get_mut(&root) {
                Some(document) => document.try_edit().is_ok(),
                None => self.is_sound((entity, key), root),
            };
        }
        Ok((verdicts, sound))
    }

    /// Whether the text of a version can be edited, as far as its document can be had.
    fn is_sound(&self, of: (EntityId, &Key), at: EventRef) -> bool {
        let tried = self.with_document(of, at, |hot| Ok(hot.doc.try_edit()?));
        !matches!(tried, Err(DocumentError::Text(_)))
    }

    fn judge_one<'a>(&self, session: &mut Session<'a>, came: Came<'a>) -> Result<Verdict, StoreError> {
        let (head, version) = came;
        let before = head.replaces.iter().filter_map(|at| session.verdicts.get(at));
        let worst = before.copied().find(|verdict| *verdict != Verdict::Good);
        let worst = match head
            .replaces
            .iter()
            .any(|at| session.verdicts.get(at) == Some(&Verdict::Refused))
        {
            true => Some(Verdict::Refused),
            false => worst,
        };
        if let Some(verdict) = worst {
            return Ok(verdict);
        }
        if !matches!(version.body, Body::Change { .. } | Body::Same) {
            session.whole.insert(head.at, came);
            return Ok(Verdict::Good);
        }
        let Some(first) = head.replaces.first().copied() else {
            return Ok(Verdict::Refused);
        };
        let root = session.names.get(&first).map_or(first, |(root, _)| *root);
        if session.whole.contains_key(&root) {
            return Ok(self.judge_anew(session, came, root));
        }
        if session.stuck.contains(&root) {
            return Ok(Verdict::Waits);
        }
        // A document that fails is made anew from the events alone: it may have been what failed.
        for again in [false, true] {
            let tried = self.with_document((session.entity, session.key), root, |hot| {
                Ok(session.try_on_hot(&self.texts.limits, hot, came, root))
            });
            match tried {
                Ok(Some(Tried::Named(heads))) => {
                    session.names.insert(head.at, (root, heads));
                    return Ok(Verdict::Good);
                }
                Ok(Some(Tried::Is(verdict))) => return Ok(verdict),
                Ok(Some(Tried::Broken)) => {
                    self.discard_stored(session.entity);
                    if again {
                        return Ok(Verdict::Refused);
                    }
                }
                Ok(None) => return self.without_document(session, root),
                Err(DocumentError::Store(e)) if !e.is_damage() => return Err(e),
                // What a text was to begin with is none.
                Err(DocumentError::Text(TextError::NotText(_))) => return Ok(Verdict::Refused),
                Err(_) => {
                    session.stuck.insert(root);
                    return Ok(Verdict::Waits);
                }
            }
        }
        Ok(Verdict::Refused)
    }

    /// Of a version that goes on from one that is no text here.
    fn without_document(&self, session: &mut Session<'_>, at: EventRef) -> Result<Verdict, StoreError> {
        let row = match self.row_of(session.key, &session.entity, at) {
            Err(e) if e.is_damage() => None,
            row => row?,
        };
        // Or it cannot be read, or is not kept here, or comes yet.
        let is_blob = row.is_some_and(|row| row.form != Form::Text as u8);
        if !is_blob {
            session.stuck.insert(at);
        }
        Ok(if is_blob { Verdict::Refused } else { Verdict::Waits })
    }

    /// The same of a text that begins with a version that came with it.
    fn judge_anew<'a>(&self, session: &mut Session<'a>, came: Came<'a>, root: EventRef) -> Verdict {
        let Some((_, first)) = session
            .whole
            .get(&root)
            .filter(|(_, first)| first.form == Form::Text)
        else {
            return Verdict::Refused;
        };
        // A long text's bytes are in chunks, which do not come with events.
        let Body::Inline(bytes) = &first.body else {
            return Verdict::Waits;
        };
        for _ in 0..2 {
            let mut document = match session.anew.remove(&root) {
                Some(document) => document,
                None => {
                    let text = std::str::from_utf8(bytes).ok();
                    let Some(mut document) = text.and_then(|text| Document::genesis(root, text).ok()) else {
                        return Verdict::Refused;
                    };
                    let taken = session.taken.get(&root).map_or(&[][..], Vec::as_slice);
                    if document.apply(taken).is_err() {
                        return Verdict::Refused;
                    }
                    document
                }
            };
            let limits = &self.texts.limits;
            let first = document.first();
            let tried = session.try_on(limits, &mut document, (root, root), came, |at| {
                (*at == root).then(|| [first].into_iter().collect())
            });
            match tried {
                Tried::Named(heads) => {
                    session.names.insert(came.0.at, (root, heads));
                    session.anew.insert(root, document);
                    return Verdict::Good;
                }
                Tried::Is(verdict) => {
                    session.anew.insert(root, document);
                    return verdict;
                }
                Tried::Broken => {}
            }
        }
        Verdict::Refused
    }

    /// An entity's document is made anew, from its events alone.
    fn discard_stored(&self, entity: EntityId) {
        self.texts.discard(&entity);
        self.forget_stored(entity);
    }
}

impl<'a> Session<'a> {
    fn try_on_hot(
        &mut self,
        limits: &super::limits::Limits,
        hot: &mut Hot,
        came: Came<'a>,
        root: EventRef,
    ) -> Tried {
        let taken = self.taken.get(&root).map_or(&[][..], Vec::as_slice);
        // It may have been made anew since.
        let is_there = taken.last().is_none_or(|last| hot.doc.has(&last.hash()));
        if !is_there && hot.doc.apply(taken).is_err() {
            return Tried::Broken;
        }
        let Hot { doc, genesis, .. } = hot;
        let genesis = *genesis;
        let names = &hot.names;
        self.try_on(limits, doc, (root, genesis), came, |at| names.get(at).cloned())
    }

    /// Lets a document take it in, which has all that came before.
    fn try_on(
        &mut self,
        limits: &super::limits::Limits,
        document: &mut Document,
        (root, genesis): (EventRef, EventRef),
        (head, version): Came<'a>,
        here: impl Fn(&EventRef) -> Option<Heads>,
    ) -> Tried {
        let mut all = Vec::new();
        for at in &head.replaces {
            let heads = self
                .names
                .get(at)
                .map(|(_, heads)| heads.clone())
                .or_else(|| here(at));
            match heads {
                Some(heads) => all.extend_from_slice(heads.as_slice()),
                // Of another text, or of none.
                None => return Tried::Is(Verdict::Refused),
            }
        }
        let on = document.newest_of(all.into_iter().collect());
        let change = match change_of((head, version), genesis) {
            Ok(change) => change,
            Err(_) => return Tried::Is(Verdict::Refused),
        };
        let heads = match &change {
            None => on,
            Some(change) => {
                // Else whether it can be taken would depend on what else is here.
                let deps: Heads = change.deps().iter().copied().collect();
                let is_here = deps.as_slice().iter().all(|dep| document.has(dep));
                if !is_here || document.newest_of(deps) != on || change.last_op() > limits.hard() {
                    return Tried::Is(Verdict::Refused);
                }
                if document.ops() + change.ops() > limits.document() {
                    return Tried::Is(Verdict::Waits);
                }
                match document.apply(std::slice::from_ref(change)) {
                    Ok(()) => {}
                    Err(TextError::Refused { .. } | TextError::Missing(_)) => {
                        return Tried::Is(Verdict::Refused);
                    }
                    Err(_) => return Tried::Broken,
                }
                [change.hash()].into_iter().collect()
            }
        };
        let text = document.text_at(&heads);
        let is_right = text.is_ok_and(|text| text.len() as u64 == version.size);
        match (is_right, change) {
            (false, None) => Tried::Is(Verdict::Refused),
            (false, Some(_)) => Tried::Broken,
            (true, None) => Tried::Named(heads),
            (true, Some(_)) if self.each && document.try_edit().is_err() => Tried::Broken,
            (true, Some(change)) => {
                self.taken.entry(root).or_default().push(change);
                Tried::Named(heads)
            }
        }
    }
}
