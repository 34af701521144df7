//! What is here of files and was not read: it may say what neither a removal nor the retention knows of.
//!
//! Guarantees: what this device lets go of by itself is asked about here first. A removed file of which something waits,
//! or was set aside by this program, stays as it is until that is read: an edit that no removal has seen makes it lose. So
//! does every version that such a one goes on from, and all of a file where nobody can say which that is. A person's own
//! purge goes on, and is told how much of it there was.

use std::collections::HashSet;

use super::noted::do_names_wait;
use super::notes::{NAMES_NEWER, Note};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::vault::Vault;

/// See the module.
#[derive(Default)]
pub(in crate::vault) struct Unread {
    /// Something waits that says where names lie: it may give one to any file.
    names: bool,
    /// Files of which something is here.
    files: HashSet<EntityId>,
    /// The versions that this goes on from.
    bases: HashSet<EventRef>,
    /// Files of which something is here that cannot be had: what it goes on from is not known.
    blind: HashSet<EntityId>,
}

impl Unread {
    /// Whether a removed file may come back for it.
    pub(in crate::vault) fn may_revive(&self, file: &EntityId) -> bool {
        self.names || self.files.contains(file)
    }

    /// Whether it goes on from a version of this file, or may.
    pub(in crate::vault) fn needs(&self, file: &EntityId, at: &EventRef) -> bool {
        self.bases.contains(at) || self.blind.contains(file)
    }
}

impl Vault {
    /// The files of which something is here that was not read.
    pub(in crate::vault) fn unread_files(&self) -> Result<HashSet<EntityId>, StoreError> {
        let notes = self.notes_of_files()?.into_iter();
        Ok(notes.map(|note| EntityId(note.about.subject)).collect())
    }

    /// The same, and what of them it needs. The committer is held.
    pub(in crate::vault) fn unread(&self) -> Result<Unread, StoreError> {
        let notes = self.notes_of_files()?;
        let mut unread = Unread {
            names: do_names_wait(&self.core.db)?,
            ..Unread::default()
        };
        let file = |note: &Note| EntityId(note.about.subject);
        unread.files.extend(notes.iter().map(file));
        let mut read: HashSet<EventRef> = HashSet::new();
        let bases = &mut unread.bases;
        self.each_of(&notes, &mut |found| {
            read.insert(found.event.head.at);
            bases.extend(&found.event.head.replaces);
            Ok(())
        })?;
        let blind = notes.iter().filter(|note| !read.contains(&note.about.at));
        unread.blind.extend(blind.map(file));
        Ok(unread)
    }

    /// How much is here of a file that was not read.
    pub(in crate::vault) fn count_unread(&self, file: &EntityId) -> Result<u64, StoreError> {
        let mut count = 0;
        self.each_key_of(file, &mut |_| count += 1)?;
        Ok(count)
    }

    /// A file is destroyed, and with it what is noted of what was not read; how much that was. What may be about names stays noted: it is sealed
    /// by the epoch, and until it is read nothing is folded.
    pub(in crate::vault) fn forget_unread(
        &self,
        batch: &mut Batch,
        file: &EntityId,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        self.each_key_of(file, &mut |key| {
            if key.first() != Some(&NAMES_NEWER) {
                batch.delete(Table::Pending, key);
            }
            count += 1;
        })?;
        Ok(count)
    }
}
