//! Who made a change, in the document's own terms: sixteen bytes that follow from the event
//! that carries the change.
//!
//! Guarantees: every device derives the same actor from the same event, so a change under
//! another actor is refused; no two changes that could be concurrent share one, nor do two that carry the same
//! version over and are not the same, as programs may make that split a text at other places. An actor says
//! nothing that the event does not say, and is random only where the event carries what was drawn.

use std::fmt;

use crate::ids::{ChainId, EventRef};
use crate::keys::labels;

/// Who made a change, as the event says that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// The event's chain.
    pub chain: ChainId,
    /// If the change is at older heads: a random number that the event carries. So a change can be
    /// made before its event has a number.
    pub serial: Option<u64>,
    /// It carries over, from a text that was begun anew, the version with this chain and number. Its actor follows from
    /// that and from the change itself: whoever makes the same change makes it by the same actor.
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
        derive(labels::TEXT_GENESIS, event.chain, &[&event.seq.to_le_bytes()])
    }

    /// The actor of the changes that a chain makes at everything it knows.
    pub fn of_chain(chain: ChainId) -> Actor {
        derive(labels::TEXT_CHAIN, chain, &[])
    }

    /// The actor of one change at older heads: such a change does not follow the chain's last one,
    /// and two changes of one actor must follow each other.
    pub fn of_edit(chain: ChainId, serial: u64) -> Actor {
        derive(labels::TEXT_EDIT, chain, &[&serial.to_le_bytes()])
    }

    /// The actor of this change, packed, that carries a version over into a text that was begun anew. What is
    /// packed holds no actor of its own, so this runs in no circle.
    pub fn of_carried(version: EventRef, packed: &[u8]) -> Actor {
        let change = *blake3::hash(packed).as_bytes();
        derive(
            labels::TEXT_CARRIED,
            version.chain,
            &[&version.seq.to_le_bytes(), &change],
        )
    }

    /// The actor of whoever made this change, packed.
    pub fn of(maker: Maker, packed: &[u8]) -> Actor {
        let chain = maker.chain;
        match maker.serial {
            None => Actor::of_chain(chain),
            Some(seq) if maker.carries => Actor::of_carried(EventRef { chain, seq }, packed),
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

/// The first 16 bytes of BLAKE3(label ‖ NUL ‖ chain ‖ rest).
fn derive(label: &str, chain: ChainId, rest: &[&[u8]]) -> Actor {
    let mut hasher = blake3::Hasher::new();
    hasher.update(label.as_bytes()).update(&[0]).update(&chain.0);
    for part in rest {
        hasher.update(part);
    }
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
