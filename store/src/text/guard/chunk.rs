//! The outside of a change: magic, checksum, type, lengths, and the fields before the columns.
//!
//! Guarantees: what it names lies in the bytes at hand; the hash is over these bytes. It makes
//! room for names only, each of which it has seen in full.

use super::input::Input;
use super::{CHANGE_MAX, COUNTER_MAX, Refused};
use crate::text::actor::Actor;
use crate::text::change::ChangeHash;

pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Where the bytes begin that the hash is over: type, length and contents.
pub(in crate::text) const HASHED: usize = 8;
/// A change that is not deflated.
pub(super) const TYPE_CHANGE: u8 = 1;
/// The bit of a column's number that says that it is deflated.
const DEFLATED: u64 = 0b1000;
/// The columns that an edit can have, by their numbers: id × 16 + type.
pub(super) const COLUMNS: [u64; 11] = [
    0x01, // object: actor
    0x02, // object: counter
    0x11, // key: actor
    0x13, // key: counter
    0x34, // insert
    0x42, // action
    0x56, // value: type and length
    0x57, // value
    0x70, // predecessors: how many
    0x71, // predecessors: actor
    0x73, // predecessors: counter
];

/// A change's fields and its columns, in the order of [`COLUMNS`], empty where there is none.
pub(super) struct Chunk<'a> {
    pub(super) hash: ChangeHash,
    pub(super) deps: Vec<ChangeHash>,
    pub(super) actor: Actor,
    pub(super) seq: u64,
    pub(super) start_op: u64,
    /// Whom its operations name besides the actor: numbers 1, 2, 3 …
    pub(super) others: Vec<Actor>,
    pub(super) columns: [&'a [u8]; COLUMNS.len()],
}

pub(super) fn read(bytes: &[u8]) -> Result<Chunk<'_>, Refused> {
    if bytes.len() > CHANGE_MAX {
        return Err(Refused("it is longer than any edit of a text"));
    }
    let mut input = Input::new(bytes);
    if input.array()? != MAGIC {
        return Err(Refused("it is no change of a text"));
    }
    let checksum: [u8; 4] = input.array()?;
    if input.byte()? != TYPE_CHANGE {
        return Err(Refused("it is not a plain change"));
    }
    if input.unsigned()? != input.len() as u64 {
        return Err(Refused("its length is not what it says"));
    }
    let hash = ChangeHash::of(bytes);
    if hash.0[..4] != checksum {
        return Err(Refused("its checksum is wrong"));
    }
    body(input, hash)
}

fn body(mut input: Input<'_>, hash: ChangeHash) -> Result<Chunk<'_>, Refused> {
    let deps = list(&mut input, 32, |input| Ok(ChangeHash(input.array()?)))?;
    let actor = actor(&mut input)?;
    let (seq, start_op) = (input.unsigned()?, input.unsigned()?);
    if seq == 0 || start_op == 0 || seq > COUNTER_MAX || start_op > COUNTER_MAX {
        return Err(Refused("its number is out of reach"));
    }
    if input.signed()? != 0 || input.unsigned()? != 0 {
        return Err(Refused("it has a time or a message"));
    }
    let others = list(&mut input, 17, self::actor)?;
    if others.binary_search(&actor).is_ok() {
        return Err(Refused("it names its own actor twice"));
    }
    let columns = columns(&mut input)?;
    Ok(Chunk {
        hash,
        deps,
        actor,
        seq,
        start_op,
        others,
        columns,
    })
}

/// So many names of one length in bytes, ascending, each once.
fn list<'a, T: Ord>(
    input: &mut Input<'a>,
    len: usize,
    mut name: impl FnMut(&mut Input<'a>) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let count = input.unsigned()?;
    if count > (input.len() / len) as u64 {
        return Err(Refused("it ends early"));
    }
    let mut names = Vec::with_capacity(count as usize);
    for _ in 0..count {
        names.push(name(input)?);
    }
    if names.is_sorted_by(|a, b| a < b) {
        Ok(names)
    } else {
        Err(Refused("its names are out of order"))
    }
}

fn actor(input: &mut Input<'_>) -> Result<Actor, Refused> {
    if input.unsigned()? != 16 {
        return Err(Refused("an actor is not of this vault"));
    }
    Ok(Actor::from_bytes(input.array()?))
}

/// Numbers and lengths of all columns, then their bytes, and nothing after.
fn columns<'a>(input: &mut Input<'a>) -> Result<[&'a [u8]; COLUMNS.len()], Refused> {
    let count = input.unsigned()?;
    if count > COLUMNS.len() as u64 {
        return Err(Refused("it has columns that no edit has"));
    }
    let mut lens = [0; COLUMNS.len()];
    let mut next = 0;
    for _ in 0..count {
        let number = input.unsigned()?;
        if number & DEFLATED != 0 {
            return Err(Refused("a column is deflated"));
        }
        let found = COLUMNS[next..].iter().position(|known| *known == number);
        let place = next + found.ok_or(Refused("it has columns that no edit has"))?;
        let len = usize::try_from(input.unsigned()?).map_err(|_| Refused("it ends early"))?;
        if len == 0 {
            return Err(Refused("a column is empty"));
        }
        (lens[place], next) = (len, place + 1);
    }
    let mut columns: [&[u8]; COLUMNS.len()] = [&[]; COLUMNS.len()];
    for (column, len) in columns.iter_mut().zip(lens) {
        *column = input.take(len)?;
    }
    if input.is_empty() {
        Ok(columns)
    } else {
        Err(Refused("bytes are left over at its end"))
    }
}
