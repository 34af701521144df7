//! What sync asks of an open vault: how far each chain is here, batches of any chain for whoever lacks them,
//! and chunks, given and taken.
//!
//! Guarantees: events are given as they are stored, byte for byte, in an order in which they can be taken in; a chunk
//! is taken only if something here names it, and its bytes are what that says. What is given lies on disk; what
//! was taken is durable with the next commit. It decides nothing about what is asked of whom.
//!
//! Parts: `chains` (how far chains are here, and batches given), `chunks` (what is lacking, and what comes).

mod chains;
mod chunks;

pub(super) use chains::damaged;
pub(super) use chunks::Lacking;
pub use chunks::{ChunkError, Need, Wanted};
