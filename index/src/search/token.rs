//! Texts to tokens: the words of the index, of questions and of snippets alike.
//!
//! Guarantees: any text gives tokens, in one pass and with little memory; each says which bytes of the text it is, at
//! character boundaries. Words are UAX #29's, cut further at every sign that is no letter, digit or mark: `foo_bar`,
//! `don't` and `1,234.50` are their parts in a row, so that the parts are found, and the whole as a phrase of them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::LazyLock;

use unicode_normalization::char::is_combining_mark;

use super::fold::{fold, is_unseen};

/// Whose tokens are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A text's: everything by which it can be found.
    Text,
    /// A question's: of several tokens in one place only the one that says most.
    Question,
}

/// Where a token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Its bytes in the text.
    pub(super) range: Range<usize>,
    /// Counts words, and characters where words are not divided.
    pub(super) position: u32,
    /// It can be a part of a word only, since its script divides none.
    pub(super) is_undivided: bool,
}

/// What a character is to words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Divides words.
    Other,
    /// A letter, digit or mark.
    Word,
    /// A letter of a script that is written without spaces.
    Undivided,
    /// A word of its own: emoji, and halves of flags.
    Sign,
    /// Shows nothing, divides nothing.
    Unseen,
}

/// The classes of the first characters, which most texts are made of.
static CLASSES: LazyLock<Vec<Class>> = LazyLock::new(|| {
    // None of these is half of a surrogate pair.
    (0..0x2000)
        .filter_map(char::from_u32)
        .map(Class::look_up)
        .collect()
});

impl Class {
    #[inline]
    fn of(c: char) -> Class {
        match CLASSES.get(c as usize) {
            Some(class) => *class,
            None => Class::look_up(c),
        }
    }

    fn look_up(c: char) -> Class {
        if c.is_ascii() {
            return if c.is_ascii_alphanumeric() {
                Class::Word
            } else {
                Class::Other
            };
        }
        match c as u32 {
            ..0x0E00 => (),
            // Thai, Lao; Myanmar; Khmer; Tai Le, New Tai Lue; Tai Tham.
            0x0E00..=0x0E3A | 0x0E40..=0x0E4E | 0x0E50..=0x0E59 | 0x0E81..=0x0EDF => return Class::Undivided,
            0x1000..=0x1049 | 0x1050..=0x109D | 0x1780..=0x17D3 | 0x17DC..=0x17E9 => return Class::Undivided,
            0x1950..=0x19DA | 0x1A20..=0x1A99 | 0xA9E0..=0xA9FE | 0xAA60..=0xAA7F => return Class::Undivided,
            // Iteration marks; kana; bopomofo; Han; half-width kana.
            0x3005..=0x3007 | 0x3031..=0x3035 | 0x303B | 0x3041..=0x309F | 0x30A1..=0x30FA => {
                return Class::Undivided;
            }
            0x30FC..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x31FF | 0x3400..=0x4DBF => return Class::Undivided,
            0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F => return Class::Undivided,
            0x1AFF0..=0x1B16F | 0x20000..=0x3FFFD => return Class::Undivided,
            0xAC00..=0xD7A3 => return Class::Word,
            _ => (),
        }
        if is_unseen(c) {
            Class::Unseen
        } else if c.is_alphanumeric() || is_combining_mark(c) {
            Class::Word
        } else if matches!(c as u32, 0x2300..=0x23FF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0x1F000..=0x1FAFF)
        {
            Class::Sign
        } else {
            Class::Other
        }
    }
}

/// The tokens of a text, one after the other.
pub(super) struct Tokens<'a> {
    text: &'a str,
    of: Of,
    /// What is read.
    at: usize,
    position: u32,
    /// A word's second token: `c++` after `c`; what is after its letters, and where it ends.
    suffix: Option<(String, Range<usize>)>,
    /// Characters of an undivided run that are folded and not yet told: one more than is being told.
    run: VecDeque<(char, Range<usize>)>,
    /// In such a run.
    is_in_run: bool,
    /// The single character was told, its pair is to come.
    is_pair_next: bool,
    /// The run has had a pair.
    is_paired: bool,
    scratch: String,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, of: Of) -> Tokens<'a> {
        Tokens {
            text,
            of,
            at: 0,
            position: 0,
            suffix: None,
            run: VecDeque::new(),
            is_in_run: false,
            is_pair_next: false,
            is_paired: false,
            scratch: String::new(),
        }
    }

    /// The next token, its word in `out`.
    #[inline]
    pub(super) fn next(&mut self, out: &mut String) -> Option<Spot> {
        out.clear();
        if let Some((word, range)) = self.suffix.take() {
            *out = word;
            return Some(spot(range, self.position - 1, false));
        }
        loop {
            if self.is_in_run {
                if let Some(spot) = self.next_of_run(out) {
                    return Some(spot);
                }
                self.is_in_run = false;
                self.is_paired = false;
            }
            let c = self.peek()?;
            match Class::of(c) {
                Class::Other | Class::Unseen => self.at += c.len_utf8(),
                Class::Word => {
                    if let Some(spot) = self.word(out) {
                        return Some(spot);
                    }
                }
                Class::Undivided => self.is_in_run = true,
                Class::Sign => {
                    let from = self.at;
                    self.at += c.len_utf8();
                    out.push(c);
                    return Some(self.spot(from..self.at, false));
                }
            }
        }
    }

    #[inline]
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// A token in a place of its own.
    fn spot(&mut self, range: Range<usize>, is_undivided: bool) -> Spot {
        self.position += 1;
        spot(range, self.position - 1, is_undivided)
    }

    /// A word of letters, digits and marks; none if nothing is left of it.
    fn word(&mut self, out: &mut String) -> Option<Spot> {
        let from = self.at;
        let bytes = self.text.as_bytes();
        let mut end = from;
        loop {
            while self.at < bytes.len() && bytes[self.at].is_ascii_alphanumeric() {
                self.at += 1;
                end = self.at;
            }
            match self.peek().filter(|c| !c.is_ascii()) {
                Some(c) => match Class::of(c) {
                    Class::Word => {
                        self.at += c.len_utf8();
                        end = self.at;
                    }
                    Class::Unseen => self.at += c.len_utf8(),
                    _ => break,
                },
                None => break,
            }
        }
        fold(&self.text[from..end], out);
        if out.is_empty() {
            return None;
        }
        if let Some(signs) = self.signs(end, out) {
            self.at = end + signs.len();
            if self.of == Of::Question {
                out.push_str(signs);
                return Some(self.spot(from..self.at, false));
            }
            self.suffix = Some((format!("{out}{signs}"), from..self.at));
        }
        Some(self.spot(from..end, false))
    }

    /// `+` or `++` at the end of a word, `#` at the end of one or two letters: C++, C#, Notepad++.
    fn signs(&self, end: usize, word: &str) -> Option<&'a str> {
        let rest = &self.text[end..];
        let sign = rest.chars().next()?;
        let most = match sign {
            '+' => 2,
            '#' if word.len() <= 2 => 1,
            _ => return None,
        };
        let count = rest
            .bytes()
            .take(most + 1)
            .take_while(|byte| *byte == sign as u8)
            .count();
        let next = rest[count..].chars().next().map(Class::of);
        (count <= most && matches!(next, None | Some(Class::Other))).then(|| &rest[..count])
    }

    /// Characters of an undivided run, and each with the one after it.
    fn next_of_run(&mut self, out: &mut String) -> Option<Spot> {
        loop {
            self.fill();
            let (first, range) = self.run.front().cloned()?;
            out.push(first);
            if self.of == Of::Text && !self.is_pair_next {
                self.is_pair_next = true;
                return Some(self.spot(range, true));
            }
            if self.of == Of::Question {
                self.position += 1;
            }
            self.is_pair_next = false;
            self.run.pop_front();
            if let Some((second, after)) = self.run.front() {
                out.push(*second);
                self.is_paired = true;
                return Some(spot(range.start..after.end, self.position - 1, true));
            }
            if self.of == Of::Question && !self.is_paired {
                return Some(spot(range, self.position - 1, true));
            }
            out.clear();
        }
    }

    /// Reads on in the run, until two characters are there.
    fn fill(&mut self) {
        while self.run.len() < 2 {
            let from = self.at;
            let Some(c) = self.peek().filter(|c| Class::of(*c) == Class::Undivided) else {
                return;
            };
            self.at += c.len_utf8();
            // Marks belong to their letter.
            let mut end = self.at;
            while let Some(mark) = self.peek().filter(|c| is_unseen(*c) || is_combining_mark(*c)) {
                self.at += mark.len_utf8();
                if !is_unseen(mark) {
                    end = self.at;
                }
            }
            self.scratch.clear();
            fold(&self.text[from..end], &mut self.scratch);
            self.run.extend(self.scratch.chars().map(|c| (c, from..end)));
        }
    }
}

fn spot(range: Range<usize>, position: u32, is_undivided: bool) -> Spot {
    Spot {
        range,
        position,
        is_undivided,
    }
}
