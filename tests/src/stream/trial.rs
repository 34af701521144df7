//! Trying many seeds, and telling of the first that fails as shortly as can be.

use super::generate::{Profile, generate};
use super::shrink::{report, shrink};
use crate::op::Op;
use crate::play::lockstep::Mismatch;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

/// Plays the stream of every seed, on two threads. `play` starts from new file systems each
/// time; `tries` is how often it may be called to shorten a stream that fails.
///
/// # Panics
/// With the shortest failing stream, if one fails.
pub fn try_seeds(
    seeds: Range<u64>,
    profile: Profile,
    tries: usize,
    play: impl Fn(u64, &[Op]) -> Result<(), Mismatch> + Sync,
) {
    let left = Mutex::new(seeds);
    let failed = Mutex::new(None);
    let work = || {
        while failed.lock().is_ok_and(|failed| failed.is_none()) {
            let Some(seed) = left.lock().ok().and_then(|mut left| left.next()) else {
                return;
            };
            let ops = generate(seed, profile);
            if let Err(mismatch) = play(seed, &ops)
                && let Ok(mut failed) = failed.lock()
            {
                failed.get_or_insert((seed, ops, mismatch));
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    if let Some((seed, ops, mismatch)) = failed.into_inner().unwrap_or_default() {
        let (ops, mismatch) = shrink(ops, mismatch, tries, |ops| play(seed, ops).err());
        panic!(
            "{}(COFFER_SEED={seed} plays this stream alone.)",
            report(seed, &ops, &mismatch)
        );
    }
}
