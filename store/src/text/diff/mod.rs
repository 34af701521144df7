//! What an editor did to a text, from the text before and after: few splices, each of whole
//! words.
//!
//! First the lines that begin and end both texts alike are set aside, then the rest is compared
//! line by line, then what changed in it word by word. Words, because where two people change
//! one word, a merge by letters makes a third that neither wrote, and a merge by words shows
//! both; a word that is longer than 64 bytes (a script without spaces, encoded data) is taken
//! by what a reader sees as one character.
//!
//! Guarantees: applied to the old text, the splices give the new one; no splice begins or ends
//! inside a line ending of two characters, a letter with its accents, or an emoji of several
//! parts, of either text. Bounded in time (`align`). No clock: the same texts give the same
//! splices.

mod align;
mod anchors;
mod clusters;
mod shortest;
mod words;

use std::ops::Range;

use align::{Budget, Place, align};

/// Most splices: beyond, the text was converted rather than edited, and is compared by lines,
/// or replaced from its first change to its last.
const SPLICES_MAX: usize = 1 << 15;
/// Changed words with no more than this between them, in bytes, are one change.
const GAP_MAX: usize = 8;

/// One step from an old text to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice<'a> {
    /// Where in the old text, in code points.
    pub at: usize,
    /// How many code points go there.
    pub delete: usize,
    /// What comes there.
    pub insert: &'a str,
}

/// What was replaced by what, in bytes of the old and the new text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

impl Hunk {
    /// How many bytes come and go.
    pub(super) fn cost(&self) -> usize {
        self.old.len() + self.new.len()
    }
}

/// The steps from one text to another, in ascending order, none touching the next; their
/// places are of the old text.
pub fn splices<'a>(old: &str, new: &'a str) -> Vec<Splice<'a>> {
    steps(hunks(old, new), old, new)
}

/// The same as one step, from the first line that differs to the last: as a program might that divides texts
/// otherwise. For tests.
pub(crate) fn one_step<'a>(old: &str, new: &'a str) -> Vec<Splice<'a>> {
    steps(middle(old, new).into_iter().collect(), old, new)
}

fn steps<'a>(hunks: Vec<Hunk>, old: &str, new: &'a str) -> Vec<Splice<'a>> {
    let (mut at, mut seen) = (0, 0);
    let splices = hunks.into_iter().map(|hunk| {
        at += old[seen..hunk.old.start].chars().count();
        let delete = old[hunk.old.clone()].chars().count();
        let splice = Splice {
            at,
            delete,
            insert: &new[hunk.new],
        };
        (at, seen) = (at + delete, hunk.old.end);
        splice
    });
    splices.collect()
}

/// The same in bytes.
pub(super) fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let Some(middle) = middle(old, new) else {
        return Vec::new();
    };
    let mut budget = Budget::default();
    let lines = by_lines(old, new, &middle, &mut budget);
    let mut found: Vec<Hunk> = Vec::new();
    for lines in &lines {
        if lines.old.is_empty() || lines.new.is_empty() {
            found.push(lines.clone());
            continue;
        }
        let words = by_words(old, new, lines, &mut budget);
        found.extend(joined(words, old));
    }
    for choice in [found, lines] {
        let whole = clusters::whole(choice, old, new);
        if whole.len() <= SPLICES_MAX {
            return whole;
        }
    }
    clusters::whole(vec![middle], old, new)
}

/// What is left when the lines that both begin with, and those that both end with, are set
/// aside. None if the texts are the same.
fn middle(old: &str, new: &str) -> Option<Hunk> {
    if old == new {
        return None;
    }
    let (a, b) = (old.as_bytes(), new.as_bytes());
    let most = a.len().min(b.len());
    let same = common(a.iter(), b.iter());
    // Back to behind a line's end, which is the same in both.
    let start = a[..same]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let same = common(a.iter().rev(), b.iter().rev()).min(most - start);
    let tail = &a[a.len() - same..];
    // On to behind a line's end; a tail that begins with a line begins there, too.
    let whole = |end: usize, bytes: &[u8]| end == start || bytes[end - 1] == b'\n';
    let skip = if whole(a.len() - same, a) && whole(b.len() - same, b) {
        0
    } else {
        tail.iter()
            .position(|byte| *byte == b'\n')
            .map_or(same, |at| at + 1)
    };
    let same = same - skip;
    Some(Hunk {
        old: start..a.len() - same,
        new: start..b.len() - same,
    })
}

fn common<'a>(a: impl Iterator<Item = &'a u8>, b: impl Iterator<Item = &'a u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

/// The hunks inside a hunk, line by line.
fn by_lines(old: &str, new: &str, within: &Hunk, budget: &mut Budget) -> Vec<Hunk> {
    let before = Tokens::of(words::lines(&old[within.old.clone()]), within.old.start);
    let after = Tokens::of(words::lines(&new[within.new.clone()]), within.new.start);
    let differing = align(&before.texts, &after.texts, Place::Last, budget).into_iter();
    differing.map(|(a, b)| hunk(&before, &after, a, b)).collect()
}

/// The hunks inside a hunk, word by word: first the words alone, so that no word is given up to
/// keep a space, then all that stands between the words that stay.
fn by_words(old: &str, new: &str, within: &Hunk, budget: &mut Budget) -> Vec<Hunk> {
    let before = Tokens::of(words::words(&old[within.old.clone()]), within.old.start);
    let after = Tokens::of(words::words(&new[within.new.clone()]), within.new.start);
    let (words, others) = (before.words(), after.words());
    let (a, b) = (before.at(&words), after.at(&others));
    let stay = align::kept(&a, &b, budget);
    let mut hunks = Vec::new();
    let mut between = |a: Range<usize>, b: Range<usize>| {
        let (from, to) = (a.start, b.start);
        let differing = align(&before.texts[a], &after.texts[b], Place::First, budget).into_iter();
        hunks.extend(differing.map(|(a, b)| {
            hunk(
                &before,
                &after,
                from + a.start..from + a.end,
                to + b.start..to + b.end,
            )
        }));
    };
    let mut seen = (0, 0);
    for (x, y) in stay {
        let (x, y) = (words[x], others[y]);
        between(seen.0..x, seen.1..y);
        seen = (x + 1, y + 1);
    }
    between(seen.0..before.texts.len(), seen.1..after.texts.len());
    hunks
}

/// A text in pieces, and where each begins, and the last ends.
struct Tokens<'a> {
    texts: Vec<&'a str>,
    starts: Vec<usize>,
}

impl<'a> Tokens<'a> {
    fn of(texts: Vec<&'a str>, start: usize) -> Tokens<'a> {
        let ends = texts.iter().scan(start, |at, text| {
            *at += text.len();
            Some(*at)
        });
        let starts = std::iter::once(start).chain(ends).collect();
        Tokens { texts, starts }
    }

    /// The places of those that are words.
    fn words(&self) -> Vec<usize> {
        let word = |place: &usize| self.texts[*place].contains(char::is_alphanumeric);
        (0..self.texts.len()).filter(word).collect()
    }

    fn at(&self, places: &[usize]) -> Vec<&'a str> {
        places.iter().map(|place| self.texts[*place]).collect()
    }
}

fn hunk(before: &Tokens<'_>, after: &Tokens<'_>, a: Range<usize>, b: Range<usize>) -> Hunk {
    Hunk {
        old: before.starts[a.start]..before.starts[a.end],
        new: after.starts[b.start]..after.starts[b.end],
    }
}

/// Makes one change of neighbours that only a space or a sign stands between: each alone
/// would tear a phrase that was written as one. A word or a line's end keeps them apart, so
/// that nothing is replaced by itself which another may have changed meanwhile.
fn joined(hunks: Vec<Hunk>, old: &str) -> Vec<Hunk> {
    let mut joined: Vec<Hunk> = Vec::with_capacity(hunks.len());
    for hunk in hunks {
        let mut replaces = !hunk.old.is_empty() && !hunk.new.is_empty();
        if let Some(last) = joined.last_mut() {
            replaces &= !last.old.is_empty() && !last.new.is_empty();
            let gap = &old[last.old.end..hunk.old.start];
            if replaces && gap.len() <= GAP_MAX && !gap.contains(|c: char| c.is_alphanumeric() || c == '\n') {
                (last.old.end, last.new.end) = (hunk.old.end, hunk.new.end);
                continue;
            }
        }
        joined.push(hunk);
    }
    joined
}
