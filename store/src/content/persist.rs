//! Making the present state durable without chunking anew: what is new goes to the log,
//! small pieces as rows, large ones sealed into packs.

use super::over::Bytes;
use super::pieces::Data;
use super::{Content, Durable, INLINE_MAX, Owner, manifest};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::{Ino, number};
use crate::keys::{Aad, random_bytes, seal};
use crate::record::{BaseRef, LogRecord, kind};

/// Up to so many new bytes go into rows of the database, with the one sync that this takes.
const ROWS_MAX: usize = 48 << 10;
/// A sealed extent's plaintext, in bytes, at most.
const EXTENT: usize = 64 << 10;
/// A longer log is written anew.
const LOG_MAX: u64 = 512;
/// So is one of so many rows, of a file that is no longer than what its event could hold.
const ROWS_SMALL: u64 = 8;

/// What the next transaction makes of a content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) durable: Durable,
    pub(crate) changes: u64,
}

/// A log row's associated data.
pub(crate) fn log_aad(ino: Ino, seq: u64) -> Aad {
    Aad {
        kind: kind::LOG,
        id: number(ino),
        chain: [0; 16],
        version: seq,
        generation: 0,
    }
}

/// A log row's key.
pub(crate) fn log_key(ino: Ino, seq: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&ino.to_be_bytes());
    key[8..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Removes rows of a file's log.
pub(crate) fn delete_log(batch: &mut Batch, ino: Ino, durable: &Durable) {
    for seq in durable.log_first..durable.log_next {
        batch.delete(Table::Log, log_key(ino, seq));
    }
}

impl Content {
    /// Whether something is not durable.
    pub(crate) fn is_dirty(&self) -> bool {
        self.changes != self.persisted
    }

    /// Whether what is durable is whole: a version as it stands.
    pub(crate) fn is_settled(&self) -> bool {
        let d = &self.durable;
        !self.is_dirty() && d.log_first == d.log_next && d.base_len == d.size
    }

    /// Puts into `batch` what makes the present state durable. Packs must be synced
    /// before the batch is applied; then [`Content::done`], or [`Content::undone`].
    pub(crate) fn persist(&mut self, owner: Owner<'_>, batch: &mut Batch) -> Result<Plan, StoreError> {
        if !self.is_dirty() {
            return Ok(Plan {
                durable: self.durable,
                changes: self.changes,
            });
        }
        if let Some(plan) = self.planned.filter(|plan| plan.changes == self.changes) {
            return Ok(plan);
        }
        let result = self.try_persist(owner, batch);
        match &result {
            Ok(plan) => self.planned = Some(*plan),
            Err(_) => self.relog = true,
        }
        self.count(owner.core);
        result
    }

    fn try_persist(&mut self, owner: Owner<'_>, batch: &mut Batch) -> Result<Plan, StoreError> {
        self.finish_jobs(owner)?;
        let mut durable = self.basis();
        durable.size = self.size;
        if durable.log_next - durable.log_first > self.relog_at.max(LOG_MAX)
            || self.is_worth_relogging(&durable)
        {
            self.relog = true;
        }
        let relogs = self.relog;
        if self.relog {
            durable.base = if self.pieces.is_empty() {
                BaseRef::Empty
            } else {
                BaseRef::Manifest(manifest::store(owner.core, &self.pieces)?)
            };
            delete_log(batch, owner.ino, &durable);
            durable.log_first = durable.log_next;
            self.over.set_logged(false);
            self.tail_logged = 0;
            self.truncated = None;
            self.relog = false;
        }
        let mut records = Vec::new();
        if let Some(size) = self.truncated.take() {
            records.push(LogRecord::Truncate(size));
        }
        self.log_new(owner, &mut records)?;
        for record in records {
            let seq = durable.log_next;
            let mut plain = record.encode();
            batch.put(
                Table::Log,
                log_key(owner.ino, seq),
                seal(owner.key, &log_aad(owner.ino, seq), &plain),
            );
            zeroize::Zeroize::zeroize(&mut plain);
            durable.log_next += 1;
        }
        if !matches!(durable.base, BaseRef::Body { .. }) {
            durable.base_len = self.base_len;
        }
        if relogs || self.relog_at == 0 {
            // Twice as many as it takes to say it all, else each sync would say it all again.
            self.relog_at = 2 * (durable.log_next - durable.log_first);
        }
        durable.allocated = self.allocated();
        Ok(Plan {
            durable,
            changes: self.changes,
        })
    }

    /// Whether the log of a small file is better written anew than gone on with: all of it is new,
    /// or it has been written over a few times.
    fn is_worth_relogging(&self, durable: &Durable) -> bool {
        let is_small = self.size <= INLINE_MAX && self.pieces.is_empty() && self.over.first().is_none();
        let rows = durable.log_next - durable.log_first;
        is_small && ((rows > 0 && self.tail_logged == 0) || rows >= ROWS_SMALL)
    }

    /// What the log goes on from.
    fn basis(&self) -> Durable {
        self.planned.map_or(self.durable, |plan| plan.durable)
    }

    /// What the next transaction makes of a small file whose bytes go with its event.
    pub(crate) fn plan_body(&mut self) -> Plan {
        // It removes the log: until memory knows, what it holds can be read nowhere else.
        self.going = true;
        let durable = Durable {
            size: self.size,
            allocated: self.size,
            ..self.basis()
        };
        Plan {
            durable,
            changes: self.changes,
        }
    }

    /// Waits until every chunk of the base is stored.
    pub(super) fn finish_jobs(&mut self, owner: Owner<'_>) -> Result<(), StoreError> {
        if !self.pieces.iter().any(|p| matches!(p.data, Data::Sealing(_))) {
            return Ok(());
        }
        for piece in std::sync::Arc::make_mut(&mut self.pieces) {
            if let Data::Sealing(job) = &piece.data {
                piece.data = Data::Chunk(job.finish(owner.core)?);
            }
        }
        Ok(())
    }

    /// Records for what the log does not hold yet.
    fn log_new(&mut self, owner: Owner<'_>, records: &mut Vec<LogRecord>) -> Result<(), StoreError> {
        let new: Vec<u64> = self
            .over
            .iter()
            .filter(|(_, e)| !e.logged)
            .map(|(o, _)| o)
            .collect();
        let in_memory: u64 = self
            .over
            .iter()
            .filter(|(_, e)| !e.logged && matches!(e.bytes, Bytes::Mem { .. }))
            .map(|(_, e)| e.len)
            .sum();
        let rows = in_memory as usize + (self.tail.len() - self.tail_logged) <= ROWS_MAX;
        if !rows {
            self.spill_over(owner)?;
        }
        for (offset, extent) in self.over.iter().filter(|(o, _)| new.binary_search(o).is_ok()) {
            records.push(match &extent.bytes {
                Bytes::Zero => LogRecord::Zero(offset, extent.len),
                Bytes::Mem { buf, skip } => {
                    LogRecord::Write(offset, buf[*skip..*skip + extent.len as usize].to_vec())
                }
                Bytes::Stored { place, serial, skip } => LogRecord::Stored {
                    offset,
                    place: *place,
                    serial: *serial,
                    skip: *skip,
                    take: extent.len as u32,
                },
            });
        }
        let mut at = self.base_len + self.tail_logged as u64;
        for part in self.tail[self.tail_logged..].chunks(EXTENT) {
            records.push(if rows {
                LogRecord::Write(at, part.to_vec())
            } else {
                let serial = u64::from_le_bytes(random_bytes());
                let place = owner.core.store_extent(owner.key, owner.ino, serial, part)?;
                LogRecord::Stored {
                    offset: at,
                    place,
                    serial,
                    skip: 0,
                    take: part.len() as u32,
                }
            });
            at += part.len() as u64;
        }
        self.over.set_logged(true);
        self.tail_logged = self.tail.len();
        Ok(())
    }

    /// Moves extents from memory into packs; they are not logged by that.
    pub(crate) fn spill_over(&mut self, owner: Owner<'_>) -> Result<(), StoreError> {
        let in_memory: Vec<(u64, u64)> = self
            .over
            .iter()
            .filter(|(_, e)| matches!(e.bytes, Bytes::Mem { .. }))
            .map(|(o, e)| (o, e.len))
            .collect();
        for (offset, _) in in_memory {
            let Some((_, extent)) = self.over.touching(offset..offset + 1).next() else {
                continue;
            };
            let Bytes::Mem { buf, skip } = &extent.bytes else {
                continue;
            };
            let serial = u64::from_le_bytes(random_bytes());
            let plain = &buf[*skip..*skip + extent.len as usize];
            let place = owner.core.store_extent(owner.key, owner.ino, serial, plain)?;
            self.over.replace(
                offset,
                Bytes::Stored {
                    place,
                    serial,
                    skip: 0,
                },
            );
        }
        self.count(owner.core);
        Ok(())
    }

    /// Appends anew what a failed sync of a pack may have lost: extents that no
    /// transaction names. See `vault/rescue.rs`.
    pub(crate) fn rescue(&mut self, owner: Owner<'_>) -> Result<(), StoreError> {
        if !self.is_dirty() {
            return Ok(());
        }
        let packs = &owner.core.packs;
        let unsure: Vec<u64> = self
            .over
            .iter()
            .filter(|(_, e)| matches!(&e.bytes, Bytes::Stored { place, .. } if !packs.is_sure(*place)))
            .map(|(offset, _)| offset)
            .collect();
        for offset in unsure {
            let Some((_, extent)) = self.over.touching(offset..offset + 1).next() else {
                continue;
            };
            let Bytes::Stored { place, serial, skip } = extent.bytes else {
                continue;
            };
            let len = extent.len as usize;
            let Ok(plain) = owner.core.read_extent(owner.key, owner.ino, serial, place) else {
                continue; // lost: reading it says so
            };
            let Some(part) = plain.get(skip as usize..skip as usize + len) else {
                continue;
            };
            let serial = u64::from_le_bytes(random_bytes());
            let place = owner.core.store_extent(owner.key, owner.ino, serial, part)?;
            let skip = 0;
            self.over.replace(offset, Bytes::Stored { place, serial, skip });
        }
        Ok(())
    }

    /// The transaction is through.
    pub(crate) fn done(&mut self, plan: &Plan, owner: Owner<'_>) {
        self.durable = plan.durable;
        self.planned = None;
        self.going = false;
        self.persisted = plan.changes;
        // A body that was just stored, or a whole file that nobody has open, need not stay in memory.
        if !self.is_dirty() && matches!(plan.durable.base, BaseRef::Body { .. }) {
            let changes = self.changes;
            let counted = self.counted;
            *self = Content::stored(plan.durable);
            (self.changes, self.persisted, self.counted) = (changes, changes, counted);
            self.count(owner.core);
        } else if matches!(plan.durable.base, BaseRef::Body { .. }) {
            // It was written to meanwhile: memory goes on from its own state.
            self.relog = true;
        }
    }

    /// The transaction failed: everything is to be logged anew.
    pub(crate) fn undone(&mut self) {
        self.planned = None;
        self.going = false;
        if self.is_dirty() {
            self.relog = true;
        }
    }
}
