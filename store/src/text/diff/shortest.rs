//! The shortest difference between two sequences: Myers' greedy algorithm, "An O(ND) Difference
//! Algorithm and Its Variations" (1986).
//!
//! Our own, because of the two libraries at hand one calls an answer minimal that is not (a
//! token that could have stayed is deleted and written again; a word of which that is done
//! stands there twice if somebody else changed it meanwhile) and takes a minute for texts of
//! few different words, and the other is bounded by a clock only. Guarantees: what it finds is shortest; it gives up
//! rather than do more than it was allowed.

/// Deletions and insertions beyond which it gives up: the memory is this squared, × 4 bytes.
const EDITS_MAX: usize = 1 << 10;

/// The pairs of places that stay, ascending; none if that takes more steps than `budget`, which
/// it takes them from, or more than 1,024 edits.
///
/// Tokens that only one side has can never stay, and cost nothing here.
pub(super) fn kept<T: Copy + Eq + std::hash::Hash>(
    before: &[T],
    after: &[T],
    budget: &mut usize,
) -> Option<Vec<(usize, usize)>> {
    let (old, new) = (shared(before, after), shared(after, before));
    let a: Vec<T> = old.iter().map(|place| before[*place]).collect();
    let b: Vec<T> = new.iter().map(|place| after[*place]).collect();
    let kept = pairs(&a, &b, budget)?.into_iter();
    Some(kept.map(|(x, y)| (old[x], new[y])).collect())
}

/// The places of tokens that the other has, too.
fn shared<T: Copy + Eq + std::hash::Hash>(tokens: &[T], other: &[T]) -> Vec<usize> {
    let other: std::collections::HashSet<T> = other.iter().copied().collect();
    (0..tokens.len())
        .filter(|place| other.contains(&tokens[*place]))
        .collect()
}

fn pairs<T: Eq>(a: &[T], b: &[T], budget: &mut usize) -> Option<Vec<(usize, usize)>> {
    // On each diagonal k = x − y, how far x came with so many edits; one row for each count.
    // A row with d edits has the diagonals −d, −d + 2 … d: diagonal k is at (k + d) / 2.
    let mut rows: Vec<Vec<i32>> = Vec::new();
    for edits in 0..=EDITS_MAX.min(a.len() + b.len()) {
        let mut row = Vec::with_capacity(edits + 1);
        for place in 0..=edits {
            let start = match rows.last() {
                None => 0,
                Some(last) => step(last, place).1,
            };
            let k = 2 * place as i32 - edits as i32;
            let (mut x, mut y) = (start as usize, (start - k) as usize);
            while x < a.len() && y < b.len() && a[x] == b[y] {
                (x, y) = (x + 1, y + 1);
            }
            *budget = budget.checked_sub(1 + x - start as usize)?;
            row.push(x as i32);
            if x >= a.len() && y >= b.len() {
                rows.push(row);
                return Some(walked(&rows, place));
            }
        }
        rows.push(row);
    }
    None
}

/// Where the furthest way to a diagonal comes from: the diagonal's place in the row before, and
/// how far x is after the edit. At `place`, below is an insertion, to the left a deletion.
fn step(last: &[i32], place: usize) -> (usize, i32) {
    let insertion = last.get(place).copied();
    let deletion = place.checked_sub(1).map(|left| last[left] + 1);
    match (insertion, deletion) {
        (Some(x), Some(right)) if right > x => (place - 1, right),
        (Some(x), _) => (place, x),
        (None, Some(right)) => (place - 1, right),
        (None, None) => unreachable!("a row has one diagonal more than the one before"),
    }
}

/// The way back from the end: all pairs on it.
fn walked(rows: &[Vec<i32>], mut place: usize) -> Vec<(usize, usize)> {
    let mut kept = Vec::new();
    for edits in (0..rows.len()).rev() {
        let k = 2 * place as i32 - edits as i32;
        let end = rows[edits][place];
        let (from, start) = match edits {
            0 => (0, 0),
            _ => step(&rows[edits - 1], place),
        };
        kept.extend((start..end).rev().map(|x| (x as usize, (x - k) as usize)));
        place = from;
    }
    kept.reverse();
    kept
}
