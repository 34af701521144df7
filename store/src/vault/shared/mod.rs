//! The tree of all devices, and how the tree of this one follows it.
//!
//! It owns what was said of names by anyone ([`crate::moves`]), with rows of its own. What this device has
//! not told yet stands in it as what will be said last: so what is seen here is what everybody will see once
//! it is told. Guarantees: after each [`Vault::see`], each name that others know lies in the tree where they
//! see it too; what is in the tree changes in one step under its lock; a file that cannot be had yet
//! (its content is not here) has no name until it can; nothing that was written here is lost by what others
//! said: a file that somebody has open to write keeps a name until that is told.
//!
//! A vault of one device has none of it: it begins with the first events of another.
//!
//! Parts, each importing only those above it: `forms` (the bytes of rows), `rows`, `keep` (removals that lose to edits), `files` (files
//! for entities that have none), `thoughts` (what is to be told), `place` (from what is seen to the tree).

mod files;
mod fold;
mod forms;
mod keep;
mod place;
mod rows;
mod thoughts;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::{Problem, Vault};
use crate::core::StoreError;
use crate::db::{Batch, Db, DbError, Table};
use crate::event::{BatchRow, Walk};
use crate::ids::{EntityId, NodeId};
use crate::moves::{Changed, Op, Shown, Stamp};
pub use fold::NamesKept;
pub(crate) use forms::ground_again;
pub(super) use forms::place_of;
pub use place::Renamed;
pub(super) use rows::Said;

/// Characters of a device's name in a label.
const NAME_IN_LABEL: usize = 20;

/// See the module.
#[derive(Default)]
pub(super) struct Shared {
    shown: Shown,
    /// Nodes that are to be seen, and name what is not here.
    absent: HashSet<NodeId>,
    /// Nodes that may not be where they are to be seen: what this device thought to say of them it may
    /// not be about to say any more.
    unsure: HashSet<NodeId>,
}

impl Shared {
    /// The other folders that are seen as one with this one.
    pub(super) fn seen_as_one(&mut self, folder: NodeId) -> Vec<NodeId> {
        self.shown.seen_as_one(folder)
    }
}

/// Whether names are shared with other devices.
pub(super) fn is_begun(db: &Db) -> Result<bool, DbError> {
    Ok(db.get(Table::Moves, rows::BEGUN)?.is_some())
}

impl Vault {
    /// Whether operations on names have rows.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::SeqCst)
    }

    /// What tells apart the conflict files of several devices: whose it is, by the name that the device had when it joined,
    /// which never changes; and when that was, in UTC.
    fn label(&self, stamp: &Stamp, when: i64) -> String {
        let chain = || stamp.at.chain.0[..2].iter().map(|b| format!("{b:02x}")).collect();
        let who: String = self.device_first_named(&stamp.at.chain).unwrap_or_else(chain);
        let who: String = who
            .chars()
            .map(|c| if c == '/' { '-' } else { c })
            .take(NAME_IN_LABEL)
            .collect();
        let when = jiff::Timestamp::from_second(when).unwrap_or_default();
        format!("{who} {}", when.strftime("%Y-%m-%d %H.%M"))
    }

    /// From now on what is said of names is noted: what was said until now is read from its events, once.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing has begun then.
    pub(super) fn begin_shared(&self) -> Result<(), StoreError> {
        let _committer = self.committer.lock();
        if self.is_shared() {
            return Ok(());
        }
        let mut rows = Vec::new();
        self.core.db.scan(Table::Batches, b"", &mut |_, value| {
            rows.extend(BatchRow::decode(value).ok());
            true
        })?;
        let keyring = self.core.keyring();
        let mut batch = Batch::new();
        batch.put(Table::Moves, rows::BEGUN, vec![0]);
        for row in rows {
            let mut bytes = vec![0; row.place.len as usize];
            let read = self.core.packs.read(row.place, 0, &mut bytes);
            let walk = match read.map_err(StoreError::from) {
                Ok(()) => Walk::new(&bytes),
                // What is rotten keeps nobody from all the rest; `check` names it.
                Err(e) if e.is_damage() => continue,
                Err(e) => return Err(e),
            };
            for found in walk.into_iter().flatten().map_while(Result::ok) {
                if let Ok(Some(Said::Op(op) | Said::Nothing(op))) = self.op_of(&keyring, &found) {
                    self.put_op(&mut batch, &op);
                }
            }
        }
        self.core.db.apply(&batch)?;
        self.is_shared.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The tree of all devices, from its rows. All of it is to be looked at: a crash may have come between a
    /// row and the tree.
    fn load_shared(&self) -> Result<Shared, StoreError> {
        let ((ops, bad_ops), (ground, bad_ground)) = (self.ops()?, self.grounds()?);
        let bad = bad_ops + bad_ground;
        if bad > 0 {
            let what = format!("{bad} records of where names lie on other devices are damaged");
            self.note_problem(Problem::new(None, what));
        }
        let mut shared = Shared::default();
        // What is to come to its place by what is known now does.
        let _ = self.take_moved()?;
        shared.shown.begin(self.settled_up_to()?, ground);
        let ops = self.in_their_places(ops)?;
        self.do_ops(&mut shared, ops);
        shared.unsure = shared.shown.moves().all().collect();
        Ok(shared)
    }

    /// Does operations, each in its place. One that would come before what is settled comes right after that.
    fn do_ops(&self, shared: &mut Shared, mut ops: Vec<Op>) -> Changed {
        let line = shared.shown.moves().line();
        let is_late = |op: &&mut Op| line.is_some_and(|line| op.stamp.lamport <= line);
        let mut late = 0u64;
        for op in ops.iter_mut().filter(is_late) {
            op.stamp.lamport = line.unwrap_or(0).saturating_add(1);
            late += 1;
        }
        let done = shared.shown.apply(ops, &|stamp, when| self.label(stamp, when));
        if late > 0 || done.is_err() {
            let what =
                format!("{late} changes of names came before what was settled here; they count after that");
            self.note_problem(Problem::new(None, what));
        }
        done.unwrap_or_default()
    }

    /// Whether operations that are not settled have other places among all than they had when they were done.
    fn are_moved(&self, shared: &Shared) -> Result<bool, StoreError> {
        let moves = shared.shown.moves();
        let moved = self.take_moved()?;
        Ok(moved
            .iter()
            .any(|(chain, from)| moves.is_open_beyond(chain, *from)))
    }

    /// The other folders that are seen as one with this one. One whose names cannot be read now is alone.
    pub(super) fn seen_as_one(&self, folder: NodeId) -> Vec<NodeId> {
        self.with_shared(|shared| shared.seen_as_one(folder))
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Entities that have a name on some device.
    pub(super) fn named_elsewhere(&self) -> Result<HashSet<EntityId>, StoreError> {
        let named = self.with_shared(|shared| {
            let moves = shared.shown.moves();
            let live = moves.all().filter(|node| moves.removal(node).is_none());
            live.filter_map(|node| moves.entity(&node)).collect()
        });
        Ok(named?.unwrap_or_default())
    }

    /// Calls `with` with the tree of all devices, if there are others.
    fn with_shared<T>(&self, with: impl FnOnce(&mut Shared) -> T) -> Result<Option<T>, StoreError> {
        if !self.is_shared() {
            return Ok(None);
        }
        let mut guard = self.shared.lock();
        let shared = match guard.as_mut() {
            Some(shared) => shared,
            None => guard.insert(self.load_shared()?),
        };
        Ok(Some(with(shared)))
    }

    /// Lets the tree follow what was said of names, by these operations and those before, now that these
    /// entities have versions more. A fault in there is noted, and ends nobody.
    pub(super) fn see(&self, ops: Vec<Op>, edited: &[EntityId]) {
        if !self.is_shared() || self.lost_names.load(Ordering::SeqCst) {
            return;
        }
        let seen = catch_unwind(AssertUnwindSafe(|| self.see_all(ops, edited)));
        let why = match seen {
            Ok(Ok(())) => return,
            Ok(Err(e)) => e.to_string(),
            // What it had in hand is in no place in memory: nothing is done by that until it is read anew.
            Err(_) => {
                self.lost_names.store(true, Ordering::SeqCst);
                "a fault of this program, until the vault is opened again".into()
            }
        };
        // What it was about is in rows: it is read anew, and all of it looked at.
        *self.shared.lock() = None;
        self.note_problem(Problem::new(
            None,
            format!("names of other devices are not shown: {why}"),
        ));
    }

    fn see_all(&self, ops: Vec<Op>, edited: &[EntityId]) -> Result<(), StoreError> {
        let mut guard = self.shared.lock();
        if let Some(shared) = guard.as_ref()
            && self.are_moved(shared)?
        {
            // What was said there has other places among all, from the beginning on.
            *guard = None;
        }
        let shared = match guard.as_mut() {
            Some(shared) => shared,
            None => guard.insert(self.load_shared()?),
        };
        let ops = self.in_their_places(ops)?;
        let label = &|stamp: &Stamp, when: i64| self.label(stamp, when);
        let said: HashSet<NodeId> = ops.iter().map(|op| op.node).collect();
        let nothing_said = ops.is_empty();
        let mut sights = self.do_ops(shared, ops);
        let removals = self.removals();
        let keeps = self.keeps(shared, &said, (edited, &removals))?;
        sights.extend(shared.shown.keep(&keeps, label));
        // What has no file yet is tried again when there is more of it.
        let of_edited = |node: &NodeId| {
            let entity = shared.shown.moves().entity(node);
            entity.is_some_and(|entity| edited.contains(&entity))
        };
        let mut again: Vec<NodeId> = shared.absent.iter().copied().filter(of_edited).collect();
        shared.absent.retain(|node| !again.contains(node));
        again.extend(shared.unsure.drain());
        sights.extend(shared.shown.again(again.into_iter(), label));
        if sights.is_empty() && nothing_said {
            return Ok(());
        }
        let mut files = self.files_for(shared, &sights)?;
        self.keep_unseen(shared, &sights)?;
        let (renamed, dressed) = {
            let mut tree = self.tree.write();
            tree.index();
            let thoughts = self.thoughts(&tree, shared, &removals);
            sights.extend(shared.shown.apply(thoughts, label).unwrap_or_default());
            self.place_all(&mut tree, shared, (&sights, &said), &mut files)
        };
        let thought = shared.shown.retract(Stamp::LAST.lamport, label);
        shared.unsure.extend(thought.into_keys());
        // In the order in which it happened.
        self.feed.renames(renamed, dressed);
        drop(guard);
        Ok(())
    }

    /// Looks once at what a crash may have left undone, after a vault was opened.
    pub(super) fn see_once(&self) {
        if self.is_shared() && self.writable().is_ok() && self.shared.lock().is_none() {
            self.see(Vec::new(), &[]);
        }
    }
}
