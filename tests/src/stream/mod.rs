//! Streams of operations: how one is made, and how a failing one is shortened.

mod choice;
pub mod generate;
pub mod shrink;
