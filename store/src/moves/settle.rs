//! What is settled: operations of a time after which none of before comes any more become the ground, and are kept no longer.
//!
//! Guarantees: what is seen is the same before and after; the line never sinks.

use std::collections::HashMap;

use super::log::{Before, Done, Moves, Node};
use super::op::{Place, Stamp, Step, Target};
use crate::ids::{EntityId, EventRef, NodeId};

/// What is settled of a node: where it lies, and whether it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Where it lies, and what put it there.
    pub place: (Stamp, Place),
    /// What removed it, what was seen of it by all who did, and when the last of these said so, in seconds since
    /// 1970, if that is known.
    pub gone: Option<(Stamp, Box<[EventRef]>, Option<i64>)>,
    /// Whether it lay elsewhere since, which nobody says any more.
    pub moved: bool,
}

/// What became the ground at one time.
#[derive(Debug, Default)]
pub struct Settled {
    /// The events of all operations that did.
    pub ops: Vec<EventRef>,
    /// Each node that they were about, as it is by then; none if nothing is known of it.
    pub ground: HashMap<NodeId, Option<Ground>>,
    /// Events that said where a file lay before it was put where it is, with its node. What says once more that it lies there
    /// does not belong to them: so whoever hears such a one without what it said knows that the file came to lie elsewhere.
    pub said: Vec<(EventRef, NodeId)>,
    /// The Lamport time up to which all is settled now.
    pub line: u64,
}

impl Node {
    fn ground(&self) -> Option<Ground> {
        Some(Ground {
            place: self.place.clone()?,
            gone: self.gone.clone(),
            moved: self.moved,
        })
    }

    /// What put a file where it is.
    fn file_put_by(&self) -> Option<Stamp> {
        let (stamp, place) = self.place.as_ref()?;
        (place.target != Target::Folder).then_some(*stamp)
    }
}

impl Moves {
    /// No operation of this Lamport time or before comes any more: what they came to is the ground. After `most` of them
    /// it ends: what is left follows upon them all, and the line stays before the first of it. Without any, the line stays.
    pub fn settle(&mut self, lamport: u64, most: usize) -> Settled {
        let mut settled = Settled::default();
        // Of each file, where it was put before.
        let mut was: HashMap<NodeId, Option<Stamp>> = HashMap::new();
        let mut said: Vec<(Stamp, NodeId)> = Vec::new();
        let last = self.line.unwrap_or(0);
        let mut line = lamport.max(last);
        while let Some(first) = self.log.first_entry() {
            let stamp = *first.key();
            if stamp.lamport > lamport {
                break;
            }
            if settled.ops.len() >= most {
                line = last.max(stamp.lamport.saturating_sub(1));
                break;
            }
            let Done { node, step, before } = first.remove();
            if let Some(open) = self.open.get_mut(&node) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(&node);
                }
            }
            let put_by = || before.as_deref().and_then(Node::file_put_by);
            was.entry(node).or_insert_with(put_by);
            settled.ops.push(stamp.at);
            if let Step::Place(place) = &step
                && place.target != Target::Folder
            {
                said.push((stamp, node));
            }
        }
        if settled.ops.is_empty() {
            // A line that stands in no row would be another after a restart.
            self.line = Some(last);
            settled.line = last;
            return settled;
        }
        self.line = Some(line);
        settled.line = line;
        // What is said of a node later does not belong to the ground.
        let none = Node::default();
        let mut later: HashMap<NodeId, &Node> = HashMap::new();
        if was.keys().any(|node| self.open.contains_key(node)) {
            for done in self.log.values().filter(|done| was.contains_key(&done.node)) {
                later
                    .entry(done.node)
                    .or_insert(done.before.as_deref().unwrap_or(&none));
            }
        }
        let mut put_by: HashMap<NodeId, Stamp> = HashMap::new();
        for (node, before) in was {
            let now = later.get(&node).copied().or_else(|| self.nodes.get(&node));
            let ground = now.and_then(Node::ground);
            put_by.extend(now.and_then(Node::file_put_by).map(|stamp| (node, stamp)));
            said.extend(before.map(|stamp| (stamp, node)));
            settled.ground.insert(node, ground);
        }
        said.retain(|(stamp, node)| put_by.get(node).is_none_or(|put_by| stamp < put_by));
        settled.said = said.into_iter().map(|(stamp, node)| (stamp.at, node)).collect();
        settled
    }

    /// Lamport time up to which all is settled, if anything is.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// This is what was settled of a node, in another life of this process.
    pub fn stand(&mut self, node: NodeId, ground: Ground) {
        let Ground { place, gone, moved } = ground;
        let place = Some(place);
        self.set(node, Node { place, gone, moved }, &mut Before::new());
    }

    /// What was settled up to here, in another life of this process.
    pub fn settled(&mut self, lamport: u64) {
        self.line = self.line.max(Some(lamport));
    }

    /// Forgets removed files of which nothing is said any more, and that may be; returns each with what put it where it was.
    /// Folders are never forgotten: something may still come that was put into them.
    pub fn forget(&mut self, may: &dyn Fn(&NodeId, EntityId) -> bool) -> Vec<(NodeId, EventRef)> {
        let is_over = |node: &NodeId, known: &Node| {
            known.gone.is_some() && !self.kept.contains(node) && !self.open.contains_key(node)
        };
        let over = self.nodes.iter().filter(|(node, known)| is_over(node, known));
        let over: Vec<(NodeId, EventRef)> = over
            .filter(|(node, _)| self.children(node).next().is_none())
            .filter(|(node, _)| self.entity(node).is_some_and(|entity| may(node, entity)))
            .filter_map(|(node, known)| Some((*node, known.place.as_ref()?.0.at)))
            .collect();
        for (node, _) in &over {
            self.set(*node, Node::default(), &mut Before::new());
        }
        over
    }
}
