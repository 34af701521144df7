//! Where two long texts that differ much can be divided: at tokens that each has exactly once,
//! in the longest order that both agree on.
//!
//! Bram Cohen's patience diff; the longest order is found by patience sorting, in n log n steps.
//! It never divides at what stands several times.

use std::collections::HashMap;

/// Pairs of places, ascending on both sides.
pub(super) fn of(before: &[u32], after: &[u32]) -> Vec<(usize, usize)> {
    let (old, new) = (once(before), once(after));
    let mut pairs: Vec<(usize, usize)> = old
        .iter()
        .filter_map(|(token, x)| Some(((*x)?, (*new.get(token)?)?)))
        .collect();
    pairs.sort_unstable();
    ascending(&pairs)
}

/// Where each token stands; none if at several places.
fn once(tokens: &[u32]) -> HashMap<u32, Option<usize>> {
    let mut places = HashMap::new();
    for (place, token) in tokens.iter().enumerate() {
        places
            .entry(*token)
            .and_modify(|seen| *seen = None)
            .or_insert(Some(place));
    }
    places
}

/// The longest run of pairs that ascends on the second side, too.
fn ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // The pair that ends the best run of each length so far; and before each pair, the one that
    // it goes on from.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (i, (_, y)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *y);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(i);
        } else {
            ends[length] = i;
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(i) = at {
        run.push(pairs[i]);
        at = before[i];
    }
    run.reverse();
    run
}
