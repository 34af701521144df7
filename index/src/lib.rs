//! What the files of a vault say: notes, links, tasks, contacts and events as rows; and results of queries over
//! them, written for people and programs.
//!
//! Guarantees: any bytes give rows or problems. Knows no vault, no file system, no network and no SQL; keeps nothing.

pub mod rows; // what is read out of a file

pub mod parse; // files to rows
pub mod resolve; // where links lead

pub mod output; // results of queries, for people and programs
