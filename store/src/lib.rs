//! The vault: keys, sealing, chunks, events, tree, and the database under them.
//! No network, no FUSE, no SQL.
//!
//! Modules, each importing only those above it:

pub mod io;

pub mod chunk;
pub mod keys;
pub mod tree;
