//! Merges: concurrent edits of a text that came together, looked at and taken back.
//!
//! Nothing is kept of them: a version that was made from several, or a file that shows several, says
//! all. So a merge is known as long as the rows of what it joined are; of one whose versions were
//! thinned or purged it is still said that there was one, and what is gone.
//!
//! Parts, each importing only those above it: `graph` (what versions have in common), `undo`.

mod graph;
mod undo;

use std::collections::{HashMap, HashSet};

use super::Subject;
use crate::core::StoreError;
use crate::db::Table;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::record::{BodyRef, Kept, Time, VersionRecord};
use crate::tree::Kind;
use crate::vault::history::rows::split_key;
use crate::vault::{OpError, Vault};
pub use undo::{Keep, MergeTexts, UndoError, Undone};

/// What came together in a merge: versions that do not know of each other's newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeSide {
    /// Its newest event.
    pub at: EventRef,
    /// The number of that version; none if it is not known any more.
    pub number: Option<u64>,
    /// How many versions it has that are not in all sides.
    pub versions: u64,
    /// Names of the devices that made them; chains in hex where no name is known. Each once.
    pub devices: Vec<String>,
    /// The programs that wrote them, where that was seen. Each once.
    pub programs: Vec<String>,
    /// Whether this device made all of them.
    pub own: bool,
    /// When its newest was recorded.
    pub recorded: Option<Time>,
}

/// Concurrent edits of a text that were merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// What was merged, two at least.
    pub sides: Vec<MergeSide>,
    /// All versions that the merge was of: also those with new attributes alone.
    pub of: Vec<EventRef>,
    /// The newest versions that are in all sides; none if they are not known any more.
    pub base: Vec<EventRef>,
    /// The first version that was saved upon it; none: the file just shows it.
    pub saved_as: Option<u64>,
    /// Orders merges of all files, the newest highest: as this device learnt of them.
    pub order: (u64, u32),
}

/// An entity's versions, as a graph.
struct Versions {
    rows: Vec<VersionRecord>,
    places: HashMap<EventRef, usize>,
    parents: Vec<Vec<usize>>,
}

impl Versions {
    fn new(rows: Vec<VersionRecord>) -> Versions {
        let places: HashMap<EventRef, usize> = rows.iter().enumerate().map(|(i, row)| (row.at, i)).collect();
        let known = |row: &VersionRecord| {
            row.parents
                .iter()
                .filter_map(|at| places.get(at).copied())
                .collect()
        };
        let parents = rows.iter().map(known).collect();
        Versions {
            rows,
            places,
            parents,
        }
    }

    /// Whether it says more than new attributes.
    fn has_content(&self, place: usize) -> bool {
        let row = &self.rows[place];
        row.kept != Kept::All || row.body != BodyRef::Other
    }

    /// The number of the first version upon this one, itself included, that has content.
    fn saved(&self, place: usize) -> Option<u64> {
        if self.has_content(place) {
            return Some(self.rows[place].number);
        }
        let upon = |next: &usize| self.parents[*next].contains(&place) && self.has_content(*next);
        let next = (place + 1..self.rows.len()).find(upon);
        next.map(|next| self.rows[next].number)
    }
}

impl Vault {
    /// The merges of a text, the newest first.
    ///
    /// # Errors
    /// As [`OpError`] says; ENOENT if the file is not known.
    pub fn merges(&self, of: Subject) -> Result<Vec<Merge>, OpError> {
        let whose = self.whose(of)?;
        let mut rows = Vec::new();
        self.each_version(&whose.key, &whose.entity, &mut |_, row| rows.extend(row.ok()))?;
        let all = Versions::new(rows);
        let shown = match of {
            Subject::Removed(node) => self.gone_row(node)?.map(|gone| gone.record.saw.clone()),
            _ => Some(self.showing(of)?.state.read().named_by()),
        };
        let joins = all
            .rows
            .iter()
            .enumerate()
            .map(|(place, row)| (Some(place), &row.parents));
        let shown = shown.unwrap_or_default();
        let (mut merges, mut known) = (Vec::<Merge>::new(), HashSet::new());
        for (place, joined) in joins
            .chain([(None, &shown)])
            .filter(|(_, joined)| joined.len() > 1)
        {
            let Some(mut merge) = self.merge(&all, joined) else {
                continue;
            };
            let mut sides: Vec<EventRef> = merge.sides.iter().map(|side| side.at).collect();
            sides.sort_unstable();
            // Two devices may have saved upon the same.
            if !known.insert(sides) {
                continue;
            }
            merge.saved_as = place.and_then(|place| all.saved(place));
            merges.push(merge);
        }
        merges.sort_by_key(|merge| std::cmp::Reverse(merge.order));
        Ok(merges)
    }

    /// What these versions are the merge of, if they are one of a text.
    fn merge(&self, all: &Versions, joined: &[EventRef]) -> Option<Merge> {
        let known: Vec<(EventRef, usize)> = joined
            .iter()
            .filter_map(|at| Some((*at, *all.places.get(at)?)))
            .collect();
        if known.iter().any(|(_, place)| all.rows[*place].form != 2) {
            return None;
        }
        let places: Vec<usize> = known.iter().map(|(_, place)| *place).collect();
        let split = graph::split(&all.parents, &places);
        let mut sides: Vec<MergeSide> = Vec::new();
        for at in joined {
            let side = match known.iter().position(|(other, _)| other == at) {
                None => self.side_that_is_gone(*at),
                Some(side) => {
                    let own = split.own[side].iter().copied();
                    let own: Vec<usize> = own.filter(|place| all.has_content(*place)).collect();
                    let Some(newest) = own.first() else { continue };
                    self.side(all, (*at, *newest), &own)
                }
            };
            sides.push(side);
        }
        if sides.len() < 2 {
            return None;
        }
        sides.sort_by_key(|side| (!side.own, side.recorded, side.at));
        let is_whole = known.len() == joined.len();
        let base = split.base.iter().map(|place| all.rows[*place].at);
        let order = places.iter().map(|place| {
            let row = &all.rows[*place];
            (row.batch, row.offset)
        });
        Some(Merge {
            sides,
            of: joined.to_vec(),
            base: if is_whole { base.collect() } else { Vec::new() },
            saved_as: None,
            order: order.max().unwrap_or_default(),
        })
    }

    fn side(&self, all: &Versions, (at, newest): (EventRef, usize), own: &[usize]) -> MergeSide {
        let rows = || own.iter().map(|place| &all.rows[*place]);
        let (mut devices, mut programs) = (Vec::new(), Vec::new());
        for row in rows() {
            // A copy has the chains of what it is a copy of, and yet that is another device.
            let device = match row.foreign {
                true => row.at.chain.to_string(),
                false => self.device_of(row.at.chain),
            };
            if !devices.contains(&device) {
                devices.push(device);
            }
            if let Some(program) = row.program.as_ref().filter(|name| !programs.contains(*name)) {
                programs.push(program.clone());
            }
        }
        MergeSide {
            at,
            number: Some(all.rows[newest].number),
            versions: own.len() as u64,
            devices,
            programs,
            own: rows().all(|row| !row.foreign),
            recorded: Some(all.rows[newest].recorded),
        }
    }

    /// What is known of a version without a row.
    fn side_that_is_gone(&self, at: EventRef) -> MergeSide {
        MergeSide {
            at,
            number: None,
            versions: 0,
            devices: vec![self.device_of(at.chain)],
            programs: Vec::new(),
            own: at.chain == self.secrets().chain(),
            recorded: None,
        }
    }

    /// Files that are there and may have merges: those of three versions and more. In no order.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn merge_candidates(&self) -> Result<Vec<(Ino, Subject)>, OpError> {
        self.tell_saved()?;
        let mut counts: HashMap<EntityId, u32> = HashMap::new();
        let scanned = self.core.db.scan(Table::Versions, b"", &mut |key, _| {
            if let Some((entity, _)) = split_key(key) {
                *counts.entry(entity).or_default() += 1;
            }
            true
        });
        scanned.map_err(StoreError::Db)?;
        counts.retain(|_, count| *count >= 3);
        let files: HashSet<Ino> = {
            let tree = self.tree.read();
            let entries = tree.iter().flat_map(|(_, folder)| folder.entries.values());
            let files = entries.filter(|entry| entry.kind == Kind::File);
            files.map(|entry| entry.ino).collect()
        };
        let mut found = Vec::new();
        for ino in files {
            // What cannot be read is named by `check`.
            let entity = match self.inodes.lock().get(ino) {
                Some(inode) => Some(inode.state.read().binding.entity()),
                None => self
                    .read_record(ino)
                    .ok()
                    .flatten()
                    .map(|(_, record)| record.entity),
            };
            if let Some(entity) = entity.filter(|entity| counts.contains_key(entity)) {
                found.push((ino, Subject::Entity { entity, seen: ino }));
            }
        }
        Ok(found)
    }
}
