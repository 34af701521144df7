//! Who may read an index: the head of its file, in which its key is sealed to each of them.
//!
//! ```text
//! head = ephemeral X25519 key (32; its highest bit by chance) ‖ slots (74 each; a multiple of eight)
//! slot = XChaCha20-Poly1305 (kind 0x63) over the file's key (32) ‖ how many slots there are (2)
//! first slot, under derive(present epoch's key, CARRIER_SLOT, 0 ‖ space ‖ ephemeral key): whoever has joined by now
//! others, under derive(x25519(ephemeral, member), CARRIER_SLOT, 1 ‖ space ‖ ephemeral key ‖ member's key): a member that has not
//! heard of the epoch yet, too
//! ```
//!
//! Where an epoch is due, since one who is no member has the present one's key, the first slot is chance, as are those that are over.
//!
//! Guarantees: who is no member by what the author knew opens nothing. How many slots there are is told to the nearest eight.

use coffer_store::ids::SpaceId;
use coffer_store::keys::{Aad, Key, SEAL_OVERHEAD, SigningKey, derive, labels, open, random_bytes, seal};
use coffer_store::members::{MEMBERS_MAX, Members, SealingKey, SpaceSecrets, StatementId};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const KIND: u8 = 0x63;
const SLOT: usize = 32 + 2 + SEAL_OVERHEAD;
const GROUP: usize = 8;
/// The longest head.
pub(super) const HEAD_MAX: usize = 32 + SLOT * (1 + MEMBERS_MAX).next_multiple_of(GROUP);

const AAD: Aad = Aad {
    kind: KIND,
    id: [0; 16],
    chain: [0; 16],
    version: 0,
    generation: 0,
};

/// Who reads.
pub(super) struct Readers {
    /// The present epoch's key, if only members have it.
    pub(super) epoch: Option<Key>,
    pub(super) members: Vec<SealingKey>,
}

impl Readers {
    /// All members.
    pub(super) fn of(members: &Members, keyring: &[(StatementId, SpaceSecrets)]) -> Readers {
        let state = members.state();
        let epoch = state.epoch().filter(|_| !state.epoch_is_due());
        let keys = epoch.and_then(|epoch| keyring.iter().find(|(id, _)| *id == epoch.id));
        Readers {
            epoch: keys.map(|(_, keys)| keys.epoch_key.duplicate()),
            members: state.members().map(|device| device.sealing).collect(),
        }
    }
}

/// What this device opens with.
pub(super) struct Opener {
    space: SpaceId,
    own: StaticSecret,
    public: [u8; 32],
    /// The newest first.
    epochs: Vec<Key>,
}

fn secret_of(device: &SigningKey) -> StaticSecret {
    StaticSecret::from(*derive(&device.seed(), labels::DEVICE_SEALING, &[]).expose())
}

fn by_epoch(epoch: &Key, space: SpaceId, ephemeral: &[u8; 32]) -> Key {
    let context = [&[0][..], &space.0, ephemeral].concat();
    derive(epoch, labels::CARRIER_SLOT, &context)
}

fn by_member(
    ours: &StaticSecret,
    theirs: &[u8; 32],
    space: SpaceId,
    (ephemeral, member): (&[u8; 32], &[u8; 32]),
) -> Option<Key> {
    let agreed = ours.diffie_hellman(&PublicKey::from(*theirs));
    if !agreed.was_contributory() {
        return None;
    }
    let context = [&[1][..], &space.0, ephemeral, member].concat();
    let mut bytes = *agreed.as_bytes();
    Some(derive(&Key::take(&mut bytes), labels::CARRIER_SLOT, &context))
}

/// The head of a file with this key.
pub(super) fn head(space: SpaceId, readers: &Readers, file: &Key) -> Vec<u8> {
    let once = StaticSecret::from(*Key::random().expose());
    let mut ephemeral = PublicKey::from(&once).to_bytes();
    ephemeral[31] |= random_bytes::<1>()[0] & 0x80;
    let slots = (1 + readers.members.len()).next_multiple_of(GROUP);
    let mut plain = Zeroizing::new([0; 34]);
    plain[..32].copy_from_slice(file.expose());
    plain[32..].copy_from_slice(&(slots as u16).to_le_bytes());
    let mut out = ephemeral.to_vec();
    let epoch = readers
        .epoch
        .as_ref()
        .map(|epoch| by_epoch(epoch, space, &ephemeral));
    let members = readers.members.iter();
    let members = members.map(|member| by_member(&once, &member.0, space, (&ephemeral, &member.0)));
    for key in std::iter::once(epoch).chain(members) {
        match key {
            Some(key) => out.extend(seal(&key, &AAD, &*plain)),
            None => out.extend(random_bytes::<SLOT>()),
        }
    }
    while out.len() < 32 + slots * SLOT {
        out.extend(random_bytes::<SLOT>());
    }
    out
}

impl Opener {
    pub(super) fn new(
        space: SpaceId,
        device: &SigningKey,
        keyring: &[(StatementId, SpaceSecrets)],
    ) -> Opener {
        let own = secret_of(device);
        let epochs = keyring.iter().rev();
        Opener {
            space,
            public: PublicKey::from(&own).to_bytes(),
            own,
            epochs: epochs.map(|(_, keys)| keys.epoch_key.duplicate()).collect(),
        }
    }

    /// The key of the file whose beginning this is (as much of it as a head may have), and how long its head is; none if it is
    /// not for this device.
    pub(super) fn open(&self, begins: &[u8]) -> Option<(Key, usize)> {
        let (ephemeral, slots) = begins.split_first_chunk::<32>()?;
        let opened = |key: &Key, slot: &[u8]| -> Option<(Key, usize)> {
            let plain = Zeroizing::new(open(key, &AAD, slot).ok()?);
            let (file, count) = plain.split_first_chunk::<32>()?;
            let count = u16::from_le_bytes(count.try_into().ok()?);
            let mut file = Zeroizing::new(*file);
            Some((Key::take(&mut file), usize::from(count)))
        };
        let own = by_member(&self.own, ephemeral, self.space, (ephemeral, &self.public));
        let by_own = |slot: &[u8]| own.as_ref().and_then(|key| opened(key, slot));
        let first = slots.get(..SLOT)?;
        let found = slots.chunks_exact(SLOT).skip(1).find_map(by_own);
        let by_epochs = || {
            let keys = self
                .epochs
                .iter()
                .map(|epoch| by_epoch(epoch, self.space, ephemeral));
            keys.into_iter().find_map(|key| opened(&key, first))
        };
        let (key, count) = found.or_else(by_epochs)?;
        let lawful = count > 0 && count.is_multiple_of(GROUP) && 32 + count * SLOT <= HEAD_MAX;
        lawful.then_some((key, 32 + count * SLOT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coffer_store::members::SealingSecret;

    const SPACE: SpaceId = SpaceId([7; 16]);

    fn device(n: u8) -> SigningKey {
        SigningKey::from_seed(Key::take(&mut [n; 32]))
    }

    fn epoch(n: u8) -> (StatementId, SpaceSecrets) {
        (StatementId([n; 32]), SpaceSecrets::take(&[n; 96]))
    }

    /// Guards who reads: members by their own key or the epoch's, and nobody else; and that how many there are hardly shows.
    #[test]
    fn members_alone_open() {
        let file = Key::random();
        for count in [1u8, 6, 7, 8, 255] {
            let readers = Readers {
                epoch: Some(epoch(2).1.epoch_key.duplicate()),
                members: (0..count)
                    .map(|n| SealingSecret::of(&device(n)).public())
                    .collect(),
            };
            let head = head(SPACE, &readers, &file);
            assert_eq!(
                (head.len() - 32) / SLOT,
                (usize::from(count) + 1).next_multiple_of(8)
            );
            assert!(head.len() <= HEAD_MAX);
            let opens = |space: SpaceId, device: &SigningKey, epochs: &[(StatementId, SpaceSecrets)]| {
                let found = Opener::new(space, device, epochs).open(&head);
                found.is_some_and(|(key, len)| key.expose() == file.expose() && len == head.len())
            };
            assert!(opens(SPACE, &device(0), &[]) && opens(SPACE, &device(count - 1), &[epoch(1)]));
            assert!(opens(SPACE, &device(255), &[epoch(1), epoch(2)]));
            assert!(
                !opens(SPACE, &device(255), &[epoch(1)]),
                "a stranger, or one who was removed"
            );
            assert!(!opens(SpaceId([8; 16]), &device(0), &[epoch(2)]));
        }
    }

    /// Guards the two sides' reckoning of one key: the store's public key is the one that is sealed to.
    #[test]
    fn keys_are_the_store_s() {
        let secret = secret_of(&device(5));
        assert_eq!(
            PublicKey::from(&secret).to_bytes(),
            SealingSecret::of(&device(5)).public().0
        );
    }

    /// Guards an epoch that somebody who was removed has: only members' own keys open.
    #[test]
    fn a_key_that_others_have_opens_nothing() {
        let readers = Readers {
            epoch: None,
            members: vec![SealingSecret::of(&device(1)).public()],
        };
        let head = head(SPACE, &readers, &Key::random());
        assert!(Opener::new(SPACE, &device(2), &[epoch(1)]).open(&head).is_none());
        assert!(Opener::new(SPACE, &device(1), &[]).open(&head).is_some());
        for cut in [0, 31, 32, 32 + SLOT - 1, 32 + SLOT] {
            assert!(Opener::new(SPACE, &device(1), &[]).open(&head[..cut]).is_none());
        }
    }
}
