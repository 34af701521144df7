//! Texts with a long past begin anew by themselves: with a version that has their bytes and replaces what they show.
//!
//! A text keeps every change that it was ever made of, since later ones are made from them. Once all who change it have
//! all of them, the text itself says as much. What came before is in the history then like any other version, and goes
//! as those do.
//!
//! Guarantees: nothing changes but that the present version is told once more, with its bytes. It is done only of what is at
//! rest, closed, and shows all that is known of it. What others write in the former text meanwhile is carried over
//! (`texts/carry`), as after a purge.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::Subject;
use super::rows::split_key;
use crate::core::StoreError;
use crate::db::Table;
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::record::{Time, VersionRecord};
use crate::vault::texts::{Step, lines};
use crate::vault::{OpError, Vault};

/// More changes than these are a long past …
const CHANGES: u64 = 1000;
/// … or so many times the text, in bytes of changes …
const TIMES: u64 = 8;
/// … if they are no fewer than these.
const LEAST: u64 = 64 << 10;
/// With fewer versions than these no text is looked at.
const FEW: u64 = 32;
/// How long a text is left alone after its last version, in seconds.
const REST: i64 = 86_400;

/// A text's past since it began.
struct Past {
    /// Its newest versions.
    heads: Vec<EventRef>,
    changes: u64,
    bytes: u64,
    /// Bytes of its last version.
    size: u64,
    /// When that was recorded.
    last: i64,
}

impl Past {
    fn is_long(&self) -> bool {
        self.changes > CHANGES || self.bytes >= LEAST && self.bytes > self.size.saturating_mul(TIMES)
    }
}

/// The past of the text that a file shows which has these versions; none if it shows none that goes on from others, or
/// anything beside it.
fn past_of(rows: &[VersionRecord]) -> Option<Past> {
    let steps: Vec<Step<'_>> = rows.iter().map(Step::from).collect();
    let mut all = lines(&steps).into_iter();
    let line = all.next().filter(|line| !line.is_whole())?;
    // What stands beside is for people to decide.
    if all.any(|other| !other.heads.is_empty()) {
        return None;
    }
    let mut of: HashSet<EventRef> = HashSet::from([line.began()]);
    let mut past = Past {
        heads: line.heads.clone(),
        changes: 0,
        bytes: 0,
        size: 0,
        last: 0,
    };
    for row in rows.iter().filter(|row| row.is_change()) {
        if row.parents.first().is_some_and(|at| of.contains(at)) {
            of.insert(row.at);
            past.changes += 1;
            past.bytes += u64::from(row.len);
            past.last = past.last.max(row.recorded.sec);
            if row.at == line.last {
                past.size = row.size;
            }
        }
    }
    Some(past)
}

impl Vault {
    /// Whether all who may change what these versions are of have all of them, and this device is the one that told them: of two
    /// that let a text begin anew at once, each would begin another.
    pub(in crate::vault) fn all_have(&self, heads: &[EventRef]) -> bool {
        let secrets = self.secrets();
        let is_own = |at: &EventRef| secrets.is_own(&at.chain);
        let alone = || {
            let one = self.with_members(|members| members.state().devices().len() <= 1);
            let clock = self.clock();
            one && clock.is_ok_and(|clock| clock.keys().all(|chain| secrets.is_own(chain)))
        };
        heads.iter().all(is_own) && (alone() || self.have_all(heads).unwrap_or(false))
    }

    /// Lets texts begin anew that have a long past and were at rest for a day at this time. How many did.
    ///
    /// # Errors
    /// As [`OpError`] says; those that did before that have.
    pub fn begin_texts_anew(&self, now: Time) -> Result<u64, OpError> {
        if self.read_only.load(Ordering::Relaxed) || self.is_damaged() || !self.all_have(&[]) {
            return Ok(0);
        }
        let mut counts: HashMap<EntityId, u64> = HashMap::new();
        let counted = self.core.db.scan(Table::Versions, b"", &mut |name, _| {
            if let Some((entity, _)) = split_key(name) {
                *counts.entry(entity).or_default() += 1;
            }
            true
        });
        counted.map_err(StoreError::from)?;
        counts.retain(|_, count| *count >= FEW);
        let many: HashSet<EntityId> = counts.into_keys().collect();
        let mut begun = 0;
        for (entity, ino) in self.living_of(&many)? {
            match self.may_begin_anew(entity, ino, now) {
                Ok(true) => begun += u64::from(self.begin_anew(Subject::File(ino))?),
                Ok(false) => {}
                // `check` names it.
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(begun)
    }

    fn may_begin_anew(&self, entity: EntityId, ino: crate::ids::Ino, now: Time) -> Result<bool, StoreError> {
        let Some(inode) = self.resident(ino)? else {
            return Ok(false);
        };
        let (key, mut shown) = {
            let state = inode.state.read();
            let is_quiet = state.is_at_rest() && state.opens == 0 && state.behind == 0;
            if !is_quiet || state.binding.entity() != entity {
                return Ok(false);
            }
            (state.binding.key(inode.key()).duplicate(), state.named_by())
        };
        shown.sort_unstable();
        let Some(past) = past_of(&self.rows_of_versions(&key, &entity)?) else {
            return Ok(false);
        };
        let is_old = past.last.saturating_add(REST) <= now.sec;
        Ok(is_old && past.is_long() && past.heads == shown && self.all_have(&past.heads))
    }
}
