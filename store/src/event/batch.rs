//! Batches: the events of one commit, one behind the other, under one signature over the
//! chain's head.
//!
//! Guarantees: a [`Verified`] event stood in its chain behind the one before it, and the
//! device signed the chain's head over both. It opens no payload.

use super::{EVENT_MAX, Event, VERSION, hash};
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
