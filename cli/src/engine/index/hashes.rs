//! By what large files' bytes are told from others: found in a thread of its own, one file after the other.
//!
//! Guarantees: nobody waits for it; each file that waits has its turn, also while one of them changes again and again, which rests for a
//! multiple of what it took before it is looked at once more; it ends soon after it is dropped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coffer_store::ids::Ino;
use coffer_store::record::Time;
use coffer_store::vault::{Facts, Vault};
use parking_lot::{Condvar, Mutex};

/// What changes with a file's bytes: size, times, versions.
pub(super) type Stamp = (u64, Time, Time, u64);

/// What a file is then.
pub(super) fn stamp(facts: &Facts) -> Stamp {
    (facts.size, facts.modified, facts.changed, facts.versions)
}

/// How long a file rests that changed while it was read: so many times what that took, and so long at least.
const REST: u32 = 4;
const REST_MIN: Duration = Duration::from_secs(1);

/// What was found: of which file, as of when, and by what its bytes are told from others, if they can be read.
pub(super) type Found = Box<dyn Fn(Ino, Stamp, Option<[u8; 16]>) + Send>;

#[derive(Default)]
struct Queue {
    order: VecDeque<Ino>,
    waiting: HashSet<Ino>,
    /// Until when files rest.
    rests: HashMap<Ino, Instant>,
}

impl Queue {
    fn push(&mut self, ino: Ino) {
        if self.waiting.insert(ino) {
            self.order.push_back(ino);
        }
    }

    fn forget(&mut self, ino: Ino) {
        self.rests.remove(&ino);
        // Its place in the order is passed over.
        self.waiting.remove(&ino);
    }

    /// The next file whose turn it is; else when there is one.
    fn next(&mut self, now: Instant) -> Result<Ino, Option<Instant>> {
        let mut soonest: Option<Instant> = None;
        for _ in 0..self.order.len() {
            let Some(ino) = self.order.pop_front() else { break };
            if !self.waiting.contains(&ino) {
                continue;
            }
            match self.rests.get(&ino).filter(|until| **until > now) {
                Some(until) => {
                    soonest = Some(soonest.map_or(*until, |soonest| soonest.min(*until)));
                    self.order.push_back(ino);
                }
                None => {
                    self.waiting.remove(&ino);
                    return Ok(ino);
                }
            }
        }
        Err(soonest)
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    stop: AtomicBool,
}

/// See the module.
pub(super) struct Hashes {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Hashes {
    fn drop(&mut self) {
        {
            // Under the lock: who is about to wait must not miss it.
            let _queue = self.shared.queue.lock();
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        self.shared.more.notify_all();
        // It uses the vault, which may be closed next.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Hashes {
    /// Begins; what is found is told to `found`.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn begin(vault: Arc<Vault>, found: Found) -> io::Result<Hashes> {
        let shared = Arc::new(Shared::default());
        let works = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("index-hashes".into());
        let thread = thread.spawn(move || works.run(&vault, &found))?;
        Ok(Hashes {
            shared,
            thread: Some(thread),
        })
    }

    /// A file is to be looked at.
    pub(super) fn push(&self, ino: Ino) {
        self.shared.queue.lock().push(ino);
        self.shared.more.notify_all();
    }

    /// A file needs not be looked at any more.
    pub(super) fn forget(&self, ino: Ino) {
        self.shared.queue.lock().forget(ino);
    }
}

impl Shared {
    fn next(&self) -> Option<Ino> {
        let mut queue = self.queue.lock();
        while !self.stop.load(Ordering::Relaxed) {
            match queue.next(Instant::now()) {
                Ok(ino) => return Some(ino),
                Err(Some(until)) => drop(self.more.wait_until(&mut queue, until)),
                Err(None) => self.more.wait(&mut queue),
            }
        }
        None
    }

    fn run(&self, vault: &Vault, found: &Found) {
        let stamp_of = |ino| {
            vault
                .facts(ino)
                .ok()
                .filter(|facts| facts.here)
                .as_ref()
                .map(stamp)
        };
        while let Some(ino) = self.next() {
            let begun = Instant::now();
            // One that is gone, or not here any more, is told so by the feed.
            let Some(before) = stamp_of(ino) else { continue };
            let content = vault.content_until(ino, &self.stop);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Some(after) = stamp_of(ino) else { continue };
            match content {
                Ok(Some(hash)) if before == after => {
                    self.queue.lock().rests.remove(&ino);
                    found(ino, before, hash.0[..16].try_into().ok());
                }
                // It goes on changing.
                Ok(_) => {
                    let rest = (begun.elapsed() * REST).max(REST_MIN);
                    let mut queue = self.queue.lock();
                    queue.rests.insert(ino, Instant::now() + rest);
                    queue.push(ino);
                }
                // `check` says why.
                Err(_) => found(ino, before, None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that a file that is asked for again and again, because it changes all the time, keeps none of the others from its turn.
    #[test]
    fn one_file_that_changes_all_the_time_starves_no_others() {
        let mut queue = Queue::default();
        let now = Instant::now();
        for ino in [1, 2, 3, 1, 1] {
            queue.push(ino);
        }
        let mut turns = Vec::new();
        for _ in 0..4 {
            let ino = queue.next(now).unwrap();
            turns.push(ino);
            // The first one changed while it was read.
            if ino == 1 {
                queue.rests.insert(1, now + REST_MIN);
                queue.push(1);
            }
            if turns == [1, 2, 3] {
                break;
            }
        }
        assert_eq!(turns, [1, 2, 3]);
        assert_eq!(queue.next(now), Err(Some(now + REST_MIN)));
        assert_eq!(queue.next(now + REST_MIN), Ok(1));
        assert_eq!(queue.next(now + REST_MIN), Err(None));
        queue.push(4);
        queue.forget(4);
        assert_eq!(queue.next(now), Err(None));
    }
}
