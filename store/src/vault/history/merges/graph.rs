//! What several versions have in common, and what each has for itself. Pure: versions are their places
//! in the order in which they were learnt of, in which none comes before what it was made from.

use std::collections::BTreeMap;

/// See [`split`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// The newest of those that all were made from.
    pub(super) base: Vec<usize>,
    /// Of each side what is not in all of them, itself included, the newest first.
    pub(super) own: Vec<Vec<usize>>,
}

/// A version that was met on the way back.
struct Met {
    /// The sides that it is in.
    of: Vec<bool>,
    /// It is older than one that is in all.
    is_below: bool,
}

/// Goes back from these versions to what they have in common, and no further; `parents` says what
/// each was made from.
pub(super) fn split(parents: &[Vec<usize>], sides: &[usize]) -> Split {
    let mut split = Split {
        base: Vec::new(),
        own: vec![Vec::new(); sides.len()],
    };
    let mut waiting: BTreeMap<usize, Met> = BTreeMap::new();
    // How many of them are not below a common one.
    let mut open = 0;
    let meet = |waiting: &mut BTreeMap<usize, Met>, open: &mut usize, at: usize, of: &[bool], below| {
        let met = waiting.entry(at).or_insert_with(|| {
            *open += 1;
            Met {
                of: vec![false; of.len()],
                is_below: false,
            }
        });
        for (is, too) in met.of.iter_mut().zip(of) {
            *is |= too;
        }
        if below && !met.is_below {
            met.is_below = true;
            *open -= 1;
        }
    };
    for (side, at) in sides.iter().enumerate() {
        let of: Vec<bool> = (0..sides.len()).map(|other| other == side).collect();
        meet(&mut waiting, &mut open, *at, &of, false);
    }
    while open > 0 {
        // The newest: all that was made from it is through.
        let Some((at, met)) = waiting.pop_last() else {
            break;
        };
        open -= usize::from(!met.is_below);
        let in_all = met.of.iter().all(|is| *is);
        if in_all && !met.is_below {
            split.base.push(at);
        }
        if !in_all {
            let its = split.own.iter_mut().zip(&met.of).filter(|(_, is)| **is);
            its.for_each(|(own, _)| own.push(at));
        }
        let above = parents.get(at).into_iter().flatten();
        for parent in above.filter(|parent| **parent < at) {
            meet(&mut waiting, &mut open, *parent, &met.of, in_all);
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in all, and what in none but one, by looking at everything.
    fn plainly(parents: &[Vec<usize>], sides: &[usize]) -> Split {
        let all = |side: usize| {
            let mut within = vec![false; parents.len()];
            within[side] = true;
            for at in (0..=side).rev() {
                if within[at] {
                    parents[at].iter().for_each(|parent| within[*parent] = true);
                }
            }
            within
        };
        let within: Vec<Vec<bool>> = sides.iter().map(|side| all(*side)).collect();
        let in_all = |at: usize| within.iter().all(|within| within[at]);
        let is_newest =
            |at: usize| (0..parents.len()).all(|child| !in_all(child) || !parents[child].contains(&at));
        let rev = || (0..parents.len()).rev();
        Split {
            base: rev().filter(|at| in_all(*at) && is_newest(*at)).collect(),
            own: within
                .iter()
                .map(|within| rev().filter(|at| within[*at] && !in_all(*at)).collect())
                .collect(),
        }
    }

    /// Guards the short way back against the plain one, in graphs of all kinds.
    #[test]
    fn what_is_common_is_found() {
        use rand::rngs::StdRng;
        use rand::{RngExt, SeedableRng};
        for seed in 0..3000 {
            let mut rng = StdRng::seed_from_u64(seed);
            let count = rng.random_range(2..14);
            let parents: Vec<Vec<usize>> = (0..count)
                .map(|at: usize| match at {
                    0 => Vec::new(),
                    _ => (0..rng.random_range(1..4))
                        .map(|_| rng.random_range(0..at))
                        .collect(),
                })
                .collect();
            let sides: Vec<usize> = (0..rng.random_range(2..4))
                .map(|_| rng.random_range(0..count))
                .collect();
            assert_eq!(
                split(&parents, &sides),
                plainly(&parents, &sides),
                "{parents:?} {sides:?}"
            );
        }
    }
}
