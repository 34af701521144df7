//! One exchange with a folder: what others have put there is taken, then what they lack is put there, and the index says so.
//!
//! Order: bundles first, then the index that names them, then what it does not name any more goes. So whenever the folder is pulled
//! away, an index names only what is there. What others need nothing of any more is no longer named before it goes.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use coffer_store::ids::ChainId;
use coffer_store::members::DeviceId;

use super::error::CarrierError;
use super::folder::{Folder, Place, Shelf};
use super::give::{Giver, Stopped};
use super::index::{BundleRef, Index};
use super::limits::{BUNDLES_MAX, SMALL};
use super::look::{Lists, Look, NO_MEMBER, Notes};
use super::name::{Name, Names};
use super::needs::{Author, Covered, Other, author, broken, floor, look_through, others};
use super::publish::{Exchanging, Says};
use super::report::{Exchange, Options, Seen, Tally, Waiting};
use super::take::{SESSION, Taker};
use crate::core::Request;
use crate::replica::Carries;

/// How often new statements may call for another look: each may tell of a device whose index was passed over.
const ROUNDS: usize = 8;
/// Bytes of bundles that are put there between two indexes.
const CHECKPOINT: u64 = 256 << 20;
/// Room that is left to others, unless there is little.
const RESERVE: u64 = 64 << 20;

impl Shelf {
    /// The folder of this replica's vault in `dir`.
    ///
    /// # Errors
    /// As [`CarrierError`] says.
    pub fn of(dir: &Path, replica: &dyn Carries, place: Place) -> Result<Shelf, CarrierError> {
        Shelf::open(dir, names_of(replica)?.folder(), place)
    }
}

/// Where in `dir` this replica's vault has its folder; none if this device lacks the keys to know.
pub fn folder_in(dir: &Path, replica: &dyn Carries) -> Option<PathBuf> {
    Some(dir.join(names_of(replica).ok()?.folder().to_string()))
}

/// The first epoch's key is what all members have, whatever they know.
pub(super) fn names_of(replica: &dyn Carries) -> Result<Names, CarrierError> {
    let keyring = replica.keyring();
    let mut first = None;
    replica.with_members(&mut |members| first = members.state().numbered(0).next().map(|epoch| epoch.id));
    let key = keyring.iter().find(|(id, _)| Some(*id) == first);
    let (_, keys) = key.ok_or(CarrierError::NoKeys)?;
    Ok(Names::new(replica.space(), &keys.epoch_key, &replica.device()))
}

/// Exchanges what can be exchanged. `options` say how; `seen` is what was seen in this folder before, and learns.
///
/// # Errors
/// As [`CarrierError`] says; what was taken until then is kept.
pub fn exchange(
    replica: &dyn Carries,
    folder: &dyn Folder,
    options: Options,
    seen: &mut Seen,
) -> Result<Exchange, CarrierError> {
    let device = replica.device();
    let names = names_of(replica)?;
    let mut this = Exchanging {
        names: &names,
        me: DeviceId::of(&device),
        device,
        replica,
        folder,
        notes: Notes::default(),
        out: Exchange::default(),
    };
    this.must_be_member()?;
    replica.settle().map_err(CarrierError::Store)?;
    let mut lists = Lists::new(folder);
    let done = this.exchange(&mut lists, options, seen);
    this.out.notes = this.notes.take();
    done.map(|()| this.out)
}

/// What lies there, how far this device is, and what it needs nothing of.
type Taken = (Look, HashMap<ChainId, u64>, BTreeSet<Name>);

impl Exchanging<'_> {
    /// Takes; what lies there then, and how far this device is.
    fn take(&mut self, lists: &mut Lists<'_>) -> Result<Taken, CarrierError> {
        let mut look = self.look()?;
        for _ in 0..ROUNDS {
            let mut taker = taker(self.replica, lists, &mut self.notes, &mut self.out.took);
            let mut live = Vec::new();
            for index in look.others.values() {
                live.extend(alive(&look, index));
            }
            match taker.statements(&live) {
                Ok(true) => {}
                Ok(false) => break,
                Err(CarrierError::Store(why)) => {
                    self.out.untaken = Some(why);
                    break;
                }
                Err(error) => return Err(error),
            }
            // They may tell of keys that open more, or of devices.
            look = self.look()?;
        }
        self.must_be_member()?;
        let replica = self.replica;
        let gone: Vec<DeviceId> = look.others.keys().copied().collect();
        for device in gone {
            if author(replica, &device) != Author::Member {
                look.others.remove(&device);
                self.notes.say(NO_MEMBER);
            }
        }
        let live: Vec<BundleRef> = look
            .others
            .values()
            .flat_map(|index| alive(&look, index))
            .collect();
        let config = self.config()?;
        let mut clock: HashMap<ChainId, u64> =
            config.clock.iter().map(|(id, last, _)| (*id, *last)).collect();
        let mut taker = taker(self.replica, lists, &mut self.notes, &mut self.out.took);
        let taken = taker.batches(&live, &mut clock);
        let untaken = match taken.and_then(|()| taker.chunks(&live)) {
            Ok(()) => self.out.untaken.take(),
            Err(CarrierError::Store(why)) => Some(why),
            Err(error) => return Err(error),
        };
        // What the index says is here must be.
        self.replica.settle().map_err(CarrierError::Store)?;
        let config = self.replica.config().map_err(CarrierError::Store)?;
        let clock = config.clock.iter().map(|(id, last, _)| (*id, *last)).collect();
        // Who cannot take is done with nothing; what it has it gives all the same.
        let done = match &untaken {
            None => taker.done(&look, &clock)?,
            Some(_) => BTreeSet::new(),
        };
        if let Some(why) = &untaken {
            let why = format!(
                "what lies there cannot be taken here: {why}; what is here was put there all the same"
            );
            self.notes.say(why);
        }
        self.out.untaken = untaken;
        Ok((look, clock, done))
    }

    fn exchange(
        &mut self,
        lists: &mut Lists<'_>,
        options: Options,
        seen: &mut Seen,
    ) -> Result<(), CarrierError> {
        let (mut look, clock, done) = self.take(lists)?;
        if look.own.is_empty() {
            // A new folder, or another stick in its place: in it nobody was seen.
            *seen = Seen::default();
        }
        for (device, index) in &look.others {
            seen.devices.insert(*device, index.remembered());
        }
        for (device, index) in &seen.devices {
            look.others.entry(*device).or_insert_with(|| index.remembered());
        }
        let roster = self.replica.roster();
        let others = others(&roster, &look.others);
        // What was found broken before and was not needed this time is so still.
        let before = look
            .own
            .first()
            .map_or(BTreeSet::new(), |index| index.broken.clone());
        let known = before
            .into_iter()
            .filter(|name| look.files.contains_key(name) && !done.contains(name));
        lists.broken.extend(known);
        let own = look.own_bundles();
        let theirs: Vec<BundleRef> = look
            .others
            .values()
            .flat_map(|index| alive(&look, index))
            .collect();
        // Whether they can be read is to be known before they are counted on.
        for bundle in own.iter().chain(&theirs) {
            lists.of(bundle, &mut self.notes);
        }
        look_through(&theirs, &others, &clock, (lists, &mut seen.read, &mut self.notes));
        let broken = broken(&others, &lists.broken);

        let is_needed = |bundle: &&BundleRef| {
            let needs =
                |other: &Other<'_>| other.index.is_none_or(|index| !index.done.contains(&bundle.name));
            others.iter().any(needs)
        };
        let needed: Vec<&BundleRef> = own.iter().filter(is_needed).collect();
        let small = |bundle: &&&BundleRef| bundle.len() <= SMALL.0;
        let are_many = needed.iter().filter(small).count() >= SMALL.1;
        // Those stay until what takes their place is there.
        let stays = |bundle: &&&BundleRef| !(broken.contains(&bundle.name) || are_many && small(bundle));
        let kept: Vec<&BundleRef> = needed.iter().filter(stays).copied().collect();
        let sound = theirs.iter().filter(|bundle| !broken.contains(&bundle.name));
        let covering: Vec<&BundleRef> = sound.chain(kept.iter().copied()).collect();
        let covered = Covered::by(&covering, lists, &mut self.notes);

        let mut says = Says {
            done,
            serial: look
                .own
                .iter()
                .map(|index| index.serial)
                .fold(options.serial, u64::max),
            ..Says::default()
        };
        let is_all = needed.len() == own.len();
        if !is_all {
            // Not named any more before they go.
            let names: Vec<BundleRef> = needed.iter().map(|bundle| bundle.duplicate()).collect();
            if self.publish(&look, lists, (names, false), &mut says)? {
                self.tidy(&look, &says, &needed.iter().map(|bundle| bundle.name).collect());
            }
        } else {
            let all = own.iter().map(|bundle| bundle.name).collect();
            self.tidy(&look, &says, &all);
        }

        let mut given = Given::default();
        // What was begun before and not brought to its end is gone through once more.
        let again = look.own.first().is_some_and(|index| !index.whole);
        let (mut needed, mut kept) = (needed, kept);
        if !says.read_only && !others.is_empty() {
            let stood: Vec<BundleRef> = needed.iter().map(|bundle| bundle.duplicate()).collect();
            let way = (&clock, again, options.limit);
            self.give(
                (&look, lists, &mut says),
                (&others, covered),
                way,
                stood,
                &mut given,
            )?;
        }
        let present: Vec<Other<'_>> = others
            .iter()
            .filter(|other| other.index.is_some())
            .cloned()
            .collect();
        let is_over = |bundle: &&BundleRef| {
            let done = |other: &Other<'_>| other.index.is_some_and(|index| index.done.contains(&bundle.name));
            !present.is_empty() && present.iter().all(done)
        };
        if given.stopped == Some(Stopped::Full) && needed.iter().any(is_over) {
            // What stays for those alone that were never here gives way to those that come; it is made anew when they do.
            needed.retain(|bundle| !is_over(bundle));
            kept.retain(|bundle| !is_over(bundle));
            let stand = needed.iter().copied().chain(&given.made);
            let stood: Vec<BundleRef> = stand.map(BundleRef::duplicate).collect();
            let names = stood.iter().map(|bundle| bundle.name).collect();
            let all: Vec<BundleRef> = stood.iter().map(BundleRef::duplicate).collect();
            if self.publish(&look, lists, (all, false), &mut says)? {
                self.tidy(&look, &says, &names);
                let sound = theirs.iter().filter(|bundle| !broken.contains(&bundle.name));
                let covering: Vec<&BundleRef> =
                    sound.chain(kept.iter().copied()).chain(&given.made).collect();
                let covered = Covered::by(&covering, lists, &mut self.notes);
                let way = (&clock, again, options.limit);
                self.give(
                    (&look, lists, &mut says),
                    (&present, covered),
                    way,
                    stood,
                    &mut given,
                )?;
            }
        }
        let (made, halted) = (given.made, given.stopped);
        self.out.gave = given.gave;
        // That it may not be written to is no want of room.
        self.out.left_out = match halted {
            Some(Stopped::ReadOnly) => 0,
            _ => given.left_out,
        };
        self.out.full = halted == Some(Stopped::Full);
        says.read_only |= halted == Some(Stopped::ReadOnly);

        // Where there was no room for what takes their place, they stay.
        let stay = match halted {
            None => kept,
            Some(_) => needed,
        };
        let named: Vec<BundleRef> = stay
            .iter()
            .copied()
            .chain(&made)
            .map(BundleRef::duplicate)
            .collect();
        let names: BTreeSet<Name> = named.iter().map(|bundle| bundle.name).collect();
        self.out.own_bytes = named.iter().map(BundleRef::len).sum();
        let waiting = |other: &Other<'_>| {
            let needs =
                |bundle: &&BundleRef| other.index.is_none_or(|index| !index.done.contains(&bundle.name));
            let own_of = |bundle: &&BundleRef| {
                let index = other.index;
                !index.is_some_and(|index| index.bundles.iter().any(|own| own.name == bundle.name))
            };
            let for_it: Vec<&BundleRef> = named.iter().chain(&theirs).filter(needs).filter(own_of).collect();
            Waiting {
                device: other.id,
                name: other.name.clone(),
                seen: other.index.is_some(),
                files: for_it.len() as u64,
                bytes: for_it.iter().map(|bundle| bundle.len()).sum(),
                lacks: other.index.map_or(0, |index| index.lacking),
            }
        };
        self.out.devices = others.iter().map(waiting).collect();
        if !says.read_only && self.publish(&look, lists, (named, halted.is_none()), &mut says)? {
            self.tidy(&look, &says, &names);
        }
        // What some of the statements stand on lies nowhere there: they come again with it.
        self.replica.answer(Request::ForgetWaiting { session: SESSION });
        let (lacks, lacking) = self.lacking()?;
        (self.out.lacks, self.out.lacking) = (lacks.len() as u64, lacking);
        self.out.read_only = says.read_only;
        self.out.serial = says.serial;
        self.out.strangers = look.strangers as u64;
        if look.strangers > 0 {
            self.notes.say(match look.strangers {
                1 => "a file whose name is none of this vault's lies there, too, and is left alone".into(),
                many => format!(
                    "{many} files whose names are none of this vault's lie there, too, and are left alone"
                ),
            });
        }
        Ok(())
    }
}

/// What was put there.
#[derive(Default)]
struct Given {
    made: Vec<BundleRef>,
    gave: Tally,
    left_out: u64,
    stopped: Option<Stopped>,
}

impl Exchanging<'_> {
    /// Puts there what these others lack, beside the bundles that stand there.
    fn give(
        &mut self,
        (look, lists, says): (&Look, &mut Lists<'_>, &mut Says),
        (others, covered): (&[Other<'_>], Covered),
        (clock, again, limit): (&HashMap<ChainId, u64>, bool, Option<u64>),
        stood: Vec<BundleRef>,
        given: &mut Given,
    ) -> Result<(), CarrierError> {
        let used: u64 = stood.iter().map(BundleRef::len).sum();
        let free = self
            .folder
            .room()
            .map_err(CarrierError::io("look at the folder's disk"))?;
        // Counted with what is ours: else each exchange would take a part of the rest.
        let leave = free.saturating_sub(RESERVE.min(free.saturating_add(used) / 8));
        let share = limit.map_or(u64::MAX, |limit| limit.saturating_sub(used));
        let room = (leave.min(share), BUNDLES_MAX - stood.len().min(BUNDLES_MAX));
        let heads = self.heads()?;
        let floor = floor(others, clock);
        let (replica, folder, before) = (self.replica, self.folder, given.gave.bytes);
        let mut giver = Giver::new(
            replica,
            (folder, self.names),
            (lists, &mut given.gave),
            covered,
            room,
        );
        giver.statements(&heads, others)?;
        let files = giver.batches(&floor, clock, again)?;
        giver.chunks(others, &files, &floor, &mut |giver| {
            if giver.much(CHECKPOINT) {
                let all = stood.iter().chain(&giver.made);
                let all = all.map(BundleRef::duplicate).collect();
                self.publish(look, giver.lists, (all, false), says)?;
            }
            Ok(())
        })?;
        giver.close()?;
        let (made, left_out, stopped) = (std::mem::take(&mut giver.made), giver.left_out, giver.stopped);
        drop(giver);
        given.made.extend(made);
        // What found no room at first may have found it now.
        given.left_out = given
            .left_out
            .saturating_sub(given.gave.bytes - before)
            .max(left_out);
        given.stopped = stopped.or(given.stopped);
        Ok(())
    }
}

fn taker<'a, 'f>(
    replica: &'a dyn Carries,
    lists: &'a mut Lists<'f>,
    notes: &'a mut Notes,
    took: &'a mut Tally,
) -> Taker<'a, 'f> {
    Taker {
        replica,
        lists,
        notes,
        took,
        refused: Default::default(),
    }
}

/// Bundles that an index names, and that are there.
fn alive(look: &Look, index: &Index) -> Vec<BundleRef> {
    let there = index.bundles.iter().filter(|bundle| look.has(bundle));
    there.map(BundleRef::duplicate).collect()
}
