//! The index against the truth: two devices of one vault, edits of every kind on both, together and apart, and at moments of rest every view is what an index
//! says that was filled anew, what a plain reading of the files says, and what the other device says. Skipped, with a word, where nothing
//! can be mounted.
//!
//! `COFFER_SEEDS=60` plays more, `COFFER_SEED=7` one alone.

mod common;
mod truth;

use common::cannot_mount;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use truth::act::{act, collide, fetch};
use truth::check::{agree, as_from_scratch, as_plain};
use truth::pair::Pair;

/// Seeds that are played unless the environment says otherwise.
const SEEDS: u64 = 3;
const ROUNDS: usize = 3;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("COFFER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("COFFER_SEEDS").unwrap_or(SEEDS),
    }
}

/// Says what was done, if it comes to a panic.
struct Told(u64, Vec<String>);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("COFFER_SEED={}\n{}", self.0, self.1.join("\n"));
        }
    }
}

fn play(seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    // The laptop of every second one keeps texts alone.
    let is_partial = seed % 2 == 1;
    let pair = Pair::new(is_partial);
    let mut told = Told(seed, Vec::new());
    let mut read = 0;
    for round in 0..ROUNDS {
        let when = format!("seed {seed}, round {round}");
        let is_apart = rng.random_bool(0.6);
        if is_apart {
            pair.part();
        }
        for _ in 0..rng.random_range(10..60) {
            let (name, stage) = match rng.random_bool(0.6) {
                true => ("desk", &pair.desk),
                false => ("laptop", &pair.laptop),
            };
            let what = match rng.random_range(0..20) {
                0..2 => collide(&mut rng, &pair.desk, &pair.laptop),
                2..4 if is_partial => fetch(&mut rng, &pair.laptop),
                _ => act(&mut rng, stage),
            };
            told.1.push(format!("{name}: {what}"));
        }
        // An index that ends more often than thrice rests before it is started again.
        if is_apart {
            as_plain(&pair.desk, true, &format!("{when}, apart, desk"));
            as_plain(&pair.laptop, !is_partial, &format!("{when}, apart, laptop"));
        }
        pair.meet();
        told.1.push("together".to_owned());
        read += as_plain(&pair.desk, true, &format!("{when}, desk"));
        as_plain(&pair.laptop, !is_partial, &format!("{when}, laptop"));
        agree(&pair.desk, &pair.laptop, &when);
        for (name, stage) in [("desk", &pair.desk), ("laptop", &pair.laptop)] {
            as_from_scratch(stage, &format!("{when}, {name}"));
        }
    }
    read
}

/// Guards that what the index says follows from the files, whatever happened to them on two devices.
#[test]
fn every_view_is_as_one_from_scratch_and_as_the_files_are() {
    if cannot_mount() {
        return;
    }
    for seed in seeds() {
        let begun = std::time::Instant::now();
        let read = play(seed);
        println!("seed {seed}: {read} notes read plainly, {:?}", begun.elapsed());
        assert!(read > 0, "nothing was compared");
    }
}
