//! Plays one stream to several players at once and compares each with the first, which is
//! the one that is right.
//!
//! After every operation: the answer, and everything that stat shows, with which times
//! changed (not to what, unless a time was set) and which names are one file. Contents and
//! extended attributes of what changed, of everything at checkpoints.

mod compare;

use super::{Outcome, Place, Player, Seen, View, Views};
use crate::op::Op;
use coffer_fs::types::Time;
use compare::Compare;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Files up to this size are compared whole, larger ones where one of them has data.
const WHOLE: u64 = 4 << 20;
/// How much is compared at once, in bytes.
const PIECE: u64 = 1 << 20;

/// How closely to look.
#[derive(Clone, Copy, Debug)]
pub struct Closeness {
    /// Contents after each operation; else only at checkpoints and at the end, so that
    /// looking does not hide what only unobserved files suffer.
    pub contents: bool,
    /// Which times changed: only where the clock is finer than two operations.
    pub times: bool,
}

/// Where a player parted from the first.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The operation's place in the stream; its length for the last look.
    pub step: usize,
    /// What is different, in words.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "after operation {}: {}", self.step, self.what)
    }
}

/// Plays the whole stream.
///
/// # Errors
/// The first difference, or a panic of a player.
pub fn run(players: &mut [&mut dyn Player], ops: &[Op], closeness: Closeness) -> Result<(), Mismatch> {
    let mut step = 0;
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut lockstep = Lockstep::new(players, ops, closeness)?;
        for op in ops {
            lockstep.step(op)?;
            step += 1;
        }
        lockstep.step(&Op::Sync)
    }));
    let what = match played {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(what)) => what,
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("a panic: {}", said.unwrap_or("without words"))
        }
    };
    Err(Mismatch { step, what })
}

struct Lockstep<'a, 'b> {
    players: &'a mut [&'b mut dyn Player],
    closeness: Closeness,
    /// The times that the stream sets, which must arrive exactly.
    exact: BTreeSet<Time>,
    before: Vec<Views>,
}

/// Which times of a file changed; `None` if the file is new.
type Changed = Option<(bool, bool)>;

impl<'a, 'b> Lockstep<'a, 'b> {
    fn new(players: &'a mut [&'b mut dyn Player], ops: &[Op], closeness: Closeness) -> Seen<Self> {
        let mut exact = BTreeSet::new();
        for op in ops {
            if let Op::SetTimes { atime, mtime, .. } = op {
                exact.extend(atime.iter().chain(mtime));
            }
        }
        let before = players
            .iter_mut()
            .map(|player| player.views())
            .collect::<Seen<_>>()?;
        Ok(Lockstep {
            players,
            closeness,
            exact,
            before,
        })
    }

    fn step(&mut self, op: &Op) -> Seen<()> {
        let outcomes: Vec<Outcome> = self.players.iter_mut().map(|player| player.play(op)).collect();
        let views = self
            .players
            .iter_mut()
            .map(|player| player.views())
            .collect::<Seen<Vec<_>>>()?;
        let Some((first, others)) = self.players.split_first_mut() else {
            return Ok(());
        };
        let by_path = matches!(op, Op::Remount);
        for (index, other) in others.iter_mut().enumerate() {
            let (model, index) = (&views[0], index + 1);
            let mut compare = Compare {
                first: &mut **first,
                other: &mut **other,
            };
            compare.outcomes(op, &outcomes[0], &outcomes[index])?;
            let changed = [
                changes(&self.before[0], model, by_path),
                changes(&self.before[index], &views[index], by_path),
            ];
            compare.views(op, model, &views[index], &self.exact)?;
            if self.closeness.times {
                compare.times(model, &changed)?;
            }
            for (place, view) in model {
                let touched = [&changed[0], &changed[1]]
                    .iter()
                    .any(|c| c[place] != Some((false, false)));
                if op.is_checkpoint() || touched {
                    compare.xattrs(place, view)?;
                }
                if op.is_checkpoint() || (touched && self.closeness.contents) {
                    compare.contents(place, view)?;
                }
            }
        }
        self.before = views;
        Ok(())
    }
}

/// What changed of each place: the file is known again by its inode, or after a remount by its path.
fn changes(before: &Views, after: &Views, by_path: bool) -> BTreeMap<Place, Changed> {
    let known: BTreeMap<u64, &View> = before.values().map(|view| (view.ino, view)).collect();
    let change = |(place, view): (&Place, &View)| {
        let then = if by_path {
            before.get(place)
        } else {
            known.get(&view.ino).copied()
        };
        let changed = then.map(|then| (then.mtime != view.mtime, then.ctime != view.ctime));
        (place.clone(), changed)
    };
    after.iter().map(change).collect()
}
