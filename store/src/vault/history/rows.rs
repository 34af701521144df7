//! The table of versions: entity ‖ serial → what is kept of one, sealed under the entity's key.
//!
//! Before the sealed record a byte says whether chunks are held by it: the collection opens no
//! other rows. It is bound into the seal.
//!
//! A row is written in the transaction that stores its event. Serials ascend and are never given
//! anew: the last row of an entity is its present version's, and stays. The versions that people
//! see are counted by a number in the row: an event that changes attributes alone has a row, and in
//! it the number of the version before it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::core::StoreError;
use crate::db::{Batch, Db, Table};
use crate::event::{Body, EventRef, Form, Head, Version};
use crate::ids::{ChainId, EntityId};
use crate::keys::{Aad, Key, open_into, seal};
use crate::record::{BodyRef, Kept, Kind, PROGRAM_MAX, Time, VersionRecord, kind};
use crate::text::{ChangeHash, Maker};
use crate::vault::Vault;

/// A row's key.
pub(in crate::vault) fn row_key(entity: &EntityId, serial: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&entity.0);
    key[16..].copy_from_slice(&serial.to_be_bytes());
    key
}

/// What a row's key names.
pub(in crate::vault) fn split_key(key: &[u8]) -> Option<(EntityId, u64)> {
    let (entity, serial) = key.split_first_chunk::<16>()?;
    Some((EntityId(*entity), u64::from_be_bytes(serial.try_into().ok()?)))
}

/// Associated data of a version's row.
pub(crate) fn version_aad(entity: &EntityId, serial: u64, holds_chunks: bool) -> Aad {
    Aad {
        kind: kind::VERSION,
        id: entity.0,
        chain: [0; 16],
        version: serial,
        generation: u32::from(holds_chunks),
    }
}

/// Whether a row says that chunks are held by it.
pub(in crate::vault) fn holds_chunks(row: &[u8]) -> bool {
    row.first() == Some(&1)
}

/// Opens a row; `plain` is room for it.
pub(in crate::vault) fn open_row(
    key: &Key,
    entity: &EntityId,
    serial: u64,
    row: &[u8],
    plain: &mut Vec<u8>,
) -> Result<VersionRecord, StoreError> {
    let what = || format!("the record of version {serial} of a file");
    plain.clear();
    let sealed = match row.split_first() {
        Some((0 | 1, sealed)) => sealed,
        _ => return Err(StoreError::Tampered { what: what() }),
    };
    let aad = version_aad(entity, serial, holds_chunks(row));
    open_into(key, &aad, sealed, plain).map_err(StoreError::tampered(what()))?;
    VersionRecord::decode(plain).map_err(StoreError::malformed(what()))
}

/// The serial of an entity's last version; 0 if there is none.
pub(in crate::vault) fn last_serial(db: &Db, entity: &EntityId) -> Result<u64, StoreError> {
    let last = db.last(Table::Versions, &entity.0)?;
    let serial = last.and_then(|(key, _)| split_key(&key));
    Ok(serial.map_or(0, |(_, serial)| serial))
}

/// Serial and number of an entity's last version; 0 if there is none.
fn last_of(db: &Db, key: &Key, entity: &EntityId) -> Result<(u64, u64), StoreError> {
    let Some((name, row)) = db.last(Table::Versions, &entity.0)? else {
        return Ok((0, 0));
    };
    let Some((_, serial)) = split_key(&name) else {
        return Ok((0, 0));
    };
    let mut plain = zeroize::Zeroizing::new(Vec::new());
    // Of a row that does not open it is known at least that no number is above its serial.
    let record = open_row(key, entity, serial, &row, &mut plain);
    Ok((serial, record.map_or(serial, |record| record.number)))
}

/// Where a version was told.
pub(in crate::vault) struct ToldAt {
    pub(in crate::vault) batch: u64,
    pub(in crate::vault) offset: u32,
    pub(in crate::vault) len: u32,
    pub(in crate::vault) at: EventRef,
    pub(in crate::vault) generation: u32,
    pub(in crate::vault) lamport: u64,
    /// What it replaces; nothing: it is the entity's first, and brings its key.
    pub(in crate::vault) parents: Vec<EventRef>,
    pub(in crate::vault) program: Option<Arc<str>>,
    /// Only attributes changed.
    pub(in crate::vault) same: bool,
    /// It came from another device.
    pub(in crate::vault) foreign: bool,
}

/// The versions that one commit tells.
#[derive(Default)]
pub(in crate::vault) struct NewVersions {
    /// The last serial and number that this commit has given, of each entity.
    last: HashMap<EntityId, (u64, u64)>,
    rows: Vec<([u8; 24], Vec<u8>)>,
    now: Option<Time>,
    failed: Option<StoreError>,
}

/// The change that a version of this chain is, packed, and who made it.
pub(in crate::vault) fn change_of(version: &Version, chain: ChainId) -> Option<(Maker, &[u8])> {
    match &version.body {
        Body::Change { serial, bytes } => {
            let maker = Maker {
                chain,
                serial: *serial,
                carries: false,
            };
            Some((maker, bytes))
        }
        Body::Carried { of, bytes } if !bytes.is_empty() => Some((Maker::carried(*of), bytes)),
        _ => None,
    }
}

/// What names the change that a version of this chain is.
pub(in crate::vault) fn change_name(version: &Version, chain: ChainId) -> Option<ChangeHash> {
    let (maker, bytes) = change_of(version, chain)?;
    ChangeHash::of_packed(bytes, maker)
}

impl NewVersions {
    /// The clock's time, one for all of a commit.
    pub(in crate::vault) fn now(&mut self) -> Time {
        *self.now.get_or_insert_with(Time::now)
    }

    /// Notes a version, under the next serial, which it returns.
    pub(in crate::vault) fn note(
        &mut self,
        vault: &Vault,
        key: &Key,
        entity: EntityId,
        version: &Version,
        told: ToldAt,
    ) -> u64 {
        let creates = told.parents.is_empty();
        if !creates {
            vault.grown.store(true, Ordering::Relaxed);
        }
        let before = match self.last.get(&entity) {
            Some(last) => Ok(*last),
            // Nobody has told of it before: there is nothing to be looked up.
            None if creates => Ok((0, 0)),
            None => last_of(&vault.core.db, key, &entity),
        };
        let (serial, number) = match before {
            Ok((serial, number)) => (serial + 1, number + u64::from(!told.same || number == 0)),
            Err(e) => {
                self.failed.get_or_insert(e);
                return 0;
            }
        };
        let record = VersionRecord {
            number,
            kept: Kept::All,
            batch: told.batch,
            offset: told.offset,
            len: told.len,
            at: told.at,
            generation: told.generation,
            lamport: told.lamport,
            creates,
            foreign: told.foreign,
            parents: told.parents,
            recorded: version.recorded,
            came: match told.foreign {
                true => vault.comes_at(self.now()),
                false => vault.comes_at(version.recorded),
            },
            modified: version.mtime,
            size: version.size,
            form: version.form as u8,
            kind: version.kind,
            perm: version.perm,
            program: told
                .program
                .filter(|name| (1..=PROGRAM_MAX).contains(&name.len()))
                .map(|name| name.to_string()),
            body: match &version.body {
                Body::Inline(_) => BodyRef::Inline,
                Body::Manifest(root) => BodyRef::Manifest(*root),
                Body::Change { .. } | Body::Carried { .. } => match change_name(version, told.at.chain) {
                    Some(name) => BodyRef::Change(name.0),
                    None => BodyRef::Other,
                },
                Body::Same => BodyRef::Other,
            },
        };
        self.push(key, entity, serial, &record);
        serial
    }

    /// Notes the first event of an entity, of which the key alone came: it is not listed.
    pub(in crate::vault) fn note_key(
        &mut self,
        vault: &Vault,
        key: &Key,
        entity: EntityId,
        (batch, offset): (u64, u32),
        head: &Head,
    ) {
        let before = match self.last.get(&entity) {
            Some(last) => Ok(*last),
            None => last_of(&vault.core.db, key, &entity),
        };
        let (serial, number) = match before {
            Ok((serial, number)) => (serial + 1, number + 1),
            Err(e) => {
                self.failed.get_or_insert(e);
                return;
            }
        };
        let record = VersionRecord {
            number,
            kept: Kept::Key,
            batch,
            offset,
            len: head.sealed.len,
            at: head.at,
            generation: head.generation,
            lamport: head.lamport,
            creates: true,
            foreign: true,
            parents: Vec::new(),
            recorded: Time::default(),
            came: 0,
            modified: Time::default(),
            size: 0,
            // What it was nobody knows: for a blob, what goes on from it would be refused.
            form: Form::Text as u8,
            kind: Kind::File,
            perm: 0,
            program: None,
            body: BodyRef::Other,
        };
        self.push(key, entity, serial, &record);
    }

    fn push(&mut self, key: &Key, entity: EntityId, serial: u64, record: &VersionRecord) {
        self.last.insert(entity, (serial, record.number));
        let sealed = seal_row(key, &entity, serial, record);
        self.rows.push((row_key(&entity, serial), sealed));
    }

    /// The rows of all of them.
    pub(in crate::vault) fn put(mut self, batch: &mut Batch) -> Result<(), StoreError> {
        // Entities' ids are random: in order, the database finds each leaf once.
        self.rows.sort_unstable_by_key(|(key, _)| *key);
        for (key, sealed) in self.rows {
            batch.put(Table::Versions, key, sealed);
        }
        self.failed.map_or(Ok(()), Err)
    }
}

/// A row's bytes.
pub(in crate::vault) fn seal_row(
    key: &Key,
    entity: &EntityId,
    serial: u64,
    record: &VersionRecord,
) -> Vec<u8> {
    let holds = record.kept == Kept::All && matches!(record.body, BodyRef::Manifest(_));
    let mut plain = record.encode();
    let sealed = seal(key, &version_aad(entity, serial, holds), &plain);
    zeroize::Zeroize::zeroize(&mut plain);
    let mut row = Vec::with_capacity(1 + sealed.len());
    row.push(u8::from(holds));
    row.extend_from_slice(&sealed);
    row
}

impl Vault {
    /// Calls `each` with all rows of an entity, the oldest first: serial, and what it says or why
    /// that is not known.
    pub(in crate::vault) fn each_version(
        &self,
        key: &Key,
        entity: &EntityId,
        each: &mut dyn FnMut(u64, Result<VersionRecord, StoreError>),
    ) -> Result<(), StoreError> {
        let mut plain = Vec::new();
        self.core.db.scan(Table::Versions, &entity.0, &mut |name, row| {
            if let Some((_, serial)) = split_key(name) {
                each(serial, open_row(key, entity, serial, row, &mut plain));
            }
            true
        })?;
        zeroize::Zeroize::zeroize(&mut plain);
        Ok(())
    }

    /// The row of one of an entity's versions, by its event.
    pub(in crate::vault) fn row_of(
        &self,
        key: &Key,
        entity: &EntityId,
        at: EventRef,
    ) -> Result<Option<VersionRecord>, StoreError> {
        // Mostly it is the last.
        let last = self.version_row(key, entity, last_serial(&self.core.db, entity)?)?;
        if last.as_ref().is_some_and(|row| row.at == at) {
            return Ok(last);
        }
        let mut found = None;
        self.each_version(key, entity, &mut |_, row| {
            found = row.ok().filter(|row| row.at == at).or(found.take());
        })?;
        Ok(found)
    }

    /// One of them, by its serial.
    pub(in crate::vault) fn version_row(
        &self,
        key: &Key,
        entity: &EntityId,
        serial: u64,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let row = self.core.db.get(Table::Versions, &row_key(entity, serial))?;
        let mut plain = zeroize::Zeroizing::new(Vec::new());
        row.map(|row| open_row(key, entity, serial, &row, &mut plain))
            .transpose()
    }

    /// The row that a version is read from, by its number, and its serial: of those with its number the
    /// last that is held, else the last.
    pub(in crate::vault) fn numbered(
        &self,
        key: &Key,
        entity: &EntityId,
        number: u64,
    ) -> Result<Option<(u64, VersionRecord)>, StoreError> {
        let mut found: Option<(u64, VersionRecord)> = None;
        let mut failed = None;
        let mut plain = zeroize::Zeroizing::new(Vec::new());
        self.core.db.scan_from(
            Table::Versions,
            &entity.0,
            &row_key(entity, number),
            &mut |name, row| {
                let Some((_, serial)) = split_key(name) else {
                    return true;
                };
                match open_row(key, entity, serial, row, &mut plain) {
                    Ok(record) if record.number == number => {
                        let better = record.kept == Kept::All
                            || found.as_ref().is_none_or(|(_, old)| old.kept != Kept::All);
                        if better {
                            found = Some((serial, record));
                        }
                        true
                    }
                    Ok(record) => record.number < number,
                    Err(e) => {
                        // Which it was is not known: it may be that one.
                        failed.get_or_insert(e);
                        true
                    }
                }
            },
        )?;
        match (found, failed) {
            (None, Some(e)) => Err(e),
            (found, _) => Ok(found),
        }
    }
}
