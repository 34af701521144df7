//! What of the shared tree is settled: nothing can be said any more that comes before it.
//!
//! Everything is about chains. A device **acknowledges** how far it durably has each chain. A chain that is silent for
//! long is **lapsed** at some event: what it says beyond counts, wherever it was said, only as of the time at which somebody
//! **admits** it. So does everything on a chain but the first one of whoever founded the space. The reasons, and why
//! this is safe, stand in `docs/tree.md`.
//!
//! Guarantees: what comes out follows from what was said alone, in whatever order it was heard; a gate is passed by
//! no circle of chains that admit each other; what is below a line that was once drawn stays as it is, as long as devices say what they
//! should. It does no I/O, asks no clock, and decides nothing about membership: who may lapse whom it asks ([`Order`]).
//!
//! Parts, each importing only those above it: `said` (what was said, and its bytes), `gates` (when an event counts as
//! said), `line` (which chains are open, and up to where all is settled).

mod said;

mod gates;

mod line;

#[cfg(test)]
mod tests;

pub use gates::{Gates, Order, Right};
pub use line::{FirstAfter, View, lapsed, line};
pub use said::{ACKS_MAX, Said, Say, Word};
