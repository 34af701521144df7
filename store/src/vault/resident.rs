//! Inodes: brought into memory from their rows, and let go of once nobody holds them.
//!
//! Guarantees: there is one inode of a number in memory; one that was read while its row changed is read again. What is
//! damaged is noted, once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::commit::{Dead, pending_inode};
use super::inode::{Inode, Note, pending};
use super::{OpError, Problem, Vault, inode_aad};
use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{Ino, number};
use crate::keys::{Key, open as open_sealed};
use crate::record::{InodeRecord, kind};
use crate::tree::{Kind, TreeError};

fn its_key(ino: Ino) -> String {
    format!("the key of file number {ino}")
}

impl Vault {
    /// An inode, from memory or the database.
    pub(super) fn get(&self, ino: Ino) -> Result<Arc<Inode>, OpError> {
        loop {
            let stand = {
                let map = self.inodes.lock();
                if let Some(inode) = map.get(ino) {
                    return Ok(inode);
                }
                map.stand()
            };
            let inode = self.read_inode(ino)?.ok_or(TreeError::NotFound)?;
            let entity = inode.state.read().binding.entity();
            if let Some(inode) = self.inodes.lock().put_read(stand, Arc::new(inode), entity) {
                return Ok(inode);
            }
        }
    }

    /// The same, `None` if there is no such inode (any more).
    pub(super) fn resident(&self, ino: Ino) -> Result<Option<Arc<Inode>>, StoreError> {
        match self.get(ino) {
            Ok(inode) => Ok(Some(inode)),
            Err(OpError::Store(e)) => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// The same from its row, for who does not keep it in memory.
    pub(super) fn read_inode(&self, ino: Ino) -> Result<Option<Inode>, StoreError> {
        let Some((key, record)) = self.read_record(ino)? else {
            return Ok(None);
        };
        let (untold, behind) = {
            let all = self.untold.lock();
            (all.inodes.contains(&ino), all.behind.contains(&ino))
        };
        let row = match untold || behind {
            true => self.core.db.get(Table::Pending, &pending_inode(ino))?,
            false => None,
        };
        let row = row.map_or(0, |row| pending::read(&row));
        let note = Note {
            row,
            untold,
            // What has no note was never told at all.
            fresh: untold && (row & pending::UNTOLD == 0 || row & pending::FRESH != 0),
            behind,
        };
        let with_content = matches!(record.meta.kind, Kind::File | Kind::Symlink);
        Ok(Some(Inode::loaded(ino, key, record, note, with_content)))
    }

    /// An inode's key and row.
    pub(super) fn read_record(&self, ino: Ino) -> Result<Option<(Key, InodeRecord)>, StoreError> {
        match self.read_record_once(ino) {
            // Its key was read, then wrapped under a new password's master, then opened.
            Err(StoreError::Tampered { .. }) => self.read_record_once(ino),
            result => result,
        }
    }

    fn read_record_once(&self, ino: Ino) -> Result<Option<(Key, InodeRecord)>, StoreError> {
        let row = ino.to_be_bytes();
        let Some(sealed) = self.core.db.get(Table::Inodes, &row)? else {
            return Ok(None);
        };
        let wrapped = self.core.db.get(Table::Wraps, &row)?;
        let wrapped = wrapped.ok_or_else(|| StoreError::Missing { what: its_key(ino) })?;
        self.open_record(ino, &sealed, &wrapped).map(Some)
    }

    /// An inode's key and row, of what the database has of both.
    pub(super) fn open_record(
        &self,
        ino: Ino,
        sealed: &[u8],
        wrapped: &[u8],
    ) -> Result<(Key, InodeRecord), StoreError> {
        let what = || format!("the record of file number {ino}");
        let key = self
            .master
            .read()
            .unwrap(kind::WRAP_ENTITY, &number(ino), wrapped)
            .map_err(StoreError::tampered(its_key(ino)))?;
        let plain = open_sealed(&key, &inode_aad(ino), sealed).map_err(StoreError::tampered(what()))?;
        let record = InodeRecord::decode(&plain).map_err(StoreError::malformed(what()))?;
        Ok((key, record))
    }

    /// Damage that was met while the vault is in use.
    pub(super) fn note_damage(&self, ino: Ino, error: &StoreError) {
        if error.absent().is_some() {
            return; // it is elsewhere
        }
        let what = format!("file number {ino}: {error}");
        let mut met = self.met.lock();
        if met.len() < 1000 && !met.iter().any(|p| p.what == what) {
            met.push(Problem::new(None, what));
        }
    }

    /// Lets a file without names go, once nobody holds it.
    pub(super) fn reap(&self, inode: &Arc<Inode>) {
        if self.inodes.lock().is_held(inode.ino) {
            return;
        }
        let mut guard = inode.state.write();
        let state = &mut *guard;
        if state.meta.nlink > 0 || state.opens > 0 {
            return;
        }
        if let Some(content) = state.content.as_mut() {
            content.discard(&self.core);
        }
        self.drop_drafts(state.binding.entity(), &mut state.drafts);
        // A commit under way may be noting it just now, if it was told before.
        let noted = state.pending != 0 || state.published.is_some() || state.binding.is_taken_over();
        drop(guard);
        let mut dead = self.dead.lock();
        if !dead.iter().rev().take(64).any(|d| d.ino == inode.ino) {
            dead.push(Dead {
                ino: inode.ino,
                noted,
            });
        }
        drop(dead);
        if self.owing.load(Ordering::Relaxed) {
            // Perhaps this one was in the way.
            self.owes.store(true, Ordering::Relaxed);
        }
        let mut untold = self.untold.lock();
        untold.inodes.remove(&inode.ino);
        untold.behind.remove(&inode.ino);
        drop(untold);
        self.signals.changed();
    }
}
