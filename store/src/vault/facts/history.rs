//! What happened: a row for each version of each file, and for each removal.
//!
//! Told is what is kept: that a file was renamed or moved, or came back after a removal, is in no version, and so is
//! not told; nor is by whom it was removed.

use std::collections::HashMap;

use super::entities::{Entity, Of};
use crate::core::StoreError;
use crate::event::EventRef;
use crate::ids::{ChainId, EntityId, Ino};
use crate::record::{Kept, Kind, Time, VersionRecord};
use crate::tree::TreeError;
use crate::vault::{OpError, Subject, Vault};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It began with this version.
    Created,
    /// It was written anew, or in parts.
    Edited,
    /// The first version upon several that were concurrent.
    Merged,
    /// Its last name was removed.
    Removed,
}

/// One thing that happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// What it is about, everywhere.
    pub entity: EntityId,
    /// What that is here.
    pub of: Of,
    /// What was done.
    pub deed: Deed,
    /// The version's number, as the list of a file's versions has it; none of a removal.
    pub number: Option<u64>,
    /// When, by the clock of the device on which it was.
    pub when: Time,
    /// The file's modification time; of a removal `when`.
    pub modified: Time,
    /// Bytes after it; of a removal what went.
    pub size: u64,
    /// Bytes of the first of the versions that it was made from; none if there was none, or it is not known any more.
    pub size_before: Option<u64>,
    /// The chain of the device that did it, whose name is [`Vault::device_named`]; none of a removal.
    pub device: Option<ChainId>,
    /// The program that did it, where that was seen.
    pub program: Option<String>,
    /// A regular file or a symlink.
    pub kind: Kind,
    /// Whether its bytes are kept.
    pub held: bool,
}

/// The rows of one entity, the oldest first.
fn rows_of(entity: &Entity, versions: &[VersionRecord]) -> Vec<HistoryRow> {
    let sizes: HashMap<EventRef, u64> = match versions.len() {
        0 | 1 => HashMap::new(),
        _ => versions.iter().map(|row| (row.at, row.size)).collect(),
    };
    let mut rows: Vec<HistoryRow> = Vec::with_capacity(versions.len() + 1);
    for version in versions.iter().filter(|version| version.kept != Kept::Key) {
        if let Some(last) = rows.last_mut().filter(|last| last.number == Some(version.number)) {
            // Its attributes changed.
            last.modified = version.modified;
            last.held |= version.kept == Kept::All;
            continue;
        }
        rows.push(HistoryRow {
            entity: entity.id,
            of: entity.of.clone(),
            deed: match version.parents.len() {
                0 => Deed::Created,
                1 => Deed::Edited,
                _ => Deed::Merged,
            },
            number: Some(version.number),
            when: version.recorded,
            modified: version.modified,
            size: version.size,
            size_before: version.parents.first().and_then(|at| sizes.get(at).copied()),
            device: Some(version.at.chain),
            program: version.program.clone(),
            kind: version.kind,
            held: version.kept == Kept::All,
        });
    }
    if let Some(gone) = &entity.gone {
        rows.push(HistoryRow {
            entity: entity.id,
            of: entity.of.clone(),
            deed: Deed::Removed,
            number: None,
            when: gone.when,
            modified: gone.when,
            size: gone.size,
            size_before: None,
            device: None,
            program: None,
            kind: gone.kind,
            held: false,
        });
    }
    rows
}

impl Vault {
    /// Calls `each` with all that happened since then, by the clocks of the devices on which it did, until it returns false: file by file, in no
    /// order of files, of each the oldest first. Only what is recorded; what is damaged is left out, and `check` names it.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn history(
        &self,
        since: Option<Time>,
        each: &mut dyn FnMut(HistoryRow) -> bool,
    ) -> Result<(), StoreError> {
        self.each_entity(&mut |entity, versions| {
            let rows = rows_of(entity, versions).into_iter();
            let mut new = rows.filter(|row| since.is_none_or(|since| row.when >= since));
            Ok(new.all(&mut *each))
        })
    }

    /// The same of these, for who keeps current what [`Vault::history`] told: of each what was asked for, and its rows; ENOENT if it is
    /// not known, or was answered by another of its names. What was removed under one name may be a file by another: whoever knows of a
    /// file for the entity goes by that. Whoever asks for many that were removed asks once.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn history_of(
        &self,
        of: &[Subject],
        each: &mut dyn FnMut(Subject, Result<Vec<HistoryRow>, OpError>),
    ) -> Result<(), StoreError> {
        let is_removed = |of: &Subject| matches!(of, Subject::Removed(_));
        let (mut gone, of_node) = match of.iter().any(is_removed) {
            true => self.removed_entities()?,
            false => Default::default(),
        };
        for of in of {
            let entity = match of {
                Subject::Removed(node) => {
                    // A name of a file that has others is no end of it.
                    let entity = of_node.get(node).and_then(|entity| gone.remove(entity));
                    entity.ok_or(TreeError::NotFound.into())
                }
                Subject::File(ino) => self.entity_of(*ino, None),
                Subject::Entity { entity, seen } => self.entity_of(*seen, Some(*entity)),
            };
            let rows = entity.and_then(|entity| {
                let mut versions = Vec::new();
                self.each_version(&entity.key, &entity.id, &mut |_, row| versions.extend(row.ok()))?;
                Ok(rows_of(&entity, &versions))
            });
            each(*of, rows);
        }
        Ok(())
    }

    /// What a file stands for; if that is this.
    fn entity_of(&self, ino: Ino, wanted: Option<EntityId>) -> Result<Entity, OpError> {
        let entity = self.glance(ino, |inode| Ok(Entity::of(inode)))?;
        let entity = entity.ok_or(OpError::Errno(libc::EINVAL))?;
        match wanted {
            Some(wanted) if wanted != entity.id => Err(TreeError::NotFound.into()),
            _ => Ok(entity),
        }
    }
}
