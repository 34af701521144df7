//! A text in pieces: lines, and words after Unicode's annex 29, "Text Segmentation".
//!
//! Guarantees: the pieces are the whole text, in order, and none is empty.

use unicode_segmentation::UnicodeSegmentation;

/// A word that is longer, in bytes, is taken in single characters.
const WORD_MAX: usize = 64;

/// Lines with their ends.
pub(super) fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Words, and what stands between them.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.split_word_bounds() {
        if word.len() <= WORD_MAX {
            words.push(word);
        } else {
            words.extend(word.graphemes(true));
        }
    }
    words
}
