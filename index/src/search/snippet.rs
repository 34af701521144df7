//! The part of a text that shows best why it was found.
//!
//! Guarantees: shows the text as it is written, and marks what the index would match; linear in the text's length, with
//! memory for the window only; cuts at the ends of words where there are any.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::query::{Node, Query, Scope, Text};
use super::token::{Of, Tokens};

/// No snippet is longer, in characters.
pub const SNIPPET_MAX: usize = 10_000;

/// A part of a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Snippet {
    /// In one line, `…` where it was cut.
    pub text: String,
    /// Bytes of it that match; apart from each other, in order.
    pub marks: Vec<Range<usize>>,
    /// The line of the text (from 1) where the first match in it stands; where it begins, if none does.
    pub line: u32,
}

/// The part of a text with most of what was asked, of at most `max_chars` characters beside the `…`.
pub fn snippet(query: &Query, text: &str, max_chars: usize) -> Snippet {
    let max = max_chars.clamp(1, SNIPPET_MAX);
    let mut wanted = Wanted::default();
    wanted.collect(&query.root);
    let best = best_window(&wanted, text, max);
    let begin = text.len() - text.trim_start().len();
    let window = around(text, best.clone().unwrap_or(begin..begin), max);
    let mut marks = Vec::new();
    wanted.search(&text[window.clone()], |found| {
        marks.push((found.range, found.is_part))
    });
    // Words of a phrase alone are marked only where none is whole.
    if marks.iter().any(|(_, is_part)| !is_part) {
        marks.retain(|(_, is_part)| !is_part);
    }
    let marks = merged(marks.into_iter().map(|(range, _)| range).collect());
    let first = window.start + marks.first().map_or(0, |mark| mark.start);
    // A text of 2^32 lines is longer than any that is searched.
    let lines = text.as_bytes()[..first]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    let (text, marks) = shown(text, window, &marks);
    Snippet {
        text,
        marks,
        line: u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1),
    }
}

/// What is looked for in the text.
#[derive(Default)]
struct Wanted<'q> {
    /// Each of them counts once in a window.
    phrases: Vec<&'q Text>,
    /// Single words and first words of phrases: which phrases they begin.
    first: HashMap<&'q str, Vec<usize>>,
    /// Beginnings of words, of phrases that are nothing more.
    prefixes: Vec<(&'q str, usize)>,
    /// Words of longer phrases: each counts less than any whole phrase.
    parts: HashMap<&'q str, usize>,
}

/// A match.
struct Match {
    range: Range<usize>,
    /// Which: phrases first, then their parts.
    which: usize,
    /// One word of a longer phrase.
    is_part: bool,
}

impl<'q> Wanted<'q> {
    fn collect(&mut self, node: &'q Node) {
        match node {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| self.collect(node)),
            Node::Text(text) if text.scope == Scope::Any => {
                let which = self.phrases.len();
                self.phrases.push(text);
                let first = &*text.words[0].1;
                if text.words.len() == 1 && text.is_prefix {
                    self.prefixes.push((first, which));
                } else {
                    self.first.entry(first).or_default().push(which);
                }
                if text.words.len() > 1 {
                    for (_, word) in &text.words {
                        let next = self.parts.len();
                        self.parts.entry(word).or_insert(next);
                    }
                }
            }
            Node::Text(_) | Node::Not(_) | Node::Tag { .. } | Node::Filter(_) => (),
        }
    }

    /// Tells all matches, in the order of their ends.
    fn search(&self, text: &str, mut found: impl FnMut(Match)) {
        if self.phrases.is_empty() {
            return;
        }
        let mut tokens = Tokens::new(text, Of::Text);
        let mut word = String::new();
        // Phrases that have begun: which, how many words are there, where the first is.
        let mut begun: Vec<(usize, usize, u32, usize)> = Vec::new();
        while let Some(spot) = tokens.next(&mut word) {
            let (at, range) = (spot.position, spot.range);
            begun.retain_mut(|(which, there, from, start)| {
                let phrase = self.phrases[*which];
                let (distance, next) = &phrase.words[*there];
                let due = *from + *distance;
                if at != due {
                    return at < due;
                }
                let is_last = *there + 1 == phrase.words.len();
                if next != &word && !(is_last && phrase.is_prefix && word.starts_with(&**next)) {
                    return true;
                }
                *there += 1;
                if is_last {
                    found(Match {
                        range: *start..range.end,
                        which: *which,
                        is_part: false,
                    });
                }
                !is_last
            });
            for which in self.first.get(&*word).into_iter().flatten() {
                if self.phrases[*which].words.len() > 1 {
                    begun.push((*which, 1, at, range.start));
                } else {
                    found(Match {
                        range: range.clone(),
                        which: *which,
                        is_part: false,
                    });
                }
            }
            for (prefix, which) in &self.prefixes {
                if word.starts_with(prefix) {
                    found(Match {
                        range: range.clone(),
                        which: *which,
                        is_part: false,
                    });
                }
            }
            if let Some(part) = self.parts.get(&*word) {
                found(Match {
                    range,
                    which: self.phrases.len() + part,
                    is_part: true,
                });
            }
        }
    }
}

/// From the first match to the last of the best window; none without a match. Marks are looked for anew in what is shown,
/// so that it matters little that a phrase comes after its own words here.
fn best_window(wanted: &Wanted<'_>, text: &str, max: usize) -> Option<Range<usize>> {
    let kinds = wanted.phrases.len() + wanted.parts.len();
    // A whole phrase outweighs all parts.
    let weight = |which: usize| {
        if which < wanted.phrases.len() {
            kinds + 1
        } else {
            1
        }
    };
    let mut counts = vec![0u32; kinds];
    let mut score = 0;
    // Each with the number of characters before it.
    let mut window: VecDeque<(Match, usize)> = VecDeque::new();
    let mut best: Option<(usize, Range<usize>)> = None;
    // Where counting characters has come to.
    let (mut bytes, mut chars) = (0, 0);
    wanted.search(text, |found| {
        let Range { start, end } = found.range;
        if end > bytes {
            chars += text[bytes..end].chars().count();
            bytes = end;
        }
        let before = chars.saturating_sub(text[start..end].chars().take(max + 1).count());
        counts[found.which] += 1;
        if counts[found.which] == 1 {
            score += weight(found.which);
        }
        window.push_back((found, before));
        while let Some((first, before)) = window.front().filter(|_| window.len() > 1) {
            if chars - before <= max {
                break;
            }
            counts[first.which] -= 1;
            if counts[first.which] == 0 {
                score -= weight(first.which);
            }
            window.pop_front();
        }
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            let first = window.front().map_or(start, |(first, _)| first.range.start);
            best = Some((score, first.min(start)..end));
        }
    });
    best.map(|(_, range)| range)
}

/// What is shown around a window: so many characters in all, a third of what is to spare before it.
fn around(text: &str, core: Range<usize>, max: usize) -> Range<usize> {
    let core = core.start..forward(text, core.start, max).min(core.end);
    let spare = max - text[core.clone()].chars().count();
    let mut start = back(text, core.start, spare / 3);
    let before = text[start..core.start].chars().count();
    let end = forward(text, core.end, spare - before);
    let after = text[core.end..end].chars().count();
    if end == text.len() {
        start = back(text, core.start, spare - after);
    }
    // The first word is a whole one, and so is the last.
    if start > 0 && !text[..start].ends_with(char::is_whitespace) {
        let words = text[start..core.start].split_word_bound_indices();
        start = words
            .skip(1)
            .map(|(at, _)| start + at)
            .next()
            .unwrap_or(core.start);
    }
    let mut last = end;
    if end < text.len() && !text[end..].starts_with(char::is_whitespace) {
        let words = text[core.end..end].split_word_bound_indices();
        last = words.fold(core.end, |_, (at, _)| core.end + at);
    }
    if last == start {
        // One word, longer than all that can be shown.
        last = end;
    }
    let shown = &text[start..last];
    start += shown.len() - shown.trim_start().len();
    start..start + shown.trim().len()
}

/// So many characters further on, or the end.
fn forward(text: &str, from: usize, chars: usize) -> usize {
    text[from..]
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(at, _)| from + at)
}

/// So many characters further back, or the beginning.
fn back(text: &str, from: usize, chars: usize) -> usize {
    match chars {
        0 => from,
        _ => text[..from]
            .char_indices()
            .rev()
            .nth(chars - 1)
            .map_or(0, |(at, _)| at),
    }
}

/// Ranges in order, those that touch as one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The window in one line, and where its marks are there.
fn shown(text: &str, window: Range<usize>, marks: &[Range<usize>]) -> (String, Vec<Range<usize>>) {
    let mut out = String::with_capacity(window.len() + 6);
    let mut placed = Vec::with_capacity(marks.len());
    let mut marks = marks.iter().peekable();
    let mut start = 0;
    if !text[..window.start].trim_start().is_empty() {
        out.push('…');
    }
    let part = &text[window.clone()];
    for (at, c) in part.char_indices().chain([(part.len(), ' ')]) {
        if marks.next_if(|mark| mark.end == at).is_some() {
            placed.push(start..out.len());
        }
        if marks.peek().is_some_and(|mark| mark.start == at) {
            start = out.len();
        }
        // Nothing that a terminal would obey, either.
        let is_space = c.is_whitespace() || c.is_control();
        if at == part.len() || (is_space && out.ends_with(' ')) {
            continue;
        }
        out.push(if is_space { ' ' } else { c });
    }
    if !text[window.end..].trim_end().is_empty() {
        out.push('…');
    }
    (out, placed)
}
