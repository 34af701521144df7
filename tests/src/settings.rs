//! How long the suites run, as the environment says: `COFFER_LONG=1` for the long run,
//! `COFFER_SEED=n` for one seed of a random suite.

use std::env;
use std::ops::Range;

/// Whether the long run was asked for.
pub fn long() -> bool {
    env::var_os("COFFER_LONG").is_some_and(|value| !value.is_empty() && value != "0")
}

/// One of the two, as the run is short or long.
pub fn pick<T>(short: T, when_long: T) -> T {
    if long() { when_long } else { short }
}

/// The seeds to play: so many, or the one that was asked for.
pub fn seeds(short: u64, when_long: u64) -> Range<u64> {
    match env::var("COFFER_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..pick(short, when_long),
    }
}

/// Says why a test is not run. It counts as passed, so what it says must be seen.
pub fn skip(why: &str) {
    use std::io::Write;
    // Not eprintln: what a passing test prints with that, nobody sees.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
