//! A simulated disk that tells a watcher before each call that changes something.
//!
//! Guarantees: the watcher is called in the thread that makes the call, before it is
//! made, so that the disk as the watcher sees it is one that a power cut could leave.
//! It changes no call.

use std::fmt;
use std::io::Result;
use std::sync::Arc;

use coffer_store::io::sim::SimDisk;
use coffer_store::io::{Disk, DiskFile, Space};

type Watcher = dyn Fn() + Send + Sync;

/// See the module.
#[derive(Clone)]
pub struct Watched {
    disk: SimDisk,
    watcher: Arc<Watcher>,
}

impl Watched {
    /// The disk, with a watcher.
    pub fn new(disk: SimDisk, watcher: impl Fn() + Send + Sync + 'static) -> Watched {
        Watched {
            disk,
            watcher: Arc::new(watcher),
        }
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile {
            file,
            watcher: self.watcher.clone(),
        })
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

impl Disk for Watched {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(name)?))
    }
    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        (self.watcher)();
        Ok(self.file(self.disk.create(name)?))
    }
    fn remove(&self, name: &str) -> Result<()> {
        (self.watcher)();
        self.disk.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        (self.watcher)();
        self.disk.rename(from, to)
    }
    fn list(&self) -> Result<Vec<String>> {
        self.disk.list()
    }
    fn sync_dir(&self) -> Result<()> {
        (self.watcher)();
        self.disk.sync_dir()
    }
    fn space(&self) -> Result<Space> {
        self.disk.space()
    }
}

struct WatchedFile {
    file: Arc<dyn DiskFile>,
    watcher: Arc<Watcher>,
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl DiskFile for WatchedFile {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_at(offset, out)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        (self.watcher)();
        self.file.write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> Result<()> {
        (self.watcher)();
        self.file.set_len(len)
    }
    fn sync_data(&self) -> Result<()> {
        (self.watcher)();
        self.file.sync_data()
    }
}
