//! Every label that a key is derived under or a signature is made for, in the whole
//! project. A label is what keeps one use of a secret apart from every other, so:
//! none is ever reused, changed or removed, all differ, and a vector pins the list.
//!
//! Labels go to BLAKE3's `derive_key` as its context string, and stand before every
//! signed message.

/// Argon2id's output → the master key.
pub const MASTER: &str = "coffer v0 master key";
/// Master key → the value by which a password is recognised (it commits to the key).
pub const CHECK: &str = "coffer v0 password check";
/// Master key → the key that authenticates the vault's header.
pub const HEADER: &str = "coffer v0 header authentication";
/// Master key → the key that wraps stored keys.
pub const WRAP: &str = "coffer v0 key wrap";
/// Recovery phrase's entropy → its X25519 secret.
pub const RECOVERY_SECRET: &str = "coffer v0 recovery x25519 secret";
/// X25519 shared secret → the key that seals the master key for recovery.
pub const RECOVERY_SEAL: &str = "coffer v0 recovery seal";
/// A space's id secret → the key of chunk ids.
pub const CHUNK_ID: &str = "coffer v0 chunk id";
/// A space's seal secret → the key of one chunk.
pub const CHUNK_SEAL: &str = "coffer v0 chunk seal";
/// A space's id secret → the key of the content-defined chunker's gear table.
pub const CHUNK_GEAR: &str = "coffer v0 chunk gear";
/// Local key (the store's own, random) → the key of the set-hash over all records.
pub const SET_HASH: &str = "coffer v0 set hash";
/// Epoch key → the key that wraps entities' keys in events.
pub const EPOCH_WRAP: &str = "coffer v0 epoch key wrap";
/// Epoch key → the key that seals tree events.
pub const EPOCH_TREE: &str = "coffer v0 epoch tree events";
/// Signature over the head of a chain of events.
pub const SIGN_HEAD: &str = "coffer v0 signed chain head";
/// Signature over a statement about a space's members.
pub const SIGN_MEMBER: &str = "coffer v0 signed membership";
/// Signature of a device's identity over its transport key.
pub const SIGN_TRANSPORT: &str = "coffer v0 signed transport key";

/// All of them, in the order above.
pub const ALL: [&str; 15] = [
    MASTER,
    CHECK,
    HEADER,
    WRAP,
    RECOVERY_SECRET,
    RECOVERY_SEAL,
    CHUNK_ID,
    CHUNK_SEAL,
    CHUNK_GEAR,
    SET_HASH,
    EPOCH_WRAP,
    EPOCH_TREE,
    SIGN_HEAD,
    SIGN_MEMBER,
    SIGN_TRANSPORT,
];
