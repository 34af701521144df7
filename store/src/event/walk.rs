//! Walking the events of a batch, and letting go of payloads.
//!
//! Guarantees: an offset is that of the batch as it was made, whatever was let go of since;
//! letting go changes no head, and so neither hashes nor signature. It believes nothing: what is
//! found may be anybody's.

use super::{EVENT_MAX, Event};
use crate::chunk::pack::MAX_PAYLOAD;
use crate::codec::{Malformed, Reader, Writer};
use crate::keys::WRAPPED;

/// Bytes of a batch that are not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first, counted in the batch as it was made.
    pub offset: u32,
    /// How many.
    pub len: u32,
}

/// A batch had no more bytes than a record of a pack can have.
const GONE_MAX: u32 = MAX_PAYLOAD as u32;

/// An event where it lies.
pub(crate) struct Found {
    pub(crate) event: Event,
    /// Its head's hash.
    pub(crate) hash: [u8; 32],
    /// Where its sealed payload lies, or lay, in the batch as it was made.
    pub(crate) sealed_at: u32,
    /// Where the event ends in the bytes at hand.
    pub(crate) end: u32,
}

/// The events of a batch, one by one. One that is damaged is an error, and those behind it
/// follow, unless nobody can know where they begin.
pub(crate) struct Walk<'a> {
    r: Reader<'a>,
    len: usize,
    /// Bytes that are not there, so far.
    gone: u32,
    holes: Vec<Hole>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Walk<'a> {
        Walk {
            r: Reader::new(bytes),
            len: bytes.len(),
            gone: 0,
            holes: Vec::new(),
        }
    }

    /// What is not there, of the events so far.
    pub(crate) fn holes(&self) -> &[Hole] {
        &self.holes
    }

    fn lacks(&mut self, offset: u32, len: u32) {
        self.gone += len;
        match self.holes.last_mut() {
            Some(last) if last.offset + last.len == offset => last.len += len,
            _ => self.holes.push(Hole { offset, len }),
        }
    }

    fn place(&mut self, bytes: &[u8]) -> Result<Found, Malformed> {
        let (event, hash) = Event::parse(bytes)?;
        if self.gone > GONE_MAX {
            return Err(Malformed("a batch lacks more than it can have had"));
        }
        let end = (self.len - self.r.remaining()) as u32;
        let there = event.wrapped.map_or(0, |_| WRAPPED) + event.sealed.as_ref().map_or(0, Vec::len);
        let mut at = end - there as u32 + self.gone;
        if event.head.wrapped.is_some() {
            if event.wrapped.is_none() {
                self.lacks(at, WRAPPED as u32);
            }
            at += WRAPPED as u32;
        }
        if event.sealed.is_none() {
            self.lacks(at, event.head.sealed.len);
        }
        Ok(Found {
            event,
            hash,
            sealed_at: at,
            end,
        })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found, Malformed>;

    fn next(&mut self) -> Option<Result<Found, Malformed>> {
        if self.r.remaining() == 0 {
            return None;
        }
        match self.r.bytes(EVENT_MAX) {
            Ok(bytes) => Some(self.place(bytes)),
            Err(e) => {
                self.r.rest();
                Some(Err(e))
            }
        }
    }
}

/// What of an event is let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Let {
    /// Its sealed payload.
    Sealed = 1,
    /// The entity's key that came with it, too.
    All = 3,
}

impl Let {
    pub(crate) fn from_byte(byte: u8) -> Result<Let, Malformed> {
        match byte {
            1 => Ok(Let::Sealed),
            3 => Ok(Let::All),
            _ => Err(Malformed(
                "a note of what is to be let go of is of an unknown kind",
            )),
        }
    }
}

/// A batch without what `lets` says of each event, by where its sealed payload lay when the batch
/// was made: the bytes that are left, and the holes in them.
///
/// # Errors
/// [`Malformed`] if the batch is damaged anywhere: then nothing of it may be left out.
pub(crate) fn let_go(
    bytes: &[u8],
    lets: &dyn Fn(u32) -> Option<Let>,
) -> Result<(Vec<u8>, Vec<Hole>), Malformed> {
    let mut w = Writer(Vec::with_capacity(bytes.len()));
    for found in Walk::new(bytes) {
        let mut found = found?;
        match lets(found.sealed_at) {
            None => {}
            Some(Let::Sealed) => found.event.sealed = None,
            Some(Let::All) => (found.event.sealed, found.event.wrapped) = (None, None),
        }
        w.bytes(&found.event.encode());
    }
    let mut walk = Walk::new(&w.0);
    for found in walk.by_ref() {
        found?;
    }
    let holes = walk.holes().to_vec();
    Ok((w.0, holes))
}
