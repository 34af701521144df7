//! What a space's statements come to: who is a member, who signs which chain, whom a transport key speaks for, which epochs there are.
//!
//! It is the same on every device that has the same statements. It holds nothing secret.

use std::collections::HashMap;

use super::body::{Body, Limit};
use super::card::DeviceName;
use super::graph::Node;
use super::reach::Bits;
use super::sealing::SealingKey;
use super::statement::{DeviceId, StatementId};
use crate::ids::ChainId;
use crate::keys::VerifyingKey;

/// Who removed a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The most senior of those who did.
    pub by: DeviceId,
    /// Its statement.
    pub statement: StatementId,
}

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is a member.
    Member,
    /// It was removed, for good.
    Removed(Removal),
    /// Whoever added it was removed by somebody who did not know of it. It has to be paired again.
    Undone,
    /// There are as many members as there may be, all more senior: it is one when one of them is removed.
    Waiting,
}

/// A device that is, or was, a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its identity.
    pub id: DeviceId,
    /// Its present name.
    pub name: DeviceName,
    /// Where secrets are sealed to for it.
    pub sealing: SealingKey,
    /// The transport key that speaks for it.
    pub transport: [u8; 32],
    /// The statement by which it became one.
    pub joined: StatementId,
    /// Who added it; none founded the space.
    pub added_by: Option<DeviceId>,
    /// Whether it is a member still.
    pub standing: Standing,
    /// Whether it has said what this program cannot read, and should not go without: this one is to be updated.
    pub is_newer: bool,
}

impl Device {
    /// As the statement that made it a member says.
    pub(super) fn of(joined: &Node, added_by: Option<DeviceId>, standing: Standing) -> Option<Device> {
        let statement = joined.verified.statement();
        let (id, card) = match &statement.body {
            Body::Founded { card, .. } => (statement.author, card),
            Body::Added(joining) => (joining.device, &joining.card),
            _ => return None,
        };
        Some(Device {
            id,
            name: card.name.clone(),
            sealing: card.sealing,
            transport: card.transport.key,
            joined: joined.verified.id(),
            added_by,
            standing,
            is_newer: false,
        })
    }

    /// Whether it is a member.
    pub fn is_member(&self) -> bool {
        self.standing == Standing::Member
    }
}

/// An epoch of the space's secrets.
#[derive(Clone)]
pub struct Epoch {
    /// The statement that began it: its name.
    pub id: StatementId,
    /// Its number, which events carry. Two that began at once can have the same: what one does not open, the other may.
    pub number: u32,
    /// Which secrets it has.
    pub commitment: [u8; 32],
    /// Who began it.
    pub author: DeviceId,
    /// Whether who began it is heard. If not, it is never the present one; but what was sealed with it opens, and it is shared as any.
    pub counts: bool,
    /// Whether all who may hold it are members.
    pub(super) clean: bool,
    /// Whether its own shares name every member that its author knew.
    pub(super) whole: bool,
    /// Seats of those who were given it.
    pub(super) holders: Bits,
}

/// A removal that does not count because the senior whom it is of has removed its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overruled {
    /// Who said it.
    pub by: DeviceId,
    /// Of whom.
    pub device: DeviceId,
    /// The statement.
    pub statement: StatementId,
}

/// Who signs a chain, and how far it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: VerifyingKey,
    /// None for a member's chain; else the last event that counts.
    pub limit: Option<Limit>,
}

/// What a session with a device may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything: it is a member.
    Full,
    /// Statements, in both directions, and nothing else: its juniors have removed it, and it may object.
    Statements,
}

/// See the module.
#[derive(Clone)]
pub struct State {
    devices: Vec<Device>,
    seats: HashMap<DeviceId, usize>,
    chains: HashMap<ChainId, (usize, Option<Limit>)>,
    transports: HashMap<[u8; 32], (usize, Access)>,
    vouched: HashMap<DeviceId, Vec<Limit>>,
    /// Of each seat, who removed it; and whether it may object.
    removals: Vec<(Vec<Removal>, bool)>,
    /// In the order in which they began.
    epochs: Vec<Epoch>,
    begun: HashMap<StatementId, usize>,
    current: usize,
    due: bool,
    overruled: Vec<Overruled>,
}

impl State {
    pub(super) fn new(devices: Vec<Device>, overruled: Vec<Overruled>) -> State {
        State {
            seats: devices
                .iter()
                .enumerate()
                .map(|(seat, device)| (device.id, seat))
                .collect(),
            devices,
            chains: HashMap::new(),
            transports: HashMap::new(),
            vouched: HashMap::new(),
            removals: Vec::new(),
            epochs: Vec::new(),
            begun: HashMap::new(),
            current: 0,
            due: false,
            overruled,
        }
    }

    pub(super) fn change(&mut self, device: &DeviceId, change: impl FnOnce(&mut Device)) {
        if let Some(seat) = self.seats.get(device) {
            change(&mut self.devices[*seat]);
        }
    }

    /// A device says what this program should not go without.
    pub(super) fn says_newer(&mut self, device: &DeviceId) {
        self.change(device, |device| device.is_newer = true);
    }

    /// Who removed the device of the next seat.
    pub(super) fn removed(&mut self, by: Vec<Removal>, may_object: bool) {
        self.removals.push((by, may_object));
    }

    /// A device says that a chain is its own; whether that counts, and how far others vouch for it.
    pub(super) fn begin_chain(
        &mut self,
        by: &DeviceId,
        chain: ChainId,
        counts: bool,
        vouched: Option<Limit>,
    ) {
        let Some(seat) = self.seats.get(by).copied() else {
            return;
        };
        let nothing = Limit {
            chain,
            last: 0,
            head: [0; 32],
        };
        // Whoever vouches for a chain need not have heard that it began: its id says whose it is.
        let limit = match self.devices[seat].standing {
            Standing::Member if counts => None,
            Standing::Removed(_) if counts => Some(vouched.unwrap_or(nothing)),
            Standing::Member => return,
            Standing::Removed(_) | Standing::Undone | Standing::Waiting if vouched.is_some() => vouched,
            _ => return,
        };
        self.chains.insert(chain, (seat, limit));
    }

    pub(super) fn vouch(&mut self, device: DeviceId, limits: Vec<Limit>) {
        self.vouched.insert(device, limits);
    }

    /// What follows from all the rest.
    pub(super) fn finish(&mut self, epochs: Vec<Epoch>) {
        for access in [Access::Full, Access::Statements] {
            for (seat, device) in self.devices.iter().enumerate() {
                let has = match access {
                    Access::Full => device.is_member(),
                    Access::Statements => self.removals.get(seat).is_some_and(|(_, may)| *may),
                };
                if has {
                    self.transports.entry(device.transport).or_insert((seat, access));
                }
            }
        }
        self.begun = epochs
            .iter()
            .enumerate()
            .map(|(at, epoch)| (epoch.id, at))
            .collect();
        self.epochs = epochs;
        let rank = |epoch: &Epoch| match epoch.clean {
            true => 1 + u8::from(epoch.whole),
            false => 0,
        };
        let counting = self.epochs.iter().enumerate().filter(|(_, epoch)| epoch.counts);
        let present = counting.max_by_key(|(at, epoch)| (rank(epoch), epoch.number, *at));
        (self.current, self.due) = present.map_or((0, false), |(at, epoch)| (at, !epoch.clean));
    }

    /// All devices that are or were members, the most senior first; last those without a seat that somebody vouches for.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Those that are members, the most senior first.
    pub fn members(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(|device| device.is_member())
    }

    /// A device that is or was a member.
    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.seats.get(id).map(|seat| &self.devices[*seat])
    }

    /// Whether a device is a member.
    pub fn is_member(&self, id: &DeviceId) -> bool {
        self.device(id).is_some_and(Device::is_member)
    }

    /// How senior a device is: its place among [`devices`](State::devices).
    pub(super) fn seniority(&self, id: &DeviceId) -> Option<usize> {
        self.seats.get(id).copied()
    }

    /// Who has removed a device, the most senior first; only removals that count.
    pub fn removals(&self, id: &DeviceId) -> &[Removal] {
        let seat = self.seats.get(id).and_then(|seat| self.removals.get(*seat));
        seat.map_or(&[], |(removals, _)| removals)
    }

    /// Whether only juniors have removed this device: it may say that they are removed instead, and is a member again
    /// ([`Members::object`](super::Members::object)).
    pub fn may_object(&self, id: &DeviceId) -> bool {
        let seat = self.seats.get(id).and_then(|seat| self.removals.get(*seat));
        seat.is_some_and(|(_, may_object)| *may_object)
    }

    /// Who signs a chain, and how far it counts. None if no device that counts, and for which nobody vouches, has begun it.
    pub fn who_signs(&self, chain: &ChainId) -> Option<Signer> {
        let (seat, limit) = self.chains.get(chain)?;
        let device = &self.devices[*seat];
        Some(Signer {
            device: device.id,
            key: device.id.verifying().ok()?,
            limit: *limit,
        })
    }

    /// How far others vouch for each chain of a device, ascending by chain. So far they count if it is no member. **A device that has more of the chains
    /// of one that is no member says so** ([`Members::vouch`](super::Members::vouch)): else what it has counts nowhere.
    pub fn vouched(&self, id: &DeviceId) -> &[Limit] {
        self.vouched.get(id).map_or(&[], |limits| limits)
    }

    /// The chains of a device.
    pub fn chains_of(&self, id: &DeviceId) -> Vec<ChainId> {
        let seat = self.seats.get(id);
        let its = self.chains.iter().filter(|(_, (of, _))| Some(of) == seat);
        let mut chains: Vec<ChainId> = its.map(|(chain, _)| *chain).collect();
        chains.sort_unstable();
        chains
    }

    /// The member for which a transport key speaks at present.
    pub fn speaks_for(&self, transport: &[u8; 32]) -> Option<DeviceId> {
        let (device, access) = self.may_speak(transport)?;
        (access == Access::Full).then_some(device)
    }

    /// The device for which a transport key speaks at present, and what a session with it may carry; nobody else gets past a handshake.
    pub fn may_speak(&self, transport: &[u8; 32]) -> Option<(DeviceId, Access)> {
        let (seat, access) = self.transports.get(transport)?;
        Some((self.devices[*seat].id, *access))
    }

    /// All epochs, in the order in which they began, also those that do not [count](Epoch::counts).
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The epoch that this statement began, whether it counts or not.
    pub fn epoch_of(&self, statement: &StatementId) -> Option<&Epoch> {
        self.begun.get(statement).map(|at| &self.epochs[*at])
    }

    /// The same, with its place among all.
    pub(super) fn epoch_at(&self, statement: &StatementId) -> Option<(usize, &Epoch)> {
        self.begun.get(statement).map(|at| (*at, &self.epochs[*at]))
    }

    /// The epochs of this number: one, unless some began at once. Also those that do not count.
    pub fn numbered(&self, number: u32) -> impl Iterator<Item = &Epoch> {
        self.epochs.iter().filter(move |epoch| epoch.number == number)
    }

    /// The epoch whose secrets seal what is new: the highest of those that count, that nobody holds who is no member, and that name every member that their
    /// author knew. None only before the space's first statement is here.
    pub fn epoch(&self) -> Option<&Epoch> {
        self.epochs.get(self.current)
    }

    /// Whether a member should begin a new epoch, because somebody who is no member has the secrets of every one that there is.
    pub fn epoch_is_due(&self) -> bool {
        self.due
    }

    /// Whether a device was given an epoch's secrets.
    pub fn holds(&self, device: &DeviceId, epoch: &Epoch) -> bool {
        self.seats
            .get(device)
            .is_some_and(|seat| epoch.holders.has(*seat))
    }

    /// Of each epoch, the members that were never given its secrets, if there are any: who has them should share them.
    pub fn lacking(&self) -> impl Iterator<Item = (&Epoch, Vec<DeviceId>)> {
        let without = |epoch: &Epoch| -> Vec<DeviceId> {
            let lacks = |device: &&Device| !self.holds(&device.id, epoch);
            self.members().filter(lacks).map(|device| device.id).collect()
        };
        let all = self.epochs.iter().map(move |epoch| (epoch, without(epoch)));
        all.filter(|(_, devices)| !devices.is_empty())
    }

    /// Removals that do not count, because a senior has removed who said them: somebody should look at them.
    pub fn overruled(&self) -> &[Overruled] {
        &self.overruled
    }
}
