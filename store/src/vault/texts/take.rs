//! Whether other devices' versions of a text can be taken: its document must take the changes first.
//!
//! Guarantees: a version is refused only for what it says itself, together with what it was made
//! from, so that every device refuses the same; whatever fails for want of something here (a chunk,
//! a row that cannot be read, a document that cannot be built) waits. What is refused leaves no
//! document with it: one that has it is made anew.
//!
//! Beside what the document asks, a change must be made from just the versions that it replaces, its text
//! must have the size that its version says, and an edit on top of it must work. A version with its bytes
//! needs nothing of what it replaces, and is taken whatever became of that.

use std::collections::{HashMap, HashSet};

use super::hot::Hot;
use super::shelf::DocumentError;
use crate::codec::Unread;
use crate::core::StoreError;
use crate::event::{Body, EventRef, Form, Head, Version};
use crate::ids::EntityId;
use crate::keys::Key;
use crate::record::VersionRecord;
use crate::text::{Change, Document, Heads, TextError};
use crate::vault::Vault;
use crate::vault::history::change_of as packed_change;

/// A version as it came.
pub(in crate::vault) type Came<'a> = (&'a Head, &'a Version);

/// What is to be done with a version that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::vault) enum Verdict {
    /// It can be taken.
    Good,
    /// Something of what it takes is not here, or cannot be read.
    Waits,
    /// It, or what it goes on from, takes a newer program.
    Newer,
    /// It says what cannot be.
    Refused,
}

impl From<Unread> for Verdict {
    fn from(unread: Unread) -> Verdict {
        match unread {
            Unread::Newer => Verdict::Newer,
            Unread::Malformed(_) => Verdict::Refused,
        }
    }
}

/// What trying a version on a document came to.
enum Tried {
    /// It is in the document, named so.
    Named(Heads),
    /// Decided without a change of the document.
    Is(Verdict),
    /// It is made from this, which is no version of the document.
    Lacks(EventRef),
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
    /// The version that its text began with, and what names it.
    names: HashMap<EventRef, (EventRef, Heads)>,
    /// Changes that are taken, by what their text began with: a document that is made anew needs all of
    /// its text.
    taken: HashMap<EventRef, Vec<Change>>,
    /// Documents of texts that came whole.
    anew: HashMap<EventRef, Document>,
    /// What goes back to these needs a document that cannot be had.
    stuck: HashSet<EventRef>,
    /// Each change is tried with an edit on top.
    each: bool,
}

fn change_of((head, version): Came<'_>, genesis: EventRef) -> Result<Option<Change>, TextError> {
    let change = packed_change(version, head.at.chain);
    let change = change.map(|(maker, bytes)| Change::open(bytes, maker, genesis));
    change.transpose().map_err(|_| TextError::Damaged)
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
        let Some(needed) = version.needs(&head.replaces) else {
            return Ok(Verdict::Refused);
        };
        let before = needed.iter().filter_map(|at| session.verdicts.get(at));
        let worst = before.copied().max().unwrap_or(Verdict::Good);
        if worst != Verdict::Good {
            return Ok(worst);
        }
        let Some(first) = needed.first().copied() else {
            session.whole.insert(head.at, came);
            return Ok(Verdict::Good);
        };
        let root = session.names.get(&first).map_or(first, |(root, _)| *root);
        if session.whole.contains_key(&root) {
            return self.judge_anew(session, came, root);
        }
        if session.stuck.contains(&root) {
            return Ok(Verdict::Waits);
        }
        // A document that fails is made anew from the events alone: it may have been what failed.
        for again in [false, true] {
            let tried = self.with_document((session.entity, session.key), root, |hot| {
                Ok((session.try_on_hot(&self.texts.limits, hot, came), hot.genesis))
            });
            match tried {
                Ok(Some((Tried::Named(heads), began))) => {
                    session.names.insert(head.at, (began, heads));
                    return Ok(Verdict::Good);
                }
                Ok(Some((Tried::Is(verdict), _))) => return Ok(verdict),
                Ok(Some((Tried::Lacks(at), _))) => return self.without_name(session, at),
                Ok(Some((Tried::Broken, _))) => {
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
        let verdict = match self.known_place(session, at)? {
            Some(None) => Verdict::Refused,
            _ => Verdict::Waits,
        };
        if verdict == Verdict::Waits {
            session.stuck.insert(at);
        }
        Ok(verdict)
    }

    /// Of a version that goes on from one that its document has not. It is refused if that is surely of
    /// another text, or of none: this device may have let go of it, and others have not.
    fn without_name(&self, session: &Session<'_>, at: EventRef) -> Result<Verdict, StoreError> {
        let is_known = session.whole.contains_key(&at) || self.known_place(session, at)?.is_some();
        Ok(match is_known {
            true => Verdict::Refused,
            false => Verdict::Waits,
        })
    }

    /// What the text of a version began with, or nothing if it is of none; as far as rows say so that are
    /// kept and can be read.
    fn known_place(
        &self,
        session: &Session<'_>,
        at: EventRef,
    ) -> Result<Option<Option<EventRef>>, StoreError> {
        let mut rows: HashMap<EventRef, VersionRecord> = HashMap::new();
        self.each_version(session.key, &session.entity, &mut |_, row| {
            rows.extend(row.ok().map(|row| (row.at, row)));
        })?;
        let mut next = Some(at);
        // What a version was made from came before it: each is met once.
        while let Some(row) = next.and_then(|at| rows.remove(&at)) {
            if row.form != Form::Text as u8 {
                return Ok(Some(None));
            }
            if row.is_genesis() {
                return Ok(Some(Some(row.at)));
            }
            next = row.parents.first().copied().filter(|_| row.is_change());
        }
        Ok(None)
    }

    /// The same of a text that begins with a version that came with it.
    fn judge_anew<'a>(
        &self,
        session: &mut Session<'a>,
        came: Came<'a>,
        root: EventRef,
    ) -> Result<Verdict, StoreError> {
        let Some((_, first)) = session
            .whole
            .get(&root)
            .filter(|(_, first)| first.form == Form::Text)
        else {
            return Ok(Verdict::Refused);
        };
        // A long text's bytes are in chunks, which do not come with events.
        let Body::Inline(bytes) = &first.body else {
            return Ok(Verdict::Waits);
        };
        for _ in 0..2 {
            let mut document = match session.anew.remove(&root) {
                Some(document) => document,
                None => {
                    let text = std::str::from_utf8(bytes).ok();
                    let Some(mut document) = text.and_then(|text| Document::genesis(root, text).ok()) else {
                        return Ok(Verdict::Refused);
                    };
                    let taken = session.taken.get(&root).map_or(&[][..], Vec::as_slice);
                    if document.apply(taken).is_err() {
                        return Ok(Verdict::Refused);
                    }
                    document
                }
            };
            let limits = &self.texts.limits;
            let first = document.first();
            let tried = session.try_on(limits, &mut document, root, came, |at| {
                (*at == root).then(|| [first].into_iter().collect())
            });
            match tried {
                Tried::Named(heads) => {
                    session.names.insert(came.0.at, (root, heads));
                    session.anew.insert(root, document);
                    return Ok(Verdict::Good);
                }
                Tried::Is(verdict) => {
                    session.anew.insert(root, document);
                    return Ok(verdict);
                }
                Tried::Lacks(at) => {
                    session.anew.insert(root, document);
                    return self.without_name(session, at);
                }
                Tried::Broken => {}
            }
        }
        Ok(Verdict::Refused)
    }

    /// An entity's document is made anew, from its events alone.
    fn discard_stored(&self, entity: EntityId) {
        self.texts.discard(&entity);
        self.forget_stored(entity);
    }
}

impl<'a> Session<'a> {
    fn try_on_hot(&mut self, limits: &super::limits::Limits, hot: &mut Hot, came: Came<'a>) -> Tried {
        let genesis = hot.genesis;
        let taken = self.taken.get(&genesis).map_or(&[][..], Vec::as_slice);
        // It may have been made anew since.
        let is_there = taken.iter().all(|change| hot.doc.has(&change.hash()));
        if !is_there && hot.doc.apply(taken).is_err() {
            return Tried::Broken;
        }
        let names = &hot.names;
        self.try_on(limits, &mut hot.doc, genesis, came, |at| names.get(at).cloned())
    }

    /// Lets a document take it in, which has all that came before.
    fn try_on(
        &mut self,
        limits: &super::limits::Limits,
        document: &mut Document,
        genesis: EventRef,
        (head, version): Came<'a>,
        here: impl Fn(&EventRef) -> Option<Heads>,
    ) -> Tried {
        let mut all = Vec::new();
        for at in version.needs(&head.replaces).unwrap_or_default() {
            let heads = match self.names.get(at) {
                Some((began, heads)) if *began == genesis => Some(heads.clone()),
                // Of another text.
                Some(_) => return Tried::Is(Verdict::Refused),
                None => here(at),
            };
            match heads {
                Some(heads) => all.extend_from_slice(heads.as_slice()),
                None => return Tried::Lacks(*at),
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
                self.taken.entry(genesis).or_default().push(change);
                Tried::Named(heads)
            }
        }
    }
}
