//! Which versions of a text this mount has shown to whom: what an editor may have had.
//!
//! An open counts as a read, since a read may be served by the kernel's pages. A process is known
//! by the thread that opened; where none is, nothing is noted. Bounded; what is forgotten makes an
//! editor one of whom nothing is known. It never guesses: a showing that cannot be named is none.

use std::collections::HashMap;

use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
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
    /// A version that is not told yet, by its draft's serial.
    Draft(u64),
    /// What the next draft of this inode is.
    Next(Ino),
}

/// One showing, or one save.
struct Showing {
    order: u64,
    who: Process,
    stand: Stand,
    /// The process itself has saved this.
    saved: bool,
    /// Handles that are open since it was shown this.
    handles: Vec<u64>,
}

/// What is known of a process.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What it may have, the oldest first.
    pub(super) stands: Vec<Stand>,
    /// It has saved: before that it had nothing that it may still have.
    pub(super) has_saved: bool,
}

/// See the module. Of each text in the order of time.
#[derive(Default)]
pub(super) struct Shown(HashMap<EntityId, Vec<Showing>>);

fn is_there(who: Process) -> bool {
    std::path::Path::new("/proc").join(who.to_string()).exists()
}

impl Shown {
    /// A file was opened by this handle; 0: nobody says when it is closed.
    pub(super) fn note(&mut self, entity: EntityId, order: u64, who: Process, stand: Stand, handle: u64) {
        let all = self.of(entity);
        let again = |one: &Showing| one.who == who && one.stand == stand && !one.saved;
        let mut handles = match all.iter().position(again) {
            Some(place) => all.remove(place).handles,
            None => Vec::new(),
        };
        if handle != 0 {
            handles.push(handle);
        }
        add(
            all,
            Showing {
                order,
                who,
                stand,
                saved: false,
                handles,
            },
        );
    }

    /// A handle was closed.
    pub(super) fn closed(&mut self, entity: &EntityId, handle: u64) {
        for one in self.0.get_mut(entity).into_iter().flatten() {
            one.handles.retain(|open| *open != handle);
        }
    }

    /// What this inode is now is kept as a draft: a process has saved it, if one is known, and who
    /// saw the file since the last one saw this.
    pub(super) fn saved(&mut self, entity: EntityId, order: u64, who: Process, ino: Ino, serial: u64) {
        let all = self.of(entity);
        for one in all.iter_mut().filter(|one| one.stand == Stand::Next(ino)) {
            one.stand = Stand::Draft(serial);
        }
        if who != 0 {
            add(
                all,
                Showing {
                    order,
                    who,
                    stand: Stand::Draft(serial),
                    saved: true,
                    handles: Vec::new(),
                },
            );
        }
    }

    /// What a process may have had before `order`: what it saved last and was shown since; before
    /// that only what it was shown by a handle that is open still, for there may be several editors
    /// behind one process.
    pub(super) fn to(&self, entity: &EntityId, who: Process, order: u64) -> Known {
        let all = self.0.get(entity).into_iter().flatten();
        let its: Vec<&Showing> = all
            .filter(|one| one.order < order && (one.who == who || same_process(one.who, who)))
            .collect();
        let last = its.iter().rposition(|one| one.saved);
        let since = its.iter().enumerate().filter(|(place, one)| {
            let is_since = last.is_none_or(|last| *place >= last);
            is_since || !one.handles.is_empty()
        });
        Known {
            stands: since.map(|(_, one)| one.stand.clone()).collect(),
            has_saved: last.is_some(),
        }
    }

    /// A draft is these versions now.
    pub(super) fn told(&mut self, entity: &EntityId, serial: u64, versions: &[EventRef]) {
        self.rename(entity, &Stand::Draft(serial), versions);
        let Some(all) = self.0.get_mut(entity) else { return };
        // What a process had before a save that is told is asked for no more.
        let mut saved: HashMap<Process, u64> = HashMap::new();
        for one in all
            .iter()
            .filter(|one| one.saved && matches!(one.stand, Stand::Told(_)))
        {
            saved.insert(one.who, one.order);
        }
        all.retain(|one| {
            let is_over = saved.get(&one.who).is_some_and(|order| one.order < *order);
            !is_over || !one.handles.is_empty()
        });
    }

    /// What this inode was is told, and never was a draft.
    pub(super) fn told_whole(&mut self, entity: &EntityId, ino: Ino, version: EventRef) {
        self.rename(entity, &Stand::Next(ino), &[version]);
    }

    /// A draft will never be told.
    pub(super) fn given_up(&mut self, entity: &EntityId, serial: u64) {
        if let Some(all) = self.0.get_mut(entity) {
            all.retain(|one| one.stand != Stand::Draft(serial));
        }
    }

    fn rename(&mut self, entity: &EntityId, was: &Stand, versions: &[EventRef]) {
        for one in self.0.get_mut(entity).into_iter().flatten() {
            if one.stand == *was {
                one.stand = Stand::Told(versions.to_vec());
            }
        }
    }

    /// What is known of a text; if there are too many, those go that were looked at the longest time
    /// ago.
    fn of(&mut self, entity: EntityId) -> &mut Vec<Showing> {
        if self.0.len() >= TEXTS && !self.0.contains_key(&entity) {
            let last = |all: &Vec<Showing>| all.iter().map(|one| one.order).max().unwrap_or(0);
            let mut ages: Vec<u64> = self.0.values().map(last).collect();
            ages.sort_unstable();
            let limit = ages.get(ages.len() / 2).copied().unwrap_or(u64::MAX);
            self.0.retain(|_, all| last(all) > limit);
        }
        self.0.entry(entity).or_default()
    }
}

/// Adds one, in its place; if there are too many, processes that are no more go first, then the oldest.
fn add(all: &mut Vec<Showing>, one: Showing) {
    if all.len() >= SHOWN {
        all.retain(|one| is_there(one.who));
    }
    if all.len() >= SHOWN {
        all.remove(0);
    }
    let place = all.partition_point(|other| other.order <= one.order);
    all.insert(place, one);
}
