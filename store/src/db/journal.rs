//! The journal: what small transactions change, in one place that is quick to make durable.
//!
//! The library writes a transaction's pages all over its file: some sixteen for a saved note, and
//! a disk takes several times as long for them as for one page. So a small transaction is written
//! here first, behind the last one, and made durable; the library keeps its pages in memory until
//! the next transaction that goes to the disk itself. The form is in `docs/format.md`.
//!
//! Guarantees: records are of one *epoch*, which the database names: a transaction that goes to
//! the disk begins the next epoch, and all that lies here is of the past in the same instant. Only
//! who began an epoch writes records of it. Records hold whole rows, so that doing them again over
//! what has them already changes nothing. A record begins a page of its own, and no page of a
//! durable one is ever written again while its epoch lasts. A torn last record has not been; one
//! before the last that is not whole is damage.
//!
//! It never seals and never opens: rows lie here as they do in the database. When it cannot be
//! written, it is left alone until the next epoch, and nothing is lost: the database can do without.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::error::DbError;
use super::table::{Change, Table};
use crate::codec::{Malformed, Reader, Writer};
use crate::io::{Disk, DiskFile};

/// The journal's file name.
pub const JOURNAL: &str = "vault.journal";
/// Bytes of its file, written once so that nothing but bytes changes when a record is.
const SIZE: u64 = 1 << 20;
/// Bytes that must be free for it to be made.
const ROOM: u64 = 16 * SIZE;
/// Where records may begin.
const PAGE: u64 = 4096;
/// Longest record, in bytes: what is longer goes to the disk as well with the library's own pages.
const RECORD_MAX: usize = 256 << 10;
/// Bytes before a record's changes: hash (32), epoch (16), index (4), length (4).
const HEADER: usize = 56;
const VERSION: u8 = 0;

/// A random name for the time between two transactions that go to the disk.
pub(super) type Epoch = [u8; 16];

/// See the module.
pub(super) struct Journal {
    disk: Arc<dyn Disk>,
    file: Option<Arc<dyn DiskFile>>,
    /// The file was made by this one, and is durable with its size and its name.
    ready: bool,
    /// Not to be written in this epoch any more.
    resting: bool,
    /// The one that this journal began; none while only a found one is known.
    epoch: Option<Epoch>,
    /// Records of the epoch.
    count: u32,
    /// Where the next one begins.
    end: u64,
    /// Bytes of the one that was written and not yet accepted.
    pending: u64,
    /// Damage is no error, and what comes before it counts.
    forgiving: bool,
    /// Some was met.
    pub(super) damaged: bool,
}

impl Journal {
    /// A journal that knows of no epoch: only [`Journal::begin`] names one.
    pub(super) fn new(disk: Arc<dyn Disk>) -> Journal {
        Journal {
            disk,
            file: None,
            ready: false,
            resting: false,
            epoch: None,
            count: 0,
            end: 0,
            pending: 0,
            forgiving: false,
            damaged: false,
        }
    }

    /// One for salvage: damage is noted, and is no error.
    pub(super) fn forgiving(disk: Arc<dyn Disk>) -> Journal {
        Journal {
            forgiving: true,
            ..Journal::new(disk)
        }
    }

    /// What was changed since the epoch began, in order: what the database must do again after it
    /// was opened. Of an epoch that was begun here, what was accepted. One that is found takes no
    /// more records: after a failed sync, what is read may be in the system's memory alone, and
    /// what follows it would be lost with it.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged; see [`read`].
    pub(super) fn replay(&mut self, epoch: Option<Epoch>) -> Result<Vec<Change>, DbError> {
        let ours = self.epoch.is_some() && self.epoch == epoch;
        if !ours {
            self.begin(None);
            self.ready = false;
        }
        let Some(epoch) = epoch else { return Ok(Vec::new()) };
        let file = match self.file.clone().map_or_else(|| self.disk.open(JOURNAL), Ok) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.map_err(DbError::Io)?,
        };
        let len = if ours {
            self.end
        } else {
            file.len().map_err(DbError::Io)?.min(SIZE)
        };
        let mut bytes = vec![0; len as usize];
        let unread = file.read_at(0, &mut bytes).map_err(DbError::Io);
        let (found, damage) = read_to_damage(&bytes, &epoch);
        let damage = damage.map_or(Ok(()), |e| Err(DbError::Damaged(e.0.into())));
        match unread.and(damage) {
            Err(_) if self.forgiving => self.damaged = true,
            sound => sound?,
        }
        if !ours {
            self.count = found.count;
            self.file = (found.count > 0).then_some(file);
        } else if found.count != self.count {
            return Err(DbError::Damaged(
                "its journal has lost a record that was made durable".into(),
            ));
        }
        Ok(found.changes)
    }

    /// An epoch begins, with no records.
    pub(super) fn begin(&mut self, epoch: Option<Epoch>) {
        self.epoch = epoch;
        (self.count, self.end, self.pending) = (0, 0, 0);
        self.resting = false;
    }

    /// Whether something is here that the database's file may lack, or that must not count.
    pub(super) fn is_in_use(&self) -> bool {
        self.count > 0 || self.resting
    }

    /// Whether a record of so many bytes of rows may be tried.
    pub(super) fn takes(&self, rows: usize) -> bool {
        !self.resting && self.epoch.is_some() && rows <= RECORD_MAX
    }

    /// Makes a record durable, if there is room for it; whether it is. It counts only after
    /// [`Journal::accept`].
    pub(super) fn append(&mut self, changes: &[&Change]) -> bool {
        let Some(epoch) = self.epoch.filter(|_| !self.resting) else {
            return false;
        };
        let mut record = encode(&epoch, self.count, changes);
        record.resize(record.len().next_multiple_of(PAGE as usize), 0);
        if self.end + record.len() as u64 > SIZE {
            return false;
        }
        match self.write(&record) {
            Ok(()) => {
                self.pending = record.len() as u64;
                true
            }
            Err(_) => {
                self.rest();
                false
            }
        }
    }

    /// The record that was appended is part of the database now.
    pub(super) fn accept(&mut self) {
        self.end += std::mem::take(&mut self.pending);
        self.count += 1;
    }

    /// Nobody knows what the last record came to: none shall follow in this epoch.
    pub(super) fn rest(&mut self) {
        self.pending = 0;
        self.resting = true;
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        if !self.ready {
            self.file = Some(prepare(&*self.disk)?);
            self.ready = true;
        }
        let file = self.file.as_ref().ok_or(ErrorKind::NotFound)?;
        file.write_at(self.end, record)?;
        file.sync_data()
    }
}

/// Makes the file, in place of any that is there: nothing in it counts, and its name may never
/// have been saved. A full disk's last room is left to the database.
fn prepare(disk: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
    if disk.space()?.available < ROOM {
        return Err(ErrorKind::StorageFull.into());
    }
    match disk.remove(JOURNAL) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = disk.create(JOURNAL)?;
    fill(disk, &*file).inspect_err(|_| {
        let _ = disk.remove(JOURNAL);
    })?;
    Ok(file)
}

/// Zeros are written, not left out: else each record would change more than its bytes, and take
/// twice as long.
fn fill(disk: &dyn Disk, file: &dyn DiskFile) -> io::Result<()> {
    file.write_at(0, &vec![0; SIZE as usize])?;
    file.sync_data()?;
    disk.sync_dir()
}

/// What a journal holds of an epoch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) changes: Vec<Change>,
    count: u32,
    end: u64,
}

/// The records of an epoch, up to the first that is not whole.
///
/// # Errors
/// If behind that there is a whole one: then it was whole once, too.
pub(super) fn read(bytes: &[u8], epoch: &Epoch) -> Result<Found, Malformed> {
    match read_to_damage(bytes, epoch) {
        (found, None) => Ok(found),
        (_, Some(damage)) => Err(damage),
    }
}

/// The same, and the damage that ends them.
fn read_to_damage(bytes: &[u8], epoch: &Epoch) -> (Found, Option<Malformed>) {
    let mut found = Found::default();
    if epoch_at(bytes, 0).is_some_and(|other| other != *epoch && record_at(bytes, 0, &other).is_some()) {
        // A later epoch has begun to write over what there was of this one: an older database was put back.
        return (found, None);
    }
    while let Some((index, payload)) = record_at(bytes, found.end, epoch) {
        if index != found.count {
            let damage = Malformed("the journal's records are not in their order");
            return (found, Some(damage));
        }
        let before = found.changes.len();
        if let Err(damage) = decode(payload, &mut found.changes) {
            found.changes.truncate(before);
            return (found, Some(damage));
        }
        found.count += 1;
        found.end += ((HEADER + payload.len()) as u64).next_multiple_of(PAGE);
    }
    let mut behind = (found.end + PAGE..bytes.len() as u64).step_by(PAGE as usize);
    let is_later = |at| record_at(bytes, at, epoch).is_some_and(|(index, _)| index >= found.count);
    let damage = behind.any(is_later).then_some(Malformed(
        "a record of the journal is not whole, and one behind it is",
    ));
    (found, damage)
}

/// The epoch that a record at `at` would be of.
fn epoch_at(bytes: &[u8], at: usize) -> Option<Epoch> {
    bytes.get(at + 32..at + 48)?.try_into().ok()
}

/// The whole record of this epoch at `at`: its index and its changes.
fn record_at<'a>(bytes: &'a [u8], at: u64, epoch: &Epoch) -> Option<(u32, &'a [u8])> {
    let at = usize::try_from(at).ok()?;
    if epoch_at(bytes, at)? != *epoch {
        return None;
    }
    let mut r = Reader::new(&bytes[at..]);
    let hash: [u8; 32] = r.array().ok()?;
    r.raw(16).ok()?;
    let index = r.u32().ok()?;
    let len = r.u32().ok()? as usize;
    let payload = r.raw(len).ok()?;
    (record_hash(epoch, index, payload) == hash).then_some((index, payload))
}

pub(super) fn encode(epoch: &Epoch, index: u32, changes: &[&Change]) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(&[0; HEADER]);
    put_changes(&mut w, changes);
    let mut record = w.0;
    let len = record.len() - HEADER;
    let hash = record_hash(epoch, index, &record[HEADER..]);
    record[..32].copy_from_slice(&hash);
    record[32..48].copy_from_slice(epoch);
    record[48..52].copy_from_slice(&index.to_le_bytes());
    record[52..56].copy_from_slice(&(len as u32).to_le_bytes());
    record
}

pub(super) fn put_changes(w: &mut Writer, changes: &[&Change]) {
    w.u8(VERSION).u32(changes.len() as u32);
    for (table, key, value) in changes {
        w.u8(*table as u8).bytes(key);
        match value {
            Some(value) => w.u8(1).bytes(value),
            None => w.u8(0),
        };
    }
}

fn record_hash(epoch: &Epoch, index: u32, payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(epoch);
    hasher.update(&index.to_le_bytes());
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

pub(super) fn decode(payload: &[u8], changes: &mut Vec<Change>) -> Result<(), Malformed> {
    let mut r = Reader::new(payload);
    if r.u8()? != VERSION {
        return Err(Malformed("a record of the journal has another version"));
    }
    for _ in 0..r.u32()? {
        let table = r.u8()?;
        let table = Table::ALL.into_iter().find(|t| *t as u8 == table);
        let table = table.ok_or(Malformed("a record of the journal names an unknown table"))?;
        let key = r.bytes(payload.len())?.to_vec();
        let value = match r.u8()? {
            0 => None,
            1 => Some(r.bytes(payload.len())?.to_vec()),
            _ => return Err(Malformed("a record of the journal has an unknown kind of change")),
        };
        changes.push((table, key, value));
    }
    r.end()
}

#[cfg(test)]
mod tests;
