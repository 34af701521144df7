//! What goes into a [`Node`](super::Node) and comes out of it.

use std::sync::Arc;

use coffer_store::ids::ChainId;
use coffer_store::vault::{Carried, TakeInError, TakenIn};

use super::Ended;

/// A time in milliseconds, from any beginning; it never goes back.
pub type Millis = u64;
/// A device, as the transport has proven it.
pub type PeerId = [u8; 32];
/// A chunk's name: the keyed hash of its plaintext.
pub type ChunkName = [u8; 32];
/// A statement of membership's name: its hash.
pub type StatementId = [u8; 32];

/// A connection with one peer; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What a device keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Policy {
    /// All chunks.
    Everything = 1,
    /// Events, and chunks that were asked for.
    NamesAndTexts = 2,
}

impl Policy {
    /// What another device says that it keeps. One that only a later version has counts as the least.
    pub(crate) fn of_peer(byte: u8) -> Policy {
        match byte {
            1 => Policy::Everything,
            _ => Policy::NamesAndTexts,
        }
    }
}

/// How much a chunk is waited for; the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody has it open.
    Open,
    /// It is to be kept here.
    Pinned,
    /// Everything is kept here.
    Bulk,
}

/// What is to be done, in order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send these bytes, and say so with [`Node::wrote`](super::Node::wrote) when they are written.
    Send {
        /// In this session.
        session: SessionId,
        /// Some whole frames.
        bytes: Vec<u8>,
    },
    /// Ask the store, and give its answer to [`Node::answer`](super::Node::answer).
    Store(Request),
    /// Something to tell people, or whoever waits.
    Report(Report),
    /// End the connection, when what was sent before is written. The session is gone.
    Close {
        /// This one.
        session: SessionId,
        /// Why.
        why: Ended,
    },
}

/// What the store is asked. Each request is answered once, by the [`Answer`] of its name; of one session
/// in any order.
#[derive(Clone, Debug)]
pub enum Request {
    /// Batches of these chains that begin after these numbers, in an order in which they can be taken in (by the
    /// Lamport time of the first event): together about `most` bytes, and one at least if there is any.
    Batches {
        /// For this one.
        session: SessionId,
        /// Chains, and the last event that is not needed of each.
        after: Vec<(ChainId, u64)>,
        /// Bytes.
        most: usize,
    },
    /// Verify a batch and take it in; one at a time.
    TakeIn(Arc<Carried>),
    /// This store is older than what others know of it: tell nothing more on this device's present chain, and
    /// begin another.
    BeginChain,
    /// Which of these statements are not here.
    Lacking {
        /// For this one.
        session: SessionId,
        /// A peer's newest.
        heads: Vec<StatementId>,
    },
    /// The statements `want` and all that they follow, without those that `have` and what these follow
    /// are, in an order in which they can be taken in.
    Statements {
        /// For this one.
        session: SessionId,
        /// The newest; unknown ones count for nothing.
        want: Vec<StatementId>,
        /// What the peer has; unknown ones count for nothing.
        have: Vec<StatementId>,
        /// How many of them were given before.
        skip: usize,
        /// Bytes; one at least if there is any.
        most: usize,
    },
    /// Verify a statement and take it in.
    TakeStatement {
        /// It came from here.
        session: SessionId,
        /// The statement.
        bytes: Vec<u8>,
    },
    /// A chunk's sealed bytes.
    Chunk {
        /// For this one.
        session: SessionId,
        /// Its name.
        id: ChunkName,
        /// Whether somebody there waits for it.
        urgent: bool,
    },
    /// Verify a chunk and store it durably.
    TakeChunk {
        /// Its name.
        id: ChunkName,
        /// Its sealed bytes.
        bytes: Vec<u8>,
    },
    /// Which of these are held durably, and kept.
    Held {
        /// For this one.
        session: SessionId,
        /// The question's number.
        serial: u32,
        /// Chunks.
        ids: Vec<ChunkName>,
    },
    /// The next chunks that are wanted and not here, the most urgent first, manifest nodes before what they
    /// name; those given before that were not taken yet may be among them, and are counted.
    Wanted {
        /// How many at most; up to some ten thousand.
        most: usize,
    },
}

/// What the store says.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Request::Batches`]; none if there is nothing, or it cannot be read.
    Batches {
        /// The request's.
        session: SessionId,
        /// In order.
        batches: Vec<Arc<Carried>>,
    },
    /// To [`Request::TakeIn`].
    TakenIn(Outcome),
    /// To [`Request::BeginChain`]: the chain on which this device tells from now on; the present one if the store
    /// could not begin another, which is then asked for again.
    Began(ChainId),
    /// To [`Request::Lacking`].
    Lacking {
        /// The request's.
        session: SessionId,
        /// Those that are not here.
        want: Vec<StatementId>,
        /// What is here: the newest, and some of what they follow, farther and farther back; 64 at most.
        have: Vec<StatementId>,
    },
    /// To [`Request::Statements`].
    Statements {
        /// The request's.
        session: SessionId,
        /// In order.
        statements: Vec<Arc<[u8]>>,
        /// Whether there are more behind them.
        more: bool,
    },
    /// To [`Request::TakeStatement`].
    StatementTaken {
        /// The request's.
        session: SessionId,
        /// What came of it.
        outcome: StatementOutcome,
    },
    /// To [`Request::Chunk`].
    Chunk {
        /// The request's.
        session: SessionId,
        /// Its name.
        id: ChunkName,
        /// None if it is not here.
        bytes: Option<Arc<[u8]>>,
    },
    /// To [`Request::TakeChunk`].
    ChunkTaken {
        /// Its name.
        id: ChunkName,
        /// What came of it.
        outcome: ChunkOutcome,
    },
    /// To [`Request::Held`].
    Held {
        /// The request's.
        session: SessionId,
        /// The request's.
        serial: u32,
        /// For each of the chunks.
        held: Vec<bool>,
    },
    /// To [`Request::Wanted`].
    Wanted {
        /// Name, urgency, length in bytes.
        chunks: Vec<(ChunkName, Urgency, u32)>,
        /// Bytes that are wanted beyond these.
        beyond: u64,
    },
}

/// What came of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is here, durably.
    Taken,
    /// It was here before.
    Known,
    /// What it builds on is not here yet, or whose chain it is is not known yet.
    TooEarly,
    /// Its device has told something else at its place.
    Fork,
    /// It is of this device's present chain, signed by this device, and was not told by this store.
    Own,
    /// It is what its device signed, and is not taken all the same; a sentence that says why.
    Refused(String),
    /// It is not what its device signed; a sentence.
    Forged(String),
    /// The store could not (disk full, failing); a sentence.
    Failed(String),
}

impl From<Result<TakenIn, TakeInError>> for Outcome {
    fn from(taken: Result<TakenIn, TakeInError>) -> Outcome {
        let Err(error) = taken else {
            return Outcome::Taken;
        };
        let sentence = error.to_string();
        match error {
            TakeInError::Verify(_) => Outcome::Forged(sentence),
            // Counted far ahead of all that is known here: perhaps what it is counted by has not come yet.
            TakeInError::TooEarly | TakeInError::Clock => Outcome::TooEarly,
            TakeInError::Own => Outcome::Own,
            TakeInError::Fork => Outcome::Fork,
            TakeInError::Foreign | TakeInError::Removed => Outcome::Refused(sentence),
            TakeInError::Store(_) | TakeInError::Op(_) => Outcome::Failed(sentence),
        }
    }
}

/// What came of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementOutcome {
    /// It is here, durably; all the newest now.
    Taken(Vec<StatementId>),
    /// It was here, or waits for what it follows.
    Known,
    /// It is none; a sentence.
    Forged(String),
    /// The store could not (disk full, failing); a sentence.
    Failed(String),
}

/// What came of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkOutcome {
    /// It is here, durably; or nobody wants it any more.
    Stored,
    /// Its bytes are not those of its name.
    Damaged,
    /// The store could not (disk full, failing); a sentence.
    Failed(String),
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A peer speaks our protocol.
    Open {
        /// In this session.
        session: SessionId,
        /// This one.
        peer: PeerId,
        /// What it keeps.
        policy: Policy,
    },
    /// Two histories of one chain: its device was copied, or restored without saying so. Of this chain nothing more
    /// is taken in this session.
    Forked {
        /// The chain.
        chain: ChainId,
        /// Who has the other one.
        peer: PeerId,
    },
    /// A peer's events were refused. Of this chain nothing more is taken in this session.
    Refused {
        /// The chain.
        chain: ChainId,
        /// Who sent them.
        peer: PeerId,
        /// A sentence.
        why: String,
    },
    /// Others know more of this device than it does itself: its store is of another day.
    Behind {
        /// The chain, which is told on no more.
        chain: ChainId,
        /// Who knows more.
        peer: PeerId,
    },
    /// A peer has newest statements of membership that it does not give.
    Withheld {
        /// This one.
        peer: PeerId,
    },
    /// No peer that is connected has a chunk that somebody waits for.
    Nowhere {
        /// The chunk.
        id: ChunkName,
    },
    /// A peer that keeps everything holds these durably.
    Held {
        /// This one.
        peer: PeerId,
        /// The chunks.
        ids: Vec<ChunkName>,
    },
    /// The store could not do something, and is asked again; its sentence.
    StoreFailed(String),
}

/// How far a device is, as far as it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Open sessions.
    pub peers: usize,
    /// Events that peers say they have, and that are not here.
    pub events: u64,
    /// Chunks that are wanted and known by name here.
    pub chunks: u64,
    /// Bytes to come: of chunks, exactly; of events, by what they were long so far.
    pub bytes: u64,
    /// Bytes in a second, in and out, over the last few.
    pub rate: (u64, u64),
    /// Seconds to go, if something comes.
    pub seconds: Option<u64>,
}
