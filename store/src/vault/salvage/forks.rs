//! Which batches of events count where a chain has two at one place: a commit that failed after
//! its events were in a pack, and the one that told anew, under the same numbers.
//!
//! Guarantees: of events that follow the same one, that counts which was written last, in a batch of which
//! all is there or from which another goes on, as from none that failed; those before it do not, nor what goes
//! on from them. Events lie in several batches where some were joined: an event counts wherever it lies. It trusts hashes
//! alone, as the packs hold no signatures: whoever writes to them can make things be left out,
//! as by deleting them, and never make anything be believed.

use std::collections::{HashMap, HashSet};

use crate::event::Walk;
use crate::ids::ChainId;

type Hash = [u8; 32];
/// A chain, and an event of it by its hash; zeros: its beginning.
type After = (ChainId, Hash);

/// That an event follows another; or that those of a batch do of which some are damaged.
struct Link {
    after: After,
    /// The event, or the last one of them.
    head: Hash,
    /// When it was written: which batch, counted.
    written: usize,
    /// The first event of a damaged batch, as it is by now.
    damaged: Option<Hash>,
}

/// All batches, in the order in which they were written.
#[derive(Default)]
pub(super) struct Forks {
    links: Vec<Link>,
    written: usize,
}

impl Forks {
    /// Notes a batch by its last event's hash and its bytes.
    pub(super) fn note(&mut self, head: Hash, bytes: &[u8]) {
        // One that does not say where it stands replaces nothing, and is replaced by nothing.
        let Ok(mut walk) = Walk::new(bytes) else { return };
        let (chain, prev) = (walk.header().chain, walk.header().prev);
        let found: Vec<Option<Hash>> = walk.by_ref().map(|found| Some(found.ok()?.hash)).collect();
        let Some(first) = found.first().copied() else {
            return;
        };
        self.written += 1;
        let whole: Option<Vec<Hash>> = found.into_iter().collect();
        let Some(hashes) = whole.filter(|hashes| hashes.last() == Some(&head)) else {
            self.links.push(Link {
                after: (chain, prev),
                head,
                written: self.written,
                damaged: Some(first.unwrap_or_default()),
            });
            return;
        };
        let mut after = (chain, prev);
        for head in hashes {
            self.links.push(Link {
                after,
                head,
                written: self.written,
                damaged: None,
            });
            after.1 = head;
        }
    }

    /// The events that do not count; of batches that are damaged, the last ones.
    pub(super) fn given_up(&self) -> HashSet<Hash> {
        let goes_on: HashSet<After> = self.links.iter().map(|link| link.after).collect();
        let whole = self.links.iter().filter(|link| link.damaged.is_none());
        let whole: HashSet<(ChainId, Hash)> = whole.map(|link| (link.after.0, link.head)).collect();
        let is_known = |link: &Link, hash: &Hash| whole.contains(&(link.after.0, *hash));
        // A damaged one has the same events as others that are whole, if it begins or ends as they do.
        let is_copy = |link: &Link| {
            let same = |first: &Hash| is_known(link, first) || is_known(link, &link.head);
            link.damaged.as_ref().is_some_and(same)
        };
        // One that is damaged, and that nothing goes on from, may itself be what failed.
        let counts = |link: &Link| link.damaged.is_none() || goes_on.contains(&(link.after.0, link.head));
        let links = || self.links.iter().filter(|link| !is_copy(link));
        let mut last: HashMap<After, (usize, Hash)> = HashMap::new();
        for link in links().filter(|link| counts(link)) {
            last.insert(link.after, (link.written, link.head));
        }
        let is_replaced = |link: &&Link| {
            last.get(&link.after)
                .is_some_and(|(by, head)| *by > link.written && *head != link.head)
        };
        let mut behind: HashMap<After, Vec<Hash>> = HashMap::new();
        for link in &self.links {
            behind.entry(link.after).or_default().push(link.head);
        }
        let replaced = links().filter(is_replaced);
        let mut going: Vec<After> = replaced.map(|link| (link.after.0, link.head)).collect();
        let mut given_up = HashSet::new();
        while let Some(at) = going.pop() {
            if given_up.insert(at.1) {
                let more = behind.get(&at).into_iter().flatten();
                going.extend(more.map(|head| (at.0, *head)));
            }
        }
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::Forks;
    use crate::event::{BatchHeader, BatchWriter, Digest, Event, EventKind, EventRef, Head, Walk};
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

    /// Batches that were joined are the same events, not others in their place; and what failed before them does not
    /// count, though the batch that it gave way to is gone.
    #[test]
    fn what_was_joined_is_no_fork() {
        let given_up = |batches: &[&([u8; 32], Vec<u8>)]| {
            let mut forks = Forks::default();
            batches.iter().for_each(|(head, bytes)| forks.note(*head, bytes));
            forks.given_up()
        };
        let one = batch(1, [0; 32], 3);
        let (failed, two) = (batch(2, one.0, 4), batch(2, one.0, 5));
        let three = batch(3, two.0, 6);
        let events = [&one, &two].map(|(_, bytes)| Walk::new(bytes).unwrap().next().unwrap().unwrap().event);
        let mut joined = BatchWriter::new(*Walk::new(&one.1).unwrap().header());
        for event in &events {
            joined.push(event);
        }
        let joined = (joined.head(), joined.bytes().to_vec());
        assert_eq!(joined.0, two.0);
        assert_eq!(
            given_up(&[&one, &failed, &two, &three, &joined]),
            [failed.0].into()
        );
        assert_eq!(given_up(&[&one, &failed, &three, &joined]), [failed.0].into());
        // Whole ones tell what it told.
        let mut rotten = joined.clone();
        let at = rotten.1.len() - 50;
        rotten.1[at] ^= 1;
        assert_eq!(given_up(&[&one, &two, &three, &rotten]), [].into());
        assert_eq!(given_up(&[&one, &three, &rotten]), [].into());
    }
}
