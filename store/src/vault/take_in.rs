//! Taking in what another chain of the same space has told: for now in tests alone, by hand; sync
//! will bring it over a network.
//!
//! Guarantees: only what follows what is here of its chain, and of all that it builds on, and is
//! signed by its device, is taken; a batch is taken as a whole, in one transaction, together with
//! what it says of versions. An event that cannot be used is set aside, with all that builds on it and
//! a row that says so, and nothing else suffers. A file with local writes that are not yet a version
//! goes on showing those; a text shows the merge after (`texts/show`). It makes no event: the merge
//! is named by the newest versions of both. What a peer sends never panics here.
//!
//! Not here yet: names (Node, NodeGone), settings, files that are new, and the second of two
//! concurrent versions of a file whose versions are whole. Their events are kept with their batch,
//! and [`TakenIn`] says so: that is where sync goes on.

use std::collections::HashMap;

use super::commit::{Scope, pending_inode};
use super::heads::{COUNTERS, seal_counters};
use super::history::{NewVersions, ToldAt};
use super::inode::{Inode, pending};
use super::{OpError, Vault};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{
    BatchRow, Body, EventKind, EventRef, Found, Head, Unverified, VerifyError, Version, Walk, content_aad,
};
use crate::ids::{ChainId, EntityId};
use crate::keys::{Key, VerifyingKey, open};
use crate::record::kind;

/// How far a peer's Lamport time may lie ahead of ours: more than any vault will ever count to, and
/// far from where numbers end.
const LAMPORT_JUMP: u64 = 1 << 40;

/// Events of one commit of another device, as they travel.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Their row; its place says nothing elsewhere.
    pub row: BatchRow,
    /// The events.
    pub bytes: Vec<u8>,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeInError {
    /// It is not what its device signed.
    #[error("these events are not taken: {0}")]
    Verify(#[from] VerifyError),
    /// What comes before it is not here yet.
    #[error("these events are not taken yet: those that they build on come first")]
    TooEarly,
    /// It is of another space.
    #[error("these events belong to another vault")]
    Foreign,
    /// It claims to be of this device.
    #[error("these events are not taken: they say that this device made them")]
    Own,
    /// Its device, or a copy of it, has told something else at the same place.
    #[error("these events are not taken: their device has told others in their place")]
    Fork,
    /// Its clock is out of all bounds.
    #[error("these events are not taken: they are counted far ahead of all that is known here")]
    Clock,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Op(#[from] OpError),
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// Files that have new versions.
    pub entities: Vec<EntityId>,
    /// Events that are kept, and of which nothing is done yet, or ever.
    pub set_aside: Vec<EventRef>,
}

/// An entity that is known here.
struct Whose {
    key: Key,
}

/// A version that is taken.
struct Taking {
    entity: EntityId,
    head: Head,
    version: Version,
    sealed_at: u32,
}

/// How far each chain's events are here.
type Clock = HashMap<ChainId, ([u8; 32], u64)>;

/// The row of an event that is set aside.
pub(super) fn aside_note(at: &EventRef) -> Vec<u8> {
    [&[7][..], &at.chain.0, &at.seq.to_be_bytes()].concat()
}

impl Vault {
    /// What this device has told on its present chain after the event of this number, in order.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn told_after(&self, seq: u64) -> Result<Vec<Carried>, StoreError> {
        let mut rows = Vec::new();
        self.core.db.scan(Table::Batches, b"", &mut |_, value| {
            rows.extend(BatchRow::decode(value).ok());
            true
        })?;
        let own = self.secrets.chain();
        rows.retain(|row| row.chain == own && row.first > seq);
        let carry = |row: BatchRow| {
            let mut bytes = vec![0; row.place.len as usize];
            self.core.packs.read(row.place, 0, &mut bytes)?;
            Ok(Carried { row, bytes })
        };
        rows.into_iter().map(carry).collect()
    }

    /// The key by which this device's events are verified.
    pub fn device(&self) -> VerifyingKey {
        self.secrets.signing.verifying()
    }

    /// Takes in a batch of another device. One that is here already is passed over.
    ///
    /// # Errors
    /// As [`TakeInError`] says; nothing of it is taken then.
    pub fn take_in(&self, device: &VerifyingKey, carried: &Carried) -> Result<TakenIn, TakeInError> {
        self.writable()?;
        let (row, bytes) = (&carried.row, &carried.bytes);
        if row.chain == self.secrets.chain() {
            return Err(TakeInError::Own);
        }
        let events = Unverified { row, bytes }.verify(device)?;
        if events
            .iter()
            .any(|event| event.event().head.space != self.secrets.space)
        {
            return Err(TakeInError::Foreign);
        }
        // One at a time takes in: what one finds is so until it is done.
        let _taking = self.texts.taking.lock();
        // What is at rest here is a version before another comes.
        self.commit_all(Scope::Timer)?;
        let mut clock = self.clock()?;
        let (head, last) = clock.get(&row.chain).copied().unwrap_or_default();
        if row.first <= last {
            return match self.has_batch(row)? {
                true => Ok(TakenIn::default()),
                false => Err(TakeInError::Fork),
            };
        }
        if row.first > last + 1 {
            return Err(TakeInError::TooEarly);
        }
        if row.prev != head {
            return Err(TakeInError::Fork);
        }
        let known = self.committer.lock().counters.lamport;
        let (mut taken, mut bad) = (TakenIn::default(), Vec::new());
        let mut whose: HashMap<EntityId, Option<Whose>> = HashMap::new();
        let mut taking: Vec<Taking> = Vec::new();
        let mut lamport = known;
        for found in Walk::new(bytes) {
            let found = found.map_err(VerifyError::Malformed)?;
            let head = &found.event.head;
            if head.lamport > known.saturating_add(LAMPORT_JUMP) {
                return Err(TakeInError::Clock);
            }
            lamport = lamport.max(head.lamport);
            let is_here = |at: &EventRef| clock.get(&at.chain).is_some_and(|(_, last)| at.seq <= *last);
            if !head.replaces.iter().all(is_here) {
                return Err(TakeInError::TooEarly);
            }
            clock.insert(head.at.chain, ([0; 32], head.at.seq));
            let entity = EntityId(head.subject);
            let is_version = head.kind == EventKind::Version;
            if is_version && !whose.contains_key(&entity) {
                whose.insert(entity, self.whose_is(entity)?);
            }
            let key = whose.get(&entity).and_then(Option::as_ref).filter(|_| is_version);
            match key.map(|whose| self.usable(&whose.key, &found, &bad)) {
                Some(Ok(Some(version))) => taking.push(Taking {
                    entity,
                    head: head.clone(),
                    version,
                    sealed_at: found.sealed_at,
                }),
                Some(Ok(None)) => bad.push(head.at),
                Some(Err(e)) => return Err(e.into()),
                None => taken.set_aside.push(head.at),
            }
        }
        let mut ours: HashMap<EntityId, Vec<Taking>> = HashMap::new();
        for taking in taking {
            ours.entry(taking.entity).or_default().push(taking);
        }
        let mut left = Vec::new();
        for (entity, takings) in ours {
            let Some(Some(whose)) = whose.get(&entity) else {
                continue;
            };
            left.extend(self.mergeable((entity, &whose.key), takings, &mut bad)?);
        }
        left.sort_by_key(|taking| taking.head.at.seq);
        let entities: Vec<EntityId> = left.iter().map(|taking| taking.entity).collect();
        let done = self.take((row, bytes), lamport, &whose, (left, &bad), &mut taken);
        if done.is_err() {
            // Documents have what was not taken.
            entities.iter().for_each(|entity| self.texts.discard(entity));
        }
        done?;
        taken.set_aside.extend(bad);
        taken.set_aside.sort_unstable();
        self.commit_all(Scope::Timer)?;
        Ok(taken)
    }

    /// What an event says, if it can be used as far as it alone is concerned.
    fn usable(&self, key: &Key, found: &Found, bad: &[EventRef]) -> Result<Option<Version>, StoreError> {
        let head = &found.event.head;
        for at in &head.replaces {
            let is_aside = bad.contains(at);
            if is_aside || self.core.db.get(Table::Pending, &aside_note(at))?.is_some() {
                return Ok(None);
            }
        }
        let aad = content_aad(&EntityId(head.subject), head.at, head.generation);
        let sealed = found.event.sealed.as_deref().unwrap_or_default();
        let Ok(plain) = open(key, &aad, sealed) else {
            return Ok(None);
        };
        Ok(Version::decode(&zeroize::Zeroizing::new(plain)).ok())
    }

    /// Those versions of an entity that its text can take; whatever cannot be is set aside, and what
    /// builds on it.
    fn mergeable(
        &self,
        (entity, key): (EntityId, &Key),
        takings: Vec<Taking>,
        bad: &mut Vec<EventRef>,
    ) -> Result<Vec<Taking>, StoreError> {
        let mut good: Vec<Taking> = Vec::new();
        for taking in takings {
            let builds_on_bad = taking.head.replaces.iter().any(|at| bad.contains(at));
            let goes_on = matches!(taking.version.body, Body::Change { .. } | Body::Same);
            let is_good = !builds_on_bad
                && (!goes_on || {
                    let before: Vec<_> = good.iter().map(|other| (&other.head, &other.version)).collect();
                    self.goes_on((entity, key), &before, (&taking.head, &taking.version))?
                });
            match is_good {
                true => good.push(taking),
                false => bad.push(taking.head.at),
            }
        }
        Ok(good)
    }

    /// The transaction.
    fn take(
        &self,
        (row, bytes): (&BatchRow, &[u8]),
        lamport: u64,
        whose: &HashMap<EntityId, Option<Whose>>,
        (takings, bad): (Vec<Taking>, &[EventRef]),
        taken: &mut TakenIn,
    ) -> Result<(), TakeInError> {
        let mut committer = self.committer.lock();
        let mut counters = committer.counters;
        let number = counters.next_batch;
        let (mut batch, mut versions) = (Batch::new(), NewVersions::default());
        for taking in takings {
            let (entity, head, version) = (taking.entity, taking.head, taking.version);
            let Some(Some(whose)) = whose.get(&entity) else {
                continue;
            };
            let told = ToldAt {
                batch: number,
                offset: taking.sealed_at,
                len: head.sealed.len,
                at: head.at,
                generation: head.generation,
                lamport: head.lamport,
                parents: head.replaces,
                recorded: Some(version.mtime),
                program: None,
                same: matches!(version.body, Body::Same),
                foreign: true,
            };
            versions.note(self, &whose.key, entity, &version, told);
            if !taken.entities.contains(&entity) {
                taken.entities.push(entity);
            }
        }
        versions.put(&mut batch)?;
        for at in bad {
            batch.put(Table::Pending, aside_note(at), Vec::new());
        }
        let place = self.core.packs.append(kind::BATCH, &row.head, bytes);
        let place = place.map_err(StoreError::from)?;
        let row = BatchRow { place, ..row.clone() };
        batch.put(Table::Batches, number.to_be_bytes(), row.encode());
        let packs = self.core.packs.sync().map_err(StoreError::from)?;
        for (pack, len) in &packs {
            batch.put(Table::Packs, pack.to_be_bytes(), len.to_be_bytes());
        }
        let mut behind = Vec::new();
        for entity in &taken.entities {
            // It may have been given to another file meanwhile.
            let Some(ino) = self.living(*entity)? else {
                continue;
            };
            let Some(inode) = self.resident(ino)? else {
                continue;
            };
            // Until the file shows it: a crash must not leave it at what it was.
            let note = inode.state.read().pending | pending::BEHIND;
            batch.put(Table::Pending, pending_inode(inode.ino), vec![note]);
            behind.push((*entity, inode));
        }
        counters.lamport = counters.lamport.max(lamport);
        counters.next_batch = number + 1;
        counters.commits += 1;
        batch.put(Table::Meta, COUNTERS, seal_counters(&self.local, &counters));
        self.core.db.apply(&batch).map_err(StoreError::Db)?;
        self.core.packs.committed(&packs);
        committer.counters = counters;
        for (entity, noted) in behind {
            self.be_behind_by_now(entity, &noted);
        }
        Ok(())
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

    /// How far each chain's events are here.
    fn clock(&self) -> Result<Clock, StoreError> {
        let mut clock = Clock::new();
        self.core.db.scan(Table::Batches, b"", &mut |_, value| {
            if let Ok(row) = BatchRow::decode(value) {
                let last = clock.entry(row.chain).or_default();
                if row.first > last.1 {
                    *last = (row.head, (row.first - 1).saturating_add(u64::from(row.count)));
                }
            }
            true
        })?;
        Ok(clock)
    }

    /// Whether just this batch is here.
    fn has_batch(&self, row: &BatchRow) -> Result<bool, StoreError> {
        let mut is_here = false;
        self.core.db.scan(Table::Batches, b"", &mut |_, value| {
            let known = BatchRow::decode(value).ok();
            is_here = known.is_some_and(|known| {
                (known.chain, known.first, known.head) == (row.chain, row.first, row.head)
            });
            !is_here
        })?;
        Ok(is_here)
    }

    /// An entity's key.
    fn whose_is(&self, entity: EntityId) -> Result<Option<Whose>, StoreError> {
        Ok(self.key_of(entity)?.map(|key| Whose { key }))
    }
}

#[cfg(test)]
mod tests;
