//! The keys of a space's epochs, as far as this device was given them.
//!
//! ```text
//! tree    = derive(epoch key, EPOCH_TREE)                  seals what is said of names and settings
//! wrap    = derive(epoch key, EPOCH_WRAP)                  wraps a new entity's key
//! content = derive(epoch key, EPOCH_CONTENT, entity key)   seals an entity's versions
//! ```
//!
//! Versions are sealed with the epoch's key as well as the entity's: who was removed keeps the entity's key, and reads
//! nothing that is written after all the same; and who purges an entity destroys its key alone, and all of its past with it.
//!
//! Guarantees: what is new is sealed in the present epoch; what any epoch sealed whose secrets are here can be opened. An
//! event names its epoch by a *tag*: 0 for the first, else number · 2¹⁶ + the first 16 bits of the name of the statement that
//! began it. Two can have one tag: what the keys of one do not open, the other's may.

use crate::keys::{Aad, ChunkKeys, Key, Tampered, derive, labels, open};
use crate::members::{SpaceSecrets, StatementId};

/// An epoch's keys.
pub(crate) struct EpochKeys {
    /// The statement that began it.
    pub(crate) id: StatementId,
    /// Its number.
    pub(crate) number: u32,
    /// Its secrets, as members are given them.
    pub(crate) secrets: SpaceSecrets,
    tree: Key,
    wrap: Key,
}

impl EpochKeys {
    pub(crate) fn new(id: StatementId, number: u32, secrets: SpaceSecrets) -> EpochKeys {
        let of = |label| derive(&secrets.epoch_key, label, &[]);
        EpochKeys {
            id,
            number,
            tree: of(labels::EPOCH_TREE),
            wrap: of(labels::EPOCH_WRAP),
            secrets,
        }
    }

    /// A second copy. Not `Clone`, so that it is never done unawares.
    pub(crate) fn duplicate(&self) -> EpochKeys {
        EpochKeys::new(self.id, self.number, self.secrets.duplicate())
    }

    /// By which events name it.
    pub(crate) fn tag(&self) -> u32 {
        tag_of(self.number, &self.id)
    }

    /// The key that seals tree events and settings.
    pub(crate) fn tree(&self) -> &Key {
        &self.tree
    }

    /// The key that wraps new entities' keys.
    pub(crate) fn wrap(&self) -> &Key {
        &self.wrap
    }

    /// The key that seals versions of the entity with this key.
    pub(crate) fn content(&self, entity: &Key) -> Key {
        derive(&self.secrets.epoch_key, labels::EPOCH_CONTENT, entity.expose())
    }
}

/// By which events name an epoch.
pub(crate) fn tag_of(number: u32, id: &StatementId) -> u32 {
    match number {
        0 => 0,
        _ => number << 16 | u32::from(u16::from_le_bytes([id.0[0], id.0[1]])),
    }
}

/// Why something that an epoch's key sealed is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is of an epoch whose secrets are not here.
    NoKey,
    /// It is not what was sealed.
    Tampered,
}

/// See the module. There is one epoch at least.
pub(crate) struct Keyring {
    epochs: Vec<EpochKeys>,
    present: usize,
    /// Tags of epochs that are known to be, and whose secrets are not here.
    lacking: Vec<u32>,
    pub(crate) chunks: ChunkKeys,
}

impl Keyring {
    /// Of these, of which the one of this name is present; if it is not among them, the last. None if there are none.
    pub(crate) fn new(epochs: Vec<EpochKeys>, present: StatementId, lacking: Vec<u32>) -> Option<Keyring> {
        let named = epochs.iter().position(|epoch| epoch.id == present);
        let at = named.unwrap_or(epochs.len().checked_sub(1)?);
        let (now, first) = (&epochs.get(at)?.secrets, &epochs.first()?.secrets);
        let mut chunks = ChunkKeys::new(now.chunk_id.duplicate(), now.chunk_seal.duplicate());
        for (n, epoch) in epochs.iter().enumerate().rev() {
            if n != at {
                chunks = chunks.and_former(&epoch.secrets.chunk_id, epoch.secrets.chunk_seal.duplicate());
            }
        }
        Some(Keyring {
            chunks: chunks.cutting_as(&first.chunk_id),
            epochs,
            present: at,
            lacking,
        })
    }

    /// The epoch in which what is new is sealed.
    pub(crate) fn present(&self) -> &EpochKeys {
        &self.epochs[self.present]
    }

    fn opened(
        &self,
        tag: u32,
        open_with: impl Fn(&EpochKeys) -> Result<Vec<u8>, Tampered>,
    ) -> Result<Vec<u8>, Unopened> {
        let mut known = false;
        for epoch in self.epochs.iter().rev().filter(|epoch| epoch.tag() == tag) {
            known = true;
            if let Ok(plain) = open_with(epoch) {
                return Ok(plain);
            }
        }
        match known && !self.lacking.contains(&tag) {
            true => Err(Unopened::Tampered),
            false => Err(Unopened::NoKey),
        }
    }

    /// Opens what a tree key sealed.
    pub(crate) fn open_tree(&self, aad: &Aad, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.opened(aad.generation, |epoch| open(epoch.tree(), aad, sealed))
    }

    /// Opens a wrapped key.
    pub(crate) fn open_wrap(&self, aad: &Aad, wrapped: &[u8]) -> Result<Key, Unopened> {
        let plain = self.opened(aad.generation, |epoch| open(epoch.wrap(), aad, wrapped))?;
        let plain = zeroize::Zeroizing::new(plain);
        let key = <[u8; 32]>::try_from(plain.as_slice());
        key.map(|mut key| Key::take(&mut key))
            .map_err(|_| Unopened::Tampered)
    }

    /// Opens a version of the entity with this key.
    pub(crate) fn open_content(&self, entity: &Key, aad: &Aad, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.opened(aad.generation, |epoch| open(&epoch.content(entity), aad, sealed))
    }
}
