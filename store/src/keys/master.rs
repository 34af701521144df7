//! The master key: what a password becomes, and what wraps every stored key.
//!
//! A wrapped key is a sealed record of 32 bytes under a subkey of its own, bound to its
//! kind and to what it belongs to; its version and generation are 0. Never written
//! unsealed.

use super::seal::{open_slice, seal_with_nonce};
use super::{Aad, Key, SEAL_OVERHEAD, Tampered, derive, labels, nonce};

/// Bytes of a wrapped key.
pub const WRAPPED: usize = 32 + SEAL_OVERHEAD;

/// The key that a password, or a recovery phrase, leads to.
pub struct MasterKey {
    key: Key,
    wrap: Key,
}

impl MasterKey {
    pub(super) fn new(key: Key) -> MasterKey {
        MasterKey {
            wrap: derive(&key, labels::WRAP, &[]),
            key,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Wraps a key of the given kind, which belongs to `id`.
    pub fn wrap(&self, kind: u8, id: &[u8; 16], key: &Key) -> [u8; WRAPPED] {
        self.wrap_with_nonce(kind, id, key, &nonce::fresh())
    }

    /// The seam for vectors: a nonce may be given. Outside tests it is always fresh.
    pub(super) fn wrap_with_nonce(
        &self,
        kind: u8,
        id: &[u8; 16],
        key: &Key,
        nonce: &[u8; nonce::NONCE],
    ) -> [u8; WRAPPED] {
        wrap_under(&self.wrap, &place(kind, id), key, nonce)
    }

    /// Unwraps a key that [`wrap`](MasterKey::wrap) wrapped.
    ///
    /// # Errors
    /// [`Tampered`] if it is of another kind, belongs to another, is damaged, or was
    /// wrapped under another master key.
    pub fn unwrap(&self, kind: u8, id: &[u8; 16], wrapped: &[u8]) -> Result<Key, Tampered> {
        unwrap_under(&self.wrap, &place(kind, id), wrapped)
    }

    /// The subkey for a label of [`labels`].
    pub fn subkey(&self, label: &str) -> Key {
        derive(&self.key, label, &[])
    }
}

fn place(kind: u8, id: &[u8; 16]) -> Aad {
    Aad {
        kind,
        id: *id,
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

/// Seals a key's bytes.
pub(super) fn wrap_under(wrapping: &Key, aad: &Aad, key: &Key, nonce: &[u8; nonce::NONCE]) -> [u8; WRAPPED] {
    let mut out = Vec::with_capacity(WRAPPED);
    seal_with_nonce(wrapping, aad, nonce, key.expose(), &mut out);
    out.try_into().expect("a sealed key has exactly this length")
}

/// Opens a sealed key, straight into the arena.
pub(super) fn unwrap_under(wrapping: &Key, aad: &Aad, wrapped: &[u8]) -> Result<Key, Tampered> {
    let mut result = Ok(());
    let key = Key::filled(|slot| result = open_slice(wrapping, aad, wrapped, slot));
    result.map(|()| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards a wrapped key's binding: to kind, id, length and master key.
    #[test]
    fn a_wrapped_key_opens_only_in_its_place() {
        let master = MasterKey::new(Key::random());
        let key = Key::random();
        let wrapped = master.wrap(1, &[2; 16], &key);
        assert_eq!(
            master.unwrap(1, &[2; 16], &wrapped).ok().unwrap().expose(),
            key.expose()
        );
        assert!(master.unwrap(2, &[2; 16], &wrapped).is_err());
        assert!(master.unwrap(1, &[3; 16], &wrapped).is_err());
        assert!(master.unwrap(1, &[2; 16], &wrapped[1..]).is_err());
        assert!(master.unwrap(1, &[2; 16], &[]).is_err());
        assert!(
            MasterKey::new(Key::random())
                .unwrap(1, &[2; 16], &wrapped)
                .is_err()
        );
    }

    /// Guards against a longer or shorter record passing for a key.
    #[test]
    fn a_sealed_record_of_another_length_is_no_key() {
        let master = MasterKey::new(Key::random());
        for len in [0, 16, 31, 33, 64] {
            let sealed = super::super::seal(&master.wrap, &place(1, &[0; 16]), &vec![5; len]);
            assert!(master.unwrap(1, &[0; 16], &sealed).is_err(), "{len} bytes");
        }
    }
}
