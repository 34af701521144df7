//! Batches joined to one, and the end of one as a batch of its own.
//!
//! Guarantees: events keep their hashes, and the last one's head and signature stand for all of them; the
//! same events give the same bytes, whatever batches they lay in. What was joined begins with the very bytes of its
//! first batch. Nothing that is damaged is joined or cut. It believes no signature.

use super::batch::{Unverified, VerifyError};
use super::walk::{Found, Hole, Walk};
use super::writer::{BatchHeader, BatchWriter};
use super::{BatchRow, Event};
use crate::chunk::Place;
use crate::codec::Malformed;

/// A batch's row and bytes. The place in the row says how long they are, and nothing else.
pub(crate) type Batched = (BatchRow, Vec<u8>);

fn verified(row: &BatchRow, bytes: &[u8]) -> Result<Vec<Found>, VerifyError> {
    Unverified { row, bytes }.chained()
}

/// Batches of one chain, each of which follows the one before it, as one: with the signature of the last.
///
/// # Errors
/// What is wrong with one of them, or that they do not follow each other.
pub(crate) fn join(parts: &[Batched]) -> Result<Batched, VerifyError> {
    let (Some((first, _)), Some((last, _))) = (parts.first(), parts.last()) else {
        return Err(Malformed("a batch without events").into());
    };
    let mut events = Vec::new();
    for (row, bytes) in parts {
        if row.chain != first.chain {
            return Err(VerifyError::Elsewhere);
        }
        events.extend(verified(row, bytes)?.into_iter().map(|found| found.event));
    }
    of_events(&events, last)
}

/// What of a batch comes after the event of this number, which lies in it, as a batch.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn after(row: &BatchRow, bytes: &[u8], seq: u64) -> Result<Batched, VerifyError> {
    let events: Vec<Event> = verified(row, bytes)?
        .into_iter()
        .map(|found| found.event)
        .filter(|event| event.head.at.seq > seq)
        .collect();
    of_events(&events, row)
}

/// Events, one behind the other, as a batch that ends as this row says.
fn of_events(events: &[Event], end: &BatchRow) -> Result<Batched, VerifyError> {
    let first = events.first().ok_or(Malformed("a batch without events"))?;
    let head = &first.head;
    let mut w = BatchWriter::new(BatchHeader {
        space: head.space,
        chain: head.at.chain,
        first: head.at.seq,
        prev: head.prev,
        ahead: head.ahead(),
    });
    for event in events {
        if (event.head.space, event.head.at, event.head.prev) != w.next() {
            return Err(VerifyError::Elsewhere);
        }
        w.push(event);
    }
    if w.head() != end.head {
        return Err(VerifyError::Altered);
    }
    let bytes = w.bytes().to_vec();
    let row = BatchRow {
        place: Place {
            pack: 1,
            offset: 0,
            len: u32::try_from(bytes.len()).map_err(|_| Malformed("a batch that is too long"))?,
        },
        chain: head.at.chain,
        first: head.at.seq,
        count: w.count(),
        head: end.head,
        signature: end.signature,
        holes: holes_in(&bytes)?,
    };
    Ok((row, bytes))
}

/// What a batch lacks of what it was made with.
fn holes_in(bytes: &[u8]) -> Result<Vec<Hole>, Malformed> {
    let mut walk = Walk::new(bytes)?;
    for found in walk.by_ref() {
        found?;
    }
    Ok(walk.holes().to_vec())
}
