//! Guards the guard: the harness that compares file systems must find nothing between two
//! models, and must find every planted bug, from a short stream.

use coffer_tests::broken::{BrokenBench, Bug};
use coffer_tests::op::Op;
use coffer_tests::play::direct::Direct;
use coffer_tests::play::lockstep::{self, Closeness, Mismatch};
use coffer_tests::reference::bench::ReferenceBench;
use coffer_tests::stream::generate::{Profile, generate};
use coffer_tests::stream::shrink::{report, shrink};

const PROFILE: Profile = Profile {
    ops: 300,
    direct: true,
    remounts: 2,
};

fn play(bug: Bug, ops: &[Op], contents: bool) -> Result<(), Mismatch> {
    let mut model = Direct::new(ReferenceBench::default());
    let mut other = Direct::new(BrokenBench::new(bug));
    let result = lockstep::run(
        &mut [&mut model, &mut other],
        ops,
        Closeness {
            contents,
            times: true,
        },
    );
    if result.is_ok() {
        model.let_go();
        other.let_go();
        // What no name, lookup or handle holds is gone: the player counts as the kernel does.
        assert_eq!(model.bench().inodes(), other.bench().inodes());
    }
    result
}

/// The same stream played twice to the model gives the same: nothing in harness or model
/// depends on anything but the stream.
#[test]
fn two_models_agree() {
    for seed in 0..40 {
        let ops = generate(seed, PROFILE);
        if let Err(mismatch) = play(Bug::None, &ops, seed % 2 == 0) {
            let (ops, mismatch) = shrink(ops, mismatch, 2000, |ops| play(Bug::None, ops, true).err());
            panic!("{}", report(seed, &ops, &mismatch));
        }
    }
}

/// Every planted bug is found within a few streams, and the stream that is left after
/// shortening is short enough to read.
#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = (0..60).find_map(|seed| {
            let ops = generate(seed, PROFILE);
            let mismatch = play(bug, &ops, true).err()?;
            Some((seed, ops, mismatch))
        });
        let (seed, ops, mismatch) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        let (short, mismatch) = shrink(ops, mismatch, 3000, |ops| play(bug, ops, true).err());
        println!("{bug:?}: {}", report(seed, &short, &mismatch));
        assert!(
            short.len() <= 12,
            "{bug:?} takes {} operations to show",
            short.len()
        );
        assert!(
            play(bug, &short, true).is_err(),
            "{bug:?}: the shortened stream does not fail"
        );
        assert!(
            play(Bug::None, &short, true).is_ok(),
            "{bug:?}: the stream fails without the bug"
        );
    }
}

/// A list of operations is told by its seed alone.
#[test]
fn the_same_seed_makes_the_same_stream() {
    assert_eq!(generate(5, PROFILE), generate(5, PROFILE));
    assert_ne!(generate(5, PROFILE), generate(6, PROFILE));
}
