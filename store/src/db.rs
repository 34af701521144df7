//! The database: one `redb` file for everything small. The transaction is the only
//! commit point of the store.
//!
//! Guarantees: a batch is applied whole or not at all; a returned commit is durable; a
//! keyed hash over the set of all rows is kept in the same transaction, so that rows
//! which are missing, foreign or of another day are found by [`Db::verify`]. After an
//! I/O error the file is brought back to the last transaction and opened anew before the
//! next call. A panic inside the library over a damaged file becomes [`DbError::Damaged`].
//!
//! It never looks into a value and never sees a key that is not sealed.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use crate::anchor::Anchored;
use crate::io::Disk;

/// The database's file name.
pub const FILE: &str = "vault.redb";
/// Bytes of pages that the library may keep.
const CACHE: usize = 24 << 20;

/// The tables. Keys are big-endian numbers or fixed bytes, so that they sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    /// Name → parameters and secrets of the store itself.
    Meta = 0,
    /// Inode → its entity's wrapped key.
    Wraps = 1,
    /// Inode → sealed inode record.
    Inodes = 2,
    /// Node number → sealed node record.
    Nodes = 3,
    /// (inode, sequence) → sealed change of content that is not yet part of a version.
    Log = 4,
    /// Chunk id → where it lies.
    Chunks = 5,
    /// Batch number → where a batch of events lies.
    Batches = 6,
    /// What is committed and not yet published.
    Pending = 7,
    /// Pack → its committed length.
    Packs = 8,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 9] = [
        Table::Meta,
        Table::Wraps,
        Table::Inodes,
        Table::Nodes,
        Table::Log,
        Table::Chunks,
        Table::Batches,
        Table::Pending,
        Table::Packs,
    ];

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Wraps => "wraps",
            Table::Inodes => "inodes",
            Table::Nodes => "nodes",
            Table::Log => "log",
            Table::Chunks => "chunks",
            Table::Batches => "batches",
            Table::Pending => "pending",
            Table::Packs => "packs",
        }
    }
}

/// The row that holds the set hash; itself outside of it.
const SUMS: &[u8] = b"sums";

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The disk said no.
    #[error("the database could not be read or written: {0}")]
    Io(#[source] io::Error),
    /// It was closed.
    #[error("the vault is locked")]
    Closed,
    /// The file is not what was written.
    #[error("the database is damaged ({0}); `coffer check --salvage DIR` saves what is whole")]
    Damaged(String),
}

impl DbError {
    /// The errno that a caller of the file system should see.
    pub fn errno(&self) -> i32 {
        match self {
            DbError::Io(e) => e.raw_os_error().unwrap_or(libc::EIO),
            DbError::Damaged(_) | DbError::Closed => libc::EIO,
        }
    }
}

macro_rules! from_redb {
    ($($t:ty),*) => {$(
        impl From<$t> for DbError {
            fn from(e: $t) -> DbError {
                match redb::Error::from(e) {
                    redb::Error::Io(e) => DbError::Io(e),
                    redb::Error::PreviousIo => DbError::Io(io::Error::other("an earlier write failed")),
                    other => DbError::Damaged(other.to_string()),
                }
            }
        }
    )*};
}
from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// A change of rows, applied in order.
#[derive(Default)]
pub struct Batch(Vec<(Table, Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    /// Nothing yet.
    pub fn new() -> Batch {
        Batch::default()
    }
    /// Writes a row over what is there.
    pub fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.0.push((table, key.as_ref().to_vec(), Some(value.into())));
    }
    /// Removes a row, if it is there.
    pub fn delete(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.0.push((table, key.as_ref().to_vec(), None));
    }
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// How many changes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// One sum a table: the keyed hashes of its rows, added up lane by lane, and their count.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Sum {
    lanes: [u64; 4],
    count: u64,
}

impl Sum {
    fn add(&mut self, hash: [u64; 4]) {
        for (lane, h) in self.lanes.iter_mut().zip(hash) {
            *lane = lane.wrapping_add(h);
        }
        self.count = self.count.wrapping_add(1);
    }
    fn sub(&mut self, hash: [u64; 4]) {
        for (lane, h) in self.lanes.iter_mut().zip(hash) {
            *lane = lane.wrapping_sub(h);
        }
        self.count = self.count.wrapping_sub(1);
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sums([Sum; Table::ALL.len()]);

const SUMS_LEN: usize = Table::ALL.len() * 40 + 32;

impl Sums {
    fn encode(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut out = Vec::with_capacity(SUMS_LEN);
        for sum in &self.0 {
            for lane in sum.lanes {
                out.extend_from_slice(&lane.to_le_bytes());
            }
            out.extend_from_slice(&sum.count.to_le_bytes());
        }
        let tag = blake3::keyed_hash(key, &out);
        out.extend_from_slice(tag.as_bytes());
        out
    }
    fn decode(key: &[u8; 32], bytes: &[u8]) -> Option<Sums> {
        let bytes: &[u8; SUMS_LEN] = bytes.try_into().ok()?;
        let (body, tag) = bytes.split_at(SUMS_LEN - 32);
        if blake3::keyed_hash(key, body) != blake3::Hash::from_slice(tag).ok()? {
            return None;
        }
        let mut sums = Sums::default();
        for (sum, raw) in sums.0.iter_mut().zip(body.chunks_exact(40)) {
            let word = |i: usize| {
                u64::from_le_bytes(raw[i * 8..i * 8 + 8].try_into().expect("eight bytes of forty"))
            };
            *sum = Sum {
                lanes: [word(0), word(1), word(2), word(3)],
                count: word(4),
            };
        }
        Some(sums)
    }
}

fn row_hash(key: &[u8; 32], table: Table, row: &[u8], value: &[u8]) -> [u64; 4] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[table as u8]);
    hasher.update(&(row.len() as u64).to_le_bytes());
    hasher.update(row);
    hasher.update(value);
    let hash = *hasher.finalize().as_bytes();
    let word = |i: usize| u64::from_le_bytes(hash[i * 8..i * 8 + 8].try_into().expect("eight of 32 bytes"));
    [word(0), word(1), word(2), word(3)]
}

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
    hashing: Mutex<Option<Hashing>>,
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
            disk,
            file,
            inner: RwLock::new(Some(database)),
            closed: AtomicBool::new(false),
            hashing: Mutex::new(None),
        })
    }

    /// Opens the file; after a kill the library repairs its free lists first.
    ///
    /// # Errors
    /// [`DbError::Damaged`] if it is no such file or a broken one.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Db, DbError> {
        let file = disk.open(FILE).and_then(Anchored::new).map_err(DbError::Io)?;
        let file = Arc::new(file);
        let database = open(&file)?;
        let db = Db {
            disk,
            file,
            inner: RwLock::new(Some(database)),
            closed: AtomicBool::new(false),
            hashing: Mutex::new(None),
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
        Ok(())
    }

    /// Reads a row.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DbError> {
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            Ok(rows.get(key)?.map(|v| v.value().to_vec()))
        })
    }

    /// Reads several rows in one go.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, DbError> {
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            keys.iter()
                .map(|key| Ok(rows.get(key.as_slice())?.map(|v| v.value().to_vec())))
                .collect()
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
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            for row in rows.range(prefix..)? {
                let (key, value) = row?;
                if !key.value().starts_with(prefix) || !each(key.value(), value.value()) {
                    break;
                }
            }
            Ok(())
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

    /// Applies a batch and makes it durable. Only one at a time: callers queue.
    ///
    /// # Errors
    /// On an error nothing of the batch has been applied.
    pub fn apply(&self, batch: &Batch) -> Result<(), DbError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut hashing = self.hashing.lock();
        let mut sums = hashing.as_ref().map(|h| h.sums);
        let key = hashing.as_ref().map(|h| h.key);
        self.with(|db| {
            let mark = self.file.mark();
            guarded(|| write(db, batch, key.as_ref(), sums.as_mut())).inspect_err(|_| self.file.fail(mark))
        })?;
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
        let mut guard = self.inner.write();
        if guard.is_none() && !self.closed.load(Ordering::SeqCst) {
            *guard = Some(open(&self.file)?);
        }
        let Some(db) = guard.as_mut() else { return Ok(()) };
        match guarded(|| db.check_integrity().map_err(DbError::from)) {
            Ok(_) => Ok(()),
            Err(e) => {
                forget_database(&mut guard);
                Err(e)
            }
        }
    }

    /// Bytes of the file.
    pub fn file_len(&self) -> u64 {
        self.disk.open(FILE).and_then(|f| f.len()).unwrap_or(0)
    }

    /// Closes the file in an orderly way, so that the next opening is quick.
    pub fn close(&self) {
        let mut slot = self.inner.write();
        self.closed.store(true, Ordering::SeqCst);
        let database = slot.take();
        drop(slot);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
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

    fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T, DbError>) -> Result<T, DbError> {
        let mut guard = self.inner.read();
        if guard.is_none() {
            drop(guard);
            let mut slot = self.inner.write();
            if self.closed.load(Ordering::SeqCst) {
                return Err(DbError::Closed);
            }
            if slot.is_none() {
                *slot = Some(open(&self.file)?);
            }
            guard = RwLockWriteGuard::downgrade(slot);
        }
        let Some(db) = guard.as_ref() else {
            return Err(DbError::Closed);
        };
        let result = guarded(|| call(db));
        drop(guard);
        if result.is_err() {
            // The library refuses everything after an I/O error until the file is opened anew.
            forget_database(&mut self.inner.write());
        }
        result
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

fn guarded<T>(call: impl FnOnce() -> Result<T, DbError>) -> Result<T, DbError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(DbError::Damaged("its pages contradict each other".into())))
}

fn forget_database(slot: &mut Option<Database>) {
    let database = slot.take();
    let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
}

fn write(
    db: &Database,
    batch: &Batch,
    key: Option<&[u8; 32]>,
    mut sums: Option<&mut Sums>,
) -> Result<(), DbError> {
    let mut tx = db.begin_write()?;
    tx.set_durability(Durability::Immediate)?;
    {
        let mut open: [Option<redb::Table<'_, &'static [u8], &'static [u8]>>; Table::ALL.len()] =
            Default::default();
        for (table, row, value) in &batch.0 {
            let slot = &mut open[*table as usize];
            let rows = match slot {
                Some(rows) => rows,
                None => slot.insert(tx.open_table(table.definition())?),
            };
            let old = match value {
                Some(value) => rows.insert(row.as_slice(), value.as_slice())?,
                None => rows.remove(row.as_slice())?,
            };
            if let (Some(sums), Some(hash_key)) = (sums.as_deref_mut(), key) {
                let sum = &mut sums.0[*table as usize];
                if let Some(old) = old {
                    sum.sub(row_hash(hash_key, *table, row, old.value()));
                }
                if let Some(value) = value {
                    sum.add(row_hash(hash_key, *table, row, value));
                }
            }
        }
        if let (Some(sums), Some(hash_key)) = (sums, key) {
            let slot = &mut open[Table::Meta as usize];
            let rows = match slot {
                Some(rows) => rows,
                None => slot.insert(tx.open_table(Table::Meta.definition())?),
            };
            rows.insert(SUMS, sums.encode(hash_key).as_slice())?;
        }
    }
    tx.commit()?;
    Ok(())
}

fn open(file: &Arc<Anchored>) -> Result<Database, DbError> {
    file.restore().map_err(DbError::Io)?;
    if StorageBackend::len(&**file).map_err(DbError::Io)? == 0 {
        return Err(DbError::Damaged("its file is empty".into()));
    }
    build(file)
}

fn build(file: &Arc<Anchored>) -> Result<Database, DbError> {
    guarded(|| {
        Ok(Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(Shared(file.clone()))?)
    })
}

/// The library wants to own its file.
#[derive(Debug)]
struct Shared(Arc<Anchored>);

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
