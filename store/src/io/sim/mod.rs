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

mod image;

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use parking_lot::Mutex;

use self::image::Image;
use super::{Disk, DiskFile, Space};

/// The size of a disk whose space is not limited, in bytes.
const UNLIMITED: u64 = 1 << 40;

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

type SharedImage = Arc<Mutex<Image>>;
type Names = BTreeMap<String, SharedImage>;

#[derive(Clone, Debug)]
enum DirChange {
    Create(String, SharedImage),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug, Default)]
struct State {
    live: Names,
    durable: Names,
    pending: Vec<DirChange>,
    ops: u64,
    fault: Option<(u64, Fault, bool)>,
    freeze_at: Option<u64>,
    frozen: Option<Box<State>>,
    limit: Option<u64>,
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

impl DirChange {
    /// A removal or renaming of what is not there does nothing.
    fn apply(&self, names: &mut Names) {
        match self {
            DirChange::Create(name, image) => {
                names.insert(name.clone(), image.clone());
            }
            DirChange::Remove(name) => {
                names.remove(name);
            }
            DirChange::Rename(from, to) => {
                if let Some(image) = names.remove(from) {
                    names.insert(to.clone(), image);
                }
            }
        }
    }
}

impl State {
    /// Counts a mutating call; gives the fault that it meets, and a source of chance for
    /// what that leaves behind.
    fn count(&mut self) -> Option<(Fault, SplitMix64)> {
        self.ops += 1;
        if self.freeze_at == Some(self.ops) {
            self.frozen = Some(Box::new(self.snapshot()));
        }
        let (k, fault, sticky) = self.fault?;
        (self.ops == k || sticky && self.ops > k).then_some((fault, SplitMix64(self.ops)))
    }

    /// A mutating call that does nothing when it fails.
    fn count_plain(&mut self) -> Result<()> {
        self.count().map_or(Ok(()), |(fault, _)| Err(fault.error()))
    }

    fn change(&mut self, change: DirChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn used(&self) -> u64 {
        self.live
            .values()
            .map(|image| image.lock().live().len() as u64)
            .sum()
    }

    fn room(&self) -> u64 {
        self.limit.unwrap_or(UNLIMITED).saturating_sub(self.used())
    }

    /// What the directory could be after a crash.
    fn torn_names(&self, rng: &mut SplitMix64) -> Names {
        let mut names = self.durable.clone();
        let prefix = rng.below(2) == 0;
        let kept = rng.below(self.pending.len() as u64 + 1) as usize;
        for (i, change) in self.pending.iter().enumerate() {
            if if prefix { i < kept } else { rng.below(2) == 0 } {
                change.apply(&mut names);
            }
        }
        names
    }

    /// A copy that later writes do not reach.
    fn snapshot(&self) -> State {
        let mut copies: Vec<(SharedImage, SharedImage)> = Vec::new();
        let mut copy = |image: &SharedImage| match copies.iter().find(|(old, _)| Arc::ptr_eq(old, image)) {
            Some((_, new)) => new.clone(),
            None => {
                let new = Arc::new(Mutex::new(image.lock().clone()));
                copies.push((image.clone(), new.clone()));
                new
            }
        };
        State {
            durable: self
                .durable
                .iter()
                .map(|(name, image)| (name.clone(), copy(image)))
                .collect(),
            pending: self
                .pending
                .iter()
                .map(|change| match change {
                    DirChange::Create(name, image) => DirChange::Create(name.clone(), copy(image)),
                    other => other.clone(),
                })
                .collect(),
            ..State::default()
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
            state.durable = state.torn_names(&mut rng);
            state.pending.clear();
            return Err(fault.error());
        }
        let state = &mut *state;
        for change in state.pending.drain(..) {
            change.apply(&mut state.durable);
        }
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

/// Chance that repeats: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators" (2014). The value is the seed. For tests; never for keys.
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        out.truncate(len);
        out
    }
}
