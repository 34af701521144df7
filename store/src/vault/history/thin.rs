//! Retention: which versions are let go of as they grow old.
//!
//! Guarantees: what a file shows is never thinned, nor what the retention keeps; times that a
//! clock got wrong make versions be kept for longer or shorter, as `age` says, never the present one go. Nothing goes that
//! what was not read yet may stand on, or bring back.
//! Where the retention cannot be read, nothing is thinned.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::age::{DAY, Dated};
use super::look::{Look, Looked};
use super::removed::{GoneRow, RemovedNames};
use super::rows::{row_key, seal_row};
use super::stand::Stand;
use super::{Retention, Thinned};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::{EntityId, EventRef, NodeId};
use crate::keys::Key;
use crate::record::{Kept, Time, VersionRecord};
use crate::vault::Vault;
use crate::vault::take_in::Unread;

/// For so many seconds a name that was removed may be taken again by a save, at most.
const SAVING: i64 = 120;

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
        own: !record.foreign,
    }
}

/// Which stretch a version falls into; none: it is kept for itself.
fn stretch(retention: &Retention, record: &VersionRecord, look: &Look) -> Option<Stretch> {
    let (dated, now) = (recorded(record), look.now);
    let (age, day) = (dated.age(now).div_euclid(DAY), dated.counts(now).div_euclid(DAY));
    let (all, daily) = (i64::from(retention.all_days), i64::from(retention.daily_days));
    if age < all || look.is_new(dated.came, retention.all_days) {
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
        // Who removed it is not in the row.
        own: false,
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
    /// Lets go of versions and removed files by the retention, by the clock. Room is given back by the next collections.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing is let go of then.
    pub fn thin_now(&self) -> Result<Thinned, StoreError> {
        let (now, last) = (Time::now(), Looked::read(&self.core.db, &self.local)?);
        let look = Look::new(now, now, last.as_ref());
        self.thin_by(&look, Some(look.looked(last.as_ref())))
    }

    /// The same as of a time, whatever the clock says; it learns nothing of the clock by that.
    ///
    /// # Errors
    /// As [`Vault::thin_now`].
    pub fn thin(&self, now: Time) -> Result<Thinned, StoreError> {
        let last = Looked::read(&self.core.db, &self.local)?;
        self.thin_by(&Look::as_of(now, last.as_ref()), None)
    }

    fn thin_by(&self, look: &Look, looked: Option<Looked>) -> Result<Thinned, StoreError> {
        if self.read_only.load(Ordering::Relaxed) {
            return Ok(Thinned::default());
        }
        let retention = self.retention_here();
        let _history = self.history.lock();
        let _committer = self.committer.lock();
        let Some(retention) = retention else {
            // It was looked, though nothing goes: else it would be looked all the time.
            self.note_look(Batch::new(), looked.as_ref())?;
            return Ok(Thinned::default());
        };
        // Looked at first: what a save takes over after this, `stand` sees.
        let held = self.left.lock().removed();
        let standing = self.stand(true, &mut |_, _, _| Ok(()))?;
        let unread = self.unread()?;
        let (mut batch, mut thinned) = (Batch::new(), Thinned::default());
        let removed = self.thin_removed(
            &mut batch,
            (&retention, look),
            (&standing, &unread, &held),
            &mut thinned,
        )?;
        for (entity, key) in &standing.keys {
            if !removed.contains(entity) {
                self.thin_entity(
                    &mut batch,
                    (&retention, look),
                    (&standing, &unread),
                    (entity, key),
                    &mut thinned,
                )?;
            }
        }
        self.note_look(batch, looked.as_ref())?;
        self.feed.thinned(thinned != Thinned::default());
        Ok(thinned)
    }

    /// Stores what a look at history lets go of, and that it was looked.
    fn note_look(&self, mut batch: Batch, looked: Option<&Looked>) -> Result<(), StoreError> {
        if let Some(looked) = looked {
            looked.put(&mut batch, &self.local);
        }
        self.core.db.apply(&batch)?;
        if let Some(looked) = looked {
            self.known_time.store(looked.known(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// The same once a day; what the keeper calls. Each time it goes on for a month at most: one day on
    /// which the clock is far ahead does not empty the trash.
    pub(in crate::vault) fn thin_daily(&self) -> Result<(), StoreError> {
        self.thin_by_clock(Time::now())
    }

    /// When something that comes at this time does so, in seconds since 1970: never before what was known by the last look
    /// at history, since a clock may have lost its time.
    pub(in crate::vault) fn comes_at(&self, clock: Time) -> i64 {
        clock.sec.max(self.known_time.load(Ordering::Relaxed))
    }

    /// Reads on opening what is known of the time.
    pub(super) fn load_known_time(&self) -> Result<(), StoreError> {
        let last = Looked::read(&self.core.db, &self.local)?;
        let known = last.map_or(i64::MIN, |last| last.known());
        self.known_time.store(known, Ordering::Relaxed);
        Ok(())
    }

    fn thin_by_clock(&self, clock: Time) -> Result<(), StoreError> {
        let last = Looked::read(&self.core.db, &self.local)?;
        let Some(look) = Look::daily(clock, last.as_ref()) else {
            return Ok(());
        };
        // What begins anew today may be thinned tomorrow.
        let _ = self.begin_texts_anew(clock);
        self.thin_by(&look, Some(look.looked(last.as_ref())))?;
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
        let (stand, unread) = (self.stand(true, &mut |_, _, _| Ok(()))?, self.unread()?);
        let last = Looked::read(&self.core.db, &self.local)?;
        let look = Look::new(now, now, last.as_ref());
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
            self.let_removed_go(&mut batch, (&stand, &unread), &names, &row, &mut thinned)?;
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
                let by = (&retention, &look);
                self.thin_entity(&mut batch, by, (&stand, &unread), (entity, key), &mut thinned)?;
            }
            // The next rule looks at what this one left.
            self.core.db.apply(&std::mem::take(&mut batch))?;
        }
        self.core.db.apply(&batch)?;
        let early = thinned.versions + thinned.removed;
        self.early.fetch_add(early, Ordering::Relaxed);
        self.feed.thinned(early > 0);
        Ok(more)
    }

    fn thin_entity(
        &self,
        batch: &mut Batch,
        (retention, look): (&Retention, &Look),
        (standing, unread): (&Stand, &Unread),
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
            if let Some(stretch) = stretch(retention, record, look) {
                let last = (recorded(record).counts(look.now), record.lamport, record.at);
                let before = kept.entry(stretch).or_insert((last, *number));
                *before = (*before).max((last, *number));
            }
        }
        let newest = Stand::newest(&rows);
        let go = standing.to_let_go(&rows, |number, record| {
            let stretch = stretch(retention, record, look);
            let last = |stretch| kept.get(&stretch).map(|(_, number)| *number);
            let is_kept = stretch.is_none_or(|stretch| last(stretch) == Some(number));
            is_kept || newest.contains(&record.at) || unread.needs(entity, &record.at)
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
        (retention, look): (&Retention, &Look),
        (standing, unread, held): (&Stand, &Unread, &HashSet<NodeId>),
        thinned: &mut Thinned,
    ) -> Result<HashSet<EntityId>, StoreError> {
        let mut destroyed = HashSet::new();
        let names = self.removed_names()?;
        let limit = i64::from(retention.removed_days) * DAY;
        for row in self.gone_rows()?.0 {
            let (age, came) = (dated(&row).age(look.now), row.record.came);
            let is_new = look.is_new(came, retention.removed_days);
            if age < limit || is_new || (age < SAVING && held.contains(&row.node)) {
                continue;
            }
            destroyed.extend(self.let_removed_go(batch, (standing, unread), &names, &row, thinned)?);
        }
        Ok(destroyed)
    }

    /// One thing that was removed can be brought back no more, unless something may be here that brings it back; returns
    /// its entity, if that goes with it.
    fn let_removed_go(
        &self,
        batch: &mut Batch,
        (standing, unread): (&Stand, &Unread),
        names: &RemovedNames,
        row: &GoneRow,
        thinned: &mut Thinned,
    ) -> Result<Option<EntityId>, StoreError> {
        let nameless = row.record.entity.filter(|e| !standing.named.contains(e));
        if nameless.is_some_and(|entity| unread.may_revive(&entity)) {
            return Ok(None);
        }
        batch.delete(Table::Removed, row.node.0);
        thinned.removed += 1;
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
    use std::sync::Arc;

    use super::*;
    use crate::ids::{Ino, ROOT};
    use crate::io::sim::SimDisk;
    use crate::vault::Subject;
    use crate::vault::tests::{file_meta, vault};

    fn days(days: i64) -> Time {
        Time {
            sec: Time::now().sec + days * DAY,
            nsec: 0,
        }
    }

    fn save(vault: &Vault, ino: Ino, text: &str) {
        vault.open(ino, true, true, false).unwrap();
        vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
        vault.release(ino, true);
        vault.commit().unwrap();
    }

    /// A vault with a file, and that.
    fn with_file() -> (Arc<Vault>, Ino) {
        let vault = vault(&SimDisk::new());
        let ino = vault.make(ROOT, b"note.bin", file_meta(), b"").unwrap();
        (vault, ino)
    }

    fn held(vault: &Vault, ino: Ino) -> usize {
        let all = vault.versions(Subject::File(ino)).unwrap();
        all.iter().filter(|version| version.held).count()
    }

    /// A clock without a battery is decades behind until it is set right: what was saved meanwhile looked decades old, and all
    /// of it but the last version went with the next thinning.
    #[test]
    fn what_was_saved_by_a_clock_that_lost_its_time_is_not_old() {
        // Today's clock is that one; in 20,000 days, that is right. It was set right at once, or after months; history was
        // looked at by the wrong one, or not.
        let right = 20_000;
        for (looks, set) in [(false, 1), (false, 100), (true, 1), (true, 100)] {
            let (vault, ino) = with_file();
            vault.thin_by_clock(days(right)).unwrap();
            for text in ["one", "two", "three"] {
                save(&vault, ino, text);
            }
            if looks {
                vault.thin_by_clock(days(0)).unwrap();
            }
            for text in ["four", "five"] {
                save(&vault, ino, text);
            }
            for day in 0..29 {
                vault.thin_by_clock(days(right + set + day)).unwrap();
                assert_eq!(held(&vault, ino), 5, "{day} days later");
            }
            for day in 29..32 {
                vault.thin_by_clock(days(right + set + day)).unwrap();
            }
            assert!(held(&vault, ino) < 5, "for ever");
        }
    }

    /// What is saved once a clock is right that was years ahead is as old as it is: it goes as ever, and does not count as one
    /// with all else that was saved since.
    #[test]
    fn what_is_saved_after_a_clock_was_ahead_goes_as_ever() {
        let (vault, ino) = with_file();
        save(&vault, ino, "before");
        for day in [0, 3650, 3651, 3652, 3653] {
            vault.thin_by_clock(days(day)).unwrap();
        }
        assert!(vault.comes_at(days(0)) > days(100).sec, "it is known to be later");
        for text in ["one", "two", "three"] {
            save(&vault, ino, text);
        }
        for day in 1..30 {
            vault.thin_by_clock(days(day)).unwrap();
            assert_eq!(held(&vault, ino), 4, "day {day}");
            assert_eq!(vault.comes_at(days(day)), days(day).sec, "right at once");
        }
        vault.thin_by_clock(days(31)).unwrap();
        assert_eq!(held(&vault, ino), 1, "the last one of the day");
    }

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
