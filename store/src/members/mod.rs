//! Who belongs to a space: statements that devices sign, and what all of them together say.
//!
//! Statements form a graph: each names the newest that its author knew, by hash. The first one founds the
//! space, and its hash is the space's id, so nobody can found another under it. Any set of statements whose
//! ancestors are there comes to one [`State`], in whatever order they came ([`judge`] and [`epochs`] have the rules, and
//! `docs/members.md` their reasons and byte tables).
//!
//! Guarantees: what is in [`Members`] was verified, has all its ancestors there, and belongs to this space;
//! memory is bounded. A secret is in a statement only sealed to a member's key. It does no I/O, asks no clock, and
//! draws no randomness but for sealing.

mod body;
mod card;
mod chain;
mod epochs;
mod evaluate;
mod give;
mod graph;
mod ground;
mod judge;
mod reach;
mod say;
mod sealing;
mod state;
mod statement;

#[cfg(test)]
mod tests;

pub use body::{Body, Limit, Share};
pub use card::{BadName, Card, DeviceName, JoinRequest, TransportProof};
pub use chain::chain_id;
pub use graph::{Inserted, Members, Refused};
pub use ground::CannotSay;
pub use sealing::{NotOurs, SealingKey, SealingSecret, SpaceSecrets};
pub use state::{Access, Device, Epoch, Overruled, Removal, Signer, Standing, State};
pub use statement::{DeviceId, NotVerified, Statement, StatementId, Unverified, Verified};

/// The longest statement, in bytes.
pub const STATEMENT_MAX: usize = 64 << 10;
/// How many statements a space can have.
pub const STATEMENTS_MAX: usize = 65_536;
/// How long all statements of a space can be together, in bytes.
pub const BYTES_MAX: usize = 64 << 20;
/// How many parents all statements of a space can name together.
pub const EDGES_MAX: usize = 4 * STATEMENTS_MAX;
/// How many statements one names.
pub const PARENTS_MAX: usize = 64;
/// How many devices a space can ever have; those that came after count for nothing.
pub const DEVICES_MAX: usize = 1024;
/// How many of them come by one device that the founder added, itself included: one thief's friends do not take all seats.
pub const BRANCH_MAX: usize = 64;
/// How many members a space can have at one time: the secrets of an epoch, sealed to each, fit in one statement.
pub const MEMBERS_MAX: usize = 256;
/// How many statements are named at most to say how far somebody is.
pub const NAMED_MAX: usize = 1024;
/// How many statements wait for their ancestors at most.
pub const WAITING_MAX: usize = 1024;
