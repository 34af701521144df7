//! The library's file: opening it, and its transactions.
//!
//! Guarantees: a panic of the library is damage, and an error; a transaction goes either to the
//! journal, and then stays in memory, or to the disk, and then begins the journal's next epoch.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, StorageBackend};

use super::error::DbError;
use super::journal::{Epoch, Journal};
use super::sums::{Sums, row_hash};
use super::table::{Batch, Change, Table};
use super::{EPOCH, SUMS};
use crate::anchor::{Anchored, Shared};
use crate::keys::random_bytes;

/// Bytes of pages that the library may keep.
const CACHE: usize = 24 << 20;

pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, DbError>) -> Result<T, DbError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(DbError::Damaged("its pages contradict each other".into())))
}

/// Closes the library's view of the file after `error`, if there was one. Closing writes, and over
/// some damage the library panics while it does, and again while it unwinds, which would end the
/// process. It does not write where a thread unwinds: so a damaged file is closed there, and what
/// only the journal holds is done again when it is next opened.
pub(super) fn forget(slot: &mut Option<Database>, error: Option<&DbError>) {
    let database = slot.take();
    let damaged = matches!(error, Some(DbError::Damaged(_)));
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _database = database;
        if damaged {
            // Not a panic: nobody is told of it.
            resume_unwind(Box::new(()));
        }
    }));
}

/// Opens a file that may have failed, and does again what only the journal holds.
pub(super) fn open(file: &Arc<Anchored>, journal: &mut Journal) -> Result<Database, DbError> {
    file.restore().map_err(DbError::Io)?;
    if StorageBackend::len(&**file).map_err(DbError::Io)? == 0 {
        return Err(DbError::Damaged("its file is empty".into()));
    }
    let database = build(file)?;
    let replayed = guarded(|| {
        let changes = journal.replay(epoch_of(&database)?)?;
        if !changes.is_empty() {
            let mut tx = database.begin_write()?;
            tx.set_durability(Durability::None)?;
            Rows::default().change(&tx, changes.iter(), None)?;
            tx.commit()?;
        }
        Ok(())
    });
    if let Err(e) = replayed {
        forget(&mut Some(database), Some(&e));
        return Err(e);
    }
    Ok(database)
}

pub(super) fn build(file: &Arc<Anchored>) -> Result<Database, DbError> {
    guarded(|| {
        Ok(Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(Shared(file.clone()))?)
    })
}

fn epoch_of(db: &Database) -> Result<Option<Epoch>, DbError> {
    let tx = db.begin_read()?;
    let rows = match tx.open_table(Table::Meta.definition()) {
        // Not a whole vault; who opens it says so.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        rows => rows?,
    };
    let row = rows.get(EPOCH)?;
    Ok(row.and_then(|row| row.value().try_into().ok()))
}

/// Applies a batch in one transaction: by way of the journal if that is wanted and it takes it,
/// else on the disk. Where no sums are kept, rows are copied as they are, and no epoch begins.
pub(super) fn write(
    db: &Database,
    batch: &Batch,
    mut sums: Option<(&[u8; 32], &mut Sums)>,
    journal: &mut Journal,
    quickly: bool,
) -> Result<(), DbError> {
    let mut tx = db.begin_write()?;
    let mut rows = Rows::default();
    let counting = sums.as_mut().map(|(key, sums)| (*key, &mut **sums));
    rows.change(&tx, batch.0.iter(), counting)?;
    if quickly
        && let Some((key, sums)) = &sums
        && journal.takes(batch.bytes())
    {
        let sums = sums_row(key, sums);
        let changes: Vec<&Change> = batch.0.iter().chain([&sums]).collect();
        if journal.append(&changes) {
            rows.change(&tx, [&sums].into_iter(), None)?;
            drop(rows);
            tx.set_durability(Durability::None)?;
            tx.commit()?;
            journal.accept();
            return Ok(());
        }
    }
    let epoch: Epoch = random_bytes();
    let keeps = sums.is_some();
    if let Some((key, sums)) = sums {
        let begins: Change = (Table::Meta, EPOCH.to_vec(), Some(epoch.to_vec()));
        rows.change(&tx, [&begins].into_iter(), Some((key, &mut *sums)))?;
        rows.change(&tx, [&sums_row(key, sums)].into_iter(), None)?;
    }
    drop(rows);
    tx.set_durability(Durability::Immediate)?;
    tx.commit()?;
    journal.begin(keeps.then_some(epoch));
    Ok(())
}

fn sums_row(key: &[u8; 32], sums: &Sums) -> Change {
    (Table::Meta, SUMS.to_vec(), Some(sums.encode(key)))
}

type Opened<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// The tables that a transaction has opened.
#[derive(Default)]
struct Rows<'t>([Option<Opened<'t>>; Table::ALL.len()]);

impl<'t> Rows<'t> {
    fn change<'c>(
        &mut self,
        tx: &'t redb::WriteTransaction,
        changes: impl Iterator<Item = &'c Change>,
        mut sums: Option<(&[u8; 32], &mut Sums)>,
    ) -> Result<(), DbError> {
        for (table, row, value) in changes {
            let slot = &mut self.0[*table as usize];
            let rows = match slot {
                Some(rows) => rows,
                None => slot.insert(tx.open_table(table.definition())?),
            };
            let old = match value {
                Some(value) => rows.insert(row.as_slice(), value.as_slice())?,
                None => rows.remove(row.as_slice())?,
            };
            if let Some((key, sums)) = &mut sums {
                let sum = &mut sums.0[*table as usize];
                if let Some(old) = old {
                    sum.sub(row_hash(key, *table, row, old.value()));
                }
                if let Some(value) = value {
                    sum.add(row_hash(key, *table, row, value));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Db, DbError};
    use super::*;
    use crate::io::sim::SimDisk;

    /// Each time that damage was met, the file was opened anew and the view of before stayed in
    /// memory: reading one damaged page again and again filled it.
    #[test]
    fn what_was_found_damaged_does_not_stay_in_memory() {
        let db = Db::create(Arc::new(SimDisk::new())).unwrap();
        db.keep_sums([7; 32], true).unwrap();
        for n in 1..=5 {
            let mut batch = Batch::new();
            batch.put(Table::Log, b"row", vec![n; 10]);
            db.apply(&batch).unwrap();
            batch.put(Table::Log, b"quick", vec![n; 10]);
            db.apply_quickly(&batch).unwrap();
            let met = db.with(|_| -> Result<(), _> { Err(DbError::Damaged("as if".into())) });
            assert!(met.is_err());
            for row in [&b"row"[..], b"quick"] {
                assert_eq!(db.get(Table::Log, row).unwrap(), Some(vec![n; 10]));
            }
            assert_eq!(Arc::strong_count(&db.file), 2, "here, and in one open view");
        }
    }
}
