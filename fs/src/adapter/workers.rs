//! Workers: threads that do requests which have to wait (for other devices, for answers), so that none that serves the kernel does.
//!
//! Guarantees: a request that is handed over is done once, in a thread of its own as long as there are not too many; else
//! after others. One that panics is dropped, and says EIO. Threads come when they are needed and go when they are not.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::patience::patiently;

/// Threads at a time.
const MOST: usize = 64;
/// How long one that has nothing to do stays.
const REST: Duration = Duration::from_secs(10);

/// A request, with its answer.
type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
}

/// See the module. The queue needs no bound: each entry is a request that a process waits for, and the kernel bounds those.
pub(super) struct Workers {
    shared: Arc<Shared>,
    panics: Arc<AtomicU64>,
    name: &'static str,
}

impl Workers {
    /// Threads of this name.
    pub(super) fn new(name: &'static str, panics: &Arc<AtomicU64>) -> Workers {
        Workers {
            name,
            shared: Arc::default(),
            panics: panics.clone(),
        }
    }

    /// Has this done by a thread that may wait.
    pub(super) fn later(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.shared.queue.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.jobs.len() > queue.idle && queue.threads < MOST {
            let (shared, panics) = (self.shared.clone(), self.panics.clone());
            let spawned = std::thread::Builder::new()
                .name(self.name.into())
                .spawn(move || work(&shared, &panics));
            match spawned {
                Ok(_) => queue.threads += 1,
                // Without any thread nobody would ever answer it: dropped, it says EIO.
                Err(_) if queue.threads == 0 => drop(queue.jobs.pop_back()),
                Err(_) => {}
            }
        }
        drop(queue);
        self.shared.more.notify_one();
    }
}

fn work(shared: &Shared, panics: &AtomicU64) {
    let mut queue = shared.queue.lock();
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            drop(queue);
            if catch_unwind(AssertUnwindSafe(|| patiently(job))).is_err() {
                panics.fetch_add(1, Ordering::Relaxed);
            }
            queue = shared.queue.lock();
            continue;
        }
        queue.idle += 1;
        let waited = shared.more.wait_for(&mut queue, REST);
        queue.idle -= 1;
        if waited.timed_out() && queue.jobs.is_empty() {
            queue.threads -= 1;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Guards that jobs that wait for each other's end do not wait for a thread, and that a panic ends no thread.
    #[test]
    fn each_has_a_thread() {
        let panics = Arc::new(AtomicU64::new(0));
        let workers = Workers::new("test", &panics);
        workers.later(|| panic!("on purpose"));
        let (tell, told) = channel();
        let gate = Arc::new(std::sync::Barrier::new(8));
        for _ in 0..8 {
            let (tell, gate) = (tell.clone(), gate.clone());
            workers.later(move || {
                assert!(crate::patience::may_wait());
                gate.wait();
                tell.send(()).unwrap();
            });
        }
        for _ in 0..8 {
            told.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        // It may take longer than all the others, to say where it was.
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while panics.load(Ordering::Relaxed) != 1 {
            assert!(std::time::Instant::now() < until, "the panic was not counted");
            std::thread::yield_now();
        }
    }
}
