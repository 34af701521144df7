//! Making statements: each stands on all that this device knows.
//!
//! Guarantees: what is made can be taken in, here and by whoever has its ancestors, and counts as long as its author does.

use std::collections::BTreeSet;

use super::body::{Body, Limit, Share};
use super::card::{Card, JoinRequest};
use super::graph::Members;
use super::sealing::{NotOurs, SealingSecret, SpaceSecrets};
use super::statement::{DeviceId, NotVerified, Statement, StatementId, Verified};
use super::{MEMBERS_MAX, PARENTS_MAX};
use crate::ids::SpaceId;
use crate::keys::SigningKey;

/// Why something cannot be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSay {
    /// The device is no member.
    #[error("this device is not, or no longer, one of the vault's devices; pair it again")]
    NoMember,
    /// It is about a device that is none.
    #[error("there is no such device among the vault's; `coffer device list` names them")]
    NoDevice,
    /// It was a member already. A device that was removed comes back with a new identity.
    #[error("this device was one of the vault's devices before; it has to join with a new identity")]
    Before,
    /// There are too many members.
    #[error("a vault has at most {MEMBERS_MAX} devices; remove one that is not used any more")]
    TooMany,
    /// There is no such epoch, or its secrets are others.
    #[error("these are not the keys of any epoch of this vault")]
    NoEpoch,
    /// It is longer than a statement can be.
    #[error(
        "a device with so many chains cannot be removed in one step; this is an error in Coffer, please report it"
    )]
    TooLong,
    /// The joining device did not prove what it has to.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
}

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

    /// Adds a device, which is given the secrets of all epochs with this.
    ///
    /// # Errors
    /// [`CannotSay`] if its proofs do not hold, it was a member before, or there are too many.
    pub fn add(&self, by: &SigningKey, joining: JoinRequest) -> Result<Verified, CannotSay> {
        joining.verify(self.space(), DeviceId::of(by))?;
        if self.state().device(&joining.device).is_some() {
            return Err(CannotSay::Before);
        }
        if self.state().members().count() >= MEMBERS_MAX {
            return Err(CannotSay::TooMany);
        }
        self.say(by, Body::Added(Box::new(joining)), None)
    }

    /// Removes a device, and begins a new epoch with these secrets for those that remain; two statements, in this order. Its chains count
    /// as far as `limits` says: as far as this device has them. A device that removes itself begins no epoch.
    ///
    /// Who has more of them than this says, says so by [`remove_further`](Members::remove_further).
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
        let removed = self.remove_further(by, device, limits)?;
        if device == DeviceId::of(by) {
            return Ok(vec![removed]);
        }
        let remaining = self
            .state()
            .members()
            .filter(|member| member.id != device)
            .map(|member| member.id);
        let epoch = self.epoch_body(remaining, secrets);
        let epoch = self.say(by, epoch, Some(&removed))?;
        Ok(vec![removed, epoch])
    }

    /// Says of a device that somebody else has removed how far this device has its chains, where that is farther than the removal says. Without
    /// it, what came here before the removal was heard of would count here, and nowhere else. It begins no epoch.
    ///
    /// # Errors
    /// [`CannotSay::NoDevice`] if it never was a member.
    pub fn remove_further(
        &self,
        by: &SigningKey,
        device: DeviceId,
        mut limits: Vec<Limit>,
    ) -> Result<Verified, CannotSay> {
        self.state().device(&device).ok_or(CannotSay::NoDevice)?;
        limits.sort_unstable_by_key(|limit| limit.chain);
        limits.dedup_by_key(|limit| limit.chain);
        self.say(by, Body::Removed { device, limits }, None)
    }

    /// Begins a new epoch with these secrets for all members.
    ///
    /// # Errors
    /// [`CannotSay::NoMember`].
    pub fn renew(&self, by: &SigningKey, secrets: &SpaceSecrets) -> Result<Verified, CannotSay> {
        let all = self.state().members().map(|member| member.id);
        self.say(by, self.epoch_body(all, secrets), None)
    }

    fn epoch_body(&self, to: impl Iterator<Item = DeviceId>, secrets: &SpaceSecrets) -> Body {
        let number = self.parents().1 + 1;
        Body::Epoch {
            number,
            commitment: secrets.commitment(),
            shares: self.shares(to, number, secrets),
        }
    }

    /// Gives an epoch's secrets to members that its author did not know of.
    ///
    /// # Errors
    /// [`CannotSay::NoEpoch`] if these are not its secrets.
    pub fn share(
        &self,
        by: &SigningKey,
        epoch: StatementId,
        to: &[DeviceId],
        secrets: &SpaceSecrets,
    ) -> Result<Verified, CannotSay> {
        let found = self.state().epoch_of(&epoch);
        let found = found
            .filter(|found| found.commitment == secrets.commitment())
            .ok_or(CannotSay::NoEpoch)?;
        let shares = self.shares(to.iter().copied(), found.number, secrets);
        self.say(by, Body::Shared { epoch, shares }, None)
    }

    /// Secrets sealed to each of these that is known, the most senior first where there are more than fit.
    fn shares(&self, to: impl Iterator<Item = DeviceId>, number: u32, secrets: &SpaceSecrets) -> Vec<Share> {
        let seal = |id: DeviceId| {
            let device = self.state().device(&id)?;
            let sealed = device.sealing.seal(self.space(), number, secrets)?;
            Some(Share {
                device: id,
                sealed: Box::new(sealed),
            })
        };
        let mut shares: Vec<Share> = to.filter_map(seal).take(MEMBERS_MAX).collect();
        shares.sort_unstable_by_key(|share| share.device);
        shares.dedup_by_key(|share| share.device);
        shares
    }

    /// Says anything that needs nothing made for it: a name, a chain, a transport key, who has lapsed or returned.
    ///
    /// # Errors
    /// [`CannotSay::NoMember`]; [`CannotSay::NoDevice`] if it is about one that never was a member.
    pub fn tell(&self, by: &SigningKey, body: Body) -> Result<Verified, CannotSay> {
        match &body {
            Body::Renamed { device, .. } | Body::Lapsed { device } | Body::Returned { device } => {
                self.state().device(device).ok_or(CannotSay::NoDevice)?;
            }
            Body::Transport(proof) => proof.verify(DeviceId::of(by))?,
            _ => {}
        }
        self.say(by, body, None)
    }

    /// Says it on all that is known, and on one statement more.
    fn say(&self, by: &SigningKey, body: Body, on: Option<&Verified>) -> Result<Verified, CannotSay> {
        let author = DeviceId::of(by);
        if !self.state().is_member(&author) {
            return Err(CannotSay::NoMember);
        }
        let (parents, lamport) = match on {
            Some(on) => (vec![on.id()], on.statement().lamport),
            None => {
                let (parents, _, lamport) = self.stand();
                (parents, lamport)
            }
        };
        let said = Statement {
            space: self.space(),
            author,
            lamport: lamport.saturating_add(1),
            parents,
            body,
            signature: [0; 64],
        }
        .signed(by);
        // What comes back is what others will read.
        match Verified::decode(&said.statement().encode()) {
            Ok(said) => Ok(said),
            Err(NotVerified::Malformed(_)) => Err(CannotSay::TooLong),
            Err(other) => Err(other.into()),
        }
    }

    /// What a new statement stands on: the heads; where there are more than it can name, the latest. With the highest epoch
    /// and Lamport time among them.
    fn stand(&self) -> (Vec<StatementId>, u32, u64) {
        let lamport = |id: &StatementId| self.place(id).map_or(0, |node| node.verified.statement().lamport);
        let epoch = |id: &StatementId| self.place(id).map_or(0, |node| node.epoch);
        let mut heads: Vec<StatementId> = self.heads().collect();
        heads.sort_unstable_by_key(|id| std::cmp::Reverse((epoch(id), lamport(id), *id)));
        heads.truncate(PARENTS_MAX);
        let (epoch, lamport) = (heads.iter().map(epoch).max(), heads.iter().map(lamport).max());
        let parents: BTreeSet<StatementId> = heads.into_iter().collect();
        (
            parents.into_iter().collect(),
            epoch.unwrap_or(0),
            lamport.unwrap_or(0),
        )
    }

    fn parents(&self) -> (Vec<StatementId>, u32) {
        let (parents, epoch, _) = self.stand();
        (parents, epoch)
    }

    /// Opens what was sealed for this device, of each epoch that names it and whose secrets are not in `have`.
    /// Those that do not open are left out, with the reason.
    pub fn open_shares(
        &self,
        device: &SigningKey,
        have: &dyn Fn(&StatementId) -> bool,
    ) -> Vec<(StatementId, Result<SpaceSecrets, NotOurs>)> {
        let (id, secret) = (DeviceId::of(device), SealingSecret::of(device));
        let mut opened: Vec<(StatementId, Result<SpaceSecrets, NotOurs>)> = Vec::new();
        for verified in self.iter() {
            let (of, shares) = match &verified.statement().body {
                Body::Epoch { shares, .. } => (verified.id(), shares),
                Body::Shared { epoch, shares } => (*epoch, shares),
                _ => continue,
            };
            let Some(epoch) = self.state().epoch_of(&of) else {
                continue;
            };
            let known = have(&of) || opened.iter().any(|(id, secrets)| *id == of && secrets.is_ok());
            let share = shares.iter().find(|share| share.device == id).filter(|_| !known);
            if let Some(share) = share {
                let secrets = secret.open(self.space(), epoch.number, &share.sealed, &epoch.commitment);
                opened.retain(|(id, _)| *id != of);
                opened.push((of, secrets));
            }
        }
        opened
    }
}
