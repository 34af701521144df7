//! Where in their chains batches are missing: what a batch of which the beginning is damaged may have
//! been.
//!
//! A batch says once where its events stand, so that damage there would cost all of them. But where they
//! stand follows from the batches before: a chain has few ends and gaps, and the batch belongs into one of
//! those, if its events then come to the hash that its record has.
//!
//! Guarantees: what is found is a place under which every event of the batch hashes to what it was. It
//! guesses nothing.

use std::collections::HashSet;

use crate::event::{BatchHeader, Found, Walk};
use crate::ids::{ChainId, SpaceId};

type Hash = [u8; 32];

/// The ends of all batches that are whole.
pub(super) struct Gaps {
    /// How a batch would begin that goes on from one of them.
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
        };
        Gaps {
            next: chains.iter().map(begin).collect(),
            taken: HashSet::new(),
        }
    }

    /// Reads a batch whose last event has this hash, if all of it is whole.
    pub(super) fn read(&mut self, head: &Hash, bytes: &[u8]) -> Option<Vec<Found>> {
        self.events(Walk::new(bytes).ok()?, head)
    }

    /// The same, of a batch of which the beginning is damaged.
    pub(super) fn read_on(&mut self, head: &Hash, bytes: &[u8]) -> Option<Vec<Found>> {
        let is_free = |next: &&BatchHeader| !self.taken.contains(&(next.chain, next.prev));
        let free: Vec<BatchHeader> = self.next.iter().filter(is_free).copied().collect();
        let mut walks = free
            .into_iter()
            .filter_map(|next| Walk::beginning(next, bytes).ok());
        walks.find_map(|walk| self.events(walk, head))
    }

    fn events(&mut self, mut walk: Walk<'_>, head: &Hash) -> Option<Vec<Found>> {
        let found: Vec<Found> = walk.by_ref().collect::<Result<_, _>>().ok()?;
        let last = found.last().filter(|last| last.hash == *head)?;
        let header = *walk.header();
        self.taken.insert((header.chain, header.prev));
        self.next
            .extend(last.event.head.at.seq.checked_add(1).map(|first| BatchHeader {
                first,
                prev: *head,
                ..header
            }));
        Some(found)
    }
}
