//! The operations of a change: each inserts one character into the text, or deletes one.
//!
//! Guarantees: when it agrees, every operation is of the text of this genesis, refers to
//! counters below its own, no character is deleted twice, and every column ends with the last operation. Of memory, eight bytes a
//! deletion.

use super::chunk::Chunk;
use super::input::Input;
use super::runs::{Deltas, Runs, Turns};
use super::{COUNTER_MAX, OPS_MAX, Refused, TEXT_COUNTER};
use crate::text::actor::Actor;
use crate::text::names::TEXT_MAX;

/// What operations do, by the format's numbers.
const SET: i64 = 1;
const DELETE: i64 = 3;
/// The type of a value, the low four bits: text; nothing has type and length 0.
const STRING: i64 = 6;

/// Whose operations a change may name.
struct Names {
    /// Numbers below this: the actor itself is 0.
    count: u64,
    /// The genesis's number.
    genesis: u64,
    /// The counter of the change's first operation.
    start: u64,
}

/// Reads all operations; their number, at least one.
pub(super) fn read(chunk: &Chunk<'_>, genesis: Actor) -> Result<u64, Refused> {
    let [
        object_actor,
        object,
        key_actor,
        key,
        insert,
        action,
        meta,
        value,
        preds,
        pred_actor,
        pred,
    ] = chunk.columns;
    // All that an edit inserts stands in the text that it makes.
    if value.len() > TEXT_MAX {
        return Err(Refused("it inserts more than a text has"));
    }
    let count = Runs::unsigned(action).count(OPS_MAX)?;
    if count == 0 {
        return Err(Refused("it does nothing"));
    }
    if chunk.start_op + count > COUNTER_MAX {
        return Err(Refused("its number is out of reach"));
    }
    let genesis = chunk.others.binary_search(&genesis);
    let names = Names {
        count: chunk.others.len() as u64 + 1,
        genesis: genesis.map_err(|_| Refused("it is of another text"))? as u64 + 1,
        start: chunk.start_op,
    };
    let mut object_actor = Runs::unsigned(object_actor);
    let mut object = Runs::unsigned(object);
    let mut key_actor = Runs::unsigned(key_actor);
    let mut key = Deltas::new(key);
    let mut insert = Turns::new(insert);
    let mut action = Runs::unsigned(action);
    let mut meta = Runs::unsigned(meta);
    let mut value = Input::new(value);
    let mut preds = Runs::unsigned(preds);
    let mut pred_actor = Runs::unsigned(pred_actor);
    let mut pred = Deltas::new(pred);

    // Without this a hundred bytes delete one character two million times, which costs the library as many operations.
    let mut deleted = Vec::new();
    for row in 0..count {
        if object_actor.some()? != names.genesis as i64 || object.some()? != TEXT_COUNTER as i64 {
            return Err(Refused("it changes something besides the text"));
        }
        let (key_actor, key) = (key_actor.next()?, key.some()?);
        let (action, insert) = (action.some()?, insert.next()?);
        let (meta, preds) = (meta.some()?, preds.some()?);
        match (action, insert, preds) {
            (SET, true, 0) => {
                // At the text's start, or behind a character.
                if !(key_actor.is_none() && key == 0) {
                    names.character(key_actor, key, row)?;
                }
                character(meta, &mut value)?;
            }
            (DELETE, false, 1) if meta == 0 => {
                names.character(key_actor, key, row)?;
                if Some(pred_actor.some()?) != key_actor || pred.some()? != key {
                    return Err(Refused("it deletes something besides a character"));
                }
                let one = (key_actor.unwrap_or(0) as u64) << 32 | key;
                if deleted.last() == Some(&one) {
                    return Err(Refused("it deletes a character twice"));
                }
                deleted.push(one);
            }
            _ => return Err(Refused("it does something besides inserting and deleting")),
        }
    }

    deleted.sort_unstable();
    if !deleted.is_sorted_by(|a, b| a < b) {
        return Err(Refused("it deletes a character twice"));
    }

    for column in [
        &object_actor,
        &object,
        &key_actor,
        &action,
        &meta,
        &preds,
        &pred_actor,
    ] {
        column.end()?;
    }
    key.end()?;
    pred.end()?;
    insert.end()?;
    if !value.is_empty() {
        return Err(Refused("a column is longer than the others"));
    }
    Ok(count)
}

impl Names {
    /// That this can be a character which was there before operation `row`.
    fn character(&self, actor: Option<i64>, counter: u64, row: u64) -> Result<(), Refused> {
        let actor = actor.and_then(|actor| u64::try_from(actor).ok());
        let actor = actor.filter(|actor| *actor < self.count);
        let below = match actor {
            Some(0) => self.start + row,
            Some(_) => self.start,
            None => return Err(Refused("it names an actor that it does not list")),
        };
        let first = if actor == Some(self.genesis) {
            TEXT_COUNTER + 1
        } else {
            1
        };
        if (first..below).contains(&counter) {
            Ok(())
        } else {
            Err(Refused("it refers to what cannot be there"))
        }
    }
}

/// That the next value is text of one character.
fn character(meta: i64, value: &mut Input<'_>) -> Result<(), Refused> {
    let len = meta >> 4;
    if meta & 0b1111 != STRING || !(1..=4).contains(&len) {
        return Err(Refused("it inserts something besides characters"));
    }
    let text = std::str::from_utf8(value.take(len as usize)?);
    if text.is_ok_and(|text| text.chars().count() == 1) {
        Ok(())
    } else {
        Err(Refused("it inserts something besides characters"))
    }
}
