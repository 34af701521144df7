//! The sealing threads: a chunk's plaintext in, a stored chunk out.
//!
//! A job keeps its plaintext until it is stored, so that readers never wait for it and a
//! failed one (disk full) can be tried again. The queue is bounded by bytes: who hands in
//! more than [`IN_FLIGHT`] waits until some are stored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Sender, unbounded};
use parking_lot::{Condvar, Mutex};

use super::{Core, StoreError};
use crate::record::{ChunkRef, kind};

/// Bytes of plaintext that may be with the sealing threads.
pub(crate) const IN_FLIGHT: usize = 24 << 20;

enum State {
    Waiting(Arc<Vec<u8>>),
    Stored(ChunkRef),
    Failed(Arc<Vec<u8>>),
}

/// One chunk on its way.
pub(crate) struct Job {
    len: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({} bytes)", self.len)
    }
}

/// What a job has come to.
pub(crate) enum Progress {
    Plain(Arc<Vec<u8>>),
    Stored(ChunkRef),
}

impl Job {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The chunk, if it is stored.
    pub(crate) fn stored(&self) -> Option<ChunkRef> {
        match &*self.state.lock() {
            State::Stored(chunk) => Some(*chunk),
            _ => None,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        match &*self.state.lock() {
            State::Waiting(plain) | State::Failed(plain) => Progress::Plain(plain.clone()),
            State::Stored(chunk) => Progress::Stored(*chunk),
        }
    }

    /// Waits until it is stored or has failed; a failed one is tried once more, here.
    pub(crate) fn finish(&self, core: &Core) -> Result<ChunkRef, StoreError> {
        let mut state = self.state.lock();
        loop {
            match &*state {
                State::Stored(chunk) => return Ok(*chunk),
                State::Waiting(_) => self.changed.wait(&mut state),
                State::Failed(plain) => {
                    let chunk = core.store_chunk(kind::CHUNK, plain)?;
                    *state = State::Stored(chunk);
                    return Ok(chunk);
                }
            }
        }
    }

    fn run(&self, core: &Core) {
        let plain = match &*self.state.lock() {
            State::Waiting(plain) => plain.clone(),
            _ => return,
        };
        // Until the job says what it has come to: see `vault/gc.rs`.
        // Not as the nested one in there: a stream of jobs must let through who waits for all of them.
        let _appending = core.appending.read();
        // A panic must not leave the job waiting for ever.
        let result =
            catch_unwind(AssertUnwindSafe(|| core.store_chunk(kind::CHUNK, &plain))).unwrap_or_else(|_| {
                Err(StoreError::Tampered {
                    what: "a chunk".into(),
                })
            });
        let mut state = self.state.lock();
        *state = match result {
            Ok(chunk) => State::Stored(chunk),
            Err(e) => {
                core.note_failure(&e);
                State::Failed(plain)
            }
        };
        drop(state);
        self.changed.notify_all();
    }
}

/// The threads. They end when the pool is dropped.
pub(crate) struct Pool {
    queue: Sender<(Arc<Job>, Arc<Core>)>,
    bytes: Arc<(Mutex<usize>, Condvar)>,
}

impl Pool {
    pub(crate) fn new(threads: usize) -> std::io::Result<Pool> {
        let (queue, jobs) = unbounded::<(Arc<Job>, Arc<Core>)>();
        let bytes: Arc<(Mutex<usize>, Condvar)> = Arc::default();
        for i in 0..threads.max(1) {
            let jobs = jobs.clone();
            let bytes = Arc::downgrade(&bytes);
            std::thread::Builder::new()
                .name(format!("seal-{i}"))
                .spawn(move || {
                    for (job, core) in jobs {
                        job.run(&core);
                        drop(core);
                        release(&bytes, job.len);
                    }
                })?;
        }
        Ok(Pool { queue, bytes })
    }

    /// Bytes of plaintext that are with the threads.
    pub(crate) fn in_flight(&self) -> u64 {
        *self.bytes.0.lock() as u64
    }

    /// Waits until nothing is with the threads.
    pub(crate) fn drain(&self) {
        let (held, freed) = &*self.bytes;
        let mut held = held.lock();
        while *held > 0 {
            freed.wait(&mut held);
        }
    }

    /// Hands a chunk in; waits while too much is on its way.
    pub(crate) fn submit(&self, core: &Arc<Core>, plain: Vec<u8>) -> Arc<Job> {
        let len = plain.len();
        let job = Arc::new(Job {
            len,
            state: Mutex::new(State::Waiting(Arc::new(plain))),
            changed: Condvar::new(),
        });
        let (held, freed) = &*self.bytes;
        let mut held = held.lock();
        while *held + len > IN_FLIGHT && *held > 0 {
            freed.wait(&mut held);
        }
        *held += len;
        drop(held);
        if self.queue.send((job.clone(), core.clone())).is_err() {
            // No thread is left: seal it here rather than lose it.
            job.run(core);
        }
        job
    }
}

fn release(bytes: &Weak<(Mutex<usize>, Condvar)>, len: usize) {
    if let Some(bytes) = bytes.upgrade() {
        *bytes.0.lock() -= len;
        bytes.1.notify_all();
    }
}
