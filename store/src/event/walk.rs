//! Walking the events of a batch, and letting go of payloads.
//!
//! Guarantees: an offset is that of the batch as it was made, whatever was let go of since;
//! letting go changes no head, and so neither hashes nor signature. It believes nothing: what is
//! found may be anybody's.

use super::Event;
use super::frame::{self, Framed, HASH, Place};
use super::writer::{BatchHeader, BatchWriter};
use crate::chunk::pack::MAX_PAYLOAD;
use crate::codec::{Malformed, Reader};
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
    /// Its head's hash: the one that it was made with, if all before it in the batch is whole.
    pub(crate) hash: [u8; 32],
    /// Where its sealed payload lies, or lay, in the batch as it was made.
    pub(crate) sealed_at: u32,
    /// Where the event ends in the bytes at hand.
    pub(crate) end: u32,
}

/// The events of a batch, one by one. One that is damaged is an error, and those behind it
/// follow, unless nobody can know where they begin: what they name by what came before, hashes above
/// all, may then be another's.
pub(crate) struct Walk<'a> {
    header: BatchHeader,
    r: Reader<'a>,
    len: usize,
    place: Place,
    /// No number is left for another event.
    is_full: bool,
    /// Bytes that are not there, so far.
    gone: u32,
    holes: Vec<Hole>,
}

impl<'a> Walk<'a> {
    /// # Errors
    /// [`Malformed`] if it does not begin as a batch does.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Walk<'a>, Malformed> {
        let mut r = Reader::new(bytes);
        let header = BatchHeader::read(&mut r)?;
        Walk::from(header, r, bytes.len())
    }

    /// The events of a batch whose header is damaged, as if it began so.
    ///
    /// # Errors
    /// [`Malformed`] if it is shorter than that.
    pub(crate) fn beginning(header: BatchHeader, bytes: &'a [u8]) -> Result<Walk<'a>, Malformed> {
        let mut r = Reader::new(bytes);
        r.raw(header.encode().len())?;
        Walk::from(header, r, bytes.len())
    }

    fn from(header: BatchHeader, r: Reader<'a>, len: usize) -> Result<Walk<'a>, Malformed> {
        if len > MAX_PAYLOAD {
            return Err(Malformed("a batch that is too long"));
        }
        Ok(Walk {
            header,
            r,
            len,
            place: header.place(),
            is_full: false,
            gone: 0,
            holes: Vec::new(),
        })
    }

    /// How the batch begins.
    pub(crate) fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// What is not there, of the events so far.
    pub(crate) fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The hash of the last event so far.
    pub(crate) fn head(&self) -> [u8; 32] {
        self.place.prev
    }

    /// Notes that of something that lay at `offset` only its hash is there.
    fn lacks(&mut self, offset: u32, len: u32) {
        let (offset, len) = (offset + HASH as u32, len - HASH as u32);
        self.gone += len;
        self.holes.push(Hole { offset, len });
    }

    fn event(&mut self) -> Result<Found, Malformed> {
        if self.is_full || self.gone > GONE_MAX {
            return Err(Malformed("a batch has more than it can have had"));
        }
        let start = (self.len - self.r.remaining()) as u32;
        let framed = frame::get(&mut self.r, &mut self.place)?;
        let Framed { event, before, len } = framed;
        let mut at = start + before as u32 + self.gone;
        if event.head.wrapped.is_some() {
            if event.wrapped.is_none() {
                self.lacks(at, WRAPPED as u32);
            }
            at += WRAPPED as u32;
        }
        if event.sealed.is_none() {
            self.lacks(at, event.head.sealed.len);
        }
        let hash = event.hash();
        self.is_full = event.head.at.seq == u64::MAX;
        self.place.after(event.head.lamport, hash);
        Ok(Found {
            event,
            hash,
            sealed_at: at,
            end: start + len as u32,
        })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found, Malformed>;

    fn next(&mut self) -> Option<Result<Found, Malformed>> {
        if self.r.remaining() == 0 {
            return None;
        }
        let here = self.r.clone();
        let found = self.event();
        if found.is_err() {
            self.r = here;
            frame::pass(&mut self.r);
            self.place.refs.tear();
            self.place.after(self.place.lamport, self.place.prev);
        }
        Some(found)
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
    let mut walk = Walk::new(bytes)?;
    let mut w = BatchWriter::new(*walk.header());
    for found in walk.by_ref() {
        let mut found = found?;
        match lets(found.sealed_at) {
            None => {}
            Some(Let::Sealed) => found.event.sealed = None,
            Some(Let::All) => (found.event.sealed, found.event.wrapped) = (None, None),
        }
        w.push(&found.event);
    }
    let mut walk = Walk::new(w.bytes())?;
    for found in walk.by_ref() {
        found?;
    }
    let holes = walk.holes().to_vec();
    Ok((w.bytes().to_vec(), holes))
}
