//! The bytes of what was said of names, and of what is settled of a node, as their rows have them.
//!
//! Guarantees: `decode(encode(x)) == x`; nothing is made room for by a length that was not compared with the bytes at hand.

use crate::codec::{Malformed, Reader, Writer};
use crate::event::{EventRef, NodeState};
use crate::ids::{ChainId, NodeId};
use crate::moves::{Ground, Op, Place, Stamp, Step, Target};

/// Most versions that a removal can have seen: as many as an event can name.
const SAW_MAX: u16 = 1024;

/// What a Node event says of a node, as an operation does.
pub(in crate::vault) fn place_of(state: NodeState) -> Place {
    Place {
        parent: state.parent,
        name: state.name.into_boxed_slice(),
        target: state.entity.map_or(Target::Folder, Target::Entity),
        // What else is in there is no permission, and nobody is to take it for a kind.
        perm: state.perm & 0o7777,
        xattrs: state.xattrs,
        when: state.when.sec,
    }
}

fn state_of(place: &Place) -> NodeState {
    NodeState {
        parent: place.parent,
        entity: match place.target {
            Target::Folder => None,
            Target::Entity(entity) => Some(entity),
        },
        perm: place.perm,
        xattrs: place.xattrs.clone(),
        when: crate::record::Time {
            sec: place.when,
            nsec: 0,
        },
        name: place.name.to_vec(),
    }
}

/// Version 0 (1) ‖ Lamport time (8) ‖ node (16) ‖ 0, versions that were seen (2 + 24 each) and when that was said; or 1, its
/// place as an event has it; or 2, for what was let go of.
pub(super) fn encode(op: &Op) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(0).u64(op.stamp.lamport).raw(&op.node.0);
    match &op.step {
        Step::Gone(saw, when) => {
            w.u8(0);
            put_saw(&mut w, saw);
            put_when(&mut w, *when);
        }
        Step::Place(place) => {
            w.u8(1).raw(&state_of(place).encode());
        }
        Step::Unsaid => drop(w.u8(2)),
    }
    w.0
}

fn get_saw(r: &mut Reader<'_>) -> Result<Box<[EventRef]>, Malformed> {
    let count = r.u16()?;
    if count > SAW_MAX {
        return Err(Malformed("a removal that saw too much"));
    }
    let saw = (0..count).map(|_| {
        Ok(EventRef {
            chain: ChainId(r.array()?),
            seq: r.u64()?,
        })
    });
    saw.collect()
}

/// When a removal was said: 0, or 1 ‖ seconds since 1970 (8).
fn put_when(w: &mut Writer, when: Option<i64>) {
    match when {
        Some(when) => w.u8(1).i64(when),
        None => w.u8(0),
    };
}

fn get_when(r: &mut Reader<'_>) -> Result<Option<i64>, Malformed> {
    match r.u8()? {
        0 => Ok(None),
        1 => Ok(Some(r.i64()?)),
        _ => Err(Malformed("a removal at no time")),
    }
}

fn put_saw(w: &mut Writer, saw: &[EventRef]) {
    w.u16(saw.len() as u16);
    for saw in saw {
        w.raw(&saw.chain.0).u64(saw.seq);
    }
}

/// Version 0 (1) ‖ what put it there (32) ‖ 0; or 1 ‖ what removed it (32) ‖ versions that were seen (4 + 24 each) ‖ when that
/// was said; ‖ its place as an event has it.
/// In place of 0 and 1 stand 2 and 3 where it lay elsewhere since.
pub(super) fn encode_ground(ground: &Ground) -> Vec<u8> {
    let stamp = |w: &mut Writer, stamp: &Stamp| {
        w.u64(stamp.lamport).raw(&stamp.at.chain.0).u64(stamp.at.seq);
    };
    let (put, place) = &ground.place;
    let moved = u8::from(ground.moved) << 1;
    let mut w = Writer::new();
    w.u8(0);
    stamp(&mut w, put);
    match &ground.gone {
        None => drop(w.u8(moved)),
        Some((gone, saw, when)) => {
            w.u8(1 | moved);
            stamp(&mut w, gone);
            w.u32(saw.len() as u32);
            for saw in saw {
                w.raw(&saw.chain.0).u64(saw.seq);
            }
            put_when(&mut w, *when);
        }
    }
    w.raw(&state_of(place).encode());
    w.0
}

pub(super) fn decode_ground(bytes: &[u8]) -> Result<Ground, Malformed> {
    let event = |r: &mut Reader<'_>| -> Result<EventRef, Malformed> {
        let (chain, seq) = (ChainId(r.array()?), r.u64()?);
        Ok(EventRef { chain, seq })
    };
    let stamp = |r: &mut Reader<'_>| -> Result<Stamp, Malformed> {
        let lamport = r.u64()?;
        Ok(Stamp {
            lamport,
            at: event(r)?,
        })
    };
    let mut r = Reader::new(bytes);
    if r.u8()? != 0 {
        return Err(Malformed("the record of a settled name is of an unknown version"));
    }
    let put = stamp(&mut r)?;
    let kind = r.u8()?;
    let gone = match kind {
        0 | 2 => None,
        1 | 3 => {
            let (gone, count) = (stamp(&mut r)?, r.u32()?);
            let saw = (0..count).map(|_| event(&mut r));
            let saw = saw.collect::<Result<Box<[_]>, _>>()?;
            Some((gone, saw, get_when(&mut r)?))
        }
        _ => return Err(Malformed("a settled name of an unknown kind")),
    };
    let place = place_of(NodeState::decode(r.rest())?);
    let ground = Ground {
        place: (put, place),
        gone,
        moved: kind & 2 != 0,
    };
    match encode_ground(&ground) == bytes {
        true => Ok(ground),
        false => Err(Malformed(
            "the record of a settled name says what no operation does",
        )),
    }
}

/// Decodes the row of what is settled of a node, and encodes what it said. For tests.
pub(crate) fn ground_again(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(encode_ground(&decode_ground(bytes).ok()?))
}

pub(super) fn decode(at: EventRef, bytes: &[u8]) -> Result<Op, Malformed> {
    let mut r = Reader::new(bytes);
    if r.u8()? != 0 {
        return Err(Malformed("the record of a name's place is of an unknown version"));
    }
    let lamport = r.u64()?;
    let stamp = Stamp { lamport, at };
    let node = NodeId(r.array()?);
    let step = match r.u8()? {
        0 => {
            let (saw, when) = (get_saw(&mut r)?, get_when(&mut r)?);
            r.end()?;
            Step::Gone(saw, when)
        }
        1 => Step::Place(place_of(NodeState::decode(r.rest())?)),
        2 => {
            r.end()?;
            Step::Unsaid
        }
        _ => return Err(Malformed("a step of an unknown kind")),
    };
    Ok(Op { stamp, node, step })
}
