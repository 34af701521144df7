//! What a device says in a carried folder: how far it is, what it lacks, and which bundles of its own there are.
//!
//! ```text
//! file  = head (see `envelope`) ‖ sealed stream of: length (4) ‖ index ‖ zeros
//! index = version 0 (1) ‖ author (32) ‖ serial (8) ‖ policy (1): 1 everything, 2 names and texts ‖ 1 if it has put here all that others lack, else 0 (1)
//!       ‖ newest statements: how many (varint), each 32, ascending
//!       ‖ chains: how many (varint), each: chain (16) ‖ last event (varint, at least 1), ascending
//!       ‖ chunks that are lacking: how many (varint), each 32, the most needed first ‖ bytes that are lacking in all (varint)
//!       ‖ its bundles: how many (varint), each: name (16) ‖ key (32) ‖ segments (varint) ‖ its list: offset, length (varint each), ascending
//!       ‖ bundles of others that it needs nothing of: how many (varint), names (16 each), ascending
//!       ‖ bundles that it found broken: the same
//!       ‖ signature of the author, label SIGN_CARRIER, over space (16) ‖ all before (64)
//! ```
//!
//! Guarantees: one encoding for each index; an [`Index`] that was opened was signed by its author, for this space.

use std::collections::BTreeSet;

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::ids::{ChainId, SpaceId};
use coffer_store::keys::{Key, SigningKey, VerifyingKey, labels};
use coffer_store::members::DeviceId;
use zeroize::Zeroizing;

use super::VERSION;
use super::envelope::{HEAD_MAX, Opener, Readers, head};
use super::folder::{Sink, Source};
use super::limits::{
    BROKEN_MAX, BUNDLE_MAX, BUNDLES_MAX, DONE_MAX, HEADS_MAX, INDEX_MAX, LACKS_MAX, TOC_MAX,
};
use super::name::Name;
use super::stream::{self, Kind, SEGMENT};
use crate::core::limits::CHAINS_MAX;
use crate::core::{ChunkName, Policy};

/// A bundle, as its author names it.
pub struct BundleRef {
    /// Its file.
    pub name: Name,
    /// Its key, which seals nothing else.
    pub key: Key,
    /// How many segments it has.
    pub segments: u64,
    /// Where its list begins, and how long that is.
    pub toc: (u64, usize),
}

impl BundleRef {
    /// How long its file is.
    pub(super) fn len(&self) -> u64 {
        self.segments * SEGMENT
    }

    pub(super) fn duplicate(&self) -> BundleRef {
        BundleRef {
            key: self.key.duplicate(),
            ..*self
        }
    }
}

/// See the module.
pub struct Index {
    /// Whose.
    pub author: DeviceId,
    /// Which of its author's; the highest is the newest.
    pub serial: u64,
    /// What it keeps.
    pub policy: Policy,
    /// Whether all is here that others are not known to have; if not, it was cut off, or there was no room.
    pub whole: bool,
    /// Its newest statements.
    pub heads: Vec<[u8; 32]>,
    /// How far it has each chain.
    pub clock: Vec<(ChainId, u64)>,
    /// Chunks that it lacks.
    pub lacks: Vec<ChunkName>,
    /// Bytes of all that it lacks.
    pub lacking: u64,
    /// Its bundles.
    pub bundles: Vec<BundleRef>,
    /// Bundles of others that it needs nothing of.
    pub done: BTreeSet<Name>,
    /// Bundles that it found broken.
    pub broken: BTreeSet<Name>,
}

fn put_names(w: &mut Writer, names: &BTreeSet<Name>) {
    w.varint(names.len() as u64);
    for name in names {
        w.raw(&name.0);
    }
}

/// How many there are: no more than allowed, nor than can stand in what is left.
fn count(r: &mut Reader<'_>, most: usize, each: usize) -> Result<usize, Malformed> {
    match r.varint()? {
        count if count <= most as u64 && count as usize * each <= r.remaining() => Ok(count as usize),
        _ => Err(Malformed("a list is longer than it may be")),
    }
}

fn ascending<T: Ord>(list: &[T]) -> Result<(), Malformed> {
    match list.is_sorted_by(|a, b| a < b) {
        true => Ok(()),
        false => Err(Malformed("a list is out of order")),
    }
}

fn names(r: &mut Reader<'_>, most: usize) -> Result<BTreeSet<Name>, Malformed> {
    let count = count(r, most, 16)?;
    let list: Vec<Name> = (0..count)
        .map(|_| Ok(Name(r.array()?)))
        .collect::<Result<_, Malformed>>()?;
    ascending(&list)?;
    Ok(list.into_iter().collect())
}

impl Index {
    /// What is remembered of it once it is gone: its bundles can be read by nobody else then, and count for nothing.
    pub(super) fn remembered(&self) -> Index {
        Index {
            author: self.author,
            serial: self.serial,
            policy: self.policy,
            whole: self.whole,
            heads: self.heads.clone(),
            clock: self.clock.clone(),
            lacks: self.lacks.clone(),
            lacking: self.lacking,
            bundles: Vec::new(),
            done: self.done.clone(),
            broken: self.broken.clone(),
        }
    }

    fn encode_unsigned(&self) -> Zeroizing<Vec<u8>> {
        let room = 128
            + 32 * (self.heads.len() + self.lacks.len())
            + 26 * self.clock.len()
            + 80 * self.bundles.len();
        let room = room + 16 * (self.done.len() + self.broken.len()) + 64;
        // Room from the start: growing would leave keys behind in freed memory.
        let mut w = Writer(Vec::with_capacity(room));
        w.u8(VERSION)
            .raw(&self.author.0)
            .u64(self.serial)
            .u8(self.policy as u8)
            .u8(self.whole.into());
        w.varint(self.heads.len() as u64);
        for id in &self.heads {
            w.raw(id);
        }
        w.varint(self.clock.len() as u64);
        for (chain, last) in &self.clock {
            w.raw(&chain.0).varint(*last);
        }
        w.varint(self.lacks.len() as u64);
        for id in &self.lacks {
            w.raw(id);
        }
        w.varint(self.lacking);
        w.varint(self.bundles.len() as u64);
        for bundle in &self.bundles {
            w.raw(&bundle.name.0)
                .raw(bundle.key.expose())
                .varint(bundle.segments);
            w.varint(bundle.toc.0).varint(bundle.toc.1 as u64);
        }
        put_names(&mut w, &self.done);
        put_names(&mut w, &self.broken);
        Zeroizing::new(w.0)
    }

    /// Its bytes, signed.
    pub fn encode(&self, space: SpaceId, device: &SigningKey) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.encode_unsigned();
        let signature = device.sign(labels::SIGN_CARRIER, &signed(space, &bytes));
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but an index of this version that its author signed for this space.
    pub fn decode(space: SpaceId, bytes: &[u8]) -> Result<Index, Malformed> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(Malformed("it ends early"))?;
        let mut r = Reader::new(body);
        if r.u8()? != VERSION {
            return Err(Malformed("an index of an unknown version"));
        }
        let author = DeviceId(r.array()?);
        let signer =
            VerifyingKey::from_bytes(&author.0).map_err(|_| Malformed("an author that is no device"))?;
        signer
            .verify_strict(labels::SIGN_CARRIER, &signed(space, body), signature)
            .map_err(|_| Malformed("an index that its author did not sign"))?;
        let serial = r.u64()?;
        let policy = Policy::of_peer(r.u8()?);
        let whole = match r.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("a byte that is neither yes nor no")),
        };
        let all = count(&mut r, HEADS_MAX, 32)?;
        let heads = (0..all)
            .map(|_| r.array())
            .collect::<Result<Vec<[u8; 32]>, _>>()?;
        ascending(&heads)?;
        let all = count(&mut r, CHAINS_MAX, 17)?;
        let clock = (0..all).map(|_| Ok((ChainId(r.array()?), r.varint()?)));
        let clock = clock.collect::<Result<Vec<_>, Malformed>>()?;
        ascending(&clock.iter().map(|(chain, _)| chain.0).collect::<Vec<_>>())?;
        if clock.iter().any(|(_, last)| *last == 0) {
            return Err(Malformed("a chain of which there is nothing"));
        }
        let all = count(&mut r, LACKS_MAX, 32)?;
        let lacks = (0..all).map(|_| r.array()).collect::<Result<_, _>>()?;
        let lacking = r.varint()?;
        let all = count(&mut r, BUNDLES_MAX, 51)?;
        let bundles = (0..all).map(|_| bundle(&mut r)).collect::<Result<Vec<_>, _>>()?;
        ascending(&bundles.iter().map(|bundle| bundle.name).collect::<Vec<_>>())?;
        let (done, broken) = (names(&mut r, DONE_MAX)?, names(&mut r, BROKEN_MAX)?);
        // What a later program says further on is signed with the rest, and passed over.
        Ok(Index {
            author,
            serial,
            policy,
            whole,
            heads,
            clock,
            lacks,
            lacking,
            bundles,
            done,
            broken,
        })
    }

    /// Whether it says what another says, but for its number.
    pub(super) fn says(&self, other: &Index) -> bool {
        let bundles = |index: &Index| index.bundles.iter().map(|bundle| bundle.name).collect::<Vec<_>>();
        (self.policy, self.whole) == (other.policy, other.whole)
            && (&self.heads, &self.clock, &self.lacks) == (&other.heads, &other.clock, &other.lacks)
            && (&self.done, &self.broken) == (&other.done, &other.broken)
            && self.lacking == other.lacking
            && bundles(self) == bundles(other)
    }

    /// Writes it as a file for these readers.
    pub(super) fn write(
        &self,
        (space, device): (SpaceId, &SigningKey),
        readers: &Readers,
        sink: &mut dyn Sink,
    ) -> std::io::Result<()> {
        let key = Key::random();
        sink.write(&head(space, readers, &key))?;
        let bytes = self.encode(space, device);
        let mut pending = stream::Pending::default();
        let mut stream = stream::Writer::resume(sink, &key, Kind::Index, &mut pending);
        stream.write(&(bytes.len() as u32).to_le_bytes())?;
        stream.write(&bytes)?;
        stream.finish().map(drop)
    }

    /// Reads one from a file of this length. None if it is not for this device.
    ///
    /// # Errors
    /// A sentence's part that says what is wrong with it.
    pub(super) fn read(
        space: SpaceId,
        opener: &Opener,
        (source, len): (&dyn Source, u64),
    ) -> Result<Option<Index>, String> {
        let most = HEAD_MAX as u64 + SEGMENT + 2 * stream::segments(INDEX_MAX as u64 + 4) * SEGMENT;
        if len > most {
            return Err("is too long".into());
        }
        let mut begins = vec![0; (HEAD_MAX as u64).min(len) as usize];
        source.read(0, &mut begins).map_err(|e| e.to_string())?;
        let Some((key, base)) = opener.open(&begins) else {
            return Ok(None);
        };
        let part = |offset: u64, len: usize| {
            let part = stream::read(source, (&key, Kind::Index), base as u64, (offset, len));
            part.map_err(|_| "is torn or altered".to_owned())
        };
        let length = part(0, 4)?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if length > INDEX_MAX || length as u64 > len {
            return Err("is too long".into());
        }
        let bytes = part(4, length)?;
        if bytes.first().is_some_and(|version| *version != VERSION) {
            return Err("was made by a newer version of coffer: update coffer on this device; it".into());
        }
        Index::decode(space, &bytes).map(Some).map_err(|e| e.to_string())
    }
}

fn signed(space: SpaceId, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 + body.len()));
    bytes.extend_from_slice(&space.0);
    bytes.extend_from_slice(body);
    bytes
}

fn bundle(r: &mut Reader<'_>) -> Result<BundleRef, Malformed> {
    let (name, mut key) = (Name(r.array()?), Zeroizing::new(r.array()?));
    let (segments, offset, len) = (r.varint()?, r.varint()?, r.varint()?);
    // How much a file is filled up is its writer's choice: there must be room for what it says is in it.
    let most = 2 * stream::segments(BUNDLE_MAX + TOC_MAX as u64);
    let lawful = segments <= most && offset <= BUNDLE_MAX && len > 0 && len <= TOC_MAX as u64;
    if !lawful || stream::room(segments) < offset + len {
        return Err(Malformed("a bundle that cannot be so"));
    }
    Ok(BundleRef {
        name,
        key: Key::take(&mut key),
        segments,
        toc: (offset, len as usize),
    })
}
