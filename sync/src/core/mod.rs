//! The protocol between devices of one space, without I/O: bytes, time and the store's answers go in;
//! bytes and actions come out. docs/protocol.md specifies it.
//!
//! A [`Node`] is one device. It has a session for each connected peer that the transport has proven to
//! be a member, knows what all of them have and need, asks each thing of one of them, and forwards what it
//! learns. Whoever drives it gives it what came ([`Node::receive`]), what was written ([`Node::wrote`]), the
//! store's answers ([`Node::answer`]) and the time ([`Node::tick`]), and does what [`Node::poll`] says.
//!
//! Guarantees: what a peer sends is bounded before room is made for it, and no bytes from anybody make it
//! panic; memory is bounded whatever peers do; a slow peer slows itself alone; nothing is sent in a session
//! after its end. It never reads a clock, never draws a random number, never opens a payload: whether events,
//! statements and chunks are what they claim is the store's to say.
//!
//! Not here yet: states for devices that were away for long; every event is sent.
//!
//! Parts: `limits`, `api` (what goes in and out), `access` (what membership says of a peer), `ended` (why sessions
//! end), `wire` (messages), `meter` (rates), `session` (one peer), `node` (all of them).

mod access;
mod api;
mod ended;
pub mod limits;
mod meter;
mod node;
mod session;
pub mod wire;

pub use access::{Access, CertifiedPeer, Standing};
pub use api::{
    Action, Answer, ChunkName, ChunkOutcome, Millis, Outcome, PeerId, Policy, Progress, Report, Request,
    SessionId, StatementId, StatementOutcome, Urgency,
};
pub use ended::Ended;
pub use node::{Config, Node, Peer};
