//! Which version an editor had before it: of those that it may have been shown, the one nearest
//! to what it saved.
//!
//! The distance is what a save from that version would come to: bytes deleted and inserted. The
//! newest wins among equals. Bounded: each candidate is first judged by its lines, at the speed
//! of memory; the exact distance is found for the likeliest, as many as fit into 4 MiB of
//! differing text, three at least. It never chooses what is not among the candidates.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::diff;

/// Differing bytes that are compared word by word, for all candidates together.
const EXACT_BYTES: usize = 4 << 20;
/// Candidates whose exact distance is found in any case.
const EXACT_MIN: usize = 3;

/// The place of the candidate nearest to `new`, among candidates from the oldest to the newest;
/// none only if there are none.
pub fn nearest(candidates: &[&str], new: &str) -> Option<usize> {
    let lines = Lines::of(new);
    let mut likely: Vec<_> = candidates
        .iter()
        .enumerate()
        .map(|(place, candidate)| (lines.estimate(candidate), place))
        .collect();
    // Newest first among equals, here and below.
    likely.sort_by_key(|(estimate, place)| (*estimate, usize::MAX - place));

    let mut best: Option<(usize, usize)> = None;
    let mut spent = 0;
    for (tried, (estimate, place)) in likely.into_iter().enumerate() {
        if tried >= EXACT_MIN && spent + estimate.0 > EXACT_BYTES {
            break;
        }
        spent += estimate.0;
        let hunks = diff::hunks(candidates[place], new);
        let distance = hunks.iter().map(diff::Hunk::cost).sum();
        if best.is_none_or(|(least, newest)| distance < least || (distance == least && place > newest)) {
            best = Some((distance, place));
        }
        if distance == 0 {
            // Nothing is nearer; the newest with this estimate came first.
            break;
        }
    }
    best.map(|(_, place)| place)
}

/// Bytes of lines that only one of two texts has. Few as this is, a word changed in a long line
/// counts as the whole line: it orders candidates, it does not decide between near ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Estimate(usize);

/// How often a text has each line.
struct Lines {
    counts: HashMap<u64, i64>,
    bytes: usize,
}

impl Lines {
    fn of(text: &str) -> Lines {
        let mut counts = HashMap::new();
        for line in text.split_inclusive('\n') {
            *counts.entry(hash(line)).or_default() += 1;
        }
        let bytes = text.len();
        Lines { counts, bytes }
    }

    fn estimate(&self, other: &str) -> Estimate {
        let mut seen: HashMap<u64, i64> = HashMap::new();
        let mut shared = 0;
        for line in other.split_inclusive('\n') {
            let name = hash(line);
            let used = seen.entry(name).or_default();
            if self.counts.get(&name).is_some_and(|count| *used < *count) {
                *used += 1;
                shared += line.len();
            }
        }
        Estimate(self.bytes + other.len() - 2 * shared)
    }
}

/// Of one process only: fixed keys, because two lines that collide cost an estimate, no text.
fn hash(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}
