//! Versions that come without what they said: whoever gave them here had let go of it.
//!
//! Guarantees: such a one costs no row, as if it had been let go of here; but for an entity's first one, whose event has
//! the key. What was made from it counts as made from what that was made from. What has its bytes and cannot be read
//! without it waits (`sort`): nobody can bring what is lacking, but nothing is taken for what it is not.

use std::collections::{HashMap, HashSet};

use crate::core::StoreError;
use crate::event::{EventKind, EventRef, Head};
use crate::record::PARENTS_MAX;
use crate::vault::Vault;

/// The first version of an entity, of which the key alone came.
pub(super) struct KeyCame {
    pub(super) head: Head,
    pub(super) sealed_at: u32,
    /// The batch that it lies in, if that is stored.
    pub(super) batch: Option<u64>,
}

/// Versions without what they said, and what they replaced.
#[derive(Default)]
pub(super) struct Holes {
    /// Of those that have just come.
    now: HashMap<EventRef, Vec<EventRef>>,
    /// Of those in batches that were looked at.
    stored: HashMap<u64, HashMap<EventRef, Vec<EventRef>>>,
}

impl Holes {
    /// One has come.
    pub(super) fn came(&mut self, head: &Head) {
        self.now.insert(head.at, head.replaces.clone());
    }
}

impl Vault {
    /// What a version was made from, with what those were made from in the place of such that say nothing.
    pub(super) fn without_holes(
        &self,
        holes: &mut Holes,
        replaces: Vec<EventRef>,
    ) -> Result<Vec<EventRef>, StoreError> {
        let (mut all, mut seen) = (Vec::new(), HashSet::new());
        // The last one is looked at next: so they stay in their order.
        let mut next: Vec<EventRef> = replaces.iter().rev().copied().collect();
        let mut passed = false;
        while let Some(at) = next.pop() {
            if !seen.insert(at) {
                continue;
            }
            match self.hole(holes, at)? {
                Some(instead) => {
                    passed = true;
                    next.extend(instead.iter().rev());
                }
                None => all.push(at),
            }
        }
        if !passed || all.is_empty() || all.len() > PARENTS_MAX {
            return Ok(replaces);
        }
        if let [one] = replaces.as_slice() {
            // Whoever comes to it next is there at once.
            holes.now.insert(*one, all.clone());
        }
        Ok(all)
    }

    fn hole<'a>(&self, holes: &'a mut Holes, at: EventRef) -> Result<Option<&'a Vec<EventRef>>, StoreError> {
        if holes.now.contains_key(&at) {
            return Ok(holes.now.get(&at));
        }
        if !self.core.is_hole(at)? {
            return Ok(None);
        }
        let (no, batch) = match self.core.events_beside(at) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(e) if e.is_damage() => return Ok(None),
            Err(e) => return Err(e),
        };
        let in_batch = holes.stored.entry(no).or_insert_with(|| {
            let heads = batch
                .into_iter()
                .filter(|event| event.head.kind == EventKind::Version && event.sealed.is_none());
            heads.map(|event| (event.head.at, event.head.replaces)).collect()
        });
        Ok(in_batch.get(&at))
    }
}
