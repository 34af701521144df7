//! The vault: keys, sealing, chunks, events, tree, and the database under them.
//! No network, no FUSE, no SQL.
//!
//! Modules, each importing only from groups above its own; `scripts/check-deps` sees to it:

pub mod io; // files behind a trait; a simulated disk
pub mod keys; // secrets, sealing, derivation, the header

mod anchor; // the database's file
pub mod chunk; // where bytes are cut; packs
pub mod codec; // fields of records and messages
pub mod ids; // names of things

pub mod db; // the database and its set hash
pub mod record; // local records, and what they are made of

mod binding; // which entity a file stands for

pub mod event; // events and their chains
pub mod horizon; // what of the tree is settled
pub mod members; // who belongs to a space
pub mod moves; // names that all devices share
pub mod tree; // names in memory

pub mod text; // texts that merge

mod core; // what the parts of an open vault share

mod content; // one file's bytes

pub mod vault; // the open vault

#[doc(hidden)]
pub mod testing; // doors for tests and fuzz targets

pub use codec::Malformed;
pub use core::{Absent, StoreError};
