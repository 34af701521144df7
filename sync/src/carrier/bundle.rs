//! Statements, batches and chunks in one file, one behind the other, and a list of them at the end.
//!
//! ```text
//! file = sealed stream of: things ‖ list ‖ zeros
//! list = how many (varint), each, in the order in which they stand:
//!        1 ‖ statement's name (32) ‖ length (varint)
//!        2 ‖ chain (16) ‖ first event (varint) ‖ how many (varint) ‖ Lamport time of the first (varint) ‖ length of the parcel (varint)
//!        3 ‖ chunk's name (32) ‖ length, sealed (varint)
//!        80 to ff ‖ name (32) ‖ length (varint): a later version's; passed over
//! ```
//!
//! Parcels are those of docs/protocol.md. Guarantees: nothing of a list is believed: what it names is bounded here, and verified by
//! whoever takes it in. Memory is one thing at a time, and the list.

use std::io;

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::ids::ChainId;
use coffer_store::keys::Key;
use zeroize::Zeroizing;

use super::folder::{Sink, Source};
use super::index::BundleRef;
use super::limits::{BUNDLE_MAX, ENTRIES_MAX, TOC_MAX};
use super::name::Name;
use super::stream::{self, Kind};
use crate::core::ChunkName;
use crate::core::limits::{BATCH_MAX, CHUNK_MAX, STATEMENT_MAX, STATEMENT_MIN};

/// Something in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A statement of membership.
    Statement([u8; 32]),
    /// Events of a chain.
    Batch {
        /// The chain.
        chain: ChainId,
        /// The first event.
        first: u64,
        /// The last.
        last: u64,
        /// The Lamport time of the first.
        lamport: u64,
    },
    /// A chunk.
    Chunk(ChunkName),
    /// What a later version puts there: nothing of it is read here.
    Other(
        /// Its kind, from [`OTHERS`] on.
        u8,
        /// What it is called there.
        [u8; 32],
    ),
}

/// The first kind of things that only a later version knows.
const OTHERS: u8 = 0x80;

/// A bundle's list: what, where it begins, how long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toc(pub Vec<(Entry, u64, usize)>);

impl Toc {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.varint(self.0.len() as u64);
        for (entry, _, len) in &self.0 {
            match entry {
                Entry::Statement(id) => w.u8(1).raw(id),
                Entry::Batch {
                    chain,
                    first,
                    last,
                    lamport,
                } => {
                    w.u8(2).raw(&chain.0).varint(*first);
                    w.varint(last - first + 1).varint(*lamport)
                }
                Entry::Chunk(id) => w.u8(3).raw(id),
                Entry::Other(kind, name) => w.u8(*kind).raw(name),
            };
            w.varint(*len as u64);
        }
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a list of things that can be.
    pub fn decode(bytes: &[u8]) -> Result<Toc, Malformed> {
        let mut r = Reader::new(bytes);
        let count = r.varint()?;
        // The shortest entry is a batch's.
        if count > ENTRIES_MAX as u64 || count * 21 > r.remaining() as u64 {
            return Err(Malformed("a bundle has more things than it can"));
        }
        let (mut list, mut at) = (Vec::with_capacity(count as usize), 0);
        for _ in 0..count {
            let (entry, least, most) = match r.u8()? {
                1 => (Entry::Statement(r.array()?), STATEMENT_MIN, STATEMENT_MAX),
                2 => {
                    let (chain, first, count) = (ChainId(r.array()?), r.varint()?, r.varint32()?);
                    let last = first
                        .checked_add(u64::from(count))
                        .filter(|_| first > 0 && count > 0);
                    let last = last.ok_or(Malformed("a batch that cannot be"))? - 1;
                    let lamport = r.varint()?;
                    let batch = Entry::Batch {
                        chain,
                        first,
                        last,
                        lamport,
                    };
                    (batch, 1, BATCH_MAX)
                }
                3 => (Entry::Chunk(r.array()?), 1, CHUNK_MAX),
                kind @ OTHERS.. => (Entry::Other(kind, r.array()?), 0, BUNDLE_MAX as usize),
                _ => return Err(Malformed("a thing of an unknown kind")),
            };
            let len = r.varint()?;
            if len < least as u64 || len > most as u64 {
                return Err(Malformed("a thing is longer or shorter than its kind allows"));
            }
            list.push((entry, at, len as usize));
            at += len;
            if at > BUNDLE_MAX {
                return Err(Malformed("a bundle is longer than it may be"));
            }
        }
        r.end()?;
        Ok(Toc(list))
    }

    /// Where the last thing ends.
    fn end(&self) -> u64 {
        self.0.last().map_or(0, |(_, at, len)| at + *len as u64)
    }
}

/// Reads a bundle's list.
///
/// # Errors
/// `InvalidData` if it is not one of these bytes; else the file's.
pub(super) fn list(source: &dyn Source, bundle: &BundleRef) -> io::Result<Toc> {
    let bytes = stream::read(source, (&bundle.key, Kind::Bundle), 0, bundle.toc)?;
    let toc = Toc::decode(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    match toc.end() == bundle.toc.0 {
        true => Ok(toc),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Reads a thing that a list names.
///
/// # Errors
/// As [`list`].
pub(super) fn thing(
    source: &dyn Source,
    bundle: &BundleRef,
    place: (u64, usize),
) -> io::Result<Zeroizing<Vec<u8>>> {
    stream::read(source, (&bundle.key, Kind::Bundle), 0, place)
}

/// Writes one.
pub(super) struct Bundler {
    sink: Box<dyn Sink>,
    key: Key,
    toc: Toc,
    toc_len: usize,
    /// What is not yet written.
    pending: stream::Pending,
}

impl Bundler {
    pub(super) fn new(sink: Box<dyn Sink>) -> Bundler {
        Bundler {
            sink,
            key: Key::random(),
            toc: Toc::default(),
            toc_len: 8,
            pending: stream::Pending::default(),
        }
    }

    /// Whether so many bytes more fit.
    pub(super) fn fits(&self, len: usize) -> bool {
        self.toc.end() + len as u64 <= BUNDLE_MAX
            && self.toc.0.len() < ENTRIES_MAX
            && self.toc_len + 80 <= TOC_MAX
    }

    /// How many things are in it.
    pub(super) fn count(&self) -> usize {
        self.toc.0.len()
    }

    /// How long its file would be by now.
    pub(super) fn len(&self) -> u64 {
        stream::segments(self.toc.end() + self.toc_len as u64) * stream::SEGMENT
    }

    pub(super) fn add(&mut self, entry: Entry, bytes: &[u8]) -> io::Result<()> {
        let at = self.toc.end();
        stream::Writer::resume(&mut *self.sink, &self.key, Kind::Bundle, &mut self.pending).write(bytes)?;
        self.toc.0.push((entry, at, bytes.len()));
        self.toc_len += match entry {
            Entry::Statement(_) | Entry::Chunk(_) | Entry::Other(..) => 33 + 10,
            Entry::Batch { .. } => 17 + 40,
        };
        Ok(())
    }

    /// Ends it, durably; what names it, and its list.
    pub(super) fn finish(mut self, name: Name) -> io::Result<(BundleRef, Toc)> {
        let (offset, bytes) = (self.toc.end(), self.toc.encode());
        let mut writer = stream::Writer::resume(&mut *self.sink, &self.key, Kind::Bundle, &mut self.pending);
        writer.write(&bytes)?;
        let segments = writer.finish()?;
        self.sink.finish()?;
        let bundle = BundleRef {
            name,
            key: self.key,
            segments,
            toc: (offset, bytes.len()),
        };
        Ok((bundle, self.toc))
    }
}
