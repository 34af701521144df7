//! Asking what may take a while, or never answer: in threads of their own, each thing once at a time.
//!
//! Guarantees: nobody waits longer than the limit, however many ask, and nobody for what is over it already; of what does not
//! answer, at most [`MOST`] threads are kept. Whoever may not wait is told [`LATER`]. No lock is held while something is asked.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::patience::{LATER, may_wait, patiently};
use crate::types::{Errno, Result};

/// Threads at a time.
const MOST: usize = 8;

/// What is being asked, and since when.
pub(super) struct Asking<K> {
    running: Mutex<HashMap<K, Instant>>,
    ended: Condvar,
    threads: usize,
    limit: Duration,
}

/// Its question is over, also after a panic.
struct Over<K: Eq + Hash>(Arc<Asking<K>>, K);

impl<K: Eq + Hash> Drop for Over<K> {
    fn drop(&mut self) {
        self.0.running.lock().remove(&self.1);
        self.0.ended.notify_all();
    }
}

impl<K: Eq + Hash + Clone + Send + 'static> Asking<K> {
    /// With so many threads at a time, at most [`MOST`], and so long to wait.
    pub(super) fn new(threads: usize, limit: Duration) -> Arc<Asking<K>> {
        Arc::new(Asking {
            running: Mutex::default(),
            ended: Condvar::new(),
            threads: threads.min(MOST),
            limit,
        })
    }

    /// What `ready` finds, if need be after `work` was done, which leaves it there.
    ///
    /// # Errors
    /// [`LATER`] where nobody may wait; ETIMEDOUT after the limit; EIO if the work left nothing.
    pub(super) fn ask<V>(
        self: &Arc<Self>,
        key: &K,
        mut ready: impl FnMut() -> Option<V>,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<V> {
        let late = Errno(libc::ETIMEDOUT);
        let until = Instant::now() + self.limit;
        let mut work = Some(work);
        let mut running = self.running.lock();
        loop {
            let began = running.get(key).copied();
            // While it runs, what was found before would be asked for in vain once more.
            if began.is_none()
                && let Some(found) = ready()
            {
                return Ok(found);
            }
            if !may_wait() {
                return Err(LATER);
            }
            match began {
                // Nobody waits for what has not answered all the others.
                Some(began) if began.elapsed() >= self.limit => return Err(late),
                None if running.len() >= self.threads
                    && running.values().all(|began| began.elapsed() >= self.limit) =>
                {
                    return Err(late);
                }
                None if running.len() < self.threads => {
                    let work = work.take().ok_or(Errno(libc::EIO))?;
                    running.insert(key.clone(), Instant::now());
                    let (asking, key_there) = (self.clone(), key.clone());
                    let asked = std::thread::Builder::new()
                        .name("shelf-ask".into())
                        .spawn(move || {
                            let _over = Over(asking, key_there);
                            let _ = catch_unwind(AssertUnwindSafe(|| patiently(work)));
                        });
                    if asked.is_err() {
                        running.remove(key);
                        return Err(Errno(libc::EAGAIN));
                    }
                }
                _ => {}
            }
            if self.ended.wait_until(&mut running, until).timed_out() {
                return ready().ok_or(late);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    /// Guards that what many ask for is asked once, and that who may not wait does not.
    #[test]
    fn many_ask_once() {
        let asking = Asking::new(2, Duration::from_secs(60));
        let (times, found) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        assert_eq!(asking.ask(&1, || None::<u8>, || ()), Err(LATER));
        let ask = || {
            let (times, left) = (times.clone(), found.clone());
            patiently(|| {
                asking.ask(
                    &1,
                    || *found.lock(),
                    move || {
                        times.fetch_add(1, Ordering::SeqCst);
                        *left.lock() = Some(7);
                    },
                )
            })
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
            for one in all {
                assert_eq!(one.join().unwrap(), Ok(7));
            }
        });
        assert_eq!(times.load(Ordering::SeqCst), 1);
        assert_eq!(
            patiently(|| asking.ask(&2, || None::<u8>, || panic!("on purpose"))),
            Err(Errno(libc::EIO))
        );
        assert!(asking.running.lock().is_empty());
    }

    /// Guards the limit: of who asks first, of who comes later, and of who finds all threads taken.
    #[test]
    fn nobody_waits_for_ever() {
        let asking = Asking::new(1, Duration::from_millis(50));
        let (let_go, held) = channel::<()>();
        let late = Err(Errno(libc::ETIMEDOUT));
        let asked = patiently(|| asking.ask(&1, || None::<u8>, move || held.recv().unwrap_or(())));
        assert_eq!(asked, late);
        assert_eq!(patiently(|| asking.ask(&1, || None::<u8>, || ())), late);
        let begun = Instant::now();
        assert_eq!(patiently(|| asking.ask(&2, || None::<u8>, || ())), late);
        assert!(begun.elapsed() < asking.limit, "it was known at once");
        drop(let_go);
        let until = Instant::now() + Duration::from_secs(60);
        while !asking.running.lock().is_empty() {
            assert!(Instant::now() < until, "it never ends");
            std::thread::yield_now();
        }
    }
}
