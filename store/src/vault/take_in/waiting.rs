//! Versions that wait: they were taken in, and need what is not here, or cannot be read here.
//!
//! Each has a row that says in which batch it lies, until it is taken, or set aside for what it says.

use std::collections::{HashMap, HashSet};

use super::sort::Coming;
use super::{TakeInError, TakenIn};
use crate::core::StoreError;
use crate::db::{Batch, Db, DbError, Table};
use crate::event::{EventRef, Found, Unverified};
use crate::ids::{ChainId, EntityId};
use crate::vault::commit::Scope;
use crate::vault::exchange::damaged;
use crate::vault::{Problem, Vault};

const ASIDE: u8 = 7;
const WAITING: u8 = 8;
/// The row that says that files are to become texts, or none, as the setting is that came.
pub(super) const TURN: u8 = 9;

/// In the row of an event that waits: until it is read nobody knows where names lie.
pub(super) const OF_NAMES: u8 = 1;

fn note(tag: u8, at: &EventRef) -> Vec<u8> {
    [&[tag][..], &at.chain.0, &at.seq.to_be_bytes()].concat()
}

/// The row of an event that is set aside.
pub(super) fn aside_note(at: &EventRef) -> Vec<u8> {
    note(ASIDE, at)
}

/// The row of an event that waits.
pub(super) fn waiting_note(at: &EventRef) -> Vec<u8> {
    note(WAITING, at)
}

/// What such a row says: batch and event.
fn split(key: &[u8], value: &[u8]) -> Option<(u64, EventRef)> {
    let (chain, seq) = key.strip_prefix(&[WAITING])?.split_first_chunk::<16>()?;
    let at = EventRef {
        chain: ChainId(*chain),
        seq: u64::from_be_bytes(seq.try_into().ok()?),
    };
    let (batch, _) = value.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*batch), at))
}

/// The same rows, those of one batch beside each other.
fn by_batch(rows: &[(u64, EventRef)]) -> Vec<(u64, EventRef)> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|(batch, _)| *batch);
    rows
}

/// Whether anything waits.
pub(in crate::vault) fn is_waiting(db: &Db) -> Result<bool, DbError> {
    let mut waits = false;
    db.scan(Table::Pending, &[WAITING], &mut |_, _| {
        waits = true;
        false
    })?;
    Ok(waits || db.get(Table::Pending, &[TURN])?.is_some())
}

/// Whether anything waits that was said of names or chains.
pub(in crate::vault) fn do_names_wait(db: &Db) -> Result<bool, DbError> {
    let mut waits = false;
    db.scan(Table::Pending, &[WAITING], &mut |_, value| {
        waits = value.get(8) == Some(&OF_NAMES);
        !waits
    })?;
    Ok(waits)
}

impl Vault {
    /// Tries what waits once more; says what still does.
    pub(super) fn try_waiting(&self) -> Result<TakenIn, TakeInError> {
        let mut taken = TakenIn::default();
        let rows = self.waiting_rows()?;
        if rows.is_empty() {
            return Ok(taken);
        }
        let mut coming = Vec::new();
        for same in by_batch(&rows).chunk_by(|a, b| a.0 == b.0) {
            let batch = same[0].0;
            match self.events_of(batch, same) {
                Ok(found) => coming.extend(found),
                Err(e) if e.is_damage() => taken.waiting.extend(same.iter().map(|(_, at)| *at)),
                Err(e) => return Err(e.into()),
            }
        }
        let order: HashMap<EventRef, usize> = rows.iter().map(|(_, at)| *at).zip(0..).collect();
        coming.sort_by_key(|coming: &Coming| order.get(&coming.found.event.head.at).copied());
        let sorted = self.sort(coming)?;
        let is_news = !(sorted.taking.is_empty()
            && sorted.settings.is_empty()
            && sorted.ops.is_empty()
            && sorted.words.is_empty()
            && sorted.new.is_empty()
            && sorted.gone.is_empty()
            && sorted.bad.is_empty()
            && sorted.unknown.is_empty());
        if is_news {
            self.take(None, 0, sorted, &mut taken)?;
        } else {
            taken.waiting.extend(sorted.waiting.into_iter().map(|(at, _)| at));
        }
        Ok(taken)
    }

    /// What waits, in the order in which it came: each stands after what it goes on from.
    fn waiting_rows(&self) -> Result<Vec<(u64, EventRef)>, StoreError> {
        let mut rows: Vec<(u64, EventRef)> = Vec::new();
        self.core.db.scan(Table::Pending, &[WAITING], &mut |key, value| {
            rows.extend(split(key, value));
            true
        })?;
        rows.sort_unstable_by_key(|(batch, at)| (*batch, at.seq));
        // By the batches in which they lie by now: one that was joined is read once, and not once for each that came.
        rows.iter_mut()
            .for_each(|(batch, at)| *batch = self.core.batch_by_now(*batch, *at));
        Ok(rows)
    }

    /// Calls `each` with every version that waits, as it came; a batch that cannot be read is passed over.
    pub(in crate::vault) fn each_waiting(
        &self,
        each: &mut dyn FnMut(EntityId, &Found) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for same in by_batch(&self.waiting_rows()?).chunk_by(|a, b| a.0 == b.0) {
            match self.events_of(same[0].0, same) {
                Ok(coming) => {
                    let mut all = coming.iter().map(|coming| &coming.found);
                    all.try_for_each(|found| each(EntityId(found.event.head.subject), found))?;
                }
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Those events of a batch that is stored: by the number that it had when they came.
    fn events_of(&self, batch: u64, which: &[(u64, EventRef)]) -> Result<Vec<Coming>, StoreError> {
        let Some((_, at)) = which.first() else {
            return Ok(Vec::new());
        };
        let (_, row, bytes) = self.core.stored_batch(batch, *at)?;
        // What has rotted on this disk was told otherwise: it would be set aside for what it never said.
        let stored = Unverified {
            row: &row,
            bytes: &bytes,
        };
        let all = stored.chained().map_err(damaged)?;
        let which: HashSet<EventRef> = which.iter().map(|(_, at)| *at).collect();
        let is_one = |found: &Found| which.contains(&found.event.head.at);
        let batch = Some(batch);
        let coming = all.into_iter().filter(is_one);
        Ok(coming.map(|found| Coming { batch, found }).collect())
    }

    /// Whether a setting of text names has come whose effect on files may not have been stored: once more,
    /// then.
    fn turn_texts(&self) -> Result<(), StoreError> {
        if self.core.db.get(Table::Pending, &[TURN])?.is_none() {
            return Ok(());
        }
        {
            let _committer = self.committer.lock();
            self.use_text_names(true);
        }
        self.commit_with(&mut self.committer.lock(), Scope::Timer)?;
        let mut batch = Batch::new();
        batch.delete(Table::Pending, [TURN]);
        let _committer = self.committer.lock();
        Ok(self.core.db.apply(&batch)?)
    }

    /// Whether something waits since the vault was opened, and was not tried yet; once.
    pub(in crate::vault) fn retry_once(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        if !self.texts.to_retry.swap(false, Relaxed) || self.read_only.load(Relaxed) {
            return;
        }
        // Whoever takes in tries it anyway.
        let Some(_taking) = self.texts.taking.try_lock() else {
            return;
        };
        let tried = std::panic::AssertUnwindSafe(|| {
            let _ = self.turn_texts();
            self.try_waiting()
        });
        if std::panic::catch_unwind(tried).is_err() {
            let what = "trying what waits once more met a fault of this program";
            self.note_problem(Problem::new(None, what));
        }
    }
}
