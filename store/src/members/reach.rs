//! The statements in one line, ancestors first, and who is whose ancestor.
//!
//! The line goes by (Lamport time, id): the same for the same statements, in whatever order they came.

use super::graph::Node;
use super::statement::Statement;

/// A set of places in the line.
#[derive(Clone)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn none(len: usize) -> Bits {
        Bits(vec![0; len.div_ceil(64)])
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    pub(super) fn add(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    pub(super) fn keep(&mut self, other: &Bits) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(word, other)| *word &= other);
    }
}

/// Statements, ancestors first.
pub(super) struct Line<'a> {
    nodes: Vec<&'a Node>,
    /// Of each, the places of its parents.
    parents: Vec<Vec<usize>>,
}

impl<'a> Line<'a> {
    /// Of these, which name their parents by their place among them.
    pub(super) fn new(nodes: impl Iterator<Item = &'a Node>) -> Line<'a> {
        let nodes: Vec<&Node> = nodes.collect();
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_unstable_by_key(|n| (nodes[*n].verified.statement().lamport, nodes[*n].verified.id()));
        let mut places = vec![0; nodes.len()];
        for (place, n) in order.iter().enumerate() {
            places[*n] = place;
        }
        let nodes: Vec<&Node> = order.iter().map(|n| nodes[*n]).collect();
        let parents = nodes
            .iter()
            .map(|node| node.parents.iter().map(|p| places[*p as usize]).collect());
        Line {
            parents: parents.collect(),
            nodes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, at: usize) -> &'a Node {
        self.nodes[at]
    }

    pub(super) fn statements(&self) -> impl Iterator<Item = (usize, &'a Statement)> {
        self.nodes
            .iter()
            .map(|node| node.verified.statement())
            .enumerate()
    }

    /// A statement and its ancestors.
    pub(super) fn past(&self, at: usize) -> Bits {
        let mut past = Bits::none(self.len());
        past.add(at);
        for place in (0..=at).rev() {
            if past.has(place) {
                self.parents[place].iter().for_each(|parent| past.add(*parent));
            }
        }
        past
    }

    /// Of each statement, which marks are on it or on an ancestor. A mark is one of 64, on one statement or several.
    pub(super) fn marks(&self, on: impl Iterator<Item = (usize, u64)>) -> Vec<u64> {
        let mut marks = vec![0; self.len()];
        on.for_each(|(at, mark)| marks[at] |= mark);
        for (place, parents) in self.parents.iter().enumerate() {
            marks[place] = parents
                .iter()
                .fold(marks[place], |sum, parent| sum | marks[*parent]);
        }
        marks
    }
}
