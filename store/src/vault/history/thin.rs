//! Retention: which versions are let go of as they grow old.
//!
//! Guarantees: what a file shows is never thinned, nor what the retention keeps; times that a
//! clock got wrong make versions be kept for longer or shorter, never the present one go.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::removed::{GoneRow, RemovedNames};
use super::stand::Stand;
use super::{Retention, Thinned};
use crate::codec::{Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::EntityId;
use crate::keys::{Key, open, seal};
use crate::record::{Kept, Time, VersionRecord, get_time, put_time};
use crate::vault::Vault;
use crate::vault::heads::local_aad;

const DAY: i64 = 86_400;
/// The row that says when versions were thinned last.
const THINNED: &[u8] = b"thinned";

/// The stretch of time of which the last version is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Stretch {
    Day(i64),
    Month(i64),
}

/// Which stretch a version falls into; none: it is kept for itself.
fn stretch(retention: &Retention, recorded: Time, now: Time) -> Option<Stretch> {
    let age = now.sec.saturating_sub(recorded.sec).div_euclid(DAY);
    let day = recorded.sec.div_euclid(DAY);
    let (all, daily) = (i64::from(retention.all_days), i64::from(retention.daily_days));
    if age < all {
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

impl Vault {
    /// Lets go of versions and removed files by the retention, as of a time. Room is given back by
    /// the next collections.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing is let go of then.
    pub fn thin(&self, now: Time) -> Result<Thinned, StoreError> {
        if self.read_only.load(Ordering::Relaxed) {
            return Ok(Thinned::default());
        }
        let retention = self.retention();
        let _history = self.history.lock();
        let _committer = self.committer.lock();
        let standing = self.stand(true, &mut |_, _, _| Ok(()))?;
        let mut batch = Batch::new();
        let mut thinned = Thinned::default();
        let removed = self.thin_removed(&mut batch, &retention, now, &standing, &mut thinned)?;
        for (entity, key) in &standing.keys {
            if !removed.contains(entity) {
                self.thin_entity(
                    &mut batch,
                    &retention,
                    now,
                    &standing,
                    (entity, key),
                    &mut thinned,
                )?;
            }
        }
        let mut w = Writer::new();
        put_time(&mut w, now);
        batch.put(Table::Meta, THINNED, seal(&self.local, &local_aad(3), &w.0));
        self.core.db.apply(&batch)?;
        Ok(thinned)
    }

    /// The same once a day; what the keeper calls.
    pub(in crate::vault) fn thin_daily(&self) -> Result<(), StoreError> {
        let now = Time::now();
        let last = self.core.db.get(Table::Meta, THINNED)?;
        let last = last.and_then(|sealed| {
            let plain = open(&self.local, &local_aad(3), &sealed).ok()?;
            get_time(&mut Reader::new(&plain)).ok()
        });
        // A last time that lies ahead is of a clock that was wrong.
        match last {
            Some(last) if (0..DAY).contains(&now.sec.saturating_sub(last.sec)) => return Ok(()),
            _ => self.thin(now).map(drop)?,
        }
        if self.owing.load(Ordering::Relaxed) {
            // What was in the way of a purge may be over: a file that was open, say.
            self.owes.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets go of history though the retention would keep it, since there is no room: what was
    /// removed first, the oldest before the newer, then versions by harsher and harsher rules,
    /// until `want` bytes of it are gone. Returns whether there is more.
    pub(in crate::vault) fn thin_sooner(&self, want: u64) -> Result<bool, StoreError> {
        let _history = self.history.lock();
        let _committer = self.committer.lock();
        let (now, before) = (Time::now(), self.core.dropped.load(Ordering::Relaxed));
        let gone = || self.core.dropped.load(Ordering::Relaxed).saturating_sub(before);
        let stand = self.stand(true, &mut |_, _, _| Ok(()))?;
        let mut batch = Batch::new();
        let (mut thinned, mut more) = (Thinned::default(), false);
        let names = self.removed_names()?;
        let mut rows = self.gone_rows()?.0;
        rows.sort_by_key(|row| row.record.when);
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
                ..self.retention()
            };
            for (entity, key) in stand
                .keys
                .iter()
                .filter(|(entity, _)| stand.named.contains(*entity))
            {
                self.thin_entity(&mut batch, &retention, now, &stand, (entity, key), &mut thinned)?;
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
        retention: &Retention,
        now: Time,
        standing: &Stand,
        (entity, key): (&EntityId, &Key),
        thinned: &mut Thinned,
    ) -> Result<(), StoreError> {
        let mut rows: Vec<(u64, VersionRecord)> = Vec::new();
        self.each_version(key, entity, &mut |number, record| {
            rows.extend(record.ok().map(|record| (number, record)));
        })?;
        let Some(last) = rows.last().map(|(number, _)| *number) else {
            return Ok(());
        };
        let mut kept: HashMap<Stretch, u64> = HashMap::new();
        let held = || rows.iter().filter(|(_, record)| record.kept == Kept::All);
        for (number, record) in held() {
            if let Some(stretch) = stretch(retention, record.recorded, now) {
                kept.insert(stretch, *number); // numbers ascend
            }
        }
        for (number, record) in held() {
            let goes = stretch(retention, record.recorded, now)
                .is_some_and(|stretch| kept.get(&stretch) != Some(number));
            if goes && standing.may_go(record, *number == last) {
                self.let_version_go(batch, key, entity, *number, record.clone(), Kept::Listed);
                thinned.versions += 1;
            }
        }
        Ok(())
    }

    /// Returns the entities that were destroyed with their last name.
    fn thin_removed(
        &self,
        batch: &mut Batch,
        retention: &Retention,
        now: Time,
        standing: &Stand,
        thinned: &mut Thinned,
    ) -> Result<HashSet<EntityId>, StoreError> {
        let mut destroyed = HashSet::new();
        let names = self.removed_names()?;
        let limit = i64::from(retention.removed_days) * DAY;
        for row in self.gone_rows()?.0 {
            if now.sec.saturating_sub(row.record.when.sec) < limit {
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
