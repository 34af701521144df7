//! Lines: what of a file's versions go on from each other, and which line its file shows.
//!
//! A text with all that was changed in it is a line; so is each version that is no text. Versions
//! of one line come together; of two concurrent lines one is shown, and the other's newest versions
//! stay in the history.
//!
//! Guarantees: which line is shown follows from the events alone, so that every device shows the
//! same, in whatever order they came: the one that began last, by Lamport time, then by event.
//! Where it began never changes, so no later edit of an earlier line takes a file away from those
//! who have gone on with the later one. It reads rows, and no payload.

use std::collections::{HashMap, HashSet};

use crate::core::StoreError;
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::keys::Key;
use crate::record::{Kept, Kind, VersionRecord};
use crate::vault::Vault;

/// See the module.
pub(super) struct Line {
    began: (u64, EventRef),
    /// Its versions that nothing replaces, ascending.
    pub(super) heads: Vec<EventRef>,
    /// The last of them, by Lamport time, then by event.
    pub(super) last: EventRef,
}

impl Line {
    /// The version that it began with.
    pub(super) fn began(&self) -> EventRef {
        self.began.1
    }

    /// Whether its one version has its bytes.
    pub(super) fn is_whole(&self) -> bool {
        self.heads == [self.began.1]
    }
}

/// The lines of these versions, which stand each after what it was made from.
fn lines(rows: &[VersionRecord]) -> Vec<Line> {
    let replaced: HashSet<EventRef> = rows.iter().flat_map(|row| &row.parents).copied().collect();
    let mut place_of: HashMap<EventRef, usize> = HashMap::new();
    let mut all: Vec<((u64, EventRef), Vec<&VersionRecord>)> = Vec::new();
    for row in rows
        .iter()
        .filter(|row| row.kept == Kept::All && row.kind == Kind::File)
    {
        let place = match row.is_change() {
            // The first is of its own text; one that carries a version over names that after it.
            true => row.parents.first().and_then(|at| place_of.get(at)).copied(),
            false => {
                all.push(((row.lamport, row.at), Vec::new()));
                Some(all.len() - 1)
            }
        };
        let Some(place) = place else { continue };
        place_of.insert(row.at, place);
        if !replaced.contains(&row.at) {
            all[place].1.push(row);
        }
    }
    let line = |(began, heads): ((u64, EventRef), Vec<&VersionRecord>)| {
        let last = heads.iter().max_by_key(|row| (row.lamport, row.at))?.at;
        let mut heads: Vec<EventRef> = heads.iter().map(|row| row.at).collect();
        heads.sort_unstable();
        Some(Line { began, heads, last })
    };
    all.into_iter().filter_map(line).collect()
}

/// The line that a file shows.
pub(super) fn shown_line(rows: &[VersionRecord]) -> Option<Line> {
    lines(rows).into_iter().max_by_key(|line| line.began)
}

impl Vault {
    /// The rows of an entity's versions: all of them, since what is shown without one would be older.
    pub(super) fn rows_of_versions(
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
        let rows = self.rows_of_versions(key, entity)?;
        let heads = lines(&rows).into_iter().flat_map(|line| line.heads);
        Ok(heads.filter(|at| !shown.contains(at)).collect())
    }
}
