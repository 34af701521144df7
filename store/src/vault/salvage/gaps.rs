//! Where in their chains batches are missing: what a batch of which the beginning is damaged may have
//! been.
//!
//! A batch says once where its events stand, so that damage there would cost all of them. But where they
//! stand follows from the batches before: a chain has few ends and gaps, and the batch belongs into one of
//! those, if its events then come to the hash that its record has.
//!
//! Guarantees: what is found is a place under which every event of the batch hashes to what it was. It
//! guesses nothing: what a damaged batch says of where it ends is only tried.

use std::collections::{BTreeSet, HashSet};

use crate::event::{BatchHeader, Found, Walk};
use crate::ids::{ChainId, SpaceId};

type Hash = [u8; 32];

/// The ends of all batches.
pub(super) struct Gaps {
    /// How a batch would begin that goes on from one of them, unless an event of another chain came between.
    next: Vec<BatchHeader>,
    /// What the batches that are there go on from.
    taken: HashSet<(ChainId, Hash)>,
}

impl Gaps {
    /// Before any batch of these chains.
    pub(super) fn new(space: SpaceId, chains: &[ChainId]) -> Gaps {
        let begin = |chain: &ChainId| BatchHeader {
            space,
            chain: *chain,
            first: 1,
            prev: [0; 32],
            ahead: 0,
        };
        Gaps {
            next: chains.iter().map(begin).collect(),
            taken: HashSet::new(),
        }
    }

    /// Reads a batch whose last event has this hash, if all of it is whole. If not, it still ends
    /// somewhere, where another may go on.
    pub(super) fn read(&mut self, head: &Hash, bytes: &[u8]) -> Option<Vec<Found>> {
        let found = self.events(Walk::new(bytes).ok()?, head);
        if found.is_none() {
            let mut walk = Walk::new(bytes).ok()?;
            let header = *walk.header();
            let count = walk.by_ref().count() as u64;
            self.ends(header, header.first.checked_add(count), head);
        }
        found
    }

    /// The same, of a batch of which the beginning is damaged.
    pub(super) fn read_on(&mut self, head: &Hash, bytes: &[u8]) -> Option<Vec<Found>> {
        let is_free = |next: &&BatchHeader| !self.taken.contains(&(next.chain, next.prev));
        let free: Vec<BatchHeader> = self.next.iter().filter(is_free).copied().collect();
        // Its Lamport time is the one that it says, or goes on from where a chain ends: a new one goes on from
        // the one before.
        let times: BTreeSet<u64> = free
            .iter()
            .map(|next| next.first.wrapping_add(next.ahead))
            .collect();
        // Where its place is one that is free, it is that: what is damaged is behind it, mostly.
        let said = Walk::new(bytes).ok().map(|walk| *walk.header());
        let is_said = |next: &&BatchHeader| {
            said.is_some_and(|said| {
                (said.chain, said.first, said.prev) == (next.chain, next.first, next.prev)
            })
        };
        let its = free.iter().find(is_said).copied();
        let free = its.map_or(free, |next| vec![next]);
        let headers = free.iter().flat_map(|next| {
            let is_first = next.first == 1;
            let going_on = times.iter().filter(move |_| is_first).map(|time| BatchHeader {
                ahead: time.wrapping_sub(next.first),
                ..*next
            });
            next.timed_by(bytes).into_iter().chain([*next]).chain(going_on)
        });
        let mut walks = headers.filter_map(|header| Walk::beginning(header, bytes).ok());
        walks.find_map(|walk| self.events(walk, head))
    }

    fn events(&mut self, mut walk: Walk<'_>, head: &Hash) -> Option<Vec<Found>> {
        let found: Vec<Found> = walk.by_ref().collect::<Result<_, _>>().ok()?;
        let last = found.last().filter(|last| last.hash == *head)?;
        let header = *walk.header();
        self.taken.insert((header.chain, header.prev));
        let ahead = last.event.head.ahead();
        self.ends(
            BatchHeader { ahead, ..header },
            last.event.head.at.seq.checked_add(1),
            head,
        );
        Some(found)
    }

    /// Notes where the batch that began so ends: before this number, with this hash.
    fn ends(&mut self, header: BatchHeader, next: Option<u64>, head: &Hash) {
        let next = next.map(|first| BatchHeader {
            first,
            prev: *head,
            ..header
        });
        self.next.extend(next);
    }
}
