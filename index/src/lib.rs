//! What the files of a vault say: notes, links, tasks, contacts and events as rows, searched, and drawn.
//! What the files of a vault say: notes, links, tasks, contacts and events as rows; and results of queries over
//! them, written for people and programs.
//!
//! Guarantees: any bytes give rows or problems. Knows no vault, no file system and no network; keeps nothing but in memory.

pub mod rows; // what is read out of a file

pub mod parse; // files to rows
pub mod resolve; // where links lead

pub mod search; // full-text search

pub mod chart; // charts of what a query gives
pub mod output; // results of queries, for people and programs
