//! A simulated disk whose reads, writes and syncs a test can hold up or refuse, and
//! whose open files are counted.

use std::fmt;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coffer_store::io::sim::SimDisk;
use coffer_store::io::{Disk, DiskFile, Space};

/// A call about to be made.
pub enum Call<'a> {
    Read { offset: u64, len: u64 },
    Write(&'a [u8]),
    Sync,
}

type Hook = dyn Fn(Call<'_>) -> Result<()> + Send + Sync;

#[derive(Clone)]
pub struct Hooked {
    pub disk: SimDisk,
    pub open_files: Arc<AtomicUsize>,
    hook: Arc<Hook>,
}

impl Hooked {
    pub fn new(disk: SimDisk, hook: impl Fn(Call<'_>) -> Result<()> + Send + Sync + 'static) -> Hooked {
        Hooked {
            disk,
            open_files: Arc::default(),
            hook: Arc::new(hook),
        }
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        self.open_files.fetch_add(1, Ordering::SeqCst);
        Arc::new(HookedFile {
            file,
            disk: self.clone(),
        })
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

impl Disk for Hooked {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(name)?))
    }
    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.create(name)?))
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.disk.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.rename(from, to)
    }
    fn list(&self) -> Result<Vec<String>> {
        self.disk.list()
    }
    fn sync_dir(&self) -> Result<()> {
        self.disk.sync_dir()
    }
    fn space(&self) -> Result<Space> {
        self.disk.space()
    }
}

#[derive(Debug)]
struct HookedFile {
    file: Arc<dyn DiskFile>,
    disk: Hooked,
}

impl Drop for HookedFile {
    fn drop(&mut self) {
        self.disk.open_files.fetch_sub(1, Ordering::SeqCst);
    }
}

impl DiskFile for HookedFile {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        (self.disk.hook)(Call::Read {
            offset,
            len: out.len() as u64,
        })?;
        self.file.read_at(offset, out)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        (self.disk.hook)(Call::Write(data))?;
        self.file.write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> Result<()> {
        (self.disk.hook)(Call::Sync)?;
        self.file.sync_data()
    }
}
