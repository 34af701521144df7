//! The tree that all devices share: names, moves and removals of many chains, in whatever order they
//! arrive, come to one tree everywhere.
//!
//! It follows Kleppmann et al., “A highly-available move operation for replicated trees” (IEEE TPDS
//! 2022): operations have a total order, (Lamport time, chain, number); the tree is what they come to,
//! done in that order; a move that would put a folder into itself is skipped, on every device alike. One that
//! comes late is done in its place: what comes after it is undone, and done again.
//!
//! Guarantees: the same operations make the same tree, in whatever order and batches they come, and
//! twice as well as once; where nodes lie is a tree at every moment; nothing that is not removed, and no
//! edit that a removal has not seen, is without a name, once the folders that it lies in are known.
//! It owns no bytes and no inodes, asks no clock, and never touches a disk.
//!
//! Parts, each importing only those above it: `op` (what is said), `log` (the order, undo and redo), `settle` (what is settled),
//! `shown` (what of it a person sees), `suffix` (names of conflict files).

mod log;
mod op;
mod settle;
mod shown;
mod suffix;

#[cfg(test)]
mod tests;

pub use log::{Moves, TooLate};
pub use op::{Op, Place, Stamp, Step, Target};
pub use settle::{Ground, Settled};
pub use shown::{Changed, Label, Shown, Sight};
pub use suffix::{conflict_name, is_conflict_name};
