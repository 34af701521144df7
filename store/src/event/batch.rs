//! Batches: the events of one commit, one behind the other, under one signature over the
//! chain's head.
//!
//! Offsets in a batch are those that it had when it was made: a row names the [`Hole`]s where
//! payloads were let go of since, so that whoever names a payload by its offset need not learn it.
//!
//! Guarantees: a [`Verified`] event stood in its chain behind the one before it, and the
//! device signed the chain's head over both. It opens no payload.

use super::{Event, Hole, VERSION, Walk};
use crate::chunk::Place;
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef};
use crate::keys::{VerifyingKey, labels};
use crate::record::{get_place, put_place};

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
    /// What of it is not there any more, ascending.
    pub holes: Vec<Hole>,
}

impl BatchRow {
    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        put_place(&mut w, self.place);
        w.raw(&self.chain.0).u64(self.first).u32(self.count);
        w.raw(&self.prev).raw(&self.head).raw(&self.signature);
        for hole in &self.holes {
            w.u32(hole.offset).u32(hole.len);
        }
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
        let mut row = BatchRow {
            place: get_place(&mut r)?,
            chain: ChainId(r.array()?),
            first: r.u64()?,
            count: r.u32()?,
            prev: r.array()?,
            head: r.array()?,
            signature: r.array()?,
            holes: Vec::with_capacity(r.remaining() / 8),
        };
        // Two holes never touch: they would be one.
        let mut end = None;
        while r.remaining() > 0 {
            let hole = Hole {
                offset: r.u32()?,
                len: r.u32()?,
            };
            let next = hole.offset.checked_add(hole.len);
            if hole.len == 0 || next.is_none() || end.is_some_and(|end| hole.offset <= end) {
                return Err(Malformed("a batch row's holes are out of order"));
            }
            end = next;
            row.holes.push(hole);
        }
        row.last()?;
        Ok(row)
    }

    /// Where bytes lie now that lay at `offset` when the batch was made; none if any of them was
    /// let go of, or never was there.
    pub fn physical(&self, offset: u32, len: u32) -> Option<u32> {
        let end = u64::from(offset) + u64::from(len);
        let mut before = 0;
        for hole in self.holes.iter().take_while(|hole| u64::from(hole.offset) < end) {
            if u64::from(hole.offset) + u64::from(hole.len) > u64::from(offset) {
                return None;
            }
            before += hole.len;
        }
        let (at, end) = (offset.checked_sub(before)?, end - u64::from(before));
        (end <= u64::from(self.place.len)).then_some(at)
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
    /// An event's payload is not the one that its head names.
    #[error("the payload of event {0} is not the one that was signed")]
    Altered(u64),
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
        let mut walk = Walk::new(self.bytes);
        let mut head = row.prev;
        let mut events = Vec::new();
        for seq in row.first..=last {
            let found = walk.next().ok_or(Malformed("it ends early"))??;
            let at = EventRef {
                chain: row.chain,
                seq,
            };
            if found.event.head.at != at || found.event.head.prev != head {
                return Err(VerifyError::Broken(seq));
            }
            if !found.event.is_sound() {
                return Err(VerifyError::Altered(seq));
            }
            head = found.hash;
            events.push(Verified(found.event));
        }
        if walk.next().is_some() {
            return Err(Malformed("bytes are left over at its end").into());
        }
        if head != row.head {
            return Err(VerifyError::Broken(last));
        }
        if walk.holes() != row.holes {
            return Err(Malformed("a batch lacks other parts than its row says").into());
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
