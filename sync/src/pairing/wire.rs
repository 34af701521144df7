//! The frames of a pairing: kind (1) ‖ length (4) ‖ body, each bound to its turn.
//!
//! Guarantees: a frame of another kind than is due, or of another length than its kind has, is refused when its first five bytes
//! are there, before room is made for the rest. What is left over after the last one that is due is refused, too.

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::members::STATEMENT_MAX;

use super::error::PairError;

/// The version of this conversation: the lowest that there is, so any other is a newer program's.
pub(super) const VERSION: u8 = 0;
/// Shortest and longest first message of either side, in all versions. What stands behind the 65 bytes that this one knows is a
/// newer program's, and is passed over; the transcript holds it, so nobody alters it unseen.
const CALL: (usize, usize) = (65, 4096);
const HEADER: usize = 5;
/// Bytes by which sealing makes longer.
pub(super) const TAG: usize = 16;

/// Kinds of frames.
pub(super) mod kind {
    /// The inviter says no.
    pub(in super::super) const NO: u8 = 0;
    /// The joiner's nonce and ephemeral key.
    pub(in super::super) const CALL: u8 = 1;
    /// The inviter's.
    pub(in super::super) const ANSWER: u8 = 2;
    /// The joiner's proof.
    pub(in super::super) const CLAIM: u8 = 3;
    /// The inviter's proof, and who it is.
    pub(in super::super) const HOST: u8 = 4;
    /// Who the joiner is.
    pub(in super::super) const JOIN: u8 = 5;
    /// A part of what a member has.
    pub(in super::super) const PART: u8 = 6;
    /// The joiner has stored all of it.
    pub(in super::super) const STORED: u8 = 7;
}

/// What [`kind::PART`] holds.
pub(super) mod part {
    /// A statement.
    pub(in super::super) const STATEMENT: u8 = 1;
    /// That was all: how many statements, and the one that adds the joiner.
    pub(in super::super) const END: u8 = 2;
    /// Of a part of another kind: it must be understood. Without this it is passed over.
    pub(in super::super) const CRITICAL: u8 = 0x80;
}

/// Shortest and longest body of a kind; none for an unknown one.
fn bounds(kind: u8) -> Option<(usize, usize)> {
    Some(match kind {
        kind::NO => (0, 0),
        kind::CALL | kind::ANSWER => CALL,
        kind::CLAIM => (32, 32),
        kind::HOST => (32 + 112 + TAG, 32 + 112 + TAG),
        kind::JOIN => (TAG, 1024),
        kind::PART => (1 + TAG, 1 + STATEMENT_MAX + TAG),
        kind::STORED => (TAG, TAG),
        _ => return None,
    })
}

/// A whole frame of these fields.
pub(super) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(HEADER + body.len()));
    w.u8(kind).bytes(body);
    w.0
}

/// Takes frames out of a stream of bytes.
#[derive(Default)]
pub(super) struct Frames {
    begun: Vec<u8>,
}

impl Frames {
    /// Takes bytes until a frame is whole: then returns it, its header with it, and leaves the rest of `input`. None when `input` is used up.
    ///
    /// # Errors
    /// [`Malformed`] as soon as it shows that this is no frame of a kind that is due.
    pub(super) fn next(&mut self, input: &mut &[u8], due: &[u8]) -> Result<Option<Vec<u8>>, PairError> {
        loop {
            let need = match self
                .begun
                .get(1..HEADER)
                .and_then(|len| <[u8; 4]>::try_from(len).ok())
            {
                None => HEADER,
                Some(len) => {
                    let (kind, len) = (self.begun[0], u32::from_le_bytes(len) as usize);
                    let bounds = bounds(kind).filter(|_| due.contains(&kind));
                    if !bounds.is_some_and(|(least, most)| (least..=most).contains(&len)) {
                        return Err(Malformed("a message that is not due, or of a wrong length").into());
                    }
                    HEADER + len
                }
            };
            if self.begun.len() >= HEADER && self.begun.len() == need {
                return Ok(Some(std::mem::take(&mut self.begun)));
            }
            if input.is_empty() {
                return Ok(None);
            }
            let (taken, rest) = input.split_at(input.len().min(need - self.begun.len()));
            self.begun.extend_from_slice(taken);
            *input = rest;
        }
    }
}

/// A frame's kind and body.
pub(super) fn body(frame: &[u8]) -> (u8, &[u8]) {
    (
        frame.first().copied().unwrap_or(kind::NO),
        frame.get(HEADER..).unwrap_or_default(),
    )
}

/// The first message of either side.
pub(super) fn call(kind: u8, nonce: &[u8; 32], ephemeral: &[u8; 32]) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(VERSION).raw(nonce).raw(ephemeral);
    frame(kind, &w.0)
}

/// The ephemeral key in it. Of another version nothing but this is read.
pub(super) fn called(body: &[u8]) -> Result<[u8; 32], PairError> {
    let mut r = Reader::new(body);
    if r.u8()? != VERSION {
        return Err(PairError::Newer);
    }
    r.raw(32)?;
    Ok(r.array()?)
}

/// What each side's device signs: its side, and all that was said.
pub(super) fn signed(side: super::session::Side, said: &[u8; 32]) -> [u8; 33] {
    let mut bytes = [side as u8; 33];
    bytes[1..].copy_from_slice(said);
    bytes
}
