//! The table of versions: entity ‖ number → what is kept of one, sealed under the entity's key.
//!
//! Before the sealed record a byte says whether chunks are held by it: the collection opens no
//! other rows. It is bound into the seal.
//!
//! A row is written in the transaction that stores its event. Numbers ascend and are never given
//! anew: the last row of an entity is its present version's, and stays.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::StoreError;
use crate::db::{Batch, Db, Table};
use crate::event::{Body, EventRef, Version};
use crate::ids::EntityId;
use crate::keys::{Aad, Key, open_into, seal};
use crate::record::{BodyRef, Kept, PROGRAM_MAX, Time, VersionRecord, kind};
use crate::vault::Vault;

/// A row's key.
pub(in crate::vault) fn row_key(entity: &EntityId, number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&entity.0);
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

/// What a row's key names.
pub(in crate::vault) fn split_key(key: &[u8]) -> Option<(EntityId, u64)> {
    let (entity, number) = key.split_first_chunk::<16>()?;
    Some((EntityId(*entity), u64::from_be_bytes(number.try_into().ok()?)))
}

/// Associated data of a version's row.
pub(crate) fn version_aad(entity: &EntityId, number: u64, holds_chunks: bool) -> Aad {
    Aad {
        kind: kind::VERSION,
        id: entity.0,
        chain: [0; 16],
        version: number,
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
    number: u64,
    row: &[u8],
    plain: &mut Vec<u8>,
) -> Result<VersionRecord, StoreError> {
    let what = || format!("the record of version {number} of a file");
    plain.clear();
    let sealed = match row.split_first() {
        Some((0 | 1, sealed)) => sealed,
        _ => return Err(StoreError::Tampered { what: what() }),
    };
    let aad = version_aad(entity, number, holds_chunks(row));
    open_into(key, &aad, sealed, plain).map_err(StoreError::tampered(what()))?;
    VersionRecord::decode(plain).map_err(StoreError::malformed(what()))
}

/// The number of an entity's last version; 0 if there is none.
pub(in crate::vault) fn last_number(db: &Db, entity: &EntityId) -> Result<u64, StoreError> {
    let last = db.last(Table::Versions, &entity.0)?;
    let number = last.and_then(|(key, _)| split_key(&key));
    Ok(number.map_or(0, |(_, number)| number))
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
    /// When it was recorded, if not now.
    pub(in crate::vault) recorded: Option<Time>,
    pub(in crate::vault) program: Option<Arc<str>>,
}

/// The versions that one commit tells.
#[derive(Default)]
pub(in crate::vault) struct NewVersions {
    /// The last number that this commit has given, of each entity.
    last: HashMap<EntityId, u64>,
    rows: Vec<([u8; 24], Vec<u8>)>,
    recorded: Option<Time>,
    failed: Option<StoreError>,
}

impl NewVersions {
    /// Notes a version, under the next number, which it returns.
    pub(in crate::vault) fn note(
        &mut self,
        vault: &Vault,
        key: &Key,
        entity: EntityId,
        version: &Version,
        told: ToldAt,
    ) -> u64 {
        let creates = told.parents.is_empty();
        let before = match self.last.get(&entity) {
            Some(last) => Ok(*last),
            // Nobody has told of it before: there is nothing to be looked up.
            None if creates => Ok(0),
            None => last_number(&vault.core.db, &entity),
        };
        let number = match before {
            Ok(before) => before + 1,
            Err(e) => {
                self.failed.get_or_insert(e);
                return 0;
            }
        };
        self.last.insert(entity, number);
        let record = VersionRecord {
            kept: Kept::All,
            batch: told.batch,
            offset: told.offset,
            len: told.len,
            at: told.at,
            generation: told.generation,
            lamport: told.lamport,
            creates,
            parents: told.parents,
            recorded: told
                .recorded
                .unwrap_or_else(|| *self.recorded.get_or_insert_with(Time::now)),
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
                Body::Change { .. } | Body::Same => BodyRef::Other,
            },
        };
        let sealed = seal_row(key, &entity, number, &record);
        self.rows.push((row_key(&entity, number), sealed));
        number
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
    number: u64,
    record: &VersionRecord,
) -> Vec<u8> {
    let holds = record.kept == Kept::All && matches!(record.body, BodyRef::Manifest(_));
    let mut plain = record.encode();
    let sealed = seal(key, &version_aad(entity, number, holds), &plain);
    zeroize::Zeroize::zeroize(&mut plain);
    let mut row = Vec::with_capacity(1 + sealed.len());
    row.push(u8::from(holds));
    row.extend_from_slice(&sealed);
    row
}

impl Vault {
    /// Calls `each` with all rows of an entity, the oldest first: number, and what it says or why
    /// that is not known.
    pub(in crate::vault) fn each_version(
        &self,
        key: &Key,
        entity: &EntityId,
        each: &mut dyn FnMut(u64, Result<VersionRecord, StoreError>),
    ) -> Result<(), StoreError> {
        let mut plain = Vec::new();
        self.core.db.scan(Table::Versions, &entity.0, &mut |name, row| {
            if let Some((_, number)) = split_key(name) {
                each(number, open_row(key, entity, number, row, &mut plain));
            }
            true
        })?;
        zeroize::Zeroize::zeroize(&mut plain);
        Ok(())
    }

    /// One of them.
    pub(in crate::vault) fn version_row(
        &self,
        key: &Key,
        entity: &EntityId,
        number: u64,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let row = self.core.db.get(Table::Versions, &row_key(entity, number))?;
        let mut plain = zeroize::Zeroizing::new(Vec::new());
        row.map(|row| open_row(key, entity, number, &row, &mut plain))
            .transpose()
    }
}
