//! Reads a change before Automerge does, and lets through only what [`Document::edit`] makes:
//! single characters inserted into the one text, single characters of it deleted.
//!
//! Why a reader of our own: 149 bytes can claim a million operations; chunks and columns can be
//! deflated; a hostile operation counter makes the library's next local edit abort the process;
//! a change could hold maps, marks or a second text. Here every count is compared with the
//! bytes at hand and with a limit, operations are walked, of which nothing is kept but what they delete (once each), and each form
//! that our encoder does not make is refused.
//!
//! What it cannot see, because it does not know the document: whether what is deleted or
//! inserted behind is there. The document checks counters and numbers against what it holds,
//! and survives the library's panics at the rest.
//!
//! The format: <https://automerge.org/automerge-binary-format-spec/>, change chunks.
//!
//! [`Document::edit`]: super::Document::edit

mod chunk;
mod input;
mod ops;
mod pack;
mod runs;

pub(super) use chunk::HASHED;
pub(super) use pack::{pack, unpack};

use super::actor::{Actor, Maker};
use super::change::ChangeHash;
use super::names::TEXT_MAX;

/// The longest change, in bytes. Two texts of the largest size differ by 1 Mi characters
/// deleted, at most 12 bytes each, and 1 MiB inserted, at most 3 bytes each byte.
pub(super) const CHANGE_MAX: usize = 16 << 20;
/// Most operations of one change: everything deleted, and as much inserted.
pub(super) const OPS_MAX: u64 = 2 * TEXT_MAX as u64;
/// The highest counter of an operation, in all of a text's past: the library keeps them in 32
/// bits, and half of that leaves room for whatever it adds.
pub(super) const COUNTER_MAX: u64 = 1 << 31;
/// The text itself: it is made by the first operation of the genesis.
pub(super) const TEXT_COUNTER: u64 = 1;

/// A change that was not let through, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a change of a text was refused, {0}: it is set aside, and the text goes on without it")]
pub struct Refused(pub &'static str);

/// What a change says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its name.
    pub(super) hash: ChangeHash,
    /// What it builds on, ascending.
    pub(super) deps: Vec<ChangeHash>,
    /// Who made it.
    pub(super) actor: Actor,
    /// The actor's how-manieth change it is: 1, 2, 3 …
    pub(super) seq: u64,
    /// The counter of its first operation.
    pub(super) start_op: u64,
    /// How many operations; at least one.
    pub(super) ops: u64,
}

impl Facts {
    /// The counter of its last operation.
    pub(super) fn max_op(&self) -> u64 {
        self.start_op + self.ops - 1
    }
}

/// Reads the change that an event of this maker carries, in the text whose genesis has this actor.
pub(super) fn read(bytes: &[u8], maker: Maker, genesis: Actor) -> Result<Facts, Refused> {
    let chunk = chunk::read(bytes)?;
    // Of the others the actor follows from the event alone.
    let packed = match maker.carries {
        true => pack(bytes)?,
        false => Vec::new(),
    };
    if chunk.actor != Actor::of(maker, &packed) {
        return Err(Refused("it is not by the chain that carries it"));
    }
    if maker.serial.is_some() && chunk.seq != 1 {
        return Err(Refused("its actor makes one change, and this is another"));
    }
    if chunk.deps.is_empty() {
        return Err(Refused("it builds on nothing"));
    }
    let ops = ops::read(&chunk, genesis)?;
    Ok(Facts {
        hash: chunk.hash,
        deps: chunk.deps,
        actor: chunk.actor,
        seq: chunk.seq,
        start_op: chunk.start_op,
        ops,
    })
}
