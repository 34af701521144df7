//! What this device has to say of chains, and when.

use std::collections::{BTreeMap, HashMap};

use super::order::Known;
use super::{Horizon, Patience};
use crate::horizon::{ACKS_MAX, Order, Right, Say};
use crate::ids::ChainId;
use crate::members::{DeviceId, Members, Standing};

/// Who says it, and what it has.
pub(super) struct Me<'a> {
    pub(super) chain: ChainId,
    pub(super) device: DeviceId,
    pub(super) here: &'a HashMap<ChainId, u64>,
    pub(super) now: i64,
}

impl Horizon {
    /// What is to be said now, in this order. Nothing by who was not admitted: nobody would count it.
    pub(super) fn due(&mut self, me: &Me<'_>, members: &Members, patience: &Patience) -> Vec<Say> {
        if self.chains.len() < 2 {
            return Vec::new();
        }
        if self.gates.closed(&me.chain).next().is_some() {
            return self.hello(me).into_iter().collect();
        }
        let mut says = self.admits(me);
        says.extend(self.acknowledges(me, patience));
        // Nobody heeds what a chain that was lapsed says of others' silence.
        if !self.gates.is_lapsed(&me.chain, u64::MAX) && self.is_remembered(me, members) {
            says.extend(self.lapses(me, members, patience));
        }
        says
    }

    /// Whether all members have heard of this chain, if its device has told on another one before: what it said there and has forgotten
    /// with an old state of its store, they have acknowledged.
    fn is_remembered(&self, me: &Me<'_>, members: &Members) -> bool {
        let known = Known::of(members);
        let is_former = |chain: &ChainId| *chain != me.chain && known.device(chain) == Some(me.device);
        if !self.chains.iter().any(is_former) {
            return true;
        }
        let has_heard = |chain: &ChainId| self.said.get(chain).is_some_and(|said| said.has(&me.chain) > 0);
        let mut others = members.state().members().filter(|device| device.id != me.device);
        others.all(|device| known.newest(&device.id).is_none_or(|chain| has_heard(&chain)))
    }

    /// Whoever has nothing to say is admitted by nobody: so something that binds to nothing is said.
    fn hello(&self, me: &Me<'_>) -> Option<Say> {
        let own = me.here.get(&me.chain).copied().unwrap_or(0);
        let first = self.gates.first().filter(|first| *first != me.chain)?;
        let is_silent = self.gates.closed(&me.chain).any(|last| own <= last);
        let is_there = me.here.get(&first).is_some_and(|here| *here > 0);
        (is_silent && is_there).then(|| Say::Acknowledge([(first, 1)].into()))
    }

    fn others<'a>(&'a self, me: &'a Me<'_>) -> impl Iterator<Item = (ChainId, u64)> + 'a {
        let others = self.chains.iter().filter(|chain| **chain != me.chain);
        others.map(|chain| (*chain, me.here.get(chain).copied().unwrap_or(0)))
    }

    /// What is here of chains beyond gates that nobody has admitted counts from now on.
    fn admits(&self, me: &Me<'_>) -> Vec<Say> {
        let mut says = Vec::new();
        for (chain, here) in self.others(me) {
            let closed = self.gates.closed(&chain).filter(|last| here > *last);
            says.extend(closed.map(|last| Say::Admit(chain, last)));
        }
        says
    }

    fn acknowledges(&mut self, me: &Me<'_>, patience: &Patience) -> Vec<Say> {
        let said = self.said.get(&me.chain);
        let has = |chain: &ChainId| said.map_or(0, |said| said.has(chain));
        let news: Vec<(ChainId, u64)> = self
            .others(me)
            .filter(|(chain, here)| has(chain) < *here)
            .collect();
        let heard: u64 = news.iter().map(|(chain, here)| here - has(chain)).sum();
        let note = &mut self.note;
        if note.acknowledged == 0 {
            // What was here before anything was heard, too.
            (note.acknowledged, note.owes) = (me.now, true);
        }
        // A clock that was ahead keeps nobody waiting.
        let waited = me.now.abs_diff(note.acknowledged);
        let is_time = waited >= patience.acknowledge.unsigned_abs() || heard >= patience.events;
        // Whoever is there, and has nothing to say, is not taken for silent.
        let is_alive = waited >= patience.silent.unsigned_abs() / 2;
        let is_due = note.at_once || (note.owes && is_time) || is_alive;
        if !is_due || news.is_empty() {
            return Vec::new();
        }
        (note.acknowledged, note.owes, note.at_once) = (me.now, false, false);
        let parts = news.chunks(ACKS_MAX);
        parts
            .map(|part| Say::Acknowledge(part.iter().copied().collect::<BTreeMap<_, _>>()))
            .collect()
    }

    /// Chains that are silent, and of which nobody has said so.
    fn lapses(&mut self, me: &Me<'_>, members: &Members, patience: &Patience) -> Vec<Say> {
        let known = Known::of(members);
        let state = members.state();
        let mut says = Vec::new();
        for (chain, here) in self.others(me).collect::<Vec<_>>() {
            let heard = *self.note.heard.entry(chain).or_insert(me.now);
            let silent = me.now.saturating_sub(heard);
            if silent < patience.over.min(patience.silent) && !is_removed_by(me, &known, state, &chain) {
                continue;
            }
            // Somebody has said so, or has more of it: what that is has to come here first.
            let is_said = self.gates.closed(&chain).any(|last| last == here)
                && self
                    .gates
                    .lapses()
                    .any(|(_, word)| (word.chain, word.last) == (chain, here));
            let has_more = self.said.values().any(|said| {
                let admits = said.admits.iter().filter(|word| word.chain == chain);
                said.has(&chain) > here || admits.into_iter().any(|word| word.last >= here)
            });
            if is_said || has_more || known.right(&me.chain, &chain) != Right::Has {
                continue;
            }
            let device = known.device(&chain);
            let is_over = device.is_none_or(|device| device == me.device || !state.is_member(&device));
            let is_due = is_removed_by(me, &known, state, &chain)
                || silent >= if is_over { patience.over } else { patience.silent };
            if is_due {
                says.push(Say::Lapse(chain, here));
            }
        }
        says
    }
}

/// Whether this device has removed the one whose chain this is.
fn is_removed_by(me: &Me<'_>, known: &Known<'_>, state: &crate::members::State, chain: &ChainId) -> bool {
    let device = known.device(chain).and_then(|device| state.device(&device));
    let standing = device.map(|device| device.standing);
    matches!(standing, Some(Standing::Removed(removal)) if removal.by == me.device)
}
