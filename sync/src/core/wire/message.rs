//! What two devices say to each other.

use coffer_store::ids::{ChainId, SpaceId};

use crate::core::{ChunkName, Policy, StatementId};

/// The version of the protocol that this is.
pub const VERSION: u16 = 1;
/// Feature: this side gives and takes statements of membership alone, until it sends a clock.
pub const LIMITED: u64 = 1;
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
    /// A sum of what it says beside its version: [`LIMITED`].
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
