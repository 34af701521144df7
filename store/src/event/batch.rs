//! The row of a batch, which is the events of one commit under one signature over the chain's head;
//! and believing a batch.
//!
//! Offsets in a batch are those that it had when it was made: a row names the [`Hole`]s where
//! payloads were let go of since, so that whoever names a payload by its offset need not learn it.
//!
//! Guarantees: a [`Verified`] event stands in its chain behind the one before it in the batch, and the
//! device signed the chain's head over both. It opens no payload.

use super::{BatchHeader, Event, Found, Hole, VERSION, Walk};
use crate::chunk::Place;
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::ChainId;
use crate::keys::{VerifyingKey, labels};
use crate::record::lawful_place;

/// The row of a batch of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// Where its bytes lie.
    pub place: Place,
    /// The chain that it continues.
    pub chain: ChainId,
    /// The first event's sequence number.
    pub first: u64,
    /// How many events.
    pub count: u32,
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
        let place = self.place;
        w.u8(VERSION).varint(place.pack.into()).varint(place.offset);
        w.varint(place.len.into()).raw(&self.chain.0);
        w.varint(self.first).varint(self.count.into());
        w.raw(&self.head).raw(&self.signature);
        let mut end = 0;
        for hole in &self.holes {
            w.varint(hole.offset.wrapping_sub(end).into())
                .varint(hole.len.into());
            end = hole.offset.wrapping_add(hole.len);
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
            place: lawful_place(Place {
                pack: r.varint32()?,
                offset: r.varint()?,
                len: r.varint32()?,
            })?,
            chain: ChainId(r.array()?),
            first: r.varint()?,
            count: r.varint32()?,
            head: r.array()?,
            signature: r.array()?,
            holes: Vec::with_capacity(r.remaining() / 2),
        };
        let mut end = 0u32;
        while r.remaining() > 0 {
            let (between, len) = (r.varint32()?, r.varint32()?);
            let offset = end.checked_add(between);
            let hole = offset.and_then(|offset| Some((Hole { offset, len }, offset.checked_add(len)?)));
            // Two holes never touch: they would be one.
            let Some((hole, next)) = hole.filter(|_| len > 0 && (between > 0 || row.holes.is_empty())) else {
                return Err(Malformed("a batch row's holes are out of order"));
            };
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
    /// Its version is one that this program does not know.
    #[error("a newer version of coffer made them: update coffer on this device to take them")]
    Newer,
    /// It says that it stands elsewhere than its row does.
    #[error("the events are of another place in their chain than the record of them says")]
    Elsewhere,
    /// Its events, or what they hold, are not those that make the head of its row.
    #[error("the events are not those that were signed")]
    Altered,
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
    /// Checks signature, form, order and hashes: the signature first, since that needs the row alone, and
    /// nobody else's bytes are taken apart.
    ///
    /// Where the batch goes on from is what the first event's [`prev`](super::Head::prev) says: the
    /// device has signed that too, and whoever knows the chain's head must compare it.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn verify(&self, device: &VerifyingKey) -> Result<Vec<Verified>, VerifyError> {
        let last = self.row.last()?;
        let signed = BatchRow::signed(self.row.chain, last, &self.row.head);
        device
            .verify_strict(labels::SIGN_HEAD, &signed, &self.row.signature)
            .map_err(|_| VerifyError::BadSignature)?;
        let found = self.chained()?;
        Ok(found.into_iter().map(|found| Verified(found.event)).collect())
    }

    /// Checks form, order and hashes, and that they come to the head that the row has: for rows that
    /// are believed by themselves.
    ///
    /// # Errors
    /// What is wrong first; never a bad signature.
    pub(crate) fn chained(&self) -> Result<Vec<Found>, VerifyError> {
        let row = self.row;
        // Whoever made the row may not have decoded it.
        let last = row.last()?;
        if BatchHeader::is_of_newer(self.bytes) {
            return Err(VerifyError::Newer);
        }
        let mut walk = Walk::new(self.bytes)?;
        if (walk.header().chain, walk.header().first) != (row.chain, row.first) {
            return Err(VerifyError::Elsewhere);
        }
        let mut events = Vec::new();
        let mut before = None;
        for _ in row.first..=last {
            let found = walk.next().ok_or(Malformed("it ends early"))??;
            let now = found.event.head.lamport;
            if before.is_some_and(|before| now <= before) {
                return Err(Malformed("its times go back").into());
            }
            before = Some(now);
            events.push(found);
        }
        if walk.next().is_some() {
            return Err(Malformed("bytes are left over at its end").into());
        }
        if walk.head() != row.head {
            return Err(VerifyError::Altered);
        }
        // Else the same events could be said in many ways.
        if events
            .first()
            .is_none_or(|first: &Found| first.event.head.ahead() != walk.header().ahead)
        {
            return Err(Malformed("a batch begins at another time than its first event").into());
        }
        if walk.holes() != row.holes {
            return Err(Malformed("a batch lacks other parts than its row says").into());
        }
        Ok(events)
    }
}
