//! Taking in what another chain of the same space has told: for now in tests alone, by hand; sync
//! will bring it over a network.
//!
//! Guarantees: only what follows what is here of its chain, and is signed by its device, is taken;
//! a batch is taken as a whole, in one transaction, together with what it says of versions. A
//! file with local writes that are not yet a version goes on showing those; a text shows the merge
//! after. It makes no event: the merge is named by the newest versions of both.
//!
//! Not here yet: names (Node, NodeGone), settings, files that are new, and the second of two
//! concurrent versions of a file whose versions are whole. Their events are kept with their batch,
//! and [`TakenIn`] says so: that is where sync goes on.

use std::collections::HashMap;

use super::commit::pending_inode;
use super::heads::{COUNTERS, seal_counters};
use super::history::{NewVersions, ToldAt};
use super::{OpError, Vault};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{BatchRow, Body, EventKind, EventRef, Unverified, VerifyError, Version, Walk, content_aad};
use crate::ids::{ChainId, EntityId, Ino};
use crate::keys::{Key, VerifyingKey, open};
use crate::record::{Kind, Time, kind};

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
    #[error("these events are not taken yet: those before them in their chain come first")]
    TooEarly,
    /// It is of another space.
    #[error("these events belong to another vault")]
    Foreign,
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
    /// Events that are kept, and of which nothing is done yet.
    pub set_aside: Vec<EventRef>,
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
        let row = &carried.row;
        let bytes = &carried.bytes;
        let events = Unverified { row, bytes }.verify(device)?;
        if events
            .iter()
            .any(|event| event.event().head.space != self.secrets.space)
        {
            return Err(TakeInError::Foreign);
        }
        // What is at rest here is a version before another comes.
        self.commit_all(super::commit::Scope::Timer)?;
        let (taken, inos) = {
            let mut committer = self.committer.lock();
            match self.follows(row)? {
                Some(false) => return Ok(TakenIn::default()),
                None => return Err(TakeInError::TooEarly),
                Some(true) => {}
            }
            let mut counters = committer.counters;
            let number = counters.next_batch;
            let (mut batch, mut versions) = (Batch::new(), NewVersions::default());
            let mut taken = TakenIn::default();
            let mut known: HashMap<EntityId, Option<(Ino, Key)>> = HashMap::new();
            for found in Walk::new(bytes) {
                let found = found.map_err(VerifyError::Malformed)?;
                let head = &found.event.head;
                counters.lamport = counters.lamport.max(head.lamport);
                let entity = EntityId(head.subject);
                let is_version = head.kind == EventKind::Version;
                if is_version && !known.contains_key(&entity) {
                    known.insert(entity, self.shown_by(entity)?);
                }
                let whose = known.get(&entity).and_then(Option::as_ref).filter(|_| is_version);
                let (Some((_, key)), Some(sealed)) = (whose, &found.event.sealed) else {
                    taken.set_aside.push(head.at);
                    continue;
                };
                let aad = content_aad(&entity, head.at, head.generation);
                let plain = open(key, &aad, sealed).map_err(StoreError::tampered("an event"))?;
                let plain = zeroize::Zeroizing::new(plain);
                let version = Version::decode(&plain).map_err(StoreError::malformed("an event"))?;
                let told = ToldAt {
                    batch: number,
                    offset: found.sealed_at,
                    len: head.sealed.len,
                    at: head.at,
                    generation: head.generation,
                    lamport: head.lamport,
                    parents: head.replaces.clone(),
                    recorded: Some(version.mtime),
                    program: None,
                    same: matches!(version.body, Body::Same),
                };
                versions.note(self, key, entity, &version, told);
                if !taken.entities.contains(&entity) {
                    taken.entities.push(entity);
                }
            }
            versions.put(&mut batch)?;
            let place = self
                .core
                .packs
                .append(kind::BATCH, &row.head, bytes)
                .map_err(StoreError::from)?;
            let row = BatchRow { place, ..row.clone() };
            batch.put(Table::Batches, number.to_be_bytes(), row.encode());
            let packs = self.core.packs.sync().map_err(StoreError::from)?;
            for (pack, len) in &packs {
                batch.put(Table::Packs, pack.to_be_bytes(), len.to_be_bytes());
            }
            let shown = known.into_iter().filter_map(|(entity, of)| Some((entity, of?.0)));
            let inos: Vec<(EntityId, Ino)> = shown.collect();
            for (_, ino) in &inos {
                // Until the file shows it: a crash must not leave it at what it was.
                batch.put(Table::Pending, pending_inode(*ino), Vec::new());
            }
            counters.next_batch = number + 1;
            counters.commits += 1;
            batch.put(Table::Meta, COUNTERS, seal_counters(&self.local, &counters));
            self.core.db.apply(&batch).map_err(StoreError::Db)?;
            self.core.packs.committed(&packs);
            committer.counters = counters;
            (taken, inos)
        };
        for (entity, ino) in inos {
            self.show_newest(entity, ino)?;
        }
        self.commit_all(super::commit::Scope::Timer)?;
        Ok(taken)
    }

    /// Whether a batch is the next of its chain; false if it is here. None: others come first.
    fn follows(&self, row: &BatchRow) -> Result<Option<bool>, StoreError> {
        let mut last: ([u8; 32], u64) = ([0; 32], 0);
        let chain: ChainId = row.chain;
        self.core.db.scan(Table::Batches, b"", &mut |_, value| {
            if let Ok(known) = BatchRow::decode(value)
                && known.chain == chain
                && known.first > last.1
            {
                last = (known.head, known.first + u64::from(known.count) - 1);
            }
            true
        })?;
        Ok(match row.first {
            first if first <= last.1 => Some(false),
            first if first == last.1 + 1 && row.prev == last.0 => Some(true),
            _ => None,
        })
    }

    /// The file that shows an entity under a name, with the entity's key.
    fn shown_by(&self, entity: EntityId) -> Result<Option<(Ino, Key)>, StoreError> {
        let Some(ino) = self.living(entity)? else {
            return Ok(None);
        };
        let inode = self.resident(ino)?;
        Ok(inode.map(|inode| (ino, inode.state.read().binding.key(inode.key()).duplicate())))
    }

    /// Lets a file at rest show what its newest versions come to. One that is not is left to the
    /// commit that tells what it is.
    fn show_newest(&self, entity: EntityId, ino: Ino) -> Result<(), StoreError> {
        let Some(inode) = self.resident(ino)? else {
            return Ok(());
        };
        let stand = {
            let mut state = inode.state.write();
            state.untold_row = true;
            state.published.map(|at| {
                (
                    at,
                    state.beside.clone(),
                    state.binding.key(inode.key()).duplicate(),
                )
            })
        };
        self.mark_dirty(ino);
        let Some((at, beside, key)) = stand else {
            return Ok(());
        };
        let Some(newest) = self.newest_of((entity, &key), ino, at, &beside)? else {
            return Ok(());
        };
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let is_same =
            state.binding.entity() == entity && state.published == Some(at) && state.beside == beside;
        let at_rest = state.writers == 0 && !state.untold && state.drafts.is_empty();
        let Some(content) = state.content.as_mut().filter(|_| is_same && at_rest) else {
            return Ok(());
        };
        let owner = inode.owner(&self.core, &state.binding);
        content.become_whole(owner, &[], &newest.bytes)?;
        let now = Time::now();
        state.meta.mtime = newest.mtime.unwrap_or(now);
        (state.meta.ctime, state.meta_dirty, state.times_only) = (now, true, false);
        (state.published, state.beside) = (Some(newest.at), newest.beside);
        // That text is in no chunk yet; it is settled as what is written is.
        drop(guard);
        self.mark_dirty(ino);
        self.feed.merged(ino);
        Ok(())
    }

    /// What a file comes to show; none if that is what it shows, or cannot be known.
    fn newest_of(
        &self,
        (entity, key): (EntityId, &Key),
        ino: Ino,
        at: EventRef,
        beside: &[EventRef],
    ) -> Result<Option<Newest>, StoreError> {
        if let Some(newest) = self.newest_text((entity, key), ino, at, beside)? {
            return Ok(Some(newest));
        }
        // A version whose bytes it has, and that replaces all that is shown.
        let mut last = None;
        self.each_version(key, &entity, &mut |_, row| last = row.ok().or(last.take()))?;
        let Some(row) = last.filter(|row| row.at != at && !row.is_change() && row.kind == Kind::File) else {
            return Ok(None);
        };
        let replaces = row.parents.contains(&at) && beside.iter().all(|at| row.parents.contains(at));
        match replaces.then(|| self.version_bytes(key, entity, &row)) {
            Some(Ok(bytes)) => Ok(Some(Newest {
                bytes,
                at: row.at,
                beside: Vec::new(),
                mtime: Some(row.modified),
            })),
            // Its chunks are elsewhere, or both are to be kept.
            _ => Ok(None),
        }
    }
}

/// See [`Vault::newest_of`].
pub(super) struct Newest {
    pub(super) bytes: Vec<u8>,
    pub(super) at: EventRef,
    pub(super) beside: Vec<EventRef>,
    /// Of one version alone; a merge is of now.
    pub(super) mtime: Option<Time>,
}
