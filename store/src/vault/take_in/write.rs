//! The transaction that takes versions in.

use std::collections::HashSet;
use std::sync::Arc;

use super::notes::{About, Fate, Note};
use super::sorted::{Sorted, Taking};
use super::{TakeInError, TakenIn};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{BatchRow, Body, EventRef, Version};
use crate::ids::EntityId;
use crate::keys::Key;
use crate::record::kind;
use crate::vault::Vault;
use crate::vault::commit::{Committer, pending_inode};
use crate::vault::heads::{COUNTERS, seal_counters};
use crate::vault::history::{NewVersions, ToldAt};
use crate::vault::inode::{Inode, pending};
use crate::vault::publish::Publishing;
use crate::vault::secrets::Counters;

impl Vault {
    /// Stores what was sorted, together with the batch that it came in, if that is new. If it cannot, no
    /// document has any of it.
    pub(super) fn take(
        &self,
        new: Option<(&BatchRow, &[u8])>,
        lamport: u64,
        mut sorted: Sorted,
        taken: &mut TakenIn,
    ) -> Result<(), TakeInError> {
        let mut entities: Vec<EntityId> = Vec::new();
        for taking in &sorted.taking {
            if !entities.contains(&taking.entity) {
                entities.push(taking.entity);
            }
        }
        let takings = std::mem::take(&mut sorted.taking);
        let settings = match self.store(new, lamport, &mut sorted, (takings, &entities)) {
            Ok(settings) => settings,
            Err(e) => {
                entities.iter().for_each(|entity| self.give_up(*entity));
                return Err(e);
            }
        };
        self.see(std::mem::take(&mut sorted.ops), &entities);
        taken.entities.extend(entities);
        taken.settings.extend(settings);
        taken.set_aside.extend(sorted.bad);
        taken.set_aside.extend(sorted.unknown);
        let waiting = sorted.waiting.into_iter().map(|(at, _)| at);
        let (newer, waiting): (Vec<_>, Vec<_>) = waiting.partition(|at| sorted.newer.contains(at));
        taken.newer.extend(newer);
        taken.waiting.extend(waiting);
        Ok(())
    }

    fn store(
        &self,
        new: Option<(&BatchRow, &[u8])>,
        lamport: u64,
        sorted: &mut Sorted,
        (takings, entities): (Vec<Taking>, &[EntityId]),
    ) -> Result<Vec<[u8; 16]>, TakeInError> {
        let mut committer = self.committer.lock();
        let mut counters = committer.counters;
        let number = counters.next_batch;
        let (mut batch, mut versions) = (Batch::new(), NewVersions::default());
        for came in &sorted.key_only {
            let entity = EntityId(came.head.subject);
            if let Some(key) = sorted.keys.get(&entity) {
                let batch = came.batch.unwrap_or(number);
                versions.note_key(self, key, entity, (batch, came.sealed_at), &came.head);
            }
        }
        for about in sorted.gone.iter().filter_map(|at| sorted.about.get(at)) {
            about.waits_no_more(&mut batch);
        }
        for taking in takings {
            let (head, version) = (taking.head, taking.version);
            let Some(key) = sorted.keys.get(&taking.entity) else {
                continue;
            };
            if taking.batch.is_some() {
                About::of(&head).waits_no_more(&mut batch);
            }
            if let Body::Carried { of, .. } = &version.body {
                // What it says is here now, whatever becomes of it itself.
                let about = About {
                    at: *of,
                    ..About::of(&head)
                };
                about.waits_no_more(&mut batch);
            }
            let told = ToldAt {
                batch: taking.batch.unwrap_or(number),
                offset: taking.sealed_at,
                len: head.sealed.len,
                at: head.at,
                generation: head.generation,
                lamport: head.lamport,
                parents: self.without_holes(&mut sorted.holes, head.replaces)?,
                program: None,
                same: match &version.body {
                    Body::Same => true,
                    Body::Carried { bytes, .. } => bytes.is_empty(),
                    _ => false,
                },
                foreign: true,
            };
            versions.note(self, key, taking.entity, &version, told);
        }
        versions.put(&mut batch)?;
        for op in &sorted.ops {
            self.put_op(&mut batch, op);
        }
        self.put_gaps(&mut batch, &sorted.ops, &sorted.gaps)?;
        let said = self.put_words(&mut batch, &sorted.words)?;
        let heard = new.map(|(row, _)| self.put_heard(&mut batch, row.chain, sorted.heard));
        let heard = heard.transpose()?;
        for entity in &sorted.new {
            if let Some(key) = sorted.keys.get(entity) {
                self.put_awaited(&mut batch, entity, key);
            }
        }
        let about = |at: &EventRef| sorted.about.get(at);
        for about in sorted.read.iter().filter_map(about) {
            about.waits_no_more(&mut batch);
        }
        let settings = self.newer_settings(&mut batch, &sorted.settings)?;
        let stored = sorted.settings.iter().filter(|came| came.batch.is_some());
        for about in stored.filter_map(|came| about(&came.at)) {
            about.waits_no_more(&mut batch);
        }
        let level = self.level();
        for about in sorted.bad.iter().filter_map(about) {
            let note = Note {
                about: *about,
                fate: Fate::Aside,
                batch: None,
                level,
            };
            note.put(&mut batch);
        }
        for (at, stored) in &sorted.waiting {
            if let (Some(about), true) = (about(at), stored.is_none() || sorted.anew.contains(at)) {
                let fate = match sorted.newer.contains(at) {
                    true => Fate::Newer,
                    false => Fate::Waits,
                };
                let note = Note {
                    about: *about,
                    fate,
                    batch: Some(stored.unwrap_or(number)),
                    level,
                };
                note.put(&mut batch);
            }
        }
        // What was set aside is taken, or waits.
        let bad: HashSet<&EventRef> = sorted.bad.iter().collect();
        let good = sorted.anew.iter().filter(|at| !bad.contains(at));
        for about in good.filter_map(about) {
            about.is_not_aside(&mut batch);
        }
        // What of those that waited nobody knows what to do with any more: their file was purged.
        for about in sorted.unknown.iter().filter_map(about) {
            about.waits_no_more(&mut batch);
        }
        if let Some((row, bytes)) = new {
            let place = self.core.packs.append(kind::BATCH, &row.head, bytes);
            let place = place.map_err(StoreError::from)?;
            let row = BatchRow { place, ..row.clone() };
            batch.put(Table::Batches, number.to_be_bytes(), row.encode());
            counters.next_batch = number + 1;
        }
        let behind = self.apply_taken((&mut committer, counters), lamport, batch, entities)?;
        self.words_are_stored(said)?;
        heard.map_or(Ok(()), |heard| self.heard_is_stored(heard))?;
        let changed: Vec<[u8; 16]> = settings.iter().map(|(id, _)| *id).collect();
        self.settings_came(settings);
        for (entity, noted) in behind {
            self.be_behind_by_now(entity, &noted);
        }
        Ok(changed)
    }

    /// Tells versions that carry others of an entity over, in one transaction.
    pub(in crate::vault) fn tell_carried(
        &self,
        of: (EntityId, &Key),
        versions: Vec<(Version, Vec<EventRef>)>,
    ) -> Result<(), StoreError> {
        let mut committer = self.committer.lock();
        let mut counters = committer.counters;
        let (mut publishing, mut batch) = (Publishing::new(self, &counters), Batch::new());
        publishing.carried(of, versions);
        let told = publishing.finish(&mut counters, &mut batch)?;
        let behind = self.apply_taken((&mut committer, counters), 0, batch, &[of.0])?;
        self.feed.told(&told);
        for (entity, noted) in behind {
            self.be_behind_by_now(entity, &noted);
        }
        Ok(())
    }

    /// Makes a transaction of events and rows, by which these entities have newer versions. Returns the
    /// inodes that it notes as behind. The committer is held.
    pub(in crate::vault) fn apply_taken(
        &self,
        (committer, mut counters): (&mut Committer, Counters),
        lamport: u64,
        mut batch: Batch,
        entities: &[EntityId],
    ) -> Result<Vec<(EntityId, Arc<Inode>)>, StoreError> {
        let packs = self.core.packs.sync()?;
        for (pack, len) in &packs {
            batch.put(Table::Packs, pack.to_be_bytes(), len.to_be_bytes());
        }
        let mut behind = Vec::new();
        for entity in entities {
            // It may have been given to another file meanwhile.
            let Some(ino) = self.living(*entity)? else {
                continue;
            };
            let Some(inode) = self.resident(ino)? else {
                continue;
            };
            // Until the file shows it: a crash must not leave it at what it was.
            let note = inode.state.read().pending | pending::BEHIND;
            batch.put(Table::Pending, pending_inode(inode.ino), pending::note(note));
            behind.push((*entity, inode));
        }
        counters.lamport = counters.lamport.max(lamport);
        counters.commits += 1;
        batch.put(Table::Meta, COUNTERS, seal_counters(&self.local, &counters));
        self.core.db.apply(&batch)?;
        self.core.packs.committed(&packs);
        committer.counters = counters;
        self.feed
            .hears(behind.iter().map(|(_, inode)| inode.ino).collect());
        Ok(behind)
    }

    /// There are newer versions of an entity, as the note of this inode says, which had it when that was
    /// written. Another may have taken it over since: then the note is moved by the next commit.
    fn be_behind_by_now(&self, entity: EntityId, noted: &Inode) {
        // Nobody is half-way through taking it over; and no inode is locked while they are looked at.
        let tree = self.tree.read();
        let shows = self.living_resident(&tree, entity);
        {
            let mut state = noted.state.write();
            state.pending |= pending::BEHIND;
            state.meta_dirty |= shows != Some(noted.ino);
        }
        if shows != Some(noted.ino) {
            self.mark_dirty(noted.ino);
        }
        let inode = shows.and_then(|ino| self.inodes.lock().get(ino));
        if let Some(inode) = inode {
            let mut state = inode.state.write();
            self.be_behind(inode.ino, &mut state);
            if inode.ino != noted.ino {
                state.meta_dirty = true;
                drop(state);
                self.mark_dirty(inode.ino);
            }
        }
    }
}
