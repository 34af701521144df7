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
        shared: &mut Shared,
        said: &HashSet<NodeId>,
        (edited, removals): (&[EntityId], &Removals),
    ) -> Result<Vec<(NodeId, bool)>, StoreError> {
        let moves = shared.shown.moves();
        let nodes = said.iter().chain(&shared.unsure).chain(removals.keys());
        let entities = nodes.filter_map(|node| moves.entity(node));
        let entities: HashSet<EntityId> = entities.chain(edited.iter().copied()).collect();
        let mut keeps = Vec::new();
        // What is removed by every name: the last of these, and what all who removed one saw.
        let mut gone: HashMap<EntityId, (NodeId, HashSet<EventRef>)> = HashMap::new();
        for entity in entities {
            let nodes: Vec<NodeId> = moves.nodes_of(entity).collect();
            keeps.extend(nodes.iter().map(|node| (*node, false)));
            let removal = |node| match removals.get(node) {
                Some(saw) => Some((Stamp::LAST, saw.as_slice())),
                None => moves.removal(node),
            };
            let Some(all) = nodes.iter().map(removal).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let saw = all.iter().flat_map(|(_, saw)| *saw).copied().collect();
            let last = all.iter().zip(&nodes).max_by_key(|((stamp, _), _)| *stamp);
            gone.extend(last.map(|(_, node)| (entity, (*node, saw))));
        }
        let entities = gone.keys().copied().collect();
        let written = self.being_written(&entities)?;
        for (entity, key) in self.keys_of(&entities)? {
            let (Ok(key), Some((last, saw))) = (key, gone.get(&entity)) else {
                continue;
            };
            if written.contains(&entity) {
                // What he writes is told later, and would bring it back then; if he writes nothing, it goes.
                shared.unsure.insert(*last);
                keeps.push((*last, true));
                continue;
            }
            let mut rows = Vec::new();
            self.each_version(&key, &entity, &mut |serial, row| {
                rows.extend(row.ok().map(|row| (serial, row)));
            })?;
            if Stand::newest(&rows).iter().any(|at| !saw.contains(at)) {
                keeps.push((*last, true));
            }
        }
        Ok(keeps)
    }

    /// To which of these somebody writes, or has, and that is not told.
    fn being_written(&self, entities: &HashSet<EntityId>) -> Result<HashSet<EntityId>, StoreError> {
        let mut written = HashSet::new();
        for (entity, ino) in self.living_of(entities)? {
            if let Some(inode) = self.resident(ino)? {
                let state = inode.state.read();
                if state.binding.entity() == entity && state.meta.nlink > 0 && state.is_being_written() {
                    written.insert(entity);
                }
            }
        }
        Ok(written)
    }
}
