//! Which versions of a text this mount has shown to whom: what an editor may have had.
//!
//! An open counts as a read, since a read may be served by the kernel's pages. A process is known
//! by the thread that opened; where none is, nothing is noted. Bounded; what is forgotten makes an
//! editor one of whom nothing is known.

use std::collections::HashMap;

use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::text::Heads;
use crate::vault::saves::{Process, same_process};

/// So many texts are remembered.
const TEXTS: usize = 2048;
/// So many showings of each.
const SHOWN: usize = 64;

/// What a file showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Stand {
    /// These versions.
    Told(Vec<EventRef>),
    /// What is the file's next version: the inode, and the count of its content's changes.
    Coming(Ino, u64),
    /// A version that is not told yet.
    Woven(Heads),
}

/// One showing.
struct Showing {
    order: u64,
    who: Process,
    stand: Stand,
}

/// See the module.
#[derive(Default)]
pub(super) struct Shown(HashMap<EntityId, Vec<Showing>>);

impl Shown {
    /// A file was opened.
    pub(super) fn note(&mut self, entity: EntityId, order: u64, who: Process, stand: Stand) {
        if self.0.len() >= TEXTS && !self.0.contains_key(&entity) {
            // Those that were looked at the longest time ago.
            let mut ages: Vec<u64> = self
                .0
                .values()
                .filter_map(|all| Some(all.last()?.order))
                .collect();
            ages.sort_unstable();
            let limit = ages.get(ages.len() / 2).copied().unwrap_or(u64::MAX);
            self.0
                .retain(|_, all| all.last().is_some_and(|last| last.order > limit));
        }
        let all = self.0.entry(entity).or_default();
        match all.iter_mut().find(|one| one.who == who && one.stand == stand) {
            Some(one) => one.order = order,
            None => {
                if all.len() >= SHOWN {
                    all.remove(0);
                }
                all.push(Showing { order, who, stand });
            }
        }
    }

    /// What a process was shown of a text before `order`, the oldest first.
    pub(super) fn to(&self, entity: &EntityId, who: Process, order: u64) -> Vec<Stand> {
        let all = self.0.get(entity).into_iter().flatten();
        let mut to: Vec<&Showing> = all
            .filter(|one| one.order < order && (one.who == who || same_process(one.who, who)))
            .collect();
        to.sort_by_key(|one| one.order);
        to.into_iter().map(|one| one.stand.clone()).collect()
    }

    /// A version that a process saved, before `order`, has this name now: that is what it has from
    /// then on, and what everybody was shown who saw the file as it was then.
    pub(super) fn saved(
        &mut self,
        entity: EntityId,
        (who, order): (Process, u64),
        (ino, changes): (Ino, u64),
        heads: &Heads,
    ) {
        let all = self.0.entry(entity).or_default();
        if who != 0 {
            all.retain(|one| one.order >= order || !(one.who == who || same_process(one.who, who)));
        }
        for one in all.iter_mut() {
            if matches!(one.stand, Stand::Coming(of, seen) if of == ino && seen <= changes) {
                one.stand = Stand::Woven(heads.clone());
            }
        }
        if who != 0 {
            let stand = Stand::Woven(heads.clone());
            all.push(Showing { order, who, stand });
        }
    }
}
