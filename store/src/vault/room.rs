//! Room: how much a write is given, and when what nobody names any more is looked for.
//!
//! Guarantees: what is shown as available can be written; a refusal for want of room makes
//! the keeper look for dead chunks soon, once for all that was dropped before it, so that a
//! disk which is full of what is alive is not searched again and again.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Vault;
use super::gc::GRACE;
use crate::chunk::pack::PACK_LIMIT;
use crate::core::RESERVE;
use crate::io::Space;

/// Bytes of removed content for which dead chunks are looked for, once it is quiet, where
/// there is room enough.
const DROPPED: u64 = 64 << 20;
/// The same where there is hardly any.
const DROPPED_LEAST: u64 = 1 << 20;
/// How long after a refusal room counts as short.
const SHORT: Duration = Duration::from_secs(60);
/// Where packs end while it does, in bytes: the one that is appended to cannot be given back.
const SHORT_PACK: u64 = 4 << 20;
/// Where a disk is full, this part of it is made free, if history can give so much: 1 / 8 …
const WANTED_PART: u64 = 8;
/// … but no less, and no more, in bytes.
const WANTED_LEAST: u64 = 8 << 20;
const WANTED_MOST: u64 = 8 << 30;
/// A pack takes no more than this part of the disk: 1 / 32.
const PACK_PART: u64 = 32;

impl Vault {
    /// The room on the disk that writes are given, and how many names there are. What is kept
    /// for what was accepted already is not shown as free.
    ///
    /// # Errors
    /// As the disk says.
    pub fn space(&self) -> std::io::Result<(Space, u64)> {
        let space = self.core.disk.space()?;
        let kept = self.core.kept();
        let shown = Space {
            free: space.free.saturating_sub(kept),
            available: space.available.saturating_sub(kept),
            ..space
        };
        Ok((shown, self.tree.read().nodes() + 1))
    }

    /// What the keeper does between commits: removes packs that were replaced a while ago, and
    /// gives back what is dead if that is due. Returns whether it looked for it. For tests that
    /// have ended the keeper.
    #[doc(hidden)]
    pub fn tend(&self) -> bool {
        self.tend_when(true)
    }

    /// The same; `quiet`: nobody has changed anything for a while.
    pub(super) fn tend_when(&self, quiet: bool) -> bool {
        self.remove_replaced(self.grace());
        if quiet && !self.is_room_short() && !self.is_damaged() {
            // Tried again the next time; the collection says what is damaged.
            let _ = self.thin_daily();
            self.join_when_due();
        }
        let due = self.should_collect(quiet);
        if due {
            match self.collect() {
                Ok(_) => self.give_history(),
                // What fails is tried again when more has been dropped, or while room is wanted.
                Err(_) => self
                    .unsearched
                    .store(self.was_refused() && !self.is_damaged(), Relaxed),
            }
        }
        due
    }

    /// Lets go of as much history as there is room missing, if something was refused for want of it,
    /// and if it can be given back: not of a vault that is damaged, which gives nothing back, nor of one that other
    /// devices rely on, nor while packs are being copied. What old versions share with newer ones frees nothing: after such a round
    /// it goes on a minute later, if writes are still refused.
    fn give_history(&self) {
        let missing = self.room_missing();
        self.relieved.store(missing == 0, Relaxed);
        if !self.was_refused() || missing == 0 || self.is_damaged() || self.is_relied_on() {
            return;
        }
        if self.packs_pinned() || self.is_yielding() {
            self.unsearched.store(true, Relaxed); // once they are not
            return;
        }
        // History is kept for as long as there is room for it. What fails is tried again in a minute.
        let Ok(more) = self.thin_sooner(missing) else {
            *self.fruitless.lock() = Some(Instant::now());
            return;
        };
        // What it let go of is looked for now; what is dropped meanwhile is not.
        self.core.dropped.store(0, Relaxed);
        let collected = self.collect().map(|freed| freed.bytes > 0);
        let (failed, freed) = (collected.is_err(), collected.unwrap_or(false));
        self.relieved.store(self.room_missing() == 0, Relaxed);
        self.unsearched.store(more && freed, Relaxed);
        *self.fruitless.lock() = (failed || more && !freed).then(Instant::now);
    }

    /// Room that a disk should have after one was full: history is let go of for it.
    fn room_wanted(&self) -> u64 {
        let total = self.core.disk.space().map_or(0, |space| space.total);
        (total / WANTED_PART).clamp(WANTED_LEAST, WANTED_MOST)
    }

    /// How much room is missing where something was refused lately for want of it; in bytes.
    pub(super) fn room_refused(&self) -> u64 {
        match self.was_refused() {
            true => self.room_missing(),
            false => 0,
        }
    }

    /// How much of that is not there.
    fn room_missing(&self) -> u64 {
        let available = self.core.disk.space().map_or(u64::MAX, |space| space.available);
        self.room_wanted()
            .saturating_sub(available.saturating_sub(self.core.kept()))
    }

    /// Whether something was refused lately for want of room, or the disk fails.
    pub(super) fn is_room_short(&self) -> bool {
        self.core.failing.load(Relaxed) || self.was_refused()
    }

    /// Whether something was refused lately for want of room.
    fn was_refused(&self) -> bool {
        let refused = *self.core.refused.lock();
        refused.is_some_and(|at| at.elapsed() < SHORT)
    }

    /// Whether damage was met: then what nobody names is not known, and nothing is given back.
    pub(super) fn is_damaged(&self) -> bool {
        !self.met.lock().is_empty()
    }

    /// How long a replaced pack is kept. Who looked up a place in one that is gone looks again.
    pub(super) fn grace(&self) -> Duration {
        if self.is_room_short() {
            Duration::ZERO
        } else {
            GRACE
        }
    }

    /// What can be written anew elsewhere without touching what accepted bytes need.
    pub(super) fn room_to_move(&self) -> u64 {
        let kept = self.core.promised().saturating_add(RESERVE / 2);
        let space = self.core.disk.space().map_or(0, |space| space.available);
        space.saturating_sub(kept)
    }

    /// Lets packs end where that suits the disk: a small one is not filled by a single pack,
    /// which could not be given back while it is appended to.
    pub(super) fn size_packs(&self) {
        let total = self.core.disk.space().map_or(u64::MAX, |space| space.total);
        let fit = (total / PACK_PART).clamp(SHORT_PACK, PACK_LIMIT);
        self.pack_limit.store(fit, Relaxed);
        self.core.packs.set_limit(fit);
    }

    /// While it lives, packs end early, and one that is longer is appended to no more.
    pub(super) fn short_packs(&self) -> ShortPacks<'_> {
        let limit = SHORT_PACK.min(self.pack_limit.load(Relaxed));
        self.core.packs.set_limit(limit);
        ShortPacks(self, limit)
    }

    /// Whether to look for dead chunks: much was removed and it is quiet, or room is short, or
    /// something is to be destroyed.
    fn should_collect(&self, quiet: bool) -> bool {
        let dropped = self.core.dropped.load(Relaxed);
        let again = |at: &Instant| at.elapsed() >= SHORT && self.was_refused();
        let again = self.fruitless.lock().as_ref().is_some_and(again);
        // There was room, and now there is none; or what was dropped has become history only since: that may make some
        // once more, though nothing was dropped.
        let may_give = self.relieved.load(Relaxed) || self.grown.load(Relaxed);
        let once_more = may_give && self.room_refused() > 0;
        let unsearched = self.unsearched.load(Relaxed) || again || once_more;
        let owes = quiet && self.owes.load(Relaxed);
        let due = if owes {
            true
        } else if dropped == 0 && !unsearched {
            false
        } else if self.is_room_short() {
            true
        } else {
            quiet && dropped >= DROPPED_LEAST && dropped >= self.worth_collecting()
        };
        if due {
            self.core.dropped.store(0, Relaxed);
            self.unsearched.store(false, Relaxed);
            self.relieved.store(false, Relaxed);
            self.grown.store(false, Relaxed);
            *self.fruitless.lock() = None;
        }
        due
    }

    /// A quarter of the room that is left, between two bounds.
    fn worth_collecting(&self) -> u64 {
        let available = self.core.disk.space().map_or(u64::MAX, |space| space.available);
        (available / 4).clamp(DROPPED_LEAST, DROPPED)
    }
}

/// See [`Vault::short_packs`].
pub(super) struct ShortPacks<'a>(&'a Vault, u64);

impl ShortPacks<'_> {
    /// Whether nothing can be appended to a pack of this length, in bytes, any more.
    pub(super) fn is_full(&self, len: u64) -> bool {
        len > self.1
    }
}

impl Drop for ShortPacks<'_> {
    fn drop(&mut self) {
        self.0.core.packs.set_limit(self.0.pack_limit.load(Relaxed));
    }
}

/// How long the keeper rests after looking for dead chunks, which took so long.
pub(super) fn rest(begun: Instant) -> Duration {
    (begun.elapsed() * 10).clamp(Duration::from_secs(1), Duration::from_secs(60))
}
