//! Guards the decoders of stored bytes against whatever a disk or a peer may hand them: cut
//! short, longer, altered byte by byte or at random, they refuse, or have read something
//! that is encoded as exactly those bytes. They never panic, and never make room by a
//! length that they have not compared with the bytes at hand.

mod format_samples;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;

use coffer_store::Malformed;
use coffer_store::event::{
    BatchHeader, BatchRow, BatchWriter, Body, Digest, EVENT_MAX, EventKind, EventRef, Form, Hole, Unverified,
    VerifyError, Version,
};
use coffer_store::ids::ChainId;
use coffer_store::keys::{Header, HeaderError, labels};
use coffer_store::record::{InodeRecord, LogRecord};
use coffer_store::testing::{self, Again};
use coffer_store::tree::Kind;
use format_samples::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What is said of a batch whose events have no numbers.
const UNCOUNTABLE: Malformed = Malformed("a batch row contradicts itself");

/// Bytes of a batch before its first event, and before the second of the samples.
const HEADER: usize = 1 + 16 + 16 + 1 + 32 + 1;
const SECOND: usize = HEADER + 2 + 20 + 72 + 41;

/// Notes the largest allocation of each thread.
struct Watched;

thread_local!(static LARGEST: Cell<usize> = const { Cell::new(0) });

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no note left; nothing decodes there.
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

/// The law. Returns whether the bytes were taken.
fn lawful(name: &str, again: Again, bytes: &[u8]) -> bool {
    LARGEST.set(0);
    let made = again(bytes);
    let largest = LARGEST.get();
    // A manifest's node makes room for its 512 entries at once; every field's own room is
    // some small multiple of the bytes it came in.
    let most = 48 * 1024 + 64 * bytes.len();
    assert!(
        largest <= most,
        "{name}: {largest} bytes at once for {}: {}",
        bytes.len(),
        hex(bytes)
    );
    if let Some(made) = &made {
        assert!(made == bytes, "{name} has two encodings: {}", hex(bytes));
    }
    made.is_some()
}

/// The watch sees what it is there for.
#[test]
fn a_large_allocation_is_noticed() {
    LARGEST.set(0);
    drop(std::hint::black_box(vec![1u8; 1 << 20]));
    assert!(LARGEST.get() >= 1 << 20);
}

/// How many bytes the last field can lose, where it takes all that follows.
fn open_end(name: &str) -> usize {
    let node = nodes()
        .into_iter()
        .find(|(kind, _)| name == format!("node/{kind}"));
    match node {
        Some((_, node)) => node.name.len() - 1,
        _ if name == "document/row" => 3,
        _ if name == "log/write" => b"written".len(),
        // At least one byte of a change is there.
        _ if name == "version/change" => b"a change".len() - 1,
        _ if name == "version/older" => b"another".len() - 1,
        _ => 0,
    }
}

/// Where a list of entries ends with any of them but the last.
fn shorter(name: &str) -> Vec<usize> {
    match name {
        "batch/holes" => {
            let (_, row) = batch_with_holes();
            let some = |count| BatchRow {
                holes: row.holes[..count].to_vec(),
                ..row.clone()
            };
            (0..row.holes.len())
                .map(|count| some(count).encode().len())
                .collect()
        }
        "events/whole" | "events/holes" => {
            let (_, events) = testing::events(&frozen(name)).unwrap();
            let some = |count| joined(events.iter().take(count).map(|(event, _)| event)).0;
            (1..events.len()).map(|count| some(count).len()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_truncation() {
    for (format, name, bytes) in frozen_records() {
        let whole = bytes.len() - open_end(&name);
        let shorter = shorter(&name);
        for n in 0..=bytes.len() {
            let taken = lawful(&name, testing::format(format), &bytes[..n]);
            // A list of entries of one length is whole after each of them.
            let fewer = (name == "kept/row" && n % 12 == 1) || shorter.contains(&n);
            assert_eq!(taken, n >= whole || fewer, "{name} cut to {n} bytes");
        }
    }
}

#[test]
fn every_value_of_every_byte() {
    for (format, name, bytes) in frozen_records() {
        let mut copy = bytes.clone();
        let mut refused = 0;
        for at in 0..bytes.len() {
            for flip in 1..=255 {
                copy[at] = bytes[at] ^ flip;
                refused += usize::from(!lawful(&name, testing::format(format), &copy));
            }
            copy[at] = bytes[at];
        }
        // The version at least is one that nobody knows, whatever it was altered to.
        assert!(refused >= 255, "{name}: {refused}");
    }
}

#[test]
fn every_other_version_is_refused() {
    for (format, name, bytes) in frozen_records() {
        // Where the version is: first, or at the end of a magic.
        let at = match format {
            "keyfile" => 7,
            "header" => 8,
            "record" => 3,
            _ => 0,
        };
        for version in 1..=255 {
            let mut copy = bytes.clone();
            copy[at] ^= version;
            assert!(
                !lawful(&name, testing::format(format), &copy),
                "{name}: {version}"
            );
        }
    }
}

#[test]
fn whatever_follows_is_refused() {
    for (format, name, bytes) in frozen_records() {
        for more in [vec![0], vec![0xff], vec![0; 64], bytes.clone()] {
            let taken = lawful(&name, testing::format(format), &[&bytes[..], &more].concat());
            assert!(!taken || open_end(&name) > 0, "{name}");
        }
    }
}

/// Several alterations at once, of one record and between two of a format.
#[test]
fn mangled_records() {
    let mut rng = StdRng::seed_from_u64(1);
    let records = frozen_records();
    for (format, again) in testing::FORMATS {
        let mine: Vec<&[u8]> = records
            .iter()
            .filter(|(of, ..)| *of == format)
            .map(|(.., b)| &b[..])
            .collect();
        let mut taken = 0;
        for _ in 0..30_000 {
            let mut copy = mine[rng.random_range(0..mine.len())].to_vec();
            for _ in 0..rng.random_range(0..5) {
                let at = rng.random_range(0..=copy.len());
                let other = mine[rng.random_range(0..mine.len())];
                let from = rng.random_range(0..other.len());
                let len = rng.random_range(0..=(other.len() - from).min(24));
                match rng.random_range(0..6) {
                    0 => copy.truncate(at),
                    1 => copy.insert(at, rng.random()),
                    2 => drop(copy.splice(at..at, other[from..from + len].iter().copied())),
                    3 => drop(copy.drain(at..copy.len().min(at + len))),
                    4 => copy[at..]
                        .iter_mut()
                        .take(8)
                        .for_each(|b| *b = [0, 1, 0x7f, 0xff][len % 4]),
                    _ => copy[at..].iter_mut().take(1).for_each(|b| *b = rng.random()),
                }
            }
            taken += usize::from(lawful(format, again, &copy));
        }
        assert!((300..29_700).contains(&taken), "{format}: {taken} taken");
    }
}

/// A length field that promises more than is there costs nothing.
#[test]
fn promised_lengths_are_not_believed() {
    let with = |name: &str, at: usize, bytes: &[u8]| {
        let mut copy = frozen(name);
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    let len = frozen("inode/plain").len();
    let cases = [
        ("inode", with("inode/plain", len - 2, &[0xff; 2])),
        ("version", with("version/inline", 15, &[0xff; 2])),
        ("state", with("state/file", 36, &[0xff; 2])),
        ("secrets", with("secrets/row", 113, &[0xff; 2])),
        ("secrets", with("secrets/row", 379, &[0xff; 2])),
        // The first event's length, and how many the second replaces.
        ("events", with("events/whole", HEADER, &[0xff, 0xff, 0x7f])),
        ("events", with("events/whole", SECOND + 20, &[0xff, 0x07])),
        ("keyfile", with("keyfile/file", 8, &[0xff, 0xff, 0, 0])),
        ("manifest", with("manifest/leaf", 2, &[0x00, 0x02])),
        ("chunk", with("chunk/row", 50, &[0xff; 4])),
        ("batch", with("batch/row", 7, &[0xff, 0xff, 0xff, 0xff, 0x0f])),
    ];
    for (format, bytes) in cases {
        assert!(!lawful(format, testing::format(format), &bytes), "{format}");
    }
}

/// What no honest program writes, though every field alone is possible.
#[test]
fn contradictions_are_refused() {
    let (_, row) = batch();
    for (first, count) in [
        (0, 1),
        (1, 0),
        (u64::MAX, 1),
        (u64::MAX - 3, 4),
        (u64::MAX, u32::MAX),
    ] {
        let row = BatchRow {
            first,
            count,
            ..row.clone()
        };
        assert!(
            BatchRow::decode(&row.encode()).is_err(),
            "{first} and {count} more"
        );
        let bytes = b"not looked at";
        let believed = Unverified { row: &row, bytes }.verify(&device_public());
        assert_eq!(believed, Err(VerifyError::Malformed(UNCOUNTABLE)));
    }
    for (skip, take) in [(u32::MAX, u32::MAX), (0, place().len + 1), (place().len, 1)] {
        let record = LogRecord::Stored {
            offset: 0,
            place: place(),
            serial: 0,
            skip,
            take,
        };
        assert!(
            LogRecord::decode(&record.encode()).is_err(),
            "{skip} and {take} more"
        );
    }
    for record in [
        LogRecord::Write(i64::MAX as u64, vec![1]),
        LogRecord::Zero(u64::MAX, 1),
        LogRecord::Truncate(1 << 63),
    ] {
        assert!(LogRecord::decode(&record.encode()).is_err(), "{record:?}");
    }
    let (_, large) = versions().swap_remove(2);
    let too_large = Version {
        size: 1 << 63,
        ..large
    };
    assert!(Version::decode(&too_large.encode()).is_err());
    let versions: HashMap<_, _> = versions().into_iter().collect();
    // Only a file's text can be a change, only bytes that are text can begin one.
    for (name, change) in [
        ("change", None),
        (
            "change",
            Some(Body::Change {
                serial: None,
                bytes: Vec::new(),
            }),
        ),
        (
            "older",
            Some(Body::Change {
                serial: Some(1),
                bytes: Vec::new(),
            }),
        ),
        ("same", None),
        ("inline", Some(Body::Inline(b"a n\xffte".to_vec()))),
    ] {
        let mut version = versions[name].clone();
        match change {
            Some(body) => version.body = body,
            None => version.form = Form::Blob,
        }
        assert!(Version::decode(&version.encode()).is_err(), "{name}");
    }
    for name in ["change", "same", "inline"] {
        let mut link = versions[name].clone();
        link.kind = Kind::Symlink;
        assert!(Version::decode(&link.encode()).is_err(), "{name} of a link");
    }
    let mut empty = versions["inline"].clone();
    (empty.size, empty.body) = (0, Body::Inline(Vec::new()));
    assert!(
        Version::decode(&empty.encode()).is_err(),
        "an empty file is no text"
    );
    // Longer than any event, and shorter than anything sealed.
    let (_, event) = events().swap_remove(0);
    for (len, is_lawful) in [
        (39, false),
        (40, true),
        (EVENT_MAX - 20 - 72, true),
        (EVENT_MAX, false),
    ] {
        let mut event = event.clone();
        event.head.sealed = Digest::of(&vec![0; len]);
        event.sealed = Some(vec![0; len]);
        assert_eq!(testing::events(&joined([&event]).0).is_some(), is_lawful, "{len}");
        event.sealed = None;
        assert_eq!(testing::events(&joined([&event]).0).is_some(), is_lawful, "{len}");
    }
    // Holes that touch, that are empty, or that no number reaches.
    let (_, with_holes) = batch_with_holes();
    for (offset, len) in [
        (0, 0),
        (u32::MAX, 1),
        (0, 500),
        (with_holes.holes[0].offset + with_holes.holes[0].len, 1),
    ] {
        let mut row = with_holes.clone();
        row.holes[1] = Hole { offset, len };
        assert!(
            BatchRow::decode(&row.encode()).is_err(),
            "{offset} and {len} more"
        );
    }
}

/// Xattrs have one encoding: those out of order or twice would be another's.
#[test]
fn xattrs_ascend() {
    let (_, record) = inodes().swap_remove(3);
    let bytes = record.encode();
    let find = |name: &[u8]| bytes.windows(name.len()).position(|w| w == name).unwrap();
    let (a, b) = (find(b"user.a") + 5, find(b"user.b") + 5);
    for (first, second) in [(b'b', b'a'), (b'a', b'a'), (b'b', b'b')] {
        let mut copy = bytes.clone();
        (copy[a], copy[b]) = (first, second);
        assert!(InodeRecord::decode(&copy).is_err());
    }
    assert_eq!(InodeRecord::decode(&bytes), Ok(record));
}

/// A batch that was altered anywhere, in its row or its bytes, is not believed.
#[test]
fn an_altered_batch_does_not_verify() {
    altered(batch());
    altered(batch_with_holes());
}

/// Guards the row's holes: they are those that the batch has, and no others.
#[test]
fn holes_are_where_the_row_says() {
    let (bytes, row) = batch_with_holes();
    let refused = |row: BatchRow| {
        Unverified {
            row: &row,
            bytes: &bytes,
        }
        .verify(&device_public())
        .is_err()
    };
    assert!(!refused(row.clone()));
    assert!(refused(BatchRow {
        holes: vec![],
        ..row.clone()
    }));
    assert!(refused(BatchRow {
        holes: row.holes[1..].to_vec(),
        ..row.clone()
    }));
    let (whole, full) = batch();
    assert!(
        Unverified {
            row: &BatchRow {
                holes: row.holes,
                ..full
            },
            bytes: &whole
        }
        .verify(&device_public())
        .is_err()
    );
}

fn altered((bytes, row): (Vec<u8>, BatchRow)) {
    let public = device_public();
    let verify = |row: &BatchRow, bytes: &[u8]| Unverified { row, bytes }.verify(&public);
    assert_eq!(verify(&row, &bytes).unwrap().len(), 5);
    for at in 0..bytes.len() {
        let mut copy = bytes.clone();
        copy[at] ^= 1 << (at % 8);
        assert!(verify(&row, &copy).is_err(), "byte {at}");
        assert!(verify(&row, &bytes[..at]).is_err(), "cut at {at}");
    }
    assert!(verify(&row, &[&bytes[..], &[0]].concat()).is_err());
    let encoded = row.encode();
    // From the chain's id on: the place is not signed, it is this store's alone.
    let chain = encoded.windows(16).position(|bytes| bytes == row.chain.0);
    for at in chain.unwrap()..encoded.len() {
        let mut copy = encoded.clone();
        copy[at] ^= 1 << (at % 8);
        if let Ok(row) = BatchRow::decode(&copy) {
            assert!(verify(&row, &bytes).is_err(), "row's byte {at}");
        }
    }
    // A member signs an event whose number has no next.
    let (_, mut event) = events().swap_remove(0);
    event.head.at.seq = u64::MAX;
    let header = BatchHeader {
        first: u64::MAX,
        ..header()
    };
    let mut one = BatchWriter::new(header);
    one.push(&event);
    let (head, chain) = (one.head(), row.chain);
    let signed = BatchRow::signed(chain, u64::MAX, &head);
    let last = BatchRow {
        first: u64::MAX,
        count: 1,
        head,
        signature: device().sign(labels::SIGN_HEAD, &signed),
        ..row.clone()
    };
    assert_eq!(
        verify(&last, one.bytes()),
        Err(VerifyError::Malformed(UNCOUNTABLE))
    );
    // A row that says another place than the batch; a batch that says another than was signed.
    let later = BatchRow {
        first: row.first + 1,
        count: row.count - 1,
        ..row.clone()
    };
    assert_eq!(verify(&later, &bytes), Err(VerifyError::Elsewhere));
    for at in [HEADER - 2, HEADER - 1] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        assert_eq!(verify(&row, &other), Err(VerifyError::Altered));
    }
    // Events in another order, each whole.
    let swapped = [&bytes[..HEADER], &bytes[SECOND..], &bytes[HEADER..SECOND]].concat();
    if row.holes.is_empty() {
        assert_eq!(verify(&row, &swapped), Err(VerifyError::Altered));
    }
}

/// Guards the one form of each event in a batch: what it could be coded as besides is refused.
#[test]
fn events_have_one_form() {
    let whole = frozen("events/whole");
    let lawful = |bytes: &[u8]| testing::events(bytes).is_some();
    assert!(lawful(&whole));
    assert!(!lawful(&whole[..HEADER]), "a batch without events");
    let with = |at: usize, remove: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy.splice(at..at + remove, bytes.iter().copied());
        copy
    };
    // The second event: length, flags, Lamport time, subject, generation, how many it replaces;
    // the first of its own chain, the other of one that it names.
    let list = SECOND + 1 + 1 + 1 + 16 + 1;
    assert_eq!(whole[SECOND..SECOND + 3], [83, 0x12, 0]);
    assert_eq!(whole[list..list + 4], [2, 0, 1, 1]);
    assert_eq!(whole[list + 4..list + 20], up::<16>(0xd0));
    // Each of these would be the same event, or one like it, in another form: with the length that fits.
    let longer = |more: i8, at: usize, remove: usize, bytes: &[u8]| {
        let mut copy = with(at, remove, bytes);
        copy[SECOND] = copy[SECOND].wrapping_add_signed(more);
        copy
    };
    let own = [&[1][..], &at(1).chain.0].concat();
    let cases = [
        ("a longer number", longer(1, list, 1, &[0x82, 0])),
        ("a longer time", longer(1, SECOND + 2, 1, &[0x80, 0])),
        ("a longer difference", longer(1, list + 2, 1, &[0x81, 0])),
        ("its own chain by name", longer(16, list + 1, 1, &own)),
        ("a chain that nobody named", longer(-16, list + 3, 17, &[2])),
        ("no kind", with(SECOND + 1, 1, &[0x10])),
        ("no kind, and a flag", with(SECOND + 1, 1, &[0xd0])),
        ("a key that a kind to come has not", with(SECOND + 1, 1, &[0x39])),
        ("a key that a version has not", with(SECOND + 1, 1, &[0x32])),
        ("a payload that is not there", with(SECOND + 1, 1, &[0x02])),
        ("a number that none has", with(33, 1, &[0])),
    ];
    for (what, bytes) in cases {
        assert!(!lawful(&bytes), "{what}");
    }
    // Kinds that are to come, and flags of the kind, have this form too, and are hashed with it.
    let again = testing::format("events");
    let hashes = |bytes: &[u8]| -> Vec<[u8; 32]> {
        let (_, events) = testing::events(bytes).unwrap();
        events.iter().map(|(event, _)| event.hash()).collect()
    };
    for byte in [0x19, 0x1d, 0x52, 0x92, 0xd2, 0x59, 0xd9] {
        let bytes = with(SECOND + 1, 1, &[byte]);
        assert!(lawful(&bytes), "kind {byte:02x}");
        assert_eq!(again(&bytes), Some(bytes.clone()), "kind {byte:02x}");
        assert_eq!(hashes(&bytes)[0], hashes(&whole)[0]);
        assert_ne!(hashes(&bytes)[1], hashes(&whole)[1]);
        let (_, events) = testing::events(&bytes).unwrap();
        assert_eq!(events[1].0.head.kind, EventKind::Other(byte & !0x10));
    }
    // A version replaces something: this one alone is without.
    let mut version = events().swap_remove(1).1;
    version.head.at = at(1);
    version.head.prev = [0; 32];
    version.head.lamport -= 1;
    assert!(lawful(&joined([&version]).0));
    version.head.replaces.clear();
    assert!(!lawful(&joined([&version]).0));
    // The same events, all of them: the batch begins a moment later, and each event is that much before it.
    let first = [&whole[..HEADER], &whole[HEADER..SECOND]].concat();
    let mut later = first.clone();
    (later[HEADER - 1], later[HEADER + 3]) = (first[HEADER - 1] + 1, 1);
    assert_eq!((first[HEADER - 1], first[HEADER + 3]), (100, 0));
    assert!(lawful(&first) && !lawful(&later));
    // A chain that is named a second time in one list as if it were the first.
    let other = |seq| EventRef {
        chain: ChainId(up(0xd0)),
        seq,
    };
    let (mut third, two) = (events().swap_remove(2).1, events());
    third.head.replaces = vec![other(7), other(8)];
    let (again, _) = joined([&two[0].1, &two[1].1, &third]);
    let tail = again.len() - 43 - 2;
    assert_eq!(
        again[tail - 1..tail + 2],
        [7, 2, 8],
        "the second one of the chain that the list has named, whatever lists before it named"
    );
    let mut named = again.clone();
    named.splice(tail..tail + 1, [&[1][..], &up::<16>(0xd0)].concat());
    let length = tail - 1 - 18 - 20;
    named[length] += 16;
    assert_eq!(again[length] as usize, again.len() - length - 1);
    assert!(lawful(&again) && !lawful(&named));
    // More of them than numbers are left for.
    let last = BatchHeader {
        first: u64::MAX,
        ..header()
    };
    let full = [&last.encode()[..], &whole[HEADER..SECOND]].concat();
    assert!(lawful(&full));
    assert!(!lawful(&[&full[..], &whole[HEADER..SECOND]].concat()));
}

/// Guards the refusal of vaults of earlier trials, whose records look alike and say something else: by the
/// header's version, before a password is asked for; and by the key file's, where the database is lost.
#[test]
fn earlier_trials_are_refused() {
    let header = frozen("header/recovery");
    assert_eq!(header[8..10], [6, 0]);
    for version in 0..6 {
        let mut earlier = header.clone();
        earlier[8] = version;
        let refused = HeaderError::Earlier(version.into());
        assert_eq!(Header::decode(&earlier), Err(refused));
    }
    let file = frozen("keyfile/file");
    assert_eq!(&file[..8], b"COFFERK6");
    let mut earlier = file.clone();
    earlier[7] = b'0';
    let again = testing::format("keyfile");
    assert!(again(&file).is_some() && again(&earlier).is_none());
    // Nor is a header of an earlier trial taken in a file of this one.
    let at = file.windows(10).position(|bytes| bytes == &header[..10]).unwrap();
    let mut earlier = file.clone();
    earlier[at + 8] = 0;
    assert!(again(&earlier).is_none());
}
