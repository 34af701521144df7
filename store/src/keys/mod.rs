//! Keys: the password's way to the master key, the keys it wraps, and sealing.
//!
//! ```text
//! password ─Argon2id→ master key ─┬─ wraps every stored key ──→ seals records
//! phrase ──X25519──────┘          └─ subkeys, by label
//! chunk secrets ─┬─ ids and segment keys of chunks
//!                └─ the chunker's gear key
//! ```
//!
//! Guarantees: a secret lives in a type of its own, is wiped when dropped, and is
//! shown by no `Debug`, `Display` or error. What was altered is never opened. Never
//! does I/O, but for the system's random bytes and for locking memory.
//!
//! Nothing here says which kinds of records there are: callers choose `kind` bytes.

mod aead;
mod arena;
mod chunk;
mod derive;
mod fork;
mod header;
mod identity;
mod kdf;
pub mod labels;
mod master;
mod nonce;
mod process;
mod recovery;
mod seal;
mod secret;

#[cfg(test)]
mod vectors;

pub use arena::{arena_locked, wipe_arena};
pub use chunk::{ChunkId, ChunkKeys, SEGMENT, TAG};
pub use derive::derive;
pub use header::{Header, HeaderError, RecoverError, UnlockError};
pub use identity::{BadKey, BadSignature, SigningKey, VerifyingKey};
pub use kdf::{KdfError, KdfParams};
pub use master::{MasterKey, WRAPPED};
pub use process::{Exposed, harden_process};
pub use recovery::{PhraseError, RecoveryPhrase, Words};
#[cfg(test)]
pub(crate) use seal::travels;
pub use seal::{Aad, FORMAT, SEAL_OVERHEAD, TRAVELS, Tampered, open, open_into, seal, seal_into};
pub use secret::{Key, Password, random_bytes};
