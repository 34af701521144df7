//! The space's devices, as this vault knows them: statements, and the keys of epochs that they bring.
//!
//! Data: the table `members` (each statement, sealed, by a number that gives an order in which they can be taken in), the
//! statements in memory, and in the device's secrets the keys of all epochs that it was given.
//!
//! Guarantees: a statement that is said here, or taken in, is durable before anybody is told so, in one transaction
//! with the keys that it brings; what it allows is allowed from that moment on. What cannot be stored is stored with the next one.
//! It decides nothing: who counts is [`members`](crate::members)' to say.
//!
//! Parts, each importing only those above it: `rows` (the table), `say` (what this device says), `hear` (what others say, and giving it
//! out), `join` (a vault that is made by joining), `who` (who is who).

mod hear;
mod join;
mod rows;
mod say;
mod who;

pub use hear::{TakeStatementError, TakenStatement};
pub use join::{JoinError, Joined};
pub(super) use rows::Devices;
pub use say::SayError;
