//! Lists of events as records hold them: those of the record's own chain by how far they lie back,
//! those of others by a chain that is named once.
//!
//! An event is 0 ‖ own sequence number − its (varint, modulo 2⁶⁴) if it is of the own chain; 1 ‖
//! chain (16) ‖ sequence number (varint) the first time that another chain is named; k + 2 (varint) ‖
//! sequence number (varint) for the k-th chain that was named before, counted from 0.
//!
//! Guarantees: a list has one form, and makes no room by a count that was not compared with the bytes
//! at hand. It says nothing of whether there are such events.

use std::collections::HashMap;

use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef};

const OWN: u64 = 0;
const NEW: u64 = 1;
/// A chain that is named again: this, and its place among those that were.
const AGAIN: u64 = 2;
/// The shortest event in a list, in bytes.
const SHORTEST: usize = 2;

/// Writes and reads lists, and remembers which chains were named.
pub(crate) struct Refs {
    own: ChainId,
    named: Vec<ChainId>,
    places: HashMap<ChainId, u64>,
    /// A list before was damaged: which chains are named after that is not known for sure.
    is_torn: bool,
}

impl Refs {
    /// In records of this chain.
    pub(crate) fn new(own: ChainId) -> Refs {
        Refs {
            own,
            named: Vec::new(),
            places: HashMap::new(),
            is_torn: false,
        }
    }

    /// From now on chains that nobody has named are read as one that nobody has, so that what comes
    /// after damage can be looked at. No strict reader goes on after damage.
    pub(crate) fn tear(&mut self) {
        self.is_torn = true;
    }

    /// Writes how many there are (varint), and each, in the record of the event `seq`.
    pub(crate) fn put(&mut self, w: &mut Writer, seq: u64, list: &[EventRef]) {
        w.varint(list.len() as u64);
        for at in list {
            if at.chain == self.own {
                w.varint(OWN).varint(seq.wrapping_sub(at.seq));
            } else if let Some(place) = self.places.get(&at.chain) {
                w.varint(AGAIN + place).varint(at.seq);
            } else {
                self.name(at.chain);
                w.varint(NEW).raw(&at.chain.0).varint(at.seq);
            }
        }
    }

    /// The inverse, of at most so many.
    ///
    /// # Errors
    /// [`Malformed`] for anything but what [`Refs::put`] writes.
    pub(crate) fn get(
        &mut self,
        r: &mut Reader<'_>,
        seq: u64,
        most: usize,
    ) -> Result<Vec<EventRef>, Malformed> {
        let count = r.varint32()? as usize;
        if count > most || count > r.remaining() / SHORTEST {
            return Err(Malformed("it names more versions than it can"));
        }
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            let (chain, seq) = match r.varint()? {
                OWN => (self.own, seq.wrapping_sub(r.varint()?)),
                NEW => {
                    let chain = ChainId(r.array()?);
                    if chain == self.own || self.places.contains_key(&chain) {
                        return Err(Malformed("it names a chain in a longer way than it needs to"));
                    }
                    self.name(chain);
                    (chain, r.varint()?)
                }
                again => {
                    let place = usize::try_from(again - AGAIN).ok();
                    let chain = match place.and_then(|place| self.named.get(place)) {
                        Some(chain) => *chain,
                        None if self.is_torn => ChainId([0; 16]),
                        None => return Err(Malformed("it names a chain that was not named before")),
                    };
                    (chain, r.varint()?)
                }
            };
            list.push(EventRef { chain, seq });
        }
        Ok(list)
    }

    fn name(&mut self, chain: ChainId) {
        self.places.insert(chain, self.named.len() as u64);
        self.named.push(chain);
    }
}
