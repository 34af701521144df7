//! The keeper: a thread that commits what nobody has synced, before it is five seconds
//! old, sooner when memory fills; and that chunks anew what was written over large files
//! once they are at rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::commit::Scope;
use super::room;
use super::{Problem, Vault};
use crate::core::StoreError;

/// Age at which changes are committed.
const AGE: Duration = Duration::from_millis(3500);
/// So many changed files are committed at once, beside whoever goes on changing more: a sync
/// that comes later finds little left to do.
pub(super) const CROWD: usize = 1000;
/// How often the keeper looks.
const TICK: Duration = Duration::from_millis(500);
/// Bytes in memory at which it commits at once.
const HIGH: u64 = 24 << 20;
/// Bytes in memory at which writers wait for it.
const FULL: u64 = 64 << 20;
/// How long a writer waits before it is told that there is no room.
const PATIENCE: Duration = Duration::from_secs(20);
/// After telling, what was saved waits for so many times as long as that took, and not less than
/// the rest.
const TELL_PART: u32 = 25;
/// See [`TELL_PART`].
const TELL_REST: Duration = Duration::from_millis(40);
/// How long a change waits for the rest of what it is a part of, where other devices wait for it: in the middle of a save
/// there is nothing to tell.
const LIVE: Duration = Duration::from_millis(20);
/// How long the vault must be quiet before large files are chunked anew.
const QUIET: Duration = Duration::from_secs(2);

/// How often what is settled of names is folded, and what is due is said of chains.
const SETTLE: Duration = Duration::from_secs(3600);
/// The same after an opening, and where much waits for it.
const SETTLE_SOON: Duration = Duration::from_secs(60);

/// What the keeper and the writers tell each other.
#[derive(Default)]
pub(crate) struct Signals {
    /// Other devices are waiting for what is new.
    live: AtomicBool,
    state: Mutex<SignalState>,
    wake: Condvar,
    room: Condvar,
}

#[derive(Default)]
struct SignalState {
    stop: bool,
    /// The thread runs.
    runs: bool,
    hurry: bool,
    /// A version is waiting to be told.
    tell: bool,
    /// When what changed is to be told to those who wait, if nobody says before that it is complete.
    live_due: Option<Instant>,
    /// When the oldest uncommitted change was made.
    dirty_since: Option<Instant>,
    last_change: Option<Instant>,
}

impl Signals {
    pub(crate) fn changed(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        state.dirty_since.get_or_insert(now);
        state.last_change = Some(now);
        if self.live.load(Ordering::Relaxed) && state.live_due.is_none() {
            state.live_due = Some(now + LIVE);
            self.wake.notify_one();
        }
    }

    /// Something came that is to be durable in some seconds.
    pub(crate) fn came(&self) {
        self.state.lock().dirty_since.get_or_insert_with(Instant::now);
    }

    /// Lets the keeper commit at once.
    pub(crate) fn hurry(&self) {
        self.state.lock().hurry = true;
        self.wake.notify_one();
    }

    /// Lets the keeper tell of what was saved, as soon as that costs others little.
    pub(crate) fn tell(&self) {
        self.state.lock().tell = true;
        self.wake.notify_one();
    }

    /// The same where other devices wait for what is new: a file was closed that was written.
    pub(crate) fn tell_if_live(&self) {
        if self.live.load(Ordering::Relaxed) {
            self.tell();
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
        self.room.notify_all();
    }

    /// The thread has ended, however it did.
    fn ended(&self) {
        self.state.lock().runs = false;
        self.room.notify_all();
    }

    pub(crate) fn pending_for(&self) -> Option<Duration> {
        self.state.lock().dirty_since.map(|t| t.elapsed())
    }
}

impl Vault {
    /// Whether other devices wait for what is new: then it is committed and told as soon as that costs others little, and
    /// not only when it is some seconds old.
    pub fn set_live(&self, live: bool) {
        self.signals.live.store(live, Ordering::Relaxed);
        if live {
            self.signals.tell();
        }
    }

    /// Before a write: waits while too much is in memory.
    pub(super) fn wait_for_room(&self) -> Result<(), StoreError> {
        self.wait_below(FULL, PATIENCE)
    }

    /// Waits, so long at most, while this many bytes or more are in memory and not stored.
    pub(super) fn wait_below(&self, full: u64, patience: Duration) -> Result<(), StoreError> {
        use Ordering::Relaxed;
        let held = self.core.dirty.load(Relaxed);
        if held < HIGH.min(full) {
            return Ok(());
        }
        let mut state = self.signals.state.lock();
        state.hurry = true;
        self.signals.wake.notify_one();
        let begun = Instant::now();
        while self.core.dirty.load(Relaxed) >= full {
            if self.core.failing.load(Relaxed) || begun.elapsed() > patience || state.stop {
                return Err(StoreError::NoSpace);
            }
            state.hurry = true;
            self.signals.wake.notify_one();
            self.signals.room.wait_for(&mut state, Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Vault {
    /// Ends the keeper: from now on only calls commit. For tests, which must know when.
    #[doc(hidden)]
    pub fn stop_keeper(&self) {
        self.signals.stop();
        let mut state = self.signals.state.lock();
        while state.runs {
            self.signals.room.wait(&mut state); // it may be in the middle of a commit
        }
    }

    /// What the keeper does when it is due. For tests that have ended it.
    ///
    /// # Errors
    /// As [`Vault::commit`].
    #[doc(hidden)]
    pub fn tick(&self) -> Result<(), StoreError> {
        self.commit_all(Scope::Timer)
    }

    /// Nobody takes over names that were just left any more, and no new file's name is one that may pass. For
    /// tests, which do not wait.
    #[doc(hidden)]
    pub fn end_graces(&self) {
        let _tree = self.tree.write(); // not in the middle of a save
        self.left.lock().clear();
        let inodes = self.inodes.lock().all();
        for inode in inodes {
            inode.state.write().passing = false;
        }
    }

    /// From now on, packs end at this size, in bytes. For tests, which need several.
    #[doc(hidden)]
    pub fn limit_packs(&self, bytes: u64) {
        self.pack_limit.store(bytes, std::sync::atomic::Ordering::Relaxed);
        self.core.packs.set_limit(bytes);
    }
}

/// Starts the thread. It ends with the vault.
pub(crate) fn start(vault: &Arc<Vault>) -> std::io::Result<()> {
    let weak = Arc::downgrade(vault);
    let signals = vault.signals.clone();
    signals.state.lock().runs = true;
    let ending = Ending(signals.clone());
    std::thread::Builder::new().name("keeper".into()).spawn(move || {
        let _ending = ending;
        keep(&weak, &signals);
    })?;
    Ok(())
}

/// Says at the thread's end that it is, also of one that never began.
struct Ending(Arc<Signals>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Gives room back if that is due. A fault in there must not end the thread that makes durable what
/// nobody syncs; it is noted, and nothing is given back until the vault is opened again.
fn tend(vault: &Vault, quiet: bool) -> bool {
    catch_unwind(AssertUnwindSafe(|| vault.tend_when(quiet))).unwrap_or_else(|_| {
        let mut met = vault.met.lock();
        let noted = Problem::new(None, "giving room back met a fault of this program");
        if !met.contains(&noted) {
            met.push(noted);
        }
        true
    })
}

fn keep(vault: &Weak<Vault>, signals: &Signals) {
    let mut tend_from = Instant::now();
    let mut tell_from = Instant::now();
    let mut settle_from = Instant::now() + SETTLE_SOON;
    loop {
        let (due, quiet) = {
            let mut state = signals.state.lock();
            let tells = |state: &SignalState| {
                let now = Instant::now();
                now >= tell_from && (state.tell || state.live_due.is_some_and(|due| now >= due))
            };
            if !state.stop && !state.hurry && !tells(&state) {
                let now = Instant::now();
                let rest = tell_from.saturating_duration_since(now);
                let wait = match (state.tell, state.live_due) {
                    (true, _) => rest.min(TICK),
                    (_, Some(due)) => rest.max(due.saturating_duration_since(now)).min(TICK),
                    _ => TICK,
                };
                signals.wake.wait_for(&mut state, wait);
            }
            if state.stop {
                return;
            }
            let tell = tells(&state);
            let due = state.hurry || tell || state.dirty_since.is_some_and(|t| t.elapsed() >= AGE);
            if due {
                state.tell = false;
                state.live_due = None;
            }
            state.hurry = false;
            if due {
                state.dirty_since = None;
            }
            (due, state.last_change.is_none_or(|t| t.elapsed() >= QUIET))
        };
        let Some(vault) = vault.upgrade() else { return };
        let begun = Instant::now();
        if begun >= tend_from && tend(&vault, quiet) {
            tend_from = Instant::now() + room::rest(begun);
        }
        if quiet && begun >= settle_from {
            let soon = vault.settle_safely();
            settle_from = Instant::now() + if soon { SETTLE_SOON } else { SETTLE };
        }
        let backlog = quiet && (vault.untold.lock().len() > 0 || vault.is_to_show());
        if !due && !backlog {
            continue;
        }
        // The commit itself looks at the database only, and fails from then on.
        let _ = vault.all_there();
        let before = vault.untold.lock().len();
        let weaving = Instant::now();
        vault.weave_safely();
        let woven = weaving.elapsed();
        let committing = Instant::now();
        let result = vault.commit_with(&mut vault.committer.lock(), Scope::Timer);
        // Where saves follow each other closely, telling takes a small part of the time; unless so much is
        // kept in memory for it that soon there is no room for more.
        let part = if vault.drafts.is_crowded() { 2 } else { TELL_PART };
        let rest = ((committing.elapsed() + woven) * part).clamp(TELL_REST, TICK);
        tell_from = Instant::now() + rest;
        signals.room.notify_all();
        if result.is_ok() {
            vault.show_safely(); // the next commit stores it
        }
        match result {
            Ok(()) if !due && vault.untold.lock().len() == before && !vault.is_settling() => {
                // Nothing more can be told now: wait for the next change.
                std::thread::sleep(TICK);
            }
            Ok(()) => {}
            Err(_) => {
                let mut state = signals.state.lock();
                state.dirty_since.get_or_insert_with(Instant::now);
                // Try again soon, not at once: the disk may be full.
                signals.wake.wait_for(&mut state, TICK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::io::{Disk, DiskFile, Space};
    use crate::keys::KdfParams;
    use crate::vault::tests::{file_meta, password};
    use std::io::Result;

    /// A disk whose driver panics when it is asked for its room, once that is armed.
    #[derive(Debug)]
    struct Armed(SimDisk, AtomicBool);

    impl Disk for Armed {
        fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
            self.0.open(name)
        }
        fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
            self.0.create(name)
        }
        fn remove(&self, name: &str) -> Result<()> {
            self.0.remove(name)
        }
        fn rename(&self, from: &str, to: &str) -> Result<()> {
            self.0.rename(from, to)
        }
        fn list(&self) -> Result<Vec<String>> {
            self.0.list()
        }
        fn sync_dir(&self) -> Result<()> {
            self.0.sync_dir()
        }
        fn space(&self) -> Result<Space> {
            assert!(!self.1.load(Ordering::SeqCst), "the driver is broken");
            self.0.space()
        }
    }

    /// A panic while room was given back ended the keeper, and from then on nothing became durable
    /// by itself, without a word.
    #[test]
    fn a_fault_in_giving_room_back_does_not_end_the_keeper() {
        let disk = Arc::new(Armed(SimDisk::new(), AtomicBool::new(false)));
        let made = Vault::create_on(disk.clone(), &password(), KdfParams::FLOOR, false, None);
        let vault = made.unwrap().0;
        vault.core.dropped.store(1 << 40, Ordering::SeqCst);
        disk.1.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while vault.met.lock().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it was never tried");
            std::thread::sleep(TICK / 10);
        }
        disk.1.store(false, Ordering::SeqCst);
        let commits = || vault.committer.lock().counters.commits;
        let before = commits();
        vault.make(ROOT, b"note", file_meta(), b"").unwrap();
        while commits() == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was committed");
            std::thread::sleep(TICK / 10);
        }
    }
}
