//! How far the index is, for those who wait for it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::said::Lazy;

/// How much of what was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Upto {
    /// All up to this mark.
    pub(super) mark: u64,
    /// Whether everything was told once.
    pub(super) filled: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    /// What the tables have.
    pub(super) tables: Upto,
    /// What searches see.
    pub(super) search: Upto,
    /// Files that something is known of, and how many there are at least.
    pub(super) read: u64,
    pub(super) known: u64,
    /// How often all versions, and all blobs, were told.
    pub(super) told: [u64; 2],
}

/// Shared by who keeps the tables and those who ask.
#[derive(Default)]
pub(super) struct State {
    now: Mutex<Now>,
    changed: Condvar,
    needed: Mutex<[u64; 2]>,
}

pub(super) fn place(lazy: Lazy) -> usize {
    match lazy {
        Lazy::History => 0,
        Lazy::Blobs => 1,
    }
}

impl State {
    pub(super) fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock());
        self.changed.notify_all();
    }

    pub(super) fn now(&self) -> Now {
        *self.now.lock()
    }

    /// Waits until it is so, at most this long; how it is then.
    pub(super) fn wait(&self, is_so: impl Fn(&Now) -> bool, patience: Duration) -> Now {
        let until = Instant::now() + patience;
        let mut now = self.now.lock();
        while !is_so(&now) {
            if self.changed.wait_until(&mut now, until).timed_out() {
                break;
            }
        }
        *now
    }

    /// Says by `ask` that something is needed; the number of this need. Needs are answered in their order.
    pub(super) fn need(&self, lazy: Lazy, ask: impl FnOnce()) -> u64 {
        let mut needed = self.needed.lock();
        ask();
        let count = &mut needed[place(lazy)];
        *count += 1;
        *count
    }
}
