//! What the packs' events tell, without the database: each entity's versions and key,
//! each node's newest state, and where every chunk lies.
//!
//! Guarantees: which of two is newer is told by its number in its chain, or by Lamport time between chains. It is filled by
//! `read`, and holds what is told, and no content.

use std::collections::{HashMap, HashSet};

use super::out::Attributes;
use crate::chunk::{Packs, Place};
use crate::codec::Unread;
use crate::core::Keyring;
use crate::event::{EventRef, NodeState, key_aad};
use crate::ids::{EntityId, NodeId, ROOT_NODE};
use crate::keys::{ChunkId, Key, WRAPPED};

/// Where a version is told: its Lamport time and event, and the sealed payload's place in
/// a batch: first byte and length.
#[derive(Clone, Copy)]
pub(super) struct Newest {
    pub(super) lamport: u64,
    pub(super) at: EventRef,
    pub(super) generation: u32,
    pub(super) batch: Place,
    pub(super) from: u32,
    pub(super) len: u32,
}

/// Whether the second is the newer one. Within a chain its number counts, which is sealed.
pub(super) fn is_newer(known: (u64, EventRef), other: (u64, EventRef)) -> bool {
    match known.1.chain == other.1.chain {
        true => known.1.seq <= other.1.seq,
        false => known.0 <= other.0,
    }
}

/// What is told of an entity's versions: where each stands, and what it replaces.
pub(super) type Past = Vec<(Newest, Vec<EventRef>)>;

impl Newest {
    /// Whether its payload is still there.
    pub(super) fn is_kept(&self) -> bool {
        self.len > 0
    }
}

/// What an entity's events tell.
#[derive(Default)]
pub(super) struct Versions {
    /// All that the hashes in their batch vouch for; what was let go of, too, as far as its event tells.
    pub(super) past: Past,
    /// The newest of the others.
    pub(super) doubtful: Option<Newest>,
}

/// What is told of a node last.
pub(super) struct NodeTold {
    pub(super) lamport: u64,
    pub(super) at: EventRef,
    pub(super) batch: Place,
    /// `None`: it is gone.
    pub(super) state: Option<NodeState>,
}

/// Why something that was told cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is missing or damaged.
    Damaged,
    /// Only a newer program can read it.
    Newer,
}

impl From<Unread> for Unusable {
    fn from(unread: Unread) -> Unusable {
        match unread {
            Unread::Newer => Unusable::Newer,
            Unread::Malformed(_) => Unusable::Damaged,
        }
    }
}

/// The event that brought a key, its generation, and the key as it came.
pub(super) type Wrapped = (EventRef, u32, [u8; WRAPPED]);

/// What the packs' events tell.
pub(super) struct Told {
    pub(super) packs: Packs,
    pub(super) keyring: Keyring,
    /// Each entity's key, wrapped under the epoch of this generation.
    pub(super) keys: HashMap<EntityId, Wrapped>,
    pub(super) versions: HashMap<EntityId, Versions>,
    pub(super) nodes: HashMap<NodeId, NodeTold>,
    /// What each node ever named.
    pub(super) entity_of: HashMap<NodeId, EntityId>,
    /// What of the packs cannot be believed or read.
    pub(super) damage: Vec<String>,
    /// Events that hashes vouch for, and that only a newer program can read; of versions none, which are not opened here.
    pub(super) newer: HashSet<EventRef>,
    pub(super) chunks: HashMap<ChunkId, (u8, Place)>,
    /// Further copies of chunks that are there more than once.
    pub(super) copies: HashMap<ChunkId, Vec<(u8, Place)>>,
}

impl Told {
    /// An entity's key, as an event brought it.
    pub(super) fn key(&self, entity: &EntityId) -> Option<Key> {
        self.unwrapped(entity, self.keys.get(entity)?)
    }

    pub(super) fn unwrapped(&self, entity: &EntityId, (at, generation, wrapped): &Wrapped) -> Option<Key> {
        let aad = key_aad(entity, *at, *generation);
        self.keyring.open_wrap(&aad, wrapped).ok()
    }

    /// Nodes that name an entity, by the last that is told of them.
    pub(super) fn names(&self) -> impl Iterator<Item = (NodeId, EntityId)> {
        let named = |(node, told): (&NodeId, &NodeTold)| Some((*node, told.state.as_ref()?.entity?));
        self.nodes.iter().filter_map(named)
    }

    /// Folders, with their attributes.
    pub(super) fn folders(&self) -> impl Iterator<Item = (NodeId, Attributes)> {
        self.nodes.iter().filter_map(|(node, told)| {
            let state = told.state.as_ref().filter(|state| state.entity.is_none())?;
            Some((*node, Attributes::told(state.perm, None, state.xattrs.clone())))
        })
    }

    /// Entities of which a version is told.
    pub(super) fn entities(&self) -> impl Iterator<Item = EntityId> {
        let told = self.versions.iter().filter(|(_, versions)| {
            let is_kept = |(newest, _): &(Newest, _)| newest.is_kept();
            versions.doubtful.is_some() || versions.past.iter().any(is_kept)
        });
        told.map(|(entity, _)| *entity)
    }

    /// A node's path; what hangs nowhere goes to a folder of its own.
    pub(super) fn path_of(&self, node: NodeId) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = node;
        while at != ROOT_NODE {
            match self.nodes.get(&at) {
                Some(NodeTold {
                    state: Some(state), ..
                }) if parts.len() < 256 => {
                    parts.push(&state.name);
                    at = state.parent;
                }
                _ => {
                    parts.push(b"without a folder");
                    break;
                }
            }
        }
        parts.reverse();
        parts.join(&b'/')
    }
}
