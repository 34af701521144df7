//! Giving up pieces of files that a member which keeps everything holds.
//!
//! Guarantees: a piece goes only while names and texts are kept, and only if a version names it that was told and that
//! whoever confirmed the piece has; if that was confirmed since the choice was made, and within the last minute; and if no
//! file that is pinned, open, changed or not told yet needs it, nor a text. What is written or copied meanwhile keeps its pieces.
//! On a full disk what others hold goes before this device's own history does, as far as that makes room.
//! Of two who stop keeping everything at the same time neither confirms anything, so neither gives up anything on
//! the other's word. Who used a file last loses it last.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Keeping;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::ChainId;
use crate::keys::ChunkId;
use crate::record::{ChunkRow, kind};
use crate::vault::Vault;
use crate::vault::history::note_pack;

/// How long a confirmation counts.
const CONFIRMED: Duration = Duration::from_secs(60);
/// How long history waits for that on a full disk, after something went or it was first looked.
const YIELDS: Duration = Duration::from_secs(10);
/// How long it waits for the first look.
const LOOKS: Duration = Duration::from_secs(30);
/// Of what is here, no more goes for one full disk than a quarter, or so many bytes.
const YIELD_LEAST: u64 = 256 << 20;

/// While writes are refused: since when pieces are to go that others hold, when it was last looked for some or some went,
/// how many bytes are to go in all, and how many went.
#[derive(Default)]
pub(super) struct Yielding {
    since: Option<Instant>,
    last: Option<Instant>,
    want: u64,
    gone: u64,
}
/// Confirmations that are kept in mind.
const CONFIRMED_MAX: usize = 65_536;
/// Pieces of one plan.
const PLAN_MAX: usize = 16_384;
/// Beyond the limit, so much less than it is kept afterwards: 1 / 16. So it is not looked for at each file that comes.
const SPARE: u64 = 16;

/// Pieces that may go, once somebody confirms them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Their names, the first to go first.
    pub pieces: Vec<ChunkId>,
    /// How far whoever confirms them must be: all that says what needs them.
    pub clock: Vec<(ChainId, u64)>,
    /// Bytes that are to go.
    pub bytes: u64,
}

impl Vault {
    /// What may go, so that no more is kept than the limit says, or than there is room for; none if that is so.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn plan_eviction(&self) -> Result<Option<Plan>, StoreError> {
        if self.keeping() != Keeping::Texts || self.is_damaged() {
            return Ok(None);
        }
        let (missing, here) = (self.room_refused(), self.bytes_here()?);
        let more = {
            let mut yielding = self.demand.yielding.lock();
            if missing == 0 {
                *yielding = Yielding::default();
            } else if yielding.last.is_none() {
                yielding.want = missing.min((here / 4).max(YIELD_LEAST));
                yielding.last = Some(Instant::now());
            }
            // What went is room only once packs are written anew.
            yielding.want.saturating_sub(yielding.gone).min(missing)
        };
        let limit = self.keeping_limit().min(here.saturating_sub(more));
        // Most of the time it is seen without opening anything.
        if here <= limit {
            return Ok(None);
        }
        let look = self.look_round()?;
        if look.survey.kept_bytes <= limit {
            return Ok(None);
        }
        let bytes = look.survey.kept_bytes - (limit - limit / SPARE);
        // After the versions were read: all that told of what is here.
        let clock = self.clock()?.into_iter().map(|(chain, (last, _))| (chain, last));
        let mut plan = Plan {
            clock: clock.collect(),
            bytes,
            ..Plan::default()
        };
        let shown: HashSet<ChunkId> = look.files.iter().flat_map(|(_, ids)| ids).copied().collect();
        let mut taken: HashSet<ChunkId> = HashSet::new();
        let mut sum = 0;
        // First of all what no file shows.
        let past = look.told.iter().filter(|id| !shown.contains(id));
        // What a file that was used later needs, too, goes with that one.
        let mut last: std::collections::HashMap<ChunkId, usize> = std::collections::HashMap::new();
        for (n, (_, ids)) in look.files.iter().enumerate() {
            last.extend(ids.iter().map(|id| (*id, n)));
        }
        let files = look.files.iter().enumerate();
        let files = files.flat_map(|(n, (_, ids))| ids.iter().map(move |id| (n, id)));
        let files = files.filter(|(n, id)| last.get(id) == Some(n)).map(|(_, id)| id);
        let unconfirmed: HashSet<ChunkId> = {
            let mut asked = self.demand.unconfirmed.lock();
            asked.retain(|_, at| at.elapsed() < CONFIRMED);
            asked.keys().copied().collect()
        };
        for id in past.chain(files) {
            if sum >= bytes || plan.pieces.len() >= PLAN_MAX {
                break;
            }
            let may_go = look.told.contains(id)
                && !look.needed.contains(id)
                && !unconfirmed.contains(id)
                && !self.waits_for(id);
            if let Some(len) = look.here.get(id).filter(|_| may_go && taken.insert(*id)) {
                sum += u64::from(*len);
                plan.pieces.push(*id);
            }
        }
        Ok((!plan.pieces.is_empty()).then_some(plan))
    }

    /// Whether, on a full disk, pieces that others hold are going, or may be about to: until that is over no history goes.
    pub(in crate::vault) fn is_yielding(&self) -> bool {
        if self.keeping() != Keeping::Texts || !self.demand.waits.is_anybody() {
            return false;
        }
        let mut yielding = self.demand.yielding.lock();
        let since = *yielding.since.get_or_insert_with(Instant::now);
        match yielding.last {
            Some(last) => last.elapsed() < YIELDS,
            None => since.elapsed() < LOOKS,
        }
    }

    /// Whether something was refused lately for want of room, and there is none: then it is looked at once for what may go.
    pub fn is_full(&self) -> bool {
        self.room_refused() > 0
    }

    /// A member that keeps everything, and has all that the plan's clock says, holds these durably.
    pub fn confirmed(&self, ids: &[ChunkId]) {
        if self.keeping() != Keeping::Texts {
            return;
        }
        let now = Instant::now();
        let mut confirmed = self.demand.confirmed.lock();
        confirmed.retain(|_, at| at.elapsed() < CONFIRMED);
        let mut unconfirmed = self.demand.unconfirmed.lock();
        for id in ids {
            unconfirmed.remove(id);
        }
        let room = CONFIRMED_MAX.saturating_sub(confirmed.len());
        confirmed.extend(ids.iter().take(room).map(|id| (*id, now)));
    }

    /// These were asked for, and nobody has confirmed them: for a minute others are to go instead.
    pub fn unconfirmed(&self, ids: &[ChunkId]) {
        let confirmed = self.demand.confirmed.lock();
        let mut unconfirmed = self.demand.unconfirmed.lock();
        let room = CONFIRMED_MAX.saturating_sub(unconfirmed.len());
        let (now, not) = (Instant::now(), |id: &&ChunkId| !confirmed.contains_key(*id));
        unconfirmed.extend(ids.iter().filter(not).take(room).map(|id| (*id, now)));
    }

    /// Gives up what of a plan is confirmed by now; how many bytes. Their room is given back as ever.
    ///
    /// # Errors
    /// As [`StoreError`] says; then nothing has gone.
    pub fn evict(&self, plan: &Plan) -> Result<u64, StoreError> {
        self.writable().map_err(|_| crate::vault::open::read_only())?;
        let _alone = self.demand.sweeping.lock();
        if self.keeping() != Keeping::Texts {
            return Ok(0);
        }
        let sure: Vec<ChunkId> = {
            let confirmed = self.demand.confirmed.lock();
            let is_sure = |id: &&ChunkId| confirmed.get(*id).is_some_and(|at| at.elapsed() < CONFIRMED);
            plan.pieces.iter().filter(is_sure).copied().collect()
        };
        if sure.is_empty() {
            return Ok(0);
        }
        // As a collection does: what is asked for from here on stays.
        *self.core.asked.lock() = Some(HashSet::new());
        drop(self.core.appending.write());
        let gone = self.evict_all(&sure);
        *self.core.asked.lock() = None;
        let gone = gone?;
        self.core.dropped.fetch_add(gone, Ordering::Relaxed);
        if gone > 0 {
            self.feed.evicted();
        }
        let mut yielding = self.demand.yielding.lock();
        if gone > 0 && yielding.last.is_some() {
            yielding.gone += gone;
            yielding.last = Some(Instant::now());
        }
        drop(yielding);
        self.demand.stale.store(true, Ordering::Relaxed);
        Ok(gone)
    }

    fn evict_all(&self, sure: &[ChunkId]) -> Result<u64, StoreError> {
        let _committer = self.committer.lock();
        let mut needed: HashSet<ChunkId> = HashSet::new();
        self.look_at_memory(&mut needed);
        self.look_at_pinned(&mut needed)?;
        let (mut batch, mut gone, mut packs) = (Batch::new(), 0, HashSet::new());
        let asked = self.core.asked.lock();
        for id in sure {
            let is_asked = asked.as_ref().is_some_and(|asked| asked.contains(id));
            if is_asked || needed.contains(id) || self.waits_for(id) {
                continue;
            }
            let Some(row) = self.core.db.get(Table::Chunks, &id.0)? else {
                continue;
            };
            let row = ChunkRow::decode(&row).map_err(StoreError::malformed(format!("chunk {id}")))?;
            if row.kind == kind::CHUNK {
                batch.delete(Table::Chunks, id.0);
                gone += u64::from(row.place.len);
                packs.insert(row.place.pack);
            }
        }
        let known = self.debts()?.packs;
        for pack in packs.into_iter().filter(|pack| !known.contains_key(pack)) {
            note_pack(&mut batch, pack, false);
        }
        self.core.db.apply(&batch)?;
        drop(asked);
        Ok(gone)
    }
}
