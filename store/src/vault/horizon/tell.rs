//! Saying what is to be said of chains, and noting what was heard.

use super::due::Me;
use super::rows::Note;
use super::{Patience, WordOf};
use crate::core::StoreError;
use crate::db::Batch;
use crate::event::EventKind;
use crate::horizon::Say;
use crate::ids::{ChainId, EventRef};
use crate::record::Time;
use crate::vault::Vault;
use crate::vault::publish::Publishing;

/// What came with a batch of another chain.
#[derive(Clone, Copy, Default)]
pub(in crate::vault) struct Heard {
    /// Something that calls for being acknowledged.
    pub(in crate::vault) news: bool,
    /// That somebody is lapsed.
    pub(in crate::vault) lapse: bool,
}

impl Heard {
    /// An event of this kind was heard.
    pub(in crate::vault) fn hears(&mut self, kind: EventKind) {
        // Or two would acknowledge each other's acknowledgements for ever.
        self.news |= kind != EventKind::Acknowledge;
        self.lapse |= kind == EventKind::Lapse;
    }
}

impl Vault {
    /// The time, in seconds since 1970.
    fn now(&self) -> i64 {
        Time::now().sec.saturating_add(self.patience.lock().ahead)
    }

    /// Says of chains what is due. Whether anything was.
    ///
    /// # Errors
    /// As [`StoreError`] says; then nothing was said.
    pub fn tend_horizon(&self) -> Result<bool, StoreError> {
        if !self.is_shared() || self.read_only.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(false);
        }
        let told = {
            let mut committer = self.committer.lock();
            let here = self.clock()?.into_iter();
            let here = here.map(|(chain, (last, _))| (chain, last)).collect();
            let (chain, device) = (self.own_chain(), self.device_id());
            let now = self.now();
            let patience = *self.patience.lock();
            let me = Me {
                chain,
                device,
                here: &here,
                now,
            };
            let (says, before, note) = self.with_horizon(|horizon| {
                let before = horizon.note.clone();
                let says = self.with_members(|members| horizon.due(&me, members, &patience));
                (says, before, horizon.note.clone())
            })?;
            let give_up = |e: StoreError| {
                // As if it had never been looked at.
                let _ = self.with_horizon(|horizon| horizon.note = before.clone());
                e
            };
            let mut batch = Batch::new();
            if note != before {
                self.put_note(&mut batch, &note);
            }
            if says.is_empty() {
                if note != before {
                    self.core.db.apply(&batch).map_err(|e| give_up(e.into()))?;
                }
                return Ok(false);
            }
            let mut counters = committer.counters;
            let (seq, lamport) = (counters.seq, counters.lamport);
            let mut publishing = Publishing::new(self, &counters);
            says.iter().for_each(|say| publishing.chain(say));
            let words = says.into_iter().zip(1..).map(|(say, n)| WordOf {
                at: EventRef { chain, seq: seq + n },
                lamport: lamport + n,
                say,
            });
            let words: Vec<WordOf> = words.collect();
            let store = || {
                let said = self.put_words(&mut batch, &words)?;
                let told = publishing.finish(&mut counters, &mut batch)?;
                self.apply_taken((&mut committer, counters), 0, batch, &[])?;
                self.words_are_stored(said)?;
                Ok(told)
            };
            store().map_err(give_up)?
        };
        self.feed.told(&told);
        Ok(true)
    }

    /// A batch of this chain was heard: its note goes with the batch, and is to be in memory once that is stored.
    pub(in crate::vault) fn put_heard(
        &self,
        batch: &mut Batch,
        chain: ChainId,
        heard: Heard,
    ) -> Result<HeardNote, StoreError> {
        let now = self.now();
        let note = self.with_horizon(|horizon| {
            let mut note = horizon.note.clone();
            let is_news = note.hear(chain, now);
            note.owes |= heard.news;
            note.at_once |= heard.lapse;
            (is_news || note != horizon.note).then_some(note)
        })?;
        if let Some(note) = &note {
            self.put_note(batch, note);
        }
        Ok(HeardNote(note))
    }

    /// It is stored.
    pub(in crate::vault) fn heard_is_stored(&self, heard: HeardNote) -> Result<(), StoreError> {
        match heard.0 {
            Some(note) => self.with_horizon(|horizon| horizon.note = note),
            None => Ok(()),
        }
    }

    /// When things are said. For tests.
    #[doc(hidden)]
    pub fn patience(&self) -> Patience {
        *self.patience.lock()
    }

    /// When things are said. For tests, which do not wait.
    #[doc(hidden)]
    pub fn set_patience(&self, patience: Patience) {
        *self.patience.lock() = patience;
    }

    /// Whether a chain counts: it began the space, or somebody who counts has admitted it. For tests.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    #[doc(hidden)]
    pub fn is_admitted(&self, chain: &ChainId) -> Result<bool, StoreError> {
        self.with_horizon(|horizon| horizon.gates.closed(chain).next().is_none())
    }
}

/// What is to be in memory once it is stored.
pub(in crate::vault) struct HeardNote(Option<Note>);

/// What an event says of a chain.
pub(in crate::vault) fn subject(say: &Say) -> [u8; 16] {
    match say {
        Say::Acknowledge(_) => [0; 16],
        Say::Lapse(chain, _) | Say::Admit(chain, _) => chain.0,
    }
}
