//! A change as an event carries it: without what the event says already, which is a third of a small
//! edit.
//!
//! Left out are magic, checksum, type, length, the actor (it follows from the event's chain and
//! number), time and message (there are none), and the length of each name. What is left stands in
//! the order of Automerge's change chunk: how many changes it builds on, and their hashes; number of
//! the change; counter of its first operation; how many other actors it names, and these; columns.
//!
//! Guarantees: packing what was unpacked gives the same bytes again; so a change has one packed form.
//! It believes nothing: what is unpacked is to be read by [`super::read`] before anybody uses it.

use super::Refused;
use super::chunk::{MAGIC, TYPE_CHANGE};
use super::input::Input;
use crate::codec::Writer;
use crate::text::actor::Actor;

const HASH: usize = 32;
const ACTOR: usize = 16;

/// The fields before the columns, and these.
struct Parts<'a> {
    deps: &'a [u8],
    seq: u64,
    start_op: u64,
    others: Vec<&'a [u8]>,
    columns: &'a [u8],
}

/// Takes `count` names of `len` bytes.
fn names<'a>(input: &mut Input<'a>, len: usize) -> Result<&'a [u8], Refused> {
    let count = usize::try_from(input.unsigned()?).map_err(|_| Refused("it ends early"))?;
    input.take(count.checked_mul(len).ok_or(Refused("it ends early"))?)
}

/// The packed form of a change that was read.
///
/// # Errors
/// [`Refused`] for anything that is no plain change without time and message.
pub(in crate::text) fn pack(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut input = Input::new(bytes);
    input.take(MAGIC.len() + 4 + 1)?;
    input.unsigned()?;
    let deps = names(&mut input, HASH)?;
    names(&mut input, 1)?;
    let (seq, start_op) = (input.unsigned()?, input.unsigned()?);
    if input.signed()? != 0 || input.unsigned()? != 0 {
        return Err(Refused("it has a time or a message"));
    }
    let count = input.unsigned()?;
    let mut others = Vec::new();
    for _ in 0..count {
        let name = names(&mut input, 1)?;
        if name.len() != ACTOR {
            return Err(Refused("an actor is not of this vault"));
        }
        others.push(name);
    }
    let columns = input.take(input.len())?;
    let parts = Parts {
        deps,
        seq,
        start_op,
        others,
        columns,
    };
    Ok(parts.packed())
}

impl Parts<'_> {
    fn packed(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(self.deps.len() + self.columns.len() + 64));
        w.varint((self.deps.len() / HASH) as u64).raw(self.deps);
        w.varint(self.seq).varint(self.start_op);
        w.varint(self.others.len() as u64);
        for other in &self.others {
            w.raw(other);
        }
        w.raw(self.columns);
        w.0
    }
}

/// The change chunk that a packed form is, by this actor.
///
/// # Errors
/// [`Refused`] for what is no packed form.
pub(in crate::text) fn unpack(packed: &[u8], actor: Actor) -> Result<Vec<u8>, Refused> {
    let mut input = Input::new(packed);
    let deps = names(&mut input, HASH)?;
    let (seq, start_op) = (input.unsigned()?, input.unsigned()?);
    let others = names(&mut input, ACTOR)?;
    let columns = input.take(input.len())?;
    let mut body = Writer(Vec::with_capacity(packed.len() + 64));
    body.varint((deps.len() / HASH) as u64).raw(deps);
    body.varint(ACTOR as u64).raw(actor.bytes());
    body.varint(seq).varint(start_op).raw(&[0, 0]);
    body.varint((others.len() / ACTOR) as u64);
    for other in others.chunks(ACTOR) {
        body.varint(ACTOR as u64).raw(other);
    }
    body.raw(columns);
    let mut chunk = Writer::new();
    chunk.u8(TYPE_CHANGE).varint(body.0.len() as u64).raw(&body.0);
    let mut chunk = chunk.0;
    let digest = ring::digest::digest(&ring::digest::SHA256, &chunk);
    let mut out = Vec::with_capacity(chunk.len() + 8);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&digest.as_ref()[..4]);
    out.append(&mut chunk);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ChainId, EventRef};
    use crate::text::{Change, ChangeHash, Document, Maker};

    fn event(seq: u64) -> EventRef {
        EventRef {
            chain: ChainId([7; 16]),
            seq,
        }
    }

    /// Guards that what an event carries is the very change: packed and unpacked, of several bases and
    /// actors; and that cut or longer ones, or those of another maker, are other changes or none.
    #[test]
    fn what_is_packed_is_the_change() {
        let mut document = Document::genesis(event(1), "one two three four\n").unwrap();
        let mut all = Vec::new();
        let base = document.heads().unwrap();
        for (serial, text) in ["one 2 three four\n", "one two 3 four\n", "zero\none two three\n"]
            .into_iter()
            .enumerate()
        {
            let change = document.edit(&base, text, ChainId([9; 16]), serial as u64);
            all.push(change.unwrap().unwrap());
        }
        let heads = document.heads().unwrap();
        let change = document.edit(&heads, "all of it is new\n", ChainId([9; 16]), 8);
        all.push(change.unwrap().unwrap());
        for change in &all {
            let packed = change.packed();
            assert!(packed.len() + 30 <= change.bytes().len());
            let maker = change.maker();
            let read = Change::open(&packed, maker, event(1)).unwrap();
            assert_eq!(read.bytes(), change.bytes());
            assert_eq!(
                ChangeHash::of_packed(&packed, maker),
                Some(change.hash()),
                "its name follows"
            );
            let other = Maker {
                chain: ChainId([8; 16]),
                ..maker
            };
            assert_ne!(ChangeHash::of_packed(&packed, other), Some(change.hash()));
            for cut in 0..packed.len() {
                assert!(Change::open(&packed[..cut], maker, event(1)).is_err(), "{cut}");
            }
            let longer = [&packed[..], &[0]].concat();
            assert!(Change::open(&longer, maker, event(1)).is_err());
            for place in 0..packed.len() {
                let mut wrong = packed.clone();
                wrong[place] ^= 1;
                if let Ok(full) = unpack(&wrong, Actor::of(maker, &wrong)) {
                    assert_eq!(pack(&full).as_deref(), Ok(&wrong[..]), "one form, {place}");
                }
            }
        }
        assert_eq!(all[3].deps().len(), 3);
    }
}
