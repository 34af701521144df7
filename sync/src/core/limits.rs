//! The bounds of the protocol: what a peer may send, and what is held for it. docs/protocol.md lists
//! them; those that both sides must know alike are part of the format.

/// Longest frame, in bytes, without the two that say its length.
pub const FRAME_MAX: usize = 65_535;
/// Most bytes of an object in one frame: the rest is the frame's own fields.
pub const PIECE_MAX: usize = 60 << 10;
/// Longest batch as it travels, in bytes: a pack's longest record, and its row.
pub const BATCH_MAX: usize = (16 << 20) + (1 << 20);
/// Longest chunk as it is stored, in bytes: 1 MiB and its segments' tags, with room.
pub const CHUNK_MAX: usize = (1 << 20) + (64 << 10);
/// Longest statement of membership, in bytes.
pub const STATEMENT_MAX: usize = 64 << 10;
/// Shortest statement, in bytes: a signature.
pub const STATEMENT_MIN: usize = 64;
/// Most chains that are followed, and most that a peer may name.
pub const CHAINS_MAX: usize = 65_536;
/// Most ids in one message that lists 32-byte names.
pub const IDS_MAX: usize = 1_024;
/// Chunks that a peer may have asked for and not got yet, of either urgency.
pub const SERVING_MAX: usize = 1_024;
/// How many bytes of objects a peer may send beyond what was dealt with.
pub const WINDOW: u64 = 2 << 20;

/// Chunks asked of one peer at a time, of either urgency.
pub(crate) const ASKED_MAX: usize = 32;
/// Chunks that wait to be asked for: the store is asked for more when half are left.
pub(crate) const WANTED_MAX: usize = 4_096;
/// Bytes handed to the transport and not reported as written, of one session.
pub(crate) const UNWRITTEN_MAX: usize = 256 << 10;
/// Bytes of messages that are made ready and not sent: a peer that asks without reading ends there.
pub(crate) const CONTROL_MAX: usize = 512 << 10;
/// Bytes of batches read ahead for one peer.
pub(crate) const READ_AHEAD: usize = 256 << 10;
/// Batches that came before what they build on: how many, and bytes.
pub(crate) const ASIDE_MAX: (usize, usize) = (512, 16 << 20);
/// Chains that one session names, that membership does not know, and that are followed all the same.
pub(crate) const UNKNOWN_MAX: usize = 1_024;
/// Chains that are looked at in one step of time.
pub(crate) const CONSIDER_MAX: usize = 4_096;
/// Chunks that nobody who is connected has, and that are kept in mind.
pub(crate) const PARKED_MAX: usize = 16_384;
/// Chunks in the queue that are looked at in one step.
pub(crate) const SCAN_MAX: usize = 256;
/// Bytes in a second below which who sends something large is held to be stalling.
pub(crate) const PACE: u64 = 32 << 10;
/// Bytes that were read for a peer in vain, since it called them off; with more, it waits, and this many are forgiven
/// in a second.
pub(crate) const WASTE_MAX: u64 = 4 << 20;
pub(crate) const FORGIVEN: u64 = 256 << 10;
/// What a question for statements counts for.
pub(crate) const QUESTION: u64 = 4 << 10;
/// Bytes kept of batches, and of chunks, that a lost peer had sent in part.
pub(crate) const PARTIALS_MAX: usize = 20 << 20;
/// Bytes that nobody asked for: they may have been under way when something was called off.
pub(crate) const UNASKED_MAX: u64 = 16 << 20;
/// Bytes of messages of kinds that this version does not know; and so many more for each second of a session.
pub(crate) const STRANGE_MAX: (u64, u64) = (1 << 20, 1_000);
/// Questions whether chunks are held that one peer may have open.
pub(crate) const QUESTIONS_MAX: usize = 16;
/// Sessions with one peer; the oldest gives way.
pub(crate) const SESSIONS_PER_PEER: usize = 4;
/// Reports that wait for whoever polls; the oldest are dropped.
pub(crate) const REPORTS_MAX: usize = 1_024;

/// Times, in milliseconds.
pub(crate) mod times {
    /// The peer's first message must be here.
    pub(crate) const HELLO: u64 = 10_000;
    /// Nothing heard: a ping.
    pub(crate) const PING: u64 = 30_000;
    /// Nothing heard: the peer is gone.
    pub(crate) const DEAD: u64 = 90_000;
    /// Somebody else has news of a chain that its source has not told.
    pub(crate) const PATIENCE: u64 = 500;
    /// A source said that it has news, and sends nothing.
    pub(crate) const STALL: u64 = 10_000;
    /// A source that stalled is not asked again for what others have, for so long; twice as long each time.
    pub(crate) const COOL: u64 = 60_000;
    /// What a piece of something large buys at most, beyond these times.
    pub(crate) const PART: u64 = 60_000;
    /// What a whole batch buys at least.
    pub(crate) const BATCH: u64 = 200;
    /// Positions that the peer knows already are told it with so much delay.
    pub(crate) const LAZY: u64 = 1_000;
    /// A chunk that somebody waits for, and of which nothing comes, is asked of another peer.
    pub(crate) const CHUNK_URGENT: u64 = 3_000;
    /// The same for those that nobody waits for.
    pub(crate) const CHUNK_BULK: u64 = 15_000;
    /// What nobody had is asked for again.
    pub(crate) const NOWHERE: u64 = 60_000;
    /// The store could not: it is asked again.
    pub(crate) const STORE: u64 = 5_000;
}
