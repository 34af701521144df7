//! One text's document in memory, and what is known of its versions.

use std::collections::{HashMap, HashSet, VecDeque};

use super::ToldText;
use crate::event::EventRef;
use crate::keys::Key;
use crate::record::DocumentRecord;
use crate::text::{Change, ChangeHash, Document, Heads, TextError};

/// So many of the versions that the file showed last are remembered.
const RECENT: usize = 8;

/// See the module.
pub(super) struct Hot {
    pub(super) doc: Document,
    /// The entity's key.
    pub(super) key: Key,
    pub(super) genesis: EventRef,
    /// The number of the last version that it has.
    pub(super) upto: u64,
    /// The newest of its versions that are told.
    pub(super) heads: Vec<EventRef>,
    /// What names its versions, as far as that was needed.
    names: HashMap<EventRef, Heads>,
    /// Which events its changes are, likewise.
    events: HashMap<ChangeHash, EventRef>,
    /// Changes that are not told, by their drafts' serials.
    pub(super) untold: HashSet<u64>,
    /// Versions since it was stored.
    pub(super) since: usize,
    /// Bytes of the text, about.
    pub(super) len: usize,
    /// What the file showed lately, the newest last; and whether this device made it.
    recent: VecDeque<(bool, Heads)>,
}

/// A version to be taken in.
pub(super) struct Step {
    pub(super) number: u64,
    pub(super) at: EventRef,
    pub(super) parents: Vec<EventRef>,
    /// None: the same text.
    pub(super) change: Option<Change>,
    /// This device made it.
    pub(super) own: bool,
}

impl Hot {
    /// Of a text that has one version.
    pub(super) fn begin(
        key: Key,
        genesis: EventRef,
        number: u64,
        own: bool,
        text: &str,
    ) -> Result<Hot, TextError> {
        let doc = Document::genesis(genesis, text)?;
        let first: Heads = [doc.first()].into_iter().collect();
        let mut hot = Hot {
            events: [(doc.first(), genesis)].into_iter().collect(),
            names: [(genesis, first.clone())].into_iter().collect(),
            heads: vec![genesis],
            recent: VecDeque::new(),
            doc,
            key,
            genesis,
            upto: number,
            untold: HashSet::new(),
            since: 1,
            len: text.len(),
        };
        hot.show(own, first);
        Ok(hot)
    }

    /// Of a stored document.
    pub(super) fn load(key: Key, record: DocumentRecord) -> Result<Hot, TextError> {
        let doc = Document::load(record.genesis, &record.bytes)?;
        let heads_of = |names: Vec<[u8; 32]>| -> Heads { names.into_iter().map(ChangeHash).collect() };
        let mut hot = Hot {
            names: HashMap::new(),
            events: HashMap::new(),
            heads: record.heads.iter().map(|(at, _)| *at).collect(),
            recent: record
                .recent
                .into_iter()
                .map(|(own, names)| (own, heads_of(names)))
                .collect(),
            doc,
            key,
            genesis: record.genesis,
            upto: record.upto,
            untold: HashSet::new(),
            since: 0,
            len: record.bytes.len(),
        };
        let first: Heads = [hot.doc.first()].into_iter().collect();
        hot.know(record.genesis, first);
        for (at, names) in record.heads {
            hot.know(at, heads_of(names));
        }
        let known = |hot: &Hot, heads: &Heads| heads.as_slice().iter().all(|change| hot.doc.has(change));
        let all = hot.heads.iter().all(|at| known(&hot, &hot.names[at]));
        if !all || !hot.recent.iter().all(|(_, heads)| known(&hot, heads)) {
            return Err(TextError::Damaged);
        }
        Ok(hot)
    }

    /// As it is stored; none while it has changes that may never be told.
    pub(super) fn record(&self) -> Option<DocumentRecord> {
        if !self.untold.is_empty() {
            return None;
        }
        let names = |heads: &Heads| heads.as_slice().iter().map(|change| change.0).collect();
        let heads = self.heads.iter();
        Some(DocumentRecord {
            genesis: self.genesis,
            upto: self.upto,
            heads: heads
                .map(|at| Some((*at, names(self.names.get(at)?))))
                .collect::<Option<_>>()?,
            recent: self
                .recent
                .iter()
                .map(|(own, heads)| (*own, names(heads)))
                .collect(),
            bytes: self.doc.save().ok()?,
        })
    }

    /// Takes in versions, in the order of their numbers.
    pub(super) fn take(&mut self, steps: Vec<Step>) -> Result<(), TextError> {
        let changes: Vec<Change> = steps.iter().filter_map(|step| step.change.clone()).collect();
        self.doc.apply(&changes)?;
        for step in steps {
            let heads = match &step.change {
                Some(change) => [change.hash()].into_iter().collect(),
                None => self.union(&step.parents).ok_or(TextError::NoVersion)?,
            };
            self.tell(step.at, heads, &step.parents, step.number, step.own);
        }
        Ok(())
    }

    /// A version is told.
    fn tell(&mut self, at: EventRef, heads: Heads, parents: &[EventRef], number: u64, own: bool) {
        self.heads.retain(|head| !parents.contains(head) && *head != at);
        self.heads.push(at);
        self.upto = self.upto.max(number);
        self.since += 1;
        if let [one] = heads.as_slice() {
            self.events.insert(*one, at);
        }
        self.know(at, heads);
        let shown = self.union(&self.heads.clone());
        if let Some(shown) = shown {
            self.show(own, shown);
        }
    }

    /// What a commit has told of it. False: it can go on no further.
    pub(super) fn hear(&mut self, told: &ToldText) -> bool {
        match told {
            ToldText::Other => false,
            ToldText::Passed(draft) => {
                self.untold.remove(draft);
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
                let is_next = *number == self.upto + 1;
                if is_next && heads.as_slice().iter().all(|change| self.doc.has(change)) {
                    self.tell(*at, heads.clone(), parents, *number, true);
                }
                true
            }
        }
    }

    fn show(&mut self, own: bool, shown: Heads) {
        if self.recent.back().is_some_and(|(_, last)| *last == shown) {
            return;
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((own, shown));
    }

    /// What names a version.
    pub(super) fn know(&mut self, at: EventRef, heads: Heads) {
        if let [one] = heads.as_slice() {
            self.events.entry(*one).or_insert(at);
        }
        self.names.insert(at, heads);
    }

    /// What names this version, if that is known.
    pub(super) fn names(&self, at: &EventRef) -> Option<&Heads> {
        self.names.get(at)
    }

    /// What names the merge of these versions, if that is known.
    pub(super) fn union(&self, versions: &[EventRef]) -> Option<Heads> {
        let mut all = Vec::new();
        for at in versions {
            all.extend_from_slice(self.names.get(at)?.as_slice());
        }
        (!all.is_empty()).then(|| all.into_iter().collect())
    }

    /// Which event a change is.
    pub(super) fn event(&self, change: &ChangeHash) -> Option<EventRef> {
        self.events.get(change).copied()
    }

    /// What the file shows, as far as the document knows.
    pub(super) fn newest(&self) -> Result<Heads, TextError> {
        self.doc.heads()
    }

    /// The versions that somebody may have of whom nothing is known: what was shown since
    /// something came from elsewhere, and before that; none if nothing did.
    pub(super) fn lately(&self) -> Vec<Heads> {
        let first = self.recent.iter().position(|(own, _)| !own);
        let from = first.map_or(self.recent.len(), |first| first.saturating_sub(1));
        self.recent
            .iter()
            .skip(from)
            .map(|(_, heads)| heads.clone())
            .collect()
    }

    /// About how many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        (64 << 10) + 400 * self.names.len() + 40 * self.len
    }
}
