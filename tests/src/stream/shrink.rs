//! Shortens a stream that fails, so that what is left tells why.
//!
//! Guarantees that what it returns fails. Removes ever smaller runs of operations as long
//! as the rest still fails (delta debugging: Zeller and Hildebrandt 2002, without the
//! complements), within a bounded number of tries.

use crate::op::Op;
use crate::play::lockstep::Mismatch;

/// The shortest failing stream that was found, and how it fails.
///
/// `fails` plays a stream to new file systems; `mismatch` is how `ops` fails.
pub fn shrink(
    mut ops: Vec<Op>,
    mut mismatch: Mismatch,
    mut tries: usize,
    mut fails: impl FnMut(&[Op]) -> Option<Mismatch>,
) -> (Vec<Op>, Mismatch) {
    ops.truncate(mismatch.step + 1);
    let mut run = ops.len().div_ceil(2);
    while run > 0 {
        let mut shorter = false;
        // From the back: what comes late needs what comes early more than the reverse.
        let mut end = ops.len();
        while end > 0 && tries > 0 {
            tries -= 1;
            let start = end.saturating_sub(run);
            let mut rest = ops.clone();
            rest.drain(start..end);
            if let Some(found) = fails(&rest) {
                rest.truncate(found.step + 1);
                (ops, mismatch) = (rest, found);
                shorter = true;
            }
            end = start.min(ops.len());
        }
        run = match (tries, run, shorter) {
            (0, ..) => 0,
            (_, 1, true) => 1,
            (_, 1, false) => 0,
            _ => run.div_ceil(2),
        };
    }
    (ops, mismatch)
}

/// What to print of a failing stream.
pub fn report(seed: u64, ops: &[Op], mismatch: &Mismatch) -> String {
    let mut out = format!("seed {seed} fails {mismatch}\nThe shortest stream that still fails:\n");
    for (index, op) in ops.iter().enumerate() {
        let mut line = format!("{op:?}");
        if line.len() > 300 {
            line = line.chars().take(300).chain("…".chars()).collect();
        }
        out.push_str(&format!("{index:4}: {line}\n"));
    }
    out
}
