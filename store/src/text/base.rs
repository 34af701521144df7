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
use std::ops::Range;

use super::diff;

/// Differing bytes that are compared word by word, for all candidates together.
const EXACT_BYTES: usize = 4 << 20;
/// Candidates whose exact distance is found in any case.
const EXACT_MIN: usize = 3;
/// How many times worse a version must fit that an editor was shown, to be given up for one that it
/// was not known to be shown.
const PLAINLY: usize = 8;

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

/// A version that an editor may have had.
#[derive(Clone, Copy, Debug)]
pub struct Had<'a> {
    /// Its text.
    pub text: &'a str,
    /// The editor was certainly shown it; of others that is only possible.
    pub shown: bool,
}

/// The place of the version that an editor had which saved `new`, among those that it may have had,
/// from the oldest to the newest; none only if there are none. `now` is the newest text, with
/// everybody's words.
///
/// What `new` is exactly decides, then what is [`nearest`] of those that the editor was shown, or the
/// newest of these where the nearest would plainly double or lose what is there now. That one is given up for one that it was not known to be shown only if `new` says so plainly: by words
/// that only the other has and it did not come by otherwise, or by lacking what only the first has.
/// So that nobody's words go for a chance likeness.
pub fn likeliest(candidates: &[Had<'_>], now: &str, new: &str) -> Option<usize> {
    let of = |shown: bool| -> Vec<usize> {
        let places = candidates.iter().enumerate();
        let places = places.filter(|(_, one)| one.shown == shown);
        places.map(|(place, _)| place).collect()
    };
    let (shown, others) = (of(true), of(false));
    let exact = shown.iter().rev().chain(others.iter().rev());
    if let Some(place) = exact.copied().find(|place| candidates[*place].text == new) {
        return Some(place);
    }
    let best = |places: &[usize]| {
        let texts: Vec<&str> = places.iter().map(|place| candidates[*place].text).collect();
        nearest(&texts, new).map(|place| places[place])
    };
    let (near, other) = (best(&shown), best(&others));
    let shown = match (near, shown.last()) {
        (Some(near), Some(newest)) => Some(nearest_or_newest(candidates, (near, *newest), now, new)),
        _ => near,
    };
    let (Some(shown), Some(other)) = (shown, other) else {
        return shown.or(other);
    };
    let (one, two) = (candidates[shown].text, candidates[other].text);
    // What would be lost or there twice, were it made from the one though the other was had. What is
    // gone by now anyway cannot be lost.
    let (of_one, of_two) = (alone(two, one, new), alone(one, two, new));
    let wrong = within(&of_one.lacks, one, now) + of_two.has.len();
    let other_wrong = of_two.lacks.len() + of_one.has.len();
    Some(if other_wrong * PLAINLY < wrong {
        other
    } else {
        shown
    })
}

/// Of two versions that an editor was certainly shown, the nearer one, unless by that far more of the words
/// that are there now would be lost or doubled, had it the newer one, than the other way round.
fn nearest_or_newest(candidates: &[Had<'_>], (near, newest): (usize, usize), now: &str, new: &str) -> usize {
    if near == newest {
        return near;
    }
    let (one, two) = (candidates[near].text, candidates[newest].text);
    let (of_one, of_two) = (alone(two, one, new), alone(one, two, new));
    let wrong = within(&of_one.lacks, one, now) + within(&of_two.has, two, now);
    let newest_wrong = within(&of_two.lacks, two, now) + within(&of_one.has, one, now);
    match newest_wrong * PLAINLY < wrong {
        true => newest,
        false => near,
    }
}

/// How many of these bytes of a text are there now.
fn within(at: &[usize], text: &str, now: &str) -> usize {
    let gone = removed(text, now);
    at.iter().filter(|at| !is_within(&gone, **at)).count()
}

/// What became of the bytes that only one of two versions has; white space does not count.
struct Alone {
    /// Where those are that are in the new text.
    has: Vec<usize>,
    /// Where those are that are not.
    lacks: Vec<usize>,
}

/// The same of `text`, beside another.
fn alone(other: &str, text: &str, new: &str) -> Alone {
    let lacking = removed(text, new);
    let mut alone = Alone {
        has: Vec::new(),
        lacks: Vec::new(),
    };
    for hunk in diff::hunks(other, text) {
        for at in hunk.new.filter(|at| !text.as_bytes()[*at].is_ascii_whitespace()) {
            match is_within(&lacking, at) {
                true => alone.lacks.push(at),
                false => alone.has.push(at),
            }
        }
    }
    alone
}

/// The bytes of one text that another has not, ascending.
fn removed(text: &str, new: &str) -> Vec<Range<usize>> {
    let hunks = diff::hunks(text, new).into_iter();
    hunks.map(|hunk| hunk.old).filter(|old| !old.is_empty()).collect()
}

fn is_within(ranges: &[Range<usize>], at: usize) -> bool {
    let place = ranges.partition_point(|range| range.end <= at);
    ranges.get(place).is_some_and(|range| range.contains(&at))
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
