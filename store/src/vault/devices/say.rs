//! What this device says of the space's devices.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::{EpochKeys, StoreError};
use crate::db::{Batch, Table};
use crate::ids::ChainId;
use crate::keys::seal;
use crate::members::{
    Body, CannotSay, DeviceId, DeviceName, JoinRequest, Limit, Members, Refused, SpaceSecrets, StatementId,
    Verified,
};
use crate::vault::Vault;
use crate::vault::heads::{COUNTERS, SECRETS, local_aad, seal_counters};
use crate::vault::secrets::Secrets;

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
}

impl Vault {
    /// Says what `make` makes of all that is known, durably. Returns the statements' names.
    fn say(
        &self,
        make: impl FnOnce(&Members, &Secrets) -> Result<Vec<Verified>, CannotSay>,
    ) -> Result<Vec<StatementId>, SayError> {
        let (said, learnt) = {
            let _committer = self.committer.lock();
            let mut devices = self.devices.write();
            let said = make(&devices.members, &self.secrets())?;
            for statement in &said {
                devices.members.insert(statement.clone())?;
            }
            let learnt = self.keep_statements(&mut devices)?;
            (said, learnt)
        };
        if learnt {
            self.has_learnt();
        }
        Ok(said.iter().map(Verified::id).collect())
    }

    /// Stores statements that have no rows yet, and the keys that they bring; and uses these from now on. The committer is
    /// held. Whether there are keys that were not here.
    pub(super) fn keep_statements(&self, devices: &mut super::Devices) -> Result<bool, StoreError> {
        let mut batch = Batch::new();
        let mut secrets = self.secrets().duplicate();
        let learnt = secrets.learn(&devices.members);
        devices.put_rows(&self.local, &mut batch);
        if learnt {
            let sealed = seal(&self.local, &local_aad(2), &secrets.encode());
            batch.put(Table::Meta, SECRETS, sealed);
        }
        self.core.db.apply(&batch)?;
        devices.stored();
        self.core.set_keyring(secrets.keyring(&devices.members));
        if learnt {
            *self.secrets.write() = Arc::new(secrets);
        }
        Ok(learnt)
    }

    /// There are new keys, and no lock is held: the copy beside the database has them, too, and what waited for them is looked at.
    pub(super) fn has_learnt(&self) {
        self.renew_key_file();
        // What cannot be taken now is tried again with the next batch.
        let _ = self.retry_waiting();
    }

    /// Adds a device, and gives it the keys of all epochs. Returns the statement that adds it.
    ///
    /// # Errors
    /// As [`SayError`] says.
    pub fn add_device(&self, joining: JoinRequest) -> Result<StatementId, SayError> {
        let device = joining.device;
        let said = self.say(|members, secrets| Ok(vec![members.add(&secrets.signing, joining)?]))?;
        self.say(|members, secrets| {
            let share =
                |epoch: &EpochKeys| members.share(&secrets.signing, epoch.id, &[device], &epoch.secrets);
            secrets.epochs.iter().map(share).collect()
        })?;
        Ok(said[0])
    }

    /// Gives a device another name.
    ///
    /// # Errors
    /// As [`SayError`] says.
    pub fn rename_device(&self, device: DeviceId, name: DeviceName) -> Result<(), SayError> {
        let body = Body::Renamed { device, name };
        self.say(|members, secrets| Ok(vec![members.tell(&secrets.signing, body)?]))?;
        Ok(())
    }

    /// Removes a device. What it has told counts as far as it is here; what is written from now on is sealed with
    /// keys that it is not given.
    ///
    /// # Errors
    /// As [`SayError`] says.
    pub fn remove_device(&self, device: DeviceId) -> Result<(), SayError> {
        // What is at rest is told with the former keys; and what the device has told so far counts.
        self.commit()?;
        let clock = self.clock()?;
        self.say(|members, secrets| {
            let limits = limits(members, &clock, &device);
            members.remove(&secrets.signing, device, limits, &SpaceSecrets::random())
        })?;
        Ok(())
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
        self.core.db.apply(&batch)?;
        devices.stored();
        let chain = secrets.chain();
        *self.secrets.write() = Arc::new(secrets);
        committer.counters = counters;
        // Changes of texts name the chain that they are told on.
        self.texts.discard_all();
        Ok(chain)
    }
}

/// How far a device's chains are here.
fn limits(members: &Members, clock: &HashMap<ChainId, (u64, [u8; 32])>, device: &DeviceId) -> Vec<Limit> {
    let chains = members.state().chains_of(device).into_iter();
    let here = chains.filter_map(|chain| clock.get(&chain).map(|(last, head)| (chain, *last, *head)));
    here.map(|(chain, last, head)| Limit { chain, last, head })
        .collect()
}
