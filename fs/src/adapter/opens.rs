//! Which open files bypass the page cache, so that none ever shows old bytes.
//!
//! A handle that only writes is fastest past the cache (about four times for large
//! writes). The kernel drops the cached pages of a range *before* it sends such a write,
//! but not always after: a page read in between would keep its old bytes for as long as
//! caches are kept across opens. So:
//!
//! - a write-only handle is direct only if nobody has the file open for reading;
//! - whoever opens it for reading while a direct writer is there reads direct, too;
//! - such a reader may still map the file, and a mapping is pages: so while both are
//!   open, each direct write is followed by an invalidation before it is answered.
//!
//! A mapping keeps its file open, so counting open handles counts mappings, too; and the
//! kernel sends RELEASE after the last use, so the counts err on the careful side only.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::types::{Handle, Ino, OpenMode};

/// Who has one file open.
#[derive(Default)]
struct Open {
    /// Handles that may read, direct or not.
    readers: u32,
    /// Direct handles that may write.
    direct: Vec<Handle>,
}

/// Every open file. One lock, held for a table look-up.
#[derive(Default)]
pub(super) struct Opens {
    table: Mutex<HashMap<Ino, Open>>,
}

impl Opens {
    /// Counts a handle, before the kernel hears of it, and says whether it is to be
    /// direct. `allowed`: whether a write-only handle may be.
    pub(super) fn opened(&self, ino: Ino, handle: Handle, mode: OpenMode, allowed: bool) -> bool {
        let mut table = self.table.lock();
        let open = table.entry(ino).or_default();
        let direct = if mode.read {
            !open.direct.is_empty()
        } else {
            allowed && open.readers == 0
        };
        if mode.read {
            open.readers += 1;
        }
        if direct && mode.write {
            open.direct.push(handle);
        }
        if open.readers == 0 && open.direct.is_empty() {
            table.remove(&ino);
        }
        direct
    }

    /// The handle is gone; `mode` is the one that it was opened with.
    pub(super) fn released(&self, ino: Ino, handle: Handle, mode: OpenMode) {
        let mut table = self.table.lock();
        let Some(open) = table.get_mut(&ino) else { return };
        if mode.read {
            open.readers = open.readers.saturating_sub(1);
        }
        if let Some(place) = open.direct.iter().position(|&direct| direct == handle) {
            open.direct.swap_remove(place);
        }
        if open.readers == 0 && open.direct.is_empty() {
            table.remove(&ino);
        }
    }

    /// Whether a write that has just gone through this handle must be followed by an
    /// invalidation: it went past the cache, and someone may hold pages.
    ///
    /// To be asked after the write: who opens the file later reads the new bytes.
    pub(super) fn must_invalidate(&self, ino: Ino, handle: Handle) -> bool {
        let table = self.table.lock();
        table
            .get(&ino)
            .is_some_and(|open| open.readers > 0 && open.direct.contains(&handle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: OpenMode = OpenMode {
        read: true,
        write: false,
        append: false,
        truncate: false,
        execute: false,
    };
    const WRITE: OpenMode = OpenMode {
        read: false,
        write: true,
        append: false,
        truncate: false,
        execute: false,
    };
    const BOTH: OpenMode = OpenMode {
        read: true,
        write: true,
        append: false,
        truncate: false,
        execute: false,
    };

    /// Guards the rule: never a cached reader beside a direct writer; and that nothing
    /// stays in the table.
    #[test]
    fn no_cached_reader_beside_a_direct_writer() {
        let opens = Opens::default();
        let open = |mode, handle| opens.opened(9, handle, mode, true);
        assert!(open(WRITE, 1), "alone: direct");
        assert!(!opens.must_invalidate(9, 1), "nobody reads");
        assert!(open(READ, 2), "a direct writer is there");
        assert!(open(BOTH, 3), "for both");
        assert!(opens.must_invalidate(9, 1) && opens.must_invalidate(9, 3));
        opens.released(9, 1, WRITE);
        assert!(open(READ, 4), "handle 3 still writes past the cache");
        opens.released(9, 3, BOTH);
        assert!(!open(READ, 5), "no direct writer left");
        assert!(!open(WRITE, 6), "readers are there");
        assert!(
            !opens.must_invalidate(9, 6),
            "a cached write updates the pages itself"
        );
        for (handle, mode) in [(2, READ), (4, READ), (5, READ), (6, WRITE)] {
            opens.released(9, handle, mode);
        }
        assert!(!opens.opened(9, 7, WRITE, false), "where it is not allowed");
        opens.released(9, 7, WRITE);
        assert!(opens.table.lock().is_empty());
    }
}
