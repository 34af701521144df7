//! Retention: which versions are let go of as they grow old.
//!
//! Guarantees: what a file shows is never thinned, nor what the retention keeps; times that a
//! clock got wrong make versions be kept for longer or shorter, as `age` says, never the present one go.
//! Where the retention cannot be read, nothing is thinned.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::age::{DAY, Dated};
use super::removed::{GoneRow, RemovedNames};
use super::rows::{row_key, seal_row};
use super::stand::Stand;
use super::{Retention, Thinned};
use crate::codec::{Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::{EntityId, EventRef, NodeId};
use crate::keys::{Key, open, seal};
use crate::record::{Kept, Time, VersionRecord, get_time, put_time};
use crate::vault::Vault;
use crate::vault::heads::local_aad;

/// For so many seconds a name that was removed may be taken again by a save, at most.
const SAVING: i64 = 120;
/// How many days the daily thinning goes on at a time, at most.
const STEP: i64 = 31;
/// The row that says when versions were thinned last.
const THINNED: &[u8] = b"thinned";

/// The stretch of time of which the last version is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Stretch {
    Day(i64),
    Month(i64),
}

/// By what the last version of a stretch is known: when it was recorded, its Lamport time, its event.
type Last = (i64, u64, EventRef);

fn recorded(record: &VersionRecord) -> Dated {
    Dated {
        told: record.recorded,
        came: record.came,
    }
}

/// Which stretch a version falls into; none: it is kept for itself.
fn stretch(retention: &Retention, record: &VersionRecord, (now, clock): (Time, Time)) -> Option<Stretch> {
    let dated = recorded(record);
    let (age, day) = (dated.age(now).div_euclid(DAY), dated.counts(now).div_euclid(DAY));
    let (all, daily) = (i64::from(retention.all_days), i64::from(retention.daily_days));
    if age < all || dated.is_new_here(clock, retention.all_days) {
        None
    } else if age < all + daily {
        Some(Stretch::Day(day))
    } else {
        Some(Stretch::Month(month(day)))
    }
}

/// Counts months, of days since 1970: Howard Hinnant's `civil_from_days`
/// (howardhinnant.github.io/date_algorithms.html), whose years begin in March.
fn month(day: i64) -> i64 {
    let shifted = day.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * of_year + 2) / 153
}

fn dated(row: &GoneRow) -> Dated {
    Dated {
        told: row.record.when,
        came: row.record.came,
    }
}

/// Versions, with what those of them replaced that are gone in their place.
fn without(gone: &HashMap<EventRef, Vec<EventRef>>, versions: &[EventRef]) -> Vec<EventRef> {
    let mut all = Vec::new();
    for at in versions {
        let instead = gone.get(at).map_or(std::slice::from_ref(at), Vec::as_slice);
        for at in instead {
            if !all.contains(at) {
                all.push(*at);
            }
        }
    }
    all
}

impl Vault {
    /// Lets go of versions and removed files by the retention, as of a time. Room is given back by
    /// the next collections.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing is let go of then.
    pub fn thin(&self, now: Time) -> Result<Thinned, StoreError> {
        self.thin_as_of(now, now)
    }

    /// `clock`: what it says now.
    fn thin_as_of(&self, now: Time, clock: Time) -> Result<Thinned, StoreError> {
        if self.read_only.load(Ordering::Relaxed) {
            return Ok(Thinned::default());
        }
        let Some(retention) = self.retention_here() else {
            return Ok(Thinned::default());
        };
        let _history = self.history.lock();
        let _committer = self.committer.lock();
        // Looked at first: what a save takes over after this, `stand` sees.
        let held = self.left.lock().removed();
        let standing = self.stand(true, &mut |_, _, _| Ok(()))?;
        let mut batch = Batch::new();
        let mut thinned = Thinned::default();
        let removed = self.thin_removed(
            &mut batch,
            (&retention, (now, clock)),
            (&standing, &held),
            &mut thinned,
        )?;
        for (entity, key) in &standing.keys {
            if !removed.contains(entity) {
                self.thin_entity(
                    &mut batch,
                    (&retention, (now, clock)),
                    &standing,
                    (entity, key),
                    &mut thinned,
                )?;
            }
        }
        let mut w = Writer::new();
        w.u8(0);
        put_time(&mut w, now);
        put_time(&mut w, clock);
        batch.put(Table::Meta, THINNED, seal(&self.local, &local_aad(3), &w.0));
        self.core.db.apply(&batch)?;
        Ok(thinned)
    }

    /// The same once a day; what the keeper calls. Each time it goes on for a month at most: one day on
    /// which the clock is far ahead does not empty the trash.
    pub(in crate::vault) fn thin_daily(&self) -> Result<(), StoreError> {
        self.thin_by_clock(Time::now())
    }

    fn thin_by_clock(&self, clock: Time) -> Result<(), StoreError> {
        let last = self.core.db.get(Table::Meta, THINNED)?;
        let last = last.and_then(|sealed| {
            let plain = open(&self.local, &local_aad(3), &sealed).ok()?;
            let mut r = Reader::new(&plain);
            if r.u8().ok()? != 0 {
                return None;
            }
            let times = (get_time(&mut r).ok()?, get_time(&mut r).ok()?);
            r.end().ok().map(|()| times)
        });
        let mut now = clock;
        if let Some((as_of, at)) = last {
            // A last time that lies ahead is of a clock that was wrong.
            if (0..DAY).contains(&clock.sec.saturating_sub(at.sec)) {
                return Ok(());
            }
            now.sec = now.sec.min(as_of.sec.saturating_add(STEP * DAY));
        }
        // What begins anew today may be thinned tomorrow.
        let _ = self.begin_texts_anew(clock);
        self.thin_as_of(now, clock)?;
        if self.owing.load(Ordering::Relaxed) {
            // What was in the way of a purge may be over: a file that was open, say.
            self.owes.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets go of history though the retention would keep it, since there is no room: what was
    /// removed first, the oldest before the newer, then versions by harsher and harsher rules,
    /// until `want` bytes of it are gone. Returns whether there is more.
    ///
    /// Of a device that others rely on, nothing goes so: only the retention counts, which all share.
    pub(in crate::vault) fn thin_sooner(&self, want: u64) -> Result<bool, StoreError> {
        // Nobody is about to be told that something is here, and no collection is under way.
        let _alone = self.demand.sweeping.lock();
        if self.is_relied_on() {
            return Ok(false);
        }
        let Some(kept) = self.retention_here() else {
            return Ok(false);
        };
        let _history = self.history.lock();
        let _committer = self.committer.lock();
        // Nothing is told before this is through.
        self.grown.store(false, Ordering::Relaxed);
        let (now, before) = (Time::now(), self.core.dropped.load(Ordering::Relaxed));
        let gone = || self.core.dropped.load(Ordering::Relaxed).saturating_sub(before);
        // Where there is no room, no save that may be under way keeps what it has removed: but of all that
        // was removed that goes last.
        let held = self.left.lock().removed();
        self.end_grace(&held.into_iter().collect::<Vec<_>>());
        let stand = self.stand(true, &mut |_, _, _| Ok(()))?;
        let mut batch = Batch::new();
        let (mut thinned, mut more) = (Thinned::default(), false);
        self.lets_go()?;
        let names = self.removed_names()?;
        let mut rows = self.gone_rows()?.0;
        rows.sort_by_key(|row| (dated(row).counts(now), row.record.when));
        for row in rows {
            more = gone() >= want;
            if more {
                break;
            }
            self.let_removed_go(&mut batch, &stand, &names, &row, &mut thinned)?;
        }
        for (all_days, daily_days) in [(7, 30), (1, 7), (0, 0)] {
            more |= gone() >= want;
            if more {
                break;
            }
            let retention = Retention {
                all_days,
                daily_days,
                ..kept
            };
            for (entity, key) in stand
                .keys
                .iter()
                .filter(|(entity, _)| stand.named.contains(*entity))
            {
                let by = (&retention, (now, now));
                self.thin_entity(&mut batch, by, &stand, (entity, key), &mut thinned)?;
            }
            // The next rule looks at what this one left.
            self.core.db.apply(&std::mem::take(&mut batch))?;
        }
        self.core.db.apply(&batch)?;
        let early = thinned.versions + thinned.removed;
        self.early.fetch_add(early, Ordering::Relaxed);
        Ok(more)
    }

    fn thin_entity(
        &self,
        batch: &mut Batch,
        (retention, now): (&Retention, (Time, Time)),
        standing: &Stand,
        (entity, key): (&EntityId, &Key),
        thinned: &mut Thinned,
    ) -> Result<(), StoreError> {
        let mut rows: Vec<(u64, VersionRecord)> = Vec::new();
        self.each_version(key, entity, &mut |number, record| {
            rows.extend(record.ok().map(|record| (number, record)));
        })?;
        // Of each stretch the last, whatever came first: the same on all devices.
        let mut kept: HashMap<Stretch, (Last, u64)> = HashMap::new();
        let held = || rows.iter().filter(|(_, record)| record.kept == Kept::All);
        for (number, record) in held() {
            if let Some(stretch) = stretch(retention, record, now) {
                let last = (recorded(record).counts(now.0), record.lamport, record.at);
                let before = kept.entry(stretch).or_insert((last, *number));
                *before = (*before).max((last, *number));
            }
        }
        let newest = Stand::newest(&rows);
        let go = standing.to_let_go(&rows, |number, record| {
            let stretch = stretch(retention, record, now);
            let last = |stretch| kept.get(&stretch).map(|(_, number)| *number);
            let is_kept = stretch.is_none_or(|stretch| last(stretch) == Some(number));
            is_kept || newest.contains(&record.at)
        });
        let mut gone: HashMap<EventRef, Vec<EventRef>> = HashMap::new();
        for (number, record) in held() {
            if go.contains(number) {
                self.let_version_go(batch, key, entity, *number, record.clone(), Kept::Listed)?;
                thinned.versions += 1;
                if !record.creates {
                    gone.insert(record.at, without(&gone, &record.parents));
                }
            }
        }
        for (number, record) in rows.iter().filter(|(number, _)| !go.contains(number)) {
            if record.parents.iter().any(|at| gone.contains_key(at)) {
                // That it replaces what those replaced must not be forgotten with them.
                let parents = without(&gone, &record.parents);
                let row = VersionRecord {
                    parents,
                    ..record.clone()
                };
                batch.put(
                    Table::Versions,
                    row_key(entity, *number),
                    seal_row(key, entity, *number, &row),
                );
            }
        }
        let is_text = |record: &VersionRecord| record.is_change() || record.is_genesis();
        if !rows
            .iter()
            .any(|(number, record)| !go.contains(number) && is_text(record))
            && self.core.db.get(Table::Documents, &entity.0)?.is_some()
        {
            batch.delete(Table::Documents, entity.0);
            self.texts.discard(entity);
        }
        Ok(())
    }

    /// Returns the entities that were destroyed with their last name.
    fn thin_removed(
        &self,
        batch: &mut Batch,
        (retention, (now, clock)): (&Retention, (Time, Time)),
        (standing, held): (&Stand, &HashSet<NodeId>),
        thinned: &mut Thinned,
    ) -> Result<HashSet<EntityId>, StoreError> {
        let mut destroyed = HashSet::new();
        let names = self.removed_names()?;
        let limit = i64::from(retention.removed_days) * DAY;
        for row in self.gone_rows()?.0 {
            let (age, is_new) = (
                dated(&row).age(now),
                dated(&row).is_new_here(clock, retention.removed_days),
            );
            if age < limit || is_new || (age < SAVING && held.contains(&row.node)) {
                continue;
            }
            destroyed.extend(self.let_removed_go(batch, standing, &names, &row, thinned)?);
        }
        Ok(destroyed)
    }

    /// One thing that was removed can be brought back no more; returns its entity, if that goes
    /// with it.
    fn let_removed_go(
        &self,
        batch: &mut Batch,
        standing: &Stand,
        names: &RemovedNames,
        row: &GoneRow,
        thinned: &mut Thinned,
    ) -> Result<Option<EntityId>, StoreError> {
        batch.delete(Table::Removed, row.node.0);
        thinned.removed += 1;
        let nameless = row.record.entity.filter(|e| !standing.named.contains(e));
        // Its last name's row has the key: the entity goes with it.
        let (Some(entity), Some(key)) = (nameless, &row.record.key) else {
            return Ok(None);
        };
        let key = Key::take(&mut key.clone());
        thinned.versions += self.destroy(batch, names, entity, &key, false)?.versions;
        Ok(Some(entity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::{file_meta, vault};

    /// One day with a clock that was ten years ahead emptied the trash for good.
    #[test]
    fn a_clock_that_is_ahead_for_a_day_empties_no_trash() {
        let vault = vault(&SimDisk::new());
        let ino = vault.make(ROOT, b"note", file_meta(), b"").unwrap();
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), b"text", false).unwrap();
        vault.release(ino, true);
        vault.commit().unwrap();
        vault.remove(ROOT, b"note", false).unwrap();
        vault.commit().unwrap();
        let days = |days: i64| Time {
            sec: Time::now().sec + days * DAY,
            nsec: 0,
        };
        let left = || vault.removed().unwrap().len();
        vault.thin_by_clock(days(0)).unwrap();
        // However often it is looked at on that day.
        for hour in 0..24 {
            let ahead = Time {
                sec: days(3650).sec + hour * 3600,
                nsec: 0,
            };
            vault.thin_by_clock(ahead).unwrap();
        }
        assert_eq!(left(), 1);
        // The clock is right again; it goes when it should.
        for day in 1..90 {
            vault.thin_by_clock(days(day)).unwrap();
            assert_eq!(left(), 1, "day {day}");
        }
        vault.thin_by_clock(days(91)).unwrap();
        assert_eq!(left(), 0);
    }
}
