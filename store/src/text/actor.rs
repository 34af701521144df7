//! Who made a change, in the document's own terms: sixteen bytes that follow from the event
//! that carries the change.
//!
//! Guarantees: every device derives the same actor from the same event, so a change under
//! another actor is refused; no two changes that could be concurrent share one. An actor says
//! nothing that the event does not say, and is random only where the event carries what was drawn.

use std::fmt;

use crate::ids::{ChainId, EventRef};

/// What stands before the hashed bytes, one for each use. Not keys: nothing here is secret.
const GENESIS: &[u8] = b"coffer v0 text genesis\0";
const CHAIN: &[u8] = b"coffer v0 text chain\0";
const EDIT: &[u8] = b"coffer v0 text edit\0";
const CARRIED: &[u8] = b"coffer v0 text carried\0";

/// Who made a change, as the event says that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// The event's chain.
    pub chain: ChainId,
    /// If the change is at older heads: a random number that the event carries. So a change can be
    /// made before its event has a number.
    pub serial: Option<u64>,
    /// It carries over, from a text that was begun anew, the version with this chain and number: whoever
    /// does that makes the same change.
    pub carries: bool,
}

impl Maker {
    /// Who makes the change that carries this version over.
    pub fn carried(of: EventRef) -> Maker {
        Maker {
            chain: of.chain,
            serial: Some(of.seq),
            carries: true,
        }
    }
}

/// An Automerge actor: the first 16 bytes of a BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor([u8; 16]);

impl Actor {
    /// The actor of a text's first change, which is derived and never sent: of the event that
    /// holds the first version's plain bytes.
    pub fn of_genesis(event: EventRef) -> Actor {
        derive(GENESIS, event.chain, &event.seq.to_le_bytes())
    }

    /// The actor of the changes that a chain makes at everything it knows.
    pub fn of_chain(chain: ChainId) -> Actor {
        derive(CHAIN, chain, &[])
    }

    /// The actor of one change at older heads: such a change does not follow the chain's last one,
    /// and two changes of one actor must follow each other.
    pub fn of_edit(chain: ChainId, serial: u64) -> Actor {
        derive(EDIT, chain, &serial.to_le_bytes())
    }

    /// The actor of the change that carries a version over into a text that was begun anew.
    pub fn of_carried(version: EventRef) -> Actor {
        derive(CARRIED, version.chain, &version.seq.to_le_bytes())
    }

    /// The actor of whoever made a change.
    pub fn of(maker: Maker) -> Actor {
        let chain = maker.chain;
        match maker.serial {
            None => Actor::of_chain(chain),
            Some(seq) if maker.carries => Actor::of_carried(EventRef { chain, seq }),
            Some(serial) => Actor::of_edit(chain, serial),
        }
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Actor {
        Actor(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The first 16 bytes of BLAKE3(use ‖ chain ‖ rest).
fn derive(purpose: &[u8], chain: ChainId, rest: &[u8]) -> Actor {
    let mut hasher = blake3::Hasher::new();
    hasher.update(purpose).update(&chain.0).update(rest);
    let mut actor = [0; 16];
    actor.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Actor(actor)
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({self})")
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
