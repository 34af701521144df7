//! What is known of a file.

use std::collections::HashSet;

use super::PAGE;
use crate::content::manifest;
use crate::content::pieces::LeafEntry;
use crate::core::StoreError;
use crate::db::Table;
use crate::event::EventRef;
use crate::ids::{ChainId, EntityId, Ino};
use crate::keys::{ChunkId, Key};
use crate::record::{BaseRef, InodeRecord, Kept, Marks, Meta, Time, VersionRecord};
use crate::text::TEXT_MAX;
use crate::tree::Kind;
use crate::vault::history::{open_row, split_key};
use crate::vault::inode::Inode;
use crate::vault::texts::not_shown_of;
use crate::vault::{OpError, Vault};

/// What of a file is to be looked at by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// So many versions stand beside what it shows: both sides changed what does not merge, one is shown, and nothing replaces
    /// the others ([`Vault::versions_beside`]). Over once a version is saved upon all, or they are let go of.
    Beside(u64),
    /// It shows the merge of so many versions, upon which nobody has saved yet ([`Vault::merges`]). Nothing has to be done;
    /// whoever wants to look does so before he goes on.
    Merged(u64),
}

/// What is known of a file, folder or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its number: in this store alone.
    pub ino: Ino,
    /// What it stands for on every device; of a folder its node.
    pub entity: EntityId,
    /// What it is.
    pub kind: Kind,
    /// Bytes; of a folder 0.
    pub size: u64,
    /// When it was made.
    pub created: Time,
    /// When its bytes were changed, as programs say.
    pub modified: Time,
    /// When anything of it was changed, on this device.
    pub changed: Time,
    /// When the newest version that it shows was recorded, by its device's clock; none before there is one. What is written and not told yet
    /// is no version.
    pub recorded: Option<Time>,
    /// How many versions are known, as their list counts them; of a folder 0.
    pub versions: u64,
    /// The chain of the device that made what it shows, this one's for what is not told yet: its name is
    /// [`Vault::device_named`].
    pub device: ChainId,
    /// Whether all its bytes are on this device.
    pub here: bool,
    /// Whether it merges as text: it has a text's name, and its newest version is one, if there is any.
    pub is_text: bool,
    /// How many names it has; of a folder 1.
    pub nlink: u32,
    /// Permission bits.
    pub perm: u16,
    /// What of it is to be looked at. Whether a name is a conflict file's, the name says:
    /// [`Name::is_conflict`](super::Name::is_conflict).
    pub conflict: Option<Conflict>,
}

/// A file, as far as it can be looked at without its versions.
struct File {
    ino: Ino,
    entity: EntityId,
    /// Of a folder it opens nothing.
    key: Key,
    marks: Marks,
    meta: Meta,
    size: u64,
    base: BaseRef,
    named_by: Vec<EventRef>,
    untold: bool,
    /// The chunks that it shows, if they are known already.
    chunks: Option<Vec<ChunkId>>,
}

impl File {
    fn of(inode: &Inode, is_partial: bool) -> File {
        let state = inode.state.read();
        let content = state.content.as_deref();
        let loaded = content.filter(|content| is_partial && !content.is_unloaded());
        File {
            ino: inode.ino,
            entity: state.binding.entity(),
            key: state.binding.key(inode.key()).duplicate(),
            marks: state.marks,
            meta: Meta {
                xattrs: None,
                ..state.meta
            },
            size: state.size(),
            base: content.map_or(BaseRef::Empty, |content| content.durable().base),
            named_by: state.named_by(),
            untold: state.untold,
            chunks: loaded.map(|content| {
                let mut chunks = Vec::new();
                content.chunks_in(0..content.size(), &mut |chunk| chunks.push(chunk.id));
                chunks
            }),
        }
    }

    fn has_versions(&self) -> bool {
        matches!(self.meta.kind, Kind::File | Kind::Symlink) && !self.named_by.is_empty()
    }

    fn stored(ino: Ino, key: Key, mut record: InodeRecord, untold: bool) -> File {
        File {
            ino,
            entity: record.entity,
            key: match record.entity_key {
                Some(mut key) => Key::take(&mut key),
                None => key,
            },
            marks: record.marks,
            meta: Meta {
                xattrs: None,
                ..record.meta
            },
            size: record.size,
            base: record.base,
            named_by: record
                .published
                .into_iter()
                .chain(record.beside.drain(..))
                .collect(),
            untold,
            chunks: None,
        }
    }
}

impl Facts {
    /// What its versions say, which are these.
    fn take_in(&mut self, file: &File, rows: &[VersionRecord]) {
        self.versions = count(rows);
        let shown = rows.iter().filter(|row| file.named_by.contains(&row.at));
        if let Some(newest) = shown.max_by_key(|row| (row.recorded, row.lamport, row.at)) {
            self.recorded = Some(newest.recorded);
            self.is_text &= newest.form == 2;
            if !file.untold {
                self.device = newest.at.chain;
            }
        }
        let beside = match rows.len() {
            0 | 1 => 0,
            _ => not_shown_of(rows, &file.named_by).len() as u64,
        };
        self.conflict = match (beside, file.named_by.len() as u64) {
            (0, 0 | 1) => None,
            (0, merged) => Some(Conflict::Merged(merged)),
            (beside, _) => Some(Conflict::Beside(beside)),
        };
    }
}

/// How many versions these rows are, as their list counts them: what changed attributes alone is none.
fn count(rows: &[VersionRecord]) -> u64 {
    let (mut count, mut last) = (0, None);
    for row in rows.iter().filter(|row| row.kept != Kept::Key) {
        count += u64::from(last != Some(row.number));
        last = Some(row.number);
    }
    count
}

impl Vault {
    /// What is known of a file.
    ///
    /// # Errors
    /// ENOENT if it is gone; as [`OpError`] says.
    pub fn facts(&self, ino: Ino) -> Result<Facts, OpError> {
        let is_partial = self.is_partial();
        let file = self.glance(ino, |inode| Ok(File::of(inode, is_partial)))?;
        Ok(self.facts_from(&file)?)
    }

    /// The same of many, in this order, until `each` returns false: their rows are read together.
    pub fn facts_of(&self, inos: &[Ino], each: &mut dyn FnMut(Ino, Result<Facts, OpError>) -> bool) {
        for page in inos.chunks(PAGE) {
            let together = self.facts_together(page).unwrap_or_default();
            let mut together = together.into_iter();
            for ino in page {
                let resident = self.inodes.lock().get(*ino).is_some();
                let facts = match together.next().flatten().filter(|_| !resident) {
                    Some(facts) => Ok(facts),
                    // What is in memory counts; what could not be read so says why by itself.
                    None => self.facts(*ino),
                };
                if !each(*ino, facts) {
                    return;
                }
            }
        }
    }

    /// Of those that are not in memory, and whose rows can be read.
    fn facts_together(&self, inos: &[Ino]) -> Result<Vec<Option<Facts>>, StoreError> {
        let keys: Vec<[u8; 8]> = inos.iter().map(|ino| ino.to_be_bytes()).collect();
        let sealed = self.core.db.get_many(Table::Inodes, &keys)?;
        let wrapped = self.core.db.get_many(Table::Wraps, &keys)?;
        let untold: Vec<bool> = {
            let untold = self.untold.lock();
            inos.iter().map(|ino| untold.inodes.contains(ino)).collect()
        };
        let (mut facts, mut places): (Vec<Option<Facts>>, Vec<usize>) = (Vec::new(), Vec::new());
        let (mut files, mut entities): (Vec<File>, Vec<[u8; 16]>) = (Vec::new(), Vec::new());
        for (place, (ino, (sealed, wrapped))) in inos.iter().zip(sealed.into_iter().zip(wrapped)).enumerate()
        {
            facts.push(None);
            let rows = sealed.zip(wrapped);
            let Some(Ok((key, record))) = rows.map(|(row, key)| self.open_record(*ino, &row, &key)) else {
                continue;
            };
            let file = File::stored(*ino, key, record, untold[place]);
            facts[place] = self.facts_without_versions(&file).ok();
            if facts[place].is_some() && file.has_versions() {
                places.push(place);
                entities.push(file.entity.0);
                files.push(file);
            }
        }
        let (mut rows, mut plain, mut failed) = (Vec::new(), Vec::new(), false);
        self.core
            .db
            .scan_many(Table::Versions, &entities, &mut |n, row| {
                let (file, of) = (&files[n], &mut facts[places[n]]);
                match row.and_then(|(key, value)| Some((split_key(key)?, value))) {
                    Some(((_, serial), value)) => {
                        let opened = open_row(&file.key, &file.entity, serial, value, &mut plain);
                        failed |= opened.is_err();
                        rows.extend(opened.ok());
                    }
                    None if row.is_some() => {}
                    None => {
                        match failed && rows.is_empty() {
                            true => *of = None,
                            false => of.iter_mut().for_each(|facts| facts.take_in(file, &rows)),
                        }
                        (rows, failed) = (Vec::new(), false);
                    }
                }
            })?;
        zeroize::Zeroize::zeroize(&mut plain);
        Ok(facts)
    }

    fn facts_from(&self, file: &File) -> Result<Facts, StoreError> {
        let mut facts = self.facts_without_versions(file)?;
        if !file.has_versions() {
            return Ok(facts);
        }
        let (mut rows, mut failed): (Vec<VersionRecord>, _) = (Vec::new(), None);
        self.each_version(&file.key, &file.entity, &mut |_, row| match row {
            Ok(row) => rows.push(row),
            Err(error) => failed = Some(error),
        })?;
        match failed.filter(|_| rows.is_empty()) {
            // One that cannot be read is named by `check`, and keeps nobody from the others.
            None => facts.take_in(file, &rows),
            Some(error) => return Err(error),
        }
        Ok(facts)
    }

    fn facts_without_versions(&self, file: &File) -> Result<Facts, StoreError> {
        let is_file = file.meta.kind == Kind::File;
        Ok(Facts {
            ino: file.ino,
            entity: file.entity,
            kind: file.meta.kind,
            size: file.size,
            created: file.meta.btime,
            modified: file.meta.mtime,
            changed: file.meta.ctime,
            recorded: None,
            versions: 0,
            device: self.own_chain(),
            here: self.is_here(file)?,
            is_text: is_file && file.marks.text && file.size <= TEXT_MAX as u64,
            nlink: match file.meta.kind {
                Kind::Folder => 1,
                _ => file.meta.nlink,
            },
            perm: file.meta.perm,
            conflict: None,
        })
    }

    /// Whether all bytes of a file are on this device. Of one that is written over and not in memory, all that lies below counts.
    fn is_here(&self, file: &File) -> Result<bool, StoreError> {
        if !self.is_partial() {
            return Ok(true);
        }
        let mut chunks: HashSet<ChunkId> = HashSet::new();
        match (&file.chunks, file.base) {
            (Some(shown), _) => chunks.extend(shown),
            (None, BaseRef::Manifest(root)) => {
                manifest::walk(&self.core, &root, &mut |_| {}, &mut |entry| {
                    if let LeafEntry::Chunk(chunk) = entry {
                        chunks.insert(chunk.id);
                    }
                })?;
            }
            _ => {}
        }
        for id in &chunks {
            if self.core.chunk_row(id)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
