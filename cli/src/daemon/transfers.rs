//! Imports and exports that run in the daemon, so that whoever asked, or an ending, can end them.
//!
//! Guarantees that none runs, and none begins, after [`Transfers::end`] returned, but for one that
//! hangs in the kernel: keys must not go while something is sealed under them.

use crate::engine::Stop;
use crate::failure::{Failure, Kind};
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an ending waits for what it has told to stop. A disk that does not answer must not keep
/// the vault open.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Default)]
pub(super) struct Transfers {
    running: Mutex<Running>,
    ended: Condvar,
}

#[derive(Default)]
struct Running {
    stops: Vec<Arc<Stop>>,
    /// No more may begin.
    closed: bool,
}

impl Transfers {
    /// Begins one.
    ///
    /// # Errors
    /// `NotOpen` if the vault is about to be locked.
    pub(super) fn begin(&self) -> Result<Transfer<'_>, Failure> {
        let mut running = self.running.lock();
        if running.closed {
            return Err(Failure::new(
                Kind::NotOpen,
                "The vault is being locked; open it again with “coffer mount”.",
            ));
        }
        let stop = Arc::new(Stop::default());
        running.stops.push(Arc::clone(&stop));
        Ok(Transfer { all: self, stop })
    }

    /// Ends all of them, in the middle of their files, and waits until they have ended.
    pub(super) fn end(&self) {
        let mut running = self.running.lock();
        running.closed = true;
        running.stops.iter().for_each(|stop| stop.insist());
        let until = Instant::now() + PATIENCE;
        while !running.stops.is_empty() {
            if self.ended.wait_until(&mut running, until).timed_out() {
                return;
            }
        }
    }
}

/// One of them; counts itself out, however it ends.
pub(super) struct Transfer<'a> {
    all: &'a Transfers,
    stop: Arc<Stop>,
}

impl Transfer<'_> {
    /// What stops it.
    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Stops it at a file's end if the peer says no more: it has shut its side, or is gone.
    pub(super) fn heed(&self, peer: &UnixStream) {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut fds = [PollFd::new(peer, PollFlags::RDHUP)];
        // An error is no sign of it; the next time tells.
        if poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0) {
            self.stop.ask();
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        let mut running = self.all.running.lock();
        running.stops.retain(|stop| !Arc::ptr_eq(stop, &self.stop));
        self.all.ended.notify_all();
    }
}
