//! Words as they are compared: without case, accents and forms of writing the same letter.
//!
//! Guarantees: `fold` of a word is the same for all its spellings in Unicode (composed or not, full or half width, upper
//! or lower case), and folding what is folded changes nothing. What carries sound in its script stays: vowel signs,
//! viramas and nuktas of Indic scripts, vowels and tones of Thai, Lao and Khmer, voicing of kana.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// A longer word is cut, in bytes of what is folded.
pub(super) const WORD_MAX: usize = 255;
/// What of a longer word is looked at: it folds to no less than [`WORD_MAX`], unless it is nearly all accents.
const READ_MAX: usize = 1024;

/// Appends the folded word to `out`, cut to [`WORD_MAX`].
pub(super) fn fold(word: &str, out: &mut String) {
    let from = out.len();
    let word = cut(word, READ_MAX);
    if word.is_ascii() {
        out.push_str(word);
        out[from..].make_ascii_lowercase();
    } else if !word.chars().all(|c| quick(c, out)) {
        out.truncate(from);
        slow(word, out);
    }
    if out.len() - from > WORD_MAX {
        let keep = cut(&out[from..], WORD_MAX).len();
        out.truncate(from + keep);
    }
}

/// The folded word.
pub(super) fn folded(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    fold(word, &mut out);
    out
}

/// The beginning of a text: at most so many bytes, whole characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Any word, by the rules themselves.
fn slow(word: &str, out: &mut String) {
    let bare = word.nfkd().filter(|c| !is_accent(*c));
    // Down, up and down again is full case folding: ß and ẞ are ss, ς is σ.
    let lower = bare
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .filter(|c| !is_accent(*c));
    for c in lower.flat_map(Letters::of).nfc() {
        out.push(c);
    }
}

/// A character whose folding does not depend on what stands beside it, appended; false if it may.
#[inline]
fn quick(c: char, out: &mut String) -> bool {
    let code = c as u32;
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
    } else if let Some(slot) = slot(code) {
        let table = &*TABLE;
        let (start, end) = (table.starts[slot], table.starts[slot + 1]);
        out.push_str(&table.text[usize::from(start)..usize::from(end)]);
    } else if is_settled(code) {
        out.push(c);
    } else {
        return false;
    }
    true
}

/// A character that stays as it is, and composes with nothing for which this is said too: Devanagari without nuktas, Thai
/// without tones, kana, Han, Hangul syllables.
fn is_settled(code: u32) -> bool {
    match code {
        0x0900..=0x0DFF => matches!(code,
            0x0900..=0x0928 | 0x092A..=0x0930 | 0x0932 | 0x0933 | 0x0935..=0x0939 | 0x093D..=0x0950
            | 0x0960..=0x0963 | 0x0966..=0x096F),
        0x0E00..=0x0E4F => matches!(code, 0x0E01..=0x0E32 | 0x0E34..=0x0E37 | 0x0E40..=0x0E47),
        _ => matches!(code, 0x3041..=0x3096 | 0x30A1..=0x30FA | 0x30FC | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3),
    }
}

/// Latin, Greek, Cyrillic, Armenian, Hebrew and Arabic: all their marks go, so that none is left to compose with.
struct Table {
    text: String,
    starts: Vec<u16>,
}

const LOW: u32 = 0x700;
const HIGH: std::ops::Range<u32> = 0x1E00..0x2000;

fn slot(code: u32) -> Option<usize> {
    match code {
        0..LOW => Some(code as usize),
        _ if HIGH.contains(&code) => Some((code - HIGH.start + LOW) as usize),
        _ => None,
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table {
        text: String::new(),
        starts: vec![0],
    };
    for c in (0..LOW).chain(HIGH).filter_map(char::from_u32) {
        slow(c.encode_utf8(&mut [0; 4]), &mut table.text);
        // Some 5,000 bytes in all.
        table.starts.push(table.text.len() as u16);
    }
    table
});

/// A mark or sign that is left out: it does not make another word.
fn is_accent(c: char) -> bool {
    if (c as u32) < 0xAD {
        return false;
    }
    match canonical_combining_class(c) {
        // Accents proper; what is struck through; points of Hebrew, Arabic and Syriac.
        200.. | 1 | 10..=36 => true,
        // Nuktas, voicing and viramas; vowels and tones of Telugu, Thai, Lao and Tibetan.
        2..=9 | 37..=199 => false,
        // What shows nothing; enclosing signs; tatweel.
        0 => is_unseen(c) || matches!(c as u32, 0x0640 | 0x0488 | 0x0489 | 0x20DD..=0x20E0 | 0x20E2..=0x20E4),
    }
}

/// A character that shows nothing and divides nothing: joiners, soft hyphens, directions, variants of shape.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(c as u32,
        0xAD | 0x034F | 0x061C | 0x180B..=0x180F | 0x200C..=0x200F | 0x202A..=0x202E | 0x2060..=0x2069
        | 0xFE00..=0xFE0F | 0xFEFF | 0x1F3FB..=0x1F3FF | 0xE0020..=0xE007F | 0xE0100..=0xE01EF)
}

/// The one or two letters that a lower-case letter folds to.
struct Letters(Option<char>, Option<char>);

impl Letters {
    /// Letters that are no accented ones to Unicode, as people write them who do not have them.
    fn of(c: char) -> Letters {
        let (first, second) = match c {
            'æ' => ('a', 'e'),
            'œ' => ('o', 'e'),
            'þ' => ('t', 'h'),
            _ => {
                let one = match c {
                    'ł' => 'l',
                    'ø' => 'o',
                    'đ' | 'ð' => 'd',
                    'ħ' => 'h',
                    'ŧ' => 't',
                    other => other,
                };
                return Letters(Some(one), None);
            }
        };
        Letters(Some(first), Some(second))
    }
}

impl Iterator for Letters {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        self.0.take().or_else(|| self.1.take())
    }
}
