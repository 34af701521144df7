//! An old version's bytes.

use std::sync::{Arc, Weak};

use super::{Subject, VersionInfo};
use crate::binding::Binding;
use crate::content::{Content, Durable, Owner, read_version};
use crate::core::StoreError;
use crate::event::Version;
use crate::ids::EntityId;
use crate::keys::Key;
use crate::record::{BaseRef, BodyRef, ChunkRef, Kept, VersionRecord};
use crate::tree::TreeError;
use crate::vault::{OpError, Vault};

/// A version's content, as it was.
pub(in crate::vault) struct Reading {
    content: Content,
    key: Key,
    entity: EntityId,
}

impl Reading {
    /// The content; the collection asks what it names.
    pub(in crate::vault) fn content(&self) -> &Content {
        &self.content
    }
}

/// An old version, open for reading. While it is, its bytes stay, whatever is thinned; what is
/// purged goes all the same.
pub struct OldVersion {
    /// What is known of it.
    pub info: VersionInfo,
    reading: Arc<Reading>,
}

impl std::fmt::Debug for OldVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OldVersion").field(&self.info).finish()
    }
}

impl OldVersion {
    /// Appends up to `len` bytes from `offset` to `out`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn read(&self, vault: &Vault, offset: u64, len: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let binding = Binding::own(self.reading.entity);
        let owner = owner(vault, &self.reading.key, &binding);
        self.reading.content.read(owner, offset, len, out)
    }

    /// The stored pieces that it is made of.
    pub(in crate::vault) fn chunks(&self) -> Vec<ChunkRef> {
        let (content, mut chunks) = (&self.reading.content, Vec::new());
        content.chunks_in(0..content.size(), &mut |chunk| chunks.push(*chunk));
        chunks
    }

    /// The next data or hole at or after `offset`; none if there is none.
    pub fn seek(&self, offset: u64, data: bool) -> Option<u64> {
        self.reading.content.seek(offset, data)
    }
}

/// Versions are no inode's: nothing of theirs is sealed for a number.
fn owner<'a>(vault: &'a Vault, key: &'a Key, binding: &'a Binding) -> Owner<'a> {
    Owner {
        core: &vault.core,
        key,
        ino: 0,
        binding,
    }
}

impl Vault {
    /// Opens one by its number.
    ///
    /// # Errors
    /// ENOENT if there is none of that number, ESTALE if its bytes are not kept any more.
    pub fn open_version(&self, of: Subject, number: u64) -> Result<OldVersion, OpError> {
        // What is recorded already is not waited for.
        let recorded = self.whose_recorded(of).and_then(|whose| {
            let record = self.held_version(&whose.key, &whose.entity, number)?;
            Ok((whose, record))
        });
        let (whose, record) = match recorded {
            Err(error) if error.errno() == libc::ENOENT => {
                let whose = self.whose(of)?;
                let record = self.held_version(&whose.key, &whose.entity, number)?;
                (whose, record)
            }
            recorded => recorded?,
        };
        let content = match record.is_change() {
            true => Content::fixed(self.text_of_version(&whose.key, whose.entity, &record)?),
            false => self.version_content(&whose.key, whose.entity, &record)?,
        };
        let reading = Arc::new(Reading {
            content,
            key: whose.key,
            entity: whose.entity,
        });
        {
            let mut readers = self.readers.lock();
            readers.retain(|reader: &Weak<Reading>| reader.strong_count() > 0);
            readers.push(Arc::downgrade(&reading));
        }
        // Its chunks may have gone between the row and here: then it is gone by now.
        self.held_version(&reading.key, &reading.entity, number)?;
        Ok(OldVersion {
            info: self.describe(record),
            reading,
        })
    }

    /// The content of a version that has its bytes.
    fn version_content(
        &self,
        key: &Key,
        entity: EntityId,
        record: &VersionRecord,
    ) -> Result<Content, StoreError> {
        let mut content = Content::stored(Durable {
            size: record.size,
            base: base_of(record, entity),
            base_len: record.size,
            ..Durable::default()
        });
        content.load(owner(self, key, &Binding::own(entity)))?;
        Ok(content)
    }

    /// All bytes of a version that has them.
    pub(in crate::vault) fn version_bytes(
        &self,
        key: &Key,
        entity: EntityId,
        record: &VersionRecord,
    ) -> Result<Vec<u8>, StoreError> {
        let content = self.version_content(key, entity, record)?;
        let mut bytes = Vec::new();
        let binding = Binding::own(entity);
        content.read(owner(self, key, &binding), 0, record.size as usize, &mut bytes)?;
        Ok(bytes)
    }

    /// The row of a version whose bytes are kept.
    pub(super) fn held_version(
        &self,
        key: &Key,
        entity: &EntityId,
        number: u64,
    ) -> Result<VersionRecord, OpError> {
        let found = self.numbered(key, entity, number)?;
        let record = found
            .map(|(_, record)| record)
            .filter(|record| record.kept != Kept::Key);
        let record = record.ok_or(TreeError::NotFound)?;
        match record.kept {
            Kept::All => Ok(record),
            _ => Err(OpError::Errno(libc::ESTALE)),
        }
    }

    /// All that its event says of a version.
    pub(in crate::vault) fn version_payload(
        &self,
        key: &Key,
        entity: EntityId,
        record: &VersionRecord,
    ) -> Result<Version, StoreError> {
        let place = (record.batch, record.offset, record.len);
        let binding = Binding::own(entity);
        read_version(
            owner(self, key, &binding),
            entity,
            place,
            record.at,
            record.generation,
        )
    }
}

/// A version's bytes, as a file's base names them.
fn base_of(record: &VersionRecord, entity: EntityId) -> BaseRef {
    match record.body {
        _ if record.size == 0 => BaseRef::Empty,
        BodyRef::Manifest(root) => BaseRef::Manifest(root),
        BodyRef::Inline | BodyRef::Other | BodyRef::Change(_) => BaseRef::Body {
            batch: record.batch,
            offset: record.offset,
            len: record.len,
            at: record.at,
            generation: record.generation,
            entity,
        },
    }
}
