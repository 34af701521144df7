//! What a person sees of the shared tree: one folder where several have one name, and each file of one
//! name under a name of its own.
//!
//! - Folders of one name in one place show as one: the first by its stamp stands for all, and what lies in
//!   any of them is seen in it.
//! - Of files of one name the first by its stamp has it, unless a folder has; the others are shown as
//!   conflict files, never under a name that something has by right.
//! - A removed folder in which something is to be seen is seen. What lies in a folder that nobody has told of
//!   yet is not.
//!
//! Guarantees: what is seen follows from the nodes alone, so it is the same on every device. Each step says
//! of every node whose sight it may have changed what that is now; the rest is as it was.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::log::{Before, Moves, Node, TooLate};
use super::op::{Op, Stamp, Target};
use super::settle::{Ground, Settled};
use super::suffix::conflict_name;
use crate::ids::{EntityId, EventRef, NodeId, ROOT_NODE};

/// What tells the conflict files of several devices apart, by the operation that brought each to its
/// name: which device, and when (in seconds since 1970). The same on every device.
pub type Label<'a> = &'a dyn Fn(&Stamp, i64) -> String;

/// Characters of a label beside a node's id.
const LABEL_MAX: usize = 40;

/// How a node is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// In this folder, which is seen in its own right, by this name.
    At(NodeId, Box<[u8]>),
    /// As a part of this folder, which has the same name and place.
    As(NodeId),
}

/// What a step changed, and more: how each node that it may have changed is seen now, or that it is not.
pub type Changed = HashMap<NodeId, Option<Sight>>;

/// The shared tree, and what is seen of it.
#[derive(Debug, Default)]
pub struct Shown {
    moves: Moves,
    /// Folders that are seen as one with others, or lie where nobody knows: what becomes of them
    /// concerns all that lies in them.
    odd: HashSet<NodeId>,
    /// Names of conflict files, and those that they would have had, with whose they are: what happens to
    /// such a name concerns that file.
    marked: BTreeSet<(Box<[u8]>, NodeId)>,
    marks: HashMap<NodeId, Vec<Box<[u8]>>>,
}

/// Folders that are seen as one, the first of which stands for them; none if they lie where nobody
/// knows.
type Class = Option<Rc<[NodeId]>>;

/// What is looked at anew: a name in a folder; and whether all that lies in folders of that name is, too.
type Group = (NodeId, Box<[u8]>, bool);

impl Shown {
    /// The nodes themselves.
    pub fn moves(&self) -> &Moves {
        &self.moves
    }

    /// Does operations, each in its place among those that were done.
    ///
    /// # Errors
    /// [`TooLate`]; nothing is done then.
    pub fn apply(&mut self, ops: Vec<Op>, label: Label<'_>) -> Result<Changed, TooLate> {
        let before = self.moves.apply(ops)?;
        Ok(self.look(&before, label))
    }

    /// Shows these nodes, should they be removed, all the same, or no longer: whether there is an edit that
    /// the removal has not seen.
    pub fn keep(&mut self, nodes: &[(NodeId, bool)], label: Label<'_>) -> Changed {
        let mut before = Before::new();
        for (node, kept) in nodes {
            if self.moves.keep(*node, *kept)
                && let Some(known) = self.moves.node(node)
            {
                before.insert(*node, known.clone());
            }
        }
        self.look(&before, label)
    }

    /// Takes back all operations from this Lamport time on, which were only thought of.
    pub fn retract(&mut self, lamport: u64, label: Label<'_>) -> Changed {
        let before = self.moves.retract(lamport);
        self.look(&before, label)
    }

    /// How these nodes are seen, whatever changed.
    pub fn again(&mut self, nodes: impl Iterator<Item = NodeId>, label: Label<'_>) -> Changed {
        let known = nodes.filter_map(|node| Some((node, self.moves.node(&node)?.clone())));
        let before: Before = known.collect();
        self.look(&before, label)
    }

    /// The other folders that are seen as one with this one.
    pub fn seen_as_one(&mut self, folder: NodeId) -> Vec<NodeId> {
        if !self.odd.contains(&folder) {
            return Vec::new();
        }
        let nothing = |_: &Stamp, _: i64| String::new();
        let class = Look::new(self, &nothing).class(folder);
        let mut others = class.as_deref().unwrap_or_default().to_vec();
        others.retain(|other| *other != folder);
        others
    }

    /// See [`Moves::settle`]; nothing looks different by it.
    pub fn settle(&mut self, lamport: u64, most: usize) -> Settled {
        self.moves.settle(lamport, most)
    }

    /// See [`Moves::forget`]; what is forgotten is not seen.
    pub fn forget(&mut self, may: &dyn Fn(&NodeId, EntityId) -> bool) -> Vec<(NodeId, EventRef)> {
        self.moves.forget(may)
    }

    /// See [`Moves::stand`] and [`Moves::settled`]; all of it is to be looked at ([`again`](Shown::again)).
    pub fn begin(&mut self, line: u64, ground: Vec<(NodeId, Ground)>) {
        ground
            .into_iter()
            .for_each(|(node, ground)| self.moves.stand(node, ground));
        self.moves.settled(line);
    }

    /// Looks anew at all that changed nodes can have to do with.
    fn look(&mut self, before: &Before, label: Label<'_>) -> Changed {
        let mut groups: Vec<Group> = Vec::new();
        for (node, was) in before {
            let now = self.moves.node(node);
            let places = [Some(was), now].into_iter().flatten();
            let places: Vec<_> = places.filter_map(|known| known.place.as_ref()).collect();
            // What lies in it was never looked at, if it had no place, or was no folder.
            let target = |known: &Node| {
                known
                    .place
                    .as_ref()
                    .map(|(_, place)| place.target == Target::Folder)
            };
            let deep = target(was).is_none() || target(was) != now.and_then(target);
            if deep {
                // In no group itself, perhaps.
                self.children(node, &mut groups);
            }
            for (_, place) in places {
                groups.push((place.parent, place.name.clone(), deep || self.odd.contains(node)));
                self.removed_above(place.parent, &mut groups);
            }
        }
        let mut look = Look::new(self, label);
        // One that lost its place is in no group any more.
        for node in before.keys() {
            look.see(*node, None);
        }
        while let Some(group) = groups.pop() {
            look.group(group, &mut groups);
        }
        look.changed
    }

    /// All that lies in a folder, and in what lies in it.
    fn children(&self, folder: &NodeId, groups: &mut Vec<Group>) {
        let children = self.moves.children(folder);
        let names = children.filter_map(|child| self.moves.place(&child));
        groups.extend(names.map(|place| (*folder, place.name.clone(), true)));
    }

    /// Removed folders above are seen, or not, by what is to be seen in them.
    fn removed_above(&self, mut folder: NodeId, groups: &mut Vec<Group>) {
        while let Some(Node {
            place: Some((_, place)),
            gone: Some(_),
            ..
        }) = self.moves.node(&folder)
        {
            groups.push((place.parent, place.name.clone(), self.odd.contains(&folder)));
            folder = place.parent;
        }
    }
}

/// One look at what changed.
struct Look<'a> {
    shown: &'a mut Shown,
    label: Label<'a>,
    classes: HashMap<NodeId, Class>,
    /// Groups that were looked at, and whether with all that lies in them.
    done: HashMap<(NodeId, Box<[u8]>), bool>,
    changed: Changed,
}

impl<'a> Look<'a> {
    fn new(shown: &'a mut Shown, label: Label<'a>) -> Look<'a> {
        Look {
            shown,
            label,
            classes: HashMap::new(),
            done: HashMap::new(),
            changed: Changed::new(),
        }
    }

    /// The folders that are seen as one with this.
    fn class(&mut self, folder: NodeId) -> Class {
        let moves = &self.shown.moves;
        // Up to one that is known, and down again: no path is too deep.
        let mut path = Vec::new();
        let mut at = folder;
        let mut class: Class = loop {
            if at == ROOT_NODE {
                break Some(Rc::new([ROOT_NODE]));
            }
            if let Some(known) = self.classes.get(&at) {
                break known.clone();
            }
            path.push(at);
            match moves.place(&at) {
                Some(place) if place.target == Target::Folder => at = place.parent,
                _ => break None,
            }
        };
        for folder in path.into_iter().rev() {
            class = class.and_then(|above| {
                let name = &moves.place(&folder)?.name;
                let mut same: Vec<NodeId> = above
                    .iter()
                    .flat_map(|above| moves.named(above, name))
                    .filter(|node| moves.is_folder(node) && moves.is_live(node))
                    .collect();
                same.sort_by_key(|node| stamp(moves, node));
                Some(same.into())
            });
            self.classes.insert(folder, class.clone());
        }
        class
    }

    /// Looks at what has one name in one folder.
    fn group(&mut self, (folder, name, deep): Group, groups: &mut Vec<Group>) {
        let class = self.class(folder);
        let first = class.as_deref().and_then(<[NodeId]>::first).copied();
        match self.done.get(&(folder, name.clone())) {
            Some(was) if *was || !deep => return,
            _ => self.done.insert((folder, name.clone()), deep),
        };
        let moves = &self.shown.moves;
        let mut here: Vec<NodeId> = class.as_deref().unwrap_or_default().to_vec();
        if !here.contains(&folder) {
            here.push(folder);
        }
        let nodes: Vec<NodeId> = here
            .iter()
            .flat_map(|folder| moves.named(folder, &name))
            .collect();
        let (mut live, gone): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| moves.is_live(node));
        live.sort_by_key(|node| stamp(moves, node));
        let (folders, files): (Vec<_>, Vec<_>) = live.into_iter().partition(|node| moves.is_folder(node));
        let mut inside = deep;
        for node in folders.iter().chain(&gone) {
            let is_odd = first.is_none() || (folders.len() > 1 && folders.contains(node));
            inside |= self.odd(*node, is_odd);
        }
        gone.iter().for_each(|node| self.see(*node, None));
        for (place, node) in folders.iter().enumerate() {
            let sight = first.map(|first| match place {
                0 => Sight::At(first, name.clone()),
                _ => Sight::As(folders[0]),
            });
            self.see(*node, sight);
        }
        self.files(&files, (first, &class, &name), folders.is_empty());
        // Who gave this name up to somebody, or has it as long as nobody has it by right.
        let marked = &self.shown.marked;
        let moves = &self.shown.moves;
        let from = (name.clone(), NodeId([0; 16]));
        for (_, node) in marked.range(from..).take_while(|(mark, _)| *mark == name) {
            if let Some(place) = moves.place(node) {
                groups.push((place.parent, place.name.clone(), false));
            }
        }
        if inside {
            for node in folders.iter().chain(&gone).chain(&files) {
                self.shown.children(node, groups);
            }
        }
    }

    /// Notes whether what becomes of a folder concerns what lies in it; true if it does, or did.
    fn odd(&mut self, folder: NodeId, is_odd: bool) -> bool {
        match is_odd {
            true => self.shown.odd.insert(folder) || is_odd,
            false => self.shown.odd.remove(&folder),
        }
    }

    /// Names for files of one name.
    fn files(&mut self, files: &[NodeId], at: (Option<NodeId>, &Class, &[u8]), first_has_it: bool) {
        let (folder, class, name) = at;
        let (Some(folder), Some(class)) = (folder, class) else {
            files.iter().for_each(|node| self.see(*node, None));
            return;
        };
        let mut given: HashSet<Box<[u8]>> = HashSet::new();
        for (place, node) in files.iter().enumerate() {
            if place == 0 && first_has_it {
                self.see(*node, Some(Sight::At(folder, name.into())));
                continue;
            }
            let moves = &self.shown.moves;
            let place = moves.node(node).and_then(|known| known.place.as_ref());
            let label = place.map_or_else(String::new, |(stamp, place)| (self.label)(stamp, place.when));
            let has_it = |mark: &[u8]| {
                let mut named = class.iter().flat_map(|folder| moves.named(folder, mark));
                named.any(|node| moves.is_live(&node))
            };
            let mut tried = Vec::new();
            for attempt in 0.. {
                let mark = mark_of(name, &label, node, attempt);
                let is_free = !given.contains(&mark) && !has_it(&mark);
                tried.push(mark);
                if is_free {
                    break;
                }
            }
            let Some(mark) = tried.last().cloned() else {
                continue;
            };
            given.insert(mark.clone());
            self.see(*node, Some(Sight::At(folder, mark)));
            let marked = tried.iter().map(|mark| (mark.clone(), *node));
            self.shown.marked.extend(marked);
            self.shown.marks.insert(*node, tried);
        }
    }

    /// Notes how a node is seen.
    fn see(&mut self, node: NodeId, sight: Option<Sight>) {
        for mark in self.shown.marks.remove(&node).into_iter().flatten() {
            self.shown.marked.remove(&(mark, node));
        }
        self.changed.insert(node, sight);
    }
}

/// What a conflict file is called. From the second attempt on its node tells it apart from what the same device
/// brought to the same name in the same minute, however much that is.
pub(super) fn mark_of(name: &[u8], label: &str, node: &NodeId, attempt: usize) -> Box<[u8]> {
    let Some(attempt) = attempt.checked_sub(1) else {
        return conflict_name(name, label, 0);
    };
    let id: String = node.0[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let label: String = label.chars().take(LABEL_MAX).collect();
    conflict_name(name, &format!("{id} {label}"), attempt)
}

/// By what a node has its place.
fn stamp(moves: &Moves, node: &NodeId) -> Option<Stamp> {
    Some(moves.node(node)?.place.as_ref()?.0)
}
