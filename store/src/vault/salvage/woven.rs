//! A text of which the newest version is a change: built again from what is told of its past.
//!
//! Guarantees: it is what its file showed, by the vault's own rule of what concurrent versions come to.
//! What a lost or damaged change would have added is missing, and that is said; the rest is there.
//! Every change is checked as one of another device is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::told::{Past, Told};
use crate::event::{Body, EventRef, Version};
use crate::ids::EntityId;
use crate::keys::Key;
use crate::text::{Change, Document, Heads, Maker};
use crate::vault::texts::{Line, merged_text};

/// Each version once, after what it was made from: a batch that was appended anew tells of what is left of
/// it once more.
pub(super) fn in_order(told: &Past) -> Past {
    let mut past = told.clone();
    past.sort_unstable_by_key(|(newest, _)| (newest.lamport, newest.at, !newest.is_kept()));
    past.dedup_by_key(|(newest, _)| newest.at);
    after_parents(past)
}

/// The same order, where it is none: a Lamport time in a batch that is damaged may be too low or too high.
/// What is made from something is later than that.
fn after_parents(past: Past) -> Past {
    let place_of: HashMap<EventRef, usize> = places(&past);
    let known = |parents: &[EventRef]| -> Vec<usize> {
        let mut known: Vec<usize> = parents
            .iter()
            .filter_map(|at| place_of.get(at).copied())
            .collect();
        known.sort_unstable();
        known.dedup();
        known
    };
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); past.len()];
    let mut lacks = vec![0; past.len()];
    for (place, (_, parents)) in past.iter().enumerate() {
        for parent in known(parents) {
            children[parent].push(place);
            lacks[place] += 1;
        }
    }
    let mut times: Vec<u64> = past.iter().map(|(newest, _)| newest.lamport).collect();
    let mut ready: BinaryHeap<Reverse<(u64, EventRef, usize)>> = BinaryHeap::new();
    for (place, (newest, _)) in past.iter().enumerate().filter(|(place, _)| lacks[*place] == 0) {
        ready.push(Reverse((newest.lamport, newest.at, place)));
    }
    let mut ordered = Past::with_capacity(past.len());
    while let Some(Reverse((lamport, _, place))) = ready.pop() {
        let (newest, parents) = &past[place];
        let mut newest = *newest;
        newest.lamport = lamport;
        ordered.push((newest, parents.clone()));
        for child in &children[place] {
            lacks[*child] -= 1;
            times[*child] = times[*child].max(lamport.saturating_add(1));
            if lacks[*child] == 0 {
                ready.push(Reverse((times[*child], past[*child].0.at, *child)));
            }
        }
    }
    ordered
}

fn places(past: &Past) -> HashMap<EventRef, usize> {
    past.iter()
        .enumerate()
        .map(|(place, (newest, _))| (newest.at, place))
        .collect()
}

/// Whether a version is what those come to that it was made from, with something more or without.
pub(super) fn is_change(body: &Body) -> bool {
    matches!(body, Body::Change { .. } | Body::Same | Body::Carried { .. })
}

/// What a text was, with its bytes, and whether all of its past was there.
pub(super) struct Woven {
    pub(super) version: Version,
    pub(super) is_whole: bool,
}

impl Told {
    /// The text that is this line, as a file of this name shows it, with the attributes of its last
    /// version. None if nothing of it can be read.
    pub(super) fn woven(
        &self,
        key: &Key,
        entity: &EntityId,
        past: &Past,
        line: &Line,
        name: &[u8],
    ) -> Option<Woven> {
        let began = line.began();
        let genesis = past.iter().position(|(newest, _)| newest.at == began)?;
        let mut last = self.version(key, entity, &past[genesis].0).ok()?;
        let mut document = Document::genesis(began, &self.text_of(&last)?).ok()?;
        // What names each version; of those that cannot be had, what names what they were made from.
        let mut names: HashMap<EventRef, Heads> = HashMap::from([(began, document.heads().ok()?)]);
        let mut rest: Vec<usize> = (0..past.len()).filter(|place| *place != genesis).collect();
        let mut is_whole;
        // Lamport times in a batch that is damaged may be too low or too high: what lacks something is
        // tried again when there is more.
        loop {
            let before = rest.len();
            is_whole = true;
            rest.retain(|place| {
                let (newest, parents) = &past[*place];
                let from = parents.iter().filter_map(|at| names.get(at));
                let from: Heads = from.flat_map(Heads::as_slice).copied().collect();
                // The first is of its own text; one that carries a version over names that after it.
                if !parents.first().is_some_and(|at| names.contains_key(at)) {
                    return true;
                }
                let maker = |serial| Maker {
                    chain: newest.at.chain,
                    serial,
                    carries: false,
                };
                let version = self.version(key, entity, newest);
                let change = match version.as_ref().ok().map(|version| &version.body) {
                    Some(Body::Change { serial, bytes }) => Change::open(bytes, maker(*serial), began).ok(),
                    Some(Body::Carried { of, bytes }) if !bytes.is_empty() => {
                        Change::open(bytes, Maker::carried(*of), began).ok()
                    }
                    Some(Body::Same | Body::Carried { .. }) => {
                        names.insert(newest.at, document.newest_of(from));
                        last = version.unwrap_or_else(|_| last.clone());
                        return false;
                    }
                    // A version with its bytes: of another text, or of none.
                    Some(_) => return false,
                    None => None,
                };
                // What builds on one that is missing is missing too.
                match change {
                    Some(change) if document.apply(std::slice::from_ref(&change)).is_ok() => {
                        names.insert(newest.at, [change.hash()].into_iter().collect());
                        last = version.unwrap_or_else(|_| last.clone());
                        false
                    }
                    _ => {
                        names.insert(newest.at, document.newest_of(from));
                        is_whole = false;
                        true
                    }
                }
            });
            if rest.is_empty() || rest.len() == before {
                break;
            }
        }
        let text = match merged_text(&document, &document.heads().ok()?, name).ok()? {
            Some(text) => text,
            None => document.text_at(names.get(&line.last)?).ok()?,
        };
        (last.size, last.body) = (text.len() as u64, Body::Inline(text.into_bytes()));
        Some(Woven {
            version: last,
            is_whole,
        })
    }

    /// The text of a version that has its bytes.
    fn text_of(&self, version: &Version) -> Option<String> {
        let bytes = match &version.body {
            Body::Inline(bytes) => bytes.clone(),
            Body::Manifest(root) => {
                let mut bytes = Vec::new();
                let read = self.each_piece(root, &mut |_, piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                });
                read.ok()?;
                bytes
            }
            Body::Change { .. } | Body::Same | Body::Carried { .. } => return None,
        };
        String::from_utf8(bytes).ok()
    }
}
