//! Guards the cuts: deduplication across files, devices and versions rests on the same
//! bytes being cut alike everywhere, for ever.

use std::collections::BTreeSet;

use coffer_store::chunk::cut::{AVG, Cutter, MAX, MIN, Scan, WINDOW};
use coffer_store::io::sim::SplitMix64;

const KEY: [u8; 32] = [7; 32];

/// Where chunks end, the last, undecided one left out.
fn ends(cutter: &Cutter, data: &[u8]) -> Vec<usize> {
    let mut ends = vec![];
    let mut at = 0;
    while let Some(n) = cutter.cut(&data[at..]) {
        at += n;
        ends.push(at);
    }
    ends
}

/// What the module says in its fewest words: one byte at a time, no state.
fn plain_cut(gear: &[u64; 256], data: &[u8]) -> Option<usize> {
    let mut hash = 0u64;
    for (i, &byte) in data.iter().take(MAX).enumerate() {
        let n = i + 1;
        hash = (hash << 1).wrapping_add(gear[byte as usize]);
        let bits = if n <= MIN + AVG {
            (1 << 20) - 1
        } else {
            ((1 << 16) - 1) << 4
        };
        if n > MIN && (hash >> 43) & bits == 0 || n == MAX {
            return Some(n);
        }
    }
    None
}

fn gear() -> [u64; 256] {
    let mut bytes = [0; 2048];
    blake3::Hasher::new_keyed(&KEY).finalize_xof().fill(&mut bytes);
    std::array::from_fn(|i| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap()))
}

/// Guards what is asked of a chunk's last bytes alone: true of each that the search ends, and of others as seldom as chance has it.
#[test]
fn an_end_is_known_by_the_last_bytes() {
    let data = SplitMix64(4).bytes(24 << 20);
    let cutter = Cutter::new(&KEY);
    let at_end = |from: usize, end: usize| {
        let last = data[end - WINDOW..end].try_into().unwrap();
        cutter.ends(last, end - from)
    };
    let (mut from, mut tried, mut wrong) = (0, 0, 0);
    for end in ends(&cutter, &data) {
        assert!(at_end(from, end), "{from} {end}");
        for no_end in (from + WINDOW..end).step_by(97) {
            tried += 1;
            wrong += usize::from(at_end(from, no_end));
            assert!(no_end - from > MIN || !at_end(from, no_end));
        }
        from = end;
    }
    // Where the search found none before there is none at all.
    assert!(tried > 100_000 && wrong == 0, "{wrong} of {tried}");
    assert!(!cutter.ends(&[0; WINDOW], MAX + 1));
}

/// The unrolled search finds what the definition says.
#[test]
fn as_defined() {
    let data = SplitMix64(3).bytes(24 << 20);
    let (cutter, gear) = (Cutter::new(&KEY), gear());
    let mut at = 0;
    loop {
        let cut = cutter.cut(&data[at..]);
        assert_eq!(cut, plain_cut(&gear, &data[at..]));
        match cut {
            Some(n) => at += n,
            None => break,
        }
    }
    assert!(at > 20 << 20);
}

/// Fed in pieces of any size, even single bytes, the cuts are the same.
#[test]
fn however_it_is_fed() {
    let data = SplitMix64(4).bytes(6 << 20);
    let cutter = Cutter::new(&KEY);
    let want = ends(&cutter, &data);
    assert!(want.len() > 8);
    let mut rng = SplitMix64(5);
    for largest in [3, 64, 5_000, 131_072, 3 << 20] {
        let (mut scan, mut at, mut got) = (Scan::default(), 0, vec![]);
        while at < data.len() {
            let n = (1 + rng.below(largest) as usize).min(data.len() - at);
            let mut piece = &data[at..at + n];
            while let Some(cut) = cutter.scan(&mut scan, piece) {
                assert_eq!(scan, Scan::default(), "stands at a start");
                piece = &piece[cut..];
                got.push(at + n - piece.len());
            }
            at += n;
        }
        assert_eq!(got, want, "pieces up to {largest}");
        assert_eq!(scan.pos(), data.len() - want.last().unwrap());
    }
}

/// Lengths stay within bounds, for random bytes and for those that never match, and
/// random bytes come out near the length aimed at.
#[test]
fn lengths_are_bounded() {
    let cutter = Cutter::new(&KEY);
    let mut rng = SplitMix64(6);
    let random = rng.bytes(64 << 20);
    let text: Vec<u8> = (0..8 << 20)
        .map(|_| b"etaoin shr\n"[rng.below(11) as usize])
        .collect();
    let inputs = [
        &random[..],
        &text,
        &[0; 5 << 20],
        &[0xff; 5 << 20],
        &[b"ab".repeat(3 << 20)].concat(),
    ];
    for data in inputs {
        let ends = ends(&cutter, data);
        assert!(data.len() - ends.last().unwrap() < MAX);
        for (a, b) in [0].iter().chain(&ends).zip(&ends) {
            assert!((MIN + 1..=MAX).contains(&(b - a)), "a chunk of {}", b - a);
        }
    }
    let ends = ends(&cutter, &random);
    let mean = ends.last().unwrap() / ends.len();
    assert!(
        (MIN + AVG * 3 / 4..MIN + AVG * 3 / 2).contains(&mean),
        "mean {mean}"
    );
}

/// An insertion, a removal or a changed byte moves the cuts near it; those behind it are
/// where they were, shifted.
#[test]
fn an_edit_moves_only_cuts_near_it() {
    let cutter = Cutter::new(&KEY);
    let data = SplitMix64(8).bytes(24 << 20);
    let before = ends(&cutter, &data);
    for (at, gone, new) in [
        (5 << 20, 0, 1),
        (9_000_001, 0, 70_000),
        (7 << 20, 333, 0),
        (6 << 20, 1, 1),
    ] {
        let mut edited = data.clone();
        edited.splice(at..at + gone, SplitMix64(99).bytes(new));
        let after = ends(&cutter, &edited);
        let kept_before = before.iter().filter(|&&end| end <= at);
        assert!(
            kept_before.clone().eq(after.iter().take(kept_before.count())),
            "cuts in front moved"
        );
        let shifted: BTreeSet<_> = after.iter().map(|end| end + gone - new).collect();
        let far = before.iter().filter(|&&end| end > at + 4 * MAX);
        let kept = far.clone().filter(|end| shifted.contains(end)).count();
        assert_eq!(kept, far.count(), "cuts far behind the edit at {at} moved");
    }
}

/// Another key cuts elsewhere: lengths tell nothing without it.
#[test]
fn the_key_decides() {
    let data = SplitMix64(9).bytes(16 << 20);
    let [a, b]: [BTreeSet<usize>; 2] =
        [KEY, [8; 32]].map(|key| ends(&Cutter::new(&key), &data).into_iter().collect());
    assert!(a.len() > 20 && a.intersection(&b).count() == 0);
}

/// Frozen: if this fails, every vault would stop finding its old chunks again.
#[test]
fn frozen_cuts() {
    let data = SplitMix64(1).bytes(4 << 20);
    let got = ends(&Cutter::new(&KEY), &data);
    let want = [
        393_615, 696_173, 1_006_470, 1_419_510, 1_606_474, 2_032_731, 2_494_334, 2_995_277, 3_394_181,
        3_623_928, 4_034_485,
    ];
    assert_eq!(got, want);
}
