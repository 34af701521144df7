//! How old something counts as, by two clocks: that of the device that recorded it, and this device's when it came.
//!
//! Guarantees: a time that lies ahead keeps nothing for ever, since it counts as the time at which its event came; one
//! long past lets nothing go at once, since what came is kept for a while whatever it says (`look`). What this device
//! recorded itself while its clock was behind what was known counts as of then. What its clock got wrong by being far
//! ahead it does not mend: what was recorded, or came, so is kept until then; what comes after is as old as it is.

use crate::record::Time;

pub(super) const DAY: i64 = 86_400;
/// What this device recorded so many seconds before what is known was recorded by a clock that had lost its time.
const LONG: i64 = 366 * DAY;
/// For so many days what came is kept, whatever it says; for fewer if the retention keeps all for fewer.
pub(super) const HERE_DAYS: u32 = 30;

/// What was recorded, or removed, at a time by its device's clock, and came at one by this device's.
#[derive(Clone, Copy)]
pub(super) struct Dated {
    pub(super) told: Time,
    pub(super) came: i64,
    /// This device recorded it, so that both are by its clock: what came later than it was told was told too early.
    pub(super) own: bool,
}

impl Dated {
    /// When it counts as recorded, in seconds since 1970.
    pub(super) fn counts(self, now: Time) -> i64 {
        let told = self.told.sec;
        if told > now.sec {
            told.min(self.came)
        } else if self.own && self.came <= now.sec {
            told.max(self.came)
        } else if self.own && told < now.sec.saturating_sub(LONG) {
            // Told by a clock that had lost its time, and known to have come later than what is known by now.
            now.sec
        } else {
            told
        }
    }

    /// Its age in seconds.
    pub(super) fn age(self, now: Time) -> i64 {
        now.sec.saturating_sub(self.counts(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time {
        sec: 1_800_000_000,
        nsec: 0,
    };

    fn dated(told: i64, came: i64) -> Dated {
        let at = |days: i64| NOW.sec.saturating_add(days.saturating_mul(DAY));
        Dated {
            told: Time::of(at(told)),
            came: at(came),
            own: false,
        }
    }

    /// Guards what was saved by a clock that had lost its time, when less is known of the time since: it is new, and not of 1970.
    #[test]
    fn what_a_lost_clock_recorded_is_no_older_than_what_is_known() {
        let own = |told, came| Dated {
            own: true,
            ..dated(told, came)
        };
        assert_eq!(own(-20_000, 50).age(NOW), 0);
        assert_eq!(own(-100, 50).age(NOW) / DAY, 100, "its clock was ahead since");
        assert_eq!(own(-20_000, -10).age(NOW) / DAY, 10);
    }

    /// Guards what counts: the time that was told, unless it is yet to be; then when it came.
    #[test]
    fn a_time_ahead_counts_as_when_it_came() {
        let age = |told, came| dated(told, came).age(NOW) / DAY;
        assert_eq!(age(-100, -5), 100);
        assert_eq!(age(-100, -100), 100);
        assert_eq!(age(40_000, -50), 50);
        assert_eq!(dated(i64::MAX, -50).age(NOW) / DAY, 50);
        assert_eq!(age(3_000, 2_000), -2_000, "both clocks were wrong: it is kept");
        assert_eq!(dated(i64::MIN, 0).age(NOW), i64::MAX);
    }

    /// Guards what this device recorded while its clock was behind what it knew: it is no older than that; and a time that
    /// was known and lies ahead keeps nothing.
    #[test]
    fn what_is_recorded_here_is_no_older_than_what_was_known() {
        let age = |told, came| {
            let own = Dated {
                own: true,
                ..dated(told, came)
            };
            own.age(NOW) / DAY
        };
        assert_eq!(age(-20_000, -5), 5);
        assert_eq!(age(-5, -5), 5);
        assert_eq!(age(-5, 4_000), 5);
        assert_eq!(age(4_000, 4_000), -4_000, "recorded ahead: it is kept");
    }
}
