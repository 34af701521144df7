//! The one cipher under everything sealed: ChaCha20-Poly1305 (RFC 8439), and XChaCha20's
//! way to 192-bit nonces on top of it (draft-irtf-cfrg-xchacha-03).
//!
//! The cipher is `ring`'s: on records of a few hundred bytes it takes a tenth of the time
//! of the RustCrypto crates, on 8 KiB segments six tenths. A test holds it to those, byte
//! for byte.
//!
//! Guarantees: the key's copy in here is wiped when dropped. Never chooses a nonce.

use std::mem::ManuallyDrop;
use std::ptr;
use std::slice;

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use super::Tampered;

/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// A cipher with its key.
pub(super) struct Cipher(ManuallyDrop<LessSafeKey>);

impl Cipher {
    /// ChaCha20-Poly1305 under a key.
    pub(super) fn new(key: &[u8; 32]) -> Cipher {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes are this cipher's key length");
        Cipher(ManuallyDrop::new(LessSafeKey::new(key)))
    }

    /// XChaCha20-Poly1305 for one nonce: the inner cipher and the rest of the nonce.
    pub(super) fn extended(key: &[u8; 32], nonce: &[u8; 24]) -> (Cipher, [u8; 12]) {
        let (front, back) = nonce.split_first_chunk::<16>().expect("24 bytes hold 16");
        let mut subkey = hchacha::<R20>(key.into(), front.into());
        let cipher = Cipher::new(subkey.as_ref());
        subkey.as_mut_slice().zeroize();
        let mut inner = [0; 12];
        inner[4..].copy_from_slice(back);
        (cipher, inner)
    }

    /// Encrypts in place, and gives the tag.
    pub(super) fn seal(&self, nonce: [u8; 12], associated: &[u8], text: &mut [u8]) -> [u8; TAG] {
        self.0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), text)
            .expect("nothing sealed comes near the cipher's limit of 256 GiB")
            .as_ref()
            .try_into()
            .expect("this cipher's tags have 16 bytes")
    }

    /// Decrypts in place. On failure the text is zeros.
    pub(super) fn open(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        text: &mut [u8],
        tag: [u8; TAG],
    ) -> Result<(), Tampered> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self
            .0
            .open_in_place_separate_tag(nonce, Aad::from(associated), tag.into(), text, 0..)
        {
            Ok(_) => Ok(()),
            Err(_) => {
                text.zeroize();
                Err(Tampered)
            }
        }
    }
}

impl Drop for Cipher {
    fn drop(&mut self) {
        // SAFETY: dropped here and never used again; then its own bytes are overwritten, which as plain
        // memory may hold anything from now on.
        unsafe {
            ManuallyDrop::drop(&mut self.0);
            let start = ptr::from_mut(&mut self.0).cast::<std::mem::MaybeUninit<u8>>();
            slice::from_raw_parts_mut(start, size_of::<LessSafeKey>()).zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};

    use super::*;

    /// Guards the formats against the library: another implementation gives the same bytes, at
    /// every length around the block and SIMD boundaries.
    #[test]
    fn two_implementations_agree() {
        let key = super::super::random_bytes::<32>();
        let (nonce, wide) = (
            super::super::random_bytes::<12>(),
            super::super::random_bytes::<24>(),
        );
        for len in (0..700).chain([1023, 1024, 1025, 4096, 8191, 8192, 100_000]) {
            let associated = vec![len as u8; len % 77];
            let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();

            let (mut ours, mut theirs) = (plain.clone(), plain.clone());
            let tag = Cipher::new(&key).seal(nonce, &associated, &mut ours);
            let other = ChaCha20Poly1305::new(&key.into());
            let expected = other
                .encrypt_inout_detached(&nonce.into(), &associated, (&mut theirs[..]).into())
                .unwrap();
            assert_eq!((&ours, &tag[..]), (&theirs, &expected[..]), "{len} bytes");
            Cipher::new(&key)
                .open(nonce, &associated, &mut ours, tag)
                .unwrap();
            assert_eq!(ours, plain);

            let (mut ours, mut theirs) = (plain.clone(), plain.clone());
            let (cipher, inner) = Cipher::extended(&key, &wide);
            let tag = cipher.seal(inner, &associated, &mut ours);
            let other = XChaCha20Poly1305::new(&key.into());
            let expected = other
                .encrypt_inout_detached(&wide.into(), &associated, (&mut theirs[..]).into())
                .unwrap();
            assert_eq!(
                (&ours, &tag[..]),
                (&theirs, &expected[..]),
                "{len} bytes, extended"
            );
            cipher.open(inner, &associated, &mut ours, tag).unwrap();
            assert_eq!(ours, plain);
        }
    }

    /// Guards against plaintext that was not authenticated being left where a caller could see it.
    #[test]
    fn what_does_not_open_is_zeroed() {
        let cipher = Cipher::new(&[1; 32]);
        let mut text = [9; 100];
        let mut tag = cipher.seal([0; 12], b"", &mut text);
        tag[0] ^= 1;
        assert_eq!(cipher.open([0; 12], b"", &mut text, tag), Err(Tampered));
        assert_eq!(text, [0; 100]);
    }
}
