//! What differs between two texts: the words that changed, and the lines that they stand in.
//!
//! Guarantees: between groups the texts are the same, line by line, so that a group's lines
//! replaced by its other lines make the new text of the old. Pure.

use crate::engine;
use serde::Serialize;
use std::ops::Range;

/// What was replaced by what, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// Changed lines in a row: whole lines, in bytes, and the pieces in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
    pub(super) pieces: Vec<Piece>,
}

/// How much changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Stat {
    pub(super) lines_added: u64,
    pub(super) lines_removed: u64,
    pub(super) words_added: u64,
    pub(super) words_removed: u64,
}

/// The changed lines of two texts.
pub(super) fn groups(old: &str, new: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for piece in by_line_ends(old, new) {
        let (a, b) = (widened(old, &piece.old), widened(new, &piece.new));
        // Lines that are removed or come whole stay so; else both sides take their whole lines.
        let starts = at_line(old, piece.old.start) && at_line(new, piece.new.start);
        let ends = starts && at_line(old, piece.old.end) && at_line(new, piece.new.end);
        let (mut a, mut b) = match ends {
            true => (piece.old.clone(), piece.new.clone()),
            false => (a, b),
        };
        if let Some(last) = groups.last_mut()
            && (a.start < last.old.end || b.start < last.new.end)
        {
            // The end of a line that the one before began with.
            (a.start, b.start) = (last.old.start, last.new.start);
            (last.old, last.new) = (a.start..a.end.max(last.old.end), b.start..b.end.max(last.new.end));
            last.pieces.push(piece);
            continue;
        }
        (a.end, b.end) = (a.end.max(piece.old.end), b.end.max(piece.new.end));
        groups.push(Group {
            old: a,
            new: b,
            pieces: vec![piece],
        });
    }
    groups
}

/// The pieces, where lines that came or went behind a changed word are set apart from it: not
/// “October” became “November.⏎And tulips”, but “October” became “November”, and a line came.
///
/// A text is the same in both ways: what stands behind the piece to the end of its line, stands at
/// the end of the piece's first line, too.
fn by_line_ends(old: &str, new: &str) -> Vec<Piece> {
    let raw = engine::changed_pieces(old, new);
    let next = raw.iter().skip(1).map(|(old, _)| old.start).chain([old.len()]);
    let mut pieces = Vec::with_capacity(raw.len());
    for ((a, b), next) in raw.iter().cloned().zip(next) {
        let same = &old[a.end..next];
        let rest = same.find('\n').map_or("", |end| &same[..=end]);
        let first = |text: &str| {
            let line = text
                .split_inclusive('\n')
                .next()
                .filter(|line| line.ends_with('\n'))?;
            (!rest.is_empty() && line.ends_with(rest)).then(|| line.len() - rest.len())
        };
        let (went, came) = (&old[a.clone()], &new[b.clone()]);
        let len = rest.len();
        match (first(went), first(came)) {
            (None, Some(at)) => {
                let line = a.end + len;
                put(&mut pieces, a, b.start..b.start + at);
                put(&mut pieces, line..line, b.start + at + len..b.end + len);
            }
            (Some(at), None) => {
                let line = b.end + len;
                put(&mut pieces, a.start..a.start + at, b);
                put(&mut pieces, a.start + at + len..a.end + len, line..line);
            }
            _ => put(&mut pieces, a, b),
        }
    }
    pieces
}

fn put(pieces: &mut Vec<Piece>, old: Range<usize>, new: Range<usize>) {
    if !old.is_empty() || !new.is_empty() {
        pieces.push(Piece { old, new });
    }
}

/// From the start of the first line to the end of the last.
fn widened(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[range.end..]
        .find('\n')
        .map_or(text.len(), |at| range.end + at + 1);
    start..end
}

/// Whether a line begins there, or the text ends behind a line's end.
fn at_line(text: &str, at: usize) -> bool {
    at == 0 || text.as_bytes()[at - 1] == b'\n'
}

/// Counts what came and went.
pub(super) fn stat(old: &str, new: &str, groups: &[Group]) -> Stat {
    let lines = |text: &str| text.lines().count() as u64;
    let words = |text: &str| text.split_whitespace().count() as u64;
    let mut stat = Stat::default();
    for group in groups {
        stat.lines_removed += lines(&old[group.old.clone()]);
        stat.lines_added += lines(&new[group.new.clone()]);
        for piece in &group.pieces {
            stat.words_removed += words(&old[piece.old.clone()]);
            stat.words_added += words(&new[piece.new.clone()]);
        }
    }
    stat
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(old: &str, new: &str) -> String {
        let (mut text, mut seen) = (String::new(), 0);
        let mut last = 0;
        for group in groups(old, new) {
            assert_eq!(
                &old[seen..group.old.start],
                &new[last..group.new.start],
                "{old:?} {new:?}"
            );
            assert!(at_line(old, group.old.start) && at_line(new, group.new.start));
            let whole = |text: &str, end| at_line(text, end) || end == text.len();
            assert!(whole(old, group.old.end) && whole(new, group.new.end));
            text.push_str(&old[seen..group.old.start]);
            let mut at = group.old.start;
            for piece in &group.pieces {
                text.push_str(&old[at..piece.old.start]);
                assert_eq!(text.len(), piece.new.start, "{old:?} {new:?}");
                text.push_str(&new[piece.new.clone()]);
                at = piece.old.end;
            }
            text.push_str(&old[at..group.old.end]);
            (seen, last) = (group.old.end, group.new.end);
        }
        assert_eq!(&old[seen..], &new[last..], "{old:?} {new:?}");
        text + &old[seen..]
    }

    /// Guards the promise, over all texts of a few lines: changed lines put in the old ones' place
    /// make the new text, and groups are whole lines on both sides.
    #[test]
    fn groups_make_the_new_text() {
        let lines = ["", "a\n", "b\n", "a b\n", "b c\n", "\n", "a", "b c"];
        let mut texts = Vec::new();
        for x in lines {
            for y in lines {
                for z in ["", "a\n", "b c\n", "c"] {
                    texts.push(format!("{x}{y}{z}"));
                }
            }
        }
        for old in &texts {
            for new in &texts {
                assert_eq!(&applied(old, new), new, "{old:?}");
            }
        }
    }

    /// Guards counts: a word in a line is a line changed and a word changed.
    #[test]
    fn changes_are_counted() {
        let (old, new) = ("one two three\nfour\n", "one zwei three\nfour\nfive six\n");
        let stat = stat(old, new, &groups(old, new));
        assert_eq!(
            (
                stat.lines_added,
                stat.lines_removed,
                stat.words_added,
                stat.words_removed
            ),
            (2, 1, 3, 1)
        );
        assert_eq!(groups("same\n", "same\n"), []);
    }
}
