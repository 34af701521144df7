//! Streams of operations: how one is made, how many are tried, and how a failing one is shortened.

mod choice;
pub mod generate;
mod save;
pub mod shrink;
pub mod trial;
