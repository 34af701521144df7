//! The transaction: events, then rows, then the packs that they name, then all of it at once.

use std::sync::atomic::Ordering;

use super::Committer;
use super::work::{Item, Work};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::{EventRef, Ino, NodeNo, number};
use crate::keys::{ChunkId, seal};
use crate::record::{ChunkRow, kind};
use crate::tree::DirtyNode;
use crate::vault::heads::{COUNTERS, seal_counters};
use crate::vault::inode::{pending, record};
use crate::vault::publish::{Publishing, ToldNow};
use crate::vault::{GONE, LEFT, Vault, inode_aad, node_aad};

impl Vault {
    pub(super) fn write_out(&self, committer: &mut Committer, work: &mut Work) -> Result<(), StoreError> {
        let mut counters = committer.counters;
        let mut publishing = Publishing::new(self, &counters);
        if work.tells {
            for item in work.items.values_mut() {
                publishing.drafts(item);
                if item.publish {
                    publishing.entity(item);
                }
            }
            publishing.nodes(work);
            publishing.settings(&work.settings);
        }
        let told = publishing.finish(&mut counters, &mut work.batch)?;
        for (entity, sealed) in &work.documents {
            match sealed.is_empty() {
                true => work.batch.delete(Table::Documents, entity.0),
                false => work.batch.put(Table::Documents, entity.0, sealed.clone()),
            }
        }
        for item in work.items.values() {
            self.write_inode(&mut work.batch, item, &told);
        }
        for (no, state) in &work.nodes {
            match state {
                DirtyNode::Is(record) => {
                    let sealed = seal(&self.local, &node_aad(*no), &record.encode());
                    work.batch.put(Table::Nodes, no.to_be_bytes(), sealed);
                }
                DirtyNode::Gone => work.batch.delete(Table::Nodes, no.to_be_bytes()),
            }
        }
        self.write_gone(work, &told.gone);
        self.write_history(work);
        for dead in &work.dead {
            work.batch.delete(Table::Inodes, dead.ino.to_be_bytes());
            work.batch.delete(Table::Wraps, dead.ino.to_be_bytes());
            if dead.noted {
                work.batch.delete(Table::Pending, pending_inode(dead.ino));
            }
            let prefix = dead.ino.to_be_bytes();
            let batch = &mut work.batch;
            self.core.db.scan(Table::Log, &prefix, &mut |key, _| {
                batch.delete(Table::Log, key);
                true
            })?;
        }
        let fresh: Vec<(ChunkId, ChunkRow)> = self
            .core
            .fresh
            .lock()
            .iter()
            .map(|(id, row)| (*id, *row))
            .collect();
        for (id, row) in &fresh {
            work.batch.put(Table::Chunks, id.0, row.encode());
        }
        let strewn = self.note_strewn(&mut work.batch)?;
        let packs = self.core.packs.sync()?;
        for (pack, len) in &packs {
            work.batch
                .put(Table::Packs, pack.to_be_bytes(), len.to_be_bytes());
        }
        counters.next_ino = self.next_ino.load(Ordering::Relaxed);
        if work.batch.is_empty() && counters == committer.counters {
            return Ok(());
        }
        counters.commits += 1;
        work.batch
            .put(Table::Meta, COUNTERS, seal_counters(&self.local, &counters));
        match work.tells {
            // What others are told of is in the database's own file.
            true => self.core.db.apply(&work.batch)?,
            false => self.core.db.apply_quickly(&work.batch)?,
        }
        self.core.packs.committed(&packs);
        committer.counters = counters;
        self.core.strewn.lock().retain(|pack| !strewn.contains(pack));
        {
            let mut map = self.core.fresh.lock();
            for (id, _) in &fresh {
                map.remove(id);
            }
        }
        self.settle_memory(work, &told);
        if self.is_shared() {
            let told = told.entities.keys().filter_map(|ino| work.items.get(ino));
            let seen = told.filter_map(|item| item.seen.as_ref());
            work.edited = seen.map(|seen| seen.binding.entity()).collect();
        }
        work.ops = told.ops;
        Ok(())
    }

    fn write_inode(&self, batch: &mut Batch, item: &Item, told: &ToldNow) {
        let Some(seen) = &item.seen else { return };
        let ino = item.inode.ino;
        if item.is_unwritten(told) {
            return;
        }
        let now = told.entities.get(&ino);
        let split = |named: &[EventRef]| {
            let beside = named.get(1..).unwrap_or_default().to_vec();
            (named.first().copied(), beside)
        };
        // One whose content is left at what it was is named as that is.
        let (durable, named_by) = match now {
            Some(now) => (now.durable, (now.at, now.beside.clone())),
            None => (seen.durable, split(&seen.row_name)),
        };
        let record = record(&seen.binding, seen.marks, seen.meta.clone(), durable, named_by);
        let mut plain = record.encode();
        batch.put(
            Table::Inodes,
            ino.to_be_bytes(),
            seal(item.inode.key(), &inode_aad(ino), &plain),
        );
        zeroize::Zeroize::zeroize(&mut plain);
        if !seen.stored {
            let wrapped = self
                .master
                .read()
                .wrap(kind::WRAP_ENTITY, &number(ino), item.inode.key());
            batch.put(Table::Wraps, ino.to_be_bytes(), wrapped.to_vec());
            if self.is_shared() {
                // Its key is with its file from now on.
                self.drop_awaited(batch, &seen.binding.entity());
            }
        }
        let note = seen.note(now);
        if note != seen.pending {
            match note {
                0 => batch.delete(Table::Pending, pending_inode(ino)),
                _ => batch.put(Table::Pending, pending_inode(ino), pending::note(note)),
            }
        }
    }
}

pub(crate) fn pending_inode(ino: Ino) -> [u8; 9] {
    pending_key(2, ino)
}

pub(crate) fn pending_gone(no: NodeNo) -> [u8; 9] {
    pending_key(GONE, no)
}

pub(crate) fn pending_left(no: NodeNo) -> [u8; 9] {
    pending_key(LEFT, no)
}

fn pending_key(tag: u8, n: u64) -> [u8; 9] {
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&n.to_be_bytes());
    key
}
