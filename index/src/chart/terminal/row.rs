//! A page of text: rows that never become wider than it, in colours or without.
//!
//! Guarantees: of what is pushed into a row, what does not fit is cut; colours end where they began.

use super::super::text;

/// Which colours a terminal knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// None: everything is told apart by signs.
    #[default]
    None,
    /// The sixteen that people choose themselves.
    Ansi16,
    /// The 256 of xterm.
    Ansi256,
    /// All.
    TrueColor,
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// As the terminal writes.
    Plain,
    /// A heading.
    Bold,
    /// Axes and what is beside the matter.
    Faint,
    /// Of a series.
    Series(usize),
}

const ANSI16: [u8; 7] = [34, 31, 32, 33, 36, 35, 37];
const ANSI256: [u8; 7] = [68, 204, 71, 179, 81, 133, 250];

impl Paint {
    /// What begins it.
    fn begin(self, colour: Colour) -> Option<String> {
        match (self, colour) {
            (_, Colour::None) | (Paint::Plain, _) => None,
            (Paint::Bold, _) => Some("\x1b[1m".into()),
            (Paint::Faint, _) => Some("\x1b[2m".into()),
            (Paint::Series(index), Colour::Ansi16) => Some(format!("\x1b[{}m", ANSI16[index % 7])),
            (Paint::Series(index), Colour::Ansi256) => Some(format!("\x1b[38;5;{}m", ANSI256[index % 7])),
            (Paint::Series(index), Colour::TrueColor) => {
                let [red, green, blue] = super::super::scene::SERIES[index % 7];
                Some(format!("\x1b[38;2;{red};{green};{blue}m"))
            }
        }
    }
}

/// The text so far.
pub(super) struct Page {
    text: String,
    pub(super) width: usize,
    pub(super) colour: Colour,
}

/// The last row of a page.
pub(super) struct Row<'a> {
    page: &'a mut Page,
    left: usize,
    /// Blanks that stand before whatever comes next, if anything does.
    blanks: usize,
}

impl Page {
    pub(super) fn new(width: usize, colour: Colour) -> Page {
        Page {
            text: String::new(),
            width: width.max(1),
            colour,
        }
    }

    /// A new row.
    pub(super) fn row(&mut self) -> Row<'_> {
        let left = self.width;
        Row {
            page: self,
            left,
            blanks: 0,
        }
    }

    /// A sentence, in as many rows as it takes.
    pub(super) fn prose(&mut self, sentence: &str) {
        let mut line = String::new();
        for word in sentence.split(' ') {
            if !line.is_empty() && text::width(&line) + 1 + text::width(word) > self.width {
                self.row().push(Paint::Faint, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.row().push(Paint::Faint, &line);
    }

    /// Signs and what they mean, in as many rows as it takes.
    pub(super) fn legend(&mut self, meanings: &[(Paint, char, String)]) {
        let room = self.width;
        let (mut row, mut taken) = (self.row(), 0);
        for (paint, sign, words) in meanings {
            let words = text::cut(words, room.saturating_sub(2));
            let width = text::width(&words) + 2;
            if taken > 0 && taken + 3 + width > room {
                drop(row);
                (row, taken) = (self.row(), 0);
            }
            if taken > 0 {
                row.push(Paint::Plain, "   ");
                taken += 3;
            }
            row.push(*paint, &sign.to_string())
                .push(Paint::Plain, " ")
                .push(Paint::Plain, &words);
            taken += width;
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Row<'_> {
    /// More text, as far as it fits.
    pub(super) fn push(&mut self, paint: Paint, text: &str) -> &mut Self {
        let end = text.trim_end_matches(' ');
        let begin = end.trim_start_matches(' ');
        self.blanks += end.len() - begin.len();
        let blanks = self.blanks.min(self.left);
        let fitting = text::cut(begin, self.left - blanks);
        if !fitting.is_empty() {
            self.page.text.extend(std::iter::repeat_n(' ', blanks));
            match paint.begin(self.page.colour) {
                Some(begin) => self.page.text.extend([&begin, &*fitting, "\x1b[0m"]),
                None => self.page.text.push_str(&fitting),
            }
            self.left -= blanks + text::width(&fitting);
            self.blanks = 0;
        }
        self.blanks += text.len() - end.len();
        self
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        self.page.text.push('\n');
    }
}
