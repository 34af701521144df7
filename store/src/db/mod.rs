//! The database: one `redb` file for everything small, and a journal before it. The transaction
//! is the only commit point of the store.
//!
//! Guarantees: a batch is applied whole or not at all; a returned commit is durable; a
//! keyed hash over the set of all rows is kept in the same transaction, so that rows
//! which are missing, foreign or of another day are found by [`Db::verify`]. After an
//! I/O error the file is brought back to the last transaction and opened anew before the
//! next call. A panic inside the library over a damaged file becomes [`DbError::Damaged`].
//!
//! It never looks into a value and never sees a key that is not sealed.
//!
//! Parts, each importing only those above it: `table` (tables, batches), `error`, `sums` (the
//! set hash), `journal`, `library` (its file and its transactions), `many` (many rows in one go).

#[cfg(test)]
pub(crate) mod counted;
mod doors;
mod error;
mod journal;
mod library;
mod many;
mod sums;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::anchor::Anchored;
use crate::io::Disk;
pub(crate) use doors::{journal_again, journal_changes, journal_of, sums_of};
pub use error::DbError;
pub use journal::JOURNAL;
use journal::Journal;
use library::{build, forget, guarded, open, write};
use sums::{Sums, row_hash};
pub use table::{Batch, ChangeOf, Table};

/// The database's file name.
pub const FILE: &str = "vault.redb";
/// The row that holds the set hash; itself outside of it.
const SUMS: &[u8] = b"sums";
/// The row that names the journal's epoch.
const EPOCH: &[u8] = b"epoch";

/// A row: its key, and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What the set hash is kept with.
struct Hashing {
    key: [u8; 32],
    sums: Sums,
}

impl Drop for Hashing {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

/// The open database.
pub struct Db {
    disk: Arc<dyn Disk>,
    file: Arc<Anchored>,
    inner: RwLock<Option<Database>>,
    /// Closed for good: another may have the file.
    closed: AtomicBool,
    /// Batches that were applied since it was opened.
    applied: AtomicU64,
    /// Held while a batch is applied.
    hashing: Mutex<Option<Hashing>>,
    /// The row of sums as it was last written: whoever opens the file anew must find it. A leaf.
    stands: Mutex<Option<Vec<u8>>>,
    /// Locked last, and only with `inner`.
    journal: Mutex<Journal>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

impl Db {
    /// Makes the file with its tables.
    ///
    /// # Errors
    /// If the file is there already, or cannot be written.
    pub fn create(disk: Arc<dyn Disk>) -> Result<Db, DbError> {
        let file = disk.create(FILE).and_then(Anchored::new).map_err(DbError::Io)?;
        let file = Arc::new(file);
        let database = build(&file)?;
        let tx = database.begin_write()?;
        for table in Table::ALL {
            tx.open_table(table.definition())?;
        }
        tx.commit()?;
        disk.sync_dir().map_err(DbError::Io)?;
        Ok(Db {
            journal: Mutex::new(Journal::new(disk.clone())),
            disk,
            file,
            inner: RwLock::new(Some(database)),
            closed: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            hashing: Mutex::new(None),
            stands: Mutex::new(None),
        })
    }

    /// Opens the file; after a kill the library repairs its free lists first, and what the
    /// journal holds is done again.
    ///
    /// # Errors
    /// [`DbError::Damaged`] if it is no such file or a broken one.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Db, DbError> {
        Db::open_with(Journal::new(disk.clone()), disk)
    }

    /// The same for salvage: of a damaged journal, what comes before the damage is done again.
    /// Returns whether it is damaged.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn open_somehow(disk: Arc<dyn Disk>) -> Result<(Db, bool), DbError> {
        let db = Db::open_with(Journal::forgiving(disk.clone()), disk)?;
        let damaged = db.journal.lock().damaged;
        Ok((db, damaged))
    }

    fn open_with(mut journal: Journal, disk: Arc<dyn Disk>) -> Result<Db, DbError> {
        let file = disk.open(FILE).and_then(Anchored::new).map_err(DbError::Io)?;
        let file = Arc::new(file);
        let database = open(&file, &mut journal)?;
        let db = Db {
            journal: Mutex::new(journal),
            disk,
            file,
            inner: RwLock::new(Some(database)),
            closed: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            hashing: Mutex::new(None),
            stands: Mutex::new(None),
        };
        // Every table must be there: a file without one is not a whole vault.
        for table in Table::ALL {
            db.get(table, b"?")?;
        }
        Ok(db)
    }

    /// From now on the set hash is kept with this key. `fresh` says that the store is
    /// being made: the rows that are there are counted in.
    ///
    /// # Errors
    /// [`DbError::Damaged`] if the stored sums are missing or not this key's.
    pub fn keep_sums(&self, key: [u8; 32], fresh: bool) -> Result<(), DbError> {
        let sums = if fresh {
            self.count(&key)?
        } else {
            let stored = self.get(Table::Meta, SUMS)?;
            stored
                .and_then(|bytes| Sums::decode(&key, &bytes))
                .ok_or_else(|| DbError::Damaged("the sum over all records is missing or altered".into()))?
        };
        *self.hashing.lock() = Some(Hashing { key, sums });
        if !fresh {
            *self.stands.lock() = Some(sums.encode(&key));
        }
        Ok(())
    }

    /// Reads a row.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DbError> {
        #[cfg(test)]
        counted::add(1);
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            Ok(rows.get(key)?.map(|v| v.value().to_vec()))
        })
    }

    /// Calls `each` with the rows whose keys begin with `prefix`, in order, until it
    /// returns false. All of one instant.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DbError> {
        self.scan_from(table, prefix, prefix, each)
    }

    /// The same, from a key on.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn scan_from(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DbError> {
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            for row in rows.range(from..)? {
                let (key, value) = row?;
                #[cfg(test)]
                counted::add(1);
                if !key.value().starts_with(prefix) || !each(key.value(), value.value()) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The last row whose key begins with `prefix`.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Row>, DbError> {
        // The first key behind all that begin so; none if nothing can be behind.
        let mut behind = prefix.to_vec();
        while behind.last() == Some(&0xff) {
            behind.pop();
        }
        if let Some(last) = behind.last_mut() {
            *last += 1;
        }
        let behind: Bound<&[u8]> = match behind.as_slice() {
            [] => Bound::Unbounded,
            behind => Bound::Excluded(behind),
        };
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            let last = rows
                .range::<&[u8]>((Bound::Included(prefix), behind))?
                .next_back();
            Ok(last
                .transpose()?
                .map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
        })
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn rows(&self, table: Table) -> Result<u64, DbError> {
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            Ok(redb::ReadableTableMetadata::len(&rows)?)
        })
    }

    /// A view of all tables at this instant, whatever is committed after.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn snapshot(&self) -> Result<Snapshot, DbError> {
        self.with(|db| Ok(Snapshot(db.begin_read()?)))
    }

    /// How many batches were applied since it was opened. While it stays, so does each row; it grows once rows are others.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }

    /// Applies a batch and makes it durable. Only one at a time: callers queue.
    ///
    /// # Errors
    /// On an error nothing of the batch has been applied. After a power cut it may have been,
    /// unless another has been applied since.
    pub fn apply(&self, batch: &Batch) -> Result<(), DbError> {
        match batch.is_empty() {
            true => Ok(()),
            false => self.apply_by(batch, false),
        }
    }

    /// Ends the journal's epoch: the file alone is the database then. A copy of another's rows
    /// becomes one of its own by that.
    ///
    /// # Errors
    /// As [`Db::apply`].
    pub fn begin_epoch(&self) -> Result<(), DbError> {
        self.apply_by(&Batch::new(), false)
    }

    /// The same by way of the journal, if the batch is small: quicker now, and to be done again
    /// when the file is next opened after a kill.
    ///
    /// # Errors
    /// As [`Db::apply`].
    pub fn apply_quickly(&self, batch: &Batch) -> Result<(), DbError> {
        match batch.is_empty() {
            true => Ok(()),
            false => self.apply_by(batch, true),
        }
    }

    fn apply_by(&self, batch: &Batch, quickly: bool) -> Result<(), DbError> {
        let mut hashing = self.hashing.lock();
        let mut sums = hashing.as_ref().map(|h| h.sums);
        let key = hashing.as_ref().map(|h| h.key);
        self.with(|db| {
            let mark = self.file.mark();
            let journal = &mut *self.journal.lock();
            let kept = key.as_ref().zip(sums.as_mut());
            guarded(|| write(db, batch, kept, journal, quickly)).inspect_err(|_| {
                journal.rest();
                self.file.fail(mark);
            })?;
            *self.stands.lock() = key
                .as_ref()
                .zip(sums.as_ref())
                .map(|(key, sums)| sums.encode(key));
            Ok(())
        })?;
        self.applied.fetch_add(1, Ordering::SeqCst);
        if let (Some(h), Some(sums)) = (hashing.as_mut(), sums) {
            h.sums = sums;
        }
        Ok(())
    }

    /// Counts every row anew and compares with the sums that were kept: tables in which
    /// something is missing, foreign or old.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn verify(&self) -> Result<Vec<Table>, DbError> {
        let guard = self.hashing.lock();
        let Some(hashing) = guard.as_ref() else {
            return Ok(Vec::new());
        };
        let counted = self.count(&hashing.key)?;
        Ok(Table::ALL
            .into_iter()
            .filter(|t| counted.0[*t as usize] != hashing.sums.0[*t as usize])
            .collect())
    }

    /// The library's own check of the file's structure and checksums.
    ///
    /// # Errors
    /// [`DbError::Damaged`] if it finds any.
    pub fn check_structure(&self) -> Result<(), DbError> {
        // What must be mended goes back to the file's last transaction.
        if self.journal.lock().is_in_use() {
            self.begin_epoch()?;
        }
        let mut guard = self.inner.write();
        if guard.is_none() && !self.closed.load(Ordering::SeqCst) {
            *guard = Some(self.open_again()?);
        }
        let Some(db) = guard.as_mut() else { return Ok(()) };
        match guarded(|| Ok(db.check_integrity()?)) {
            Ok(true) => Ok(()),
            Ok(false) => {
                // Something came between, and is in the journal: opened anew, it is there again.
                forget(&mut guard, None);
                Ok(())
            }
            Err(e) => {
                forget(&mut guard, Some(&e));
                Err(e)
            }
        }
    }

    /// Bytes of the file.
    pub fn file_len(&self) -> u64 {
        self.disk.open(FILE).and_then(|f| f.len()).unwrap_or(0)
    }

    /// Closes the file in an orderly way, so that the next opening is quick, and the journal holds nothing.
    pub fn close(&self) {
        // Whatever the journal holds goes to the file; if that fails, it is still there. The library
        // commits once more on closing, where a panic cannot be caught: damage that it would meet
        // there is met here first.
        let open = self.inner.read().is_some();
        let failed = open.then(|| self.begin_epoch()).and_then(Result::err);
        let mut slot = self.inner.write();
        self.closed.store(true, Ordering::SeqCst);
        forget(&mut slot, failed.as_ref());
        drop(slot);
        // Whoever opens it next cannot know of a failure.
        let _ = self.file.restore();
    }

    fn count(&self, key: &[u8; 32]) -> Result<Sums, DbError> {
        let mut sums = Sums::default();
        for table in Table::ALL {
            let sum = &mut sums.0[table as usize];
            self.scan(table, b"", &mut |row, value| {
                if !(table == Table::Meta && row == SUMS) {
                    sum.add(row_hash(key, table, row, value));
                }
                true
            })?;
        }
        Ok(sums)
    }

    /// Opens the file once more. Where its last transaction is damaged, the library goes back to the
    /// one before: that is not the database which is in use.
    fn open_again(&self) -> Result<Database, DbError> {
        let db = open(&self.file, &mut self.journal.lock())?;
        let found = guarded(|| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(Table::Meta.definition())?;
            Ok(rows.get(SUMS)?.map(|row| row.value().to_vec()))
        });
        let stands = self.stands.lock().clone();
        let result = match (found, stands) {
            (Err(e), _) => Err(e),
            (Ok(found), Some(stands)) if found.as_ref() != Some(&stands) => {
                Err(DbError::Damaged("its last changes are".into()))
            }
            _ => return Ok(db),
        };
        forget(&mut Some(db), result.as_ref().err());
        result
    }

    fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T, DbError>) -> Result<T, DbError> {
        let mut guard = self.inner.read();
        if guard.is_none() {
            drop(guard);
            let mut slot = self.inner.write();
            if self.closed.load(Ordering::SeqCst) {
                return Err(DbError::Closed);
            }
            if slot.is_none() {
                *slot = Some(self.open_again()?);
            }
            guard = RwLockWriteGuard::downgrade(slot);
        }
        let Some(db) = guard.as_ref() else {
            return Err(DbError::Closed);
        };
        let result = guarded(|| call(db));
        drop(guard);
        if let Err(e) = &result {
            // The library refuses everything after an I/O error until the file is opened anew.
            forget(&mut self.inner.write(), Some(e));
        }
        result
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // The library writes when it closes a file; over a damaged one it may panic.
        self.close();
    }
}

/// All tables at one instant.
pub struct Snapshot(redb::ReadTransaction);

impl Snapshot {
    /// Calls `each` with every row of a table, in order.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn scan(&self, table: Table, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), DbError> {
        guarded(|| {
            let rows = self.0.open_table(table.definition())?;
            for row in rows.iter()? {
                let (key, value) = row?;
                each(key.value(), value.value());
            }
            Ok(())
        })
    }
}
