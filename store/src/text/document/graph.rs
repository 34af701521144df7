//! What builds on what: the changes that a document holds, by name.
//!
//! Guarantees: a change that is agreed to builds on changes that are here, follows its actor's
//! last one, and numbers its operations on from what it builds on: so nobody moves the counter
//! but by operations that were made. It holds no text.

use std::collections::{HashMap, HashSet};

use crate::text::actor::Actor;
use crate::text::change::ChangeHash;
use crate::text::error::TextError;
use crate::text::guard::Facts;

/// The changes of a document.
#[derive(Default)]
pub(super) struct Graph {
    nodes: HashMap<ChangeHash, Node>,
    /// Each actor's last change, and its number.
    last: HashMap<Actor, (u64, ChangeHash)>,
    /// Operations of all of them.
    ops: u64,
}

struct Node {
    deps: Vec<ChangeHash>,
    ops: u64,
    max_op: u64,
    actor: Actor,
    /// What was the actor's last change before.
    before: Option<(u64, ChangeHash)>,
}

impl Graph {
    pub(super) fn has(&self, change: &ChangeHash) -> bool {
        self.nodes.contains_key(change)
    }

    /// That these name a version, all of it here.
    pub(super) fn version(&self, heads: &[ChangeHash]) -> Result<(), TextError> {
        if heads.is_empty() {
            return Err(TextError::NoVersion);
        }
        self.know(heads)
    }

    /// That all of these are here.
    fn know(&self, changes: &[ChangeHash]) -> Result<(), TextError> {
        match changes.iter().find(|change| !self.has(change)) {
            Some(change) => Err(TextError::Missing(*change)),
            None => Ok(()),
        }
    }

    /// The change that everything builds on: the only one of this actor, and without it nothing.
    pub(super) fn first(&self, genesis: Actor) -> Option<ChangeHash> {
        let (seq, first) = self.last.get(&genesis)?;
        let mut roots = self.nodes.iter().filter(|(_, node)| node.deps.is_empty());
        let alone = roots.next().map(|(root, _)| root) == Some(first) && roots.next().is_none();
        (*seq == 1 && alone).then_some(*first)
    }

    /// The highest counter of an operation in what these changes build on, and in themselves.
    pub(super) fn max_op(&self, changes: &[ChangeHash]) -> u64 {
        let nodes = changes.iter().filter_map(|change| self.nodes.get(change));
        nodes.map(|node| node.max_op).max().unwrap_or(0)
    }

    /// That this change can come next.
    pub(super) fn agree(&self, facts: &Facts) -> Result<(), TextError> {
        self.know(&facts.deps)?;
        let refused = |why| {
            let change = facts.hash;
            Err(TextError::Refused { change, why })
        };
        // Counters of ancestors are lower, so the highest of the direct ones is that of all.
        if facts.start_op != self.max_op(&facts.deps) + 1 {
            return refused("its operations are not numbered on from what it builds on");
        }
        match self.last.get(&facts.actor) {
            None if facts.seq == 1 => Ok(()),
            Some((seq, last)) if facts.seq == seq + 1 => {
                if self.covers(&facts.deps, last) {
                    Ok(())
                } else {
                    refused("it does not build on the last change of the same actor")
                }
            }
            _ => refused("its actor has another change at this place"),
        }
    }

    /// Whether a change is among these or what they build on.
    pub(super) fn covers(&self, heads: &[ChangeHash], change: &ChangeHash) -> bool {
        let floor = self.max_op(&[*change]);
        let mut seen: HashSet<ChangeHash> = heads.iter().copied().collect();
        let mut next = heads.to_vec();
        while let Some(at) = next.pop() {
            if at == *change {
                return true;
            }
            let Some(node) = self.nodes.get(&at) else {
                continue;
            };
            // Descendants have higher counters: no need to look below.
            if node.max_op > floor {
                next.extend(node.deps.iter().copied().filter(|dep| seen.insert(*dep)));
            }
        }
        false
    }

    /// Of these changes, those that none of the others builds on.
    pub(super) fn newest(&self, changes: &[ChangeHash]) -> Vec<ChangeHash> {
        let is_under = |change: &ChangeHash| {
            let others: Vec<ChangeHash> = changes.iter().copied().filter(|other| other != change).collect();
            self.covers(&others, change)
        };
        let newest = changes.iter().copied().filter(|change| !is_under(change));
        newest.collect()
    }

    pub(super) fn add(&mut self, facts: &Facts) {
        let before = self.last.insert(facts.actor, (facts.seq, facts.hash));
        let node = Node {
            deps: facts.deps.clone(),
            ops: facts.ops,
            max_op: facts.max_op(),
            actor: facts.actor,
            before,
        };
        self.ops += facts.ops;
        self.nodes.insert(facts.hash, node);
    }

    /// Operations of all changes.
    pub(super) fn ops(&self) -> u64 {
        self.ops
    }

    /// Takes the change away that was added last.
    pub(super) fn remove(&mut self, change: &ChangeHash) {
        let Some(node) = self.nodes.remove(change) else {
            return;
        };
        self.ops -= node.ops;
        match node.before {
            Some(before) => self.last.insert(node.actor, before),
            None => self.last.remove(&node.actor),
        };
    }
}
