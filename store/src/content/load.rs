//! From the database to memory: the base, then the log over it, in order.

use std::sync::Arc;

use super::over::{Bytes, Extent};
use super::{Content, Owner, manifest};
use crate::chunk::Place;
use crate::core::StoreError;
use crate::db::Table;
use crate::event;
use crate::ids::{EntityId, EventRef};
use crate::keys::{Tampered, open};
use crate::record::{BaseRef, LogRecord};
use crate::text::TEXT_MAX;

impl Content {
    /// Reads pieces and log, unless that was done. A failed load leaves the content as it was.
    pub(crate) fn load(&mut self, owner: Owner<'_>) -> Result<(), StoreError> {
        if !self.unloaded {
            return Ok(());
        }
        let mut fresh = Content::stored(self.durable);
        fresh.unloaded = false;
        match self.durable.base {
            BaseRef::Empty => {}
            BaseRef::Body { .. } => {
                fresh.tail = read_body(owner, self.durable.base)?;
                fresh.tail_logged = fresh.tail.len();
            }
            BaseRef::Manifest(root) => {
                let pieces = manifest::load(owner.core, &root)?;
                fresh.base_len = pieces.last().map_or(0, |p| p.end());
                fresh.pieces = Arc::new(pieces);
                fresh.recount();
            }
        }
        fresh.size = fresh.base_len + fresh.tail.len() as u64;
        if let Err(e) = fresh.replay(owner) {
            // What was counted by the part that went well is not held after all.
            fresh.forget(owner.core);
            return Err(e);
        }
        fresh.size = self.durable.size;
        fresh.changes = self.changes;
        fresh.persisted = self.changes;
        self.forget(owner.core);
        *self = fresh;
        self.count(owner.core);
        Ok(())
    }

    fn replay(&mut self, owner: Owner<'_>) -> Result<(), StoreError> {
        let Some(rows) = log_rows(owner, self.durable.log_first, self.durable.log_next)? else {
            return Ok(());
        };
        for record in rows {
            match record {
                LogRecord::Write(offset, data) => {
                    self.put(owner, offset, &data);
                }
                LogRecord::Zero(offset, len) => {
                    self.size = self.size.max(offset + len);
                    self.punch(owner, offset, len);
                }
                LogRecord::Truncate(size) => self.truncate(owner, size)?,
                LogRecord::Stored {
                    offset,
                    place,
                    serial,
                    skip,
                    take,
                } => {
                    let bytes = Bytes::Stored { place, serial, skip };
                    self.put_stored(owner, offset, u64::from(take), bytes)?;
                }
            }
        }
        self.over.set_logged(true);
        self.tail_logged = self.tail.len();
        self.truncated = None;
        Ok(())
    }
}

impl Content {
    /// Bytes of a pack come to lie over the base, or are read into the tail. The base may
    /// end elsewhere than when they were logged.
    fn put_stored(
        &mut self,
        owner: Owner<'_>,
        offset: u64,
        len: u64,
        bytes: Bytes,
    ) -> Result<(), StoreError> {
        let whole = Extent {
            len,
            bytes,
            logged: true,
        };
        let end = offset + len;
        self.size = self.size.max(end);
        let below = end.min(self.base_len).saturating_sub(offset);
        if below > 0 {
            self.over.insert(offset, whole.part(0, below));
        }
        if below == len {
            return Ok(());
        }
        let (start, rest) = (offset + below, whole.part(below, len));
        if start > self.base_len + self.tail.len() as u64 {
            self.over.insert(start, rest);
            return Ok(());
        }
        if let Bytes::Stored { place, serial, skip } = rest.bytes {
            let plain = owner.core.read_extent(owner.key, owner.ino, serial, place)?;
            let (from, to) = (skip as usize, skip as usize + rest.len as usize);
            let part = plain.get(from..to).ok_or_else(|| StoreError::Tampered {
                what: "a part of a file that is not yet a version".into(),
            })?;
            self.put(owner, start, part);
        }
        Ok(())
    }
}

/// Opens a small body.
pub(crate) fn read_body(owner: Owner<'_>, base: BaseRef) -> Result<Vec<u8>, StoreError> {
    let BaseRef::Body {
        batch,
        offset,
        len,
        at,
        generation,
        entity,
    } = base
    else {
        return Ok(Vec::new());
    };
    match read_version(owner, entity, (batch, offset, len), at, generation)?.body {
        // An event has its limit; a text that was saved over before it was told lies in one whole.
        event::Body::Inline(bytes) if bytes.len() <= TEXT_MAX => Ok(bytes),
        _ => Err(StoreError::Tampered {
            what: "a file's body".into(),
        }),
    }
}

/// Opens the payload of a version of an entity that the file stands for, or stood for: batch, first byte in it as it was made, length.
pub(crate) fn read_version(
    owner: Owner<'_>,
    entity: EntityId,
    (batch, offset, len): (u64, u32, u32),
    at: EventRef,
    generation: u32,
) -> Result<event::Version, StoreError> {
    let what = "a file's body";
    let find = || -> Result<(Place, u32), StoreError> {
        let lies = owner.core.lies((batch, offset), at)?;
        let found = lies.and_then(|lies| Some((lies.row.place, lies.row.physical(lies.offset, len)?)));
        found.ok_or_else(|| StoreError::Missing { what: what.into() })
    };
    let mut found = find()?;
    let mut sealed = vec![0; len.min(event::EVENT_MAX as u32) as usize];
    while let Err(e) = owner.core.packs.read(found.0, found.1, &mut sealed) {
        // Its pack may have been written anew and removed meanwhile, or the batch, or that may have been joined.
        match find() {
            Ok(now) if now != found => found = now,
            _ => return Err(e.into()),
        }
    }
    let aad = event::content_aad(&entity, at, generation);
    let key = owner.binding.key_of(owner.key, entity);
    let key = key.ok_or_else(|| StoreError::Missing {
        what: format!("the key of {what}"),
    })?;
    let opened = owner.core.keyring().open_content(key, &aad, &sealed);
    let payload = zeroize::Zeroizing::new(opened.map_err(|_| StoreError::tampered(what)(Tampered))?);
    event::Version::decode(&payload).map_err(|e| StoreError::malformed(what)(e.into()))
}

fn log_rows(owner: Owner<'_>, first: u64, next: u64) -> Result<Option<Vec<LogRecord>>, StoreError> {
    if first == next {
        return Ok(None);
    }
    let what = "the log of a file";
    let mut rows = Vec::new();
    let mut expected = first;
    let mut bad = None;
    owner
        .core
        .db
        .scan(Table::Log, &owner.ino.to_be_bytes(), &mut |key, value| {
            let seq = match key.get(8..16).map(<[u8; 8]>::try_from) {
                Some(Ok(seq)) => u64::from_be_bytes(seq),
                _ => return true,
            };
            if seq < first || seq >= next {
                return true;
            }
            let opened = open(owner.key, &super::persist::log_aad(owner.ino, seq), value)
                .map_err(StoreError::tampered(what))
                .and_then(|plain| LogRecord::decode(&plain).map_err(StoreError::malformed(what)));
            match opened {
                Ok(record) if seq == expected => {
                    rows.push(record);
                    expected += 1;
                    true
                }
                Ok(_) => {
                    bad = Some(StoreError::Missing { what: what.into() });
                    false
                }
                Err(e) => {
                    bad = Some(e);
                    false
                }
            }
        })?;
    if let Some(e) = bad {
        return Err(e);
    }
    if expected != next {
        return Err(StoreError::Missing { what: what.into() });
    }
    Ok(Some(rows))
}
