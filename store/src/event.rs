//! Events: one signed, sealed, immutable statement each, about one entity or one node.
//!
//! Events of a chain carry sequence numbers 1, 2, 3 … and the hash of the one before;
//! one signature over the head covers a batch and all before it. Payloads are sealed
//! under the entity's key, or (for the tree) under a key of the space's epoch, so that
//! events travel byte for byte. What a peer sends is [`Unverified`] until its chain and
//! signature have been checked. The byte tables stand in `docs/format.md`.
//!
//! It encodes, decodes and verifies; it never stores.

use crate::chunk::Place;
use crate::codec::{Malformed, Reader, Writer};
pub use crate::ids::EventRef;
use crate::ids::{ChainId, EntityId, NodeId, SpaceId};
use crate::keys::{Aad, VerifyingKey, WRAPPED, labels};
use crate::record::{
    ManifestRef, NAME_MAX, Time, Xattrs, get_manifest, get_place, get_xattrs, kind, put_manifest, put_place,
    put_xattrs, valid_name,
};
use crate::tree::Kind;

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

/// The place of what is sealed in an event: a number alone would be one in every chain.
fn place(kind: u8, id: [u8; 16], at: EventRef, generation: u32) -> Aad {
    Aad {
        kind,
        id,
        chain: at.chain.0,
        version: at.seq,
        generation,
    }
}

/// Associated data of a Create or Version event's payload: the entity's version.
pub(crate) fn content_aad(entity: &EntityId, at: EventRef, generation: u32) -> Aad {
    place(kind::CONTENT, entity.0, at, generation)
}

/// Associated data of a Node event's payload.
pub(crate) fn node_aad(node: &NodeId, at: EventRef, generation: u32) -> Aad {
    place(kind::TREE, node.0, at, generation)
}

/// Associated data of a NodeGone event's payload: of a kind of its own, so that no one who
/// alters an event's kind makes a removal of a move.
pub(crate) fn gone_aad(node: &NodeId, at: EventRef, generation: u32) -> Aad {
    place(kind::TREE_GONE, node.0, at, generation)
}

/// Associated data of the entity's key in a Create event.
pub(crate) fn key_aad(entity: &EntityId, at: EventRef, generation: u32) -> Aad {
    place(kind::WRAP_EPOCH, entity.0, at, generation)
}

/// Where a version's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Inline(Vec<u8>),
    /// In chunks.
    Manifest(ManifestRef),
}

/// How versions of it merge; chosen by the version's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// A version replaces its ancestors.
    Blob = 1,
    /// Concurrent versions merge as text.
    Text = 2,
}

/// The payload of a Create or Version event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What the file is: a regular file or a symlink.
    pub kind: Kind,
    /// How it merges.
    pub form: Form,
    /// Permission bits.
    pub perm: u16,
    /// Modification time.
    pub mtime: Time,
    /// Creation time.
    pub btime: Time,
    /// Size in bytes.
    pub size: u64,
    /// User xattrs.
    pub xattrs: Option<Box<Xattrs>>,
    /// The bytes.
    pub body: Body,
}

fn put_time(w: &mut Writer, t: Time) {
    w.i64(t.sec).u32(t.nsec);
}

fn get_time(r: &mut Reader<'_>) -> Result<Time, Malformed> {
    let t = Time {
        sec: r.i64()?,
        nsec: r.u32()?,
    };
    if t.nsec < 1_000_000_000 {
        Ok(t)
    } else {
        Err(Malformed("a time with too many nanoseconds"))
    }
}

impl Version {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION)
            .u8(self.kind as u8)
            .u8(self.form as u8)
            .u16(self.perm);
        put_time(&mut w, self.mtime);
        put_time(&mut w, self.btime);
        w.u64(self.size);
        put_xattrs(&mut w, self.xattrs.as_deref());
        match &self.body {
            Body::Inline(bytes) => w.u8(0).raw(bytes),
            Body::Manifest(root) => {
                w.u8(1);
                put_manifest(&mut w, root);
                &mut w
            }
        };
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a payload of this version.
    pub fn decode(bytes: &[u8]) -> Result<Version, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a version of an unknown version"));
        }
        let kind = Kind::from_byte(r.u8()?)?;
        let form = match r.u8()? {
            1 => Form::Blob,
            2 => Form::Text,
            _ => return Err(Malformed("a version of an unknown form")),
        };
        let (perm, mtime, btime, size) = (r.u16()?, get_time(&mut r)?, get_time(&mut r)?, r.u64()?);
        let xattrs = get_xattrs(&mut r)?;
        let body = match r.u8()? {
            0 => Body::Inline(r.rest().to_vec()),
            1 => Body::Manifest(get_manifest(&mut r)?),
            _ => return Err(Malformed("a body of an unknown kind")),
        };
        r.end()?;
        if !matches!(kind, Kind::File | Kind::Symlink) {
            return Err(Malformed("a version of something that has no content"));
        }
        let fits = match &body {
            Body::Inline(bytes) => bytes.len() as u64 == size,
            Body::Manifest(_) => size <= i64::MAX as u64,
        };
        if !fits {
            return Err(Malformed("a body of another size than its version says"));
        }
        Ok(Version {
            kind,
            form,
            perm,
            mtime,
            btime,
            size,
            xattrs,
            body,
        })
    }
}

/// The payload of a Node event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// The folder's node that it lies in.
    pub parent: NodeId,
    /// The entity that it names, or none: a folder.
    pub entity: Option<EntityId>,
    /// A folder's permission bits.
    pub perm: u16,
    /// A folder's user xattrs.
    pub xattrs: Option<Box<Xattrs>>,
    /// Its name.
    pub name: Vec<u8>,
}

impl NodeState {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).raw(&self.parent.0);
        match &self.entity {
            Some(entity) => w.u8(1).raw(&entity.0),
            None => w.u8(0),
        };
        w.u16(self.perm);
        put_xattrs(&mut w, self.xattrs.as_deref());
        w.bytes(&self.name);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a payload of this version.
    pub fn decode(bytes: &[u8]) -> Result<NodeState, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a node of an unknown version"));
        }
        let parent = NodeId(r.array()?);
        let entity = match r.u8()? {
            0 => None,
            1 => Some(EntityId(r.array()?)),
            _ => return Err(Malformed("a node that names something unknown")),
        };
        let perm = r.u16()?;
        let xattrs = get_xattrs(&mut r)?;
        let name = r.bytes(NAME_MAX)?.to_vec();
        r.end()?;
        if !valid_name(&name) {
            return Err(Malformed("a name that no file can have"));
        }
        Ok(NodeState {
            parent,
            entity,
            perm,
            xattrs,
            name,
        })
    }
}

/// The row of a batch of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// Where its bytes lie: events, each after its length as `u32`.
    pub place: Place,
    /// The chain that it continues.
    pub chain: ChainId,
    /// The first event's sequence number.
    pub first: u64,
    /// How many events.
    pub count: u32,
    /// The chain's head before it.
    pub prev: [u8; 32],
    /// The chain's head after it.
    pub head: [u8; 32],
    /// The device's signature over chain, last sequence number and head.
    pub signature: [u8; 64],
}

impl BatchRow {
    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        put_place(&mut w, self.place);
        w.raw(&self.chain.0).u64(self.first).u32(self.count);
        w.raw(&self.prev).raw(&self.head).raw(&self.signature);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a row of this version.
    pub fn decode(bytes: &[u8]) -> Result<BatchRow, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a batch row of an unknown version"));
        }
        let row = BatchRow {
            place: get_place(&mut r)?,
            chain: ChainId(r.array()?),
            first: r.u64()?,
            count: r.u32()?,
            prev: r.array()?,
            head: r.array()?,
            signature: r.array()?,
        };
        r.end()?;
        row.last()?;
        Ok(row)
    }

    /// The last event's sequence number. One more can be counted, too.
    ///
    /// # Errors
    /// [`Malformed`] if there is no event, or no number for it or for the next.
    pub fn last(&self) -> Result<u64, Malformed> {
        match self.first.checked_add(u64::from(self.count)) {
            Some(next) if self.first > 0 && self.count > 0 => Ok(next - 1),
            _ => Err(Malformed("a batch row contradicts itself")),
        }
    }

    /// What the signature is over.
    pub fn signed(chain: ChainId, last: u64, head: &[u8; 32]) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&chain.0).u64(last).raw(head);
        w.0
    }
}

/// A batch's bytes and row, believed by nobody yet.
pub struct Unverified<'a> {
    /// Its row.
    pub row: &'a BatchRow,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Why a batch is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It has not the form of a batch.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An event does not follow the one before it.
    #[error("event {0} does not follow the one before it")]
    Broken(u64),
    /// The signature is not the device's.
    #[error("the signature over the batch is not the device's")]
    BadSignature,
}

/// An event whose chain and signature were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Event);

impl Verified {
    /// The event.
    pub fn event(&self) -> &Event {
        &self.0
    }
}

impl Unverified<'_> {
    /// Checks form, order, hashes and signature.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn verify(&self, device: &VerifyingKey) -> Result<Vec<Verified>, VerifyError> {
        let row = self.row;
        // Whoever made the row may not have decoded it.
        let last = row.last()?;
        let mut r = Reader::new(self.bytes);
        let mut head = row.prev;
        let mut events = Vec::new();
        for seq in row.first..=last {
            let bytes = r.bytes(EVENT_MAX)?;
            let event = Event::decode(bytes)?;
            if event.at
                != (EventRef {
                    chain: row.chain,
                    seq,
                })
                || event.prev != head
            {
                return Err(VerifyError::Broken(seq));
            }
            head = hash(bytes);
            events.push(Verified(event));
        }
        r.end()?;
        if head != row.head {
            return Err(VerifyError::Broken(last));
        }
        device
            .verify_strict(
                labels::SIGN_HEAD,
                &BatchRow::signed(row.chain, last, &head),
                &row.signature,
            )
            .map_err(|_| VerifyError::BadSignature)?;
        Ok(events)
    }
}
