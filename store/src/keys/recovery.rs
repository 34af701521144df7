//! The way back without the password: 24 words on paper.
//!
//! ```text
//! words (BIP39, English) = 256 bits ─derive(RECOVERY_SECRET, vault id)→ X25519 secret r, public R
//! part (136) = R (32) ‖ E (32) ‖ master key, sealed (72)
//! sealed under derive(x25519(e, R), RECOVERY_SEAL, vault id ‖ R ‖ E), e a secret used once
//! ```
//!
//! Because only R is needed to seal, a new password's master key is sealed to the same
//! words without anybody typing them. R is therefore worth protecting: whoever could put
//! another in its place would be given the next master key. The header authenticates it.
//!
//! Source: BIP39; RFC 7748; sealing after the manner of HPKE's base mode (RFC 9180).

use bip39::{Language, Mnemonic};
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use super::master::{unwrap_under, wrap_under};
use super::{Aad, Key, MasterKey, Tampered, WRAPPED, derive, labels, nonce};

const WORDS: usize = 24;

/// Bytes of the recovery part in a header.
pub(super) const PART: usize = 32 + 32 + WRAPPED;

/// A vault's recovery phrase: 24 words of the BIP39 English list, worth 256 bits.
pub struct RecoveryPhrase(Key);

/// Why a text is not a recovery phrase. Never says what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PhraseError {
    /// It has more or fewer words.
    #[error("a recovery phrase has 24 words, and this has {0}")]
    Count(usize),
    /// A word is not on the list.
    #[error("word {0} is not one that a recovery phrase can have; look at its spelling")]
    Unknown(usize),
    /// The words are on the list, but not together.
    #[error("the words do not belong together: one was misread, or two changed places")]
    Checksum,
}

impl RecoveryPhrase {
    pub(super) fn random() -> RecoveryPhrase {
        RecoveryPhrase(Key::random())
    }

    #[cfg(test)]
    pub(super) fn from_entropy(mut entropy: [u8; 32]) -> RecoveryPhrase {
        RecoveryPhrase(Key::take(&mut entropy))
    }

    /// Reads a phrase as people type or scan it: in any case, over several lines, numbered
    /// or not, with whatever punctuation between the words.
    ///
    /// # Errors
    /// [`PhraseError`] says what is wrong, by position.
    pub fn parse(text: &str) -> Result<RecoveryPhrase, PhraseError> {
        // Room from the start: growing would leave words behind in freed memory. The list has only
        // ASCII; a letter beyond makes its word unknown, in its place.
        let mut words = Zeroizing::new(String::with_capacity(text.len()));
        for c in text.chars() {
            words.push(match c {
                'A'..='Z' | 'a'..='z' => c.to_ascii_lowercase(),
                c if c.is_alphabetic() => '?',
                _ => ' ',
            });
        }
        for (i, word) in words.split_ascii_whitespace().enumerate().take(WORDS) {
            Language::English
                .find_word(word)
                .ok_or(PhraseError::Unknown(i + 1))?;
        }
        match words.split_ascii_whitespace().count() {
            WORDS => {}
            count => return Err(PhraseError::Count(count)),
        }
        let mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &words).map_err(|_| PhraseError::Checksum)?;
        let (mut entropy, _) = mnemonic.to_entropy_array();
        let key = Key::filled(|slot| slot.copy_from_slice(&entropy[..32]));
        entropy.zeroize();
        Ok(RecoveryPhrase(key))
    }

    /// The words, to be shown once and written down.
    pub fn words(&self) -> Words {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, self.0.expose())
            .expect("256 bits are a length that BIP39 knows");
        // The longest word has 8 letters.
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in mnemonic.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        Words(text)
    }

    fn secret(&self, vault: &[u8; 16]) -> StaticSecret {
        StaticSecret::from(*derive(&self.0, labels::RECOVERY_SECRET, vault).expose())
    }

    /// The public key that belongs to the phrase in this vault.
    pub(super) fn public(&self, vault: &[u8; 16]) -> [u8; 32] {
        PublicKey::from(&self.secret(vault)).to_bytes()
    }
}

/// The words of a phrase, wiped when dropped.
pub struct Words(Zeroizing<String>);

impl Words {
    /// All in one line, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }
}

/// A master key sealed to a phrase's public key, as it stands in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) public: [u8; 32],
    ephemeral: [u8; 32],
    sealed: [u8; WRAPPED],
}

impl Part {
    /// Seals `master` to `public`. None if that is no key that a phrase can have.
    pub(super) fn seal(vault: &[u8; 16], public: [u8; 32], master: &MasterKey) -> Option<Part> {
        Part::seal_with(vault, public, master, &Key::random(), &nonce::fresh())
    }

    /// The seam for vectors: the secret and the nonce may be given. Outside tests both are random.
    pub(super) fn seal_with(
        vault: &[u8; 16],
        public: [u8; 32],
        master: &MasterKey,
        once: &Key,
        nonce: &[u8; nonce::NONCE],
    ) -> Option<Part> {
        let once = StaticSecret::from(*once.expose());
        let ephemeral = PublicKey::from(&once).to_bytes();
        let key = shared(&once, &public, vault, &public, &ephemeral)?;
        Some(Part {
            public,
            ephemeral,
            sealed: wrap_under(&key, &aad(vault), master.key(), nonce),
        })
    }

    /// Opens the master key.
    pub(super) fn open(&self, vault: &[u8; 16], phrase: &RecoveryPhrase) -> Result<MasterKey, Tampered> {
        let key = shared(
            &phrase.secret(vault),
            &self.ephemeral,
            vault,
            &self.public,
            &self.ephemeral,
        );
        unwrap_under(&key.ok_or(Tampered)?, &aad(vault), &self.sealed).map(MasterKey::new)
    }

    pub(super) fn encode(&self) -> [u8; PART] {
        let mut bytes = [0; PART];
        bytes[..32].copy_from_slice(&self.public);
        bytes[32..64].copy_from_slice(&self.ephemeral);
        bytes[64..].copy_from_slice(&self.sealed);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; PART]) -> Part {
        let (public, rest) = bytes.split_first_chunk().expect("136 bytes hold 32");
        let (ephemeral, rest) = rest.split_first_chunk().expect("104 bytes hold 32");
        let sealed = rest.try_into().expect("72 are left");
        Part {
            public: *public,
            ephemeral: *ephemeral,
            sealed,
        }
    }
}

/// The sealing key that both sides come to. None for a point of small order, with which
/// anybody would come to the same.
fn shared(
    ours: &StaticSecret,
    theirs: &[u8; 32],
    vault: &[u8; 16],
    public: &[u8; 32],
    ephemeral: &[u8; 32],
) -> Option<Key> {
    let agreed = ours.diffie_hellman(&PublicKey::from(*theirs));
    if !agreed.was_contributory() {
        return None;
    }
    let mut context = [0; 80];
    context[..16].copy_from_slice(vault);
    context[16..48].copy_from_slice(public);
    context[48..].copy_from_slice(ephemeral);
    let agreed = Key::filled(|slot| slot.copy_from_slice(agreed.as_bytes()));
    Some(derive(&agreed, labels::RECOVERY_SEAL, &context))
}

/// The key is used once and bound to everything: the rest is constant.
fn aad(vault: &[u8; 16]) -> Aad {
    Aad {
        kind: 0,
        id: *vault,
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}
