//! When an event counts as said: at its own time, or as of the time at which somebody admitted its chain.

use std::collections::{BTreeMap, HashMap};

use super::said::{Said, Word};
use crate::ids::ChainId;

/// Whether a chain may lapse another. The relation runs one way: no two chains may lapse each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// It is the newer chain of the same device, or its device is senior, or the other's is removed.
    Has,
    /// It has none by what is known here; another device may know more.
    Unknown,
    /// It has none.
    No,
}

/// What membership says of chains.
pub trait Order {
    /// Whether a chain counts without having been admitted: the founder's first one.
    fn is_first(&self, chain: &ChainId) -> bool;
    /// Orders chains by how senior their devices are, the most senior first, and those of one device the newest first.
    fn rank(&self, chain: &ChainId) -> (u64, u64);
    /// By what right `by` lapses `of`.
    fn right(&self, by: &ChainId, of: &ChainId) -> Right;
}

/// What was said, by chain.
pub(super) type All = BTreeMap<ChainId, Said>;

/// Not admitted.
pub(super) const NEVER: u64 = u64::MAX;
/// Later than whatever counts.
const UNADMITTED: u64 = 1 << 62;

/// Behind which events of which chains nothing counts unless it was admitted, and when it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// Of each chain, by event.
    times: HashMap<ChainId, BTreeMap<u64, u64>>,
    /// Lapses that count, with who said each.
    pub(super) lapses: Vec<(ChainId, Word)>,
    /// Those that do, and those that do not because they were said too late.
    pub(super) heard: Vec<(ChainId, Word)>,
    /// The chain that has no gate at its beginning.
    first: Option<ChainId>,
    /// A Lapse may count by what is not known here.
    pub(super) is_unsure: bool,
}

impl Gates {
    /// Of all that was said; `chains` are those that there are.
    pub fn of(said: &All, chains: &[ChainId], order: &dyn Order) -> Gates {
        let mut gates = Gates {
            first: chains.iter().copied().find(|chain| order.is_first(chain)),
            ..Gates::default()
        };
        for chain in chains.iter().filter(|chain| Some(**chain) != gates.first) {
            gates.times.entry(*chain).or_default().insert(0, NEVER);
        }
        let mut all = Vec::new();
        for (by, said) in said {
            for word in &said.lapses {
                match order.right(by, &word.chain) {
                    Right::Has => all.push((*by, *word)),
                    Right::Unknown => gates.is_unsure = true,
                    Right::No => {}
                }
            }
        }
        gates.admit(said);
        // Only who counts at that time may say so; where one would undo the other, the senior's counts.
        all.sort_by_cached_key(|(by, word)| (order.rank(by), *word));
        for same in all.chunk_by(|a, b| a.0 == b.0) {
            let in_time = |(by, word): &&(ChainId, Word)| {
                let is_admitted = gates
                    .time(by, word.seq, 0)
                    .is_some_and(|admitted| admitted < word.lamport);
                is_admitted && !gates.is_lapsed(by, word.seq)
            };
            let in_time: Vec<_> = same.iter().filter(in_time).copied().collect();
            if !in_time.is_empty() {
                in_time.into_iter().for_each(|(by, word)| gates.lapse(by, word));
                gates.admit(said);
            }
        }
        gates.lapses.sort_unstable();
        gates.heard = all;
        gates
    }

    /// Whether an event is beyond a Lapse of its chain, admitted or not: who has been lapsed may not have known it.
    pub fn is_lapsed(&self, chain: &ChainId, seq: u64) -> bool {
        let mut lapses = self.lapses.iter();
        lapses.any(|(_, word)| word.chain == *chain && word.last < seq)
    }

    fn lapse(&mut self, by: ChainId, word: Word) {
        self.times.entry(word.chain).or_default().insert(word.last, NEVER);
        self.lapses.push((by, word));
    }

    /// The least times that follow, from never on: chains that admit only each other stay closed.
    fn admit(&mut self, said: &All) {
        for times in self.times.values_mut() {
            times.values_mut().for_each(|time| *time = NEVER);
        }
        loop {
            let mut changed = false;
            for (by, said) in said {
                for word in &said.admits {
                    let Some(time) = self.time(by, word.seq, word.lamport) else {
                        continue;
                    };
                    let gate = self
                        .times
                        .get_mut(&word.chain)
                        .and_then(|of| of.get_mut(&word.last));
                    if let Some(known) = gate.filter(|known| time < **known) {
                        (*known, changed) = (time, true);
                    }
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// When an event counts as said; none if it is behind a gate that nobody who counts has admitted.
    pub fn time(&self, chain: &ChainId, seq: u64, lamport: u64) -> Option<u64> {
        let Some(of) = self.times.get(chain) else {
            // A chain that nobody has told of is behind its beginning.
            return (self.first == Some(*chain)).then_some(lamport);
        };
        let time = of.range(..seq).map(|(_, time)| *time).fold(lamport, u64::max);
        (time != NEVER).then_some(time)
    }

    /// The same; after all that counts, in the order in which it was said, until it is admitted.
    pub fn counts(&self, chain: &ChainId, seq: u64, lamport: u64) -> u64 {
        let time = self.time(chain, seq, lamport);
        time.unwrap_or_else(|| lamport.saturating_add(UNADMITTED).min(NEVER - 1))
    }

    /// The chain that counts without having been admitted.
    pub fn first(&self) -> Option<ChainId> {
        self.first
    }

    /// Lapses that count, with who said each.
    pub fn lapses(&self) -> impl Iterator<Item = &(ChainId, Word)> {
        self.lapses.iter()
    }

    /// The gates of a chain that are not admitted, by the event that each is behind.
    pub fn closed(&self, chain: &ChainId) -> impl Iterator<Item = u64> {
        let of = self.times.get(chain).into_iter().flatten();
        of.filter(|(_, time)| **time == NEVER).map(|(last, _)| *last)
    }

    /// Chains of which something counts at another time than by other gates: from the first event on that does.
    pub fn differs(&self, other: &Gates) -> BTreeMap<ChainId, u64> {
        let finite = |gates: &Gates, chain: &ChainId| -> Vec<(u64, u64)> {
            let of = gates.times.get(chain).into_iter().flatten();
            of.map(|(last, time)| (*last, *time))
                .filter(|(_, time)| *time != NEVER)
                .collect()
        };
        let mut differs = BTreeMap::new();
        for chain in self.times.keys().chain(other.times.keys()) {
            let (a, b) = (finite(self, chain), finite(other, chain));
            let only = a.iter().filter(|gate| !b.contains(gate));
            let only = only.chain(b.iter().filter(|gate| !a.contains(gate)));
            if let Some(from) = only.map(|(last, _)| *last).min() {
                differs.insert(*chain, from);
            }
        }
        differs
    }
}
