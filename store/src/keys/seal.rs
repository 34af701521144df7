//! Sealing records: XChaCha20-Poly1305 with random nonces, so that one key may seal any
//! number of records, on any number of devices, without keeping count.
//!
//! ```text
//! sealed = nonce (24) ‖ ciphertext (as long as the plaintext) ‖ tag (16)
//! associated data (46) = format (1) ‖ kind (1) ‖ id (16) ‖ chain (16) ‖ version (8 LE) ‖ generation (4 LE)
//! ```
//!
//! Guarantees: what opens was sealed under this key, for this very [`Aad`]; nothing of a
//! record that does not is ever given out. Not key-committing by itself: a key is not
//! proved by what opens under it (the header's check is what recognises a password).
//!
//! Source: draft-irtf-cfrg-xchacha-03 and RFC 8439.

use thiserror::Error;

use super::aead::{Cipher, TAG};
use super::{Key, nonce};

/// The version of what is sealed for this store alone. Version 0 may still change.
pub const FORMAT: u8 = 0;
/// The version of what is sealed for other devices, too: counted by itself, so that a new form of this store's own
/// records leaves every other device able to read what this one tells.
pub const TRAVELS: u8 = 0;
/// The kinds of records (`record::kind`) that travel, and those that devices leave for each other on the way: a record
/// with a relay, and the parts of a carried folder.
const TRAVELLING: [u8; 13] = [7, 8, 11, 15, 18, 22, 24, 25, 26, 0x60, 0x61, 0x62, 0x63];

/// Whether a record of this kind travels.
pub(crate) fn travels(kind: u8) -> bool {
    TRAVELLING.contains(&kind)
}

/// How many bytes a sealed record is longer than its plaintext.
pub const SEAL_OVERHEAD: usize = NONCE + TAG;

const NONCE: usize = nonce::NONCE;

/// What a sealed record is: known to whoever opens it, and bound to it by the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aad {
    /// The kind of record.
    pub kind: u8,
    /// What it belongs to.
    pub id: [u8; 16],
    /// In which chain its version is counted: two chains have the same numbers. Zeros for what
    /// is this store's alone.
    pub chain: [u8; 16],
    /// Which version of it.
    pub version: u64,
    /// Which generation of its key.
    pub generation: u32,
}

impl Aad {
    /// How many bytes the cipher is given of it.
    pub const LEN: usize = 46;

    /// The bytes that the cipher is given.
    pub fn encode(&self) -> [u8; Aad::LEN] {
        let mut bytes = [0; Aad::LEN];
        bytes[0] = match travels(self.kind) {
            true => TRAVELS,
            false => FORMAT,
        };
        bytes[1] = self.kind;
        bytes[2..18].copy_from_slice(&self.id);
        bytes[18..34].copy_from_slice(&self.chain);
        bytes[34..42].copy_from_slice(&self.version.to_le_bytes());
        bytes[42..].copy_from_slice(&self.generation.to_le_bytes());
        bytes
    }
}

/// Sealed bytes do not open: they are not what was sealed under this key, in this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("sealed data was damaged, altered or put in another's place; `coffer check` lists what is affected")]
pub struct Tampered;

/// Seals `plain` into a new vector.
pub fn seal(key: &Key, aad: &Aad, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    seal_into(key, aad, plain, &mut out);
    out
}

/// Seals `plain` and appends the result to `out`: `plain.len() + SEAL_OVERHEAD` bytes.
pub fn seal_into(key: &Key, aad: &Aad, plain: &[u8], out: &mut Vec<u8>) {
    seal_with_nonce(key, aad, &nonce::fresh(), plain, out);
}

/// The seam for vectors: a nonce may be given. Outside tests it is always fresh.
pub(super) fn seal_with_nonce(key: &Key, aad: &Aad, nonce: &[u8; NONCE], plain: &[u8], out: &mut Vec<u8>) {
    // All at once: a vector that moved later would leave plaintext behind in freed memory.
    out.reserve(plain.len() + SEAL_OVERHEAD);
    out.extend_from_slice(nonce);
    let start = out.len();
    out.extend_from_slice(plain);
    let (cipher, inner) = Cipher::extended(key.expose(), nonce);
    let tag = cipher.seal(inner, &aad.encode(), &mut out[start..]);
    out.extend_from_slice(&tag);
}

/// Opens a sealed record into a new vector.
///
/// # Errors
/// [`Tampered`] if a bit of it, its place or its key is not what it was sealed with.
pub fn open(key: &Key, aad: &Aad, sealed: &[u8]) -> Result<Vec<u8>, Tampered> {
    let mut out = Vec::new();
    open_into(key, aad, sealed, &mut out)?;
    Ok(out)
}

/// Opens a sealed record and appends its plaintext to `out`: `sealed.len() - SEAL_OVERHEAD`
/// bytes, or nothing on failure.
///
/// # Errors
/// As [`open`].
pub fn open_into(key: &Key, aad: &Aad, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Tampered> {
    let len = sealed.len().checked_sub(SEAL_OVERHEAD).ok_or(Tampered)?;
    let start = out.len();
    out.resize(start + len, 0);
    open_slice(key, aad, sealed, &mut out[start..]).inspect_err(|_| out.truncate(start))
}

/// Opens a sealed record into `out`, which has exactly the plaintext's length. On failure it
/// holds nothing of the plaintext.
pub(super) fn open_slice(key: &Key, aad: &Aad, sealed: &[u8], out: &mut [u8]) -> Result<(), Tampered> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(Tampered)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(Tampered)?;
    if ciphertext.len() != out.len() {
        return Err(Tampered);
    }
    out.copy_from_slice(ciphertext);
    let (cipher, inner) = Cipher::extended(key.expose(), nonce);
    cipher.open(inner, &aad.encode(), out, *tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Aad = Aad {
        kind: 1,
        id: [2; 16],
        chain: [5; 16],
        version: 3,
        generation: 4,
    };

    /// Guards the promise that a failure leaves the caller's buffer as it was.
    #[test]
    fn appending_keeps_what_was_there() {
        let key = Key::random();
        let mut sealed = b"head".to_vec();
        seal_into(&key, &PLACE, b"body", &mut sealed);
        assert_eq!(sealed.len(), 4 + 4 + SEAL_OVERHEAD);
        let mut out = b"before ".to_vec();
        open_into(&key, &PLACE, &sealed[4..], &mut out).unwrap();
        assert_eq!(out, b"before body");
        sealed[30] ^= 1;
        assert_eq!(open_into(&key, &PLACE, &sealed[4..], &mut out), Err(Tampered));
        assert_eq!(out, b"before body");
    }

    /// Guards the binding to a place: each field, and the key, must be the same.
    #[test]
    fn another_place_or_key_does_not_open() {
        let key = Key::random();
        let sealed = seal(&key, &PLACE, b"body");
        assert_eq!(open(&key, &PLACE, &sealed).unwrap(), b"body");
        let others = [
            Aad { kind: 2, ..PLACE },
            Aad { id: [3; 16], ..PLACE },
            Aad {
                chain: [6; 16],
                ..PLACE
            },
            Aad {
                id: PLACE.chain,
                chain: PLACE.id,
                ..PLACE
            },
            Aad { version: 4, ..PLACE },
            Aad {
                generation: 5,
                ..PLACE
            },
            Aad {
                version: 4 << 32 | 3,
                generation: 0,
                ..PLACE
            },
        ];
        for other in others {
            assert_eq!(open(&key, &other, &sealed), Err(Tampered));
        }
        assert_eq!(open(&Key::random(), &PLACE, &sealed), Err(Tampered));
    }

    /// Guards against nonce reuse at the surface: the same record seals differently each time.
    #[test]
    fn sealing_twice_gives_different_bytes() {
        let key = Key::random();
        assert_ne!(seal(&key, &PLACE, b"body"), seal(&key, &PLACE, b"body"));
    }
}
