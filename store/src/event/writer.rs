//! Making a batch: what its events have in common, once, and then each of them.
//!
//! Guarantees: what was written is what [`Walk`](super::Walk) finds, and hashes of heads are those
//! that the events had before. It never signs and never stores.

use super::frame::{self, Place};
use super::{Event, VERSION};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef, SpaceId};
use crate::keys::WRAPPED;

/// How a batch begins: what all of its events have in common, and where the first one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Where they belong.
    pub space: SpaceId,
    /// Their chain.
    pub chain: ChainId,
    /// The first event's sequence number.
    pub first: u64,
    /// The hash of the head of the chain's event before it; zeros for the chain's first.
    pub prev: [u8; 32],
    /// By how much the first event's Lamport time is ahead of its sequence number, modulo 2⁶⁴.
    pub ahead: u64,
}

impl BatchHeader {
    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).raw(&self.space.0).raw(&self.chain.0);
        w.varint(self.first).raw(&self.prev).varint(self.ahead);
        w.0
    }

    /// Whether these are a batch of a version that this program does not know, unless their first byte is damaged.
    pub(crate) fn is_of_newer(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|version| *version != VERSION)
    }

    /// The same beginning with the Lamport times that these bytes of a batch say, at the place where it
    /// says them; none if they say none.
    pub(crate) fn timed_by(&self, bytes: &[u8]) -> Option<BatchHeader> {
        let len = BatchHeader { ahead: 0, ..*self }.encode().len() - 1;
        let ahead = Reader::new(bytes.get(len..)?).varint().ok()?;
        Some(BatchHeader { ahead, ..*self })
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<BatchHeader, Malformed> {
        if r.u8()? != VERSION {
            return Err(Malformed("a batch of an unknown version"));
        }
        let header = BatchHeader {
            space: SpaceId(r.array()?),
            chain: ChainId(r.array()?),
            first: r.varint()?,
            prev: r.array()?,
            ahead: r.varint()?,
        };
        match header.first {
            0 => Err(Malformed("a batch contradicts itself")),
            _ => Ok(header),
        }
    }

    /// Where the first event stands.
    pub(super) fn place(&self) -> Place {
        Place {
            space: self.space,
            at: EventRef {
                chain: self.chain,
                seq: self.first,
            },
            prev: self.prev,
            ahead: self.ahead,
        }
    }
}

/// A batch that is being made.
pub struct BatchWriter {
    header: BatchHeader,
    w: Writer,
    place: Place,
    count: u32,
}

impl BatchWriter {
    /// A batch without events yet.
    pub fn new(header: BatchHeader) -> BatchWriter {
        BatchWriter {
            header,
            w: Writer(header.encode()),
            place: header.place(),
            count: 0,
        }
    }

    /// Appends an event, with as much of it as is there. Of its head, space, chain, number and the
    /// hash of the one before are not written: they are those that follow. Returns where its sealed
    /// payload begins, in bytes from the batch's start, if nothing was let go of before.
    pub fn push(&mut self, event: &Event) -> u32 {
        debug_assert_eq!(
            (event.head.space, event.head.at, event.head.prev),
            (self.place.space, self.place.at, self.place.prev),
            "an event stands behind the one before it"
        );
        let hash = event.hash();
        let start = self.w.0.len();
        let before = frame::put(&mut self.w, &self.place, event);
        self.place.after(hash);
        self.count += 1;
        (start + before + event.head.wrapped.map_or(0, |_| WRAPPED)) as u32
    }

    /// Where the next event is to stand: its space, its place in its chain, and what it follows.
    pub(super) fn next(&self) -> (SpaceId, EventRef, [u8; 32]) {
        (self.place.space, self.place.at, self.place.prev)
    }

    /// How it begins.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// How many events it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The hash of its last event's head; without one, of the event before it.
    pub fn head(&self) -> [u8; 32] {
        self.place.prev
    }

    /// Its bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.w.0
    }
}
