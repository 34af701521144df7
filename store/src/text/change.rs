//! One edit of a text as it travels: the bytes of an Automerge change, and what was read in
//! them.
//!
//! Guarantees: a [`Change`] has been read by our own reader (`guard`), whoever made it, so
//! whatever takes one never meets bytes that were not checked. It never changes.

use std::fmt;

use super::actor::{Actor, Maker};
use super::guard::{self, Facts, Refused};
use crate::ids::EventRef;

/// Names a change: SHA-256 over its chunk, as Automerge's storage format defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangeHash(pub [u8; 32]);

impl ChangeHash {
    /// Of a change as an event of this maker carries it; none if it is in no form of one.
    pub fn of_packed(packed: &[u8], maker: Maker) -> Option<ChangeHash> {
        let bytes = guard::unpack(packed, Actor::of(maker, packed)).ok()?;
        Some(ChangeHash::of(&bytes))
    }

    /// Of a change's bytes, whether or not they are one.
    pub fn of(bytes: &[u8]) -> ChangeHash {
        let hashed = bytes.get(guard::HASHED..).unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, hashed);
        ChangeHash(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Debug for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeHash({self})")
    }
}

impl fmt::Display for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Names a version of a text: its newest changes, in ascending order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Heads(Vec<ChangeHash>);

impl Heads {
    /// The changes in their order.
    pub fn as_slice(&self) -> &[ChangeHash] {
        &self.0
    }
}

impl FromIterator<ChangeHash> for Heads {
    fn from_iter<I: IntoIterator<Item = ChangeHash>>(changes: I) -> Heads {
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_unstable();
        changes.dedup();
        Heads(changes)
    }
}

/// One edit: inserted characters and deleted ones, nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    bytes: Vec<u8>,
    maker: Maker,
    genesis: Actor,
    facts: Facts,
}

impl Change {
    /// Reads the change that an event of this maker carries, packed, of the text that began with the
    /// event `genesis`.
    ///
    /// # Errors
    /// As [`Change::check`].
    pub fn open(packed: &[u8], maker: Maker, genesis: EventRef) -> Result<Change, Refused> {
        if packed.len() > guard::CHANGE_MAX {
            return Err(Refused("it is longer than any edit of a text"));
        }
        Change::check(guard::unpack(packed, Actor::of(maker, packed))?, maker, genesis)
    }

    /// Reads the bytes of a change of this maker, of the text that began with the event `genesis`.
    ///
    /// # Errors
    /// [`Refused`] for anything but a change of such a text, in the form in which
    /// [`Document::edit`](super::Document::edit) makes it, by that maker's actor.
    pub fn check(bytes: Vec<u8>, maker: Maker, genesis: EventRef) -> Result<Change, Refused> {
        let genesis = Actor::of_genesis(genesis);
        let facts = guard::read(&bytes, maker, genesis)?;
        Ok(Change {
            bytes,
            maker,
            genesis,
            facts,
        })
    }

    /// As it is sealed into an event: without what that says itself.
    pub fn packed(&self) -> Vec<u8> {
        guard::pack(&self.bytes).expect("it was read: it is a plain change")
    }

    /// The bytes, as Automerge has them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Who made it, for the event.
    pub fn maker(&self) -> Maker {
        self.maker
    }

    /// Its name.
    pub fn hash(&self) -> ChangeHash {
        self.facts.hash
    }

    /// The changes that it builds on: they must be applied before it.
    pub fn deps(&self) -> &[ChangeHash] {
        &self.facts.deps
    }

    /// How many characters it inserts and deletes, together.
    pub fn ops(&self) -> u64 {
        self.facts.ops
    }

    /// The number of its last operation, counted along what it builds on.
    pub fn last_op(&self) -> u64 {
        self.facts.max_op()
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn genesis(&self) -> Actor {
        self.genesis
    }
}

impl fmt::Debug for Change {
    /// Its name and size: the bytes hold the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Change({}, {} bytes)", self.facts.hash, self.bytes.len())
    }
}
