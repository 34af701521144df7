//! A disk in memory, for tests: it loses power, tears and reorders what was not synced,
//! runs full, and fails at the k-th call.
//!
//! Guarantees: what `sync_data` and `sync_dir` acknowledged survives every crash;
//! anything else may survive or not, per sector; the same seed gives the same crash.
//! Never touches a real disk. Not for people's data: nothing of it outlives the process.
//!
//! Mutating calls (write, set_len, sync_data, create, rename, remove, sync_dir) are
//! numbered from 1; [`SimDisk::ops`] is the number of the latest. So a workload that
//! makes n of them can be run n times, with [`SimDisk::fail_at`] or
//! [`SimDisk::freeze_at`] at each k from 1 to n.

mod chance;
mod image;
mod state;

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use parking_lot::Mutex;

pub use self::chance::SplitMix64;
use self::image::Image;
use self::state::{DirChange, Names, SharedImage, State, UNLIMITED};
use super::{Disk, DiskFile, Space};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// ENOSPC: no space left on the device.
    NoSpace,
    /// EIO: input/output error.
    Io,
}

impl Fault {
    fn error(self) -> Error {
        Error::from_raw_os_error(match self {
            Fault::NoSpace => libc::ENOSPC,
            Fault::Io => libc::EIO,
        })
    }
}

/// A simulated disk. A clone is the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk without a limit.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// The number of mutating calls so far.
    pub fn ops(&self) -> u64 {
        self.state.lock().ops
    }

    /// Lets the `k`-th mutating call fail, and all after it if `sticky`. A write that
    /// fails may have written a part; a sync that fails has made some of the changes
    /// durable and loses the rest for good, whatever a later sync says.
    pub fn fail_at(&self, k: u64, fault: Fault, sticky: bool) {
        self.state.lock().fault = Some((k, fault, sticky));
    }

    /// Ends what [`SimDisk::fail_at`] began.
    pub fn heal(&self) {
        self.state.lock().fault = None;
    }

    /// Limits what can still be written, in bytes from now; `None` lifts the limit. A file
    /// takes as much as it is long.
    pub fn set_free(&self, free: Option<u64>) {
        let mut state = self.state.lock();
        state.limit = free.map(|free| state.used() + free);
    }

    /// From the `k`-th mutating call on, nothing reaches the platter, though the program
    /// sees its calls succeed: a crash finds what was there before call `k`.
    pub fn freeze_at(&self, k: u64) {
        self.state.lock().freeze_at = Some(k);
    }

    /// A disk as it could be found after losing power now: per file, any subset of the
    /// unsynced writes, in any order, each possibly torn at 512-byte sectors, lengths
    /// changed or not; of unsynced changes to the directory, a prefix or any subset.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut rng = SplitMix64(seed);
        self.found(|state| {
            let names = state.torn_names(&mut rng);
            names
                .into_iter()
                .map(|(name, image)| (name, image.lock().torn(&mut rng)))
                .collect()
        })
    }

    /// A disk after losing power now, and with it all that was not synced.
    pub fn crash_all_lost(&self) -> SimDisk {
        self.found(|state| {
            state
                .durable
                .iter()
                .map(|(n, i)| (n.clone(), i.lock().durable().to_vec()))
                .collect()
        })
    }

    /// A disk after losing power just after everything was written.
    pub fn crash_all_kept(&self) -> SimDisk {
        self.found(|state| {
            let mut names = state.durable.clone();
            state.pending.iter().for_each(|change| change.apply(&mut names));
            names
                .into_iter()
                .map(|(name, image)| (name, image.lock().kept()))
                .collect()
        })
    }

    fn found(&self, files: impl FnOnce(&State) -> Vec<(String, Vec<u8>)>) -> SimDisk {
        let state = self.state.lock();
        let files = files(state.frozen.as_deref().unwrap_or(&state));
        let durable: Names = files
            .into_iter()
            .map(|(n, bytes)| (n, Arc::new(Mutex::new(Image::found(bytes)))))
            .collect();
        SimDisk {
            state: Arc::new(Mutex::new(State {
                live: durable.clone(),
                durable,
                ..State::default()
            })),
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        let state = self.state.lock();
        let image = state.live.get(name).ok_or(ErrorKind::NotFound)?.clone();
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            image,
        }))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.count_plain()?;
        if state.live.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let image = SharedImage::default();
        state.change(DirChange::Create(name.to_owned(), image.clone()));
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            image,
        }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.state.lock();
        state.count_plain()?;
        if !state.live.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(DirChange::Remove(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.state.lock();
        state.count_plain()?;
        if !state.live.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        if from != to {
            state.change(DirChange::Rename(from.to_owned(), to.to_owned()));
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.state.lock().live.keys().cloned().collect())
    }

    fn sync_dir(&self) -> Result<()> {
        let mut state = self.state.lock();
        if let Some((fault, mut rng)) = state.count() {
            state.sync_names_failed(&mut rng);
            return Err(fault.error());
        }
        state.sync_names();
        Ok(())
    }

    fn space(&self) -> Result<Space> {
        let state = self.state.lock();
        let room = state.room();
        Ok(Space {
            total: state.limit.unwrap_or(UNLIMITED),
            free: room,
            available: room,
        })
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    image: SharedImage,
}

impl DiskFile for SimFile {
    fn len(&self) -> Result<u64> {
        Ok(self.image.lock().live().len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let image = self.image.lock();
        let start = usize::try_from(offset).map_err(|_| ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(image.live().get(start..end).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.disk.state.lock();
        let fault = state.count();
        let room = if state.limit.is_some() {
            state.room()
        } else {
            UNLIMITED
        };
        let mut image = self.image.lock();
        let len = image.live().len() as u64;
        let end = offset
            .checked_add(data.len() as u64)
            .ok_or(ErrorKind::InvalidInput)?;
        // As with pwrite, no bytes lengthen nothing.
        let end = if data.is_empty() { 0 } else { end };
        if let Some((fault, mut rng)) = fault {
            let part = rng
                .below(data.len() as u64 + 1)
                .min((len + room).saturating_sub(offset));
            if part > 0 {
                image.write(offset, &data[..part as usize]);
            }
            return Err(fault.error());
        }
        if end > len + room {
            let part = (len + room).saturating_sub(offset);
            if part > 0 {
                image.write(offset, &data[..part as usize]);
            }
            return Err(Fault::NoSpace.error());
        }
        if !data.is_empty() {
            image.write(offset, data);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.disk.state.lock();
        state.count_plain()?;
        let room = if state.limit.is_some() {
            state.room()
        } else {
            UNLIMITED
        };
        let mut image = self.image.lock();
        if len > image.live().len() as u64 + room {
            return Err(Fault::NoSpace.error());
        }
        image.set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.disk.state.lock();
        if let Some((fault, mut rng)) = state.count() {
            self.image.lock().sync_failed(&mut rng);
            return Err(fault.error());
        }
        self.image.lock().sync();
        Ok(())
    }
}
