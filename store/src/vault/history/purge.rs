//! Destroying history: rows and keys go in one transaction, with notes of what is then to go from
//! the packs.
//!
//! Guarantees: after a crash at any point all of it is listed as before, or nothing of it can be
//! read. When [`Vault::collect`] has nothing left to destroy, no pack holds a byte of it that
//! nothing else needs.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use super::debts::{UNKNOWN, note_manifest, note_pack, note_payload};
use super::removed::RemovedNames;
use super::rows::{row_key, seal_row};
use super::stand::Stand;
use super::{Purged, Subject};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::Let;
use crate::ids::{EntityId, NodeId};
use crate::keys::Key;
use crate::record::{BodyRef, Kept, Time, VersionRecord};
use crate::tree::TreeError;
use crate::vault::commit::Scope;
use crate::vault::{OpError, Vault};

/// How often a purge is begun again, if somebody saves meanwhile.
const TRIES: usize = 3;

impl Vault {
    /// Destroys the history and keys of a removed file; or all versions but the present one of a
    /// file that is there. Of a removed folder, and of a name whose file has another one, only
    /// goes what was kept of the name. Its room is given back by the next collections; until
    /// [`Vault::collect`] says that nothing is left to destroy, its sealed bytes lie in packs.
    ///
    /// # Errors
    /// As [`OpError`] says; nothing is destroyed then.
    pub fn purge(&self, of: Subject) -> Result<Purged, OpError> {
        match of {
            Subject::Removed(node) => self.purge_removed(&[node]),
            Subject::File(_) | Subject::Entity { .. } => self.purge_past(of),
        }
    }

    /// [`Vault::purge`] of several that were removed, at once: all of them or none. Much quicker
    /// than one by one.
    ///
    /// # Errors
    /// As [`Vault::purge`]; ENOENT if one of them is not there.
    pub fn purge_removed(&self, nodes: &[NodeId]) -> Result<Purged, OpError> {
        self.writable()?;
        // What is destroyed must not come back by a save that is under way.
        self.end_grace(nodes);
        self.tell_saved()?;
        let _history = self.history.lock();
        let _committer = self.committer.lock();
        let stand = self.stand(true, &mut |_, _, _| Ok(()))?;
        let names = self.removed_names()?;
        let mut batch = Batch::new();
        let mut purged = Purged::default();
        let mut seen = HashSet::new();
        for node in nodes {
            let row = self.gone_row(*node)?.ok_or(TreeError::NotFound)?;
            batch.delete(Table::Removed, node.0);
            let nameless = row.record.entity.filter(|e| !stand.named.contains(e));
            if let Some(entity) = nameless.filter(|entity| seen.insert(*entity)) {
                // Without its key, nobody can read it.
                let Some(key) = stand.keys.get(&entity) else {
                    continue;
                };
                let gone = self.destroy(&mut batch, &names, entity, key, true)?;
                purged.files += gone.files;
                purged.versions += gone.versions;
                purged.unread += gone.unread;
            }
        }
        self.apply_purge(batch, purged.files > 0)?;
        Ok(purged)
    }

    fn purge_past(&self, of: Subject) -> Result<Purged, OpError> {
        self.writable()?;
        let mut begun = 0;
        for _ in 0..TRIES {
            self.show_what_came(of)?;
            begun += u64::from(self.begin_anew(of)?);
            let whose = self.whose(of)?;
            let _history = self.history.lock();
            let _committer = self.committer.lock();
            if self.needs_past(of)? || self.showing(of)?.state.read().behind > 0 {
                continue; // somebody has saved meanwhile, or what others wrote is not shown yet
            }
            let stand = self.stand(true, &mut |_, _, _| Ok(()))?;
            let mut batch = Batch::new();
            let versions = self.forget(&mut batch, &stand, whose.entity, &whose.key)?;
            batch.delete(Table::Documents, whose.entity.0);
            self.texts.discard(&whose.entity);
            self.apply_purge(batch, versions > 0)?;
            self.texts.discard(&whose.entity); // read once more meanwhile, perhaps
            // The present version was told once more, and is there.
            let versions = versions.saturating_sub(begun);
            let unread = match versions {
                0 => 0,
                _ => self.count_unread(&whose.entity)?,
            };
            return Ok(Purged {
                files: 0,
                versions,
                unread,
            });
        }
        Err(OpError::Errno(libc::EBUSY))
    }

    /// Lets a file show what others wrote, which nobody has seen here: that is not its past.
    pub(super) fn show_what_came(&self, of: Subject) -> Result<(), OpError> {
        let inode = self.showing(of)?;
        if inode.state.read().behind > 0 {
            self.commit_all(Scope::Timer)?;
            self.texts.may_show(inode.ino);
            self.show_safely();
        }
        Ok(())
    }

    /// Tells the present state of a text with its bytes, so that it needs nothing of its past. False
    /// if that is so already.
    pub(super) fn begin_anew(&self, of: Subject) -> Result<bool, OpError> {
        self.commit_all(Scope::Timer)?;
        if !self.needs_past(of)? {
            return Ok(false);
        }
        let inode = self.showing(of)?;
        {
            let mut state = inode.state.write();
            (state.anew, state.untold, state.meta_dirty) = (true, true, true);
        }
        self.mark_dirty(inode.ino);
        let told = self.commit_all(Scope::Timer);
        // It was not told if somebody has it open to write.
        inode.state.write().anew = false;
        told?;
        Ok(!self.needs_past(of)?)
    }

    /// Whether what a file shows is a change of what was before it.
    fn needs_past(&self, of: Subject) -> Result<bool, OpError> {
        let inode = self.showing(of)?;
        let (entity, key, named_by) = {
            let state = inode.state.read();
            let key = state.binding.key(inode.key()).duplicate();
            (state.binding.entity(), key, state.named_by())
        };
        for at in named_by {
            if self.row_of(&key, &entity, at)?.is_some_and(|row| row.is_change()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Applies what a purge changes; `urgent`: something is to go from the packs.
    fn apply_purge(&self, mut batch: Batch, urgent: bool) -> Result<(), StoreError> {
        if urgent {
            // What was let go of before lies in packs, perhaps with the same bytes in it: so do states
            // of files that never became versions.
            for (pack, surely) in self.debts()?.packs {
                if !surely {
                    note_pack(&mut batch, pack, true);
                }
            }
        }
        self.core.db.apply(&batch)?;
        if urgent {
            // Those that were replaced a moment ago hold it, too.
            self.replaced.lock().urge();
            self.owes.store(true, Ordering::Relaxed);
        }
        self.feed.thinned(true);
        Ok(())
    }

    /// Everything of an entity that has no name goes.
    pub(super) fn destroy(
        &self,
        batch: &mut Batch,
        names: &RemovedNames,
        entity: EntityId,
        key: &Key,
        surely: bool,
    ) -> Result<Purged, StoreError> {
        let mut purged = Purged {
            files: 1,
            versions: 0,
            // Without its key nobody reads it any more.
            unread: self.forget_unread(batch, &entity)?,
        };
        let mut owed = Ok(());
        self.each_version(key, &entity, &mut |number, record| {
            batch.delete(Table::Versions, row_key(&entity, number));
            // One that cannot be read named a place that nobody knows; its key goes all the same.
            let Ok(record) = record else { return };
            purged.versions += u64::from(record.kept == Kept::All);
            let what = match record.creates {
                true => Let::All,
                false => Let::Sealed,
            };
            if owed.is_ok() {
                owed = self.owe(batch, &record, what, surely);
            }
        })?;
        owed?;
        for node in names.get(&entity).into_iter().flatten() {
            batch.delete(Table::Removed, node.0);
        }
        batch.delete(Table::Documents, entity.0);
        self.drop_awaited(batch, &entity);
        self.texts.discard(&entity);
        Ok(purged)
    }

    /// All versions of an entity go but those that are needed, and those that no other replaces; how many.
    fn forget(
        &self,
        batch: &mut Batch,
        standing: &Stand,
        entity: EntityId,
        key: &Key,
    ) -> Result<u64, StoreError> {
        let mut rows: Vec<(u64, VersionRecord)> = Vec::new();
        self.each_version(key, &entity, &mut |number, record| {
            rows.extend(record.ok().map(|record| (number, record)));
        })?;
        let newest = Stand::newest(&rows);
        let go = standing.to_let_go(&rows, |_, row| newest.contains(&row.at));
        let mut gone = 0;
        for (number, record) in rows {
            if !go.contains(&number) || record.kept == Kept::Key {
                continue;
            }
            gone += u64::from(record.kept == Kept::All);
            self.let_version_go(batch, key, &entity, number, record, Kept::Key)?;
        }
        Ok(gone)
    }

    /// One version goes. Where its event brought the entity's key, that stays, and its row as
    /// `left` says; else nothing of it.
    pub(super) fn let_version_go(
        &self,
        batch: &mut Batch,
        key: &Key,
        entity: &EntityId,
        number: u64,
        record: VersionRecord,
        left: Kept,
    ) -> Result<(), StoreError> {
        let surely = left == Kept::Key;
        if record.kept == Kept::All {
            self.owe(batch, &record, Let::Sealed, surely)?;
        } else if surely {
            // Thinned before: by now it may lie in a pack's dead bytes alone.
            note_payload(batch, self.payload_by_now(&record)?, Let::Sealed, true);
        }
        if !record.creates {
            batch.delete(Table::Versions, row_key(entity, number));
            return Ok(());
        }
        let mut row = VersionRecord {
            kept: left,
            body: BodyRef::Other,
            ..record
        };
        if left == Kept::Key {
            (row.recorded, row.modified, row.came) = (Time::default(), Time::default(), 0);
            (row.size, row.perm, row.program) = (0, 0, None);
        }
        let sealed = seal_row(key, entity, number, &row);
        batch.put(Table::Versions, row_key(entity, number), sealed);
        Ok(())
    }

    /// Where a version's payload lies: its batch may have been joined since. The committer is held.
    fn payload_by_now(&self, record: &VersionRecord) -> Result<(u64, u32), StoreError> {
        match self.core.lies((record.batch, record.offset), record.at) {
            Ok(Some(lies)) => Ok((lies.no, lies.offset)),
            // It is not here, or its batch is damaged: nothing can be left out of that, and the note says so.
            Ok(None) => Ok((self.core.batch_by_now(record.batch, record.at), UNKNOWN)),
            Err(e) if e.is_damage() => Ok((self.core.batch_by_now(record.batch, record.at), UNKNOWN)),
            // Whoever asked tries again: it is not let go of as if nobody knew where it lies.
            Err(e) => Err(e),
        }
    }

    /// Notes what of a version is to go from the packs.
    fn owe(
        &self,
        batch: &mut Batch,
        record: &VersionRecord,
        what: Let,
        surely: bool,
    ) -> Result<(), StoreError> {
        note_payload(batch, self.payload_by_now(record)?, what, surely);
        let dropped = match &record.body {
            BodyRef::Manifest(_) => record.size,
            _ => u64::from(record.len),
        };
        self.core.dropped.fetch_add(dropped, Ordering::Relaxed);
        if let (BodyRef::Manifest(root), true) = (&record.body, surely) {
            note_manifest(batch, root);
        }
        Ok(())
    }
}
