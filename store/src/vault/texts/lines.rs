//! Lines: what of a file's versions go on from each other, and which line its file shows.
//!
//! A text with all that was changed in it is a line; so is each version that is no text. Versions
//! of one line come together; of two concurrent lines one is shown, and the other's newest versions
//! stay in the history.
//!
//! Guarantees: which line is shown follows from the events alone, so that every device shows the
//! same, in whatever order they came: the one that began last, by Lamport time, then by event.
//! Where it began never changes, so no later edit of an earlier line takes a file away from those
//! who have gone on with the later one. Salvage asks the same. It reads rows, and no payload.

use std::collections::{HashMap, HashSet};

use crate::core::StoreError;
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::keys::Key;
use crate::record::{Kept, Kind, VersionRecord};
use crate::vault::Vault;

/// A version, as far as lines are concerned.
pub(in crate::vault) struct Step<'a> {
    pub(in crate::vault) at: EventRef,
    pub(in crate::vault) lamport: u64,
    /// What it was made from.
    pub(in crate::vault) parents: &'a [EventRef],
    /// It is a change of the text of those; else a line begins with it.
    pub(in crate::vault) is_change: bool,
    /// It is kept, and a file's; else it is of no line.
    pub(in crate::vault) counts: bool,
}

impl<'a> From<&'a VersionRecord> for Step<'a> {
    fn from(row: &'a VersionRecord) -> Step<'a> {
        Step {
            at: row.at,
            lamport: row.lamport,
            parents: &row.parents,
            is_change: row.is_change(),
            counts: row.kept == Kept::All && row.kind == Kind::File,
        }
    }
}

/// See the module.
pub(in crate::vault) struct Line {
    began: (u64, EventRef),
    /// Its versions that nothing replaces, ascending.
    pub(in crate::vault) heads: Vec<EventRef>,
    /// The last of them, by Lamport time, then by event.
    pub(in crate::vault) last: EventRef,
}

impl Line {
    /// Whether its one version has its bytes.
    pub(in crate::vault) fn is_whole(&self) -> bool {
        self.heads == [self.began.1]
    }

    /// The version that it began with.
    pub(in crate::vault) fn began(&self) -> EventRef {
        self.began.1
    }
}

/// The lines of these versions, which stand each after what it was made from; the one that a file
/// shows comes first.
pub(in crate::vault) fn lines(steps: &[Step<'_>]) -> Vec<Line> {
    let replaced: HashSet<EventRef> = steps.iter().flat_map(|step| step.parents).copied().collect();
    let mut place_of: HashMap<EventRef, usize> = HashMap::new();
    let mut all: Vec<((u64, EventRef), Vec<&Step<'_>>)> = Vec::new();
    for step in steps.iter().filter(|step| step.counts) {
        let place = match step.is_change {
            // The first is of its own text; one that carries a version over names that after it.
            true => step.parents.first().and_then(|at| place_of.get(at)).copied(),
            false => {
                all.push(((step.lamport, step.at), Vec::new()));
                Some(all.len() - 1)
            }
        };
        let Some(place) = place else { continue };
        place_of.insert(step.at, place);
        if !replaced.contains(&step.at) {
            all[place].1.push(step);
        }
    }
    let line = |(began, heads): ((u64, EventRef), Vec<&Step<'_>>)| {
        let last = heads.iter().max_by_key(|step| (step.lamport, step.at))?.at;
        let mut heads: Vec<EventRef> = heads.iter().map(|step| step.at).collect();
        heads.sort_unstable();
        Some(Line { began, heads, last })
    };
    let mut lines: Vec<Line> = all.into_iter().filter_map(line).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.began));
    lines
}

fn lines_of(rows: &[VersionRecord]) -> Vec<Line> {
    lines(&rows.iter().map(Step::from).collect::<Vec<_>>())
}

/// The newest versions of the line that a file shows.
pub(in crate::vault) fn newest_lines(rows: &[VersionRecord]) -> HashSet<EventRef> {
    shown_line(rows).map_or_else(HashSet::new, |line| line.heads.into_iter().collect())
}

/// The line that a file shows.
pub(super) fn shown_line(rows: &[VersionRecord]) -> Option<Line> {
    lines_of(rows).into_iter().next()
}

/// Of these versions those that nothing replaces, and that a file does not show which shows these.
pub(in crate::vault) fn not_shown_of(rows: &[VersionRecord], shown: &[EventRef]) -> Vec<EventRef> {
    let heads = lines_of(rows).into_iter().flat_map(|line| line.heads);
    heads.filter(|at| !shown.contains(at)).collect()
}

impl Vault {
    /// The rows of an entity's versions: all of them, since what is shown without one would be older.
    pub(in crate::vault) fn rows_of_versions(
        &self,
        key: &Key,
        entity: &EntityId,
    ) -> Result<Vec<VersionRecord>, StoreError> {
        let (mut rows, mut failed) = (Vec::new(), None);
        self.each_version(key, entity, &mut |_, row| match row {
            Ok(row) => rows.push(row),
            Err(error) => failed = Some(error),
        })?;
        failed.map_or(Ok(rows), Err)
    }

    /// Versions of an entity that nothing replaces, and that a file does not show which shows these.
    pub(in crate::vault) fn not_shown(
        &self,
        key: &Key,
        entity: &EntityId,
        shown: &[EventRef],
    ) -> Result<Vec<EventRef>, StoreError> {
        Ok(not_shown_of(&self.rows_of_versions(key, entity)?, shown))
    }
}
