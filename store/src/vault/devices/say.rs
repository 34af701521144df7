//! What this device says of the space's devices.

use std::collections::HashMap;
use std::sync::Arc;

use super::Devices;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::ChainId;
use crate::keys::seal;
use crate::members::{
    Body, CannotSay, Device, DeviceId, DeviceName, JoinRequest, Limit, Members, Refused, SpaceSecrets,
    StatementId, Verified, chain_id,
};
use crate::vault::Vault;
use crate::vault::heads::{COUNTERS, SECRETS, local_aad, seal_counters};
use crate::vault::secrets::{OwnChain, Secrets};

/// How often statements may call for further ones at a time.
const ROUNDS: usize = 8;

/// How far each chain is here.
type Clock = HashMap<ChainId, (u64, [u8; 32])>;

/// Why something was not said.
#[derive(Debug, thiserror::Error)]
pub enum SayError {
    /// It cannot be said.
    #[error(transparent)]
    Cannot(#[from] CannotSay),
    /// There is no room for it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A new epoch began, and is not the present one.
    #[error(
        "the device is removed, but the new keys did not come into force: other devices have begun too many epochs; found a new vault and bring the files over"
    )]
    NoEpoch,
}

impl Vault {
    /// Says what `make` makes of all that is known, and what follows from it for this device, in one transaction. Returns the
    /// statements' names. If it cannot, nothing was said.
    pub(super) fn say(
        &self,
        make: impl FnOnce(&Members, &Secrets, &Clock) -> Result<Vec<Verified>, CannotSay>,
    ) -> Result<Vec<StatementId>, SayError> {
        // Nothing is taken in meanwhile: how far chains are here is so until it is said.
        let taking = self.texts.taking.lock();
        let (said, learnt) = {
            let _committer = self.committer.lock();
            let clock = self.clock()?;
            let mut devices = self.devices.write();
            let said = make(&devices.members, &self.secrets(), &clock)?;
            let insert = |members: &mut Members| -> Result<(), SayError> {
                for statement in &said {
                    members.insert(statement.clone())?;
                }
                Ok(())
            };
            let learnt = match insert(&mut devices.members) {
                Ok(()) => self.keep_statements(&mut devices, &clock, false)?,
                Err(e) => {
                    self.forget_unstored(&mut devices)?;
                    return Err(e);
                }
            };
            (said, learnt)
        };
        drop(taking);
        if learnt {
            self.has_learnt();
        }
        Ok(said.iter().map(Verified::id).collect())
    }

    /// Stores statements that have no rows yet, what this device has to say to them, and the keys that they bring; and uses these from now
    /// on. The committer is held. Whether there are keys that were not here. If it cannot, none of it was ever there.
    pub(super) fn keep_statements(
        &self,
        devices: &mut Devices,
        clock: &Clock,
        for_others: bool,
    ) -> Result<bool, StoreError> {
        let mut secrets = self.secrets().duplicate();
        let mut learnt = secrets.learn(&devices.members);
        for _ in 0..ROUNDS {
            let said = follows(&devices.members, &secrets, clock, for_others);
            let mut new = false;
            for statement in said {
                // One that finds no room is for others to say.
                new |= devices.members.insert(statement).is_ok();
            }
            learnt |= secrets.learn(&devices.members);
            if !new {
                break;
            }
        }
        let mut batch = Batch::new();
        devices.put_rows(&self.local, &mut batch);
        if learnt {
            let sealed = seal(&self.local, &local_aad(2), &secrets.encode());
            batch.put(Table::Meta, SECRETS, sealed);
        }
        if let Err(e) = self.core.db.apply(&batch) {
            self.forget_unstored(devices)?;
            return Err(e.into());
        }
        devices.stored();
        self.core.set_keyring(secrets.keyring(&devices.members));
        if learnt {
            *self.secrets.write() = Arc::new(secrets);
        }
        Ok(learnt)
    }

    /// What could not be stored was never said.
    pub(super) fn forget_unstored(&self, devices: &mut Devices) -> Result<(), StoreError> {
        let (stored, _) = Devices::read(&self.core.db, &self.local, self.secrets().space)?;
        *devices = stored;
        Ok(())
    }

    /// There are new keys, and no lock is held: the copy beside the database has them, too, and what waited for them is looked at.
    pub(super) fn has_learnt(&self) {
        self.renew_key_file();
        // What cannot be taken now is tried again with the next batch.
        let _ = self.retry_waiting();
    }

    /// Says what others have left unsaid by now: keys that a member lacks, a new epoch where one is due. For whoever has waited for a while. Whether
    /// anything was said.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn tend_devices(&self) -> Result<bool, StoreError> {
        let taking = self.texts.taking.lock();
        let (before, after, learnt) = {
            let _committer = self.committer.lock();
            let clock = self.clock()?;
            let mut devices = self.devices.write();
            let before = devices.members.len();
            let learnt = self.keep_statements(&mut devices, &clock, true)?;
            (before, devices.members.len(), learnt)
        };
        drop(taking);
        if learnt {
            self.has_learnt();
        }
        Ok(after > before)
    }

    /// Adds a device, and gives it the keys of all epochs. Returns the statement that adds it.
    ///
    /// # Errors
    /// As [`SayError`] says.
    pub fn add_device(&self, joining: JoinRequest) -> Result<StatementId, SayError> {
        let said =
            self.say(|members, secrets, _| members.add(&secrets.signing, joining, &secrets.shared_keys()))?;
        Ok(said[0])
    }

    /// Gives a device another name.
    ///
    /// # Errors
    /// As [`SayError`] says.
    pub fn rename_device(&self, device: DeviceId, name: DeviceName) -> Result<(), SayError> {
        let body = Body::Renamed { device, name };
        self.say(|members, secrets, _| Ok(vec![members.tell(&secrets.signing, body)?]))?;
        Ok(())
    }

    /// Removes a device. What it has told counts as far as any device has it; what is written from now on is sealed with
    /// keys that it is not given. A device that others have removed, which are all junior to it, may so object to one of them.
    ///
    /// # Errors
    /// As [`SayError`] says.
    pub fn remove_device(&self, device: DeviceId) -> Result<(), SayError> {
        // What is at rest is told with the former keys.
        self.commit()?;
        self.say(|members, secrets, clock| {
            let limits = here(members, clock, &device);
            members.remove(&secrets.signing, device, limits, &SpaceSecrets::random())
        })?;
        // Nobody waits for it any more. What cannot be said now is said later.
        if self.tend_horizon().unwrap_or(false) {
            self.see(Vec::new(), &[]);
        }
        // Whoever is removed must not have what seals from now on.
        let present = self.secrets().present;
        let clean = self.with_members(|members| {
            let state = members.state();
            let gone = state.device(&device).is_none_or(|device| !device.is_member());
            let epoch = state.epoch_of(&present);
            !gone || epoch.is_some_and(|epoch| !state.holds(&device, epoch))
        });
        match clean {
            true => Ok(()),
            false => Err(SayError::NoEpoch),
        }
    }

    /// Begins another chain on the open vault: others know more of the present one than this store does, which is of
    /// another day. What was told on it comes back from them.
    ///
    /// # Errors
    /// As [`StoreError`] says; the chain stays the same then.
    pub fn begin_chain(&self) -> Result<ChainId, StoreError> {
        let mut committer = self.committer.lock();
        let mut devices = self.devices.write();
        let mut secrets = self.secrets().duplicate();
        secrets.begin_chain(&mut devices.members);
        let mut batch = Batch::new();
        let mut counters = committer.counters;
        (counters.seq, counters.head) = (0, [0; 32]);
        batch.put(Table::Meta, COUNTERS, seal_counters(&self.local, &counters));
        let sealed = seal(&self.local, &local_aad(2), &secrets.encode());
        batch.put(Table::Meta, SECRETS, sealed);
        devices.put_rows(&self.local, &mut batch);
        if let Err(e) = self.core.db.apply(&batch) {
            self.forget_unstored(&mut devices)?;
            return Err(e.into());
        }
        devices.stored();
        let chain = secrets.chain();
        *self.secrets.write() = Arc::new(secrets);
        committer.counters = counters;
        // Changes of texts name the chain that they are told on.
        self.texts.discard_all();
        Ok(chain)
    }
}

/// What this device has to say to what is known: that a chain is its own, should that be lost; how far it has the chains of those that are no members, where nobody has said so much; keys that
/// a member lacks; a new epoch where one is due, or the present one's keys are none. What any could say, the most senior
/// one says, or `for_others` whoever is asked.
fn follows(members: &Members, secrets: &Secrets, clock: &Clock, for_others: bool) -> Vec<Verified> {
    let (state, me) = (members.state(), secrets.device());
    if !state.is_member(&me) {
        return Vec::new();
    }
    let unsaid = |own: &&OwnChain| {
        let told = own.id == secrets.chain() || clock.contains_key(&own.id);
        told && state.who_signs(&own.id).is_none() && chain_id(secrets.space, me, &own.random) == own.id
    };
    if let Some(own) = secrets.chains.iter().find(unsaid) {
        let again = Body::Chain { random: own.random };
        // One at a time: each stands on the one before.
        return members.tell(&secrets.signing, again).into_iter().collect();
    }
    let mut said = Vec::new();
    for device in state
        .devices()
        .iter()
        .filter(|device| !device.is_member() && device.id != me)
    {
        let vouched = state.vouched(&device.id);
        let farther = |limit: &Limit| {
            let known = vouched.iter().find(|known| known.chain == limit.chain);
            known.is_none_or(|known| known.last < limit.last)
        };
        let mut more = here(members, clock, &device.id);
        more.retain(farther);
        if !more.is_empty() {
            said.extend(
                members
                    .vouch(&secrets.signing, device.id, more)
                    .unwrap_or_default(),
            );
        }
    }
    if !said.is_empty() {
        // What comes next stands on it.
        return said;
    }
    let senior = state.members().next().map(|device: &Device| device.id);
    let present = state.epoch();
    let is_lost = present.is_some_and(|epoch| state.holds(&me, epoch) && !secrets.has(&epoch.id));
    let is_mine = for_others || senior == Some(me);
    if is_lost || (state.epoch_is_due() && is_mine) {
        let renewed = members.renew(&secrets.signing, &SpaceSecrets::random());
        return renewed.into_iter().collect();
    }
    for (epoch, devices) in state.lacking() {
        let Some(keys) = secrets.epochs.iter().find(|known| known.id == epoch.id) else {
            continue;
        };
        let holder = state.members().find(|device| state.holds(&device.id, epoch));
        let mine = |id: &DeviceId| {
            let adder = state.device(id).and_then(|device| device.added_by);
            for_others || holder.is_some_and(|holder| holder.id == me) || adder == Some(me)
        };
        let to: Vec<DeviceId> = devices.into_iter().filter(|id| mine(id)).collect();
        if !to.is_empty()
            && let Ok(shared) = members.share(&secrets.signing, epoch.id, &to, &keys.secrets)
        {
            // One at a time: each stands on the one before.
            return vec![shared];
        }
    }
    said
}

/// How far a device's chains are here. Those, too, that do not count as its own: whoever removed it may not have heard that they began, and
/// others have gone on from what is in them.
fn here(members: &Members, clock: &Clock, device: &DeviceId) -> Vec<Limit> {
    let said = members.iter().map(|said| said.statement());
    let begun = said.filter_map(|said| match &said.body {
        Body::Chain { random } if said.author == *device => Some(chain_id(said.space, *device, random)),
        _ => None,
    });
    let mut chains = members.state().chains_of(device);
    chains.extend(begun);
    chains.sort_unstable();
    chains.dedup();
    let here = chains
        .into_iter()
        .filter_map(|chain| clock.get(&chain).map(|(last, head)| (chain, *last, *head)));
    here.map(|(chain, last, head)| Limit { chain, last, head })
        .collect()
}
