//! Which files have a READ that is not yet answered.
//!
//! Telling the kernel to forget pages waits for those that are being read. It waits on a thread that
//! serves nobody, so nothing depends on it; but while it waits, the next announcement does, too.
//! Counts by a few bits of the inode's number: another file's read costs a moment.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::types::Ino;

const SHARDS: usize = 256;
/// How long a lull is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(in crate::adapter) struct Reads([AtomicU32; SHARDS]);

/// A read under way.
pub(in crate::adapter) struct Reading<'a>(&'a AtomicU32);

impl Reads {
    pub(in crate::adapter) fn new() -> Reads {
        Reads([const { AtomicU32::new(0) }; SHARDS])
    }

    fn shard(&self, ino: Ino) -> &AtomicU32 {
        &self.0[ino as usize % SHARDS]
    }

    /// One begins; it ends when this is dropped, after the answer.
    pub(in crate::adapter) fn begin(&self, ino: Ino) -> Reading<'_> {
        let shard = self.shard(ino);
        shard.fetch_add(1, Ordering::AcqRel);
        Reading(shard)
    }

    /// Waits, within bounds, until none is under way.
    pub(super) fn wait(&self, ino: Ino) {
        let shard = self.shard(ino);
        let until = Instant::now() + PATIENCE;
        while shard.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
