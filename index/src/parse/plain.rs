//! Plain text as a note.

use unicode_segmentation::UnicodeSegmentation;

use crate::rows::{Extract, Note};

pub(super) fn read(text: &str, out: &mut Extract) {
    out.note = Some(Note {
        format: "text",
        body: text.to_owned(),
        words: words(text),
        ..Note::default()
    });
}

/// How many words.
pub(super) fn words(text: &str) -> u32 {
    text.unicode_words().count() as u32
}
