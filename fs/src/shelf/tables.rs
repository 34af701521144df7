//! The tables, made as they are read: each making is a file of its own, as if it had been put in the place of the one before.
//!
//! Guarantees: the size that is shown is that of the bytes that are read, and the bytes of a file that is open or mapped never
//! change; what was looked at is what is opened a moment later ([`FRESH`]). What nobody has open is kept for [`REST`], and all
//! together take no more than [`ROOM`] in memory: what would take more is refused (EFBIG, or ENOMEM while others are open).
//! Nothing goes to a disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::asking::Asking;
use super::source::{Body, Source, SourceError};
use crate::types::{Errno, Result, Time};

/// How long one stands for its name though something changed.
const FRESH: Duration = Duration::from_secs(3);
/// How long it does at all.
const LONGEST: Duration = Duration::from_secs(60);
/// How long one is kept that nobody uses.
const REST: Duration = Duration::from_secs(6);
/// Bytes of all together.
const ROOM: u64 = 256 << 20;

/// One making.
struct Made {
    name: String,
    body: Option<Arc<dyn Body>>,
    /// Why there is none.
    failed: Option<Errno>,
    generation: u64,
    done: Instant,
    used: Instant,
    open: usize,
    time: Time,
}

#[derive(Default)]
struct State {
    next: u64,
    /// The one that stands for a name.
    current: HashMap<String, u64>,
    made: HashMap<u64, Made>,
    /// Whether somebody looks after what nobody uses.
    sweeping: bool,
}

/// What the threads that make share with those who wait.
struct Shared {
    source: Arc<dyn Source>,
    state: Mutex<State>,
}

/// See the module.
pub(super) struct Tables {
    shared: Arc<Shared>,
    asking: Arc<Asking<u64>>,
}

impl Tables {
    pub(super) fn new(source: Arc<dyn Source>, limit: Duration) -> Tables {
        let state = Mutex::default();
        Tables {
            shared: Arc::new(Shared { source, state }),
            // One after the other: each is told how much room there is.
            asking: Asking::new(1, limit),
        }
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = self.shared.source.tables();
        names.retain(|name| {
            !name.is_empty() && name.len() <= 255 && !name.contains(['/', '\0']) && !name.starts_with('.')
        });
        names
    }

    /// The making that stands for a name now. It need not have been made yet.
    ///
    /// # Errors
    /// ENOENT if there is no such table.
    pub(super) fn number(&self, name: &str) -> Result<u64> {
        if !self.names().iter().any(|other| other == name) {
            return Err(Errno(libc::ENOENT));
        }
        let generation = self.shared.source.generation();
        let mut state = self.shared.state.lock();
        if let Some(number) = state.current.get(name).copied()
            && let Some(made) = state.made.get(&number)
        {
            let age = made.done.elapsed();
            let is_current = match (&made.body, made.failed) {
                (_, Some(_)) => age < FRESH / 3,
                (None, None) => true,
                (Some(_), _) => age < FRESH || (made.generation == generation && age < LONGEST),
            };
            if is_current {
                return Ok(number);
            }
            if made.open == 0 {
                state.made.remove(&number);
            }
        }
        state.next += 1;
        let (number, now) = (state.next, Instant::now());
        let made = Made {
            name: name.to_owned(),
            body: None,
            failed: None,
            generation,
            done: now,
            used: now,
            open: 0,
            time: Time::now(),
        };
        state.made.insert(number, made);
        state.current.insert(name.to_owned(), number);
        Ok(number)
    }

    /// Its size and time, if it was made.
    pub(super) fn known(&self, number: u64) -> Option<(u64, Time)> {
        let state = self.shared.state.lock();
        let made = state.made.get(&number)?;
        Some((made.body.as_ref()?.size(), made.time))
    }

    /// Its bytes, made if need be, and its time.
    ///
    /// # Errors
    /// LATER where nobody may wait; ESTALE if another has taken its place and nobody used it;
    /// EFBIG, ENOMEM, ETIMEDOUT, EIO as they say.
    pub(super) fn body(&self, number: u64) -> Result<(Arc<dyn Body>, Time)> {
        self.found(number, 0)
    }

    fn found(&self, number: u64, opens: usize) -> Result<(Arc<dyn Body>, Time)> {
        let ready = || match self.shared.state.lock().made.get_mut(&number) {
            None => Some(Err(Errno(libc::ESTALE))),
            Some(made) => {
                made.used = Instant::now();
                match (&made.body, made.failed) {
                    (Some(body), _) => {
                        made.open += opens;
                        Some(Ok((body.clone(), made.time)))
                    }
                    (None, Some(errno)) => Some(Err(errno)),
                    (None, None) => None,
                }
            }
        };
        let shared = self.shared.clone();
        self.asking.ask(&number, ready, move || shared.make(number))?
    }

    /// Opens it: it stays as long as that.
    ///
    /// # Errors
    /// As [`Tables::body`].
    pub(super) fn open(&self, number: u64) -> Result<Arc<dyn Body>> {
        Ok(self.found(number, 1)?.0)
    }

    /// It is closed.
    pub(super) fn close(&self, number: u64) {
        let mut state = self.shared.state.lock();
        if let Some(made) = state.made.get_mut(&number) {
            made.open = made.open.saturating_sub(1);
            made.used = Instant::now();
        }
    }
}

impl State {
    /// Lets go of what nobody has open and nobody used for so long.
    fn sweep(&mut self, rest: Duration) {
        self.made.retain(|_, made| {
            let is_pending = made.body.is_none() && made.failed.is_none();
            made.open > 0 || made.used.elapsed() < rest || is_pending
        });
        let made = &self.made;
        self.current.retain(|_, number| made.contains_key(number));
        // One that was never asked for is not waited for once another stands for its name.
        let current: Vec<u64> = self.current.values().copied().collect();
        let rests = |made: &Made| made.open > 0 || made.used.elapsed() < rest;
        self.made
            .retain(|number, made| current.contains(number) || rests(made));
    }

    /// Lets go of what was only looked at, the longest ago first, until all take no more than this; what they take.
    fn shrink(&mut self, most: u64) -> u64 {
        loop {
            let bodies = self.made.values().filter_map(|made| made.body.as_ref());
            let taken: u64 = bodies.map(|body| body.size()).sum();
            let idle = self
                .made
                .iter()
                .filter(|(_, made)| made.open == 0 && made.body.is_some());
            match idle.min_by_key(|(_, made)| made.used).map(|(number, _)| *number) {
                Some(number) if taken > most => drop(self.made.remove(&number)),
                _ => return taken,
            }
        }
    }
}

impl Shared {
    /// Makes one, and leaves it or why not.
    fn make(self: &Arc<Self>, number: u64) {
        let state = self.state.lock();
        let Some(name) = state.made.get(&number).map(|made| made.name.clone()) else {
            return;
        };
        drop(state);
        let generation = self.source.generation();
        let mut body = Err(Errno(libc::EIO));
        for keep in [ROOM / 2, 0] {
            let most = ROOM.saturating_sub(self.state.lock().shrink(keep));
            body = match self.source.table(&name, most) {
                Ok(body) if body.size() <= most => Ok(body),
                Ok(_) | Err(SourceError::TooLarge { .. }) if most < ROOM => Err(Errno(libc::ENOMEM)),
                Ok(_) | Err(SourceError::TooLarge { .. }) => Err(Errno(libc::EFBIG)),
                Err(_) => Err(Errno(libc::EIO)),
            };
            // Without what was only looked at there may be room.
            if !matches!(body, Err(Errno(libc::ENOMEM))) {
                break;
            }
        }
        let mut state = self.state.lock();
        if let Some(made) = state.made.get_mut(&number) {
            made.generation = generation;
            (made.done, made.used) = (Instant::now(), Instant::now());
            made.time = Time::now();
            match body {
                Ok(body) => made.body = Some(body),
                Err(errno) => made.failed = Some(errno),
            }
        }
        if !std::mem::replace(&mut state.sweeping, true) {
            // Of an unmounted one, nothing is kept.
            let shared = Arc::downgrade(self);
            let sweeper = std::thread::Builder::new().name("shelf-sweep".into());
            let swept = move || {
                loop {
                    std::thread::sleep(REST / 3);
                    match shared.upgrade() {
                        Some(shared) if shared.sweep() => {}
                        _ => return,
                    }
                }
            };
            state.sweeping = sweeper.spawn(swept).is_ok();
        }
    }

    /// Looks after what nobody uses; whether there is still something.
    fn sweep(&self) -> bool {
        let mut state = self.state.lock();
        state.sweep(REST);
        state.sweeping = state.made.values().any(|made| made.body.is_some());
        state.sweeping
    }
}
