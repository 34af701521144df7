//! Removals that lose to edits which whoever removed did not know of.
//!
//! It is asked of an entity, not of a name: as long as another name of it is there, nothing is lost by a
//! removal, and whoever edits by that one need not mean the other. Where all are removed, what nobody who removed
//! one of them had seen brings back the name that was removed last.

use std::collections::{HashMap, HashSet};

use super::Shared;
use crate::core::StoreError;
use crate::event::EventRef;
use crate::ids::{EntityId, NodeId};
use crate::moves::Stamp;
use crate::vault::Vault;
use crate::vault::history::Stand;

/// Nodes that are removed, and what was seen of what they name.
pub(super) type Removals = HashMap<NodeId, Vec<EventRef>>;

impl Vault {
    /// Removals that are to be told, and the versions that whoever removed saw.
    pub(super) fn removals(&self) -> Removals {
        let untold = self.untold.lock();
        let gone = untold.gone.values();
        gone.map(|gone| (gone.id, gone.saw.clone())).collect()
    }

    /// Which nodes are to be seen though they are removed, and which are not: of those of which something was
    /// said, or is to be, of these entities, and of what somebody here was writing to.
    pub(super) fn keeps(
        &self,
        shared: &Shared,
        said: &HashSet<NodeId>,
        (edited, removals): (&[EntityId], &Removals),
    ) -> Result<Vec<(NodeId, bool)>, StoreError> {
        let moves = shared.shown.moves();
        let nodes = said.iter().chain(&shared.unsure).chain(removals.keys());
        let entities = nodes.filter_map(|node| moves.entity(node));
        let entities: HashSet<EntityId> = entities.chain(edited.iter().copied()).collect();
        let mut keeps = Vec::new();
        for entity in entities {
            let nodes: Vec<NodeId> = moves.nodes_of(entity).collect();
            let removal = |node| match removals.get(node) {
                Some(saw) => Some((Stamp::LAST, saw.as_slice())),
                None => moves.removal(node),
            };
            let gone: Option<Vec<_>> = nodes.iter().map(removal).collect();
            let last = match gone {
                Some(gone) if !gone.is_empty() => {
                    let saw: HashSet<EventRef> = gone.iter().flat_map(|(_, saw)| *saw).copied().collect();
                    let last = gone.iter().zip(&nodes).max_by_key(|((stamp, _), _)| *stamp);
                    last.map(|(_, node)| (*node, saw))
                }
                _ => None,
            };
            let kept = match last {
                Some((last, saw)) if self.is_unseen(entity, &saw)? => Some(last),
                _ => None,
            };
            keeps.extend(nodes.into_iter().map(|node| (node, kept == Some(node))));
        }
        Ok(keeps)
    }

    /// Whether there is of an entity what these versions do not know of.
    fn is_unseen(&self, entity: EntityId, saw: &HashSet<EventRef>) -> Result<bool, StoreError> {
        if let Some(ino) = self.living(entity)?
            && let Some(inode) = self.resident(ino)?
        {
            let state = inode.state.read();
            // What somebody is writing is told later, and would bring it back then.
            if state.binding.entity() == entity && state.meta.nlink > 0 && state.is_being_written() {
                return Ok(true);
            }
        }
        let Some(key) = self.key_of(entity)? else {
            return Ok(false);
        };
        let mut rows = Vec::new();
        self.each_version(&key, &entity, &mut |serial, row| {
            rows.extend(row.ok().map(|row| (serial, row)));
        })?;
        Ok(Stand::newest(&rows).iter().any(|at| !saw.contains(at)))
    }
}
