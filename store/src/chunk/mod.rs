//! Chunks: where a file's bytes are cut, and the pack files that hold the sealed pieces.
//!
//! Knows nothing of keys beyond the one that hides the cuts: payloads come sealed and
//! leave sealed.

pub mod cut;
pub mod pack;

pub use cut::{AVG, Cutter, MAX, MIN, Scan, WINDOW};
pub use pack::{PackError, Packs, Place};
