//! What a space's statements come to: who is a member, who signs which chain, whom a transport key speaks for, which epochs there are.
//!
//! It is the same on every device that has the same statements. It holds nothing secret.

use std::collections::HashMap;

use super::DEVICES_MAX;
use super::body::Limit;
use super::card::DeviceName;
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
    /// Whether it has been silent for long.
    pub lapsed: bool,
}

impl Device {
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
    holders: Bits,
}

impl Epoch {
    pub(super) fn new(id: StatementId, number: u32, commitment: [u8; 32], author: DeviceId) -> Epoch {
        Epoch {
            id,
            number,
            commitment,
            author,
            holders: Bits::none(DEVICES_MAX),
        }
    }
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

/// See the module.
#[derive(Clone)]
pub struct State {
    devices: Vec<Device>,
    seats: HashMap<DeviceId, usize>,
    chains: HashMap<ChainId, (usize, Option<Limit>)>,
    transports: HashMap<[u8; 32], usize>,
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

    pub(super) fn chain(&mut self, chain: ChainId, seat: usize, limit: Option<Limit>) {
        self.chains.insert(chain, (seat, limit));
    }

    /// A new epoch; returns its place among all.
    pub(super) fn begin(&mut self, epoch: Epoch) -> usize {
        let at = self.epochs.len();
        self.begun.insert(epoch.id, at);
        self.epochs.push(epoch);
        at
    }

    /// These were given an epoch's secrets.
    pub(super) fn give(&mut self, epoch: usize, seats: impl Iterator<Item = usize>) {
        if let Some(epoch) = self.epochs.get_mut(epoch) {
            seats.for_each(|seat| epoch.holders.add(seat));
        }
    }

    pub(super) fn begun(&self, epoch: &StatementId) -> Option<usize> {
        self.begun.get(epoch).copied()
    }

    /// What follows from all the rest.
    pub(super) fn finish(&mut self) {
        for (seat, device) in self
            .devices
            .iter()
            .enumerate()
            .filter(|(_, device)| device.is_member())
        {
            self.transports.entry(device.transport).or_insert(seat);
        }
        let strangers: Vec<usize> = (0..self.devices.len())
            .filter(|seat| !self.devices[*seat].is_member())
            .collect();
        let clean = |epoch: &Epoch| !strangers.iter().any(|seat| epoch.holders.has(*seat));
        let key = |at: &usize| (clean(&self.epochs[*at]), self.epochs[*at].number, *at);
        self.current = (0..self.epochs.len()).max_by_key(key).unwrap_or(0);
        self.due = self.epochs.get(self.current).is_some_and(|epoch| !clean(epoch));
    }

    /// All devices that are or were members, the most senior first.
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

    /// Who signs a chain, and how far it counts. None if no device that counts has begun it.
    pub fn who_signs(&self, chain: &ChainId) -> Option<Signer> {
        let (seat, limit) = self.chains.get(chain)?;
        let device = &self.devices[*seat];
        let counts = device.standing != Standing::Undone;
        let key = device.id.verifying().ok().filter(|_| counts)?;
        Some(Signer {
            device: device.id,
            key,
            limit: *limit,
        })
    }

    /// The chains of a device.
    pub fn chains_of(&self, id: &DeviceId) -> Vec<ChainId> {
        let seat = self.seats.get(id);
        let its = self.chains.iter().filter(|(_, (of, _))| Some(of) == seat);
        let mut chains: Vec<ChainId> = its.map(|(chain, _)| *chain).collect();
        chains.sort_unstable();
        chains
    }

    /// The member for which a transport key speaks at present; nobody else gets past a handshake.
    pub fn speaks_for(&self, transport: &[u8; 32]) -> Option<DeviceId> {
        self.transports.get(transport).map(|seat| self.devices[*seat].id)
    }

    /// All epochs that count, in the order in which they began.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The epoch that this statement began, if it counts.
    pub fn epoch_of(&self, statement: &StatementId) -> Option<&Epoch> {
        self.begun(statement).map(|at| &self.epochs[at])
    }

    /// The epochs of this number: one, unless some began at once.
    pub fn numbered(&self, number: u32) -> impl Iterator<Item = &Epoch> {
        self.epochs.iter().filter(move |epoch| epoch.number == number)
    }

    /// The epoch whose secrets seal what is new: of those that nobody has who is no member, the latest. None only before the space's first
    /// statement is here.
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

    /// Members that were never given an epoch's secrets, because who began it did not know of them: who has these should share them.
    pub fn lacking(&self) -> Vec<(StatementId, Vec<DeviceId>)> {
        let without = |epoch: &Epoch| -> Vec<DeviceId> {
            let lacks = |device: &&Device| !self.holds(&device.id, epoch);
            self.members().filter(lacks).map(|device| device.id).collect()
        };
        let all = self.epochs.iter().map(|epoch| (epoch.id, without(epoch)));
        all.filter(|(_, devices)| !devices.is_empty()).collect()
    }

    /// Removals that do not count, because a senior has removed who said them: somebody should look at them.
    pub fn overruled(&self) -> &[Overruled] {
        &self.overruled
    }
}
