//! Signatures: a device's identity, and any other key pair it has, each from a seed
//! that is stored wrapped like every other key.
//!
//! ```text
//! signed bytes = label's length (8 LE) ‖ label ‖ message
//! ```
//!
//! Guarantees: a signature made under one label is never good under another; what
//! verifies, verifies everywhere alike (`verify_strict`: canonical encodings, no keys or
//! points of small order). The seed stays in the locked arena, and is expanded anew for
//! each signature.
//!
//! Source: RFC 8032; Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs" (2020).

use std::fmt;

use thiserror::Error;

use super::Key;

/// A secret ed25519 key.
pub struct SigningKey {
    seed: Key,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new key pair.
    pub fn generate() -> SigningKey {
        SigningKey::from_seed(Key::random())
    }

    /// The key pair of a seed.
    pub fn from_seed(seed: Key) -> SigningKey {
        let verifying = VerifyingKey(expand(&seed).verifying_key());
        SigningKey { seed, verifying }
    }

    /// The seed, to be wrapped and stored.
    pub fn seed(&self) -> Key {
        self.seed.duplicate()
    }

    /// The public key.
    pub fn verifying(&self) -> VerifyingKey {
        self.verifying
    }

    /// Signs a message for one purpose, which the label names.
    pub fn sign(&self, label: &str, message: &[u8]) -> [u8; 64] {
        use ed25519_dalek::Signer;
        expand(&self.seed).sign(&signed_bytes(label, message)).to_bytes()
    }
}

/// The library's key, which wipes itself.
fn expand(seed: &Key) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(seed.expose())
}

fn signed_bytes(label: &str, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + label.len() + message.len());
    bytes.extend_from_slice(&(label.len() as u64).to_le_bytes());
    bytes.extend_from_slice(label.as_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// A public ed25519 key that was found to be a good one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

/// Bytes are no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("these 32 bytes are not a public key that signatures could be checked with")]
pub struct BadKey;

/// A signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a signature does not hold: what it covers was altered, or another key made it")]
pub struct BadSignature;

impl VerifyingKey {
    /// Checks and takes a public key.
    ///
    /// # Errors
    /// [`BadKey`] for bytes that are not a point, not the point's one canonical encoding
    /// (one device must not have two names), or a point of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<VerifyingKey, BadKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadKey)?;
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return Err(BadKey);
        }
        Ok(VerifyingKey(key))
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature over a message, made for this label.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify_strict(&self, label: &str, message: &[u8], sig: &[u8; 64]) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(sig);
        self.0
            .verify_strict(&signed_bytes(label, message), &signature)
            .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VerifyingKey({}…)",
            &blake3::Hash::from_bytes(*self.as_bytes()).to_hex()[..8]
        )
    }
}
