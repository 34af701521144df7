//! The rules by which statements count. Reasons stand in `docs/members.md`.
//!
//! A device is **senior** to another if the first statement that counted and added it comes earlier in the line
//! ([`Line`]). Nobody can be senior to who added it. Devices take their seats in this order, and what was decided at an earlier seat stays.
//!
//! 1. A device is seated by the first [`Body::Added`] that counts: its author is seated, and no removal of the author that
//!    counts by then was made without knowing it.
//! 2. A removal counts if its author is seated and it was known to each removal of the author by a senior that counts; and, where it
//!    is of a senior, if that senior has not removed its author: word against word, the senior's counts.
//! 3. Everything else counts if its author is seated, and it was known to every removal of its author that counts, and
//!    whoever added the author still counts by these same rules. So nothing a removed device says afterwards, or pretends to have
//!    said before, has any effect.
//! 4. A removed device stays removed. Its chains count as far as the removals of it say, the farthest of them.

use std::collections::{HashMap, HashSet};

use super::body::{Body, Limit, Share};
use super::chain_id;
use super::reach::{Bits, Line};
use super::state::{Device, Epoch, Overruled, Removal, Standing, State};
use super::statement::DeviceId;
use super::{DEVICES_MAX, graph::Node};
use crate::ids::ChainId;

/// How many removals of one device, the most senior ones, say which of its statements count. Each costs a walk.
const CUTS_MAX: usize = 16;

/// A device that counted when its turn came.
struct Seat {
    id: DeviceId,
    /// The statements that added it and counted then, each with the seat of its author; the founder has none.
    added: Vec<(usize, usize)>,
    /// What of it counts: all but what the removals of it did not know. None while nobody removed it.
    known: Option<Bits>,
    /// Removals of it that count: place, and seat of the author. Seniors' first.
    against: Vec<(usize, usize)>,
    /// Their authors' seats.
    removers: HashSet<usize>,
}

struct Judge<'a> {
    line: &'a Line<'a>,
    seats: Vec<Seat>,
    ranks: HashMap<DeviceId, usize>,
    /// All removals by a device, whether they count or not.
    removals: HashMap<DeviceId, Vec<usize>>,
    /// Removals of devices that have no seat yet, which count.
    ahead: HashMap<DeviceId, Vec<(usize, usize)>>,
    overruled: Vec<Overruled>,
}

/// What these statements come to. All their ancestors are among them.
pub(super) fn evaluate(nodes: &[Node]) -> State {
    let line = Line::new(nodes);
    let mut removals: HashMap<DeviceId, Vec<usize>> = HashMap::new();
    for (at, statement) in line.statements() {
        if matches!(statement.body, Body::Removed { .. }) {
            removals.entry(statement.author).or_default().push(at);
        }
    }
    let mut judge = Judge {
        line: &line,
        seats: Vec::new(),
        ranks: HashMap::new(),
        removals,
        ahead: HashMap::new(),
        overruled: Vec::new(),
    };
    for (at, statement) in line.statements() {
        let by = judge.ranks.get(&statement.author).copied();
        match (&statement.body, by) {
            (Body::Founded { .. }, _) => judge.seat(statement.author, None),
            (Body::Added(joining), Some(by)) if judge.stands(by, at) => {
                match judge.ranks.get(&joining.device) {
                    Some(seat) => judge.seats[*seat].added.push((at, by)),
                    None if judge.seats.len() < DEVICES_MAX => judge.seat(joining.device, Some((at, by))),
                    None => {}
                }
            }
            _ => {}
        }
    }
    let alive = judge.alive();
    tell(&judge, &alive)
}

impl Judge<'_> {
    /// Whether every removal of a device that counts so far knew this statement of it.
    fn stands(&self, seat: usize, at: usize) -> bool {
        self.seats[seat].known.as_ref().is_none_or(|known| known.has(at))
    }

    fn seat(&mut self, id: DeviceId, added: Option<(usize, usize)>) {
        let seat = self.seats.len();
        self.seats.push(Seat {
            id,
            added: added.into_iter().collect(),
            known: None,
            against: Vec::new(),
            removers: HashSet::new(),
        });
        self.ranks.insert(id, seat);
        for (at, by) in self.ahead.remove(&id).unwrap_or_default() {
            self.remove(seat, at, by);
        }
        let own = self.removals.remove(&id).unwrap_or_default();
        let target = |at: &usize| match &self.line.node(*at).verified.statement().body {
            Body::Removed { device, .. } => Some((*at, *device)),
            _ => None,
        };
        let own: Vec<_> = own.iter().filter_map(target).collect();
        // Who leaves says nothing beside it.
        for (at, _) in own.iter().filter(|(_, device)| *device == id) {
            if self.stands(seat, *at) {
                self.remove(seat, *at, seat);
            }
        }
        for (at, device) in own.into_iter().filter(|(_, device)| *device != id) {
            if !self.stands(seat, at) {
                continue;
            }
            match self.ranks.get(&device).copied() {
                // Whoever has a seat already is senior.
                Some(senior) if self.seats[seat].removers.contains(&senior) => {
                    self.overruled.push(Overruled {
                        by: id,
                        device,
                        statement: self.line.node(at).verified.id(),
                    });
                }
                Some(senior) => self.remove(senior, at, seat),
                None => self.ahead.entry(device).or_default().push((at, seat)),
            }
        }
    }

    fn remove(&mut self, seat: usize, at: usize, by: usize) {
        let line = self.line;
        let seat = &mut self.seats[seat];
        // Of one author, the first says what of the statements counts; later ones can but let more events of chains count.
        let first = seat.removers.insert(by);
        if first && seat.removers.len() <= CUTS_MAX {
            let past = line.past(at);
            match &mut seat.known {
                Some(known) => known.keep(&past),
                none => *none = Some(past),
            }
        }
        seat.against.push((at, by));
    }

    /// Of each seat, whether somebody who counts added it by a statement that counts, in the end. Nobody counts by a circle.
    fn alive(&self) -> Vec<bool> {
        let mut alive = vec![false; self.seats.len()];
        alive.iter_mut().take(1).for_each(|founder| *founder = true);
        loop {
            let counts = |(at, by): &(usize, usize)| alive[*by] && self.stands(*by, *at);
            let found = |seat: usize| !alive[seat] && self.seats[seat].added.iter().any(counts);
            let more: Vec<usize> = (0..alive.len()).filter(|seat| found(*seat)).collect();
            if more.is_empty() {
                return alive;
            }
            more.into_iter().for_each(|seat| alive[seat] = true);
        }
    }

    /// The farthest that any removal of this device lets each chain count; of two heads at one place, the more senior's.
    fn limits(&self, seat: &Seat) -> HashMap<ChainId, Limit> {
        let mut limits: HashMap<ChainId, Limit> = HashMap::new();
        for (at, _) in &seat.against {
            if let Body::Removed { limits: named, .. } = &self.line.node(*at).verified.statement().body {
                for limit in named {
                    let far = limits.entry(limit.chain).or_insert(*limit);
                    if limit.last > far.last {
                        *far = *limit;
                    }
                }
            }
        }
        limits
    }

    /// The seats of those whom shares are for.
    fn named(&self, shares: &[Share]) -> impl Iterator<Item = usize> {
        shares
            .iter()
            .filter_map(|share| self.ranks.get(&share.device).copied())
    }

    fn device(&self, seat: &Seat, alive: &[bool]) -> Option<Device> {
        let counts = |(at, by): &&(usize, usize)| alive[*by] && self.stands(*by, *at);
        let added = seat.added.iter().find(counts).or(seat.added.first());
        let joined = added.map_or(0, |(at, _)| *at);
        let statement = self.line.node(joined);
        let card = match &statement.verified.statement().body {
            Body::Founded { card, .. } => card,
            Body::Added(joining) => &joining.card,
            _ => return None,
        };
        let standing = match seat.against.first() {
            Some((at, by)) => Standing::Removed(Removal {
                by: self.seats[*by].id,
                statement: self.line.node(*at).verified.id(),
            }),
            None if added.is_none() || added.as_ref().is_some_and(counts) => Standing::Member,
            None => Standing::Undone,
        };
        Some(Device {
            id: seat.id,
            name: card.name.clone(),
            sealing: card.sealing,
            transport: card.transport.key,
            joined: statement.verified.id(),
            added_by: added.map(|(_, by)| self.seats[*by].id),
            standing,
            lapsed: false,
        })
    }
}

/// What all that counts comes to, taken in the line's order.
fn tell(judge: &Judge<'_>, alive: &[bool]) -> State {
    let line = judge.line;
    let devices = judge
        .seats
        .iter()
        .filter_map(|seat| judge.device(seat, alive))
        .collect();
    let mut state = State::new(devices, judge.overruled.clone());
    let limits: Vec<_> = judge.seats.iter().map(|seat| judge.limits(seat)).collect();
    let mut begun = Vec::new();
    for (at, statement) in line.statements() {
        let Some(by) = judge.ranks.get(&statement.author).copied() else {
            continue;
        };
        let counts = alive[by] && judge.stands(by, at);
        if let Body::Chain { random } = &statement.body {
            let chain = chain_id(statement.author, random);
            let limit = limits[by].get(&chain);
            // A removal that names a chain vouches for it: its id says whose it is.
            if counts || (alive[by] && limit.is_some()) {
                let removed = !judge.seats[by].against.is_empty();
                let none = Limit {
                    chain,
                    last: 0,
                    head: [0; 32],
                };
                state.chain(chain, by, removed.then(|| limit.copied().unwrap_or(none)));
            }
        }
        if !counts {
            continue;
        }
        match &statement.body {
            Body::Renamed { device, name } => {
                state.change(device, |device| device.name = name.clone());
            }
            Body::Transport(proof) => state.change(&statement.author, |device| device.transport = proof.key),
            Body::Lapsed { device } => state.change(device, |device| device.lapsed = true),
            Body::Returned { device } => state.change(device, |device| device.lapsed = false),
            Body::Founded { commitment, .. } => {
                let at = state.begin(Epoch::new(
                    line.node(at).verified.id(),
                    0,
                    *commitment,
                    statement.author,
                ));
                // Whoever is added has been given what there was.
                state.give(at, 0..judge.seats.len());
            }
            Body::Epoch {
                number,
                commitment,
                shares,
            } => {
                let id = line.node(at).verified.id();
                let epoch = state.begin(Epoch::new(id, *number, *commitment, statement.author));
                state.give(epoch, judge.named(shares).chain([by]));
                begun.push((at, epoch));
            }
            Body::Shared { epoch, shares } => {
                if let Some(epoch) = state.begun(epoch) {
                    state.give(epoch, judge.named(shares));
                }
            }
            _ => {}
        }
    }
    // Who is added by somebody who knew of an epoch is given its secrets in the same breath.
    for group in begun.chunks(64) {
        let marks = line.marks(&group.iter().map(|(at, _)| *at).collect::<Vec<_>>());
        for (bit, (_, epoch)) in group.iter().enumerate() {
            let knew = |seat: &Seat| seat.added.iter().any(|(at, _)| marks[*at] >> bit & 1 == 1);
            let given = judge.seats.iter().enumerate().filter(|(_, seat)| knew(seat));
            state.give(*epoch, given.map(|(rank, _)| rank));
        }
    }
    state.finish();
    state
}
