//! A space's secrets of one epoch, and sealing them to a member.
//!
//! ```text
//! device's signing seed ─derive(DEVICE_SEALING)→ X25519 secret r, public R
//! sealed (168) = E (32) ‖ XChaCha20-Poly1305 of epoch key ‖ chunk id secret ‖ chunk seal secret (96 + 40)
//! under derive(x25519(e, R), MEMBER_SEAL, space ‖ epoch's number ‖ R ‖ E), e a secret used once
//! ```
//!
//! The same construction as the recovery phrase's: HPKE's base mode in kind (RFC 9180). An epoch says which secrets it
//! means by a commitment to them; whoever opens a share compares it, so all members have the same.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::statement::NotVerified;
use crate::ids::SpaceId;
use crate::keys::{Aad, Key, SEAL_OVERHEAD, SigningKey, derive, labels, open, seal};
use crate::record::kind;

/// Bytes of the three secrets.
const SECRETS: usize = 3 * 32;
/// Bytes of the secrets, sealed to a member.
pub(super) const SEALED: usize = 32 + SECRETS + SEAL_OVERHEAD;

/// What a space's content is sealed with in one epoch.
pub struct SpaceSecrets {
    /// Wraps entities' keys, and seals the tree.
    pub epoch_key: Key,
    /// Makes the ids of chunks.
    pub chunk_id: Key,
    /// Makes the keys of chunks.
    pub chunk_seal: Key,
}

impl SpaceSecrets {
    /// New ones.
    pub fn random() -> SpaceSecrets {
        SpaceSecrets {
            epoch_key: Key::random(),
            chunk_id: Key::random(),
            chunk_seal: Key::random(),
        }
    }

    /// A second copy. Not `Clone`, so that it is never done unawares.
    pub fn duplicate(&self) -> SpaceSecrets {
        SpaceSecrets {
            epoch_key: self.epoch_key.duplicate(),
            chunk_id: self.chunk_id.duplicate(),
            chunk_seal: self.chunk_seal.duplicate(),
        }
    }

    /// What tells these secrets from any others, and nothing about them.
    pub fn commitment(&self) -> [u8; 32] {
        let rest = Zeroizing::new([*self.chunk_id.expose(), *self.chunk_seal.expose()].concat());
        *derive(&self.epoch_key, labels::EPOCH_COMMITMENT, &rest).expose()
    }

    /// Their 96 bytes: epoch key ‖ chunk id secret ‖ chunk seal secret.
    pub fn expose(&self) -> Zeroizing<[u8; SECRETS]> {
        let mut bytes = Zeroizing::new([0; SECRETS]);
        for (place, key) in
            bytes
                .chunks_exact_mut(32)
                .zip([&self.epoch_key, &self.chunk_id, &self.chunk_seal])
        {
            place.copy_from_slice(key.expose());
        }
        bytes
    }

    /// The inverse. The bytes are the caller's to wipe.
    pub fn take(bytes: &[u8; SECRETS]) -> SpaceSecrets {
        let key = |at: usize| {
            let mut part = [0; 32];
            part.copy_from_slice(&bytes[at..at + 32]);
            Key::take(&mut part)
        };
        SpaceSecrets {
            epoch_key: key(0),
            chunk_id: key(32),
            chunk_seal: key(64),
        }
    }
}

/// A share does not open: it is another device's, or was altered; or it opens to other secrets than all members were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key of a new epoch, as a member sealed it for this device, does not open or is not the one that all were told; another member has to share it again"
)]
pub struct NotOurs;

/// A device's X25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealingKey(pub [u8; 32]);

impl SealingKey {
    /// Refuses the few points with which anybody would come to the same secret.
    pub(super) fn check(&self) -> Result<(), NotVerified> {
        // Any clamped scalar is a multiple of the cofactor: points of small order, and no others, end at zero.
        let any = StaticSecret::from([1; 32]);
        match any.diffie_hellman(&PublicKey::from(self.0)).was_contributory() {
            true => Ok(()),
            false => Err(NotVerified::Key),
        }
    }

    /// Seals secrets to it. None for a key that no verified statement can hold.
    pub(super) fn seal(&self, space: SpaceId, epoch: u32, secrets: &SpaceSecrets) -> Option<[u8; SEALED]> {
        let once = StaticSecret::from(*Key::random().expose());
        let ephemeral = PublicKey::from(&once).to_bytes();
        let key = agree(&once, &self.0, space, epoch, &self.0, &ephemeral)?;
        let mut out = [0; SEALED];
        out[..32].copy_from_slice(&ephemeral);
        out[32..].copy_from_slice(&seal(&key, &aad(space, epoch), &*secrets.expose()));
        Some(out)
    }
}

/// A device's X25519 secret.
pub struct SealingSecret(Key);

impl SealingSecret {
    /// Of a device.
    pub fn of(device: &SigningKey) -> SealingSecret {
        SealingSecret(derive(&device.seed(), labels::DEVICE_SEALING, &[]))
    }

    fn secret(&self) -> StaticSecret {
        StaticSecret::from(*self.0.expose())
    }

    /// The public key.
    pub fn public(&self) -> SealingKey {
        SealingKey(PublicKey::from(&self.secret()).to_bytes())
    }

    /// Opens secrets that were sealed to it, and compares them with the epoch's commitment.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open(
        &self,
        space: SpaceId,
        epoch: u32,
        sealed: &[u8; SEALED],
        commitment: &[u8; 32],
    ) -> Result<SpaceSecrets, NotOurs> {
        let (ephemeral, rest) = sealed.split_first_chunk().ok_or(NotOurs)?;
        let public = self.public().0;
        let key = agree(&self.secret(), ephemeral, space, epoch, &public, ephemeral).ok_or(NotOurs)?;
        let plain = Zeroizing::new(open(&key, &aad(space, epoch), rest).map_err(|_| NotOurs)?);
        let secrets = SpaceSecrets::take(plain.as_slice().try_into().map_err(|_| NotOurs)?);
        match secrets.commitment() == *commitment {
            true => Ok(secrets),
            false => Err(NotOurs),
        }
    }
}

/// The key that both sides come to; none for a point of small order.
fn agree(
    ours: &StaticSecret,
    theirs: &[u8; 32],
    space: SpaceId,
    epoch: u32,
    public: &[u8; 32],
    ephemeral: &[u8; 32],
) -> Option<Key> {
    let agreed = ours.diffie_hellman(&PublicKey::from(*theirs));
    if !agreed.was_contributory() {
        return None;
    }
    let mut context = Vec::with_capacity(84);
    context.extend_from_slice(&space.0);
    context.extend_from_slice(&epoch.to_le_bytes());
    context.extend_from_slice(public);
    context.extend_from_slice(ephemeral);
    let mut bytes = *agreed.as_bytes();
    Some(derive(&Key::take(&mut bytes), labels::MEMBER_SEAL, &context))
}

fn aad(space: SpaceId, epoch: u32) -> Aad {
    Aad {
        kind: kind::MEMBERS,
        id: space.0,
        chain: [0; 16],
        version: 0,
        generation: epoch,
    }
}
