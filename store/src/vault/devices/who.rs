//! Who is who: questions about the space's devices.

use std::sync::Arc;

use crate::ids::{ChainId, SpaceId};
use crate::keys::{Key, SigningKey, derive, labels};
use crate::members::{Body, Device, DeviceId, Members, Signer, SpaceSecrets, StatementId};
use crate::vault::Vault;
use crate::vault::secrets::Secrets;

impl Vault {
    /// What only this device knows, as it is now.
    pub(in crate::vault) fn secrets(&self) -> Arc<Secrets> {
        self.secrets.read().clone()
    }

    /// Its space.
    pub fn space_id(&self) -> SpaceId {
        self.secrets().space
    }

    /// This device.
    pub fn device_id(&self) -> DeviceId {
        self.secrets().device()
    }

    /// The chain on which this device tells.
    pub fn own_chain(&self) -> ChainId {
        self.secrets().chain()
    }

    /// This device's identity: for whoever proves it to another.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(self.secrets().signing.seed())
    }

    /// The seed of the key that speaks for this device on a network.
    pub fn transport_seed(&self) -> Key {
        self.secrets().transport.duplicate()
    }

    /// The secrets of all epochs that are here.
    pub fn epoch_secrets(&self) -> Vec<(StatementId, SpaceSecrets)> {
        let secrets = self.secrets();
        let epochs = secrets.epochs.iter();
        epochs
            .map(|epoch| (epoch.id, epoch.secrets.duplicate()))
            .collect()
    }

    /// All that is known of the space's devices. What is called with it must not call the vault.
    pub fn with_members<T>(&self, with: impl FnOnce(&Members) -> T) -> T {
        with(&self.devices.read().members)
    }

    /// Who signs a chain, and how far it counts; none if no device that is known has begun it.
    pub fn who_signs(&self, chain: &ChainId) -> Option<Signer> {
        self.with_members(|members| members.state().who_signs(chain))
    }

    /// The present name of the device that told a chain.
    pub fn device_named(&self, chain: &ChainId) -> Option<String> {
        let secrets = self.secrets();
        self.with_members(|members| {
            let state = members.state();
            let own = || secrets.is_own(chain).then(|| secrets.device());
            let device = state.who_signs(chain).map(|signer| signer.device).or_else(own)?;
            Some(state.device(&device)?.name.as_str().to_owned())
        })
    }

    /// The name that the device which told a chain had when it joined.
    pub(in crate::vault) fn device_first_named(&self, chain: &ChainId) -> Option<String> {
        let secrets = self.secrets();
        self.with_members(|members| {
            let state = members.state();
            let own = || secrets.is_own(chain).then(|| secrets.device());
            let device = state.who_signs(chain).map(|signer| signer.device).or_else(own)?;
            let card = match &members.get(&state.device(&device)?.joined)?.statement().body {
                Body::Founded { card, .. } => card,
                Body::Added(joining) => &joining.card,
                _ => return None,
            };
            Some(card.name.as_str().to_owned())
        })
    }

    /// Members, by name, that say what this program cannot read, and should not go without.
    pub fn newer_devices(&self) -> Vec<String> {
        self.with_members(|members| {
            let newer = members.state().members().filter(|device| device.is_newer);
            newer.map(|device| device.name.to_string()).collect()
        })
    }

    /// This device's name.
    pub fn device_name(&self) -> String {
        let id = self.device_id();
        let name = |device: &Device| device.name.as_str().to_owned();
        let known = self.with_members(|members| members.state().device(&id).map(name));
        known.unwrap_or_else(|| "this device".into())
    }

    /// A secret that all members share in the present epoch, for this period and purpose: to find each other by.
    pub fn rendezvous(&self, period: u64) -> Key {
        let keyring = self.core.keyring();
        derive(
            &keyring.present().secrets.epoch_key,
            labels::NET_RENDEZVOUS,
            &period.to_le_bytes(),
        )
    }
}
