//! Making keys out of keys: BLAKE3 in its `derive_key` mode.
//!
//! Source: the BLAKE3 specification, section 2.3 (modes) and 6.2 (key derivation).

use zeroize::Zeroize;

use super::Key;

/// The key that belongs to `label` and `context` under `key`: BLAKE3 `derive_key(label)`
/// over the key's 32 bytes followed by `context`. The label is a constant of
/// [`labels`](super::labels); whatever varies goes into `context`.
pub fn derive(key: &Key, label: &str, context: &[u8]) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key(label);
    hasher.update(key.expose());
    hasher.update(context);
    let mut output = hasher.finalize_xof();
    let derived = Key::filled(|slot| output.fill(slot));
    // Both hold the key's own bytes.
    output.zeroize();
    hasher.zeroize();
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the separation of uses: every input changes the key, and the mode is BLAKE3's own.
    #[test]
    fn every_input_counts() {
        let key = Key::take(&mut [1; 32]);
        let derived = derive(&key, "label", b"context");
        let mut material = vec![1; 32];
        material.extend_from_slice(b"context");
        assert_eq!(derived.expose(), &blake3::derive_key("label", &material));
        assert_ne!(derived.expose(), derive(&key, "label", b"contexu").expose());
        assert_ne!(derived.expose(), derive(&key, "labem", b"context").expose());
        assert_ne!(
            derived.expose(),
            derive(&Key::take(&mut [2; 32]), "label", b"context").expose()
        );
    }
}
