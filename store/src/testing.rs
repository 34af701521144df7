//! What tests and fuzz targets need of formats that are nobody's outside: each as a
//! function from bytes to bytes, and the makers of records whose types stay private.
//!
//! Not a part of the crate's interface: it may change at any time. It shows no secret that
//! its caller did not bring, and the program never calls it.

use crate::chunk::pack;
use crate::content::log_aad;
use crate::content::pieces::{
    Data, LeafEntry, Node, Piece, decode as decode_manifest, encode_branch, encode_leaf,
};
use crate::core::{EpochKeys, extent_aad};
use crate::db::{ChangeOf, Table};
use crate::event::{
    self, BatchHeader, BatchRow, BatchWriter, Event, EventKind, Found, Hole, NodeGone, NodeState, Version,
    Walk,
};
use crate::horizon::{Said, Say};
use crate::ids::{ChainId, EntityId, EventRef, Ino, NodeId, SpaceId};
use crate::keys::{Aad, ChunkId, Header, Key, SigningKey};
use crate::members::{SpaceSecrets, StatementId};
use crate::record::{
    ChunkRef, ChunkRow, DocumentRecord, GoneRecord, InodeRecord, LogRecord, NodeRecord, VersionRecord,
};
use crate::vault::heads::local_aad;
use crate::vault::kept::Kept;
use crate::vault::key_file::KeyFile;
use crate::vault::publish::GoneNode;
use crate::vault::secrets::{Counters, OwnChain, Secrets};
use crate::vault::{Carried, OpError, Vault};
use crate::vault::{gone_aad, inode_aad, node_aad, removed_aad, version_aad};

/// Decodes bytes, and encodes what they said; none if they are refused.
pub type Again = fn(&[u8]) -> Option<Vec<u8>>;

/// Every format of stored bytes that is decoded whole, by name.
pub const FORMATS: [(&str, Again); 25] = [
    ("inode", |b| Some(InodeRecord::decode(b).ok()?.encode())),
    ("node", |b| Some(NodeRecord::decode(b).ok()?.encode())),
    ("log", |b| Some(LogRecord::decode(b).ok()?.encode())),
    ("journal", crate::db::journal_again),
    ("chunk", |b| Some(ChunkRow::decode(b).ok()?.encode())),
    ("batch", |b| Some(BatchRow::decode(b).ok()?.encode())),
    ("history", |b| Some(VersionRecord::decode(b).ok()?.encode())),
    ("document", |b| Some(DocumentRecord::decode(b).ok()?.encode())),
    ("removed", |b| Some(GoneRecord::decode(b).ok()?.encode())),
    ("events", events_again),
    ("version", |b| Some(Version::decode(b).ok()?.encode())),
    ("state", |b| Some(NodeState::decode(b).ok()?.encode())),
    ("removal", |b| Some(NodeGone::decode(b).ok()?.encode())),
    ("manifest", manifest_again),
    ("counters", |b| Some(Counters::decode(b).ok()?.encode())),
    ("secrets", |b| Some(Secrets::decode(b).ok()?.encode().to_vec())),
    ("kept", |b| Some(Kept::decode(b).ok()?.encode())),
    ("gone", |b| Some(GoneNode::decode(b).ok()?.encode())),
    ("keyfile", |b| Some(KeyFile::decode(b).ok()?.encode())),
    ("header", |b| Some(Header::decode(b).ok()?.encode())),
    ("record", |b| match b.len() {
        pack::HEADER => Some(pack::Header::decode(b)?.encode().to_vec()),
        _ => None,
    }),
    ("acknowledge", |b| Some(Say::acknowledge(b).ok()?.encode())),
    ("lapse", |b| {
        Some(Say::Lapse(ChainId([0; 16]), Say::last(b).ok()?).encode())
    }),
    ("said", |b| Some(Said::decode(b).ok()?.encode())),
    ("ground", crate::vault::ground_again),
];

/// The format of this name.
///
/// # Panics
/// If there is none.
pub fn format(name: &str) -> Again {
    let found = FORMATS.iter().find(|(format, _)| *format == name);
    found.expect("tests name formats that are there").1
}

/// How a batch begins, and its events, each with the place of its payload.
pub type Events = (BatchHeader, Vec<(Event, Option<usize>)>);
/// What a batch lacks, and where the payload of each event lay, with its length.
pub type Lacking = (Vec<Hole>, Vec<(u32, u32)>);

/// The events of a batch, each with where its payload lies in these bytes, if it is there; none if
/// they are no batch, one without events, or one that begins at another time than its first.
pub fn events(bytes: &[u8]) -> Option<Events> {
    let mut walk = Walk::new(bytes).ok()?;
    let header = *walk.header();
    let place = |found: Found| {
        let len = found.event.sealed.as_ref().map(Vec::len);
        (found.event, len.map(|len| found.end as usize - len))
    };
    let events: Vec<_> = walk
        .by_ref()
        .map(|found| found.map(place))
        .collect::<Result<_, _>>()
        .ok()?;
    let (first, _): &(Event, _) = events.first()?;
    (first.head.ahead() == header.ahead).then_some((header, events))
}

/// What a batch lacks, and where the payload of each event lay in it as it was made, with its length;
/// none if it is none.
pub fn holes(bytes: &[u8]) -> Option<Lacking> {
    let mut walk = Walk::new(bytes).ok()?;
    let place = |found: Found| (found.sealed_at, found.event.head.sealed.len);
    let places = walk
        .by_ref()
        .map(|found| found.map(place))
        .collect::<Result<_, _>>()
        .ok()?;
    Some((walk.holes().to_vec(), places))
}

fn events_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, events) = events(bytes)?;
    let mut batch = BatchWriter::new(header);
    for (event, _) in &events {
        batch.push(event);
    }
    Some(batch.bytes().to_vec())
}

/// A node of any level: the level that it says it is of.
fn manifest_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let level = *bytes.get(1)?;
    Some(match decode_manifest(bytes, level).ok()? {
        Node::Branch(children) => encode_branch(level, &children),
        Node::Leaf(entries) => encode_leaf(&entries.into_iter().map(piece).collect::<Vec<_>>()),
    })
}

fn piece(entry: LeafEntry) -> Piece {
    let (len, data) = match entry {
        LeafEntry::Chunk(chunk) => (u64::from(chunk.len), Data::Chunk(chunk)),
        LeafEntry::Hole(len) => (len, Data::Hole),
    };
    Piece { start: 0, len, data }
}

/// A chunk as a manifest names it: id, hash of the sealed bytes, plaintext length in bytes.
pub type Named = ([u8; 32], [u8; 32], u32);

fn chunk_ref(&(id, sealed, len): &Named) -> ChunkRef {
    let id = ChunkId(id);
    ChunkRef { id, sealed, len }
}

/// A manifest's leaf: chunks, and holes by their lengths in bytes.
pub fn leaf(entries: &[Result<Named, u64>]) -> Vec<u8> {
    let entry = |e: &Result<Named, u64>| match e {
        Ok(chunk) => LeafEntry::Chunk(chunk_ref(chunk)),
        Err(hole) => LeafEntry::Hole(*hole),
    };
    encode_leaf(&entries.iter().map(|e| piece(entry(e))).collect::<Vec<_>>())
}

/// A manifest's node above leaves.
pub fn branch(level: u8, children: &[Named]) -> Vec<u8> {
    encode_branch(level, &children.iter().map(chunk_ref).collect::<Vec<_>>())
}

/// Counters: next inode, next batch, sequence number, Lamport time, commits; and the head.
pub fn counters([next_ino, next_batch, seq, lamport, commits]: [u64; 5], head: [u8; 32]) -> Vec<u8> {
    let counters = Counters {
        next_ino,
        next_batch,
        seq,
        lamport,
        head,
        commits,
    };
    counters.encode()
}

/// A device's secrets: its space, the present epoch, all epochs with their numbers and three keys, the seeds of signing and transport keys,
/// its chains and what their ids were made of.
pub fn secrets(
    space: SpaceId,
    present: StatementId,
    epochs: Vec<(StatementId, u32, SpaceSecrets)>,
    [seed, transport]: [[u8; 32]; 2],
    chains: Vec<(ChainId, [u8; 16])>,
) -> Vec<u8> {
    let own = |(id, random)| OwnChain { id, random };
    let key = |mut bytes: [u8; 32]| Key::take(&mut bytes);
    let epoch = |(id, number, secrets)| EpochKeys::new(id, number, secrets);
    let secrets = Secrets {
        space,
        present,
        epochs: epochs.into_iter().map(epoch).collect(),
        signing: SigningKey::from_seed(key(seed)),
        transport: key(transport),
        chains: chains.into_iter().map(own).collect(),
    };
    secrets.encode().to_vec()
}

/// The note of a removal that is not told yet, and the versions that were seen.
pub fn gone(id: NodeId, saw: Vec<EventRef>) -> Vec<u8> {
    GoneNode { id, saw, of: None }.encode()
}

/// A key file, of a header, the wrapped local key and the sealed secrets.
pub fn key_file(header: Header, wrapped: Vec<u8>, secrets: Vec<u8>) -> Vec<u8> {
    let file = KeyFile {
        header,
        wrapped,
        secrets,
    };
    file.encode()
}

/// Associated data of every kind of sealed record: of the entity or node `id` in the event
/// `at` with this generation, or of the local number `no` with `at`'s sequence number.
pub fn aads(id: [u8; 16], no: u64, at: EventRef, generation: u32) -> [(&'static str, Aad); 17] {
    let (entity, node, version) = (EntityId(id), NodeId(id), at.seq);
    [
        ("inode", inode_aad(no)),
        ("node", node_aad(no)),
        ("log", log_aad(no, version)),
        ("extent", extent_aad(no, version)),
        ("gone", gone_aad(no, 1)),
        ("counters", local_aad(1)),
        ("secrets", local_aad(2)),
        ("version-event", event::content_aad(&entity, at, generation)),
        ("node-event", event::node_aad(&node, at, generation)),
        ("gone-event", event::gone_aad(&node, at, generation)),
        ("key-event", event::key_aad(&entity, at, generation)),
        ("setting-event", event::setting_aad(&id, at, generation)),
        ("version", version_aad(&entity, version, true)),
        ("removed", removed_aad(&node)),
        (
            "acknowledge-event",
            event::chain_aad(EventKind::Acknowledge, &id, at, generation),
        ),
        (
            "lapse-event",
            event::chain_aad(EventKind::Lapse, &id, at, generation),
        ),
        (
            "admit-event",
            event::chain_aad(EventKind::Admit, &id, at, generation),
        ),
    ]
}

/// The row that a database with these rows keeps of them.
pub fn sums(key: &[u8; 32], rows: &[(Table, &[u8], &[u8])]) -> Vec<u8> {
    crate::db::sums_of(key, rows)
}

/// A journal of one record, which changes these rows: its epoch is named so.
pub fn journal(epoch: [u8; 16], rows: &[ChangeOf<'_>]) -> Vec<u8> {
    crate::db::journal_of(&epoch, rows)
}

/// What the records of a journal change, as one record's changes; none if it is damaged.
pub fn journal_changes(bytes: &[u8], epoch: [u8; 16]) -> Option<Vec<u8>> {
    crate::db::journal_changes(bytes, &epoch)
}

/// The row of kept packs: their numbers, and how many bytes of each were committed.
pub fn kept(packs: &[(u32, u64)]) -> Vec<u8> {
    Kept(packs.iter().copied().collect()).encode()
}

/// A version of a file as an event says it: what it replaces, its Lamport time, its payload.
pub type Says = (Vec<EventRef>, u64, Vec<u8>);

/// What a member gone bad could sign: a batch of this vault's device, on this chain and behind this event, of these versions of a file.
///
/// # Errors
/// If the file is not here, or its key cannot be read.
pub fn forged(
    vault: &Vault,
    behind: (ChainId, (u64, [u8; 32])),
    ino: Ino,
    says: &[Says],
) -> Result<Carried, OpError> {
    vault.forged(behind, ino, says)
}

/// A change of a text with this body: with its magic, checksum, type and length before it.
pub fn change_chunk(body: &[u8]) -> Vec<u8> {
    let mut rest = vec![1];
    let mut len = body.len();
    while len >= 0x80 {
        rest.push(len as u8 | 0x80);
        len >>= 7;
    }
    rest.push(len as u8);
    rest.extend_from_slice(body);
    let digest = ring::digest::digest(&ring::digest::SHA256, &rest);
    [&[0x85, 0x6f, 0x4a, 0x83], &digest.as_ref()[..4], &rest].concat()
}

/// The body of a change that [`change_chunk`] could have made.
pub fn change_body(chunk: &[u8]) -> Option<&[u8]> {
    let len = chunk.get(9..)?.iter().position(|byte| byte & 0x80 == 0)?;
    chunk.get(9 + len + 1..)
}
