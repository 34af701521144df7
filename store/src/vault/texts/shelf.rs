//! The documents in memory, and building them: from the stored one, or from the text's events.
//!
//! Bounded in bytes, about: whatever was not used for the longest time goes first, and is stored if
//! much has happened to it. A stored document is a cache, and never trusted: one that is damaged,
//! or has what is told nowhere, is built anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Texts;
use super::hot::{Hot, Step};
use super::tell::ToldText;
use crate::core::StoreError;
use crate::db::Table;
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::keys::{Aad, Key, open, seal};
use crate::record::{DocumentRecord, Kept, VersionRecord, kind};
use crate::text::{Change, Refused, TextError};
use crate::vault::Vault;
use crate::vault::history::{change_of, last_serial};

/// Bytes that documents may take together.
const BYTES_MAX: usize = 96 << 20;
/// A document is stored after so many versions.
const STORE_EVERY: usize = 250;
/// One that goes out of memory is stored if it has so many that are not.
const STORE_LEAST: usize = 16;

/// Why a text's document is not there.
#[derive(Debug, thiserror::Error)]
pub(in crate::vault) enum DocumentError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The document.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A change of it.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Where a document is or will be; none: it is not in memory.
pub(super) type Slot = Arc<Mutex<Option<Hot>>>;

/// See the module.
#[derive(Default)]
pub(super) struct Shelf {
    slots: HashMap<EntityId, (Slot, u64)>,
    used: u64,
}

impl Shelf {
    fn slot(&mut self, entity: EntityId) -> Slot {
        self.used += 1;
        let (slot, used) = self.slots.entry(entity).or_default();
        *used = self.used;
        slot.clone()
    }

    pub(super) fn has(&self, entity: &EntityId) -> bool {
        self.slots.contains_key(entity)
    }

    fn by_age(&self) -> Vec<(EntityId, Slot)> {
        let mut slots: Vec<_> = self.slots.iter().collect();
        slots.sort_unstable_by_key(|(_, (_, used))| *used);
        slots
            .into_iter()
            .map(|(entity, (slot, _))| (*entity, slot.clone()))
            .collect()
    }
}

/// The versions of a text's document among an entity's.
struct Lineage {
    genesis: usize,
    /// Those after it, ascending.
    after: Vec<usize>,
}

/// The text that a version belongs to: back to where it began, and everything that went on from
/// there. None if that version is no text.
fn lineage(rows: &[(u64, VersionRecord)], at: EventRef) -> Option<Lineage> {
    let places: HashMap<EventRef, usize> = rows.iter().enumerate().map(|(i, (_, r))| (r.at, i)).collect();
    let mut genesis = *places.get(&at)?;
    loop {
        let row = &rows[genesis].1;
        if row.is_genesis() {
            break;
        }
        if !row.is_change() {
            return None;
        }
        // What it was made from has a lower number: this ends. The first of that is of its own text; one
        // that carries a version over names that after it.
        let before = row.parents.first().and_then(|parent| places.get(parent));
        genesis = *before.filter(|place| **place < genesis)?;
    }
    Some(from_genesis(rows, genesis))
}

/// The same, of the text that begins with this row.
fn from_genesis(rows: &[(u64, VersionRecord)], genesis: usize) -> Lineage {
    let mut within: HashSet<EventRef> = [rows[genesis].1.at].into_iter().collect();
    let mut after = Vec::new();
    for (i, (_, row)) in rows.iter().enumerate().skip(genesis + 1) {
        if row.is_change() && row.parents.first().is_some_and(|parent| within.contains(parent)) {
            within.insert(row.at);
            after.push(i);
        }
    }
    Lineage { genesis, after }
}

/// Associated data of a stored document.
pub(in crate::vault) fn document_aad(entity: &EntityId) -> Aad {
    Aad {
        kind: kind::DOCUMENT,
        id: entity.0,
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

impl Texts {
    pub(super) fn slot(&self, entity: EntityId) -> Slot {
        self.shelf.lock().slot(entity)
    }

    /// Forgets a document, and whatever was made with it that is not told.
    pub(in crate::vault) fn discard(&self, entity: &EntityId) {
        self.shelf.lock().slots.remove(entity);
        self.rows.lock().remove(entity);
        self.news.lock().remove(entity);
        self.ready.lock().take_back(entity);
    }

    /// Forgets all documents, and whatever was made with them that is not told: it was made for another chain.
    pub(in crate::vault) fn discard_all(&self) {
        self.shelf.lock().slots.clear();
        self.rows.lock().clear();
        self.news.lock().clear();
        self.ready.lock().take_back_all();
    }

    /// They were not stored after all.
    pub(in crate::vault) fn give_back_rows(&self, documents: &[(EntityId, Vec<u8>)]) {
        let mut rows = self.rows.lock();
        for (entity, sealed) in documents {
            rows.entry(*entity).or_insert_with(|| sealed.clone());
        }
    }

    /// The documents to be stored by the transaction that is being made.
    pub(in crate::vault) fn take_rows(&self) -> Vec<(EntityId, Vec<u8>)> {
        self.rows.lock().drain().collect()
    }
}

impl Vault {
    /// Does something with the document that a version belongs to. None if that version is no text.
    pub(super) fn with_document<T>(
        &self,
        (entity, key): (EntityId, &Key),
        at: EventRef,
        work: impl FnOnce(&mut Hot) -> Result<T, DocumentError>,
    ) -> Result<Option<T>, DocumentError> {
        let slot = self.texts.slot(entity);
        let mut slot = slot.lock();
        self.catch_up(entity, &mut slot);
        self.go_on(entity, key, &mut slot);
        let has = |hot: &Hot| hot.names(&at).is_some();
        if !slot.as_ref().is_some_and(has) {
            let mut built = self.build(entity, key, at)?.filter(has);
            let is_kept = |hot: &Hot| {
                // What is not told yet is not given up for an old version's sake.
                let is_older = built.as_ref().is_none_or(|new| new.began() < hot.began());
                !hot.untold.is_empty() || is_older
            };
            if slot.as_ref().is_some_and(is_kept) {
                return built.as_mut().map(work).transpose();
            }
            *slot = built;
        }
        let Some(hot) = slot.as_mut() else { return Ok(None) };
        let done = work(hot);
        if matches!(done, Err(DocumentError::Text(TextError::Discarded))) {
            *slot = None;
            self.texts.ready.lock().take_back(&entity);
        }
        done.map(Some)
    }

    /// Lets a document hear what was told of its text.
    fn catch_up(&self, entity: EntityId, slot: &mut Option<Hot>) {
        let news: Vec<ToldText> = self.texts.news.lock().remove(&entity).unwrap_or_default();
        if let Some(hot) = slot
            && !news.iter().all(|told| hot.hear(told))
        {
            *slot = None;
            self.texts.ready.lock().take_back(&entity);
        }
    }

    /// The document that a version belongs to, from what is stored.
    fn build(&self, entity: EntityId, key: &Key, at: EventRef) -> Result<Option<Hot>, DocumentError> {
        let mut rows = Vec::new();
        self.each_version(key, &entity, &mut |number, row| {
            // What of a row cannot be read is missed below, if it matters.
            rows.extend(row.ok().map(|row| (number, row)));
        })?;
        let Some(lineage) = lineage(&rows, at) else {
            return Ok(None);
        };
        if let Some(hot) = self.stored_document(entity, key, &rows, &lineage)? {
            return Ok(Some(hot));
        }
        let (number, first) = &rows[lineage.genesis];
        let text = self.version_bytes(key, entity, first)?;
        let text = String::from_utf8(text).map_err(|_| TextError::NotText("its bytes are no text"))?;
        let mut hot = Hot::begin(key.duplicate(), (first.at, *number), first.foreign, &text)?;
        self.take_rows_of(entity, &mut hot, &rows, lineage.after)?;
        Ok(Some(hot))
    }

    /// Lets a document take in these rows, all that come after what it has.
    fn take_rows_of(
        &self,
        entity: EntityId,
        hot: &mut Hot,
        rows: &[(u64, VersionRecord)],
        places: Vec<usize>,
    ) -> Result<(), DocumentError> {
        let mut steps = Vec::with_capacity(places.len());
        for place in places {
            let (number, row) = &rows[place];
            steps.push(self.step(&hot.key, entity, hot.genesis, *number, row)?);
        }
        hot.take(steps, true)?;
        // What is no version of the document may stand between, or after.
        hot.upto = rows.last().map_or(hot.upto, |(number, _)| *number);
        Ok(())
    }

    /// The stored document, with what was told since. None if there is none, or none that is whole.
    fn stored_document(
        &self,
        entity: EntityId,
        key: &Key,
        rows: &[(u64, VersionRecord)],
        lineage: &Lineage,
    ) -> Result<Option<Hot>, DocumentError> {
        if self.texts.rows.lock().get(&entity).is_some_and(Vec::is_empty) {
            return Ok(None); // it is to be forgotten
        }
        let sealed = self.core.db.get(Table::Documents, &entity.0);
        let Some(sealed) = sealed.map_err(StoreError::Db)? else {
            return Ok(None);
        };
        let Ok(plain) = open(key, &document_aad(&entity), &sealed) else {
            return Ok(None);
        };
        let plain = zeroize::Zeroizing::new(plain);
        let record = DocumentRecord::decode(&plain).ok();
        let of_it = |record: &DocumentRecord| record.genesis == rows[lineage.genesis].1.at;
        let Some(record) = record.filter(of_it) else {
            return Ok(None);
        };
        let places = lineage.after.iter().copied();
        let (had, new): (Vec<usize>, Vec<usize>) = places.partition(|place| rows[*place].0 <= record.upto);
        let had = had.iter().map(|place| &rows[*place].1);
        let (first, row) = &rows[lineage.genesis];
        let record = (record, *first);
        let Ok(mut hot) = Hot::load(key.duplicate(), record, row.foreign, had) else {
            return Ok(None);
        };
        match self.take_rows_of(entity, &mut hot, rows, new) {
            Ok(()) => Ok(Some(hot)),
            Err(DocumentError::Text(_) | DocumentError::Refused(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Lets the document in memory take in what was told since; it goes if that cannot be.
    fn go_on(&self, entity: EntityId, key: &Key, slot: &mut Option<Hot>) {
        if let Some(hot) = slot
            && !matches!(self.extend(entity, key, hot), Ok(true))
        {
            *slot = None;
            self.texts.ready.lock().take_back(&entity);
        }
    }

    /// Takes in the versions that were told since; false if they do not go on from it.
    fn extend(&self, entity: EntityId, key: &Key, hot: &mut Hot) -> Result<bool, DocumentError> {
        let last = last_serial(&self.core.db, &entity)?;
        if hot.upto > last {
            return Ok(false);
        }
        let mut steps: Vec<Step> = Vec::new();
        for number in hot.upto + 1..=last {
            // One that was let go of nobody builds on.
            let Some(row) = self.version_row(key, &entity, number)? else {
                continue;
            };
            let is_known = |at: &EventRef| hot.names(at).is_some() || steps.iter().any(|step| step.at == *at);
            // Else it is of another text, or of none.
            if row.is_change() && row.parents.first().is_some_and(is_known) {
                steps.push(self.step(key, entity, hot.genesis, number, &row)?);
            }
        }
        hot.take(steps, false)?;
        hot.upto = last;
        Ok(true)
    }

    /// What a version adds to its document.
    fn step(
        &self,
        key: &Key,
        entity: EntityId,
        genesis: EventRef,
        number: u64,
        row: &VersionRecord,
    ) -> Result<Step, DocumentError> {
        if row.kept != Kept::All {
            let what = "an earlier version of a text".into();
            return Err(StoreError::Missing { what }.into());
        }
        let version = self.version_payload(key, entity, row)?;
        if version.is_whole() {
            let what = "a version of a text".into();
            return Err(StoreError::Tampered { what }.into());
        }
        let change = change_of(&version, row.at.chain);
        let change = change.map(|(maker, bytes)| Change::open(bytes, maker, genesis));
        let change = change.transpose()?;
        Ok(Step {
            number,
            at: row.at,
            parents: row.parents.clone(),
            change,
            batch: row.batch,
            foreign: row.foreign,
        })
    }

    /// How many documents are in memory. For tests.
    #[doc(hidden)]
    pub fn hot_documents(&self) -> usize {
        let shelf = self.texts.shelf.lock();
        let slots = shelf.slots.values();
        slots.filter(|(slot, _)| slot.lock().is_some()).count()
    }

    /// Puts documents in order: those that are due are stored, and what there is no room for goes.
    pub(in crate::vault) fn tidy_shelf(&self, closing: bool) {
        let slots = self.texts.shelf.lock().by_age();
        let mut total = 0;
        let mut ages = Vec::new();
        for (entity, slot) in slots {
            let Some(mut hot) = slot.try_lock() else { continue };
            self.catch_up(entity, &mut hot);
            if let Some(hot) = hot.as_mut() {
                total += hot.memory();
                ages.push((entity, hot.memory()));
                let due = if closing { STORE_LEAST } else { STORE_EVERY };
                if hot.since >= due {
                    self.store_document(entity, hot);
                }
            }
        }
        for (entity, bytes) in ages {
            if total <= BYTES_MAX {
                break;
            }
            let slot = self.texts.slot(entity);
            let mut hot = slot.lock();
            if hot.as_ref().is_some_and(|hot| !hot.untold.is_empty()) {
                continue;
            }
            if let Some(hot) = hot.as_mut().filter(|hot| hot.since >= STORE_LEAST) {
                self.store_document(entity, hot);
            }
            *hot = None;
            total -= bytes;
        }
        let mut shelf = self.texts.shelf.lock();
        // Empty slots that nobody is about to fill.
        shelf.slots.retain(|entity, (slot, _)| {
            let stays = Arc::strong_count(slot) > 1 || slot.try_lock().is_none_or(|hot| hot.is_some());
            if !stays {
                self.texts.news.lock().remove(entity);
            }
            stays
        });
    }

    /// Has a document stored with the next transaction, if it holds nothing that may never be told.
    fn store_document(&self, entity: EntityId, hot: &mut Hot) {
        if let Some(record) = hot.record() {
            let mut plain = record.encode();
            let sealed = seal(&hot.key, &document_aad(&entity), &plain);
            zeroize::Zeroize::zeroize(&mut plain);
            self.texts.rows.lock().insert(entity, sealed);
            hot.since = 0;
        }
    }
}
