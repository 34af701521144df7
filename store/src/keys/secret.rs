//! Secrets as types: keys and passwords that cannot be printed, compared, cloned or
//! serialised by accident, and are wiped when dropped.
//!
//! Never promises more than that: copies that the compiler leaves in registers or on a
//! stack while a cipher runs are out of our reach.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use zeroize::{Zeroize, Zeroizing};

use super::arena::Slot;

/// A 256-bit secret in the locked arena.
pub struct Key(Slot);

impl Key {
    /// A key from the system's random generator.
    ///
    /// # Panics
    /// Only if the system has no randomness to give.
    pub fn random() -> Key {
        Key::filled(os_random)
    }

    /// Moves bytes into a key: they are copied, and the source is wiped.
    pub fn take(bytes: &mut [u8; 32]) -> Key {
        let key = Key::filled(|slot| slot.copy_from_slice(bytes));
        bytes.zeroize();
        key
    }

    /// A key whose bytes `fill` writes in place, so that they never lie elsewhere.
    pub(super) fn filled(fill: impl FnOnce(&mut [u8])) -> Key {
        let mut slot = Slot::new();
        fill(slot.bytes_mut());
        Key(slot)
    }

    /// The bytes. Not to be copied into anything that is not wiped.
    ///
    /// # Panics
    /// In a process forked after the key was made: the system clears the arena there.
    /// Fork first, unlock after.
    #[inline]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.bytes()
    }

    /// A second key of the same bytes. Not `Clone`, so that it is never done unawares.
    pub fn duplicate(&self) -> Key {
        Key::filled(|slot| slot.copy_from_slice(self.expose()))
    }
}

/// A password: text in Unicode's normal form C, since one keyboard's é is another's e and accent; or bytes as they
/// were typed, if they are no UTF-8.
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes the bytes that were typed.
    pub fn new(bytes: Vec<u8>) -> Password {
        let bytes = Zeroizing::new(bytes);
        let composed = match std::str::from_utf8(&bytes) {
            Ok(text) if is_nfc_quick(text.chars()) != IsNormalized::Yes => {
                // Three times as long at most (UAX #15): it never moves, and leaves nothing behind.
                let mut composed = Zeroizing::new(Vec::with_capacity(3 * bytes.len()));
                let mut utf8 = Zeroizing::new([0; 4]);
                for c in text.nfc() {
                    composed.extend_from_slice(c.encode_utf8(&mut utf8[..]).as_bytes());
                }
                Some(composed)
            }
            _ => None,
        };
        Password(composed.unwrap_or(bytes))
    }

    /// Takes a line that was read: one newline (`\n`) at its end is no part of the password.
    pub fn from_line(bytes: Vec<u8>) -> Password {
        let mut bytes = bytes;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Password::new(bytes)
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes from the system's random generator, for ids and salts.
///
/// # Panics
/// Only if the system has no randomness to give.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    os_random(&mut bytes);
    bytes
}

fn os_random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        // Going on would mean guessable keys: nothing that a caller could do instead is right.
        panic!("the system has no random bytes to give ({error}); no key can be made");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards `take`: the source is wiped, the key has its bytes, a duplicate is its own.
    #[test]
    fn taking_wipes_the_source() {
        let mut bytes = [7; 32];
        let key = Key::take(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        let copy = key.duplicate();
        drop(key);
        assert_eq!(copy.expose(), &[7; 32]);
    }

    /// Guards passwords against being changed: one newline goes, everything else stays.
    #[test]
    fn a_line_loses_one_newline_and_nothing_else() {
        for (line, password) in [
            (&b"secret\n"[..], &b"secret"[..]),
            (b"secret", b"secret"),
            (b" a b \n\n", b" a b \n"),
            (b"a\r\n", b"a\r"),
            (b"\xff\xfe\n", b"\xff\xfe"),
            (b"\n", b""),
            (b"", b""),
        ] {
            assert_eq!(Password::from_line(line.to_vec()).expose(), password);
        }
        assert!(Password::from_line(b"\n".to_vec()).is_empty());
        assert_eq!(Password::new(b"x\n".to_vec()).expose(), b"x\n");
    }

    /// Guards against a generator that returns what was there, or the same twice.
    #[test]
    fn random_keys_differ() {
        let (a, b) = (Key::random(), Key::random());
        assert_ne!(a.expose(), b.expose());
        assert_ne!(a.expose(), &[0; 32]);
        assert_ne!(random_bytes::<16>(), random_bytes::<16>());
    }
}
