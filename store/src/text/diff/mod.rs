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
    let (mut at, mut seen) = (0, 0);
    let hunks = hunks(old, new);
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
    let lines = aligned(old, new, &middle, &mut budget, (words::lines, Place::Last));
    let mut found: Vec<Hunk> = Vec::new();
    for lines in &lines {
        if lines.old.is_empty() || lines.new.is_empty() {
            found.push(lines.clone());
            continue;
        }
        let words = aligned(old, new, lines, &mut budget, (words::words, Place::First));
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

/// The hunks inside a hunk, by tokens.
fn aligned<'a>(
    old: &'a str,
    new: &'a str,
    within: &Hunk,
    budget: &mut Budget,
    (tokens, place): (fn(&'a str) -> Vec<&'a str>, Place),
) -> Vec<Hunk> {
    let before = tokens(&old[within.old.clone()]);
    let after = tokens(&new[within.new.clone()]);
    let starts = |tokens: &[&str], start: usize| {
        let ends = tokens.iter().scan(start, |at, token| {
            *at += token.len();
            Some(*at)
        });
        std::iter::once(start).chain(ends).collect::<Vec<_>>()
    };
    let (old_starts, new_starts) = (
        starts(&before, within.old.start),
        starts(&after, within.new.start),
    );
    let hunks = align(&before, &after, place, budget).into_iter();
    let hunks = hunks.map(|(old, new)| Hunk {
        old: old_starts[old.start]..old_starts[old.end],
        new: new_starts[new.start]..new_starts[new.end],
    });
    hunks.collect()
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
