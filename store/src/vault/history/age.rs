//! How old something counts as, by two clocks: that of the device that recorded it, and this device's when it came.
//!
//! Guarantees: a time that lies ahead keeps nothing for ever, since it counts as the time at which its event came; one
//! long past lets nothing go at once, since what came is kept for a while whatever it says. What a clock of this device
//! got wrong it does not mend: what was recorded, or came, far ahead is kept until then.

use crate::record::Time;

pub(super) const DAY: i64 = 86_400;
/// For so many days what came is kept, whatever it says; for fewer if the retention keeps all for fewer.
const HERE_DAYS: u32 = 30;

/// What was recorded, or removed, at a time by its device's clock, and came at one by this device's.
#[derive(Clone, Copy)]
pub(super) struct Dated {
    pub(super) told: Time,
    pub(super) came: i64,
}

impl Dated {
    /// When it counts as recorded, in seconds since 1970.
    pub(super) fn counts(self, now: Time) -> i64 {
        match self.told.sec > now.sec {
            true => self.told.sec.min(self.came),
            false => self.told.sec,
        }
    }

    /// Its age in seconds.
    pub(super) fn age(self, now: Time) -> i64 {
        now.sec.saturating_sub(self.counts(now))
    }

    /// Whether it has just come, by this device's clock; `days`: for so many the retention keeps all such.
    pub(super) fn is_new_here(self, clock: Time, days: u32) -> bool {
        let here = clock.sec.saturating_sub(self.came);
        (0..i64::from(days.min(HERE_DAYS)) * DAY).contains(&here)
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
        }
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

    /// Guards that what came a moment ago stays for a while, and by no clock for ever.
    #[test]
    fn what_has_just_come_stays_for_a_while() {
        let is_new = |came, days| dated(i64::MIN, came).is_new_here(NOW, days);
        assert!(is_new(0, 30) && is_new(-29, 30) && !is_new(-30, 30));
        assert!(is_new(-29, 1000) && !is_new(-30, 1000));
        assert!(is_new(-6, 7) && !is_new(-7, 7) && !is_new(0, 0));
        assert!(!is_new(1, 30) && !is_new(i64::MAX, 30) && !is_new(i64::MIN, 30));
    }
}
