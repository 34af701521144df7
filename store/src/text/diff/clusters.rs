//! Keeps what a reader sees as one character in one piece: a hunk's ends are moved outwards
//! until they fall between extended grapheme clusters (Unicode's annex 29) of both texts.
//!
//! Why: a merge that keeps one half of a cluster and takes another's half makes something
//! that neither side wrote. Bounded: a cluster is judged by at most 256 bytes around.

use unicode_segmentation::GraphemeCursor;

use super::Hunk;

/// How far before and behind a place is looked, in bytes. Only runs of flags, joined emoji and
/// heaped accents beyond that are judged by less than all of them.
const AROUND: usize = 256;

/// The hunks, made whole; ascending, none touching the next.
pub(super) fn whole(hunks: Vec<Hunk>, old: &str, new: &str) -> Vec<Hunk> {
    let mut whole: Vec<Hunk> = Vec::with_capacity(hunks.len());
    let mut hunks = hunks.into_iter().peekable();
    while let Some(mut hunk) = hunks.next() {
        // Between two hunks both texts are the same, so both ends move by the same steps.
        let floor = whole.last().map_or(0, |last| last.old.end);
        while hunk.old.start > floor && !(between(old, hunk.old.start) && between(new, hunk.new.start)) {
            let step = old[..hunk.old.start]
                .chars()
                .next_back()
                .map_or(0, char::len_utf8);
            hunk.old.start -= step;
            hunk.new.start -= step;
        }
        if let Some(last) = whole.pop_if(|last| last.old.end == hunk.old.start) {
            (hunk.old.start, hunk.new.start) = (last.old.start, last.new.start);
        }
        loop {
            if let Some(next) = hunks.next_if(|next| next.old.start == hunk.old.end) {
                (hunk.old.end, hunk.new.end) = (next.old.end, next.new.end);
            } else if between(old, hunk.old.end) && between(new, hunk.new.end) {
                break;
            } else {
                let step = old[hunk.old.end..].chars().next().map_or(1, char::len_utf8);
                hunk.old.end += step;
                hunk.new.end += step;
            }
        }
        whole.push(hunk);
    }
    whole
}

/// Whether a place is between two clusters.
fn between(text: &str, at: usize) -> bool {
    let start = text.floor_char_boundary(at.saturating_sub(AROUND));
    let end = text.ceil_char_boundary((at + AROUND).min(text.len()));
    let around = &text[start..end];
    let mut cursor = GraphemeCursor::new(at - start, around.len(), true);
    cursor.is_boundary(around, 0).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    /// Guards what docs/text.md says: changes that are carried over depend on these tables, and other programs are to
    /// make the same.
    #[test]
    fn the_tables_are_those_of_the_format() {
        assert_eq!(unicode_segmentation::UNICODE_VERSION, (17, 0, 0));
    }
}
