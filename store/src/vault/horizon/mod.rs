//! What chains say of chains, and what of the shared tree is settled by that ([`crate::horizon`] has the rules).
//!
//! It keeps what was said in rows, asks membership who may lapse whom, and says for this device what is to be said: that it
//! has what it heard, that a silent chain is silent, that a new one counts. Guarantees: what is said is durable
//! before anybody is told; a device that was not admitted itself says nothing of others. The clock of the machine
//! says when something is said, and decides nothing else.
//!
//! Parts, each importing only those above it: `rows`, `order` (what membership says), `due` (what is to be said), `tell`.

mod rows;

mod order;

mod due;

mod tell;

use std::collections::BTreeMap;

use super::{Problem, Vault};
use crate::core::StoreError;
use crate::event::{EventKind, EventRef, Walk};
use crate::horizon::{Gates, Said, View, lapsed, line};
use crate::ids::ChainId;
use crate::moves::Op;
use order::Known;
pub(in crate::vault) use order::WordOf;
use rows::Note;
pub(in crate::vault) use tell::{Heard, subject};

/// When things are said, in seconds and events. For tests, which do not wait.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two acknowledgements of what was heard.
    pub acknowledge: i64,
    /// So many events that were heard are acknowledged sooner.
    pub events: u64,
    /// After so long a junior is silent.
    pub silent: i64,
    /// The same of a chain that nobody will ever go on with.
    pub over: i64,
    /// By how much the clock is ahead.
    pub ahead: i64,
}

impl Default for Patience {
    fn default() -> Patience {
        const DAY: i64 = 86_400;
        Patience {
            acknowledge: DAY,
            events: 10_000,
            silent: 60 * DAY,
            over: DAY,
            ahead: 0,
        }
    }
}

/// What is in memory of all that was said.
#[derive(Default)]
pub(super) struct Horizon {
    said: BTreeMap<ChainId, Said>,
    gates: Gates,
    chains: Vec<ChainId>,
    /// With how many statements and chains the gates were found; none: they are to be found anew.
    found_with: Option<(usize, usize)>,
    /// Chains of which something counts at another time since somebody asked, and from which event on.
    moved: BTreeMap<ChainId, u64>,
    /// Up to this Lamport time everything is settled.
    line: u64,
    note: Note,
}

impl Vault {
    /// Calls `with` with what was said, as far as it is known by now. What is called with it must not call the vault.
    fn with_horizon<T>(&self, with: impl FnOnce(&mut Horizon) -> T) -> Result<T, StoreError> {
        let mut guard = self.horizon.lock();
        let horizon = match guard.as_mut() {
            Some(horizon) => horizon,
            None => guard.insert(self.load_horizon()?),
        };
        let clock = self.clock()?;
        self.with_members(|members| {
            let found_with = Some((members.len(), clock.len()));
            if horizon.found_with != found_with {
                let known = Known::of(members);
                let secrets = self.secrets();
                let own = secrets.chains.iter().map(|own| &own.id);
                horizon.chains = known.chains(clock.keys().chain(own));
                let gates = Gates::of(&horizon.said, &horizon.chains, &known);
                for (chain, from) in horizon.gates.differs(&gates) {
                    let moved = horizon.moved.entry(chain).or_insert(from);
                    *moved = (*moved).min(from);
                }
                (horizon.gates, horizon.found_with) = (gates, found_with);
            }
        });
        Ok(with(horizon))
    }

    /// Chains of which something counts at another time than when this was asked last, and from which event on.
    pub(super) fn take_moved(&self) -> Result<BTreeMap<ChainId, u64>, StoreError> {
        self.with_horizon(|horizon| std::mem::take(&mut horizon.moved))
    }

    /// Operations in the places that they have among all, which come with the times at which they were told. One that
    /// comes too late, which cannot be, has its place after all that is settled.
    pub(super) fn in_their_places(&self, mut ops: Vec<Op>) -> Result<Vec<Op>, StoreError> {
        let late = self.with_horizon(|horizon| {
            let mut late = false;
            for op in &mut ops {
                let at = op.stamp.at;
                let time = horizon.gates.counts(&at.chain, at.seq, op.stamp.lamport);
                late |= time <= horizon.line;
                op.stamp.lamport = time.max(horizon.line.saturating_add(1));
            }
            late
        })?;
        if late {
            let what = "another device said something of names that comes before what all had agreed on; it counts as if it had been said after that";
            self.note_problem(Problem::new(None, what));
        }
        Ok(ops)
    }

    /// Up to which Lamport time everything is settled here.
    pub(super) fn settled_up_to(&self) -> Result<u64, StoreError> {
        self.with_horizon(|horizon| horizon.line)
    }

    /// All is settled up to here, as its row says.
    pub(super) fn is_settled_up_to(&self, line: u64) {
        // What is not in memory is read from that row.
        if let Some(horizon) = self.horizon.lock().as_mut() {
            horizon.line = horizon.line.max(line);
        }
    }

    /// The Lamport time before which nothing comes any more; none while that cannot be said of any. The committer is held.
    pub(super) fn settled_before(&self, next: u64) -> Result<Option<u64>, StoreError> {
        let here = self.clock()?.into_iter();
        let here = here.map(|(chain, (last, _))| (chain, last)).collect();
        let own = self.secrets().chain();
        self.with_horizon(|horizon| {
            let view = View {
                own,
                chains: &horizon.chains,
                here: &here,
                next,
            };
            let after = |chain: &ChainId, seq: u64| self.lamport_after(chain, seq);
            line(&view, &horizon.said, &horizon.gates, &after)
        })?
    }

    /// Whether everybody who may still say something at his own time has acknowledged these events.
    pub(super) fn have_all(&self, events: &[EventRef]) -> Result<bool, StoreError> {
        let here = self.clock()?.into_iter();
        let here = here.map(|(chain, (last, _))| (chain, last)).collect();
        let own = self.secrets().chain();
        self.with_horizon(|horizon| {
            let view = View {
                own,
                chains: &horizon.chains,
                here: &here,
                next: 0,
            };
            let lapsed = lapsed(&view, &horizon.said, &horizon.gates);
            let has = |chain: &ChainId, at: &EventRef| {
                let said = || {
                    horizon
                        .said
                        .get(chain)
                        .is_some_and(|said| said.has(&at.chain) >= at.seq)
                };
                at.chain == *chain || said()
            };
            let mut open = horizon
                .chains
                .iter()
                .filter(|chain| **chain != own && !lapsed.contains(chain));
            open.all(|chain| events.iter().all(|at| has(chain, at)))
        })
    }

    /// The Lamport time of a chain's first event after this one that is no Acknowledge, if there is one.
    fn lamport_after(&self, chain: &ChainId, seq: u64) -> Result<Option<u64>, StoreError> {
        let what = "a batch of events";
        let mut next = seq.saturating_add(1);
        let at = |seq: u64| EventRef { chain: *chain, seq };
        while let Some(no) = self.core.batch_of(at(next))? {
            let (_, row, bytes) = self.core.stored_batch(no, at(next))?;
            let walk = Walk::new(&bytes).map_err(StoreError::malformed(what))?;
            for found in walk {
                let head = found.map_err(StoreError::malformed(what))?.event.head;
                if head.at.seq >= next && head.kind != EventKind::Acknowledge {
                    return Ok(Some(head.lamport));
                }
            }
            let last = row.last().map_err(StoreError::malformed(what))?;
            next = last.max(next).saturating_add(1);
        }
        Ok(None)
    }
}
