//! Guards chunks: same bytes, same sealed bytes; any run of whole segments opens alone;
//! nothing opens out of its place.

use coffer_store::keys::*;

const WHOLE: usize = SEGMENT + TAG;
/// Around every boundary that segments have.
const LENGTHS: [usize; 10] = [
    0,
    1,
    SEGMENT - 1,
    SEGMENT,
    SEGMENT + 1,
    2 * SEGMENT,
    2 * SEGMENT + 1,
    5 * SEGMENT - 1,
    5 * SEGMENT,
    300_000,
];

fn keys(a: u8, b: u8) -> ChunkKeys {
    ChunkKeys::new(Key::take(&mut [a; 32]), Key::take(&mut [b; 32]))
}

fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251 + i / SEGMENT) as u8).collect()
}

fn sealed(keys: &ChunkKeys, kind: u8, plain: &[u8]) -> (ChunkId, Vec<u8>) {
    let (id, mut out) = (keys.id(kind, plain), Vec::new());
    keys.seal(kind, &id, plain, &mut out);
    (id, out)
}

#[test]
fn what_is_sealed_opens_at_every_length() {
    let keys = keys(1, 2);
    for len in LENGTHS {
        let plain = plain(len);
        let (id, bytes) = sealed(&keys, 1, &plain);
        assert_eq!(bytes.len(), ChunkKeys::sealed_len(len));
        assert_eq!(bytes.len(), len + TAG * len.div_ceil(SEGMENT).max(1));
        assert_eq!(keys.open(1, &id, len, &bytes).unwrap(), plain);
    }
}

/// Guards deduplication, and its limits: the space's secrets decide, and the kind.
#[test]
fn the_same_bytes_seal_alike_in_one_space_only() {
    let data = plain(20_000);
    let (id, bytes) = sealed(&keys(1, 2), 1, &data);
    assert_eq!(
        (id, &bytes),
        (keys(1, 2).id(1, &data), &sealed(&keys(1, 2), 1, &data).1)
    );
    assert_ne!(id, keys(3, 2).id(1, &data), "another id secret, another name");
    assert_eq!(id, keys(1, 3).id(1, &data));
    assert_ne!(id, keys(1, 2).id(2, &data), "another kind, another name");
    for (other, kind) in [(keys(1, 3), 1), (keys(3, 2), 1), (keys(1, 2), 2)] {
        let (other_id, other_bytes) = sealed(&other, kind, &data);
        // No segment in common: not even the first 16 bytes of any.
        for segment in bytes.chunks(WHOLE) {
            assert!(!other_bytes.windows(16).any(|w| w == &segment[..16]));
        }
        assert!(other.open(1, &id, data.len(), &bytes).is_err() || kind == 2);
        assert!(keys(1, 2).open(1, &other_id, data.len(), &other_bytes).is_err());
    }
    assert_ne!(keys(1, 2).gear_key().expose(), keys(3, 2).gear_key().expose());
}

#[test]
fn any_run_of_segments_opens_alone() {
    let keys = keys(1, 2);
    for len in LENGTHS {
        let plain = plain(len);
        let (id, bytes) = sealed(&keys, 1, &plain);
        let count = len.div_ceil(SEGMENT).max(1);
        for first in 0..count {
            for end in [first + 1, (first + 2).min(count), count] {
                let mut run = bytes[first * WHOLE..bytes.len().min(end * WHOLE)].to_vec();
                keys.open_segments(1, &id, len, first, &mut run).unwrap();
                for (i, segment) in run.chunks(WHOLE).enumerate() {
                    let at = (first + i) * SEGMENT;
                    assert_eq!(segment[..segment.len() - TAG], plain[at..len.min(at + SEGMENT)]);
                }
            }
        }
    }
}

#[test]
fn segments_out_of_place_do_not_open() {
    let keys = keys(1, 2);
    let len = 3 * SEGMENT;
    let (id, bytes) = sealed(&keys, 1, &plain(len));
    let opens = |plain_len: usize, first: usize, part: &[u8]| {
        keys.open_segments(1, &id, plain_len, first, &mut part.to_vec())
            .is_ok()
    };
    assert!(opens(len, 0, &bytes) && opens(len, 1, &bytes[WHOLE..2 * WHOLE]));
    assert!(!opens(len, 1, &bytes[..WHOLE]), "the first as the second");
    assert!(
        !opens(len, 0, &bytes[WHOLE..2 * WHOLE]),
        "the second as the first"
    );
    assert!(
        !opens(len, 0, &[&bytes[WHOLE..2 * WHOLE], &bytes[..WHOLE]].concat()),
        "changed places"
    );
    assert!(
        !opens(2 * SEGMENT, 0, &bytes[..2 * WHOLE]),
        "the end cut off, length and all"
    );
    assert!(!opens(4 * SEGMENT, 0, &bytes), "an end that is not the last");
    assert!(!opens(len - 1, 0, &bytes[..bytes.len() - 1]));
    assert!(!opens(len, 0, &bytes[..WHOLE + 1]), "a part of a segment");
    assert!(!opens(len, 0, &bytes[..TAG]), "less than a segment");
    assert!(!opens(len, 0, &[]), "nothing");
    assert!(!opens(len, 3, &bytes[..WHOLE]), "past the end");
    assert!(!opens(len, usize::MAX, &bytes[..WHOLE]));
    assert!(!opens(usize::MAX, 0, &bytes));
    assert!(!opens(usize::MAX, usize::MAX / SEGMENT, &bytes[..TAG]));
    assert!(
        !opens(len, 2, &[&bytes[2 * WHOLE..], &bytes[2 * WHOLE..]].concat()),
        "the last twice"
    );

    assert!(keys.open(1, &id, len - SEGMENT, &bytes[..2 * WHOLE]).is_err());
    assert!(keys.open(1, &id, usize::MAX, &bytes).is_err());
    assert!(keys.open(2, &id, len, &bytes).is_err(), "another kind");
    assert!(keys.open_segments(2, &id, len, 0, &mut bytes.clone()).is_err());
    let other = ChunkId([0; 32]);
    assert!(keys.open(1, &other, len, &bytes).is_err(), "another id");
    assert!(keys.open_segments(1, &other, len, 0, &mut bytes.clone()).is_err());
}

/// Guards against a member of the space that seals other bytes under a known id.
#[test]
fn a_chunk_is_accepted_only_if_its_id_is_its_hash() {
    let keys = keys(1, 2);
    let id = keys.id(1, b"what was promised");
    let mut forged = Vec::new();
    keys.seal(1, &id, b"what was put here", &mut forged);
    assert_eq!(keys.open(1, &id, 17, &forged), Err(Tampered));
}

#[test]
fn sealing_appends() {
    let keys = keys(1, 2);
    let (id, bytes) = sealed(&keys, 1, b"text");
    let mut out = b"before".to_vec();
    keys.seal(1, &id, b"text", &mut out);
    assert_eq!(out, [b"before", &bytes[..]].concat());
}
