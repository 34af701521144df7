//! Where in all chains a sealed part of an event stands: its associated data.
//!
//! A sequence number is one in every chain, and devices that were made from copies have the
//! same entity keys: so the chain is bound beside it.

use super::EventKind;
use crate::ids::{EntityId, EventRef, NodeId};
use crate::keys::Aad;
use crate::record::kind;

fn place(kind: u8, id: [u8; 16], at: EventRef, generation: u32) -> Aad {
    Aad {
        kind,
        id,
        chain: at.chain.0,
        version: at.seq,
        generation,
    }
}

/// Associated data of a Create or Version event's payload: the entity's version.
pub(crate) fn content_aad(entity: &EntityId, at: EventRef, generation: u32) -> Aad {
    place(kind::CONTENT, entity.0, at, generation)
}

/// Associated data of a Node event's payload.
pub(crate) fn node_aad(node: &NodeId, at: EventRef, generation: u32) -> Aad {
    place(kind::TREE, node.0, at, generation)
}

/// Associated data of a NodeGone event's payload: of a kind of its own, so that no one who
/// alters an event's kind makes a removal of a move.
pub(crate) fn gone_aad(node: &NodeId, at: EventRef, generation: u32) -> Aad {
    place(kind::TREE_GONE, node.0, at, generation)
}

/// Associated data of a Setting event's payload, and of the row that keeps it.
pub(crate) fn setting_aad(setting: &[u8; 16], at: EventRef, generation: u32) -> Aad {
    place(kind::SETTING, *setting, at, generation)
}

/// Associated data of the payload of an event of this kind about a chain; an Acknowledge is about none.
pub(crate) fn chain_aad(kind: EventKind, chain: &[u8; 16], at: EventRef, generation: u32) -> Aad {
    let kind = match kind {
        EventKind::Lapse => kind::LAPSE,
        EventKind::Admit => kind::ADMIT,
        _ => kind::ACKNOWLEDGE,
    };
    place(kind, *chain, at, generation)
}

/// Associated data of the entity's key in a Create event.
pub(crate) fn key_aad(entity: &EntityId, at: EventRef, generation: u32) -> Aad {
    place(kind::WRAP_EPOCH, entity.0, at, generation)
}
