//! Words of the data, made fit to be shown: harmless, in one line, cut to a width.
//!
//! Guarantees: what [`clean`] gives holds nothing that a terminal obeys, nothing that XML forbids and nothing that
//! turns the direction of what stands around it, and is bounded. Widths are those of terminals (UAX #11).

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// More of a label nobody reads, in characters.
const LABEL_MAX: usize = 200;

/// A cluster of more characters is cut: marks can be piled up without end.
const CLUSTER_MAX: usize = 12;

/// A text of the data as it may be shown.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    for cluster in text.trim().graphemes(true) {
        if count >= LABEL_MAX {
            out.push('…');
            break;
        }
        for char in cluster.chars().take(CLUSTER_MAX) {
            count += 1;
            match char {
                '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                    if !out.ends_with(' ') {
                        out.push(' ');
                    }
                }
                char if forbidden(char) => out.push('\u{fffd}'),
                char => out.push(char),
            }
        }
    }
    out
}

/// Controls, what turns the direction of text, and what is no character.
fn forbidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(char, '\u{feff}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(char) & 0xfffe == 0xfffe
}

/// How many columns of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// A text in no more than so many columns; what was cut ends in an ellipsis.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    fit(text, columns as f64, |text| width(text) as f64)
}

/// A text cut, with an ellipsis, until it measures no more than `room`; empty if not even that fits.
pub(super) fn fit(text: &str, room: f64, measure: impl Fn(&str) -> f64) -> String {
    if measure(text) <= room {
        return text.to_owned();
    }
    let rest = room - measure("…");
    if rest < 0.0 {
        return String::new();
    }
    let ends: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
    // What is longer is wider, so the last beginning that fits is found by halving.
    let fits = ends.partition_point(|end| measure(&text[..*end]) <= rest);
    let end = fits.checked_sub(1).map_or(0, |last| ends[last]);
    format!("{}…", text[..end].trim_end())
}

/// A text and as many blanks as it lacks.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    text + &" ".repeat(blanks)
}

/// As many blanks as it lacks, and a text.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

/// `1 row is`, `2 rows are`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        super::number::grouped(number as u64),
        if number == 1 { one } else { many }
    )
}
