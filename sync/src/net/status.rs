//! How the network is doing, for people and for programs that show it.

use std::time::{Duration, Instant, SystemTime};

use coffer_store::members::DeviceId;
use parking_lot::{Condvar, Mutex};

use crate::core::{Progress, Report};

/// Reports that wait to be taken; the oldest are dropped.
const REPORTS_MAX: usize = 256;

/// All of it, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Grows with every change.
    pub version: u64,
    /// The other devices of the vault, by name.
    pub peers: Vec<PeerStatus>,
    /// How far everything is.
    pub progress: Progress,
    /// Whether exchange is paused.
    pub paused: bool,
    /// Where this device listens, each with its peer id.
    pub listening: Vec<String>,
    /// Addresses at which others have confirmed that they reach it.
    pub confirmed: Vec<String>,
    /// Relays at which it can be reached at present.
    pub relays: Vec<String>,
    /// The last thing that went wrong, as a sentence.
    pub last_error: Option<String>,
    /// Connections that were refused at the door.
    pub refused: u64,
    /// Whether the service has ended.
    pub ended: bool,
}

/// Another device.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its identity.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Where it may be found, for the caller to keep.
    pub addresses: Vec<String>,
    /// The connection, if there is one.
    pub link: Option<Link>,
    /// Whether it keeps everything, as it said when it was connected; none if it is not.
    pub keeps_everything: Option<bool>,
    /// Events that are here and not there.
    pub behind: u64,
    /// Events that are there and not here.
    pub ahead: u64,
    /// The last thing that went wrong with it, as a sentence.
    pub last_error: Option<String>,
}

/// A connection with a device.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its address.
    pub address: String,
    /// Whether a relay lies between.
    pub relayed: bool,
    /// Since when.
    pub since: SystemTime,
    /// Bytes of the protocol that came.
    pub came: u64,
    /// Bytes of the protocol that went.
    pub went: u64,
    /// Connections with it, this one included.
    pub connections: usize,
}

/// The present status, as service and caller share it.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<(Status, Vec<Report>)>,
    changed: Condvar,
}

impl Board {
    pub(super) fn get(&self) -> Status {
        self.state.lock().0.clone()
    }

    pub(super) fn set(&self, mut status: Status) {
        let mut state = self.state.lock();
        status.version = state.0.version + 1;
        status.ended |= state.0.ended;
        state.0 = status;
        self.changed.notify_all();
    }

    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.0.ended = true;
        state.0.version += 1;
        state.0.peers.iter_mut().for_each(|peer| peer.link = None);
        self.changed.notify_all();
    }

    pub(super) fn report(&self, report: Report) {
        let reports = &mut self.state.lock().1;
        if reports.len() >= REPORTS_MAX {
            reports.remove(0);
        }
        reports.push(report);
    }

    pub(super) fn reports(&self) -> Vec<Report> {
        std::mem::take(&mut self.state.lock().1)
    }

    /// Waits until the status is another than the one of this version.
    pub(super) fn wait(&self, version: u64, most: Duration) -> Option<Status> {
        let (until, mut state) = (Instant::now() + most, self.state.lock());
        while state.0.version == version {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return (state.0.version != version).then(|| state.0.clone());
            }
        }
        Some(state.0.clone())
    }
}
