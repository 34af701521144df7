//! Operations in their order, and where nodes lie by them.
//!
//! Guarantees: the nodes are what the operations of the log come to, one after the other, on the
//! ground of what was settled before. A removed node keeps its place, so that what lies in it, or
//! is edited after all, has one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::op::{Op, Place, Stamp, Step, Target};
use crate::ids::{ChainId, EntityId, EventRef, NodeId, ROOT_NODE};

/// An operation is older than what is settled: everybody had acknowledged all of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a change of the tree is older than what all devices have agreed on")]
pub struct TooLate(pub Stamp);

/// Folders within folders: more than any path has, and few enough to be looked through for each move.
const DEPTH_MAX: usize = 4096;

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Option<(Stamp, Place)>,
    /// Removed since it was placed, what was seen of it then, and when that was said.
    pub(super) gone: Option<(Stamp, Box<[EventRef]>, Option<i64>)>,
    /// Since it was placed it lay elsewhere: whoever says that it lies where it did puts it there.
    pub(super) moved: bool,
}

/// An operation that was done, by its stamp, and the node as it was before, if anything was known of it: after a first
/// meeting there is one of these for each file.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) node: NodeId,
    pub(super) step: Step,
    pub(super) before: Option<Box<Node>>,
}

impl Done {
    fn before(self) -> Node {
        self.before.map(|before| *before).unwrap_or_default()
    }
}

/// The nodes, and the operations that are not settled yet.
#[derive(Debug, Default)]
pub struct Moves {
    pub(super) nodes: HashMap<NodeId, Node>,
    /// Each node that has a place: by folder, then by its name's hash.
    below: BTreeSet<(NodeId, u64, NodeId)>,
    /// Each node that names an entity, removed or not.
    of: BTreeSet<(EntityId, NodeId)>,
    pub(super) log: BTreeMap<Stamp, Done>,
    /// How many operations of the log are about each node.
    pub(super) open: HashMap<NodeId, u32>,
    /// Removed nodes that are shown all the same: somebody who did not know edited what they name.
    pub(super) kept: HashSet<NodeId>,
    /// Lamport time up to which no operation comes any more, if that is known of any.
    pub(super) line: Option<u64>,
}

/// Nodes that an application changed, as they were before it.
pub(super) type Before = HashMap<NodeId, Node>;

fn name_hash(name: &[u8]) -> u64 {
    // Only this process sees it: any function will do.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Moves {
    /// Where a node lies, or lay until it was removed.
    pub fn place(&self, node: &NodeId) -> Option<&Place> {
        Some(&self.nodes.get(node)?.place.as_ref()?.1)
    }

    /// When a node was removed, and the versions that whoever did saw; none for one that is not removed.
    pub fn removal(&self, node: &NodeId) -> Option<(Stamp, &[EventRef])> {
        let (stamp, saw, _) = self.nodes.get(node)?.gone.as_ref()?;
        Some((*stamp, saw))
    }

    /// When whoever removed a node says that it was, in seconds since 1970; none if that is not known.
    pub fn removed_when(&self, node: &NodeId) -> Option<i64> {
        self.nodes.get(node)?.gone.as_ref()?.2
    }

    /// The nodes that name an entity, removed or not.
    pub fn nodes_of(&self, entity: EntityId) -> impl Iterator<Item = NodeId> {
        let (first, last) = (NodeId([0; 16]), NodeId([0xff; 16]));
        let range = self.of.range((entity, first)..=(entity, last));
        range.map(|(_, node)| *node)
    }

    /// How many operations can still be preceded by another.
    pub fn unsettled(&self) -> usize {
        self.log.len()
    }

    pub(super) fn node(&self, node: &NodeId) -> Option<&Node> {
        self.nodes.get(node)
    }

    /// All nodes of which something is known.
    pub fn all(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// The entity that a node names, if it is no folder.
    pub fn entity(&self, node: &NodeId) -> Option<EntityId> {
        match self.place(node)?.target {
            Target::Entity(entity) => Some(entity),
            Target::Folder => None,
        }
    }

    /// Whether a node is a folder; the root is.
    pub(super) fn is_folder(&self, node: &NodeId) -> bool {
        *node == ROOT_NODE
            || self
                .place(node)
                .is_some_and(|place| place.target == Target::Folder)
    }

    /// What lies in a folder, removed or not.
    pub(super) fn children(&self, folder: &NodeId) -> impl Iterator<Item = NodeId> {
        let (first, last) = (NodeId([0; 16]), NodeId([0xff; 16]));
        let range = (*folder, 0, first)..=(*folder, u64::MAX, last);
        self.below.range(range).map(|(_, _, node)| *node)
    }

    /// What lies in a folder by this name, removed or not.
    pub(super) fn named(&self, folder: &NodeId, name: &[u8]) -> impl Iterator<Item = NodeId> {
        let hash = name_hash(name);
        let (first, last) = (NodeId([0; 16]), NodeId([0xff; 16]));
        let range = self.below.range((*folder, hash, first)..=(*folder, hash, last));
        let same = move |node: &NodeId| self.place(node).is_some_and(|place| *place.name == *name);
        range
            .map(|(_, _, node)| *node)
            .filter(same)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Does these operations, each in its place. Those that were done before change nothing.
    ///
    /// # Errors
    /// [`TooLate`] for one at or before the settled time that is not known; then nothing is done.
    pub(super) fn apply(&mut self, ops: Vec<Op>) -> Result<Before, TooLate> {
        let mut new: BTreeMap<Stamp, Op> = BTreeMap::new();
        for op in ops {
            if self.line.is_some_and(|line| op.stamp.lamport <= line) {
                return Err(TooLate(op.stamp));
            }
            if !self.log.contains_key(&op.stamp) {
                new.entry(op.stamp).or_insert(op);
            }
        }
        let mut before = Before::new();
        let Some((first, _)) = new.first_key_value() else {
            return Ok(before);
        };
        let undone = self.log.split_off(first);
        for done in undone.values().rev() {
            if let Some(open) = self.open.get_mut(&done.node) {
                *open -= 1; // it is done again, below
            }
            let was = done.before.as_deref().cloned();
            self.set(done.node, was.unwrap_or_default(), &mut before);
        }
        new.extend(
            undone
                .into_iter()
                .map(|(stamp, Done { node, step, .. })| (stamp, Op { stamp, node, step })),
        );
        for op in new.into_values() {
            self.perform(op, &mut before);
        }
        self.only_changed(&mut before);
        Ok(before)
    }

    /// Takes back all operations from this Lamport time on, as if they had never been said.
    pub(super) fn retract(&mut self, lamport: u64) -> Before {
        let first = Stamp {
            lamport,
            ..Stamp::LAST
        };
        let mut before = Before::new();
        for done in self.log.split_off(&first).into_values().rev() {
            if let Some(open) = self.open.get_mut(&done.node) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(&done.node);
                }
            }
            self.set(done.node, done.before(), &mut before);
        }
        self.only_changed(&mut before);
        before
    }

    /// Leaves those nodes that are not as they were.
    fn only_changed(&self, before: &mut Before) {
        let none = Node::default();
        before.retain(|node, was| self.nodes.get(node).unwrap_or(&none) != was);
    }

    /// Shows a node, should it be removed, all the same, or no longer; whether that is news.
    pub(super) fn keep(&mut self, node: NodeId, kept: bool) -> bool {
        match kept {
            true => self.kept.insert(node),
            false => self.kept.remove(&node),
        }
    }

    #[cfg(test)]
    pub(super) fn is_kept(&self, node: &NodeId) -> bool {
        self.kept.contains(node)
    }

    /// Whether a node is there to be seen: not removed, or edited by someone who did not know, or a
    /// folder in which something is.
    pub(super) fn is_live(&self, node: &NodeId) -> bool {
        let is_there = |node: &NodeId, known: &Node| known.gone.is_none() || self.kept.contains(node);
        let mut removed = vec![*node];
        while let Some(node) = removed.pop() {
            let Some(known) = self.nodes.get(&node).filter(|known| known.place.is_some()) else {
                continue;
            };
            if is_there(&node, known) {
                return true;
            }
            if self.is_folder(&node) {
                removed.extend(self.children(&node));
            }
        }
        false
    }

    /// Whether an operation that is not settled is of an event of this chain beyond this one.
    pub fn is_open_beyond(&self, chain: &ChainId, seq: u64) -> bool {
        self.log
            .keys()
            .any(|stamp| stamp.at.chain == *chain && stamp.at.seq > seq)
    }

    /// Whether what a node is was said later than this.
    pub fn is_said_after(&self, node: &NodeId, lamport: u64) -> bool {
        let known = self.nodes.get(node);
        let stamps = known.into_iter().flat_map(|known| {
            let place = known.place.as_ref().map(|(stamp, _)| stamp);
            place
                .into_iter()
                .chain(known.gone.as_ref().map(|(stamp, ..)| stamp))
        });
        stamps.into_iter().any(|stamp| stamp.lamport > lamport)
    }

    /// Whether nobody has said where a node lies now: whoever sent what was said of it last had let go of that.
    pub fn is_lost(&self, node: &NodeId) -> bool {
        self.nodes
            .get(node)
            .is_none_or(|known| known.moved && known.gone.is_none())
    }

    fn perform(&mut self, op: Op, before: &mut Before) {
        let was = self.nodes.get(&op.node).cloned().unwrap_or_default();
        if let Some(now) = self.after(&was, &op) {
            self.set(op.node, now, before);
        }
        *self.open.entry(op.node).or_default() += 1;
        let before = (was != Node::default()).then(|| Box::new(was));
        let Op { stamp, node, step } = op;
        self.log.insert(stamp, Done { node, step, before });
    }

    /// What a node is after an operation; none if that is skipped.
    fn after(&self, was: &Node, op: &Op) -> Option<Node> {
        if op.node == ROOT_NODE {
            return None;
        }
        match &op.step {
            Step::Gone(saw, when) => {
                was.place.as_ref()?;
                // Whoever removed it before had seen something, too.
                let before = was.gone.iter().flat_map(|(_, saw, _)| saw);
                let mut saw: Vec<EventRef> = before.chain(saw).copied().collect();
                saw.sort_unstable();
                saw.dedup();
                let gone = Some((op.stamp, saw.into_boxed_slice(), *when));
                Some(Node { gone, ..was.clone() })
            }
            Step::Unsaid => {
                let is_news = was.place.is_some() && was.gone.is_none() && !was.moved;
                is_news.then(|| Node {
                    moved: true,
                    ..was.clone()
                })
            }
            Step::Place(place) => {
                let folder = |target: Target| target == Target::Folder;
                // What lies in it would lie in a file.
                let turns = was
                    .place
                    .as_ref()
                    .is_some_and(|(_, old)| folder(old.target) != folder(place.target));
                if turns || self.lies_in(place.parent, op.node) {
                    return None;
                }
                let mut place = (op.stamp, place.clone());
                if let Some((stamp, old)) = &was.place
                    && was.gone.is_none()
                    && !was.moved
                    && old.is_at(&place.1)
                {
                    // It has been there since then: saying so once more takes its name from nobody.
                    (place.0, place.1.when) = (*stamp, old.when);
                }
                Some(Node {
                    place: Some(place),
                    gone: None,
                    moved: false,
                })
            }
        }
    }

    /// Whether a folder is a node, or lies in it; or so deep that nobody could ever name it.
    fn lies_in(&self, mut folder: NodeId, node: NodeId) -> bool {
        for _ in 0..DEPTH_MAX {
            if folder == node {
                return true;
            }
            match self.place(&folder) {
                Some(place) => folder = place.parent,
                None => return false,
            }
        }
        true
    }

    pub(super) fn set(&mut self, node: NodeId, now: Node, before: &mut Before) {
        let row = |known: &Node| {
            let (_, place) = known.place.as_ref()?;
            Some((place.parent, name_hash(&place.name), node))
        };
        let next = row(&now);
        let was = match now == Node::default() {
            true => self.nodes.remove(&node),
            false => self.nodes.insert(node, now),
        };
        let was = was.unwrap_or_default();
        let names = |known: &Node| match known.place.as_ref()?.1.target {
            Target::Entity(entity) => Some((entity, node)),
            Target::Folder => None,
        };
        let named = self.nodes.get(&node).and_then(names);
        if let Some(old) = names(&was).filter(|old| named != Some(*old)) {
            self.of.remove(&old);
        }
        self.of.extend(named);
        let old = row(&was);
        if old != next {
            if let Some(old) = old {
                self.below.remove(&old);
            }
            self.below.extend(next);
        }
        before.entry(node).or_insert(was);
    }
}
