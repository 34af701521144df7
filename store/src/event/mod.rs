//! Events: one signed, sealed, immutable statement each, about one entity or one node.
//!
//! Events of a chain carry sequence numbers 1, 2, 3 … and the hash of the one before;
//! one signature over the last one's hash covers a batch and all before it. Payloads are sealed
//! under the entity's key, or (for the tree and settings) under a key of the space's epoch, so
//! that events travel byte for byte. An event's hash is over its head alone, which names its
//! payload by hash: so a payload can be let go of, and the event still has its place in the
//! chain. What a peer sends is [`Unverified`] until its chain and
//! signature have been checked. The byte tables stand in `docs/format.md`.
//!
//! It encodes, decodes and verifies; it never stores.

mod batch;
mod payload;
mod place;
mod walk;

pub use batch::{BatchRow, Unverified, Verified, VerifyError};
pub use payload::{Body, Form, NodeState, Version};
pub(crate) use place::{content_aad, gone_aad, key_aad, node_aad, setting_aad};
pub use walk::Hole;
pub(crate) use walk::{Found, Let, Walk, let_go};

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
    /// A setting of the vault has a new value.
    Setting = 5,
}

impl EventKind {
    fn from_byte(byte: u8) -> Result<EventKind, Malformed> {
        Ok(match byte {
            1 => EventKind::Create,
            2 => EventKind::Version,
            3 => EventKind::Node,
            4 => EventKind::NodeGone,
            5 => EventKind::Setting,
            _ => return Err(Malformed("an event of an unknown kind")),
        })
    }
}

/// What an event's sealed payload was when it was made, whether it is still there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Its length in bytes.
    pub len: u32,
    /// Its BLAKE3.
    pub hash: [u8; 32],
}

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest {
            len: u32::try_from(bytes.len()).expect("a payload is bounded by EVENT_MAX"),
            hash: hash(bytes),
        }
    }
}

/// An event without what can be let go of: its place in its chain, and what it is about. The
/// chain's hashes, and with them the signature, are over this alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
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
    /// The entity, node or setting.
    pub subject: [u8; 16],
    /// Key generation (epoch).
    pub generation: u32,
    /// The versions that it replaces.
    pub replaces: Vec<EventRef>,
    /// The sealed payload.
    pub sealed: Digest,
    /// BLAKE3 of the entity's wrapped key; for [`EventKind::Create`] only.
    pub wrapped: Option<[u8; 32]>,
}

/// An event: its head, and its payload as far as it is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What chains, and what is signed.
    pub head: Head,
    /// The entity's key, wrapped under the epoch's.
    pub wrapped: Option<[u8; WRAPPED]>,
    /// The sealed payload; opaque here.
    pub sealed: Option<Vec<u8>>,
}

/// Most versions that one event can replace.
const REPLACES_MAX: u16 = 1024;
/// What of an event is there.
const SEALED: u8 = 1;
const WRAPPED_KEY: u8 = 2;
const CONTRADICTS: Malformed = Malformed("an event contradicts itself");

impl Head {
    /// The head's bytes.
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
        w.u32(self.sealed.len).raw(&self.sealed.hash);
        if let Some(wrapped) = &self.wrapped {
            w.raw(wrapped);
        }
        w.0
    }

    fn read(r: &mut Reader<'_>) -> Result<Head, Malformed> {
        if r.u8()? != VERSION {
            return Err(Malformed("an event of an unknown version"));
        }
        let kind = EventKind::from_byte(r.u8()?)?;
        let (space, chain, seq) = (SpaceId(r.array()?), ChainId(r.array()?), r.u64()?);
        let (lamport, prev, subject, generation) = (r.u64()?, r.array()?, r.array()?, r.u32()?);
        let count = r.u16()?;
        // Only what creates an entity replaces nothing of it.
        let lacks = kind == EventKind::Version && count == 0;
        if count > REPLACES_MAX || seq == 0 || lacks {
            return Err(CONTRADICTS);
        }
        let replaces = (0..count)
            .map(|_| {
                Ok(EventRef {
                    chain: ChainId(r.array()?),
                    seq: r.u64()?,
                })
            })
            .collect::<Result<_, Malformed>>()?;
        let sealed = Digest {
            len: r.u32()?,
            hash: r.array()?,
        };
        if sealed.len == 0 || sealed.len as usize > EVENT_MAX {
            return Err(CONTRADICTS);
        }
        let wrapped = match kind {
            EventKind::Create => Some(r.array()?),
            _ => None,
        };
        let at = EventRef { chain, seq };
        Ok(Head {
            kind,
            space,
            at,
            lamport,
            prev,
            subject,
            generation,
            replaces,
            sealed,
            wrapped,
        })
    }
}

impl Event {
    /// The event's bytes: the sealed payload is their end.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_after(self.head.encode())
    }

    /// The same, of a head that was encoded before.
    pub(crate) fn encode_after(&self, head: Vec<u8>) -> Vec<u8> {
        let mut w = Writer(head);
        w.0.reserve(1 + WRAPPED + self.sealed.as_ref().map_or(0, Vec::len));
        let there = |yes: bool, bit: u8| if yes { bit } else { 0 };
        w.u8(there(self.sealed.is_some(), SEALED) | there(self.wrapped.is_some(), WRAPPED_KEY));
        if let Some(wrapped) = &self.wrapped {
            w.raw(wrapped);
        }
        if let Some(sealed) = &self.sealed {
            w.raw(sealed);
        }
        w.0
    }

    /// The inverse; says nothing about truth, but what is there of the payload is what the head
    /// says it was.
    ///
    /// # Errors
    /// [`Malformed`] for anything but an event of this version.
    pub fn decode(bytes: &[u8]) -> Result<Event, Malformed> {
        let (event, _) = Event::parse(bytes)?;
        match event.is_sound() {
            true => Ok(event),
            false => Err(Malformed("an event's payload is not the one that its head names")),
        }
    }

    /// Takes an event apart, whether or not its payload is the one that its head names; with the
    /// head's hash.
    ///
    /// # Errors
    /// [`Malformed`] for anything but the form of an event of this version.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Event, [u8; 32]), Malformed> {
        if bytes.len() > EVENT_MAX {
            return Err(Malformed("an event that is too long"));
        }
        let mut r = Reader::new(bytes);
        let head = Head::read(&mut r)?;
        let hash = hash(&bytes[..bytes.len() - r.remaining()]);
        let there = r.u8()?;
        if there > SEALED | WRAPPED_KEY {
            return Err(CONTRADICTS);
        }
        let wrapped = match there & WRAPPED_KEY {
            0 => None,
            _ if head.wrapped.is_none() => return Err(CONTRADICTS),
            _ => Some(r.array()?),
        };
        let sealed = match there & SEALED {
            0 => None,
            _ => Some(r.raw(head.sealed.len as usize)?.to_vec()),
        };
        r.end()?;
        let event = Event {
            head,
            wrapped,
            sealed,
        };
        Ok((event, hash))
    }

    /// Whether what is there of the payload is what the head says it was.
    pub fn is_sound(&self) -> bool {
        let key = |wrapped: &[u8; WRAPPED]| self.head.wrapped == Some(hash(wrapped));
        let sealed = |sealed: &Vec<u8>| self.head.sealed == Digest::of(sealed);
        self.wrapped.as_ref().is_none_or(key) && self.sealed.as_ref().is_none_or(sealed)
    }

    /// The hash by which the next event of its chain, or the signature, names it.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.head.encode())
    }
}

/// BLAKE3 of bytes.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}
