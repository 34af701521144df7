//! Who has a seat, who removed whom, and whose word counts. Reasons stand in `docs/members.md`.
//!
//! A device is **senior** to another if the first statement that counted and added it comes earlier in the line
//! ([`Line`]). Nobody can be senior to who added it. Devices take their seats in this order, and what was decided at an earlier seat stays.
//!
//! 1. A device is seated by the first [`Body::Added`] that counts: its author is seated, and the removals of the author that cut
//!    by then knew of it. There are [`DEVICES_MAX`] seats, and [`BRANCH_MAX`] in a branch: whom the founder added, and
//!    all that came by that one.
//! 2. A removal counts if its author is seated and those removals of the author that cut and are seniors' or its own knew of it; and,
//!    where it is of a senior, if that senior has not removed its author: word against word, the senior's counts.
//! 3. Of several removals of one device that count, **the most senior author's cuts**, and of his the first; a device's own comes after
//!    its seniors', before its juniors'. With it cut those that it knew of (the 16 most senior authors'): whoever removes a device again
//!    does not bring back what it said after it was removed. Everything else that a device says counts if all that cut knew of
//!    it, and whoever added the device still counts by these same rules.
//! 4. Of those that count and were not removed, the [`MEMBERS_MAX`] most senior are members. The others wait, and what they say
//!    counts for nothing, but for removals.

use std::collections::{HashMap, HashSet};

use super::body::Body;
use super::reach::{Bits, Line};
use super::state::{Device, Overruled, Removal, Standing};
use super::statement::DeviceId;
use super::{BRANCH_MAX, DEVICES_MAX, MEMBERS_MAX};

/// How many removals of one device cut. Each costs a walk.
const CUTS_MAX: usize = 16;

/// A device that counted when its turn came.
pub(super) struct Seat {
    pub(super) id: DeviceId,
    /// The statements that added it and counted then, each with the seat of its author; the founder has none.
    pub(super) added: Vec<(usize, usize)>,
    /// The seat of whom the founder added, by whom this one came; the founder's is its own.
    branch: usize,
    /// What the most senior removal knew. None while nobody removed it.
    seen: Option<Bits>,
    /// What of it counts: what all removals that cut knew.
    known: Option<Bits>,
    /// The seats of their authors.
    cut_by: HashSet<usize>,
    /// Removals of it that count: place, and seat of the author. Seniors' first, then its own.
    against: Vec<(usize, usize)>,
    /// Their authors' seats.
    removers: HashSet<usize>,
}

/// What became of each device.
pub(super) struct Judge<'a> {
    line: &'a Line<'a>,
    pub(super) seats: Vec<Seat>,
    ranks: HashMap<DeviceId, usize>,
    /// How many seats each branch has taken.
    branches: HashMap<usize, usize>,
    /// All removals by a device, whether they count or not.
    removals: HashMap<DeviceId, Vec<usize>>,
    /// Removals of devices that have no seat yet, which count.
    ahead: HashMap<DeviceId, Vec<(usize, usize)>>,
    pub(super) overruled: Vec<Overruled>,
    alive: Vec<bool>,
    members: Vec<bool>,
}

impl<'a> Judge<'a> {
    pub(super) fn of(line: &'a Line<'a>) -> Judge<'a> {
        let mut removals: HashMap<DeviceId, Vec<usize>> = HashMap::new();
        for (at, statement) in line.statements() {
            if matches!(statement.body, Body::Removed { .. }) {
                removals.entry(statement.author).or_default().push(at);
            }
        }
        let mut judge = Judge {
            line,
            seats: Vec::new(),
            ranks: HashMap::new(),
            branches: HashMap::new(),
            removals,
            ahead: HashMap::new(),
            overruled: Vec::new(),
            alive: Vec::new(),
            members: Vec::new(),
        };
        for (at, statement) in line.statements() {
            let by = judge.rank(&statement.author);
            match (&statement.body, by) {
                (Body::Founded { .. }, _) => judge.seat(statement.author, None),
                (Body::Added(joining), Some(by)) if judge.stands(by, at) => match judge.rank(&joining.device)
                {
                    Some(seat) => judge.seats[seat].added.push((at, by)),
                    None if judge.has_room(by) => judge.seat(joining.device, Some((at, by))),
                    None => {}
                },
                _ => {}
            }
        }
        judge.decide();
        judge
    }

    /// The seat of a device.
    pub(super) fn rank(&self, id: &DeviceId) -> Option<usize> {
        self.ranks.get(id).copied()
    }

    /// Whether a device is a member.
    pub(super) fn is_member(&self, id: &DeviceId) -> bool {
        self.rank(id).is_some_and(|seat| self.members[seat])
    }

    /// Whether what this seat's device says there counts.
    pub(super) fn counts(&self, seat: usize, at: usize) -> bool {
        self.alive[seat] && self.stands(seat, at)
    }

    /// Whether a device is removed by its juniors only: it may object, and is a member again if it does.
    pub(super) fn may_object(&self, seat: usize) -> bool {
        let most_senior = self.seats[seat].against.first();
        self.alive[seat] && most_senior.is_some_and(|(_, by)| *by > seat)
    }

    /// Who removed a device, the most senior first, each by the first statement that does so.
    pub(super) fn removed_by(&self, seat: usize) -> Vec<Removal> {
        let mut seen = HashSet::new();
        let first = self.seats[seat].against.iter().filter(|(_, by)| seen.insert(*by));
        first
            .map(|(at, by)| Removal {
                by: self.seats[*by].id,
                statement: self.line.node(*at).verified.id(),
            })
            .collect()
    }

    /// Whether the removals that cut, of those that count so far, knew this statement of it.
    fn stands(&self, seat: usize, at: usize) -> bool {
        self.seats[seat].known.as_ref().is_none_or(|known| known.has(at))
    }

    /// Whether this device may bring one more to a seat. The founder always begins a branch, so that none can be filled against it.
    fn has_room(&self, by: usize) -> bool {
        let branch = self.seats[by].branch;
        let taken = self.branches.get(&branch).copied().unwrap_or(0);
        self.seats.len() < DEVICES_MAX && (branch == 0 || taken < BRANCH_MAX)
    }

    fn seat(&mut self, id: DeviceId, added: Option<(usize, usize)>) {
        let seat = self.seats.len();
        let branch = match added {
            Some((_, by)) if by > 0 => self.seats[by].branch,
            _ => seat,
        };
        *self.branches.entry(branch).or_default() += 1;
        self.seats.push(Seat {
            id,
            added: added.into_iter().collect(),
            branch,
            seen: None,
            known: None,
            cut_by: HashSet::new(),
            against: Vec::new(),
            removers: HashSet::new(),
        });
        self.ranks.insert(id, seat);
        for (at, by) in self.ahead.remove(&id).unwrap_or_default() {
            self.remove(seat, at, by);
        }
        let own = self.removals.remove(&id).unwrap_or_default();
        let target = |at: &usize| match &self.line.node(*at).verified.statement().body {
            Body::Removed { device } => Some((*at, *device)),
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
            match self.rank(&device) {
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

    /// Removals come by the seniority of their authors: the first one cuts, and those cut that it knew of.
    fn remove(&mut self, seat: usize, at: usize, by: usize) {
        let line = self.line;
        let seat = &mut self.seats[seat];
        let cuts = seat.seen.as_ref().is_none_or(|seen| seen.has(at));
        if cuts && seat.cut_by.len() < CUTS_MAX && seat.cut_by.insert(by) {
            let past = line.past(at);
            match &mut seat.known {
                Some(known) => known.keep(&past),
                None => (seat.known, seat.seen) = (Some(past.clone()), Some(past)),
            }
        }
        seat.removers.insert(by);
        seat.against.push((at, by));
    }

    fn decide(&mut self) {
        self.alive = self.alive(&[]);
        let stays = |seat: &usize| self.alive[*seat] && self.seats[*seat].against.is_empty();
        let stay: Vec<usize> = (0..self.seats.len()).filter(stays).collect();
        let (members, wait) = stay.split_at(stay.len().min(MEMBERS_MAX));
        let mut is = vec![false; self.seats.len()];
        members.iter().for_each(|seat| is[*seat] = true);
        self.members = is;
        // Whoever was added stands behind who added it: no member came by one that waits.
        if !wait.is_empty() {
            self.alive = self.alive(wait);
        }
    }

    /// Of each seat, whether somebody who counts added it by a statement that counts, in the end; none of `but` does. Nobody counts by a circle.
    fn alive(&self, but: &[usize]) -> Vec<bool> {
        let mut alive = vec![false; self.seats.len()];
        alive.iter_mut().take(1).for_each(|founder| *founder = true);
        let counts = |alive: &[bool], seat: usize| {
            let added = self.seats[seat].added.iter();
            added.clone().any(|(at, by)| alive[*by] && self.stands(*by, *at))
        };
        loop {
            let mut more = false;
            for seat in 0..alive.len() {
                if !alive[seat] && counts(&alive, seat) && but.binary_search(&seat).is_err() {
                    (alive[seat], more) = (true, true);
                }
            }
            if !more {
                return alive;
            }
        }
    }

    /// What is to be said of a seat's device.
    pub(super) fn device(&self, at: usize) -> Option<Device> {
        let seat = &self.seats[at];
        let counts = |(at, by): &&(usize, usize)| self.counts(*by, *at);
        let added = seat.added.iter().find(counts).or(seat.added.first());
        let standing = match self.removed_by(at).first() {
            Some(removal) => Standing::Removed(*removal),
            None if self.members[at] => Standing::Member,
            // Its adder counts, and it has no removal against it.
            None if added.as_ref().is_some_and(counts) => Standing::Waiting,
            None => Standing::Undone,
        };
        let joined = added.map_or(0, |(at, _)| *at);
        let by = added.map(|(_, by)| self.seats[*by].id);
        Device::of(self.line.node(joined), by, standing)
    }
}
