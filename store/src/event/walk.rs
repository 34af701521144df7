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
/// follow, unless nobody can know where they begin: the hash that they follow is then another's, and
/// nothing else of them.
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
        let framed = frame::get(&mut self.r, &self.place)?;
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
        self.place.after(hash);
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
            self.place.after(self.place.prev);
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

/// A batch after payloads were let go of.
pub(crate) struct Left {
    /// The bytes that are left.
    pub(crate) bytes: Vec<u8>,
    /// The holes in them.
    pub(crate) holes: Vec<Hole>,
    /// Its events came to its head before: it is as it was made, but for what was let go of. If not,
    /// only what must surely go has gone.
    pub(crate) is_whole: bool,
}

/// A batch of this head without what `lets` says of each event, by where its sealed payload lay when
/// the batch was made; true: it must surely go.
///
/// Of a payload its hash is left behind, which the head is made of. So a bit that has rotted anywhere
/// in the batch would become a part of what was signed, and nobody could tell any more what is whole:
/// such a batch stays as it is, except that what must surely go goes all the same.
///
/// # Errors
/// [`Malformed`] if the batch is damaged: then nothing of it is left out.
pub(crate) fn let_go(
    bytes: &[u8],
    head: &[u8; 32],
    lets: &dyn Fn(u32) -> Option<(Let, bool)>,
) -> Result<Left, Malformed> {
    let mut walk = Walk::new(bytes)?;
    let mut w = BatchWriter::new(*walk.header());
    let found = walk.by_ref().collect::<Result<Vec<Found>, _>>()?;
    let is_whole = walk.head() == *head;
    let mut surely_goes = false;
    for Found {
        mut event, sealed_at, ..
    } in found
    {
        match lets(sealed_at).filter(|(_, surely)| is_whole || *surely) {
            None => {}
            Some((what, surely)) => {
                surely_goes |= surely;
                event.sealed = None;
                event.wrapped.take_if(|_| what == Let::All);
            }
        }
        w.push(&event);
    }
    if !is_whole && !surely_goes {
        return Err(Malformed("its events are not those that were signed"));
    }
    let mut walk = Walk::new(w.bytes())?;
    for found in walk.by_ref() {
        found?;
    }
    Ok(Left {
        holes: walk.holes().to_vec(),
        bytes: w.bytes().to_vec(),
        is_whole,
    })
}
