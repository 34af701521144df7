//! Which chains are open, and up to where everything is settled.

use std::collections::{BTreeSet, HashMap};

use super::gates::{All, Gates};
use crate::ids::ChainId;

/// What a device looks at.
pub struct View<'a> {
    /// The chain on which it tells.
    pub own: ChainId,
    /// All chains that there are, by membership or because something of them is here.
    pub chains: &'a [ChainId],
    /// How far each is here.
    pub here: &'a HashMap<ChainId, u64>,
    /// The Lamport time that is told next at the earliest.
    pub next: u64,
}

/// Chains that nobody waits for: they were lapsed, all of them up to there is here, everybody who is open has
/// acknowledged that, and nobody has admitted what they say beyond.
pub fn lapsed(view: &View<'_>, said: &All, gates: &Gates) -> BTreeSet<ChainId> {
    let here = |chain: &ChainId| view.here.get(chain).copied().unwrap_or(0);
    let is_closed = |chain: &ChainId, last: u64| gates.closed(chain).any(|gate| gate == last);
    let candidates = gates.lapses.iter().filter(|(_, word)| {
        word.chain != view.own && here(&word.chain) == word.last && is_closed(&word.chain, word.last)
    });
    let candidates: Vec<_> = candidates.collect();
    let mut lapsed: BTreeSet<ChainId> = candidates.iter().map(|(_, word)| word.chain).collect();
    loop {
        let before = lapsed.len();
        let stays = |chain: &ChainId| {
            let mut of = candidates.iter().filter(|(_, word)| word.chain == *chain);
            of.any(|(by, word)| {
                let open = view.chains.iter().filter(|other| !lapsed.contains(other));
                open.clone()
                    .all(|other| has_heard(view, said, (by, word.seq), other))
            })
        };
        let still: BTreeSet<ChainId> = lapsed.iter().copied().filter(stays).collect();
        lapsed = still;
        if lapsed.len() == before {
            return lapsed;
        }
    }
}

/// Whether a chain's device is known to have an event.
fn has_heard(view: &View<'_>, said: &All, (by, seq): (&ChainId, u64), other: &ChainId) -> bool {
    other == by || *other == view.own || said.get(other).is_some_and(|said| said.has(by) >= seq)
}

/// See [`line`].
pub type FirstAfter<'a, E> = dyn Fn(&ChainId, u64) -> Result<Option<u64>, E> + 'a;

/// The Lamport time before which everything is settled: nothing comes any more that counts as said before it. None
/// while that cannot be said of any.
///
/// `first_after` says the Lamport time of a chain's first event after this one that is here and is no Acknowledge, if there is one.
///
/// # Errors
/// What `first_after` fails with.
pub fn line<E>(
    view: &View<'_>,
    said: &All,
    gates: &Gates,
    first_after: &FirstAfter<'_, E>,
) -> Result<Option<u64>, E> {
    let here = |chain: &ChainId| view.here.get(chain).copied().unwrap_or(0);
    let is_known: BTreeSet<&ChainId> = view.chains.iter().collect();
    let named = said.iter().flat_map(|(by, said)| {
        let words = said.admits.iter().chain(&said.lapses).map(|word| &word.chain);
        std::iter::once(by).chain(said.acks.keys()).chain(words)
    });
    let own_waits = gates.closed(&view.own).next().is_some();
    let waits = view
        .chains
        .iter()
        .any(|chain| gates.closed(chain).any(|last| here(chain) > last));
    if gates.is_unsure || own_waits || waits || named.into_iter().any(|chain| !is_known.contains(chain)) {
        return Ok(None);
    }
    let lapsed = lapsed(view, said, gates);
    let mut line = view.next;
    // Whether a Lapse counts may change as long as somebody who is open has not heard it: whatever it concerns has no certain time.
    for (by, word) in gates
        .heard
        .iter()
        .filter(|(_, word)| here(&word.chain) > word.last)
    {
        let mut open = view.chains.iter().filter(|other| !lapsed.contains(other));
        if !open.all(|other| has_heard(view, said, (by, word.seq), other)) {
            line = line.min(first_after(&word.chain, word.last)?.unwrap_or(line));
        }
    }
    for other in view.chains.iter().filter(|chain| **chain != view.own) {
        if lapsed.contains(other) {
            continue;
        }
        let Some(said) = said.get(other).filter(|said| said.acked_at.0 > 0) else {
            return Ok(None);
        };
        // What it says next comes after what it has acknowledged.
        line = line.min(said.acked_at.1);
        for (chain, last) in view.here.iter().filter(|(chain, _)| *chain != other) {
            let has = said.has(chain);
            if has < *last {
                line = line.min(first_after(chain, has)?.unwrap_or(line));
            }
        }
    }
    Ok(Some(line).filter(|line| *line > 0))
}
