//! Events: one signed, sealed, immutable statement each, about one entity or one node.
//!
//! Events of a chain carry sequence numbers 1, 2, 3 … and the hash of the one before;
//! one signature over the last one's hash covers a batch and all before it. Payloads are sealed
//! under the entity's key, or (for the tree and settings) under a key of the space's epoch, so
//! that events travel byte for byte. An event's hash is over its head alone, which names its
//! payload by hash: so a payload can be let go of, and the event still has its place in the
//! chain. Events are stored and travel in batches alone, which say once what all of theirs have in
//! common, and nothing that follows from their place. What a peer sends is [`Unverified`] until its chain and
//! signature have been checked. The byte tables stand in `docs/format.md`.
//!
//! It encodes, decodes and verifies; it never stores.
//!
//! Parts: `payload` and `place` (what is sealed, and where it stands), `frame` (one event in a batch),
//! `writer` and `walk` (a batch made, and taken apart), `batch` (its row, and believing it), `join` (batches as one, and
//! the end of one).

mod batch;
mod frame;
mod join;
mod payload;
mod place;
mod walk;
mod writer;

pub use batch::{BatchRow, Unverified, Verified, VerifyError};
pub(crate) use join::{Batched, after, join};
pub use payload::{Body, Form, NodeGone, NodeState, Version};
pub(crate) use place::{chain_aad, content_aad, gone_aad, key_aad, node_aad, setting_aad};
pub use walk::Hole;
pub(crate) use walk::{Found, Left, Let, Walk, let_go};
pub use writer::{BatchHeader, BatchWriter};

use crate::codec::{Malformed, Writer};
pub use crate::ids::EventRef;
use crate::ids::SpaceId;
use crate::keys::WRAPPED;

const VERSION: u8 = 0;
/// The longest event in a batch, in bytes: a body of 32 KiB and a megabyte of xattrs fit.
pub const EVENT_MAX: usize = 2 << 20;

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An entity is there, with its key and its first version.
    Create,
    /// An entity has a new version.
    Version,
    /// A node is there, or has moved.
    Node,
    /// A node is gone.
    NodeGone,
    /// A setting of the vault has a new value.
    Setting,
    /// How far its device durably has other chains.
    Acknowledge,
    /// A chain is silent.
    Lapse,
    /// A chain that was silent, or is new, counts.
    Admit,
    /// What only a newer program can read: a kind from 9 to 15, or one of the others in a later form. Its
    /// byte in the head; never one of the bytes of the kinds above.
    Other(u8),
}

/// In a head's byte of the kind: which, and how a program that does not know it is to take it.
const KIND: u8 = 0x0f;
/// It says nothing of names, nor of chains: who cannot read it goes on folding.
const NO_NAMES: u8 = 0x40;
/// A kind that is known, in a form that came later.
const LATER: u8 = 0x80;

impl EventKind {
    /// Its byte in a head.
    pub fn byte(self) -> u8 {
        match self {
            EventKind::Create => 1,
            EventKind::Version => 2,
            EventKind::Node => 3,
            EventKind::NodeGone => 4,
            EventKind::Setting => 5,
            EventKind::Acknowledge => 6,
            EventKind::Lapse => 7,
            EventKind::Admit => 8,
            EventKind::Other(byte) => byte & (KIND | NO_NAMES | LATER),
        }
    }

    /// Whether events of its kind bring an entity's key: Create, and of those to come 14 and 15.
    pub fn has_key(self) -> bool {
        matches!(self.byte() & KIND, 1 | 14 | 15)
    }

    /// Whether it says something of names or chains, or may: until it is read nobody knows where names lie.
    pub fn concerns_names(self) -> bool {
        match self {
            EventKind::Create | EventKind::Version | EventKind::Setting => false,
            EventKind::Other(byte) => byte & NO_NAMES == 0,
            _ => true,
        }
    }

    /// The inverse of [`byte`](EventKind::byte).
    fn from_byte(byte: u8) -> Result<EventKind, Malformed> {
        Ok(match byte {
            byte if byte & KIND == 0 || byte & !(KIND | NO_NAMES | LATER) != 0 => {
                return Err(Malformed("an event of no kind"));
            }
            1 => EventKind::Create,
            2 => EventKind::Version,
            3 => EventKind::Node,
            4 => EventKind::NodeGone,
            5 => EventKind::Setting,
            6 => EventKind::Acknowledge,
            7 => EventKind::Lapse,
            8 => EventKind::Admit,
            byte => EventKind::Other(byte),
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
    /// The entity, node, setting, or chain; zeros in an [`EventKind::Acknowledge`].
    pub subject: [u8; 16],
    /// Key generation (epoch).
    pub generation: u32,
    /// The versions that it replaces.
    pub replaces: Vec<EventRef>,
    /// The sealed payload.
    pub sealed: Digest,
    /// BLAKE3 of the entity's wrapped key; for kinds that [bring one](EventKind::has_key) only.
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
pub(crate) const REPLACES_MAX: usize = 1024;

impl Head {
    /// By how much its Lamport time is ahead of its sequence number, modulo 2⁶⁴.
    pub(crate) fn ahead(&self) -> u64 {
        self.lamport.wrapping_sub(self.at.seq)
    }

    /// The entity that it is a version of, or may be.
    pub(crate) fn entity(&self) -> Option<[u8; 16]> {
        let may = matches!(
            self.kind,
            EventKind::Create | EventKind::Version | EventKind::Other(_)
        );
        may.then_some(self.subject)
    }

    /// The bytes that are hashed. They are stored nowhere: what a batch says of its events, and
    /// where they stand in it, makes them anew.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION)
            .u8(self.kind.byte())
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
}

impl Event {
    /// The hash by which the next event of its chain, or the signature, names it.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.head.encode())
    }
}

/// BLAKE3 of bytes.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}
