//! The keys of one conversation, and what it is bound to.
//!
//! ```text
//! transcript 0 = hash(inviter's transport key ‖ joiner's), then transcript n+1 = hash(transcript n ‖ frame n)
//! root = derive(ticket's secret, PAIR_SESSION, x25519(ephemeral keys) ‖ transcript 2)
//! keys = derive(root, PAIR_KEYS, 1: joiner's proof, 2: inviter's, 3: what the joiner seals, 4: what the inviter seals)
//! proof = BLAKE3 keyed, over the transcript before it
//! sealed = ChaCha20-Poly1305, nonce: how many this side sealed before (8) ‖ zeros (4), associated data: transcript before it ‖ kind
//! ```
//!
//! hash = BLAKE3 `derive_key` mode under [`labels::PAIR_TRANSCRIPT`].
//!
//! Guarantees: without the ticket's secret no key of a session can be computed, and with it neither, afterwards: the ephemeral secrets
//! are gone. A key and a nonce never seal twice.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use coffer_store::codec::Malformed;
use coffer_store::keys::{Key, derive, labels};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::error::PairError;

/// What one side brings of chance into a conversation. Never used twice.
pub struct Seeds {
    /// Goes over the wire.
    pub nonce: [u8; 32],
    /// The ephemeral X25519 secret.
    pub ephemeral: Key,
}

impl Seeds {
    /// From the system's random generator.
    pub fn random() -> Seeds {
        Seeds {
            nonce: *Key::random().expose(),
            ephemeral: Key::random(),
        }
    }

    fn secret(&self) -> StaticSecret {
        StaticSecret::from(*self.ephemeral.expose())
    }

    pub(super) fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.secret()).to_bytes()
    }

    /// The secret that both ephemeral keys lead to. None for a key of small order.
    pub(super) fn agree(&self, theirs: &[u8; 32]) -> Option<Key> {
        let agreed = self.secret().diffie_hellman(&PublicKey::from(*theirs));
        let mut bytes = *agreed.as_bytes();
        agreed.was_contributory().then(|| Key::take(&mut bytes))
    }
}

/// All that was said so far, in 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Transcript(pub(super) [u8; 32]);

impl Transcript {
    pub(super) fn new(inviter: &[u8; 32], joiner: &[u8; 32]) -> Transcript {
        Transcript(*hasher().update(inviter).update(joiner).finalize().as_bytes())
    }

    pub(super) fn add(&mut self, frame: &[u8]) {
        self.0 = *hasher().update(&self.0).update(frame).finalize().as_bytes();
    }
}

fn hasher() -> blake3::Hasher {
    blake3::Hasher::new_derive_key(labels::PAIR_TRANSCRIPT)
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Joiner,
    Inviter,
}

/// The keys of a conversation.
pub(super) struct Session {
    proofs: [Key; 2],
    seals: [Key; 2],
    counts: [u64; 2],
}

impl Session {
    /// Of this ticket, these ephemeral keys, and all that was said until the second message.
    pub(super) fn new(ticket: &Key, agreed: &Key, said: &Transcript) -> Session {
        let mut context = Zeroizing::new([0; 64]);
        context[..32].copy_from_slice(agreed.expose());
        context[32..].copy_from_slice(&said.0);
        let root = derive(ticket, labels::PAIR_SESSION, &*context);
        let key = |n: u8| derive(&root, labels::PAIR_KEYS, &[n]);
        Session {
            proofs: [key(1), key(2)],
            seals: [key(3), key(4)],
            counts: [0; 2],
        }
    }

    /// A side's proof that it has the ticket, over all that was said.
    pub(super) fn proof(&self, side: Side, said: &Transcript) -> blake3::Hash {
        blake3::keyed_hash(self.proofs[side as usize].expose(), &said.0)
    }

    fn cipher(&mut self, side: Side) -> (ChaCha20Poly1305, Nonce) {
        let count = &mut self.counts[side as usize];
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&count.to_le_bytes());
        *count += 1;
        let cipher = ChaCha20Poly1305::new(self.seals[side as usize].expose().into());
        (cipher, nonce.into())
    }

    pub(super) fn seal(&mut self, side: Side, said: &Transcript, kind: u8, plain: &[u8]) -> Vec<u8> {
        let (cipher, nonce) = self.cipher(side);
        let aad = aad(said, kind);
        let payload = Payload {
            msg: plain,
            aad: &aad,
        };
        cipher
            .encrypt(&nonce, payload)
            .expect("it fails only beyond 256 GiB, and messages are bounded far below")
    }

    pub(super) fn open(
        &mut self,
        side: Side,
        said: &Transcript,
        kind: u8,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PairError> {
        let (cipher, nonce) = self.cipher(side);
        let aad = aad(said, kind);
        let payload = Payload {
            msg: sealed,
            aad: &aad,
        };
        let plain = cipher.decrypt(&nonce, payload);
        plain
            .map(Zeroizing::new)
            .map_err(|_| PairError::Malformed(Malformed("a message was altered")))
    }
}

fn aad(said: &Transcript, kind: u8) -> [u8; 33] {
    let mut aad = [kind; 33];
    aad[..32].copy_from_slice(&said.0);
    aad
}
