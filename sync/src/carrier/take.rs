//! Taking what others have put there: statements first, then batches, each after what it builds on, then chunks.
//!
//! Guarantees: nothing is believed here: the vault verifies each thing, as one of a peer. What does not hold breaks the bundle that it
//! stood in, and nothing else. What a newer program has made is passed over, said in a sentence, and neither broken nor done with: its bundle stays for when this
//! device is updated. Nobody has to have signed what only says that it is newer: so it is that thing alone which is passed over, and keeps nothing else back. A vault that cannot take (its disk is full) ends the taking; what was taken stays.

use std::collections::{BTreeSet, HashMap, HashSet};

use coffer_store::ids::ChainId;

use super::bundle::Entry;
use super::error::CarrierError;
use super::index::BundleRef;
use super::look::{Lists, Look, Notes, is_newer};
use super::name::Name;
use super::report::Tally;
use crate::core::wire::unpack;
use crate::core::{Answer, ChunkName, ChunkOutcome, Outcome, Request, SessionId, StatementOutcome};
use crate::replica::Carries;

/// What is said of what only a newer program reads.
const NEWER: &str =
    "something there was made by a newer version of coffer and is passed over; update coffer on this device";
/// The session that nobody has: a folder is none.
pub(super) const SESSION: SessionId = SessionId(0);
/// Batches that are looked at together.
const BATCHES_MAX: usize = 1 << 20;
/// Chunks that are asked for together.
const WANTED_MAX: usize = 1 << 18;
/// Names in one question.
const ASKED: usize = 1_024;

/// See the module.
pub(super) struct Taker<'a, 'f> {
    pub(super) replica: &'a dyn Carries,
    pub(super) lists: &'a mut Lists<'f>,
    pub(super) notes: &'a mut Notes,
    pub(super) took: &'a mut Tally,
    /// Chains of which nothing more is taken: they are other ones here.
    pub(super) refused: HashSet<ChainId>,
}

/// A batch in a bundle.
struct Lies {
    bundle: usize,
    chain: ChainId,
    first: u64,
    last: u64,
    lamport: u64,
    place: (u64, usize),
}

impl Taker<'_, '_> {
    /// Which of these statements are not here.
    fn unknown(&self, ids: Vec<[u8; 32]>) -> HashSet<[u8; 32]> {
        let mut unknown = HashSet::new();
        for heads in ids.chunks(ASKED) {
            let asked = Request::Lacking {
                session: SESSION,
                heads: heads.to_vec(),
            };
            if let Answer::Lacking { want, .. } = self.replica.answer(asked) {
                unknown.extend(want);
            }
        }
        unknown
    }

    fn unknown_of(&self, list: &[(Entry, u64, usize)]) -> HashSet<[u8; 32]> {
        let ids = list.iter().filter_map(|(entry, ..)| match entry {
            Entry::Statement(id) => Some(*id),
            _ => None,
        });
        self.unknown(ids.collect())
    }

    /// Takes statements. Whether there were any.
    pub(super) fn statements(&mut self, live: &[BundleRef]) -> Result<bool, CarrierError> {
        let before = self.took.statements;
        for bundle in live {
            let Some(toc) = self.lists.of(bundle, self.notes) else {
                continue;
            };
            let unknown = self.unknown_of(&toc.0);
            if unknown.is_empty() {
                continue;
            }
            let Some(source) = self.lists.open(bundle, self.notes) else {
                continue;
            };
            for (entry, at, len) in &toc.0 {
                if !matches!(entry, Entry::Statement(id) if unknown.contains(id)) {
                    continue;
                }
                let Some(bytes) = self.lists.thing(&*source, bundle, (*at, *len), self.notes) else {
                    break;
                };
                if is_newer(&bytes) {
                    // In all versions its name is the hash of all but its signature: so nothing else can lie there in its place.
                    let said = bytes.split_last_chunk::<64>().map(|(said, _)| blake3::hash(said));
                    if !matches!((said, entry), (Some(said), Entry::Statement(id)) if said == *id) {
                        let why = "holds a statement that nobody signed";
                        self.lists.break_off(bundle.name, why, self.notes);
                        break;
                    }
                    self.notes.say(NEWER);
                    continue;
                }
                let asked = Request::TakeStatement {
                    session: SESSION,
                    bytes,
                };
                match self.replica.answer(asked) {
                    Answer::StatementTaken { outcome, .. } => match outcome {
                        StatementOutcome::Taken(_) => {
                            self.took.statements += 1;
                            self.took.bytes += *len as u64;
                        }
                        StatementOutcome::Known => {}
                        // Everything else in the bundle is as good as ever.
                        StatementOutcome::Newer(why) => self.notes.say(why),
                        StatementOutcome::Forged(_) => {
                            let why = "holds a statement that nobody signed";
                            self.lists.break_off(bundle.name, why, self.notes);
                            break;
                        }
                        StatementOutcome::Failed(why) => return Err(CarrierError::Store(why)),
                    },
                    _ => break,
                }
            }
        }
        Ok(self.took.statements > before)
    }

    /// Takes batches, as many as follow what is here.
    pub(super) fn batches(
        &mut self,
        live: &[BundleRef],
        clock: &mut HashMap<ChainId, u64>,
    ) -> Result<(), CarrierError> {
        loop {
            let mut lies = self.lying(live, clock);
            lies.sort_by_key(|lies| (lies.lamport, lies.chain, lies.first));
            let mut took_any = false;
            loop {
                let before = lies.len();
                let mut left = Vec::new();
                for one in lies {
                    let here = clock.get(&one.chain).copied().unwrap_or(0);
                    let name = &live[one.bundle].name;
                    let passed = self.refused.contains(&one.chain) || self.lists.is_newer(name, one.place.0);
                    if one.last <= here || passed {
                        continue;
                    }
                    let broken = self.lists.broken.contains(name);
                    if broken || one.first > here + 1 || !self.batch(live, &one, clock)? {
                        left.push(one);
                    }
                }
                took_any |= left.len() < before;
                let again = left.len() < before && !left.is_empty();
                lies = left;
                if !again {
                    break;
                }
            }
            // What found no room in the list may follow now.
            if !took_any || self.lying(live, clock).is_empty() {
                return Ok(());
            }
        }
    }

    fn lying(&mut self, live: &[BundleRef], clock: &HashMap<ChainId, u64>) -> Vec<Lies> {
        let mut all = Vec::new();
        for (bundle, reference) in live.iter().enumerate() {
            let Some(toc) = self.lists.of(reference, self.notes) else {
                continue;
            };
            for (entry, at, len) in &toc.0 {
                if let Entry::Batch {
                    chain,
                    first,
                    last,
                    lamport,
                } = *entry
                    && last > clock.get(&chain).copied().unwrap_or(0)
                    && !self.refused.contains(&chain)
                    && !self.lists.is_newer(&reference.name, *at)
                    && all.len() < BATCHES_MAX
                {
                    all.push(Lies {
                        bundle,
                        chain,
                        first,
                        last,
                        lamport,
                        place: (*at, *len),
                    });
                }
            }
        }
        all
    }

    /// Takes one. False: it may be taken later.
    fn batch(
        &mut self,
        live: &[BundleRef],
        lies: &Lies,
        clock: &mut HashMap<ChainId, u64>,
    ) -> Result<bool, CarrierError> {
        let bundle = &live[lies.bundle];
        let source = self.lists.open(bundle, self.notes);
        let bytes = source.and_then(|source| self.lists.thing(&*source, bundle, lies.place, self.notes));
        let Some(bytes) = bytes else {
            return Ok(false);
        };
        let carried = unpack(lies.chain, lies.first, &bytes).ok();
        let carried = carried.filter(|carried| carried.row.last() == Ok(lies.last));
        let Some(carried) = carried else {
            let why = "holds events that are none";
            self.lists.break_off(bundle.name, why, self.notes);
            return Ok(false);
        };
        if is_newer(&carried.bytes) {
            // Of the same place there may be a good one in another bundle.
            self.notes.say(NEWER);
            self.lists.newer(bundle.name, lies.place.0);
            return Ok(false);
        }
        let carried = std::sync::Arc::new(carried);
        for _ in 0..2 {
            let Answer::TakenIn(outcome) = self.replica.answer(Request::TakeIn(carried.clone())) else {
                return Ok(false);
            };
            match outcome {
                Outcome::Taken => {
                    self.took.batches += 1;
                    self.took.events += lies.last - lies.first + 1;
                    self.took.bytes += bytes.len() as u64;
                }
                Outcome::Known => {}
                Outcome::TooEarly => return Ok(false),
                Outcome::Own => {
                    // This store is of another day: it must not use these numbers again.
                    self.notes.say("this vault is of an older day than what others know of it; what it had told comes back");
                    self.replica.answer(Request::BeginChain);
                    continue;
                }
                Outcome::Fork => {
                    self.notes.say("a device was copied, or put back without saying so: of what it told there are two histories, and of one of them nothing is taken");
                    self.refused.insert(lies.chain);
                    return Ok(true);
                }
                Outcome::Refused(why) => {
                    self.notes.say(why);
                    self.refused.insert(lies.chain);
                    return Ok(true);
                }
                Outcome::Forged(why) => {
                    self.lists.break_off(
                        bundle.name,
                        &format!("holds what nobody signed: {why}"),
                        self.notes,
                    );
                    return Ok(false);
                }
                Outcome::Failed(why) => return Err(CarrierError::Store(why)),
            }
            let here = clock.entry(lies.chain).or_default();
            *here = (*here).max(lies.last);
            return Ok(true);
        }
        // The store could not begin another chain.
        self.refused.insert(lies.chain);
        Ok(true)
    }

    /// Chunks that are wanted; and whether these are all that ever will be of what was told: no more are wanted, and none that is
    /// yet to come names others.
    fn wanted(&self) -> Result<(HashSet<ChunkName>, bool), CarrierError> {
        let (chunks, beyond) = self.replica.wanted(WANTED_MAX).map_err(CarrierError::Store)?;
        let are_all = beyond == 0 && !chunks.iter().any(|(.., names_others)| *names_others);
        Ok((chunks.into_iter().map(|(id, ..)| id).collect(), are_all))
    }

    /// Takes chunks that are wanted, and those that these name.
    pub(super) fn chunks(&mut self, live: &[BundleRef]) -> Result<(), CarrierError> {
        loop {
            let (mut wanted, _) = self.wanted()?;
            let before = self.took.chunks;
            for bundle in live {
                if wanted.is_empty() {
                    // What came may name others.
                    break;
                }
                let Some(toc) = self.lists.of(bundle, self.notes) else {
                    continue;
                };
                let is_wanted = |entry: &Entry| matches!(entry, Entry::Chunk(id) if wanted.contains(id));
                if !toc.0.iter().any(|(entry, ..)| is_wanted(entry)) {
                    continue;
                }
                let Some(source) = self.lists.open(bundle, self.notes) else {
                    continue;
                };
                for (entry, at, len) in &toc.0 {
                    let Entry::Chunk(id) = *entry else { continue };
                    if !wanted.contains(&id) {
                        continue;
                    }
                    let Some(bytes) = self.lists.thing(&*source, bundle, (*at, *len), self.notes) else {
                        break;
                    };
                    match self.replica.answer(Request::TakeChunk { id, bytes }) {
                        Answer::ChunkTaken { outcome, .. } => match outcome {
                            ChunkOutcome::Stored => {
                                wanted.remove(&id);
                                self.took.chunks += 1;
                                self.took.bytes += *len as u64;
                            }
                            ChunkOutcome::Damaged => {
                                let why = "holds a piece of a file that is not what it is to be";
                                self.lists.break_off(bundle.name, why, self.notes);
                                break;
                            }
                            ChunkOutcome::Failed(why) => return Err(CarrierError::Store(why)),
                        },
                        _ => break,
                    }
                }
            }
            if self.took.chunks == before {
                return Ok(());
            }
        }
    }

    /// Those bundles of others of which nothing is needed here any more. What is not wanted now may be wanted once that is here which
    /// names it: so of chunks that are not here this is said only when all is that their bundle's author had told when it put them there.
    pub(super) fn done(
        &mut self,
        look: &Look,
        clock: &HashMap<ChainId, u64>,
    ) -> Result<BTreeSet<Name>, CarrierError> {
        let (wanted, are_all) = self.wanted()?;
        let mut done = BTreeSet::new();
        for index in look.others.values() {
            let mut lists = Vec::new();
            let mut is_read = true;
            for bundle in &index.bundles {
                let list = match look.has(bundle) {
                    true => self.lists.of(bundle, self.notes),
                    false => None,
                };
                is_read &= list.is_some();
                lists.extend(list.map(|list| (bundle.name, list)));
            }
            let is_had = |chain: &ChainId, last: u64| {
                last <= clock.get(chain).copied().unwrap_or(0) || self.refused.contains(chain)
            };
            let knows_all =
                is_read && are_all && index.clock.iter().all(|(chain, last)| is_had(chain, *last));
            for (name, list) in lists {
                let mut chunks = Vec::new();
                let is_over = list.0.iter().all(|(entry, ..)| match entry {
                    Entry::Statement(_) => true,
                    Entry::Batch { chain, last, .. } => is_had(chain, *last),
                    Entry::Chunk(id) => {
                        chunks.push(*id);
                        !wanted.contains(id)
                    }
                    // It is nothing to this program.
                    Entry::Other(..) => true,
                });
                if is_over && (knows_all || self.hold(&chunks)) && self.unknown_of(&list.0).is_empty() {
                    done.insert(name);
                }
            }
        }
        Ok(done)
    }

    /// Whether all of these are here, to stay.
    fn hold(&self, ids: &[ChunkName]) -> bool {
        ids.chunks(ASKED).all(|ids| {
            let asked = Request::Held {
                session: SESSION,
                serial: 0,
                ids: ids.to_vec(),
            };
            matches!(self.replica.answer(asked), Answer::Held { held, .. } if held.len() == ids.len() && !held.contains(&false))
        })
    }
}
