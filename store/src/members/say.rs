//! Making statements: each stands on all that this device knows.
//!
//! Guarantees: what is made can be taken in, here and by whoever has its ancestors, and counts as long as its author does.

use super::MEMBERS_MAX;
use super::body::{Body, LIMITS_MAX, Limit};
use super::card::{Card, JoinRequest};
use super::graph::Members;
use super::ground::{CannotSay, Step};
use super::sealing::SpaceSecrets;
use super::statement::{DeviceId, Statement, StatementId, Verified};
use crate::ids::SpaceId;
use crate::keys::SigningKey;

impl Members {
    /// Founds a space whose epoch 0 has these secrets. The space's id follows from them and from the device.
    pub fn found(device: &SigningKey, card: Card, secrets: &SpaceSecrets) -> (Members, Verified) {
        let founded = Statement {
            space: SpaceId([0; 16]),
            author: DeviceId::of(device),
            lamport: 1,
            parents: Vec::new(),
            body: Body::Founded {
                card,
                commitment: secrets.commitment(),
            },
            signature: [0; 64],
        }
        .signed(device);
        let mut members = Members::of(founded.space());
        // A statement of this form is taken by an empty graph of its own space.
        let _taken = members.insert(founded.clone());
        (members, founded)
    }

    /// Adds a device, and gives it the secrets of the epochs that are in the keyring: Added, then Shared for each. To be kept and sent as one: else
    /// it is a member without keys.
    ///
    /// # Errors
    /// [`CannotSay`] if its proofs do not hold, it was a member before, there are too many, or the keyring has what is no epoch's.
    pub fn add(
        &self,
        by: &SigningKey,
        joining: JoinRequest,
        keyring: &[(StatementId, SpaceSecrets)],
    ) -> Result<Vec<Verified>, CannotSay> {
        let mut step = self.step(by)?;
        joining.verify(self.space(), DeviceId::of(by))?;
        if self.state().device(&joining.device).is_some() {
            return Err(CannotSay::Before);
        }
        if self.state().members().count() >= MEMBERS_MAX {
            return Err(CannotSay::TooMany);
        }
        let (device, sealing) = (joining.device, joining.card.sealing);
        step.say(Body::Added(Box::new(joining)))?;
        if !step.state().is_member(&device) {
            return Err(CannotSay::NoSeat);
        }
        for (nth, (epoch, secrets)) in keyring.iter().enumerate() {
            if keyring[..nth].iter().all(|(before, _)| before != epoch) {
                step.share(&[(device, sealing)], *epoch, secrets)?;
            }
        }
        Ok(step.said)
    }

    /// Removes a device, vouches for its chains as far as this device has them, and begins a new epoch with these secrets for those that remain: Removed, Vouched as often as
    /// it takes, Epoch. A device that removes itself says only that; others vouch for it.
    ///
    /// A device that only juniors have removed may say it of any of these, too. While others of them remain, it says only that it is removed;
    /// [`object`](Members::object) removes all.
    ///
    /// # Errors
    /// [`CannotSay::NoDevice`] if it never was a member.
    pub fn remove(
        &self,
        by: &SigningKey,
        device: DeviceId,
        limits: Vec<Limit>,
        secrets: &SpaceSecrets,
    ) -> Result<Vec<Verified>, CannotSay> {
        let mut step = Step::begin(self, by)?;
        let author = DeviceId::of(by);
        self.state().device(&device).ok_or(CannotSay::NoDevice)?;
        let objects = self
            .state()
            .removals(&author)
            .iter()
            .any(|removal| removal.by == device);
        if !self.state().is_member(&author) && !objects {
            return Err(CannotSay::NoMember);
        }
        step.say(Body::Removed { device })?;
        let after = step.state();
        if after.is_member(&author) {
            step.vouch(device, limits)?;
            step.begin_epoch(&after, secrets)?;
        }
        Ok(step.said)
    }

    /// Objects, as a device that only juniors have removed: removes all of them, vouches for their chains as far as `limits_of` says, and, as it is a member again by
    /// that, begins a new epoch with these secrets.
    ///
    /// # Errors
    /// [`CannotSay::NothingToObject`] if that is not so.
    pub fn object(
        &self,
        by: &SigningKey,
        limits_of: &dyn Fn(&DeviceId) -> Vec<Limit>,
        secrets: &SpaceSecrets,
    ) -> Result<Vec<Verified>, CannotSay> {
        let author = DeviceId::of(by);
        if !self.state().may_object(&author) {
            return Err(CannotSay::NothingToObject);
        }
        let mut step = Step::begin(self, by)?;
        let mut removers: Vec<DeviceId> = Vec::new();
        let mut after = self.state().clone();
        // Each removal can show that another one counts, which was void before.
        while !after.is_member(&author) {
            let by = after.removals(&author).iter().map(|removal| removal.by);
            let next: Vec<DeviceId> = by.filter(|by| !removers.contains(by)).collect();
            if next.is_empty() || !after.may_object(&author) {
                return Err(CannotSay::NothingToObject);
            }
            for device in &next {
                step.say(Body::Removed { device: *device })?;
            }
            removers.extend(next);
            after = step.state();
        }
        for device in removers {
            step.vouch(device, limits_of(&device))?;
        }
        step.begin_epoch(&after, secrets)?;
        Ok(step.said)
    }

    /// Says how far this device has the chains of another one that is no member: of one that was removed, or of one that is undone because whoever added it was
    /// removed. To be said where that is farther than [`vouched`](super::State::vouched) says, so that all come to the same.
    ///
    /// # Errors
    /// [`CannotSay::NoDevice`] if nobody ever added it, [`CannotSay::Itself`].
    pub fn vouch(
        &self,
        by: &SigningKey,
        device: DeviceId,
        limits: Vec<Limit>,
    ) -> Result<Vec<Verified>, CannotSay> {
        let mut step = self.step(by)?;
        if self.state().device(&device).is_none() && !self.adds(&device) {
            return Err(CannotSay::NoDevice);
        }
        step.vouch(device, limits)?;
        Ok(step.said)
    }

    /// Says anything that needs nothing made for it: a name, a chain, a transport key.
    ///
    /// # Errors
    /// [`CannotSay::NoMember`]; [`CannotSay::NoDevice`] if it is about one that never was a member.
    pub fn tell(&self, by: &SigningKey, body: Body) -> Result<Verified, CannotSay> {
        match &body {
            Body::Renamed { device, .. } => {
                self.state().device(device).ok_or(CannotSay::NoDevice)?;
            }
            Body::Transport(proof) => proof.verify(DeviceId::of(by))?,
            _ => {}
        }
        self.one(by, |step| step.say(body))
    }

    /// A step of a member.
    fn step<'a>(&'a self, by: &'a SigningKey) -> Result<Step<'a>, CannotSay> {
        match self.state().is_member(&DeviceId::of(by)) {
            true => Step::begin(self, by),
            false => Err(CannotSay::NoMember),
        }
    }

    /// One statement of a member.
    pub(super) fn one(
        &self,
        by: &SigningKey,
        say: impl FnOnce(&mut Step<'_>) -> Result<(), CannotSay>,
    ) -> Result<Verified, CannotSay> {
        let mut step = self.step(by)?;
        say(&mut step)?;
        step.said.pop().ok_or(CannotSay::TooLong)
    }
}

impl Step<'_> {
    /// Vouches for these chains, in as many statements as it takes; the farthest where one is named twice.
    fn vouch(&mut self, device: DeviceId, mut limits: Vec<Limit>) -> Result<(), CannotSay> {
        limits.sort_unstable_by_key(|limit| (limit.chain, std::cmp::Reverse((limit.last, limit.head))));
        limits.dedup_by_key(|limit| limit.chain);
        for some in limits.chunks(LIMITS_MAX) {
            self.say(Body::Vouched {
                device,
                limits: some.to_vec(),
            })?;
        }
        Ok(())
    }
}
