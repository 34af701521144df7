//! The index: what is in a vault, as tables for SQL, searched, and drawn.
//!
//! Guarantees: any bytes give rows or problems; what queries see follows from what the vault is. Knows no vault, no file system and no
//! network; keeps nothing but in memory, in a process of its own that can reach nothing (`worker`). docs/index.md says how it works.

mod few; // a set of numbers that mostly has one
pub mod rows; // what is read out of a file

pub mod parse; // files to rows
pub mod resolve; // where links lead
pub mod said; // messages

pub mod catalog; // the tables and views
pub mod search; // full-text search
pub mod texts; // notes' texts

pub mod sql; // queries

pub mod keep; // as the vault is
pub mod output; // results of queries, for people and programs

pub mod client; // who tells and asks
pub mod worker; // the process

pub mod chart; // charts of what a query gives
