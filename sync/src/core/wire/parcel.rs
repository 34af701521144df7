//! A batch as one run of bytes: what its row says, without its place, then its events.
//!
//! Two devices may hold one batch with other holes; so a part of a parcel is continued only where the
//! hash of the whole is the same.

use std::sync::Arc;

use coffer_store::chunk::Place;
use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::event::{BatchRow, Hole};
use coffer_store::ids::ChainId;
use coffer_store::vault::Carried;

use crate::core::limits::BATCH_MAX;

/// A batch on its way out.
#[derive(Clone)]
pub struct Parcel {
    /// Its events.
    pub carried: Arc<Carried>,
    row: Arc<[u8]>,
}

impl Parcel {
    /// Of this batch.
    pub fn new(carried: Arc<Carried>) -> Parcel {
        let row = &carried.row;
        let mut w = Writer::new();
        w.varint(row.count.into()).raw(&row.head).raw(&row.signature);
        w.varint(row.holes.len() as u64);
        let mut end = 0;
        for hole in &row.holes {
            w.varint(hole.offset.wrapping_sub(end).into())
                .varint(hole.len.into());
            end = hole.offset.wrapping_add(hole.len);
        }
        let row = w.0.into();
        Parcel { carried, row }
    }

    /// Its length in bytes.
    pub fn total(&self) -> usize {
        self.row.len() + self.carried.bytes.len()
    }

    /// How the hash of all of it begins.
    pub fn token(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.row).update(&self.carried.bytes);
        token(&hasher)
    }

    /// At most so many bytes from here on.
    pub fn piece(&self, offset: usize, most: usize) -> Vec<u8> {
        let (row, bytes) = (&self.row[..], &self.carried.bytes[..]);
        let end = offset.saturating_add(most).min(self.total());
        let within = |part: &[u8], start: usize| {
            let from = offset.saturating_sub(start).min(part.len());
            let to = end.saturating_sub(start).min(part.len());
            from..to.max(from)
        };
        [&row[within(row, 0)], &bytes[within(bytes, row.len())]].concat()
    }
}

fn token(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

/// The token of a whole parcel.
pub(crate) fn token_of(parcel: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(parcel);
    token(&hasher)
}

/// The batch of a whole parcel; its place says nothing, and nobody believes it yet.
///
/// # Errors
/// [`Malformed`] if it has not the form of one. The events are not looked at.
pub fn unpack(chain: ChainId, first: u64, parcel: &[u8]) -> Result<Carried, Malformed> {
    if parcel.len() > BATCH_MAX {
        return Err(Malformed("a batch that is too long"));
    }
    let mut r = Reader::new(parcel);
    let (count, head, signature) = (r.varint32()?, r.array()?, r.array()?);
    let holes = r.varint()?;
    // Of each thing that was let go of, 32 bytes stay: so what holes take here is less than what bytes take.
    if holes > 1 + r.remaining() as u64 / 32 {
        return Err(Malformed("a batch has more holes than its bytes can"));
    }
    let mut row = BatchRow {
        place: Place {
            pack: 1,
            offset: 0,
            len: 0,
        },
        chain,
        first,
        count,
        head,
        signature,
        holes: Vec::with_capacity(holes as usize),
    };
    let mut end = 0u32;
    for _ in 0..holes {
        let (between, len) = (r.varint32()?, r.varint32()?);
        let offset = end.checked_add(between);
        let hole = offset.and_then(|offset| Some((Hole { offset, len }, offset.checked_add(len)?)));
        let Some((hole, next)) = hole.filter(|_| len > 0 && (between > 0 || row.holes.is_empty())) else {
            return Err(Malformed("a batch's holes are out of order"));
        };
        end = next;
        row.holes.push(hole);
    }
    row.last()?;
    if row.holes.len() > 1 + r.remaining() / 32 {
        return Err(Malformed("a batch has more holes than its bytes can"));
    }
    let bytes = r.rest().to_vec();
    row.place.len = bytes.len() as u32;
    Ok(Carried { row, bytes })
}
