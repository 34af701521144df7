//! Rows of what was said of names, and of keys of entities that have no name here yet.
//!
//! An operation's row is written in the transaction that stores its event, and says the same as that,
//! so that the tree of all devices is had without opening every batch there is. Where it lies among
//! all is its key; that is bound into the seal.

use crate::codec::{Malformed, Reader, Writer};
use crate::core::{Keyring, StoreError};
use crate::db::{Batch, Table};
use crate::event::{EventKind, EventRef, Found, NodeState, gone_aad, node_aad};
use crate::ids::{ChainId, EntityId, NodeId, ROOT_NODE};
use crate::keys::{Aad, Key, open, seal};
use crate::moves::{Op, Place, Stamp, Step, Target};
use crate::record::kind;
use crate::vault::Vault;
use crate::vault::texts::Verdict;

/// The row that says that names are shared: operations have rows.
pub(super) const BEGUN: &[u8] = &[0];
const OP: u8 = 1;
const KEY: u8 = 2;
/// Most versions that a removal can have seen: as many as an event can name.
const SAW_MAX: u16 = 1024;

fn op_row(stamp: &Stamp) -> Vec<u8> {
    let at = &stamp.at;
    [
        &[OP][..],
        &stamp.lamport.to_be_bytes(),
        &at.chain.0,
        &at.seq.to_be_bytes(),
    ]
    .concat()
}

fn split(row: &[u8]) -> Option<Stamp> {
    let (lamport, rest) = row.strip_prefix(&[OP])?.split_first_chunk::<8>()?;
    let (chain, seq) = rest.split_first_chunk::<16>()?;
    let at = EventRef {
        chain: ChainId(*chain),
        seq: u64::from_be_bytes(seq.try_into().ok()?),
    };
    let lamport = u64::from_be_bytes(*lamport);
    Some(Stamp { lamport, at })
}

fn key_row(entity: &EntityId) -> Vec<u8> {
    [&[KEY][..], &entity.0].concat()
}

fn op_aad(stamp: &Stamp) -> Aad {
    Aad {
        kind: kind::MOVE,
        id: stamp.at.chain.0,
        chain: [0; 16],
        version: stamp.at.seq,
        generation: 0,
    }
}

fn key_aad(entity: &EntityId) -> Aad {
    Aad {
        kind: kind::AWAITED,
        id: entity.0,
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

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

/// Version 0 (1) ‖ Lamport time (8) ‖ node (16) ‖ 0, versions that were seen (2 + 24 each) or 1, its place as an
/// event has it.
fn encode(op: &Op) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(0).u64(op.stamp.lamport).raw(&op.node.0);
    match &op.step {
        Step::Gone(saw) => {
            w.u8(0).u16(saw.len() as u16);
            for saw in saw {
                w.raw(&saw.chain.0).u64(saw.seq);
            }
        }
        Step::Place(place) => {
            w.u8(1).raw(&state_of(place).encode());
        }
    }
    w.0
}

fn decode(stamp: Stamp, bytes: &[u8]) -> Result<Op, Malformed> {
    let mut r = Reader::new(bytes);
    if r.u8()? != 0 || r.u64()? != stamp.lamport {
        return Err(Malformed("the record of a name's place contradicts itself"));
    }
    let node = NodeId(r.array()?);
    let step = match r.u8()? {
        0 => {
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
            let saw = saw.collect::<Result<Box<[_]>, Malformed>>()?;
            r.end()?;
            Step::Gone(saw)
        }
        1 => Step::Place(place_of(NodeState::decode(r.rest())?)),
        _ => return Err(Malformed("a step of an unknown kind")),
    };
    Ok(Op { stamp, node, step })
}

impl Vault {
    /// Notes an operation.
    pub(in crate::vault) fn put_op(&self, batch: &mut Batch, op: &Op) {
        let sealed = seal(&self.local, &op_aad(&op.stamp), &encode(op));
        batch.put(Table::Moves, op_row(&op.stamp), sealed);
    }

    /// All that are noted, and how many cannot be read.
    pub(in crate::vault) fn ops(&self) -> Result<(Vec<Op>, u64), StoreError> {
        let (mut ops, mut bad) = (Vec::new(), 0);
        self.core.db.scan(Table::Moves, &[OP], &mut |row, sealed| {
            let op = split(row).and_then(|stamp| {
                let plain = open(&self.local, &op_aad(&stamp), sealed).ok()?;
                decode(stamp, &plain).ok()
            });
            match op {
                Some(op) => ops.push(op),
                None => bad += 1,
            }
            true
        })?;
        Ok((ops, bad))
    }

    /// Keeps the key of an entity that has no name here yet.
    pub(in crate::vault) fn put_awaited(&self, batch: &mut Batch, entity: &EntityId, key: &Key) {
        let sealed = seal(&self.local, &key_aad(entity), key.expose());
        batch.put(Table::Moves, key_row(entity), sealed);
    }

    /// It has one, or is no more.
    pub(in crate::vault) fn drop_awaited(&self, batch: &mut Batch, entity: &EntityId) {
        batch.delete(Table::Moves, key_row(entity));
    }

    /// The key of an entity that has no name here yet.
    pub(in crate::vault) fn awaited(&self, entity: &EntityId) -> Result<Option<Key>, StoreError> {
        let sealed = self.core.db.get(Table::Moves, &key_row(entity))?;
        sealed
            .map(|sealed| self.open_awaited(entity, &sealed))
            .transpose()
    }

    fn open_awaited(&self, entity: &EntityId, sealed: &[u8]) -> Result<Key, StoreError> {
        let what = "the key of a file that another device made";
        let plain = open(&self.local, &key_aad(entity), sealed).map_err(StoreError::tampered(what))?;
        let plain = zeroize::Zeroizing::new(plain);
        let mut bytes = <[u8; 32]>::try_from(plain.as_slice())
            .map_err(|_| StoreError::malformed(what)(Malformed("a key of another length")))?;
        Ok(Key::take(&mut bytes))
    }

    /// The keys of all such entities, and how many cannot be read.
    pub(in crate::vault) fn all_awaited(&self) -> Result<(Vec<(EntityId, Key)>, u64), StoreError> {
        let (mut found, mut bad) = (Vec::new(), 0);
        self.core.db.scan(Table::Moves, &[KEY], &mut |row, sealed| {
            let entity = row.get(1..).and_then(|id| <[u8; 16]>::try_from(id).ok());
            let key = entity.map(|id| (EntityId(id), self.open_awaited(&EntityId(id), sealed)));
            match key {
                Some((entity, Ok(key))) => found.push((entity, key)),
                _ => bad += 1,
            }
            true
        })?;
        Ok((found, bad))
    }

    /// What an event says of a name; none if it says nothing of names.
    ///
    /// # Errors
    /// The verdict on one that cannot be used, or not yet.
    pub(in crate::vault) fn op_of(&self, keyring: &Keyring, found: &Found) -> Result<Option<Op>, Verdict> {
        let head = &found.event.head;
        let node = NodeId(head.subject);
        let (stamp, generation) = (
            Stamp {
                lamport: head.lamport,
                at: head.at,
            },
            head.generation,
        );
        let aad = match head.kind {
            EventKind::Node => node_aad(&node, head.at, generation),
            EventKind::NodeGone => gone_aad(&node, head.at, generation),
            _ => return Ok(None),
        };
        let sealed = found.event.sealed.as_deref().ok_or(Verdict::Waits)?;
        let plain = keyring.open_tree(&aad, sealed)?;
        if node == ROOT_NODE {
            return Err(Verdict::Refused);
        }
        let step = match head.kind {
            EventKind::Node => {
                let state = NodeState::decode(&plain).map_err(|_| Verdict::Refused)?;
                Step::Place(place_of(state))
            }
            _ if plain != [0] => return Err(Verdict::Refused),
            _ => Step::Gone(head.replaces.clone().into_boxed_slice()),
        };
        Ok(Some(Op { stamp, node, step }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that an operation comes back from its row as it was, and only at its own place.
    #[test]
    fn an_operation_is_what_its_row_says() {
        let at = |seq| EventRef {
            chain: ChainId([7; 16]),
            seq,
        };
        let stamp = Stamp {
            lamport: 9,
            at: at(4),
        };
        let place = Place {
            parent: NodeId([3; 16]),
            name: b"Garden.md"[..].into(),
            target: Target::Entity(EntityId([5; 16])),
            perm: 0o750,
            xattrs: None,
            when: 1_800_000_000,
        };
        for step in [Step::Place(place), Step::Gone(vec![at(1), at(3)].into())] {
            let node = NodeId([1; 16]);
            let op = Op { stamp, node, step };
            let bytes = encode(&op);
            assert_eq!(decode(split(&op_row(&stamp)).unwrap(), &bytes), Ok(op.clone()));
            let other = Stamp { lamport: 8, ..stamp };
            assert!(decode(other, &bytes).is_err());
            for len in 0..bytes.len() {
                let cut = decode(stamp, &bytes[..len]);
                assert!(cut.is_err() || cut.unwrap() != op, "cut at {len}");
            }
        }
    }
}
