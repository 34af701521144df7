//! One event in a batch, without what its place there says: space, chain, number, the hash of the
//! event before, and the hash of what is there to be hashed.
//!
//! All kinds have this form, those too that are yet to come: what nobody here can read is hashed, kept and given on.
//!
//! Guarantees: an event has one form; the head that comes out is the head that went in, if it stands in
//! the same place. Of the events before it in the batch, nothing but their number and the hash that it
//! follows counts: what is damaged in one alters no other's time and no other's parents. Nothing is made
//! room for by a length that was not compared with the bytes at hand.

use super::{Digest, EVENT_MAX, Event, EventKind, Head, KIND, REPLACES_MAX, hash};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{EventRef, SpaceId};
use crate::keys::{SEAL_OVERHEAD, WRAPPED};
use crate::record::{get_list, put_list};

/// What stands in the place of what was let go of: its BLAKE3.
pub(super) const HASH: usize = 32;
/// In the byte of the kind, where that leaves room: what of the event is there.
const SEALED: u8 = 0x10;
const WRAPPED_KEY: u8 = 0x20;

/// Where in a batch an event stands.
pub(super) struct Place {
    pub(super) space: SpaceId,
    pub(super) at: EventRef,
    /// The hash of the event before.
    pub(super) prev: [u8; 32],
    /// By how much the batch's Lamport times are ahead of its sequence numbers, as it begins.
    pub(super) ahead: u64,
}

impl Place {
    /// Of the event behind one that has this head.
    pub(super) fn after(&mut self, hash: [u8; 32]) {
        self.at.seq = self.at.seq.saturating_add(1);
        self.prev = hash;
    }
}

/// An event taken out of a batch.
pub(super) struct Framed {
    pub(super) event: Event,
    /// How many bytes lie before its wrapped key, or, without one, before its payload: the frame's
    /// length among them.
    pub(super) before: usize,
    /// How many there are in all, of those at hand.
    pub(super) len: usize,
}

/// Appends an event in its place; returns how many bytes were before its wrapped key or payload.
pub(super) fn put(w: &mut Writer, place: &Place, event: &Event) -> usize {
    let (head, start) = (&event.head, w.0.len());
    let there = |yes: bool, bit: u8| if yes { bit } else { 0 };
    let mut fields = Writer::new();
    fields.u8(head.kind.byte()
        | there(event.sealed.is_some(), SEALED)
        | there(event.wrapped.is_some(), WRAPPED_KEY));
    fields
        .zigzag(head.ahead().wrapping_sub(place.ahead) as i64)
        .raw(&head.subject)
        .varint(head.generation.into());
    put_list(&mut fields, head.at, &head.replaces);
    let wrapped = head.wrapped.map_or(0, |_| WRAPPED);
    w.varint((fields.0.len() + wrapped + head.sealed.len as usize) as u64)
        .raw(&fields.0);
    let before = w.0.len() - start;
    let hash = head.wrapped.as_ref().map(|hash| &hash[..]);
    w.raw(
        event
            .wrapped
            .as_ref()
            .map_or(hash.unwrap_or_default(), |wrapped| wrapped),
    );
    w.raw(event.sealed.as_deref().unwrap_or(&head.sealed.hash));
    before
}

/// Takes the next event, in this place.
///
/// # Errors
/// [`Malformed`] for anything but what [`put`] writes; the reader is then anywhere.
pub(super) fn get(r: &mut Reader<'_>, place: &Place) -> Result<Framed, Malformed> {
    let start = r.remaining();
    let made = r.varint()?;
    if made > EVENT_MAX as u64 {
        return Err(Malformed("an event that is too long"));
    }
    let (made, frame) = (made as usize, r.remaining());
    let flags = r.u8()?;
    let kind = EventKind::from_byte(flags & !(SEALED | WRAPPED_KEY))?;
    if flags & WRAPPED_KEY != 0 && !kind.has_key() {
        return Err(Malformed("an event has a key that its kind has not"));
    }
    let ahead = place.ahead.wrapping_add_signed(r.zigzag()?);
    let lamport = place.at.seq.wrapping_add(ahead);
    let (subject, generation) = (r.array()?, r.varint32()?);
    let replaces = get_list(r, place.at, REPLACES_MAX)?;
    // Only what creates an entity replaces nothing of it.
    if kind == EventKind::Version && replaces.is_empty() {
        return Err(Malformed("a version that replaces nothing"));
    }
    let (before, fields) = (start - r.remaining(), frame - r.remaining());
    let (wrapped, wrapped_hash): (Option<[u8; WRAPPED]>, _) = match kind.has_key() {
        true if flags & WRAPPED_KEY != 0 => {
            let wrapped = r.array()?;
            (Some(wrapped), Some(hash(&wrapped)))
        }
        true => (None, Some(r.array()?)),
        false => (None, None),
    };
    let len = made.checked_sub(fields + wrapped_hash.map_or(0, |_| WRAPPED));
    let len = len.filter(|len| *len >= SEAL_OVERHEAD);
    let len = len.ok_or(Malformed("an event that is too short for what it holds"))?;
    let (sealed, digest) = match flags & SEALED {
        0 => {
            let (len, hash) = (len as u32, r.array()?);
            (None, Digest { len, hash })
        }
        _ => {
            let sealed = r.raw(len)?.to_vec();
            let digest = Digest::of(&sealed);
            (Some(sealed), digest)
        }
    };
    let head = Head {
        kind,
        space: place.space,
        at: place.at,
        lamport,
        prev: place.prev,
        subject,
        generation,
        replaces,
        sealed: digest,
        wrapped: wrapped_hash,
    };
    let event = Event {
        head,
        wrapped,
        sealed,
    };
    let len = start - r.remaining();
    Ok(Framed { event, before, len })
}

/// Passes over an event that is damaged, where its length and flags say that all of it is there; else
/// over all that follows, since nobody can know where the next one begins.
pub(super) fn pass(r: &mut Reader<'_>) {
    let whole = |r: &mut Reader<'_>| -> Option<()> {
        let made = r.varint().ok().filter(|made| *made <= EVENT_MAX as u64)?;
        let flags = r.clone().u8().ok()?;
        // Where its kind cannot be read, its length can: it is taken to have no key.
        let kind = EventKind::from_byte(flags & KIND).ok();
        let lacks_key = kind.is_some_and(EventKind::has_key) && flags & WRAPPED_KEY == 0;
        r.raw(made as usize).ok()?;
        (flags & SEALED != 0 && !lacks_key).then_some(())
    };
    if whole(r).is_none() {
        r.rest();
    }
}
