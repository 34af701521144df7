//! Attributes of a merge: permissions, xattrs and, of one version alone, modification time.
//!
//! Each is what the last one made it who changed it, by Lamport time, then by event: a version that
//! has the attributes of those that it was made from, and of its device's last one, says nothing of
//! them, however late it is. So a change of attributes beside an edit is lost on no device, and every
//! device comes to the same.

use std::collections::{HashMap, HashSet};

use crate::core::StoreError;
use crate::event::{Body, EventRef, Version};
use crate::ids::{ChainId, EntityId};
use crate::keys::Key;
use crate::record::{Time, VersionRecord, Xattrs};
use crate::vault::Vault;

/// So many versions are looked at that not all of the merged ones go on from; if there are more, the
/// last one's attributes are taken as they are.
const APART_MAX: usize = 256;

/// See the module; the time, if it is known.
pub(in crate::vault) type Attributes = (u16, Option<Box<Xattrs>>, Option<Time>);

/// When somebody last changed an attribute; none: nobody did, in what is looked at.
type Stamp = Option<(u64, EventRef)>;

/// An attribute, and since when it is so.
type Since<T> = (Stamp, T);

/// The version's own value, or the last of those that it was made from if it is the same.
fn go_on<T: PartialEq + Clone>(before: Option<Since<T>>, own: T, stamp: (u64, EventRef)) -> Since<T> {
    match before {
        Some((since, value)) if value == own => (since, own),
        _ => (Some(stamp), own),
    }
}

fn last<T>(all: impl Iterator<Item = Since<T>>) -> Option<Since<T>> {
    all.max_by_key(|(since, _)| *since)
}

/// Versions that some of these go on from, or are, and not all.
fn apart(rows: &HashMap<EventRef, &VersionRecord>, heads: &[EventRef]) -> HashSet<EventRef> {
    let mut counts: HashMap<EventRef, usize> = HashMap::new();
    for head in heads {
        let (mut seen, mut next) = (HashSet::from([*head]), vec![*head]);
        while let Some(at) = next.pop() {
            *counts.entry(at).or_default() += 1;
            let parents = rows.get(&at).map_or(&[][..], |row| &row.parents);
            next.extend(parents.iter().filter(|parent| seen.insert(**parent)));
        }
    }
    let apart = counts.into_iter().filter(|(_, count)| *count < heads.len());
    apart.map(|(at, _)| at).collect()
}

impl Vault {
    /// Those of the merge of these versions, which are some of the rows'.
    pub(super) fn attributes_of(
        &self,
        (entity, key): (EntityId, &Key),
        rows: &[VersionRecord],
        versions: &[EventRef],
    ) -> Result<Option<Attributes>, StoreError> {
        match self.merged_attributes((entity, key), rows, versions) {
            Err(e) if e.is_damage() => Ok(None),
            merged => merged,
        }
    }

    fn merged_attributes(
        &self,
        (entity, key): (EntityId, &Key),
        rows: &[VersionRecord],
        versions: &[EventRef],
    ) -> Result<Option<Attributes>, StoreError> {
        let by_event: HashMap<EventRef, &VersionRecord> = rows.iter().map(|row| (row.at, row)).collect();
        let payload = |row: &VersionRecord| self.version_payload(key, entity, row);
        let newest = versions.iter().filter_map(|at| by_event.get(at));
        let Some(newest) = newest.max_by_key(|row| (row.lamport, row.at)) else {
            return Ok(None);
        };
        let apart = match versions.len() {
            1 => HashSet::new(),
            _ => apart(&by_event, versions),
        };
        if apart.is_empty() || apart.len() > APART_MAX {
            let version = payload(newest)?;
            let mtime = (versions.len() == 1).then_some(version.mtime);
            return Ok(Some((version.perm, version.xattrs, mtime)));
        }
        let mut perms: HashMap<EventRef, Since<u16>> = HashMap::new();
        let mut xattrs: HashMap<EventRef, Since<Option<Box<Xattrs>>>> = HashMap::new();
        let mut in_order: Vec<&VersionRecord> = rows.iter().filter(|row| apart.contains(&row.at)).collect();
        // Each after what it was made from.
        in_order.sort_unstable_by_key(|row| (row.lamport, row.at));
        // A stale buffer goes on from an older version, its file's attributes from what was there last.
        let mut last_of: HashMap<ChainId, EventRef> = HashMap::new();
        for row in in_order {
            let own = payload(row)?;
            // One that carries another over is no save on its device, and stands for the attributes of
            // that, which not every device knows.
            let carries = match &own.body {
                Body::Carried { of, .. } => Some(*of),
                _ => None,
            };
            let chain_last = match carries {
                Some(_) => None,
                None => last_of.insert(row.at.chain, row.at),
            };
            let parents = || row.parents.iter().filter(|at| Some(**at) != carries);
            let from = || parents().chain(&chain_last);
            // What all have: of several the last, and it says nothing against what came after.
            let common = parents().filter(|at| !apart.contains(at));
            let common = common.filter_map(|at| by_event.get(at));
            let common = common.max_by_key(|row| (row.lamport, row.at));
            let common: Option<Version> = common.map(|row| payload(row)).transpose()?;
            let stamp = (row.lamport, row.at);
            let before = from().filter_map(|at| perms.get(at).copied());
            let before = last(common.iter().map(|version| (None, version.perm)).chain(before));
            perms.insert(row.at, go_on(before, own.perm, stamp));
            let before = from().filter_map(|at| xattrs.get(at).cloned());
            let common = common.iter().map(|version| (None, version.xattrs.clone()));
            let before = last(common.chain(before));
            xattrs.insert(row.at, go_on(before, own.xattrs, stamp));
        }
        let perm = last(versions.iter().filter_map(|at| perms.get(at).copied()));
        let xattrs = last(versions.iter().filter_map(|at| xattrs.get(at).cloned()));
        Ok(perm
            .zip(xattrs)
            .map(|((_, perm), (_, xattrs))| (perm, xattrs, None)))
    }
}
