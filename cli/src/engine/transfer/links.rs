//! Which names are one file: the first of them goes, the others are given to it afterwards.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// `K` names a file here, `P` where it went, `L` a name that is to be given to it.
pub(super) struct Links<K, P, L>(Mutex<Inner<K, P, L>>);

struct Inner<K, P, L> {
    went: HashMap<K, Option<P>>,
    later: Vec<(K, L)>,
}

impl<K: Eq + Hash + Copy, P: Clone, L> Links<K, P, L> {
    pub(super) fn new() -> Links<K, P, L> {
        Links(Mutex::new(Inner {
            went: HashMap::new(),
            later: Vec::new(),
        }))
    }

    /// Whether this name is the first of its file; any other is kept for later.
    pub(super) fn is_first(&self, file: K, name: impl FnOnce() -> L) -> bool {
        let mut inner = self.0.lock();
        if let Entry::Vacant(place) = inner.went.entry(file) {
            place.insert(None);
            return true;
        }
        inner.later.push((file, name()));
        false
    }

    /// The file went there.
    pub(super) fn went(&self, file: K, place: P) {
        self.0.lock().went.insert(file, Some(place));
    }

    /// Where it went, if its first name did not fail.
    pub(super) fn place(&self, file: K) -> Option<P> {
        self.0.lock().went.get(&file).cloned().flatten()
    }

    /// The names that are to be given, once all files went.
    pub(super) fn later(&self) -> Vec<(K, L)> {
        std::mem::take(&mut self.0.lock().later)
    }
}
