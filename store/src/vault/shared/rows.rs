//! Rows of what was said of names, and of keys of entities that have no name here yet.
//!
//! An operation's row is written in the transaction that stores its event, and says the same as that,
//! so that the tree of all devices is had without opening every batch there is. Where it lies among
//! all is its key; that is bound into the seal.

use std::collections::{HashMap, HashSet};

use super::forms::{decode, decode_ground, encode, encode_ground, place_of};
use crate::codec::Malformed;
use crate::core::{Keyring, StoreError};
use crate::db::{Batch, Table};
use crate::event::{EventKind, EventRef, Found, NodeGone, NodeState, gone_aad, node_aad};
use crate::ids::{ChainId, EntityId, NodeId, ROOT_NODE};
use crate::keys::{Aad, Key, open, seal};
use crate::moves::{Ground, Op, Stamp, Step};
use crate::record::kind;
use crate::vault::Vault;
use crate::vault::texts::Verdict;

/// What an event says of a name.
pub(in crate::vault) enum Said {
    /// This.
    Op(Op),
    /// It was let go of by whoever sent it: that is a step by itself.
    Nothing(Op),
}

/// The row that says that names are shared: operations have rows.
pub(super) const BEGUN: &[u8] = &[0];
const OP: u8 = 1;
const KEY: u8 = 2;
// 3 to 5 are what chains say of chains.
const GROUND: u8 = 6;
const GAP: u8 = 7;
/// Permission bits that there are.
const PERM_MAX: u16 = 0o7777;

fn op_row(at: &EventRef) -> Vec<u8> {
    [&[OP][..], &at.chain.0, &at.seq.to_be_bytes()].concat()
}

fn split(row: &[u8]) -> Option<EventRef> {
    let (chain, seq) = row.strip_prefix(&[OP])?.split_first_chunk::<16>()?;
    Some(EventRef {
        chain: ChainId(*chain),
        seq: u64::from_be_bytes(seq.try_into().ok()?),
    })
}

fn key_row(entity: &EntityId) -> Vec<u8> {
    [&[KEY][..], &entity.0].concat()
}

fn ground_row(node: &NodeId) -> Vec<u8> {
    [&[GROUND], &node.0[..]].concat()
}

fn gap_row(node: &NodeId) -> Vec<u8> {
    [&[GAP], &node.0[..]].concat()
}

/// Up to which Lamport time a gap's row says that something is lacking.
fn gap_time(row: &[u8]) -> u64 {
    let time = row
        .strip_prefix(&[0])
        .and_then(|time| <[u8; 8]>::try_from(time).ok());
    time.map_or(0, u64::from_be_bytes)
}

fn ground_aad(node: &NodeId) -> Aad {
    Aad {
        kind: kind::GROUND,
        id: node.0,
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

fn op_aad(at: &EventRef) -> Aad {
    Aad {
        kind: kind::MOVE,
        id: at.chain.0,
        chain: [0; 16],
        version: at.seq,
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

impl Vault {
    /// Notes an operation.
    pub(in crate::vault) fn put_op(&self, batch: &mut Batch, op: &Op) {
        let sealed = seal(&self.local, &op_aad(&op.stamp.at), &encode(op));
        batch.put(Table::Moves, op_row(&op.stamp.at), sealed);
    }

    /// It is a part of the ground.
    pub(super) fn drop_op(&self, batch: &mut Batch, at: &EventRef) {
        batch.delete(Table::Moves, op_row(at));
    }

    /// All that are noted, each at its own time, and how many cannot be read.
    pub(in crate::vault) fn ops(&self) -> Result<(Vec<Op>, u64), StoreError> {
        let (mut ops, mut bad) = (Vec::new(), 0);
        self.core.db.scan(Table::Moves, &[OP], &mut |row, sealed| {
            let op = split(row).and_then(|at| {
                let plain = open(&self.local, &op_aad(&at), sealed).ok()?;
                decode(at, &plain).ok()
            });
            match op {
                Some(op) => ops.push(op),
                None => bad += 1,
            }
            true
        })?;
        Ok((ops, bad))
    }

    /// What is settled of a node.
    pub(super) fn put_ground(&self, batch: &mut Batch, node: &NodeId, ground: Option<&Ground>) {
        match ground {
            Some(ground) => {
                let sealed = seal(&self.local, &ground_aad(node), &encode_ground(ground));
                batch.put(Table::Moves, ground_row(node), sealed);
            }
            None => batch.delete(Table::Moves, ground_row(node)),
        }
    }

    /// What is settled of all nodes, and how many of the rows cannot be read.
    pub(in crate::vault) fn grounds(&self) -> Result<(Vec<(NodeId, Ground)>, u64), StoreError> {
        let (mut all, mut bad) = (Vec::new(), 0);
        self.core.db.scan(Table::Moves, &[GROUND], &mut |row, sealed| {
            let node = row
                .get(1..)
                .and_then(|id| <[u8; 16]>::try_from(id).ok())
                .map(NodeId);
            let ground = node.and_then(|node| {
                let plain = open(&self.local, &ground_aad(&node), sealed).ok()?;
                Some((node, decode_ground(&plain).ok()?))
            });
            match ground {
                Some(ground) => all.push(ground),
                None => bad += 1,
            }
            true
        })?;
        Ok((all, bad))
    }

    /// Notes of which nodes something was said that whoever sent it had let go of: until something later is said of them.
    pub(in crate::vault) fn put_gaps(
        &self,
        batch: &mut Batch,
        ops: &[Op],
        gaps: &[(NodeId, u64)],
    ) -> Result<(), StoreError> {
        let mut later: HashMap<NodeId, u64> = HashMap::new();
        for op in ops.iter().filter(|op| op.step != Step::Unsaid) {
            let known = later.entry(op.node).or_default();
            *known = (*known).max(op.stamp.lamport);
            if let Some(gap) = self.core.db.get(Table::Moves, &gap_row(&op.node))?
                && gap_time(&gap) < op.stamp.lamport
            {
                batch.delete(Table::Moves, gap_row(&op.node));
            }
        }
        for (node, lamport) in gaps {
            if later.get(node).is_some_and(|later| later > lamport) {
                continue;
            }
            let is_said = self.with_shared(|shared| shared.shown.moves().is_said_after(node, *lamport))?;
            if is_said != Some(true) {
                let known = self.core.db.get(Table::Moves, &gap_row(node))?;
                let last = known.map_or(0, |gap| gap_time(&gap)).max(*lamport);
                batch.put(
                    Table::Moves,
                    gap_row(node),
                    [&[0][..], &last.to_be_bytes()].concat(),
                );
            }
        }
        Ok(())
    }

    /// How many names there are of which nothing is known but that it was let go of.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn names_let_go(&self) -> Result<u64, StoreError> {
        let mut gaps: Vec<NodeId> = Vec::new();
        self.core.db.scan(Table::Moves, &[GAP], &mut |row, _| {
            let node = row.get(1..).and_then(|id| <[u8; 16]>::try_from(id).ok());
            gaps.extend(node.map(NodeId));
            true
        })?;
        if gaps.is_empty() {
            return Ok(0);
        }
        let lost = self.with_shared(|shared| {
            let moves = shared.shown.moves();
            gaps.iter().filter(|node| moves.is_lost(node)).count()
        })?;
        Ok(lost.unwrap_or(gaps.len()) as u64)
    }

    /// Keeps the key of an entity that has no name here yet.
    pub(in crate::vault) fn put_awaited(&self, batch: &mut Batch, entity: &EntityId, key: &Key) {
        let mut plain = zeroize::Zeroizing::new([0; 33]);
        plain[1..].copy_from_slice(key.expose());
        let sealed = seal(&self.local, &key_aad(entity), &*plain);
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
        let key = plain
            .strip_prefix(&[0])
            .and_then(|key| <[u8; 32]>::try_from(key).ok());
        let mut bytes =
            key.ok_or_else(|| StoreError::malformed(what)(Malformed("a key of another length or version")))?;
        Ok(Key::take(&mut bytes))
    }

    /// All such entities.
    pub(super) fn awaited_entities(&self) -> Result<HashSet<EntityId>, StoreError> {
        let mut found = HashSet::new();
        self.core.db.scan(Table::Moves, &[KEY], &mut |row, _| {
            let entity = row.get(1..).and_then(|id| <[u8; 16]>::try_from(id).ok());
            found.extend(entity.map(EntityId));
            true
        })?;
        Ok(found)
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
    pub(in crate::vault) fn op_of(&self, keyring: &Keyring, found: &Found) -> Result<Option<Said>, Verdict> {
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
        if node == ROOT_NODE {
            return Err(Verdict::Refused);
        }
        let gone = |when| Step::Gone(head.replaces.clone().into_boxed_slice(), when);
        let plain = match (found.event.sealed.as_deref(), head.kind) {
            (Some(sealed), _) => self.as_read(keyring.open_tree(&aad, sealed)?),
            // All that it says stands in its head, but when it was said.
            (None, EventKind::NodeGone) => {
                let step = gone(None);
                return Ok(Some(Said::Op(Op { stamp, node, step })));
            }
            // Whoever sent it knows that something later says where it lies, or that it is gone.
            (None, _) => {
                let step = Step::Unsaid;
                return Ok(Some(Said::Nothing(Op { stamp, node, step })));
            }
        };
        let step = match head.kind {
            EventKind::Node => {
                let state = NodeState::decode(&plain)?;
                if state.perm > PERM_MAX {
                    return Err(Verdict::Refused);
                }
                Step::Place(place_of(state))
            }
            _ => gone(Some(NodeGone::decode(&plain)?.when.sec)),
        };
        Ok(Some(Said::Op(Op { stamp, node, step })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moves::{Place, Target};

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
        for step in [
            Step::Place(place),
            Step::Gone(vec![at(1), at(3)].into(), None),
            Step::Gone(Box::new([]), Some(-1_800_000_000)),
            Step::Unsaid,
        ] {
            let node = NodeId([1; 16]);
            let op = Op { stamp, node, step };
            let bytes = encode(&op);
            assert_eq!(decode(split(&op_row(&stamp.at)).unwrap(), &bytes), Ok(op.clone()));
            for len in 0..bytes.len() {
                let cut = decode(stamp.at, &bytes[..len]);
                assert!(cut.is_err() || cut.unwrap() != op, "cut at {len}");
            }
        }
    }
}
