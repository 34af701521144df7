//! Folding: what everybody has acknowledged is kept as what it comes to.
//!
//! Guarantees: the tree of all devices is the same before and after, in memory and from its rows; a crash at any moment
//! leaves it as it was before a step or after it. Of events only those payloads are let go of that say where a file lay and
//! lies no more: who hears the rest in whatever order comes to the same tree. What folders were called is
//! never let go of, and a removed folder is never forgotten: somebody who was away for long may have put something into it.
//! Each device folds by itself, when it likes, and tells nobody.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{EventKind, EventRef, Let, Walk};
use crate::ids::{EntityId, NodeId};
use crate::vault::history::note_payload;
use crate::vault::take_in::do_names_wait;
use crate::vault::{Problem, Vault};

/// So many operations become ground in one transaction, about: others may commit in between.
const STEP: usize = 8192;
/// How long the keeper folds at a time; then the rest, soon.
const SPELL: Duration = Duration::from_secs(2);
/// So many that could are not left for the next hour.
const MANY: usize = 10_000;

/// How much is kept of the tree of all devices. For tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesKept {
    /// Rows of any kind.
    pub rows: u64,
    /// Nodes in memory.
    pub nodes: usize,
    /// Operations in memory that are not settled.
    pub unsettled: usize,
}

/// Where a payload lies: batch and place in it; and how long it is.
type Payload = ((u64, u32), u32);

/// What a step came to.
enum Step {
    /// So many operations became ground.
    Done(usize),
    /// Nothing: where they stand among all has changed, and they are to be read anew.
    Anew,
}

impl Vault {
    /// Says of chains what is due, and folds what is settled. Whether much is left that may be settled soon. A fault in there is
    /// noted, and ends nobody.
    pub(in crate::vault) fn settle_safely(&self) -> bool {
        let settle = || {
            if self.tend_horizon()? {
                self.see(Vec::new(), &[]);
            }
            self.fold_until(Some(Instant::now() + SPELL))
        };
        match catch_unwind(AssertUnwindSafe(settle)) {
            Ok(Ok((_, false))) => return true,
            // What fails is tried again.
            Ok(_) => {}
            Err(_) => {
                // What it had in hand is read anew.
                *self.shared.lock() = None;
                let what = "settling where names lie met a fault of this program";
                self.note_problem(Problem::new(None, what));
            }
        }
        let guard = self.shared.lock();
        guard
            .as_ref()
            .is_some_and(|shared| shared.shown.moves().unsettled() > MANY)
    }

    /// Makes what is settled of the tree of all devices its ground. Returns how many operations became that.
    ///
    /// # Errors
    /// As [`StoreError`] says; what was folded until then stays so.
    pub fn fold_names(&self) -> Result<u64, StoreError> {
        Ok(self.fold_until(None)?.0)
    }

    /// The same, as long as there is time; false: there is more.
    fn fold_until(&self, until: Option<Instant>) -> Result<(u64, bool), StoreError> {
        let mut folded = 0;
        loop {
            match self.fold_some()? {
                Step::Anew => self.see(Vec::new(), &[]),
                Step::Done(some) => {
                    folded += some as u64;
                    if some < STEP {
                        return Ok((folded, true));
                    }
                }
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok((folded, false));
            }
        }
    }

    /// How much is kept of the tree of all devices. For tests.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    #[doc(hidden)]
    pub fn names_kept(&self) -> Result<NamesKept, StoreError> {
        let of = |shared: &mut super::Shared| {
            let moves = shared.shown.moves();
            (moves.all().count(), moves.unsettled())
        };
        let (nodes, unsettled) = self.with_shared(of)?.unwrap_or_default();
        let rows = self.core.db.rows(Table::Moves)?;
        Ok(NamesKept {
            rows,
            nodes,
            unsettled,
        })
    }

    fn fold_some(&self) -> Result<Step, StoreError> {
        let is_off = self.read_only.load(Ordering::Relaxed) || self.lost_names.load(Ordering::SeqCst);
        if !self.is_shared() || is_off || self.is_damaged() {
            return Ok(Step::Done(0));
        }
        // Nothing comes meanwhile.
        let _taking = self.texts.taking.lock();
        let committer = self.committer.lock();
        if do_names_wait(&self.core.db)? {
            return Ok(Step::Done(0));
        }
        let next = committer.counters.lamport.saturating_add(1);
        let Some(line) = self.settled_before(next)?.and_then(|line| line.checked_sub(1)) else {
            return Ok(Step::Done(0));
        };
        let mut guard = self.shared.lock();
        let shared = match guard.as_mut() {
            Some(shared) => shared,
            None => guard.insert(self.load_shared()?),
        };
        if self.are_moved(shared)? {
            // What was said has other places by now than those that it would be settled in.
            *guard = None;
            return Ok(Step::Anew);
        }
        let step = self.fold_step(shared, line);
        if step.is_err() {
            // As its rows say.
            *guard = None;
        }
        step.map(Step::Done)
    }

    /// Settles some of it in memory and in rows. Where that fails the two may differ.
    fn fold_step(&self, shared: &mut super::Shared, line: u64) -> Result<usize, StoreError> {
        let settled = shared.shown.settle(line, STEP);
        let mut batch = Batch::new();
        for at in &settled.ops {
            self.drop_op(&mut batch, at);
        }
        for (node, ground) in &settled.ground {
            self.put_ground(&mut batch, node, ground.as_ref());
        }
        let mut said: Vec<EventRef> = settled.said.iter().map(|(at, _)| *at).collect();
        // In the last step: what was removed and cannot be brought back any more.
        let is_last = settled.ops.len() < STEP;
        let forgotten = match is_last {
            true => self.forget_removed(shared)?,
            false => Vec::new(),
        };
        for (node, at) in &forgotten {
            self.put_ground(&mut batch, node, None);
            said.push(*at);
        }
        if settled.ops.is_empty() && forgotten.is_empty() {
            return Ok(0);
        }
        let mut bytes = 0;
        for ((no, offset), len) in self.payloads_of(&said)? {
            note_payload(&mut batch, (no, offset), Let::Sealed, false);
            bytes += u64::from(len);
        }
        self.put_line(&mut batch, settled.line);
        self.core.db.apply(&batch)?;
        self.core.dropped.fetch_add(bytes, Ordering::Relaxed);
        self.is_settled_up_to(settled.line);
        Ok(settled.ops.len())
    }

    /// Forgets removed files that nobody can bring back on this device.
    fn forget_removed(&self, shared: &mut super::Shared) -> Result<Vec<(NodeId, EventRef)>, StoreError> {
        let mut kept: HashSet<NodeId> = self.untold.lock().removed.keys().copied().collect();
        self.core.db.scan(Table::Removed, b"", &mut |key, _| {
            kept.extend(<[u8; 16]>::try_from(key).map(NodeId));
            true
        })?;
        let awaited: HashSet<EntityId> = self.awaited_entities()?;
        // An edit that nobody here has read may bring one back.
        let unread = self.unread_files()?;
        let tree = self.tree.read();
        let may = |node: &NodeId, entity: EntityId| {
            let is_known = kept.contains(node) || awaited.contains(&entity) || unread.contains(&entity);
            !is_known && tree.at(node).is_none()
        };
        Ok(shared.shown.forget(&may))
    }

    /// Where the payloads of these Node events lie, as far as they do.
    fn payloads_of(&self, events: &[EventRef]) -> Result<Vec<Payload>, StoreError> {
        let mut by_batch: BTreeMap<u64, HashSet<EventRef>> = BTreeMap::new();
        for at in events {
            if let Some(no) = self.core.batch_of(*at)? {
                by_batch.entry(no).or_default().insert(*at);
            }
        }
        let mut found = Vec::new();
        for (no, events) in by_batch {
            let Some(first) = events.iter().next() else {
                continue;
            };
            let (no, _, bytes) = match self.core.stored_batch(no, *first) {
                Ok(stored) => stored,
                // `check` names it.
                Err(e) if e.is_damage() => continue,
                Err(e) => return Err(e),
            };
            for one in Walk::new(&bytes).into_iter().flatten().map_while(Result::ok) {
                let head = &one.event.head;
                let is_one = head.kind == EventKind::Node && events.contains(&head.at);
                if is_one && one.event.sealed.is_some() {
                    found.push(((no, one.sealed_at), head.sealed.len));
                }
            }
        }
        Ok(found)
    }
}
