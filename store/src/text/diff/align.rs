//! Which tokens two texts share, in order.
//!
//! The shortest answer (`shortest`), while it can be had in 2²⁶ steps for a whole comparison, a
//! fraction of a second, and with 1,024 edits; beyond, tokens that both have once divide the
//! texts (`anchors`), and each part is looked at again; a part that nothing divides is replaced
//! as one. Guarantees: what is outside the ranges is the same on both sides.

use std::collections::HashMap;
use std::ops::Range;

use super::{anchors, shortest};

/// How often a part is divided again.
const DEPTH_MAX: usize = 32;

/// How many steps are left for shortest answers.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Budget {
        Budget(1 << 26)
    }
}

/// Tokens that differ, as ranges before and after.
type Differing = (Range<usize>, Range<usize>);

/// Where an insertion or a deletion stands that could stand at several places. The same for
/// everybody, because where one chooses the first place and another the last, a merge can mix
/// what each of them wrote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Words: a word comes and goes with the space before it. With the space behind it for one,
    /// and before it for another, two words could be joined.
    First,
    /// Lines: an entry that begins or ends like its neighbour is added behind it, as people do.
    Last,
}

/// What differs, ascending; no range is empty on both sides.
pub(super) fn align(before: &[&str], after: &[&str], place: Place, budget: &mut Budget) -> Vec<Differing> {
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (old, new) = (&before[head..], &after[head..]);
    let tail = old.iter().rev().zip(new.iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count();
    let mut differing = compared(&old[..old.len() - tail], &new[..new.len() - tail], budget);
    for (a, b) in &mut differing {
        *a = head + a.start..head + a.end;
        *b = head + b.start..head + b.end;
    }
    match place {
        Place::First => {
            let mut floor = (0, 0);
            for (a, b) in &mut differing {
                let steps = match (a.len(), b.len()) {
                    (0, _) => back(after, b, floor.1),
                    (_, 0) => back(before, a, floor.0),
                    _ => 0,
                };
                *a = a.start - steps..a.end - steps;
                *b = b.start - steps..b.end - steps;
                floor = (a.end, b.end);
            }
        }
        Place::Last => {
            let mut ceiling = (before.len(), after.len());
            for (a, b) in differing.iter_mut().rev() {
                let steps = match (a.len(), b.len()) {
                    (0, _) => on(after, b, ceiling.1),
                    (_, 0) => on(before, a, ceiling.0),
                    _ => 0,
                };
                *a = a.start + steps..a.end + steps;
                *b = b.start + steps..b.end + steps;
                ceiling = (a.start, b.start);
            }
        }
    }
    differing
}

/// How far a range can move back so that what is outside it stays the same: the token before
/// it comes in when its last goes out.
fn back(tokens: &[&str], range: &Range<usize>, floor: usize) -> usize {
    let places = (floor..range.start).rev();
    places
        .take_while(|place| tokens[*place] == tokens[place + range.len()])
        .count()
}

/// The same onwards.
fn on(tokens: &[&str], range: &Range<usize>, ceiling: usize) -> usize {
    let places = range.end..ceiling;
    places
        .take_while(|place| tokens[*place] == tokens[place - range.len()])
        .count()
}

/// The same for texts whose first tokens differ, and whose last ones do.
fn compared(before: &[&str], after: &[&str], budget: &mut Budget) -> Vec<Differing> {
    let mut differing = Vec::new();
    let mut from = (0, 0);
    let end = (before.len(), after.len());
    for (x, y) in kept(before, after, budget).into_iter().chain([end]) {
        if (x, y) != from {
            differing.push((from.0..x, from.1..y));
        }
        from = (x + 1, y + 1);
    }
    differing
}

/// The pairs of tokens that stay, ascending.
pub(super) fn kept(before: &[&str], after: &[&str], budget: &mut Budget) -> Vec<(usize, usize)> {
    let mut kept = Vec::new();
    if !before.is_empty() && !after.is_empty() {
        let (before, after) = numbered(before, after);
        keep(&before, &after, (0, 0), DEPTH_MAX, budget, &mut kept);
    }
    kept
}

/// Tokens as numbers: the same text, the same number.
fn numbered<'a>(before: &[&'a str], after: &[&'a str]) -> (Vec<u32>, Vec<u32>) {
    let mut numbers: HashMap<&'a str, u32> = HashMap::new();
    let mut number = |token: &&'a str| {
        let next = numbers.len() as u32;
        *numbers.entry(token).or_insert(next)
    };
    let before = before.iter().map(&mut number).collect();
    (before, after.iter().map(&mut number).collect())
}

/// Adds the pairs that stay, ascending, as places in texts that begin at `from`.
fn keep(
    before: &[u32],
    after: &[u32],
    from: (usize, usize),
    depth: usize,
    budget: &mut Budget,
    kept: &mut Vec<(usize, usize)>,
) {
    if let Some(pairs) = shortest::kept(before, after, &mut budget.0) {
        kept.extend(pairs.into_iter().map(|(x, y)| (from.0 + x, from.1 + y)));
        return;
    }
    if depth == 0 {
        return;
    }
    let anchors = anchors::of(before, after);
    let mut at = (0, 0);
    let last = (!anchors.is_empty()).then_some((before.len(), after.len()));
    for (x, y) in anchors.into_iter().chain(last) {
        let (before, after) = (&before[at.0..x], &after[at.1..y]);
        if !before.is_empty() && !after.is_empty() {
            keep(
                before,
                after,
                (from.0 + at.0, from.1 + at.1),
                depth - 1,
                budget,
                kept,
            );
        }
        if Some((x, y)) != last {
            kept.push((from.0 + x, from.1 + y));
        }
        at = (x + 1, y + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens deleted and inserted by a shortest difference, by the textbook's table.
    fn shortest(a: &[&str], b: &[&str]) -> usize {
        let mut above: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut row = vec![i + 1];
            for (j, y) in b.iter().enumerate() {
                row.push(if x == y {
                    above[j]
                } else {
                    1 + above[j + 1].min(row[j])
                });
            }
            above = row;
        }
        above[b.len()]
    }

    /// Guards what doubles words: a token that is deleted and written again though it could
    /// have stayed.
    #[test]
    fn differences_are_the_shortest() {
        let mut seed = 1u64;
        let mut next = |below: u64| {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((seed >> 33) % below) as usize
        };
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        for round in 0..20_000 {
            let alphabet = 1 + next(names.len() as u64) as u64;
            let text = |next: &mut dyn FnMut(u64) -> usize| -> Vec<&str> {
                (0..next(24)).map(|_| names[next(alphabet)]).collect()
            };
            let before = text(&mut next);
            let mut after = if round % 2 == 0 {
                text(&mut next)
            } else {
                before.clone()
            };
            for _ in 0..next(4) {
                let at = next(after.len() as u64 + 1);
                let to = (at + next(3)).min(after.len());
                after.splice(at..to, [names[next(12)]]);
            }
            for place in [Place::First, Place::Last] {
                let differing = align(&before, &after, place, &mut Budget::default());
                let (mut made, mut from) = (Vec::new(), 0);
                for (a, b) in &differing {
                    assert!(!(a.is_empty() && b.is_empty()));
                    made.extend_from_slice(&before[from..a.start]);
                    assert_eq!(made.len(), b.start, "{before:?} → {after:?}");
                    made.extend_from_slice(&after[b.clone()]);
                    from = a.end;
                }
                made.extend_from_slice(&before[from..]);
                assert_eq!(made, after);
                let cost: usize = differing.iter().map(|(a, b)| a.len() + b.len()).sum();
                assert_eq!(
                    cost,
                    shortest(&before, &after),
                    "{before:?} → {after:?}: {differing:?}"
                );
            }
        }
    }
}
