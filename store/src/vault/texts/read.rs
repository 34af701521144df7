//! Old versions of texts.

use super::shelf::DocumentError;
use crate::core::StoreError;
use crate::ids::{EntityId, EventRef};
use crate::keys::Key;
use crate::record::VersionRecord;
use crate::vault::Vault;

impl Vault {
    /// The bytes of a version that is a change of a text.
    pub(in crate::vault) fn text_of_version(
        &self,
        key: &Key,
        entity: EntityId,
        record: &VersionRecord,
    ) -> Result<Vec<u8>, StoreError> {
        match self.text_of(key, entity, &[record.at])? {
            Some(text) if text.len() as u64 == record.size => Ok(text),
            _ => Err(StoreError::Tampered {
                what: "a version of a text".into(),
            }),
        }
    }

    /// The texts that several sets of versions come to, each together; none if they are not all of one
    /// text, or its document fails.
    pub(in crate::vault) fn texts_of(
        &self,
        key: &Key,
        entity: EntityId,
        of: &[Vec<EventRef>],
    ) -> Result<Option<Vec<String>>, StoreError> {
        let Some(first) = of.iter().flatten().next() else {
            return Ok(None);
        };
        let texts = self.with_document((entity, key), *first, |hot| {
            let each = of.iter().map(|versions| hot.union(versions));
            let Some(heads) = each.collect::<Option<Vec<_>>>() else {
                return Ok(None);
            };
            let texts = heads.iter().map(|heads| hot.doc.text_at(heads));
            Ok(Some(texts.collect::<Result<Vec<_>, _>>()?))
        });
        match texts {
            Ok(texts) => Ok(texts.flatten()),
            Err(DocumentError::Store(e)) => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// The text that versions come to together; none if they are not of one text, or its document
    /// fails.
    pub(in crate::vault) fn text_of(
        &self,
        key: &Key,
        entity: EntityId,
        versions: &[EventRef],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(first) = versions.first() else {
            return Ok(None);
        };
        let text = self.with_document((entity, key), *first, |hot| {
            let heads = hot.union(versions);
            Ok(heads.map(|heads| hot.doc.text_at(&heads)).transpose()?)
        });
        match text {
            Ok(text) => Ok(text.flatten().map(String::into_bytes)),
            Err(DocumentError::Store(e)) => Err(e),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::Subject;
    use crate::vault::tests::{file_meta, vault};

    /// Whoever restored a version waited for its document with the committer held: nobody could commit
    /// until some long work on that text was done.
    #[test]
    fn nobody_waits_for_a_document_with_the_committer_held() {
        let vault = vault(&SimDisk::new());
        let ino = vault.make(ROOT, b"note.md", file_meta(), b"").unwrap();
        for text in ["one\n", "one two\n", "one two three\n"] {
            vault.open(ino, true, true, false).unwrap();
            vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
            vault.release(ino, true);
            vault.commit().unwrap();
        }
        let slot = vault.texts.slot(vault.entity(ino).unwrap());
        let held = slot.lock();
        std::thread::scope(|scope| {
            let restores = scope.spawn(|| vault.restore_version(Subject::File(ino), 2));
            while vault.history.try_lock().is_some() {
                std::thread::yield_now();
            }
            for _ in 0..1000 {
                assert!(vault.committer.try_lock_for(Duration::from_secs(10)).is_some());
                std::thread::yield_now();
            }
            drop(held);
            restores.join().unwrap().unwrap();
        });
        let mut out = Vec::new();
        vault.read(ino, 0, 100, &mut out).unwrap();
        assert_eq!(out, b"one two\n");
    }
}
