//! What changed between two texts, word by word, as the store finds it when texts merge.

use coffer_store::text::splices;
use std::ops::Range;

/// Which bytes of the old text became which of the new one, in order.
pub(crate) fn changed_pieces(old: &str, new: &str) -> Vec<(Range<usize>, Range<usize>)> {
    let mut pieces = Vec::new();
    // How far we are: in code points of the old text, and in bytes of both.
    let (mut point, mut old_at, mut new_at) = (0, 0, 0);
    for splice in splices(old, new) {
        let same = skipped(&old[old_at..], splice.at - point);
        let (start, end) = (
            old_at + same,
            old_at + same + skipped(&old[old_at + same..], splice.delete),
        );
        let came = new_at + same;
        pieces.push((start..end, came..came + splice.insert.len()));
        (point, old_at, new_at) = (splice.at + splice.delete, end, came + splice.insert.len());
    }
    pieces
}

/// How many words came, and how many went.
pub(crate) fn words_changed(old: &str, new: &str) -> (u64, u64) {
    // A sign alone is no word.
    let is_word = |part: &&str| !part.chars().all(|c| c.is_ascii_punctuation());
    let words = |text: &str| text.split_whitespace().filter(is_word).count() as u64;
    let (mut added, mut removed) = (0, 0);
    for (went, came) in changed_pieces(old, new) {
        added += words(&new[came]);
        removed += words(&old[went]);
    }
    (added, removed)
}

/// How many bytes so many code points are.
fn skipped(text: &str, points: usize) -> usize {
    text.char_indices().nth(points).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::{changed_pieces, words_changed};

    /// Guards counts for people.
    #[test]
    fn words_are_counted() {
        let (old, new) = ("bread and milk.\nend", "bread, butter and oat milk.\n");
        assert_eq!(words_changed(old, new), (2, 1));
        assert_eq!(words_changed("a - b", "a b 🙂"), (1, 0));
    }

    /// Guards the way from code points to bytes: the pieces make the new text of the old.
    #[test]
    fn pieces_make_the_new_text() {
        for (old, new) in [
            ("", "ä"),
            ("ä", ""),
            ("grüße an alle 🙂 dort", "grüße an fast alle 🙃 dort"),
            ("eins zwei drei\nvier\n", "eins 2 drei\nfünf\nvier\n"),
            ("same", "same"),
        ] {
            let (mut text, mut seen) = (String::new(), 0);
            for (a, b) in changed_pieces(old, new) {
                text.push_str(&old[seen..a.start]);
                assert_eq!(text.len(), b.start, "{old}");
                text.push_str(&new[b]);
                seen = a.end;
            }
            assert_eq!(text + &old[seen..], new);
        }
    }
}
