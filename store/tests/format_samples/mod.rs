//! One or more records of every format, of fixed values, and the bytes that were frozen of
//! them. What the tests of formats share.

#![allow(unreachable_pub, dead_code)] // a module of each test program; each uses a part

pub mod sealed;

use coffer_store::chunk::Place;
use coffer_store::chunk::pack::Header as PackHeader;
use coffer_store::db::{ChangeOf, Table};
use coffer_store::event::{
    BatchHeader, BatchRow, BatchWriter, Body, Digest, Event, EventKind, EventRef, Form, Head as EventHead,
    Hole, NodeGone, NodeState, Version, hash,
};
use coffer_store::horizon::{Said, Say};
use coffer_store::ids::{ChainId, EntityId, NodeId, SpaceId};
use coffer_store::keys::{ChunkId, Header, Key, SigningKey, VerifyingKey, WRAPPED, labels};
use coffer_store::members::{SpaceSecrets, StatementId};
use coffer_store::record::{
    BaseRef, BodyRef, ChunkRow, DocumentRecord, GoneRecord, InodeRecord, Kept, LogRecord, ManifestRef, Marks,
    Meta, NodeRecord, Time, VersionRecord, Xattrs,
};
use coffer_store::testing;
use coffer_store::tree::{Kind, Told};

/// What the formats' records were on the day that they were frozen: `format/name hex`.
pub const FROZEN: &str = include_str!("../vectors/format_v1.txt");
/// The keys' vectors; a header is among them.
const KEYS: &str = include_str!("../vectors/keys_v1.txt");

/// Bytes that count up from `first`.
pub fn up<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first.wrapping_add(i as u8))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
    (0..text.len() / 2).map(byte).collect()
}

fn line(file: &str, name: &str) -> Vec<u8> {
    let found = file.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    unhex(found.unwrap_or_else(|| panic!("no vector {name}")))
}

/// The frozen bytes of this name.
pub fn frozen(name: &str) -> Vec<u8> {
    line(FROZEN, name)
}

/// The frozen records of formats that [`testing::FORMATS`] knows: format, name, bytes.
pub fn frozen_records() -> Vec<(&'static str, String, Vec<u8>)> {
    let known = |name: &str| {
        let format = name.split('/').next().unwrap();
        testing::FORMATS
            .iter()
            .find(|(known, _)| *known == format)
            .map(|(known, _)| *known)
    };
    let split = FROZEN.lines().map(|l| l.split_once(' ').unwrap());
    split
        .filter_map(|(name, hex)| Some((known(name)?, name.to_string(), unhex(hex))))
        .collect()
}

pub fn place() -> Place {
    Place {
        pack: 7,
        offset: 0x0001_0203_0405,
        len: 0x0006_0708,
    }
}

pub fn manifest() -> ManifestRef {
    ManifestRef {
        id: ChunkId(up(0x10)),
        sealed: up(0x40),
        len: 4 + 512 * 69,
        depth: 1,
        entries: 513,
    }
}

fn xattrs() -> Option<Box<Xattrs>> {
    let pairs = [
        (&b"user.\xff"[..], &b""[..]),
        (b"user.a", b"value"),
        (b"user.b", b"\0\0"),
    ];
    Some(Box::new(pairs.map(|(n, v)| (n.to_vec(), v.to_vec())).into()))
}

fn time(sec: i64, nsec: u32) -> Time {
    Time { sec, nsec }
}

pub fn at(seq: u64) -> EventRef {
    EventRef {
        chain: ChainId(up(0xc0)),
        seq,
    }
}

pub fn inodes() -> Vec<(&'static str, InodeRecord)> {
    let meta = Meta {
        kind: Kind::File,
        perm: 0o4755,
        uid: 1000,
        gid: 100,
        rdev: 0,
        nlink: 2,
        atime: time(-1, 999_999_999),
        mtime: time(i64::MIN, 0),
        ctime: time(i64::MAX, 1),
        btime: time(1_700_000_000, 123_456_789),
        xattrs: None,
    };
    let plain = InodeRecord {
        entity: EntityId(up(0xe0)),
        entity_key: None,
        body_key: None,
        marks: Marks::default(),
        meta,
        size: 0,
        allocated: 0,
        base: BaseRef::Empty,
        base_len: 0,
        log_first: 3,
        log_next: 3,
        published: None,
        beside: Vec::new(),
    };
    let mut body = plain.clone();
    body.base = BaseRef::Body {
        batch: 9,
        offset: 200,
        len: 90,
        at: at(17),
        generation: 3,
        entity: EntityId(up(0xe0)),
    };
    (body.size, body.allocated, body.base_len) = (50, 50, 50);
    body.published = Some(at(17));
    let mut large = body.clone();
    large.base = BaseRef::Manifest(manifest());
    (large.size, large.base_len, large.log_next) = (i64::MAX as u64, 1 << 40, u64::MAX);
    large.meta.xattrs = xattrs();
    let mut device = plain.clone();
    (device.meta.kind, device.meta.rdev) = (Kind::BlockDevice, 0x0102_0304);
    let mut taken_over = body.clone();
    taken_over.entity = EntityId(up(0xc0));
    (taken_over.entity_key, taken_over.body_key) = (Some(up(0x20)), Some(up(0x60)));
    taken_over.marks = Marks {
        text: true,
        scratch: true,
    };
    let mut merged = body.clone();
    merged.beside = vec![at(5), at(6)];
    vec![
        ("plain", plain),
        ("taken_over", taken_over),
        ("body", body),
        ("large", large),
        ("device", device),
        ("merged", merged),
    ]
}

pub fn nodes() -> Vec<(&'static str, NodeRecord)> {
    let file = NodeRecord {
        parent: 1,
        ino: 0x0102_0304_0506_0708,
        kind: Kind::File,
        id: NodeId(up(0xd0)),
        told: Told::Never,
        name: b"notes \xf0\x9f\x93\x9d \xff.md".to_vec(),
    };
    let mut folder = file.clone();
    (folder.kind, folder.told, folder.name) = (Kind::Folder, Told::Now, vec![b'n'; 255]);
    vec![("file", file), ("folder", folder)]
}

pub fn logs() -> Vec<(&'static str, LogRecord)> {
    let stored = LogRecord::Stored {
        offset: 1 << 40,
        place: place(),
        serial: 0x1112_1314_1516_1718,
        skip: 5,
        take: 0x0006_0000,
    };
    vec![
        ("write", LogRecord::Write(4096, b"written".to_vec())),
        ("zero", LogRecord::Zero(1 << 20, 1 << 30)),
        ("truncate", LogRecord::Truncate(i64::MAX as u64)),
        ("stored", stored),
    ]
}

/// What a removal says.
pub fn removal() -> NodeGone {
    NodeGone {
        when: time(1_700_000_000, 5),
    }
}

pub fn chunk() -> ChunkRow {
    ChunkRow {
        place: place(),
        len: 0x0006_0000,
        sealed: up(0x80),
        kind: 12,
    }
}

pub fn versions() -> Vec<(&'static str, Version)> {
    let inline = Version {
        kind: Kind::File,
        form: Form::Text,
        perm: 0o644,
        mtime: time(-5, 500_000_000),
        recorded: time(70, 1),
        btime: time(5, 0),
        size: 6,
        xattrs: xattrs(),
        body: Body::Inline(b"a note".to_vec()),
    };
    let mut link = inline.clone();
    (link.kind, link.form, link.perm, link.xattrs) = (Kind::Symlink, Form::Blob, 0o777, None);
    let mut large = link.clone();
    (large.kind, large.size, large.body) = (Kind::File, 1 << 40, Body::Manifest(manifest()));
    let change = |serial, bytes: &[u8]| {
        let bytes = bytes.to_vec();
        Version {
            body: Body::Change { serial, bytes },
            xattrs: None,
            ..inline.clone()
        }
    };
    let (change, older) = (change(None, b"a change"), change(Some(0x3132_3334), b"another"));
    let same = Version {
        body: Body::Same,
        ..inline.clone()
    };
    vec![
        ("inline", inline),
        ("link", link),
        ("large", large),
        ("change", change),
        ("older", older),
        ("same", same),
    ]
}

/// A text's document, with three bytes where the document itself would be.
pub fn document() -> DocumentRecord {
    DocumentRecord {
        genesis: at(3),
        upto: 0x0102_0304,
        recent: vec![vec![at(17)], vec![at(17), at(18)]],
        bytes: vec![1, 2, 3],
    }
}

pub fn states() -> Vec<(&'static str, NodeState)> {
    let file = NodeState {
        parent: NodeId([0; 16]),
        entity: Some(EntityId(up(0xe0))),
        perm: 0,
        xattrs: None,
        when: Time {
            sec: 1_700_000_000,
            nsec: 5,
        },
        name: b"a note.md".to_vec(),
    };
    let folder = NodeState {
        parent: NodeId(up(0xd0)),
        entity: None,
        perm: 0o1777,
        xattrs: xattrs(),
        when: Time { sec: -1, nsec: 0 },
        name: vec![0xff; 255],
    };
    vec![("file", file), ("folder", folder)]
}

/// An event of another chain, of a third one from the fourth on.
fn other(seq: u64) -> EventRef {
    let chain = ChainId(if seq < 4 { up(0xd0) } else { up(0x90) });
    EventRef {
        chain,
        seq: 200 + seq,
    }
}

/// A chain of five events, one of each kind. The payloads stand for sealed ones.
pub fn events() -> Vec<(&'static str, Event)> {
    let kinds = [
        ("create", EventKind::Create),
        ("version", EventKind::Version),
        ("node", EventKind::Node),
        ("gone", EventKind::NodeGone),
        ("setting", EventKind::Setting),
    ];
    let mut prev = [0; 32];
    let mut events = Vec::new();
    for ((name, kind), seq) in kinds.into_iter().zip(1..) {
        let wrapped = (kind == EventKind::Create).then(|| up::<WRAPPED>(0x20));
        let sealed = vec![0x50 + seq as u8; 40 + seq as usize];
        let head = EventHead {
            kind,
            space: SpaceId(up(0xa0)),
            at: at(seq),
            lamport: 100 + seq,
            prev,
            subject: up(0xe0),
            generation: 3,
            // Of its own chain; of another, which is named twice; and, in the setting, of a third.
            replaces: (1..seq).flat_map(|seq| [at(seq), other(seq)]).collect(),
            sealed: Digest::of(&sealed),
            wrapped: wrapped.as_ref().map(|wrapped| hash(wrapped)),
        };
        let event = Event {
            head,
            wrapped,
            sealed: Some(sealed),
        };
        prev = event.hash();
        events.push((name, event));
    }
    events
}

/// The device that signed the batch.
pub fn device() -> SigningKey {
    SigningKey::from_seed(Key::take(&mut up(0xb0)))
}

pub fn device_public() -> VerifyingKey {
    device().verifying()
}

/// How the batch begins.
pub fn header() -> BatchHeader {
    BatchHeader {
        space: SpaceId(up(0xa0)),
        chain: at(1).chain,
        first: 1,
        prev: [0; 32],
        ahead: 100,
    }
}

/// Events as a batch: its bytes, and the hash of the last one.
pub fn joined<'a>(events: impl IntoIterator<Item = &'a Event>) -> (Vec<u8>, [u8; 32]) {
    let mut batch = BatchWriter::new(header());
    for event in events {
        batch.push(event);
    }
    (batch.bytes().to_vec(), batch.head())
}

/// The events as a batch: its bytes, and its row, signed.
pub fn batch() -> (Vec<u8>, BatchRow) {
    let events = events();
    let (bytes, head) = joined(events.iter().map(|(_, event)| event));
    let (chain, last) = (at(1).chain, events.len() as u64);
    let row = BatchRow {
        place: Place {
            len: bytes.len() as u32,
            ..place()
        },
        chain,
        first: 1,
        count: last as u32,
        head,
        signature: device().sign(labels::SIGN_HEAD, &BatchRow::signed(chain, last, &head)),
        holes: Vec::new(),
    };
    (bytes, row)
}

/// The same after the first event's key and payload, the second's payload, and the last's were
/// let go of.
pub fn batch_with_holes() -> (Vec<u8>, BatchRow) {
    let (whole, row) = batch();
    let (mut events, mut holes) = (events(), Vec::new());
    let last = events.len() - 1;
    // Where each payload lay: the bytes that were there are its.
    for i in [0, 1, last] {
        let event = &mut events[i].1;
        let mut lacks = |what: &[u8]| {
            let at = whole.windows(what.len()).position(|bytes| bytes == what).unwrap();
            // Its hash is there.
            holes.push(Hole {
                offset: at as u32 + 32,
                len: what.len() as u32 - 32,
            });
        };
        if let Some(key) = event.wrapped.take() {
            lacks(&key);
        }
        lacks(&event.sealed.take().unwrap());
    }
    let (bytes, head) = joined(events.iter().map(|(_, event)| event));
    assert_eq!(head, row.head, "what is let go of is not hashed");
    let place = Place {
        len: bytes.len() as u32,
        ..row.place
    };
    let row = BatchRow { place, holes, ..row };
    (bytes, row)
}

/// One or more records of versions.
pub fn version_rows() -> Vec<(&'static str, VersionRecord)> {
    let inline = VersionRecord {
        number: 0x5152,
        kept: Kept::All,
        batch: 0x0102_0304_0506_0708,
        offset: 0x1112_1314,
        len: 0x2122,
        at: at(9),
        generation: 3,
        lamport: 0x3132,
        creates: false,
        foreign: false,
        parents: vec![at(7), at(8)],
        recorded: Time {
            sec: 1_700_000_000,
            nsec: 5,
        },
        came: 1_700_000_009,
        modified: Time {
            sec: -1,
            nsec: 999_999_999,
        },
        size: 0x4142,
        form: 2,
        kind: Kind::File,
        perm: 0o644,
        program: Some("vim".into()),
        body: BodyRef::Inline,
    };
    let (_, large) = versions().swap_remove(2);
    let Body::Manifest(root) = large.body else {
        unreachable!("the third sample is a large one")
    };
    let manifest = VersionRecord {
        parents: vec![],
        creates: true,
        program: None,
        form: 1,
        body: BodyRef::Manifest(root),
        ..inline.clone()
    };
    let key = VersionRecord {
        kept: Kept::Key,
        body: BodyRef::Other,
        kind: Kind::Symlink,
        ..manifest.clone()
    };
    let change = VersionRecord {
        foreign: true,
        body: BodyRef::Change(up(0x60)),
        ..inline.clone()
    };
    vec![
        ("inline", inline),
        ("manifest", manifest),
        ("key", key),
        ("change", change),
    ]
}

/// Records of what was removed.
pub fn removals() -> Vec<(&'static str, GoneRecord)> {
    let file = GoneRecord {
        parent: NodeId(up(0xd0)),
        kind: Kind::File,
        entity: Some(EntityId(up(0xe0))),
        key: Some(up(0x20)),
        saw: vec![at(4), at(5)],
        when: Time {
            sec: 1_700_000_000,
            nsec: 5,
        },
        came: 1_700_000_070,
        size: 0x4142,
        perm: 0o644,
        name: b"a note.md".to_vec(),
    };
    let folder = GoneRecord {
        kind: Kind::Folder,
        entity: None,
        key: None,
        saw: vec![],
        name: vec![0xff; 255],
        ..file.clone()
    };
    vec![("file", file), ("folder", folder)]
}

/// A pack of two records.
fn pack() -> Vec<u8> {
    let record = |kind, first, payload: &[u8]| {
        let header = PackHeader {
            kind,
            len: payload.len() as u32,
            id: up(first),
        };
        [&header.encode()[..], payload].concat()
    };
    [record(12, 0x10, b"sealed"), record(14, 0x50, b"")].concat()
}

/// Everything made anew: format and name, bytes.
pub fn made() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |format: &str, name: &str, bytes: Vec<u8>| all.push((format!("{format}/{name}"), bytes));
    inodes()
        .iter()
        .for_each(|(name, x)| add("inode", name, x.encode()));
    nodes().iter().for_each(|(name, x)| add("node", name, x.encode()));
    logs().iter().for_each(|(name, x)| add("log", name, x.encode()));
    add("chunk", "row", chunk().encode());
    versions()
        .iter()
        .for_each(|(name, x)| add("version", name, x.encode()));
    states()
        .iter()
        .for_each(|(name, x)| add("state", name, x.encode()));
    add("removal", "when", removal().encode());
    events()
        .iter()
        .for_each(|(name, x)| add("head", name, x.head.encode()));
    let (bytes, row) = batch();
    add("batch", "row", row.encode());
    add("events", "whole", bytes);
    let (bytes, row) = batch_with_holes();
    add("batch", "holes", row.encode());
    add("events", "holes", bytes);
    version_rows()
        .iter()
        .for_each(|(name, x)| add("history", name, x.encode()));
    add("document", "row", document().encode());
    removals()
        .iter()
        .for_each(|(name, x)| add("removed", name, x.encode()));
    let chunk = (up(0x10), up(0x40), 65_536);
    add(
        "manifest",
        "leaf",
        testing::leaf(&[Ok(chunk), Err(1 << 40), Ok((up(1), up(2), 1))]),
    );
    add(
        "manifest",
        "branch",
        testing::branch(2, &[(up(0x10), up(0x40), 1000), (up(3), up(4), 4 + 512 * 69)]),
    );
    add("counters", "row", testing::counters([5, 6, 7, 8, 9], up(0x30)));
    let epoch = |first: u8| SpaceSecrets::take(&up(first));
    let epochs = vec![
        (StatementId(up(0x51)), 0, epoch(0x01)),
        (StatementId(up(0x52)), 3, epoch(0x61)),
    ];
    let chains = vec![(ChainId(up(0xc0)), up(0x20)), (ChainId(up(0xd0)), up(0x30))];
    add(
        "secrets",
        "row",
        testing::secrets(
            SpaceId(up(0xa0)),
            StatementId(up(0x52)),
            epochs,
            [up(0xc1), up(0xe1)],
            chains,
        ),
    );
    let rows: [ChangeOf<'_>; 3] = [
        (Table::Log, b"key", Some(b"value")),
        (Table::Packs, b"", Some(b"")),
        (Table::Meta, b"gone", None),
    ];
    let record = testing::journal(up(0x90), &rows);
    add("journal", "changes", record[56..].to_vec());
    add("journal-file", "record", record);
    add("kept", "row", testing::kept(&[(2, 0x0102), (7, 0)]));
    add(
        "gone",
        "seen",
        testing::gone(NodeId(up(0xd0)), vec![at(4), at(5)]),
    );
    add("gone", "unseen", testing::gone(NodeId(up(0xd0)), vec![]));
    let header = Header::decode(&line(KEYS, "header/recovery")).unwrap();
    add("header", "recovery", header.encode());
    add(
        "keyfile",
        "file",
        testing::key_file(header, up::<WRAPPED>(0x20).to_vec(), vec![0x77; 250]),
    );
    let record = PackHeader {
        kind: 12,
        len: 0x0006_0708,
        id: up(0x10),
    };
    add("record", "header", record.encode().to_vec());
    add("pack", "records", pack());
    let kinds = [
        ("acknowledge", EventKind::Acknowledge),
        ("lapse", EventKind::Lapse),
        ("admit", EventKind::Admit),
    ];
    for (name, kind) in kinds {
        let (_, last) = events().pop().unwrap();
        let head = EventHead { kind, ..last.head };
        add("head", name, head.encode());
    }
    let chains = || [(ChainId(up(0xc0)), 1), (ChainId(up(0xd0)), 300)].into();
    add("acknowledge", "two", Say::Acknowledge(chains()).encode());
    add("lapse", "beyond", Say::Lapse(ChainId(up(0xc0)), 300).encode());
    let mut said = Said::default();
    let chain = ChainId(up(0xe0));
    said.hear((4, 104), &Say::Acknowledge(chains()));
    said.hear((5, 105), &Say::Admit(chain, 0));
    said.hear((6, 106), &Say::Lapse(chain, 200));
    add("said", "row", said.encode());
    let event = |n: u8| {
        [
            &[n, 0, 0, 0, 0, 0, 0, 0][..],
            &up::<16>(0xc0),
            &[n, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat()
    };
    let (_, mut lies) = states().swap_remove(0);
    lies.when.nsec = 0;
    let lies = lies.encode();
    add("ground", "here", [&[0][..], &event(7), &[0], &lies].concat());
    let gone = [
        &[1][..],
        &event(9),
        &[1, 0, 0, 0],
        &up::<16>(0xd0),
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &[1],
        &1_700_000_000_i64.to_le_bytes(),
    ]
    .concat();
    add("ground", "gone", [&[0][..], &event(7), &gone, &lies].concat());
    all
}
