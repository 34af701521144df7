//! A text of which the newest version is a change: built again from what is told of its past.
//!
//! Guarantees: what a lost or damaged change would have added is missing, and that is said; the
//! rest is there. Every change is checked as one of another device is.

use std::collections::{HashMap, HashSet};

use super::told::{Newest, Told};
use crate::event::{Body, EventRef, Version};
use crate::ids::EntityId;
use crate::keys::Key;
use crate::text::{Change, Document, Maker};

/// What is told of one version: where, and what it replaces.
pub(super) type Past = Vec<(Newest, Vec<EventRef>)>;

/// A text's bytes, and whether all of its past was there.
pub(super) struct Woven {
    pub(super) bytes: Vec<u8>,
    pub(super) is_whole: bool,
}

impl Told {
    /// The text that the version `at` belongs to, as its newest versions come together. None if
    /// nothing of it can be read.
    pub(super) fn woven(&self, key: &Key, entity: &EntityId, past: &Past, at: EventRef) -> Option<Woven> {
        let places: HashMap<EventRef, usize> =
            past.iter().enumerate().map(|(i, (it, _))| (it.at, i)).collect();
        let open = |place: usize| -> Option<Version> { self.version(key, entity, &past[place].0) };
        let (genesis, text) = self.beginning(&places, past, at, &open)?;
        let began = past[genesis].0.at;
        let mut document = Document::genesis(began, &text).ok()?;
        let mut order: Vec<usize> = (0..past.len()).collect();
        order.sort_by_key(|place| (past[*place].0.lamport, past[*place].0.at));
        let mut within: HashSet<EventRef> = [began].into_iter().collect();
        order.retain(|place| *place != genesis);
        let mut is_whole;
        // Lamport times in a batch that is damaged may be too low or too high: what lacks something is
        // tried again when there is more.
        loop {
            let before = order.len();
            is_whole = true;
            order.retain(|place| {
                let (newest, parents) = &past[*place];
                if !parents.first().is_some_and(|parent| within.contains(parent)) {
                    return true;
                }
                let maker = |serial| Maker {
                    chain: newest.at.chain,
                    serial,
                    carries: false,
                };
                let is_in = match open(*place).map(|version| version.body) {
                    Some(Body::Change { serial, bytes }) => {
                        let change = Change::open(&bytes, maker(serial), began).ok();
                        change.is_some_and(|change| document.apply(&[change]).is_ok())
                    }
                    Some(Body::Carried { of, bytes }) if !bytes.is_empty() => {
                        let change = Change::open(&bytes, Maker::carried(of), began).ok();
                        change.is_some_and(|change| document.apply(&[change]).is_ok())
                    }
                    Some(Body::Same | Body::Carried { .. }) => true,
                    // A version with its bytes: of another text, or of none.
                    Some(_) => return false,
                    None => false,
                };
                // What builds on one that is missing is missing too.
                within.insert(newest.at);
                is_whole &= is_in;
                !is_in
            });
            if order.is_empty() || order.len() == before {
                break;
            }
        }
        let bytes = document.text().ok()?.into_bytes();
        Some(Woven { bytes, is_whole })
    }

    /// Where a text began, and with which bytes.
    fn beginning(
        &self,
        places: &HashMap<EventRef, usize>,
        past: &Past,
        at: EventRef,
        open: &dyn Fn(usize) -> Option<Version>,
    ) -> Option<(usize, String)> {
        let mut seen = HashSet::new();
        let mut next = vec![at];
        while let Some(at) = next.pop() {
            let Some(place) = places.get(&at).filter(|_| seen.insert(at)) else {
                continue;
            };
            match open(*place).map(|version| version.body) {
                Some(Body::Inline(bytes)) => return Some((*place, String::from_utf8(bytes).ok()?)),
                Some(Body::Manifest(root)) => {
                    let mut bytes = Vec::new();
                    let read = self.each_piece(&root, &mut |_, piece| {
                        bytes.extend_from_slice(piece);
                        Ok(())
                    });
                    read.ok()?;
                    return Some((*place, String::from_utf8(bytes).ok()?));
                }
                // One that cannot be read still says what it was made from: what is of its own text stands first.
                Some(Body::Change { .. } | Body::Same | Body::Carried { .. }) | None => {
                    next.extend(past[*place].1.iter().rev());
                }
            }
        }
        None
    }
}
