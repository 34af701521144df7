//! Devices of one vault finding each other, and telling each other what is new. With the relay, the only
//! crate that names `libp2p`; it never names the mounted folder.
//!
//! Modules, each importing only from groups above its own; `scripts/check-deps` sees to it:

pub mod core; // the protocol without I/O: bytes, time and answers in; bytes and actions out
pub mod pairing; // how a new device becomes a member

pub mod replica; // what the network asks of a vault

pub mod carrier; // the protocol's other way: a folder that is carried or shared

pub mod vault; // a real vault, for it

pub mod net; // the network: libp2p around the protocol
