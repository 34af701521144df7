//! What `index_truth` is made of, each part importing only those above it: `pair` (two devices of one vault), `act` (what people do
//! to files, at random), `plain` (a plain reading of a folder's files), `check` (what the index says, compared).

#![allow(dead_code, reason = "each suite uses its part")]

pub(crate) mod pair;

pub(crate) mod act;
pub(crate) mod plain;

pub(crate) mod check;
