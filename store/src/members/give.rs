//! Giving an epoch's secrets to members, and opening what was given.

use std::collections::BTreeMap;

use super::body::{Body, Share};
use super::graph::Members;
use super::ground::{CannotSay, Step};
use super::sealing::{NotOurs, SealingKey, SealingSecret, SpaceSecrets};
use super::statement::{DeviceId, StatementId, Verified};
use super::{MEMBERS_MAX, State};
use crate::keys::SigningKey;

impl Step<'_> {
    /// Begins an epoch for those that are members by this.
    pub(super) fn begin_epoch(&mut self, state: &State, secrets: &SpaceSecrets) -> Result<(), CannotSay> {
        let number = self.next_epoch();
        let to = state.members().map(|member| (member.id, member.sealing));
        let shares = self.seal(to, number, secrets);
        self.say(Body::Epoch {
            number,
            commitment: secrets.commitment(),
            shares,
        })
    }

    /// Gives the secrets of epochs to these.
    pub(super) fn share(
        &mut self,
        to: &[(DeviceId, SealingKey)],
        epoch: StatementId,
        secrets: &SpaceSecrets,
    ) -> Result<(), CannotSay> {
        let found = self.members().state().epoch_of(&epoch);
        let found = found
            .filter(|found| found.commitment == secrets.commitment())
            .ok_or(CannotSay::NoEpoch)?;
        for some in to.chunks(MEMBERS_MAX) {
            let shares = self.seal(some.iter().copied(), found.number, secrets);
            self.say(Body::Shared { epoch, shares })?;
        }
        Ok(())
    }

    /// Secrets sealed to each, the most senior first where there are more than fit.
    fn seal(
        &self,
        to: impl Iterator<Item = (DeviceId, SealingKey)>,
        number: u32,
        secrets: &SpaceSecrets,
    ) -> Vec<Share> {
        let seal = |(device, sealing): (DeviceId, SealingKey)| {
            let sealed = sealing.seal(self.members().space(), number, secrets)?;
            Some(Share {
                device,
                sealed: Box::new(sealed),
            })
        };
        let mut shares: Vec<Share> = to.filter_map(seal).take(MEMBERS_MAX).collect();
        shares.sort_unstable_by_key(|share| share.device);
        shares.dedup_by_key(|share| share.device);
        shares
    }
}

impl Members {
    /// Begins a new epoch with these secrets for all members.
    ///
    /// # Errors
    /// [`CannotSay::NoMember`].
    pub fn renew(&self, by: &SigningKey, secrets: &SpaceSecrets) -> Result<Verified, CannotSay> {
        self.one(by, |step| step.begin_epoch(self.state(), secrets))
    }

    /// Gives an epoch's secrets to members that its author did not know of; any epoch's, also one that does not count.
    ///
    /// # Errors
    /// [`CannotSay::NoEpoch`] if these are not its secrets, [`CannotSay::NoDevice`] if one is no member, [`CannotSay::TooMany`] if
    /// there are more than members.
    pub fn share(
        &self,
        by: &SigningKey,
        epoch: StatementId,
        to: &[DeviceId],
        secrets: &SpaceSecrets,
    ) -> Result<Verified, CannotSay> {
        if to.len() > MEMBERS_MAX || to.is_empty() {
            return Err(if to.is_empty() {
                CannotSay::NoDevice
            } else {
                CannotSay::TooMany
            });
        }
        let member = |id: &DeviceId| self.state().device(id).filter(|device| device.is_member());
        let to = to.iter().map(|id| member(id).map(|device| (*id, device.sealing)));
        let to: Vec<_> = to.collect::<Option<_>>().ok_or(CannotSay::NoDevice)?;
        self.one(by, |step| step.share(&to, epoch, secrets))
    }

    /// Opens what was sealed for this device, of each epoch that names it and whose secrets are not in `have`; also of epochs that
    /// do not count: something may be sealed with them. Those that do not open are left out, with the reason.
    ///
    /// If that of the present epoch ([`State::epoch`]) is among these, whoever began it did so wrongly, or means harm: a member **begins a new
    /// one** then ([`renew`](Members::renew)), without waiting for anybody to share it again.
    pub fn open_shares(
        &self,
        device: &SigningKey,
        have: &dyn Fn(&StatementId) -> bool,
    ) -> Vec<(StatementId, Result<SpaceSecrets, NotOurs>)> {
        let (id, secret) = (DeviceId::of(device), SealingSecret::of(device));
        let mut opened: BTreeMap<(usize, StatementId), Result<SpaceSecrets, NotOurs>> = BTreeMap::new();
        for verified in self.iter() {
            let (of, shares) = match &verified.statement().body {
                Body::Epoch { shares, .. } => (verified.id(), shares),
                Body::Shared { epoch, shares } => (*epoch, shares),
                _ => continue,
            };
            let Some((at, epoch)) = self.state().epoch_at(&of) else {
                continue;
            };
            if have(&of) || opened.get(&(at, of)).is_some_and(Result::is_ok) {
                continue;
            }
            if let Ok(found) = shares.binary_search_by_key(&id, |share| share.device) {
                let sealed = &shares[found].sealed;
                let secrets = secret.open(self.space(), epoch.number, sealed, &epoch.commitment);
                opened.insert((at, of), secrets);
            }
        }
        opened
            .into_iter()
            .map(|((_, id), secrets)| (id, secrets))
            .collect()
    }
}
