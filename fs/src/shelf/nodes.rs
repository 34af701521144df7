//! Numbers of what lies in the folder `.coffer`: a range of inodes of its own, derived from what
//! each stands for, so that one thing has one number for as long as this process runs.
//!
//! Keeps what the kernel holds, and nothing else: what it has forgotten is forgotten here.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;

use super::place::Place;
use crate::types::Ino;

/// The first number of the range; the vault counts its own from 1 and never comes here.
pub(super) const FIRST: Ino = 1 << 62;
/// Folders that are always there, with numbers of their own.
const ALWAYS: [Place; 4] = [Place::Top, Place::Views, Place::Tables, Place::Searches];
/// How many numbers derived ones are chosen from; the first few are fixed.
const RANGE: u64 = (1 << 61) - FIXED;
const FIXED: u64 = 16;

/// What the kernel holds, with its count.
#[derive(Default)]
pub(super) struct Nodes(Mutex<HashMap<Ino, (Place, u64)>>);

impl Nodes {
    /// Whether a number lies in the range.
    pub(super) fn covers(ino: Ino) -> bool {
        ino >= FIRST
    }

    /// What a number stands for, if the kernel holds it.
    pub(super) fn get(&self, ino: Ino) -> Option<Place> {
        if let Some(always) = usize::try_from(ino.wrapping_sub(FIRST))
            .ok()
            .and_then(|at| ALWAYS.get(at))
        {
            return Some(always.clone());
        }
        self.0.lock().get(&ino).map(|(place, _)| place.clone())
    }

    /// The number that a place has, or would get.
    pub(super) fn number(&self, place: &Place) -> Ino {
        free(&self.0.lock(), place)
    }

    /// Whether the kernel knows it.
    pub(super) fn is_held(&self, ino: Ino) -> bool {
        self.get(ino).is_some()
    }

    /// The same as [`Nodes::number`], and counts it as looked up.
    pub(super) fn hold(&self, place: &Place) -> Ino {
        let mut held = self.0.lock();
        let ino = free(&held, place);
        if ino < FIRST + FIXED {
            return ino;
        }
        held.entry(ino).or_insert_with(|| (place.clone(), 0)).1 += 1;
        ino
    }

    /// The kernel has forgotten it so many times.
    pub(super) fn forget(&self, ino: Ino, count: u64) {
        let mut held = self.0.lock();
        if let Some((_, held_count)) = held.get_mut(&ino) {
            *held_count = held_count.saturating_sub(count);
            if *held_count == 0 {
                held.remove(&ino);
            }
        }
    }
}

/// The place's own number, or the next where another place has that.
fn free(held: &HashMap<Ino, (Place, u64)>, place: &Place) -> Ino {
    if let Some(at) = ALWAYS.iter().position(|always| always == place) {
        return FIRST + at as u64;
    }
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    let mut ino = FIRST + FIXED + hasher.finish() % RANGE;
    while held.get(&ino).is_some_and(|(other, _)| other != place) {
        ino = FIRST + FIXED + (ino + 1 - FIRST - FIXED) % RANGE;
    }
    ino
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that numbers stay, stay apart, lie in their range, and that nothing is kept of what
    /// the kernel forgot.
    #[test]
    fn numbers_are_held_and_let_go() {
        let nodes = Nodes::default();
        let place = |path: &str| Place::Words(path.to_owned());
        let (a, b) = (nodes.hold(&place("a")), nodes.hold(&place("b")));
        assert!(Nodes::covers(a) && Nodes::covers(b) && a != b && !Nodes::covers(FIRST - 1));
        assert!(i64::try_from(a).is_ok(), "programs read numbers as signed");
        assert_eq!(nodes.hold(&place("a")), a);
        assert_eq!(nodes.number(&place("a")), a);
        nodes.forget(a, 1);
        assert_eq!(nodes.get(a), Some(place("a")));
        nodes.forget(a, 1);
        assert_eq!(nodes.get(a), None);
        nodes.forget(a, 7);
        assert_eq!(nodes.number(&place("a")), a, "the same when it comes back");
        for always in &ALWAYS {
            assert_eq!(nodes.get(nodes.hold(always)).as_ref(), Some(always));
        }
        nodes.forget(b, 1);
        assert!(nodes.0.lock().is_empty());
    }

    /// Guards two places whose numbers fall together.
    #[test]
    fn a_taken_number_is_passed_over() {
        let nodes = Nodes::default();
        let (wanted, other) = (Place::Words("a".into()), Place::Words("b".into()));
        let taken = nodes.number(&wanted);
        nodes.0.lock().insert(taken, (other.clone(), 1));
        assert_eq!(nodes.hold(&wanted), taken + 1);
        assert_eq!(nodes.get(taken), Some(other));
        assert_eq!(nodes.get(taken + 1), Some(wanted));
    }
}
