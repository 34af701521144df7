//! Seconds since 1970 that never go back: what an invitation's end, and a conversation's, are measured by.
//!
//! Guarantees: a clock that is set back keeps no ticket open; one that is set forward, or a machine that slept, ends it early or on time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The time that was said last, and when.
static LAST: Mutex<Option<(Duration, Instant)>> = Mutex::new(None);

/// As the system's clock has it, in seconds since 1970: what a person is shown.
pub(super) fn wall() -> u64 {
    since_1970().as_secs()
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Goes on at least as fast as a clock that nobody sets: it began as the system's clock, and follows that only forward.
pub(super) fn seconds() -> u64 {
    let mut last = LAST.lock();
    let now = Instant::now();
    let time = match *last {
        Some((before, at)) => further(before, now.saturating_duration_since(at), since_1970()),
        None => since_1970(),
    };
    *last = Some((time, now));
    time.as_secs()
}

fn further(before: Duration, passed: Duration, wall: Duration) -> Duration {
    (before + passed).max(wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards tickets against a clock that is set: back, it goes on as if nothing had been; forward, as after a sleep, it follows.
    #[test]
    fn it_never_goes_back() {
        let at = Duration::from_secs;
        assert_eq!(further(at(1_000), at(60), at(1_060)), at(1_060));
        assert_eq!(further(at(1_000), at(60), at(0)), at(1_060));
        assert_eq!(further(at(1_060), at(840), at(840)), at(1_900));
        assert_eq!(further(at(1_000), at(1), at(90_000)), at(90_000));
        assert_eq!(further(at(90_000), at(5), at(1_010)), at(90_005));
        assert!(seconds() <= seconds() && seconds() >= 1_700_000_000);
    }
}
