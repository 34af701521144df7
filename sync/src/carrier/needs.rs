//! Whose word counts in a folder; and who lacks what, by what all have said in this folder, and what of that lies there already.
//!
//! Guarantees: what a device that was never here may lack is everything. What lies in a bundle that anybody found broken counts as
//! not there; and so does a batch that only says that it is of another version, where this device has the events in their place.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use coffer_store::ids::ChainId;
use coffer_store::members::{DeviceId, Standing};

use super::bundle::Entry;
use super::index::{BundleRef, Index};
use super::look::{Lists, Notes, is_newer};
use super::name::Name;
use crate::core::Access;
use crate::core::wire::unpack;
use crate::replica::{Carries, Roster};

/// Batches of others that are remembered as looked at; what is beyond that is looked at again each time.
const READ_MAX: usize = 1 << 20;

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
            let there = toc
                .0
                .iter()
                .filter(|(_, at, _)| !lists.is_newer(&bundle.name, *at));
            there.for_each(|(entry, ..)| covered.add(entry));
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

/// Looks at what others put in the place of events that are here and that somebody lacks who was there: whether it is a batch of this version. One that is
/// not covers nothing: who lacks it could not take it, and nobody would put the good one there. `read` is what was looked at before, and
/// learns.
pub(super) fn look_through(
    theirs: &[BundleRef],
    others: &[Other<'_>],
    clock: &HashMap<ChainId, u64>,
    (lists, read, notes): (&mut Lists<'_>, &mut HashSet<(Name, u64)>, &mut Notes),
) {
    let were_there: Vec<Other<'_>> = others
        .iter()
        .filter(|other| other.index.is_some())
        .cloned()
        .collect();
    let floor = floor(&were_there, clock);
    let names: HashSet<Name> = theirs.iter().map(|bundle| bundle.name).collect();
    read.retain(|(name, _)| names.contains(name));
    for bundle in theirs {
        let Some(toc) = lists.of(bundle, notes) else {
            continue;
        };
        let mut source = None;
        for (entry, at, len) in &toc.0 {
            let Entry::Batch {
                chain, first, last, ..
            } = entry
            else {
                continue;
            };
            let is_here = clock.get(chain).is_some_and(|here| first <= here);
            let is_lacked = floor.get(chain).is_some_and(|floor| last > floor);
            let place = (bundle.name, *at);
            if !(is_here && is_lacked) || read.contains(&place) || lists.is_newer(&place.0, place.1) {
                continue;
            }
            if source.is_none() {
                source = lists.open(bundle, notes);
            }
            let bytes = source
                .as_deref()
                .and_then(|source| lists.thing(source, bundle, (*at, *len), notes));
            let Some(bytes) = bytes else { break };
            match unpack(*chain, *first, &bytes) {
                Ok(carried) if is_newer(&carried.bytes) => {
                    notes.say(format!(
                        "in the place of what is here, the file {} holds what says that it is of a newer version; what is here counts",
                        bundle.name
                    ));
                    lists.newer(place.0, place.1);
                }
                Ok(carried) if carried.row.last() == Ok(*last) => {
                    if read.len() < READ_MAX {
                        read.insert(place);
                    }
                }
                _ => {
                    lists.break_off(bundle.name, "holds events that are none", notes);
                    break;
                }
            }
        }
    }
}

/// Bundles that anybody found broken.
pub(super) fn broken(others: &[Other<'_>], own: &BTreeSet<Name>) -> BTreeSet<Name> {
    let told = others.iter().filter_map(|other| other.index);
    told.flat_map(|index| index.broken.iter().copied())
        .chain(own.iter().copied())
        .collect()
}
