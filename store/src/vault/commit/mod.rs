//! The commit: what changed in memory becomes one transaction.
//!
//! What is committed is a state that the tree really had at one instant, and for each
//! file a state that it really had. A file that was cut while it is open is left at its
//! old content until its last close, for 30 seconds at most: half a save is no state
//! that anybody wants back. The order is: sealed bytes into packs, packs synced, then
//! the transaction that names them. If it fails, everything is dirty again as before.
//!
//! Parts, each importing only those above it: `work` (what one commit is about), `gather` (what
//! is dirty, at one instant), `write` (the transaction), `settle` (memory learns how it ended).

mod gather;
mod settle;
mod work;
mod write;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Vault;
use super::secrets::Counters;
use crate::core::StoreError;
use crate::ids::Ino;
pub(crate) use work::Dead;
pub(super) use work::{Item, Scope, Seen, Work};
pub(crate) use write::{pending_gone, pending_inode, pending_left};

/// So many changed files at a sync are stored and told in one go: small ones then come with their
/// events, where they stay, instead of going through the log first. For a few, as when an
/// editor saves, that would take a sync of a pack on top.
const MANY: usize = 64;
/// Steps that one call takes at most, until nothing is left to be told: each does what it can in a
/// moment.
const ROUNDS: usize = 100_000;

/// When a sync was asked for, among all of them.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

/// What moves between commits; whoever holds it commits.
pub(crate) struct Committer {
    pub(super) counters: Counters,
    served: u64,
    /// What the last commit did not take along, though it was dirty.
    left: HashSet<Ino>,
    /// When the last one went well.
    pub(crate) last: Instant,
}

impl Committer {
    pub(crate) fn new(counters: Counters) -> Committer {
        Committer {
            counters,
            served: 0,
            left: HashSet::new(),
            last: Instant::now(),
        }
    }
}

impl Vault {
    /// Makes everything durable that was done before the call.
    ///
    /// # Errors
    /// As [`StoreError`] says; then nothing is lost from memory, and the next call tries again.
    pub fn sync(&self, ino: Ino) -> Result<(), StoreError> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::SeqCst) + 1);
        self.sync_by(ino, ticket)
    }

    /// As [`Vault::sync`], for a request that was made when its ticket was.
    ///
    /// # Errors
    /// As [`Vault::sync`].
    pub fn sync_by(&self, ino: Ino, ticket: Ticket) -> Result<(), StoreError> {
        let mut committer = self.committer.lock();
        if committer.served >= ticket.0 && !committer.left.contains(&ino) {
            return Ok(()); // a commit that began after the call has taken it along
        }
        self.sync_with(&mut committer, ino)
    }

    /// As [`Vault::sync`], if no commit is under way; else a ticket for [`Vault::sync_by`].
    ///
    /// # Errors
    /// The ticket.
    pub fn try_sync(&self, ino: Ino) -> Result<Result<(), StoreError>, Ticket> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::SeqCst) + 1);
        match self.committer.try_lock() {
            Some(mut committer) => Ok(self.sync_with(&mut committer, ino)),
            None => Err(ticket),
        }
    }

    fn sync_with(&self, committer: &mut Committer, ino: Ino) -> Result<(), StoreError> {
        self.commit_with(committer, Scope::Sync(ino))?;
        // Only damage keeps a sync from taking along the file that it is for: see `prepare`.
        if committer.left.contains(&ino) {
            let what = format!("something that file number {ino} needs to be saved");
            return Err(StoreError::Tampered { what });
        }
        Ok(())
    }

    /// Makes everything durable and tells the other devices of what is at rest.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn commit(&self) -> Result<(), StoreError> {
        self.commit_all(Scope::All)
    }

    /// Commits, and tells of texts too whatever is at rest, which takes a step before.
    pub(crate) fn commit_all(&self, scope: Scope) -> Result<(), StoreError> {
        self.weave_safely();
        self.commit_with(&mut self.committer.lock(), scope)?;
        for _ in 0..ROUNDS {
            let more = self.awaits_weaving() && self.weave_safely();
            if !more && !self.show_safely() {
                break;
            }
            self.commit_with(&mut self.committer.lock(), scope)?;
        }
        Ok(())
    }

    pub(crate) fn commit_with(&self, committer: &mut Committer, scope: Scope) -> Result<(), StoreError> {
        if self.read_only.load(Ordering::Relaxed) {
            return Ok(());
        }
        let served = self.tickets.load(Ordering::SeqCst);
        let mut work = Work::new(scope);
        // What a setting makes of files is stored with it.
        let is_set = self.settings.lock().is_untold();
        work.tells = !work.is_sync() || is_set || self.dirty.lock().len() >= MANY;
        // No commit is under way that might tell them.
        self.texts.forget_given_up();
        let steps = || {
            self.rescue()?;
            self.gather(&mut work)?;
            self.write_out(committer, &mut work)
        };
        // A panic half-way must not leave plans that no transaction will keep.
        let result = catch_unwind(AssertUnwindSafe(steps)).unwrap_or_else(|_| {
            Err(StoreError::Tampered {
                what: "what was to be committed".into(),
            })
        });
        if result.is_ok() {
            committer.left.clear();
        }
        // After one that failed, what the one before left is still not taken along.
        let left = work.items.values().filter(|i| i.left).map(|i| i.inode.ino);
        committer.left.extend(left.chain(work.later.iter().copied()));
        for ino in std::mem::take(&mut work.later) {
            self.mark_dirty(ino);
        }
        match &result {
            Ok(()) => {
                committer.served = served;
                committer.last = Instant::now();
                self.core.failing.store(false, Ordering::Relaxed);
                self.demand.stale.store(true, Ordering::Relaxed);
                if !(work.nodes.is_empty() && work.ops.is_empty() && work.edited.is_empty()) {
                    self.see(std::mem::take(&mut work.ops), &work.edited);
                }
            }
            Err(e) => {
                self.core.note_failure(e);
                // What was appended for it is appended anew.
                self.core.strewn.lock().extend(self.core.packs.current());
                self.give_back(&work);
            }
        }
        result
    }
}

#[cfg(test)]
mod tests;
