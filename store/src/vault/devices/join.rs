//! A vault that is made by joining a space.

use std::path::Path;
use std::sync::Arc;

use crate::io::Disk;
use crate::keys::{Header, KdfParams, Password, SigningKey};
use crate::members::{Members, SpaceSecrets, StatementId};
use crate::vault::Vault;
use crate::vault::create::{CreateError, prepare};
use crate::vault::secrets::Secrets;

/// What a device has when it was added to a space.
pub struct Joined {
    /// All statements.
    pub members: Members,
    /// Its identity.
    pub device: SigningKey,
    /// Its transport key.
    pub transport: SigningKey,
    /// Secrets of epochs that it was given beside the statements.
    pub keys: Vec<(StatementId, SpaceSecrets)>,
}

/// Why no vault was made of it.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It has not all that a device needs.
    #[error("the vault's other device has not given this one its keys; invite it again")]
    NoKeys,
    /// The vault could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
}

impl Vault {
    /// Makes a vault in an empty or new folder that is a replica of the space that was joined. It is empty: all that is in the vault
    /// comes from other devices.
    ///
    /// # Errors
    /// As [`JoinError`] says.
    pub fn join(
        dir: &Path,
        password: &Password,
        params: KdfParams,
        joined: Joined,
    ) -> Result<Arc<Vault>, JoinError> {
        params.check().map_err(CreateError::Kdf)?;
        let joined = Secrets::joined(joined).ok_or(JoinError::NoKeys)?;
        let (disk, lock) = prepare(dir)?;
        let id = crate::keys::random_bytes();
        let keys = Header::create(id, password, params).map_err(CreateError::Kdf)?;
        Ok(Vault::create_with(disk, keys, joined, lock)?)
    }

    /// The same on a disk in memory. For tests.
    ///
    /// # Errors
    /// As [`JoinError`] says.
    #[doc(hidden)]
    pub fn join_on(
        disk: Arc<dyn Disk>,
        password: &Password,
        params: KdfParams,
        joined: Joined,
    ) -> Result<Arc<Vault>, JoinError> {
        let joined = Secrets::joined(joined).ok_or(JoinError::NoKeys)?;
        let keys = Header::create(crate::keys::random_bytes(), password, params).map_err(CreateError::Kdf)?;
        Ok(Vault::create_with(disk, keys, joined, None)?)
    }
}

impl Secrets {
    /// Those of a device that was added; with its first chain. None if it has no epoch's keys.
    fn joined(joined: Joined) -> Option<(Secrets, Members)> {
        let mut members = joined.members;
        let state = members.state();
        let given = joined.keys.into_iter().filter_map(|(id, secrets)| {
            let epoch = state.epoch_of(&id)?;
            (epoch.commitment == secrets.commitment())
                .then(|| crate::core::EpochKeys::new(id, epoch.number, secrets))
        });
        let mut secrets = Secrets {
            space: members.space(),
            present: StatementId([0; 32]),
            epochs: given.collect(),
            chains: Vec::new(),
            transport: joined.transport.seed(),
            signing: joined.device,
        };
        secrets.learn(&members);
        let last = secrets.epochs.last()?.id;
        if !secrets.epochs.iter().any(|epoch| epoch.id == secrets.present) {
            secrets.present = last;
        }
        secrets.begin_chain(&mut members);
        Some((secrets, members))
    }
}
