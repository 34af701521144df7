//! Files as the store sees them: a flat directory of named files behind a trait, so
//! that a test can put a disk underneath that tears, drops and reorders what was not
//! synced, runs full, or fails at the k-th call.
//!
//! Guarantees nothing about durability before `sync_data` (a file's bytes and length)
//! and `sync_dir` (which names exist) have returned.

pub mod overlay;
pub mod real;
pub mod sim;

use std::fmt::Debug;
use std::io::Result;
use std::sync::Arc;

/// One open file. All offsets and lengths are in bytes. Calls may come from several
/// threads at once.
pub trait DiskFile: Send + Sync + Debug {
    /// The file's length in bytes.
    fn len(&self) -> Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `out` from `offset`; an `UnexpectedEof` error if the file ends before.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()>;
    /// Writes all of `data` at `offset`, extending the file if need be.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()>;
    /// Cuts the file or extends it by zeros.
    fn set_len(&self, len: u64) -> Result<()>;
    /// Makes bytes and length durable.
    fn sync_data(&self) -> Result<()>;
}

/// How much room a disk has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The size of the file system that holds the store.
    pub total: u64,
    /// What is free for everybody.
    pub free: u64,
    /// What is free for us (reserved blocks left out).
    pub available: u64,
}

/// A directory of files. Names are plain ASCII without separators.
pub trait Disk: Send + Sync + Debug {
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>>;
    /// Creates a new file; `AlreadyExists` if the name is taken.
    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>>;
    /// Removes a name.
    fn remove(&self, name: &str) -> Result<()>;
    /// Renames over whatever is there.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// All names, in no order.
    fn list(&self) -> Result<Vec<String>>;
    /// Makes creations, removals and renames durable.
    fn sync_dir(&self) -> Result<()>;
    /// The room left.
    fn space(&self) -> Result<Space>;
    /// What was deleted or replaced behind our back: the name of a file that is open here and has
    /// that name no more, or an empty name for the directory. Looks only at the directory and at
    /// `file` where one is named, else at all that is open.
    fn missing(&self, file: Option<&str>) -> Option<String> {
        let _ = file;
        None
    }
}
