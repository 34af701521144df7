//! Which batches of events count where a chain has two at one place: a commit that failed after
//! its events were in a pack, and the one that told anew, under the same numbers.
//!
//! Guarantees: of batches that follow the same event, the one that was written last counts, if
//! all of it is there or another goes on from it, as from none that failed; those before it do not, nor what goes
//! on from them. It trusts hashes alone, as the packs hold no signatures: whoever writes to them can make things be left out,
//! as by deleting them, and never make anything be believed.

use std::collections::{HashMap, HashSet};

use crate::event::Walk;
use crate::ids::ChainId;

type Hash = [u8; 32];

/// A batch's place in its chain: the chain and the event before it, and its own last event.
struct Link {
    after: (ChainId, Hash),
    head: Hash,
    whole: bool,
}

/// All batches, in the order in which they were written.
#[derive(Default)]
pub(super) struct Forks(Vec<Link>);

impl Forks {
    /// Notes a batch by its last event's hash and its bytes.
    pub(super) fn note(&mut self, head: Hash, bytes: &[u8]) {
        // One that does not say where it stands replaces nothing, and is replaced by nothing.
        let Ok(mut walk) = Walk::new(bytes) else { return };
        let after = (walk.header().chain, walk.header().prev);
        let mut count = 0;
        let is_form = walk.by_ref().inspect(|_| count += 1).all(|found| found.is_ok());
        if count > 0 {
            let whole = is_form && walk.head() == head;
            self.0.push(Link { after, head, whole });
        }
    }

    /// The last events of those that do not count.
    pub(super) fn given_up(&self) -> HashSet<Hash> {
        let mut last = HashMap::new();
        let goes_on: HashSet<_> = self.0.iter().map(|link| link.after).collect();
        // One that is damaged, and that nothing goes on from, may itself be what failed.
        let counts = |link: &Link| link.whole || goes_on.contains(&(link.after.0, link.head));
        for (i, link) in self.0.iter().enumerate().filter(|(_, link)| counts(link)) {
            last.insert(link.after, (i, link.head));
        }
        let replaced = |i: usize, link: &Link| {
            last.get(&link.after)
                .is_some_and(|(by, head)| *by > i && *head != link.head)
        };
        let links = || self.0.iter().enumerate();
        let mut given_up: HashSet<Hash> = links()
            .filter(|(i, link)| replaced(*i, link))
            .map(|(_, link)| link.head)
            .collect();
        loop {
            let goes_on = |link: &&Link| given_up.contains(&link.after.1) && !given_up.contains(&link.head);
            let more: Vec<Hash> = self.0.iter().filter(goes_on).map(|link| link.head).collect();
            if more.is_empty() {
                return given_up;
            }
            given_up.extend(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Forks;
    use crate::event::{BatchHeader, BatchWriter, Digest, Event, EventKind, EventRef, Head};
    use crate::ids::{ChainId, SpaceId};

    /// A batch of one event, about this, that follows another.
    fn batch(first: u64, prev: [u8; 32], subject: u8) -> ([u8; 32], Vec<u8>) {
        let (space, chain) = (SpaceId([1; 16]), ChainId([2; 16]));
        let mut batch = BatchWriter::new(BatchHeader {
            space,
            chain,
            first,
            prev,
            ahead: 0,
        });
        let sealed = vec![0; 40];
        let head = Head {
            kind: EventKind::Node,
            space,
            at: EventRef { chain, seq: first },
            lamport: first,
            prev,
            subject: [subject; 16],
            generation: 1,
            replaces: Vec::new(),
            sealed: Digest::of(&sealed),
            wrapped: None,
        };
        batch.push(&Event {
            head,
            wrapped: None,
            sealed: Some(sealed),
        });
        (batch.head(), batch.bytes().to_vec())
    }

    /// Guards what counts after a commit that failed: the one after it, if it is whole, or if it is damaged and
    /// another goes on from it. One that is damaged and the last may be of a second failure: then both are read.
    #[test]
    fn a_failed_commit_yields_to_the_one_after_it() {
        let given_up = |batches: &[&([u8; 32], Vec<u8>)]| {
            let mut forks = Forks::default();
            batches.iter().for_each(|(head, bytes)| forks.note(*head, bytes));
            forks.given_up()
        };
        let (failed, told) = (batch(1, [0; 32], 3), batch(1, [0; 32], 4));
        let next = batch(2, told.0, 5);
        let mut rotten = told.clone();
        *rotten.1.last_mut().unwrap() ^= 1;
        assert_eq!(given_up(&[&failed, &told]), [failed.0].into());
        assert_eq!(given_up(&[&failed, &rotten, &next]), [failed.0].into());
        assert_eq!(given_up(&[&failed, &rotten]), [].into());
    }
}
