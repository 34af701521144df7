//! The threads of a transfer: one that finds what is to go, several that let it go, one that counts
//! ahead if somebody watches, and the caller's, which shows progress.
//!
//! Guarantees that the caller hears ten times a second, and that all threads have ended when it
//! returns, with a panic of theirs as its own.

use super::super::OnProgress;
use super::tally::Tally;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::num::NonZero;
use std::thread;
use std::time::Duration;

/// Files that are found ahead. Each may hold its folder open.
const AHEAD: usize = 256;
/// Bytes of a file that are read at a time.
const BUFFER: usize = 1 << 20;
/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);
/// Threads, however many processors there are. Each may hold a chunk in memory.
const THREADS: std::ops::RangeInclusive<usize> = 2..=8;

/// Lets `find` send jobs, and does `each` of them, in several threads, with a buffer of the thread's
/// own. `count`, if somebody watches, runs beside it.
pub(super) fn run<J: Send>(
    tally: &Tally<'_>,
    progress: OnProgress<'_>,
    count: Option<impl FnOnce() + Send>,
    find: impl FnOnce(&Sender<J>) + Send,
    each: impl Fn(J, &mut Vec<u8>) + Sync,
) {
    raise_descriptors();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = processors.clamp(*THREADS.start(), *THREADS.end());
    let (jobs, queue) = bounded::<J>(AHEAD);
    // Nothing is ever sent: it is cut off when the last of them has ended.
    let (alive, ended) = bounded::<()>(0);
    let each = &each;
    thread::scope(|scope| {
        for _ in 0..threads {
            let (queue, alive) = (queue.clone(), alive.clone());
            scope.spawn(move || {
                let _alive = alive;
                let mut buffer = vec![0; BUFFER];
                for job in queue {
                    if !tally.is_stopped() {
                        each(job, &mut buffer);
                    }
                }
            });
        }
        drop((queue, alive));
        scope.spawn(move || find(&jobs));
        if let Some(count) = count {
            scope.spawn(count);
        }
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            progress(tally.progress());
        }
        tally.finish();
    });
}

/// Lets this process have as many files open as it may: each folder on the way down is one.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Without it, a deep tree is left out in part, and said so.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}
