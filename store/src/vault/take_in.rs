//! Taking in what another chain of the same space has told: for now in tests alone, by hand; sync
//! will bring it over a network.
//!
//! Guarantees: only what follows what is here of its chain, and of all that it builds on, and is
//! signed by its device, is taken; a batch is taken as a whole, in one transaction, together with
//! what it says of versions. An event that says what cannot be is set aside, with all that builds on
//! it, and one that needs what is not here, or cannot be read here, waits, and is tried again; one that only a newer
//! program can read waits for that, and what was set aside is tried once by each program that reads more. A row
//! says so of each, and nothing else suffers. A file with local writes that are not yet a version
//! goes on showing those; a text shows the merge after (`texts/show`). It makes no event: the merge
//! is named by the newest versions of both. What a peer sends never panics here.
//!
//! What is said of names goes to the tree of all devices (`shared`), in the same transaction; the tree of
//! this one follows at once, and looks once more after a crash.
//!
//! Parts, each importing only those above it: `notes` (the rows of events that are not taken), `noted` (what they are asked),
//! `settings`, `holes` (what came without what it said), `rules` (what a head may say), `sorted` (what becomes of events),
//! `sort` (which), `write` (the transaction), `waiting` (what is tried again), `unread` (what must stay for what was not
//! read).

mod holes;
mod noted;
mod notes;
mod rules;
mod settings;
mod sort;
mod sorted;
mod unread;
mod waiting;
mod write;

use std::collections::{HashMap, HashSet};

use super::commit::Scope;
use super::{OpError, Vault};
use crate::core::StoreError;
#[cfg(test)]
use crate::db::Table;
use crate::event::{self, BatchRow, EventKind, EventRef, Head, Unverified, VerifyError, Walk};
use crate::ids::EntityId;
use crate::keys::VerifyingKey;
pub use noted::Unreadable;
use noted::Which;
pub(super) use noted::do_names_wait;
pub(super) use notes::PROGRAM_LEVEL;
use sorted::Coming;
pub(super) use unread::Unread;

/// How far a peer's Lamport time may lie ahead of ours: more than any vault will ever count to, and so little that
/// nobody comes to where numbers end.
const LAMPORT_JUMP: u64 = 1 << 32;

/// Events of one commit of another device, as they travel.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Their row; its place says nothing elsewhere.
    pub row: BatchRow,
    /// The events.
    pub bytes: Vec<u8>,
}

impl Carried {
    /// The files that these events tell versions of, as far as they can be read: nobody believes them yet.
    pub fn entities(&self) -> HashSet<EntityId> {
        let events = Walk::new(&self.bytes).into_iter().flatten().map_while(Result::ok);
        let heads = events.map(|found| found.event.head);
        let files = heads.filter(|head| matches!(head.kind, EventKind::Create | EventKind::Version));
        files.map(|head| EntityId(head.subject)).collect()
    }

    /// The Lamport time of the first event; 0 if it cannot be read.
    pub fn lamport(&self) -> u64 {
        let first = Walk::new(&self.bytes).ok().and_then(|mut walk| walk.next());
        first
            .and_then(Result::ok)
            .map_or(0, |found| found.event.head.lamport)
    }
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
    /// It is of this device, which does not have it: an older state of it was put back.
    #[error("these events are not taken: this device made them, and does not know of them")]
    Own,
    /// Its device, or a copy of it, has told something else at the same place.
    #[error("these events are not taken: their device has told others in their place")]
    Fork,
    /// Its device was removed before.
    #[error("these events are not taken: their device was removed from the vault before it told them")]
    Removed,
    /// Its clock is out of all bounds, or behind what it builds on.
    #[error(
        "these events are not taken: their times are far ahead of all that is known here, or before what they build on"
    )]
    Clock,
    /// Its times go back behind those that its device told before.
    #[error(
        "these events are not taken: their device says that they are older than what it told before them"
    )]
    Back,
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
    /// Events that are kept, and of which nothing is done, or not by this version of the program.
    pub set_aside: Vec<EventRef>,
    /// Versions that are kept, and need what is not here or cannot be read: they are tried again. Those that came, and
    /// of those that were tried, all that wait now.
    pub waiting: Vec<EventRef>,
    /// Events that are kept for a newer program to read, with what builds on them; those that came, or were tried.
    pub newer: Vec<EventRef>,
    /// Settings that have another value.
    pub settings: Vec<[u8; 16]>,
}

impl TakenIn {
    fn add(&mut self, other: TakenIn) {
        self.entities.extend(other.entities);
        self.set_aside.extend(other.set_aside);
        self.waiting.extend(other.waiting);
        self.newer.extend(other.newer);
        self.settings.extend(other.settings);
    }

    fn tidy(&mut self) {
        let mut seen = HashSet::new();
        self.entities.retain(|entity| seen.insert(*entity));
        self.set_aside.sort_unstable();
        self.waiting.sort_unstable();
        self.waiting.dedup();
        self.newer.sort_unstable();
        self.newer.dedup();
        self.settings.sort_unstable();
        self.settings.dedup();
    }
}

impl Vault {
    /// What this device has told on its present chain after the event of this number, in order.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn told_after(&self, seq: u64) -> Result<Vec<Carried>, StoreError> {
        self.batches_after(&[(self.secrets().chain(), seq)], usize::MAX)
    }

    /// The key by which this device's events are verified.
    pub fn device(&self) -> VerifyingKey {
        self.secrets().signing.verifying()
    }

    /// Takes in a batch of whichever device of the space has begun its chain.
    ///
    /// # Errors
    /// As [`TakeInError`] says; nothing of it is taken then. It is too early while no device is known that has
    /// begun the chain.
    pub fn take_in_told(&self, carried: &Carried) -> Result<TakenIn, TakeInError> {
        let row = &carried.row;
        if row.chain == self.own_chain() {
            return self.take_in(&self.device(), carried);
        }
        let signer = self.who_signs(&row.chain).ok_or(TakeInError::TooEarly)?;
        self.take_in(&signer.key, carried)
    }

    /// Whether a batch counts, of a device that is no member any more.
    fn check_limit(&self, row: &BatchRow) -> Result<(), TakeInError> {
        let Some(limit) = self.who_signs(&row.chain).and_then(|signer| signer.limit) else {
            return Ok(());
        };
        let last = row.last().unwrap_or(u64::MAX);
        if last > limit.last && !self.is_known(row)? {
            return Err(TakeInError::Removed);
        }
        match last == limit.last && row.head != limit.head {
            true => Err(TakeInError::Fork),
            false => Ok(()),
        }
    }

    /// Takes in a batch of the device with this key. One that is here already is passed over.
    ///
    /// # Errors
    /// As [`TakeInError`] says; nothing of it is taken then.
    pub fn take_in(&self, device: &VerifyingKey, carried: &Carried) -> Result<TakenIn, TakeInError> {
        self.writable()?;
        let (row, bytes) = (&carried.row, &carried.bytes);
        if row.chain == self.secrets().chain() {
            // Only this device itself says where its own chain stands; anybody may claim to have it from there.
            Unverified { row, bytes }.verify(&self.device())?;
            return match self.is_known(row)? {
                true => Ok(TakenIn::default()),
                false => Err(TakeInError::Own),
            };
        }
        let events = Unverified { row, bytes }.verify(device)?;
        if events
            .iter()
            .any(|event| event.event().head.space != self.secrets().space)
        {
            return Err(TakeInError::Foreign);
        }
        // One at a time takes in: what one finds is so until it is done.
        let _taking = self.texts.taking.lock();
        // Nobody is removed meanwhile.
        self.check_limit(row)?;
        // What is at rest here is a version before another comes.
        self.commit_all(Scope::Timer)?;
        let mut clock = self.clock()?;
        let (last, head) = clock.get(&row.chain).copied().unwrap_or_default();
        if row.last().is_ok_and(|end| end <= last) {
            return match self.is_known(row)? {
                true => Ok(TakenIn::default()),
                false => Err(TakeInError::Fork),
            };
        }
        if row.first > last + 1 {
            return Err(TakeInError::TooEarly);
        }
        // Where it goes on from what is here: who gave it may have joined what came in parts.
        let rest = events.iter().find(|event| event.event().head.at.seq == last + 1);
        if rest.is_none_or(|rest| rest.event().head.prev != head) {
            return Err(TakeInError::Fork);
        }
        let rest = match row.first <= last {
            true => Some(event::after(row, bytes, last)?),
            false => None,
        };
        let (row, bytes) = rest.as_ref().map_or((row, bytes), |(row, bytes)| (row, bytes));
        let known = self.committer.lock().counters.lamport;
        let mut lamport = known;
        let (mut found, mut times) = (Vec::new(), HashMap::new());
        // On this stands where a chain's device folds: what it says comes after what it has acknowledged.
        let before = self.core.lamport(EventRef {
            chain: row.chain,
            seq: last,
        })?;
        for next in Walk::new(bytes).map_err(VerifyError::Malformed)? {
            let next = next.map_err(VerifyError::Malformed)?;
            let head = &next.event.head;
            if head.lamport == 0 || head.lamport > known.saturating_add(LAMPORT_JUMP) {
                return Err(TakeInError::Clock);
            }
            // Within a batch they ascend: that was verified.
            if before.is_some_and(|before| head.lamport <= before) {
                return Err(TakeInError::Back);
            }
            lamport = lamport.max(head.lamport);
            let is_here = |at: &EventRef| clock.get(&at.chain).is_some_and(|(last, _)| at.seq <= *last);
            if !head.replaces.iter().all(is_here) {
                return Err(TakeInError::TooEarly);
            }
            self.check_times(head, &times)?;
            times.insert(head.at.seq, head.lamport);
            clock.insert(head.at.chain, (head.at.seq, [0; 32]));
            found.push(Coming {
                batch: None,
                anew: false,
                found: next,
            });
        }
        // What waits may be what this goes on from.
        let files: HashSet<[u8; 16]> = found.iter().filter_map(Coming::entity).collect();
        let (mut taken, _) = self.try_waiting(Which::Of(&files))?;
        let sorted = self.sort(found)?;
        let waits = sorted.waiting.len() > sorted.newer.len();
        // An edit, too, concerns names: what was removed here may come back for it.
        self.begin_shared()?;
        self.take(Some((row, bytes)), lamport, sorted, &mut taken)?;
        if waits {
            // For what came with it, perhaps.
            let (again, tried) = self.try_waiting(Which::Of(&files))?;
            let still: HashSet<&EventRef> = again.waiting.iter().collect();
            taken
                .waiting
                .retain(|at| !tried.contains(at) || still.contains(at));
            taken.add(again);
        }
        taken.tidy();
        self.may_lack(&taken.entities)?;
        self.commit_all(Scope::Timer)?;
        if self.tend_horizon()? {
            self.see(Vec::new(), &[]);
        }
        Ok(taken)
    }

    /// Whether an event comes after all that it replaces, by Lamport times: on that it stands that batches are joined in
    /// an order in which everybody can take them (`join`). `times`: of those of its chain that came with it.
    fn check_times(&self, head: &Head, times: &HashMap<u64, u64>) -> Result<(), TakeInError> {
        for at in &head.replaces {
            let same = times.get(&at.seq).filter(|_| at.chain == head.at.chain);
            let lamport = match same {
                Some(lamport) => Some(*lamport),
                None => self.core.lamport(*at)?,
            };
            if lamport.is_some_and(|lamport| lamport >= head.lamport) {
                return Err(TakeInError::Clock);
            }
        }
        Ok(())
    }

    /// Tries once more all that waits for something that was not here: for whoever brings chunks or keys. It is
    /// done once after a vault was opened, too, and of some of it at each [`Vault::take_in`].
    ///
    /// # Errors
    /// As [`TakeInError`] says; nothing is taken then.
    pub fn retry_waiting(&self) -> Result<TakenIn, TakeInError> {
        self.writable()?;
        let _taking = self.texts.taking.lock();
        self.commit_all(Scope::Timer)?;
        let (mut taken, _) = self.try_waiting(Which::All)?;
        taken.tidy();
        self.may_lack(&taken.entities)?;
        self.commit_all(Scope::Timer)?;
        Ok(taken)
    }

    /// Whether these very events are here, in whatever batches: the last one's hash says so of all. What is here and
    /// cannot be read is taken to be the same; nothing is taken in its place.
    fn is_known(&self, row: &BatchRow) -> Result<bool, StoreError> {
        let Ok(seq) = row.last() else { return Ok(false) };
        let chain = row.chain;
        match self.hash_of(EventRef { chain, seq }) {
            Ok(hash) => Ok(hash == Some(row.head)),
            Err(e) if e.is_damage() => Ok(true),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests;
