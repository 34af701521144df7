//! Lists of events as records hold them: those of the record's own chain by how far they lie back,
//! those of others by a chain that is named once in the list.
//!
//! An event is 0 ‖ own sequence number − its (varint, modulo 2⁶⁴) if it is of the own chain; 1 ‖
//! chain (16) ‖ sequence number (varint) the first time that another chain is named; k + 2 (varint) ‖
//! sequence number (varint) for the k-th chain that the list named before, counted from 0.
//!
//! Guarantees: a list has one form, stands for itself whatever other lists say, and makes no room by a
//! count that was not compared with the bytes at hand. It says nothing of whether there are such events.

use std::collections::HashMap;

use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef};

const OWN: u64 = 0;
const NEW: u64 = 1;
/// A chain that is named again: this, and its place among those that were.
const AGAIN: u64 = 2;
/// The shortest event in a list, in bytes.
const SHORTEST: usize = 2;

/// The chains that a list has named.
#[derive(Default)]
struct Named {
    chains: Vec<ChainId>,
    places: HashMap<ChainId, u64>,
}

impl Named {
    fn name(&mut self, chain: ChainId) {
        self.places.insert(chain, self.chains.len() as u64);
        self.chains.push(chain);
    }
}

/// Writes how many there are (varint), and each, in the record of the event `of`.
pub(crate) fn put_list(w: &mut Writer, of: EventRef, list: &[EventRef]) {
    let mut named = Named::default();
    w.varint(list.len() as u64);
    for at in list {
        if at.chain == of.chain {
            w.varint(OWN).varint(of.seq.wrapping_sub(at.seq));
        } else if let Some(place) = named.places.get(&at.chain) {
            w.varint(AGAIN + place).varint(at.seq);
        } else {
            named.name(at.chain);
            w.varint(NEW).raw(&at.chain.0).varint(at.seq);
        }
    }
}

/// The inverse, of at most so many.
///
/// # Errors
/// [`Malformed`] for anything but what [`put_list`] writes.
pub(crate) fn get_list(r: &mut Reader<'_>, of: EventRef, most: usize) -> Result<Vec<EventRef>, Malformed> {
    let count = r.varint32()? as usize;
    if count > most || count > r.remaining() / SHORTEST {
        return Err(Malformed("it names more versions than it can"));
    }
    let mut named = Named::default();
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let (chain, seq) = match r.varint()? {
            OWN => (of.chain, of.seq.wrapping_sub(r.varint()?)),
            NEW => {
                let chain = ChainId(r.array()?);
                if chain == of.chain || named.places.contains_key(&chain) {
                    return Err(Malformed("it names a chain in a longer way than it needs to"));
                }
                named.name(chain);
                (chain, r.varint()?)
            }
            again => {
                let place = usize::try_from(again - AGAIN).ok();
                let chain = place.and_then(|place| named.chains.get(place));
                let chain = *chain.ok_or(Malformed("it names a chain that was not named before"))?;
                (chain, r.varint()?)
            }
        };
        list.push(EventRef { chain, seq });
    }
    Ok(list)
}
