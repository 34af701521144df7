//! Trying once more what waits: it was taken in, and needs what is not here, or cannot be read here; and, once after this
//! program became one that reads more, what was set aside, and what waited for that.
//!
//! Guarantees: an event is tried after all that it goes on from; what still waits is noted as before.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

use super::noted::Which;
use super::notes::{Fate, Note, TURN};
use super::sorted::Coming;
use super::{TakeInError, TakenIn};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{EventRef, Found, Unverified};
use crate::ids::EntityId;
use crate::vault::commit::Scope;
use crate::vault::exchange::damaged;
use crate::vault::{Problem, Vault};

/// An event, by the batch in which it lies.
type Row = (u64, EventRef);

/// The same rows, those of one batch beside each other.
fn by_batch(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows
}

impl Vault {
    /// Tries these that wait once more, and what an older program has judged, once; says what of it still waits, and what
    /// was tried.
    pub(super) fn try_waiting(&self, which: Which<'_>) -> Result<(TakenIn, HashSet<EventRef>), TakeInError> {
        let mut taken = TakenIn::default();
        let is_first = self.texts.try_older.load(Relaxed);
        let due = self.due(which, is_first)?;
        // What an older program has judged is noted anew, by one that is newer.
        let again = due.iter().filter(|note| note.fate != Fate::Waits);
        let anew: HashSet<EventRef> = again.map(|note| note.about.at).collect();
        let rows = self.lying(&due)?;
        if rows.is_empty() {
            self.texts.try_older.fetch_and(!is_first, Relaxed);
            return Ok((taken, HashSet::new()));
        }
        let tried = rows.iter().map(|(_, at)| *at).collect();
        let mut coming = Vec::new();
        for same in by_batch(&rows).chunk_by(|a, b| a.0 == b.0) {
            let batch = same[0].0;
            match self.events_of(batch, same) {
                Ok(found) => coming.extend(found),
                Err(e) if e.is_damage() => taken.waiting.extend(same.iter().map(|(_, at)| *at)),
                Err(e) => return Err(e.into()),
            }
        }
        taken.waiting.retain(|at| !anew.contains(at));
        coming
            .iter_mut()
            .for_each(|coming| coming.anew = anew.contains(&coming.found.event.head.at));
        // Each comes after all that it goes on from: so it was taken in.
        coming.sort_by_key(|coming: &Coming| {
            let head = &coming.found.event.head;
            (head.lamport, head.at)
        });
        let sorted = self.sort(coming)?;
        let is_news = !(sorted.taking.is_empty()
            && sorted.settings.is_empty()
            && sorted.ops.is_empty()
            && sorted.words.is_empty()
            && sorted.new.is_empty()
            && sorted.gone.is_empty()
            && sorted.bad.is_empty()
            && sorted.anew.is_empty()
            && sorted.unknown.is_empty());
        if is_news {
            self.take(None, 0, sorted, &mut taken)?;
        } else {
            taken.waiting.extend(sorted.waiting.into_iter().map(|(at, _)| at));
        }
        self.texts.try_older.fetch_and(!is_first, Relaxed);
        Ok((taken, tried))
    }

    /// Where the events of notes lie by now: those of a batch that was joined are read at once, and not once for each
    /// that came.
    fn lying(&self, notes: &[Note]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        for note in notes {
            let at = note.about.at;
            let batch = match note.batch {
                Some(batch) => Some(self.core.batch_by_now(batch, at)),
                None => self.core.batch_of(at)?,
            };
            rows.extend(batch.map(|batch| (batch, at)));
        }
        Ok(rows)
    }

    /// Calls `each` with every version that waits, as it came; a batch that cannot be read is passed over.
    pub(in crate::vault) fn each_waiting(
        &self,
        each: &mut dyn FnMut(EntityId, &Found) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_of(&self.waiting_versions()?, &mut |found| {
            each(EntityId(found.event.head.subject), found)
        })
    }

    /// The same of the events of these notes.
    pub(super) fn each_of(
        &self,
        notes: &[Note],
        each: &mut dyn FnMut(&Found) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for same in by_batch(&self.lying(notes)?).chunk_by(|a, b| a.0 == b.0) {
            match self.events_of(same[0].0, same) {
                Ok(coming) => coming.iter().try_for_each(|coming| each(&coming.found))?,
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Those events of a batch that is stored: by the number that it had when they came.
    fn events_of(&self, batch: u64, which: &[Row]) -> Result<Vec<Coming>, StoreError> {
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
        Ok(coming
            .map(|found| Coming {
                batch,
                anew: false,
                found,
            })
            .collect())
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
        if !self.texts.to_retry.swap(false, Relaxed) || self.read_only.load(Relaxed) {
            return;
        }
        // Whoever takes in tries some of it only.
        let Some(_taking) = self.texts.taking.try_lock() else {
            self.texts.to_retry.store(true, Relaxed);
            return;
        };
        let tried = std::panic::AssertUnwindSafe(|| {
            let _ = self.turn_texts();
            self.try_waiting(Which::All)
        });
        if std::panic::catch_unwind(tried).is_err() {
            let what = "trying what waits once more met a fault of this program";
            self.note_problem(Problem::new(None, what));
        }
    }
}
