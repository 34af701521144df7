//! `#tags`, by Obsidian's rules: letters, digits, `_`, `-` and `/`, not digits alone, after a space or at the start.

/// Calls `each` with every tag in a run of text, without its `#`; `before` is what stands before the run.
pub(super) fn each<'a>(text: &'a str, before: Option<char>, each: &mut dyn FnMut(&'a str)) {
    if !text.contains('#') {
        return;
    }
    let mut before = before;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c == '#' && before.is_none_or(|b| b.is_whitespace() || "([{,;\"'".contains(b)) {
            let len = after.find(|c| !is_part(c)).unwrap_or(after.len());
            let tag = after[..len].trim_end_matches('/');
            if tag.chars().any(|c| !c.is_ascii_digit() && c != '/') {
                each(tag);
            }
            before = Some('#');
            rest = &after[len..];
            continue;
        }
        before = Some(c);
        rest = after;
    }
}

fn is_part(c: char) -> bool {
    // Of what is not ASCII, all but spaces and the punctuation that ends a sentence: emoji are part of a tag.
    c.is_alphanumeric()
        || matches!(c, '_' | '-' | '/')
        || (!c.is_ascii() && !c.is_whitespace() && !c.is_control() && !is_punctuation(c))
}

/// What stands beside a word in other scripts, and is none.
fn is_punctuation(c: char) -> bool {
    matches!(c, '\u{a1}'..='\u{bf}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3000}'..='\u{303f}'
        | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}')
}

/// Puts a tag to others, once, however it is written.
pub(super) fn add(tags: &mut Vec<String>, tag: &str) {
    let tag = tag.trim().trim_start_matches('#');
    let same = |other: &String| other == tag || other.to_lowercase() == tag.to_lowercase();
    if !tag.is_empty() && tags.len() < TAGS_MAX && !tags.iter().any(same) {
        tags.push(tag.to_owned());
    }
}

/// More of one file, or of one task, are not kept.
const TAGS_MAX: usize = 1000;
