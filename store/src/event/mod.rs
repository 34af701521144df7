//! Events: one signed, sealed, immutable statement each, about one entity or one node.
//!
//! Events of a chain carry sequence numbers 1, 2, 3 … and the hash of the one before;
//! one signature over the head covers a batch and all before it. Payloads are sealed
//! under the entity's key, or (for the tree) under a key of the space's epoch, so that
//! events travel byte for byte. What a peer sends is [`Unverified`] until its chain and
//! signature have been checked. The byte tables stand in `docs/format.md`.
//!
//! It encodes, decodes and verifies; it never stores.

mod batch;
mod payload;
mod place;

pub use batch::{BatchRow, Unverified, Verified, VerifyError};
pub use payload::{Body, Form, NodeState, Version};
pub(crate) use place::{content_aad, gone_aad, key_aad, node_aad};

use crate::codec::{Malformed, Reader, Writer};
pub use crate::ids::EventRef;
use crate::ids::{ChainId, SpaceId};
use crate::keys::WRAPPED;

const VERSION: u8 = 0;
/// The longest event, in bytes: a body of 32 KiB and a megabyte of xattrs fit.
pub const EVENT_MAX: usize = 2 << 20;

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// An entity is there, with its key and its first version.
    Create = 1,
    /// An entity has a new version.
    Version = 2,
    /// A node is there, or has moved.
    Node = 3,
    /// A node is gone.
    NodeGone = 4,
}

impl EventKind {
    fn from_byte(byte: u8) -> Result<EventKind, Malformed> {
        Ok(match byte {
            1 => EventKind::Create,
            2 => EventKind::Version,
            3 => EventKind::Node,
            4 => EventKind::NodeGone,
            _ => return Err(Malformed("an event of an unknown kind")),
        })
    }
}

/// An event's fields. `sealed` is opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it says.
    pub kind: EventKind,
    /// Where it belongs.
    pub space: SpaceId,
    /// Its chain and number.
    pub at: EventRef,
    /// Lamport time.
    pub lamport: u64,
    /// Hash of the chain's event before; zeros for the first.
    pub prev: [u8; 32],
    /// The entity or node.
    pub subject: [u8; 16],
    /// Key generation (epoch).
    pub generation: u32,
    /// The versions that it replaces.
    pub replaces: Vec<EventRef>,
    /// The entity's key, wrapped under the epoch's; for [`EventKind::Create`] only.
    pub wrapped: Option<[u8; WRAPPED]>,
    /// The sealed payload.
    pub sealed: Vec<u8>,
}

/// Most versions that one event can replace.
const REPLACES_MAX: u16 = 1024;

impl Event {
    /// The event's bytes: the sealed payload is their end.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION)
            .u8(self.kind as u8)
            .raw(&self.space.0)
            .raw(&self.at.chain.0)
            .u64(self.at.seq);
        w.u64(self.lamport)
            .raw(&self.prev)
            .raw(&self.subject)
            .u32(self.generation);
        w.u16(self.replaces.len() as u16);
        for r in &self.replaces {
            w.raw(&r.chain.0).u64(r.seq);
        }
        match &self.wrapped {
            Some(wrapped) => w.u8(1).raw(wrapped),
            None => w.u8(0),
        };
        w.raw(&self.sealed);
        w.0
    }

    /// The inverse; says nothing about truth.
    ///
    /// # Errors
    /// [`Malformed`] for anything but an event of this version.
    pub fn decode(bytes: &[u8]) -> Result<Event, Malformed> {
        if bytes.len() > EVENT_MAX {
            return Err(Malformed("an event that is too long"));
        }
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("an event of an unknown version"));
        }
        let kind = EventKind::from_byte(r.u8()?)?;
        let (space, chain, seq) = (SpaceId(r.array()?), ChainId(r.array()?), r.u64()?);
        let (lamport, prev, subject, generation) = (r.u64()?, r.array()?, r.array()?, r.u32()?);
        let count = r.u16()?;
        if count > REPLACES_MAX || seq == 0 {
            return Err(Malformed("an event contradicts itself"));
        }
        let replaces = (0..count)
            .map(|_| {
                Ok(EventRef {
                    chain: ChainId(r.array()?),
                    seq: r.u64()?,
                })
            })
            .collect::<Result<_, Malformed>>()?;
        let wrapped = match r.u8()? {
            0 => None,
            1 => Some(r.array()?),
            _ => return Err(Malformed("an event contradicts itself")),
        };
        if wrapped.is_some() != (kind == EventKind::Create) {
            return Err(Malformed("an event contradicts itself"));
        }
        let sealed = r.rest().to_vec();
        let at = EventRef { chain, seq };
        Ok(Event {
            kind,
            space,
            at,
            lamport,
            prev,
            subject,
            generation,
            replaces,
            wrapped,
            sealed,
        })
    }
}

/// An event's hash: BLAKE3 of its bytes.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}
