//! Whose word counts in a folder; and who lacks what, by what all have said in this folder, and what of that lies there already.
//!
//! Guarantees: what a device that was never here may lack is everything. What lies in a bundle that anybody found broken counts as
//! not there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use coffer_store::ids::ChainId;
use coffer_store::members::{DeviceId, Standing};

use super::bundle::Entry;
use super::index::{BundleRef, Index};
use super::look::{Lists, Notes};
use super::name::Name;
use crate::core::Access;
use crate::replica::{Carries, Roster};

/// Whose word counts there.
#[derive(PartialEq, Eq)]
pub(super) enum Author {
    Member,
    /// It may object: its statements are looked at.
    Objects,
    /// Nobody has heard of it: perhaps its own statements say who added it.
    Unknown,
    Gone,
}

pub(super) fn author(replica: &dyn Carries, device: &DeviceId) -> Author {
    let roster: Roster = replica.roster();
    match roster.members.iter().find(|member| member.device == *device) {
        Some(member) if member.access == Access::Full => return Author::Member,
        Some(_) => return Author::Objects,
        None => {}
    }
    let mut known = None;
    replica.with_members(&mut |members| known = members.state().device(device).map(|known| known.standing));
    match known {
        None => Author::Unknown,
        // Two would speak by one transport key: here neither speaks by any.
        Some(Standing::Member) => Author::Member,
        Some(_) => Author::Gone,
    }
}

/// Another member.
#[derive(Clone)]
pub(super) struct Other<'a> {
    pub(super) id: DeviceId,
    pub(super) name: String,
    /// What it has said here, if it was here.
    pub(super) index: Option<&'a Index>,
    chains: HashSet<ChainId>,
}

impl Other<'_> {
    /// How far it has a chain, as far as is known here.
    fn has(&self, chain: &ChainId) -> u64 {
        let Some(index) = self.index else {
            // Its own it has, unless it says otherwise.
            return if self.chains.contains(chain) { u64::MAX } else { 0 };
        };
        let found = index.clock.binary_search_by_key(&chain.0, |(chain, _)| chain.0);
        found.map_or(0, |at| index.clock[at].1)
    }
}

/// All other members, the most senior first.
pub(super) fn others<'a>(roster: &Roster, indexes: &'a BTreeMap<DeviceId, Index>) -> Vec<Other<'a>> {
    let full = roster
        .members
        .iter()
        .filter(|member| member.access == Access::Full);
    let others = full.filter(|member| member.device != roster.me);
    others
        .map(|member| Other {
            id: member.device,
            name: member.name.clone(),
            index: indexes.get(&member.device),
            chains: member.chains.iter().copied().collect(),
        })
        .collect()
}

/// How far all others have each of these chains, at least.
pub(super) fn floor(others: &[Other<'_>], clock: &HashMap<ChainId, u64>) -> HashMap<ChainId, u64> {
    let least = |chain: &ChainId| {
        others
            .iter()
            .map(|other| other.has(chain))
            .min()
            .unwrap_or(u64::MAX)
    };
    clock.keys().map(|chain| (*chain, least(chain))).collect()
}

/// What lies in bundles. Of a chunk, half of its name: that two begin alike is not to be feared.
#[derive(Default)]
pub(super) struct Covered {
    statements: HashSet<[u8; 32]>,
    batches: HashMap<ChainId, BTreeMap<u64, u64>>,
    chunks: HashSet<[u8; 16]>,
}

fn half(id: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&id[..16]);
    half
}

impl Covered {
    pub(super) fn by(live: &[&BundleRef], lists: &mut Lists<'_>, notes: &mut Notes) -> Covered {
        let mut covered = Covered::default();
        for bundle in live {
            let Some(toc) = lists.of(bundle, notes) else {
                continue;
            };
            toc.0.iter().for_each(|(entry, ..)| covered.add(entry));
        }
        covered
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        match *entry {
            Entry::Statement(id) => drop(self.statements.insert(id)),
            Entry::Chunk(id) => drop(self.chunks.insert(half(&id))),
            Entry::Other(..) => {}
            Entry::Batch {
                chain, first, last, ..
            } => {
                let known = self.batches.entry(chain).or_default().entry(first).or_default();
                *known = (*known).max(last);
            }
        }
    }

    pub(super) fn statement(&self, id: &[u8; 32]) -> bool {
        self.statements.contains(id)
    }

    pub(super) fn chunk(&self, id: &[u8; 32]) -> bool {
        self.chunks.contains(&half(id))
    }

    /// Whether the batch that begins with this event lies there; and then, its last one.
    pub(super) fn batch(&self, chain: &ChainId, first: u64) -> Option<u64> {
        self.batches.get(chain)?.get(&first).copied()
    }
}

/// Bundles that anybody found broken.
pub(super) fn broken(others: &[Other<'_>], own: &BTreeSet<Name>) -> BTreeSet<Name> {
    let told = others.iter().filter_map(|other| other.index);
    told.flat_map(|index| index.broken.iter().copied())
        .chain(own.iter().copied())
        .collect()
}
