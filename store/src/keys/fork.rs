//! Knowing that this process is a fork of the one that seeded a generator.
//!
//! One word lies on a page that the kernel clears in every child (MADV_WIPEONFORK,
//! Linux 4.14). Reading it costs a load, where asking for the process id would cost a
//! system call each time. Where the kernel cannot, the process id is asked for.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::secret::random_bytes;

const PAGE: usize = 4096;

static WORD: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();

/// A number that differs between a process and its forks, and never changes within one.
pub(super) fn epoch() -> u64 {
    let Some(word) = WORD.get_or_init(map) else {
        return u64::from(std::process::id());
    };
    match word.load(Ordering::Relaxed) {
        0 => renew(word),
        epoch => epoch,
    }
}

/// The first call in this process: draws a number; of several threads, one wins.
#[cold]
fn renew(word: &AtomicU64) -> u64 {
    let fresh = u64::from_le_bytes(random_bytes::<8>()) | 1;
    match word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => fresh,
        Err(winner) => winner,
    }
}

fn map() -> Option<&'static AtomicU64> {
    // SAFETY: a fresh private mapping that nothing else points to. It is never unmapped once a
    // reference to it is given out, and all-zero bytes are a valid AtomicU64.
    unsafe {
        let page = mmap_anonymous(
            ptr::null_mut(),
            PAGE,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
        .ok()?;
        if madvise(page, PAGE, Advice::LinuxWipeOnFork).is_err() {
            let _ = munmap(page, PAGE);
            return None;
        }
        Some(&*page.cast::<AtomicU64>())
    }
}
