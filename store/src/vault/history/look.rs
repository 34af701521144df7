//! When history was looked at last, by this device's clock; and what that says of a clock that was wrong.
//!
//! Two clocks cannot be told apart: one that was ahead and was set right, and one that was right and has lost its time
//! (no battery). So what is known by then goes forth and back by a month at most with each day on which history is looked
//! at: no clock that was ahead makes what comes later count as of then, and none that is far behind makes what is recorded
//! by it look decades old. And where the clock leaps forth, be it that it was behind or that nobody used the vault, nobody
//! knows how long what came shortly before has been here: its first days begin anew.
//!
//! Guarantees: what came within a month before the last look before a leap is as new as if it had come at the leap, for a
//! month; and no leap, nor one after the other, keeps anything for longer.

use super::age::{DAY, HERE_DAYS};
use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Db, Table};
use crate::keys::{Key, open, seal};
use crate::record::{Time, get_time, put_time};
use crate::vault::heads::local_aad;

/// How many days the daily thinning goes on at a time, at most.
const STEP: i64 = 31;
/// A clock that went back by more days than these has lost its time, more likely than that it was ahead until now.
const LOST: i64 = 366;
/// A clock that went forth by more days than these since the last look has leapt.
const LEAP: i64 = 7;
/// The row that says when versions were thinned last.
const THINNED: &[u8] = b"thinned";

/// The clock leapt forth, at this time by what it said then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leap {
    at: i64,
    /// What came at this time or later, by this device's clock, had just come.
    from: i64,
}

/// A look at history, and what to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// As of when things are as old as they are.
    pub(super) now: Time,
    /// What the clock says.
    pub(super) clock: Time,
    leap: Leap,
}

/// What is known of the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// As of when it was; later, where the clock has lost its time since.
    as_of: Time,
    clock: Time,
    leap: Leap,
}

fn days(time: Time, days: i64) -> Time {
    Time {
        sec: time.sec.saturating_add(days.saturating_mul(DAY)),
        ..time
    }
}

fn is_within(clock: i64, since: i64, days: i64) -> bool {
    (0..days.saturating_mul(DAY)).contains(&clock.saturating_sub(since))
}

impl Look {
    /// As of this time, and by this clock, after the last one.
    pub(super) fn new(now: Time, clock: Time, last: Option<&Looked>) -> Look {
        let leap = match last {
            // All that is here may have come by a clock that was set right since.
            None => Leap {
                at: clock.sec,
                from: i64::MIN,
            },
            Some(last) if clock.sec > days(last.clock, LEAP).sec => Leap {
                at: clock.sec,
                from: days(last.as_of, -i64::from(HERE_DAYS)).sec,
            },
            Some(last) => last.leap,
        };
        Look { now, clock, leap }
    }

    /// The same, by whoever says which time it is: no leap is seen in that.
    pub(super) fn as_of(now: Time, last: Option<&Looked>) -> Look {
        let never = Leap {
            at: i64::MIN,
            from: i64::MAX,
        };
        Look {
            now,
            clock: now,
            leap: last.map_or(never, |last| last.leap),
        }
    }

    /// The daily one by this clock; none if the last one was within a day.
    pub(super) fn daily(clock: Time, last: Option<&Looked>) -> Option<Look> {
        let mut now = clock;
        if let Some(last) = last {
            // A last time that lies ahead is of a clock that was wrong.
            if is_within(clock.sec, last.clock.sec, 1) {
                return None;
            }
            now.sec = now.sec.min(days(last.as_of, STEP).sec);
        }
        Some(Look::new(now, clock, last))
    }

    /// Whether what came at this time, by this device's clock, did so in the last days: by the clock, or by its leap.
    pub(super) fn is_new(&self, came: i64, days: u32) -> bool {
        let (clock, days) = (self.clock.sec, days.min(HERE_DAYS).into());
        let by_leap = came >= self.leap.from && is_within(clock, self.leap.at, days);
        by_leap || is_within(clock, came, days)
    }

    /// What the next one is to know, after that before this one.
    pub(super) fn looked(self, last: Option<&Looked>) -> Looked {
        let as_of = match last {
            // Once costs nothing: a machine without a battery is set right soon after each start.
            Some(last) if last.as_of.sec > days(self.now, LOST).sec => match last.is_lost() {
                true => days(last.as_of, -STEP),
                false => last.as_of,
            },
            _ => self.now,
        };
        Looked {
            as_of,
            clock: self.clock,
            leap: self.leap,
        }
    }
}

impl Looked {
    /// Whether the clock had lost its time by then.
    fn is_lost(&self) -> bool {
        self.as_of.sec > days(self.clock, LOST).sec
    }

    /// Before this time nothing comes any more, though the clock may say so, in seconds since 1970.
    pub(super) fn known(&self) -> i64 {
        self.as_of.sec
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0);
        put_time(&mut w, self.as_of);
        put_time(&mut w, self.clock);
        w.i64(self.leap.at).i64(self.leap.from);
        w.0
    }

    fn decode(bytes: &[u8]) -> Result<Looked, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed(
                "the note of the last thinning is of an unknown version",
            ));
        }
        let looked = Looked {
            as_of: get_time(&mut r)?,
            clock: get_time(&mut r)?,
            leap: Leap {
                at: r.i64()?,
                from: r.i64()?,
            },
        };
        r.end()?;
        Ok(looked)
    }

    /// The last look, if there was one; of what cannot be read nothing is known.
    pub(super) fn read(db: &Db, local: &Key) -> Result<Option<Looked>, StoreError> {
        let sealed = db.get(Table::Meta, THINNED)?;
        Ok(sealed.and_then(|sealed| {
            let plain = open(local, &local_aad(3), &sealed).ok()?;
            Looked::decode(&plain).ok()
        }))
    }

    pub(super) fn put(&self, batch: &mut Batch, local: &Key) {
        batch.put(Table::Meta, THINNED, seal(local, &local_aad(3), &self.encode()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(days: i64) -> Time {
        Time::of(NOW + days * DAY)
    }

    /// One look a day by each of these clocks, which say a day since [`NOW`]: each look, and what is known then.
    fn looks(clocks: impl IntoIterator<Item = i64>) -> Vec<(Look, Looked)> {
        let mut last: Option<Looked> = None;
        let mut all = Vec::new();
        for clock in clocks {
            let look = Look::daily(at(clock), last.as_ref()).unwrap();
            let looked = look.looked(last.as_ref());
            assert_eq!(Looked::decode(&looked.encode()), Ok(looked));
            all.push((look, looked));
            last = Some(looked);
        }
        all
    }

    fn known(looked: &Looked) -> i64 {
        (looked.known() - NOW) / DAY
    }

    /// Guards what counts as known: it follows the clock, and a clock that is far behind for a while costs it a month for each
    /// day of that, not all it had. After one such day history was looked at as of 1970, and a month later each day, for two years.
    #[test]
    fn a_clock_that_lost_its_time_costs_a_month_a_day() {
        let lost = -20_000;
        let all = looks([0, 1, lost, lost + 1, 2, 3, 4]);
        let known: Vec<i64> = all.iter().map(|(_, looked)| known(looked)).collect();
        assert_eq!(known, [0, 1, 1, -30, 1, 3, 4]);
        // Nothing is older by a clock that is behind.
        assert_eq!(all[2].0.now, at(lost));
        assert_eq!(all[4].0.now, at(1));
    }

    /// Guards a machine without a battery, which is started each day, and whose clock is set right soon after. What was known went back by a
    /// month at each start, and came back to the same day: nothing ever aged.
    #[test]
    fn a_clock_that_is_lost_at_each_start_goes_on() {
        let lost = -20_000;
        let all = looks((0..40).flat_map(|day| [day, lost]));
        let known: Vec<i64> = all.iter().map(|(_, looked)| known(looked)).collect();
        assert_eq!(known, (0..40).flat_map(|day| [day, day]).collect::<Vec<_>>());
    }

    /// Guards what a clock that is far ahead for a while does: a month for each day, until it is right again.
    #[test]
    fn a_clock_that_was_ahead_leaves_nothing_behind() {
        let all = looks([0, 3650, 3651, 3652, 4, 5]);
        let known: Vec<i64> = all.iter().map(|(_, looked)| known(looked)).collect();
        assert_eq!(known, [0, 31, 62, 93, 4, 5]);
        // What came by the right clock is as new as it is; by no leap that lies ahead.
        let (look, _) = all[5];
        assert!(look.is_new(at(4).sec, 30) && !look.is_new(at(-26).sec, 30));
    }

    /// Guards the first days of what came before a leap, and their end.
    #[test]
    fn a_leap_begins_the_first_days_anew_once() {
        let leaps = looks([0, 1].into_iter().chain(100..=130));
        let new = |place: usize, came: i64| leaps[place].0.is_new(at(came).sec, 30);
        assert!(new(1, 1) && new(2, 1) && new(2, -28) && !new(2, -30));
        assert!(new(31, 1) && !new(32, 1), "30 days after the leap");
        assert!(
            !leaps[2].0.is_new(at(1).sec, 0),
            "nothing is kept where nothing is to be"
        );
        // Who uses it now and then has a leap each time: they do not add up.
        for between in [8, 20, 31, 60] {
            let rare = looks((0..20).map(|n| n * between));
            let last = rare.iter().rposition(|(look, _)| look.is_new(at(0).sec, 30));
            assert!(last.unwrap() as i64 * between <= 30 + between, "{between}");
        }
    }

    /// Guards that what came a moment ago stays for a while, and by no clock for ever.
    #[test]
    fn what_has_just_come_stays_for_a_while() {
        let leap = Leap {
            at: at(-100).sec,
            from: i64::MIN,
        };
        let (now, clock) = (at(0), at(0));
        let is_new = |came: i64, days| {
            let came = NOW.saturating_add(came.saturating_mul(DAY));
            Look { now, clock, leap }.is_new(came, days)
        };
        assert!(is_new(0, 30) && is_new(-29, 30) && !is_new(-30, 30));
        assert!(is_new(-29, 1000) && !is_new(-30, 1000));
        assert!(is_new(-6, 7) && !is_new(-7, 7) && !is_new(0, 0));
        assert!(!is_new(1, 30) && !is_new(i64::MAX, 30) && !is_new(i64::MIN, 30));
    }

    /// Guards that numbers at their ends wrap nowhere.
    #[test]
    fn times_at_their_ends_are_times() {
        let ends = [i64::MIN, 0, i64::MAX].map(Time::of);
        for clock in ends {
            for before in ends {
                let first = Look::new(before, before, None).looked(None);
                let look = Look::new(clock, clock, Some(&first));
                let _ = (look.is_new(i64::MIN, 30), look.looked(Some(&first)));
                let _ = Look::daily(clock, Some(&first));
            }
        }
    }
}
