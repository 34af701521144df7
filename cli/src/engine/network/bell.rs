//! What wakes those who look after carried folders: something was told here, or happens there.
//!
//! Guarantees: what rings while nobody listens is not lost. Where the system cannot tell of changes, nothing rings, and whoever waits
//! looks by itself.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::{Condvar, Mutex};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Default)]
pub(super) struct Bell {
    count: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.count.lock() += 1;
        self.rung.notify_all();
    }

    /// How often it rang.
    pub(super) fn count(&self) -> u64 {
        *self.count.lock()
    }

    /// Waits until it has rung more often than that, or for so long.
    pub(super) fn wait(&self, heard: u64, most: Duration) {
        let mut count = self.count.lock();
        let until = Instant::now() + most;
        while *count == heard {
            if self.rung.wait_until(&mut count, until).timed_out() {
                return;
            }
        }
    }

    /// Waits until it has been quiet for so long; not longer than `most`.
    pub(super) fn settle(&self, quiet: Duration, most: Duration) {
        let until = Instant::now() + most;
        loop {
            let heard = self.count();
            self.wait(heard, quiet.min(until.saturating_duration_since(Instant::now())));
            if self.count() == heard || Instant::now() >= until {
                return;
            }
        }
    }
}

/// Rings when something happens in a folder.
#[derive(Default)]
pub(super) struct Watcher {
    over: Option<(PathBuf, u64, u64)>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watcher {
    /// Watches this folder, which may be another one than before, in the same place. Whether it is there, and watched.
    pub(super) fn over(&mut self, dir: Option<PathBuf>, bell: &Arc<Bell>) -> bool {
        let found = dir.and_then(|dir| {
            let meta = std::fs::symlink_metadata(&dir)
                .ok()
                .filter(|meta| meta.is_dir())?;
            Some((dir, meta.dev(), meta.ino()))
        });
        if found == self.over {
            return self._watcher.is_some();
        }
        self._watcher = found.as_ref().and_then(|(dir, ..)| {
            let bell = Arc::downgrade(bell);
            let heard = move |event: notify::Result<notify::Event>| {
                // Reading is nothing new.
                if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)) && !event.need_rescan())
                {
                    return;
                }
                if let Some(bell) = bell.upgrade() {
                    bell.ring();
                }
            };
            let mut watcher = notify::recommended_watcher(heard).ok()?;
            watcher.watch(dir, RecursiveMode::NonRecursive).ok()?;
            Some(watcher)
        });
        self.over = found;
        self._watcher.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards what rang between two looks, and that a bell that goes on ringing is not waited for without end.
    #[test]
    fn what_rang_is_heard() {
        let bell = Bell::default();
        let heard = bell.count();
        bell.ring();
        let begun = Instant::now();
        bell.wait(heard, Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(50));
        bell.settle(Duration::from_secs(60), Duration::from_millis(1));
        assert!(begun.elapsed() < Duration::from_secs(50));
    }
}
