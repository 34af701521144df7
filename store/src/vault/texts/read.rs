//! Old versions of texts.

use std::collections::HashMap;

use super::hot::Hot;
use super::shelf::DocumentError;
use crate::core::StoreError;
use crate::event::{Body, EventRef};
use crate::ids::{EntityId, Ino};
use crate::keys::Key;
use crate::record::VersionRecord;
use crate::text::{ChangeHash, Heads};
use crate::vault::Vault;
use crate::vault::take_in::Newest;

/// What names a version, as its event and those before it say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The text's beginning.
    Genesis,
    Change(ChangeHash),
}

impl Vault {
    /// The bytes of a version that is a change of a text.
    pub(in crate::vault) fn text_of_version(
        &self,
        key: &Key,
        entity: EntityId,
        record: &VersionRecord,
    ) -> Result<Vec<u8>, StoreError> {
        let names = self.names_of(key, entity, record)?;
        let change = names.iter().find_map(|name| match name {
            Name::Change(change) => Some(*change),
            Name::Genesis => None,
        });
        let text = self.with_document((entity, key), (record.at, change), |hot| {
            Ok(hot.doc.text_at(&heads(hot, &names))?)
        });
        match text {
            Ok(Some(text)) if text.len() as u64 == record.size => Ok(text.into_bytes()),
            Err(DocumentError::Store(e)) => Err(e),
            _ => Err(StoreError::Tampered {
                what: "a version of a text".into(),
            }),
        }
    }

    /// What a text comes to show with all its versions, if it shows these now. None if that is the
    /// same, if it is no text, or if the merge is to be kept apart.
    pub(in crate::vault) fn newest_text(
        &self,
        (entity, key): (EntityId, &Key),
        ino: Ino,
        at: EventRef,
        beside: &[EventRef],
    ) -> Result<Option<Newest>, StoreError> {
        let shown = [&[at], beside].concat();
        let newest = self.with_document((entity, key), (at, None), |hot| {
            if hot.union(&shown).is_none() {
                self.learn(hot, entity, &shown)?;
            }
            let (Some(stand), newest) = (hot.union(&shown), hot.newest()?) else {
                return Ok(None);
            };
            let mut events: Vec<EventRef> = Vec::new();
            for change in newest.as_slice() {
                match hot.event(change) {
                    Some(event) => events.push(event),
                    None => return Ok(None), // it has what is not told yet: its commit shows it
                }
            }
            if stand == newest {
                return Ok(None);
            }
            let text = hot.doc.text()?;
            let before = [hot.doc.text_at(&stand)?];
            let (one, rest) = (events[0], events.split_off(1));
            if !rest.is_empty() && !self.may_show(ino, hot, &newest, &before[0], &text)? {
                return Ok(None);
            }
            Ok(Some(Newest {
                bytes: text.into_bytes(),
                at: one,
                mtime: None,
                beside: rest,
            }))
        });
        match newest {
            Ok(newest) => Ok(newest.flatten()),
            Err(DocumentError::Store(e)) => Err(e),
            Err(e) => {
                self.note_unwoven(ino, &e);
                Ok(None)
            }
        }
    }

    /// Lets a document know these versions by name, as far as they are its.
    pub(super) fn learn(
        &self,
        hot: &mut Hot,
        entity: EntityId,
        versions: &[EventRef],
    ) -> Result<(), StoreError> {
        let key = hot.key.duplicate();
        let mut rows = Vec::new();
        self.each_version(&key, &entity, &mut |_, row| {
            rows.extend(row.ok().filter(|row| versions.contains(&row.at)));
        })?;
        for row in rows {
            let names = self.names_of(&key, entity, &row)?;
            let heads = heads(hot, &names);
            if heads.as_slice().iter().all(|change| hot.doc.has(change)) {
                hot.know(row.at, heads);
            }
        }
        Ok(())
    }

    fn names_of(&self, key: &Key, entity: EntityId, record: &VersionRecord) -> Result<Vec<Name>, StoreError> {
        let mut names = Vec::new();
        let mut next = vec![record.clone()];
        let mut all: Option<HashMap<EventRef, VersionRecord>> = None;
        while let Some(record) = next.pop() {
            if record.is_genesis() {
                names.push(Name::Genesis);
                continue;
            }
            match self.version_payload(key, entity, &record)?.body {
                Body::Change { bytes, .. } => names.push(Name::Change(ChangeHash::of(&bytes))),
                Body::Same => {
                    if all.is_none() {
                        let mut rows = HashMap::new();
                        self.each_version(key, &entity, &mut |_, row| {
                            rows.extend(row.ok().map(|row| (row.at, row)));
                        })?;
                        all = Some(rows);
                    }
                    // Taken out, so that nothing is asked twice, whatever refers to what.
                    let parents = record.parents.iter();
                    next.extend(parents.filter_map(|at| all.as_mut()?.remove(at)));
                }
                _ => {
                    let what = "a version of a text".into();
                    return Err(StoreError::Tampered { what });
                }
            }
        }
        Ok(names)
    }
}

fn heads(hot: &Hot, names: &[Name]) -> Heads {
    let change = |name: &Name| match name {
        Name::Genesis => hot.doc.first(),
        Name::Change(change) => *change,
    };
    names.iter().map(change).collect()
}
