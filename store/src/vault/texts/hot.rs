//! One text's document in memory, and the names of all its versions.

use std::collections::{HashMap, HashSet};

use super::lately::{Lately, Seen};
use super::limits::OP_BYTES;
use super::tell::ToldText;
use crate::event::EventRef;
use crate::keys::Key;
use crate::record::{BodyRef, DocumentRecord, VersionRecord};
use crate::text::{Change, ChangeHash, Document, Heads, TextError};

/// See the module.
pub(super) struct Hot {
    pub(super) doc: Document,
    /// The entity's key.
    pub(super) key: Key,
    pub(super) genesis: EventRef,
    /// The number of its first version's row.
    first: u64,
    /// The number of the last row that it has seen.
    pub(super) upto: u64,
    /// The newest of its versions that are told.
    heads: Vec<EventRef>,
    /// What names each version.
    pub(super) names: HashMap<EventRef, Heads>,
    /// Which event each change is.
    events: HashMap<ChangeHash, EventRef>,
    /// Changes that are not told, by their drafts' serials.
    pub(super) untold: HashSet<u64>,
    /// Versions since it was stored.
    pub(super) since: usize,
    lately: Lately,
    /// Versions that came from other devices.
    foreign: HashSet<EventRef>,
}

/// A version to be taken in.
pub(super) struct Step {
    pub(super) number: u64,
    pub(super) at: EventRef,
    pub(super) parents: Vec<EventRef>,
    /// None: the same text.
    pub(super) change: Option<Change>,
    /// The batch that told it.
    pub(super) batch: u64,
    /// It came from another device.
    pub(super) foreign: bool,
}

impl Hot {
    /// Of a text that has one version.
    pub(super) fn begin(
        key: Key,
        (genesis, number): (EventRef, u64),
        foreign: bool,
        text: &str,
    ) -> Result<Hot, TextError> {
        let doc = Document::genesis(genesis, text)?;
        let mut hot = Hot::new(doc, key, (genesis, number), foreign);
        hot.show(vec![genesis]);
        Ok(hot)
    }

    fn new(doc: Document, key: Key, (genesis, number): (EventRef, u64), foreign: bool) -> Hot {
        let first = doc.first();
        Hot {
            events: [(first, genesis)].into_iter().collect(),
            names: [(genesis, [first].into_iter().collect())].into_iter().collect(),
            heads: vec![genesis],
            doc,
            key,
            genesis,
            first: number,
            upto: number,
            untold: HashSet::new(),
            since: 0,
            lately: Lately::default(),
            foreign: foreign.then_some(genesis).into_iter().collect(),
        }
    }

    /// Of a stored document; `rows` are the versions of the text after its first, which has the
    /// number `first`, as far as the document has them.
    pub(super) fn load<'a>(
        key: Key,
        (record, first): (DocumentRecord, u64),
        foreign: bool,
        rows: impl Iterator<Item = &'a VersionRecord>,
    ) -> Result<Hot, TextError> {
        let doc = Document::load(record.genesis, &record.bytes)?;
        let mut hot = Hot::new(doc, key, (record.genesis, first), foreign);
        hot.upto = record.upto;
        for row in rows {
            let heads = match row.body {
                BodyRef::Change(name) => [ChangeHash(name)].into_iter().collect(),
                _ => hot.same_as(&row.parents).ok_or(TextError::Damaged)?,
            };
            hot.know(row.at, heads, &row.parents)?;
            if row.foreign {
                hot.foreign.insert(row.at);
            }
        }
        // It has nothing that was told nowhere.
        let newest = hot.doc.heads()?;
        if !newest
            .as_slice()
            .iter()
            .all(|change| hot.events.contains_key(change))
        {
            return Err(TextError::Damaged);
        }
        for state in record.recent {
            hot.show(state);
        }
        Ok(hot)
    }

    /// The place of its first version among all of the entity: it tells which of two texts is newer.
    pub(super) fn began(&self) -> u64 {
        self.first
    }

    /// As it is stored; none while it has changes that may never be told.
    pub(super) fn record(&self) -> Option<DocumentRecord> {
        if !self.untold.is_empty() {
            return None;
        }
        Some(DocumentRecord {
            genesis: self.genesis,
            upto: self.upto,
            recent: self.lately.all().cloned().collect(),
            bytes: self.doc.save().ok()?,
        })
    }

    /// Takes in versions, in the order of their numbers; `showing`: the file has shown what each
    /// batch brought, as far as anybody knows.
    pub(super) fn take(&mut self, steps: Vec<Step>, showing: bool) -> Result<(), TextError> {
        let changes: Vec<Change> = steps.iter().filter_map(|step| step.change.clone()).collect();
        self.doc.apply(&changes)?;
        let mut steps = steps.into_iter().peekable();
        while let Some(step) = steps.next() {
            let heads = match &step.change {
                Some(change) => [change.hash()].into_iter().collect(),
                None => self.same_as(&step.parents).ok_or(TextError::NoVersion)?,
            };
            self.know(step.at, heads, &step.parents)?;
            self.upto = self.upto.max(step.number);
            self.since += 1;
            let is_last = steps.peek().is_none_or(|next| next.batch != step.batch);
            if step.foreign {
                self.foreign.insert(step.at);
            } else {
                self.show(vec![step.at]);
            }
            if showing && is_last {
                self.show(self.heads.clone());
            }
        }
        Ok(())
    }

    /// A version is told, and has this name.
    fn know(&mut self, at: EventRef, heads: Heads, parents: &[EventRef]) -> Result<(), TextError> {
        if !heads.as_slice().iter().all(|change| self.doc.has(change)) {
            return Err(TextError::Damaged);
        }
        self.heads.retain(|head| !parents.contains(head) && *head != at);
        self.heads.push(at);
        if let [one] = heads.as_slice() {
            self.events.entry(*one).or_insert(at);
        }
        self.names.insert(at, heads);
        Ok(())
    }

    /// What happened to it in a commit, or to what its file shows. False: it can go on no further.
    pub(super) fn hear(&mut self, told: &ToldText) -> bool {
        match told {
            ToldText::Other(_) | ToldText::Again { .. } => false,
            ToldText::Same => true,
            // A change of it that is no version: the document is made anew without it.
            ToldText::Passed { draft, .. } => !self.untold.remove(draft),
            ToldText::Shows(state) => {
                self.show(state.clone());
                true
            }
            ToldText::Version {
                draft,
                at,
                parents,
                heads,
                number,
            } => {
                self.untold.remove(draft);
                // What else was told before it comes from the rows.
                if *number != self.upto + 1 {
                    return true;
                }
                self.upto = *number;
                self.since += 1;
                let is_known = self.know(*at, heads.clone(), parents).is_ok();
                self.show(vec![*at]);
                is_known
            }
        }
    }

    /// The file shows the merge of these. A merge came past whoever had the file open, too.
    fn show(&mut self, state: Vec<EventRef>) {
        // New attributes are no new state.
        let heads = self.union(&state);
        if heads.is_some() && self.lately.last().and_then(|last| self.union(last)) == heads {
            return;
        }
        let own = matches!(&state[..], [one] if !self.foreign.contains(one));
        self.lately.push(state, own);
    }

    /// What names this version, if it is one of this text.
    pub(super) fn names(&self, at: &EventRef) -> Option<&Heads> {
        self.names.get(at)
    }

    /// What names the merge of these versions, if they are of this text.
    pub(super) fn union(&self, versions: &[EventRef]) -> Option<Heads> {
        let mut all = Vec::new();
        for at in versions {
            all.extend_from_slice(self.names.get(at)?.as_slice());
        }
        // One that changed attributes alone is what others build on.
        (!all.is_empty()).then(|| self.doc.newest_of(all.into_iter().collect()))
    }

    /// What names a version without a change, made from these; one that carries another over names that,
    /// too, which is of another text.
    fn same_as(&self, versions: &[EventRef]) -> Option<Heads> {
        let known = versions.iter().filter(|at| self.names.contains_key(at));
        self.union(&known.copied().collect::<Vec<_>>())
    }

    /// The versions that no other goes on from, those that changed attributes alone among them. None
    /// while it has what is not told.
    pub(super) fn newest(&self) -> Result<Option<Vec<EventRef>>, TextError> {
        let newest = self.doc.heads()?;
        let mut versions = self.heads.clone();
        let names = versions.iter().filter_map(|at| self.names.get(at));
        let covered: HashSet<ChangeHash> = names.flat_map(Heads::as_slice).copied().collect();
        for change in newest
            .as_slice()
            .iter()
            .filter(|change| !covered.contains(change))
        {
            match self.events.get(change) {
                Some(at) => versions.push(*at),
                None => return Ok(None), // what is not told yet
            }
        }
        versions.sort_unstable();
        Ok(Some(versions))
    }

    /// See [`Lately::since_others`].
    pub(super) fn lately(&self) -> Vec<Seen> {
        self.lately.since_others()
    }

    /// About how many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        (64 << 10) + 400 * self.names.len() + (OP_BYTES * self.doc.ops()) as usize
    }
}
