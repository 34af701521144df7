//! What two devices say to each other.

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::ids::{ChainId, SpaceId};

use super::fields::{bits, chains, ids, piece, put_ids, put_piece};
use crate::core::limits::{BATCH_MAX, CHUNK_MAX, STATEMENT_MAX};
use crate::core::{ChunkName, Policy, StatementId};

/// The version of the protocol that this is; on trial.
pub const VERSION: u16 = 0;
/// Kinds with this bit must be understood; unknown ones without it are passed over.
pub const CRITICAL: u8 = 0x80;

/// The first message of each side; its form never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The oldest and newest version that it speaks.
    pub versions: (u16, u16),
    /// Its space; that it is a member is the transport's to prove.
    pub space: SpaceId,
    /// The chain on which it tells at present.
    pub own: ChainId,
    /// A sum of what it can do beside what its version says; none are defined.
    pub features: u64,
    /// What it keeps.
    pub policy: Policy,
    /// How many bytes of objects it takes before it says more.
    pub credit: u64,
}

/// How far a chain is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The last event's number; 1 at least.
    pub last: u64,
    /// How the hash of the last event's head begins.
    pub head: [u8; 8],
}

/// A batch of which a part is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// How the hash of the whole parcel begins.
    pub token: [u8; 16],
    /// Bytes that are here; 1 at least.
    pub offset: u32,
}

/// A chain that is to be told, from here on for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The chain.
    pub chain: ChainId,
    /// The last event that is not needed.
    pub after: u64,
    /// How much is here of the batch after it.
    pub resume: Option<Resume>,
}

/// Why a side leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Goodbye {
    /// It is done: locked, unmounted, asked to.
    Done = 0,
    /// The other side broke the protocol, or a bound.
    Protocol = 1,
    /// No version in common.
    Version = 2,
    /// Another space.
    Space = 3,
    /// The other side is not a member any more.
    Removed = 4,
    /// Another connection of these two takes its place.
    Replaced = 5,
    /// What was sent is not what its device signed.
    Forged = 6,
}

/// A message; lists have one entry at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The first one.
    Hello(Hello),
    /// The newest statements of membership; all that there are. May be empty.
    Heads(Vec<StatementId>),
    /// These statements are missing, and all that they follow but not what these follow.
    WantStatements {
        /// Missing.
        want: Vec<StatementId>,
        /// Here, with all that they follow. May be empty.
        have: Vec<StatementId>,
    },
    /// A piece of a statement, in the order in which they can be taken in.
    Statement {
        /// The statement's length; 0: that was all.
        total: u32,
        /// Where the piece begins.
        offset: u32,
        /// The piece.
        data: &'a [u8],
    },
    /// How far chains are held: all of them at first, then those that have moved.
    Clock {
        /// Whether all have been named by now.
        whole: bool,
        /// Empty only if there is no chain at all.
        reach: Vec<(ChainId, Reach)>,
    },
    /// Tell these chains.
    Want(Vec<Wanted>),
    /// Do not tell these any more.
    Stop(Vec<ChainId>),
    /// A batch in one frame.
    Batch {
        /// Its chain.
        chain: ChainId,
        /// Its first event.
        first: u64,
        /// All of the parcel.
        parcel: &'a [u8],
    },
    /// A piece of a batch.
    BatchPiece {
        /// Its chain.
        chain: ChainId,
        /// Its first event.
        first: u64,
        /// How the hash of the whole parcel begins.
        token: [u8; 16],
        /// The parcel's length.
        total: u32,
        /// Where the piece begins.
        offset: u32,
        /// The piece.
        data: &'a [u8],
    },
    /// So many bytes of objects are taken in all, since the session began.
    Credit(u64),
    /// Send these chunks, from this byte on.
    WantChunks {
        /// Somebody waits for them.
        urgent: bool,
        /// Their names, and bytes that are here.
        chunks: Vec<(ChunkName, u32)>,
    },
    /// These are not needed any more.
    DropChunks(Vec<ChunkName>),
    /// A piece of a chunk, as it is stored.
    Chunk {
        /// Its name.
        id: ChunkName,
        /// The chunk's sealed length.
        total: u32,
        /// Where the piece begins.
        offset: u32,
        /// The piece.
        data: &'a [u8],
    },
    /// These were wanted, and are not here.
    NotHere(Vec<ChunkName>),
    /// These were wanted, were not here, and are now.
    Here(Vec<ChunkName>),
    /// Does the other side hold these durably, and keep them?
    Ask {
        /// Comes back with the answer.
        serial: u32,
        /// The chunks.
        ids: Vec<ChunkName>,
    },
    /// Which of them it does, in their order.
    Held {
        /// The question's.
        serial: u32,
        /// A bit each, the lowest first; as many bytes as are needed.
        bits: Vec<u8>,
    },
    /// Is anybody there?
    Ping,
    /// Yes.
    Pong,
    /// It leaves.
    Goodbye(Goodbye),
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// This.
    Message(Message<'a>),
    /// Something that may be passed over.
    Unknown,
}

impl Message<'_> {
    /// Whether it brings bytes of objects, which need credit.
    pub fn is_data(&self) -> bool {
        matches!(
            self,
            Message::Statement { .. }
                | Message::Batch { .. }
                | Message::BatchPiece { .. }
                | Message::Chunk { .. }
        )
    }

    /// Kind and fields, without the frame's length.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Message::Hello(hello) => {
                w.u8(0x81).u16(hello.versions.0).u16(hello.versions.1);
                w.raw(&hello.space.0).raw(&hello.own.0).varint(hello.features);
                w.u8(hello.policy as u8).varint(hello.credit);
            }
            Message::Heads(heads) => put_ids(w.u8(0x82), heads),
            Message::WantStatements { want, have } => {
                w.u8(0x83).u16(want.len() as u16);
                put_ids(&mut w, want);
                put_ids(&mut w, have);
            }
            Message::Statement { total, offset, data } => put_piece(w.u8(0x84), *total, *offset, data),
            Message::Clock { whole, reach } => {
                w.u8(0x85).u8(u8::from(*whole));
                for (chain, reach) in reach {
                    w.raw(&chain.0).varint(reach.last).raw(&reach.head);
                }
            }
            Message::Want(wanted) => {
                w.u8(0x86);
                for one in wanted {
                    w.raw(&one.chain.0).varint(one.after);
                    match one.resume {
                        None => w.varint(0),
                        Some(resume) => w.varint(resume.offset.into()).raw(&resume.token),
                    };
                }
            }
            Message::Stop(chains) => {
                w.u8(0x87);
                for chain in chains {
                    w.raw(&chain.0);
                }
            }
            Message::Batch { chain, first, parcel } => {
                w.u8(0x88).raw(&chain.0).varint(*first).raw(parcel);
            }
            Message::BatchPiece {
                chain,
                first,
                token,
                total,
                offset,
                data,
            } => {
                w.u8(0x94).raw(&chain.0).varint(*first).raw(token);
                put_piece(&mut w, *total, *offset, data);
            }
            Message::Credit(total) => {
                w.u8(0x89).varint(*total);
            }
            Message::WantChunks { urgent, chunks } => {
                w.u8(0x8a).u8(u8::from(*urgent));
                for (id, offset) in chunks {
                    w.raw(id).varint((*offset).into());
                }
            }
            Message::DropChunks(chunks) => put_ids(w.u8(0x8b), chunks),
            Message::Chunk {
                id,
                total,
                offset,
                data,
            } => {
                w.u8(0x8c).raw(id);
                put_piece(&mut w, *total, *offset, data);
            }
            Message::NotHere(chunks) => put_ids(w.u8(0x8d), chunks),
            Message::Here(chunks) => put_ids(w.u8(0x0e), chunks),
            Message::Ask { serial, ids } => put_ids(w.u8(0x8f).varint((*serial).into()), ids),
            Message::Held { serial, bits } => {
                w.u8(0x90).varint((*serial).into()).raw(bits);
            }
            Message::Ping => {
                w.u8(0x91);
            }
            Message::Pong => {
                w.u8(0x92);
            }
            Message::Goodbye(why) => {
                w.u8(0x93).u8(*why as u8);
            }
        }
        w.0
    }

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
                0 => Goodbye::Done,
                1 => Goodbye::Protocol,
                2 => Goodbye::Version,
                3 => Goodbye::Space,
                4 => Goodbye::Removed,
                5 => Goodbye::Replaced,
                6 => Goodbye::Forged,
                _ => return Err(Malformed("a goodbye for an unknown reason")),
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
        policy: match r.u8()? {
            1 => Policy::Everything,
            2 => Policy::NamesAndTexts,
            _ => return Err(Malformed("a policy of an unknown kind")),
        },
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
