//! Every label that a key or a text's actor is derived under, or a signature is made for, in the whole
//! project. A label is what keeps one use of a secret apart from every other, so:
//! none is ever reused, changed or removed, all differ, and a vector pins the list.
//!
//! Labels go to BLAKE3's `derive_key` as its context string, and stand before every
//! signed message; those of actors stand, with a NUL, before what is hashed.

/// Argon2id's output → the master key.
pub const MASTER: &str = "coffer v1 master key";
/// Master key → the value by which a password is recognised (it commits to the key).
pub const CHECK: &str = "coffer v1 password check";
/// Master key → the key that authenticates the vault's header.
pub const HEADER: &str = "coffer v1 header authentication";
/// Master key → the key that wraps stored keys.
pub const WRAP: &str = "coffer v1 key wrap";
/// Recovery phrase's entropy → its X25519 secret.
pub const RECOVERY_SECRET: &str = "coffer v1 recovery x25519 secret";
/// X25519 shared secret → the key that seals the master key for recovery.
pub const RECOVERY_SEAL: &str = "coffer v1 recovery seal";
/// A space's id secret → the key of chunk ids.
pub const CHUNK_ID: &str = "coffer v1 chunk id";
/// A space's seal secret → the key of one chunk.
pub const CHUNK_SEAL: &str = "coffer v1 chunk seal";
/// A space's id secret → the key of the content-defined chunker's gear table.
pub const CHUNK_GEAR: &str = "coffer v1 chunk gear";
/// Local key (the store's own, random) → the key of the set-hash over all records.
pub const SET_HASH: &str = "coffer v1 set hash";
/// Epoch key → the key that wraps entities' keys in events.
pub const EPOCH_WRAP: &str = "coffer v1 epoch key wrap";
/// Epoch key → the key that seals tree events.
pub const EPOCH_TREE: &str = "coffer v1 epoch tree events";
/// Epoch key and an entity's key → the key that seals the entity's versions.
pub const EPOCH_CONTENT: &str = "coffer v1 epoch content";
/// Signature over the head of a chain of events.
pub const SIGN_HEAD: &str = "coffer v1 signed chain head";
/// Signature over a statement about a space's members.
pub const SIGN_MEMBER: &str = "coffer v1 signed membership";
/// Signature of a transport key over the identity of the device that it speaks for.
pub const SIGN_TRANSPORT: &str = "coffer v1 signed transport key";
/// Signature of a device over the space, and the member, that it lets itself be added by.
pub const SIGN_JOIN: &str = "coffer v1 signed joining";
/// A device's signing seed → its X25519 secret.
pub const DEVICE_SEALING: &str = "coffer v1 device x25519 secret";
/// A device's public key and a random value → a chain's id. Nothing of it is secret.
pub const DEVICE_CHAIN: &str = "coffer v1 device chain";
/// X25519 shared secret → the key that seals a space's secrets to a member.
pub const MEMBER_SEAL: &str = "coffer v1 member seal";
/// A space's secrets of one epoch → the value that says which they are.
pub const EPOCH_COMMITMENT: &str = "coffer v1 epoch commitment";
/// A ticket's secret → the topic under which inviter and joiner find each other.
pub const PAIR_TOPIC: &str = "coffer v1 pairing topic";
/// Both transport keys and both first messages → the transcript. Nothing of it is secret.
pub const PAIR_TRANSCRIPT: &str = "coffer v1 pairing transcript";
/// A ticket's secret, an X25519 shared secret and the transcript → the root of a session.
pub const PAIR_SESSION: &str = "coffer v1 pairing session";
/// The root of a session → its four keys.
pub const PAIR_KEYS: &str = "coffer v1 pairing keys";
/// Signature of a device over a pairing's transcript.
pub const SIGN_PAIR: &str = "coffer v1 signed pairing";
/// The members' secret of a period, or a ticket's topic → the key of a device's record with a relay.
pub const NET_TOPIC: &str = "coffer v1 network topic";
/// The members' secret of a period, or a ticket's topic → the key that seals a device's record.
pub const NET_RECORD: &str = "coffer v1 network record";
/// Epoch key → the members' secret of a period, by which they find each other.
pub const NET_RENDEZVOUS: &str = "coffer v1 network rendezvous";
/// The first epoch's key → the name of a vault's folder in a carried one.
pub const CARRIER_FOLDER: &str = "coffer v1 carrier folder";
/// The first epoch's key, or a device's signing seed → the key by which members, or the device alone, know a file there by its name.
pub const CARRIER_NAME: &str = "coffer v1 carrier file name";
/// X25519 shared secret, or an epoch key → the key that seals the key of an index there.
pub const CARRIER_SLOT: &str = "coffer v1 carrier slot";
/// Signature of a device over what it says in an index there.
pub const SIGN_CARRIER: &str = "coffer v1 signed carrier index";
/// The event of a text's first version → the actor of the change that is derived of it. Nothing of it is secret, as of
/// the following.
pub const TEXT_GENESIS: &str = "coffer v1 text genesis";
/// A chain → the actor of its changes of texts.
pub const TEXT_CHAIN: &str = "coffer v1 text chain";
/// A chain and a random number → the actor of one change at older heads.
pub const TEXT_EDIT: &str = "coffer v1 text edit";
/// A version of a former text and the change that carries it over → the actor of that.
pub const TEXT_CARRIED: &str = "coffer v1 text carried";
/// The first epoch's id secret → the key by which an index names equal bytes. What it names is stored nowhere, and never travels.
pub const INDEX_CONTENT: &str = "coffer v1 index content";

/// All of them, in the order above.
pub const ALL: [&str; 38] = [
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
    EPOCH_CONTENT,
    SIGN_HEAD,
    SIGN_MEMBER,
    SIGN_TRANSPORT,
    SIGN_JOIN,
    DEVICE_SEALING,
    DEVICE_CHAIN,
    MEMBER_SEAL,
    EPOCH_COMMITMENT,
    PAIR_TOPIC,
    PAIR_TRANSCRIPT,
    PAIR_SESSION,
    PAIR_KEYS,
    SIGN_PAIR,
    NET_TOPIC,
    NET_RECORD,
    NET_RENDEZVOUS,
    CARRIER_FOLDER,
    CARRIER_NAME,
    CARRIER_SLOT,
    SIGN_CARRIER,
    TEXT_GENESIS,
    TEXT_CHAIN,
    TEXT_EDIT,
    TEXT_CARRIED,
    INDEX_CONTENT,
];
