//! Changes for people: the changed lines with what went and what came marked in them, and a few
//! lines around. In colour on a terminal, else between brackets: [-went-]{+came+}.

use super::pieces::Group;

/// Lines shown around a change.
const AROUND: usize = 2;
const RED: &str = "\x1b[31;9m";
const GREEN: &str = "\x1b[32;1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// What is said of a stretch of text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Went,
    Came,
}

/// The changes, each under the number of its first line in the new text.
pub(super) fn text(old: &str, new: &str, groups: &[Group], colours: bool) -> String {
    let mut out = String::new();
    let mut shown = 0;
    let mut lines = Lines::default();
    for (i, group) in groups.iter().enumerate() {
        let before = back(new, group.new.start, AROUND).max(shown);
        if before > shown || i == 0 {
            let line = lines.at(new, group.new.start);
            out.push_str(&head(line, colours));
        }
        around(&mut out, &new[before..group.new.start]);
        changed(&mut out, old, new, group, colours);
        let next = groups.get(i + 1).map_or(new.len(), |next| next.new.start);
        let after = forward(new, group.new.end, AROUND).min(next);
        around(&mut out, &new[group.new.end..after]);
        shown = after;
    }
    out
}

fn head(line: usize, colours: bool) -> String {
    match colours {
        true => format!("{DIM}line {line}:{PLAIN}\n"),
        false => format!("line {line}:\n"),
    }
}

/// Counts lines on the way through a text.
#[derive(Default)]
struct Lines {
    at: usize,
    line: usize,
}

impl Lines {
    fn at(&mut self, text: &str, at: usize) -> usize {
        self.line += text[self.at..at].matches('\n').count();
        self.at = at;
        self.line + 1
    }
}

fn around(out: &mut String, text: &str) {
    for line in text.split_inclusive('\n') {
        out.push_str("  ");
        out.push_str(line.trim_end_matches(['\n', '\r']));
        out.push('\n');
    }
}

/// A group's lines as one text, with marks in it.
fn changed(out: &mut String, old: &str, new: &str, group: &Group, colours: bool) {
    let mut line = Line {
        out,
        colours,
        begun: false,
    };
    let (mut seen, mut last) = (group.old.start, group.new.start);
    for piece in &group.pieces {
        line.put(Mark::Same, &new[last..piece.new.start]);
        line.put(Mark::Went, &old[piece.old.clone()]);
        line.put(Mark::Came, &new[piece.new.clone()]);
        (seen, last) = (piece.old.end, piece.new.end);
    }
    debug_assert_eq!(&old[seen..group.old.end], &new[last..group.new.end]);
    line.put(Mark::Same, &new[last..group.new.end]);
    line.end();
}

/// Writes stretches line by line: a mark that goes over a line's end is closed and opened again.
struct Line<'a> {
    out: &'a mut String,
    colours: bool,
    begun: bool,
}

impl Line<'_> {
    fn put(&mut self, mark: Mark, text: &str) {
        for part in text.split_inclusive('\n') {
            let whole = part.ends_with('\n');
            let plain = part.trim_end_matches(['\n', '\r']);
            if !self.begun {
                self.out.push_str("  ");
                self.begun = true;
            }
            // An empty line that came or went is marked, too.
            if mark == Mark::Same || (plain.is_empty() && !whole) {
                self.out.push_str(plain);
            } else {
                let (open, close) = signs(mark, self.colours);
                let plain = match plain.is_empty() && self.colours {
                    true => "¶",
                    false => plain,
                };
                self.out.push_str(&format!("{open}{plain}{close}"));
            }
            if whole {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        if self.begun {
            self.out.push('\n');
            self.begun = false;
        }
    }
}

fn signs(mark: Mark, colours: bool) -> (&'static str, &'static str) {
    match (mark, colours) {
        (Mark::Same, _) => ("", ""),
        (Mark::Went, true) => (RED, PLAIN),
        (Mark::Came, true) => (GREEN, PLAIN),
        (Mark::Went, false) => ("[-", "-]"),
        (Mark::Came, false) => ("{+", "+}"),
    }
}

/// Where so many lines before a line's start begin.
fn back(text: &str, start: usize, lines: usize) -> usize {
    let mut at = start;
    for _ in 0..lines {
        if at == 0 {
            break;
        }
        at = text[..at - 1].rfind('\n').map_or(0, |end| end + 1);
    }
    at
}

/// Where so many lines from a line's start end.
fn forward(text: &str, start: usize, lines: usize) -> usize {
    let mut at = start;
    for _ in 0..lines {
        at = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::pieces::groups;
    use super::*;

    fn shown(old: &str, new: &str) -> String {
        text(old, new, &groups(old, new), false)
    }

    /// Guards what a person sees: words marked within their line, lines around, no more.
    #[test]
    fn words_are_marked_in_their_lines() {
        let old = "1\n2\n3\nPlant the garlic in October.\n5\n6\n7\n8\n9\n10\nend\n";
        let new = "1\n2\n3\nPlant the garlic in November.\n5\n6\n7\n8\n9\nten\nend\nmore\n";
        assert_eq!(
            shown(old, new),
            "line 4:\n  2\n  3\n  Plant the garlic in [-October-]{+November+}.\n  5\n  6\n\
             line 10:\n  8\n  9\n  [-10-]{+ten+}\n  end\n  {+more+}\n"
        );
    }

    /// Guards a line that comes behind a changed one: it is not torn together with it.
    #[test]
    fn a_line_that_came_is_one() {
        assert_eq!(
            shown("in October.\n", "in November.\nAnd tulips.\n"),
            "line 1:\n  in [-October-]{+November+}.\n  {+And tulips.+}\n"
        );
        assert_eq!(
            shown("in November.\nAnd tulips.\nend\n", "in October.\nend\n"),
            "line 1:\n  in [-November-]{+October+}.\n  [-And tulips.-]\n  end\n"
        );
    }

    /// Guards changes over lines, and at a text's edges.
    #[test]
    fn lines_are_marked_one_by_one() {
        assert_eq!(shown("a\nb\nc\n", "a\n"), "line 2:\n  a\n  [-b-]\n  [-c-]\n");
        assert_eq!(shown("", "a\n\nb"), "line 1:\n  {+a+}\n  {++}\n  {+b+}\n");
        let (a, b) = ("x\n", "x\n\n");
        assert!(
            text(a, b, &groups(a, b), true).contains("¶"),
            "an empty line is seen"
        );
    }
}
