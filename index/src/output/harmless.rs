//! Text that a terminal can be shown, and how wide it is there.
//!
//! Guarantees: what comes out drives no terminal and turns no line around, whatever went in: line ends are `⏎`, tabs `⇥`, other
//! control characters their number (`\u{1b}`). What is cut is cut between what people take for letters (UAX #29), and what
//! is one letter is bounded in bytes.

use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A letter with more marks than this is none of any script.
const LETTER_MAX: usize = 64;

/// Whether it drives a terminal, turns text around, or is there without being seen. What emoji and scripts are joined
/// by (U+200C, U+200D) is none of that.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// Text of several lines, without harm.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let stays = |c: char| !is_harmful(c) || matches!(c, '\n' | '\t');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match stays(c) {
            true => out.push(c),
            false => number(c, &mut out),
        }
    }
    out.into()
}

fn number(c: char, out: &mut String) {
    // Into memory, this cannot fail.
    let _ = write!(out, "{}", c.escape_unicode());
}

/// A piece of text in one line, and its width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub text: String,
    pub width: usize,
}

/// The text in one line of at most so many columns, with `…` at its end if it is cut. Looks no further than that.
pub(super) fn fit(text: &str, most: usize) -> Piece {
    let mut piece = Piece::default();
    // Where it would be cut, so that `…` has room.
    let mut cut = (0, 0);
    let mut shown = String::new();
    for letter in text.graphemes(true) {
        shown.clear();
        // All that stands for one line end is one cluster.
        match letter {
            "\n" | "\r\n" => shown.push('⏎'),
            "\t" => shown.push('⇥'),
            letter => {
                let end = letter.floor_char_boundary(LETTER_MAX);
                for c in letter[..end].chars() {
                    match is_harmful(c) {
                        true => number(c, &mut shown),
                        false => shown.push(c),
                    }
                }
                if end < letter.len() {
                    shown.push('\u{fffd}');
                }
            }
        }
        let width = shown.width();
        if piece.width + width > most {
            piece.text.truncate(cut.0);
            piece.width = cut.1;
            if most > 0 {
                piece.text.push('…');
                piece.width += 1;
            }
            return piece;
        }
        piece.text.push_str(&shown);
        piece.width += width;
        if piece.width < most {
            cut = (piece.text.len(), piece.width);
        }
    }
    piece
}

/// 1,204.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the terminal against what stands in a file, and readers against text that runs backwards.
    #[test]
    fn nothing_drives_the_terminal() {
        let fit = |text| fit(text, 1000).text;
        assert_eq!(fit("a\nb\r\nc\rd\te"), r"a⏎b⏎c\u{d}d⇥e");
        assert_eq!(
            fit("\x1b[2J\x07\u{9b}x\x7f\0"),
            r"\u{1b}[2J\u{7}\u{9b}x\u{7f}\u{0}"
        );
        assert_eq!(
            fit("a\u{202e}b\u{2066}c\u{200f}\u{feff}"),
            r"a\u{202e}b\u{2066}c\u{200f}\u{feff}"
        );
        assert_eq!(visible("a\tb\n\x1b"), "a\tb\n\\u{1b}");
    }

    /// Guards widths, and that no letter is cut in two.
    #[test]
    fn letters_are_cut_whole() {
        for (text, most, shown, width) in [
            ("abc", 3, "abc", 3),
            ("abcd", 3, "ab…", 3),
            ("日本語", 6, "日本語", 6),
            ("日本語", 5, "日本…", 5),
            ("日本語", 4, "日…", 3),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…", 2),
            ("👩‍👩‍👧x👩‍👩‍👧", 4, "👩‍👩‍👧x…", 4),
            ("🇩🇪🇫🇷", 3, "🇩🇪…", 3),
            ("ab", 1, "…", 1),
            ("ab", 0, "", 0),
            ("", 5, "", 0),
        ] {
            let text = text.to_owned();
            let piece = Piece {
                text: shown.to_owned(),
                width,
            };
            assert_eq!(fit(&text, most), piece, "{text:?} in {most}");
        }
    }

    /// Guards memory: one letter may have a million marks, which take no room on the line.
    #[test]
    fn a_letter_is_bounded() {
        let piece = fit(&format!("e{}", "\u{301}".repeat(1_000_000)), 80);
        assert!(piece.text.len() < 2 * LETTER_MAX, "{}", piece.text.len());
        let piece = fit(&"e\u{301}".repeat(1_000_000), 80);
        assert_eq!(piece.width, 80);
        assert!(piece.text.len() < 300);
    }
}
