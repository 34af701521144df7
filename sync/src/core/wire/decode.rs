//! Bytes to messages: hand-written, total, and bounded by the frame.

use coffer_store::codec::{Malformed, Reader};
use coffer_store::ids::{ChainId, SpaceId};

use super::fields::{bits, chains, ids, piece};
use super::{CRITICAL, Goodbye, Heard, Hello, Message, Reach, Resume, Wanted};
use crate::core::Policy;
use crate::core::limits::{BATCH_MAX, CHUNK_MAX, STATEMENT_MAX};

impl Message<'_> {
    /// The inverse, of a frame without its length.
    ///
    /// # Errors
    /// [`Malformed`] for anything that no message is.
    pub fn decode(frame: &[u8]) -> Result<Heard<'_>, Malformed> {
        let mut r = Reader::new(frame);
        let kind = r.u8()?;
        let message = match kind {
            0x81 => Message::Hello(hello(&mut r)?),
            0x82 => Message::Heads(ids(&mut r, 0)?),
            0x83 => {
                let count = usize::from(r.u16()?);
                let mut first = Reader::new(r.raw(32 * count)?);
                Message::WantStatements {
                    want: ids(&mut first, 1)?,
                    have: ids(&mut r, 0)?,
                }
            }
            0x84 => match r.remaining() {
                2 => {
                    let (total, offset) = (r.varint32()?, r.varint32()?);
                    if (total, offset) != (0, 0) {
                        return Err(Malformed("a piece without bytes"));
                    }
                    Message::Statement {
                        total,
                        offset,
                        data: &[],
                    }
                }
                _ => {
                    let (total, offset, data) = piece(&mut r, STATEMENT_MAX)?;
                    Message::Statement { total, offset, data }
                }
            },
            0x85 => clock(&mut r)?,
            0x86 => Message::Want(wanted(&mut r)?),
            0x87 => Message::Stop(chains(&mut r)?),
            0x88 => Message::Batch {
                chain: ChainId(r.array()?),
                first: number(&mut r)?,
                parcel: r.rest(),
            },
            0x94 => {
                let (chain, first, token) = (ChainId(r.array()?), number(&mut r)?, r.array()?);
                let (total, offset, data) = piece(&mut r, BATCH_MAX)?;
                Message::BatchPiece {
                    chain,
                    first,
                    token,
                    total,
                    offset,
                    data,
                }
            }
            0x89 => Message::Credit(r.varint()?),
            0x8a => Message::WantChunks {
                urgent: flag(&mut r)?,
                chunks: list(&mut r, |r| {
                    let (id, offset) = (r.array()?, r.varint32()?);
                    match offset as usize {
                        ..CHUNK_MAX => Ok((id, offset)),
                        _ => Err(Malformed("a chunk is wanted from beyond its end")),
                    }
                })?,
            },
            0x8b => Message::DropChunks(ids(&mut r, 1)?),
            0x8c => {
                let id = r.array()?;
                let (total, offset, data) = piece(&mut r, CHUNK_MAX)?;
                Message::Chunk {
                    id,
                    total,
                    offset,
                    data,
                }
            }
            0x8d => Message::NotHere(ids(&mut r, 1)?),
            0x0e => Message::Here(ids(&mut r, 1)?),
            0x8f => Message::Ask {
                serial: r.varint32()?,
                ids: ids(&mut r, 1)?,
            },
            0x90 => Message::Held {
                serial: r.varint32()?,
                bits: bits(&mut r)?,
            },
            0x91 => Message::Ping,
            0x92 => Message::Pong,
            0x93 => Message::Goodbye(match r.u8()? {
                1 => Goodbye::Protocol,
                2 => Goodbye::Version,
                3 => Goodbye::Space,
                4 => Goodbye::Removed,
                5 => Goodbye::Replaced,
                6 => Goodbye::Forged,
                // Also for a reason that a later program has: it has gone.
                _ => Goodbye::Done,
            }),
            _ if kind & CRITICAL == 0 => return Ok(Heard::Unknown),
            _ => return Err(Malformed("a message of an unknown kind")),
        };
        r.end()?;
        Ok(Heard::Message(message))
    }
}

fn hello(r: &mut Reader<'_>) -> Result<Hello, Malformed> {
    let hello = Hello {
        versions: (r.u16()?, r.u16()?),
        space: SpaceId(r.array()?),
        own: ChainId(r.array()?),
        features: r.varint()?,
        policy: Policy::of_peer(r.u8()?),
        credit: r.varint()?,
    };
    match hello.versions.0 <= hello.versions.1 {
        true => Ok(hello),
        false => Err(Malformed("versions out of order")),
    }
}

fn clock<'a>(r: &mut Reader<'_>) -> Result<Message<'a>, Malformed> {
    let whole = flag(r)?;
    let mut reach = Vec::with_capacity(r.remaining() / 25);
    while r.remaining() > 0 {
        let chain = ChainId(r.array()?);
        let (last, head) = (number(r)?, r.array()?);
        reach.push((chain, Reach { last, head }));
    }
    match whole || !reach.is_empty() {
        true => Ok(Message::Clock { whole, reach }),
        false => Err(Malformed("a clock that says nothing")),
    }
}

fn wanted(r: &mut Reader<'_>) -> Result<Vec<Wanted>, Malformed> {
    list(r, |r| {
        let (chain, after) = (ChainId(r.array()?), r.varint()?);
        let resume = match r.varint32()? {
            0 => None,
            offset if offset as usize >= BATCH_MAX => {
                return Err(Malformed("a batch is wanted from beyond its end"));
            }
            offset => Some(Resume {
                offset,
                token: r.array()?,
            }),
        };
        Ok(Wanted { chain, after, resume })
    })
}

/// Entries up to the end, one at least.
fn list<T>(
    r: &mut Reader<'_>,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut all = Vec::new();
    while r.remaining() > 0 || all.is_empty() {
        all.push(one(r)?);
    }
    Ok(all)
}

fn flag(r: &mut Reader<'_>) -> Result<bool, Malformed> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("neither yes nor no")),
    }
}

/// An event's number; one more can be counted, too.
fn number(r: &mut Reader<'_>) -> Result<u64, Malformed> {
    match r.varint()? {
        0 | u64::MAX => Err(Malformed("an event's number is out of bounds")),
        number => Ok(number),
    }
}
