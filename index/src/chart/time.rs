//! Scales of time: round moments between two, from seconds to centuries.
//!
//! Guarantees: ticks are beginnings of seconds, minutes, hours, days, weeks (Mondays), months or years of the calendar,
//! rise, lie on the scale, and are no more than asked for; the first names day and year, too. Knows no zone.

use jiff::civil::{Date, DateTime};

use super::scale::{Scale, Tick};

const DAY: f64 = 86_400.0;

/// Short names of months, as all labels have them.
pub(super) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Seconds since 1970, on a clock that knows no zones.
pub(super) fn seconds(moment: DateTime) -> f64 {
    moment
        .duration_since(Date::constant(1970, 1, 1).at(0, 0, 0, 0))
        .as_secs_f64()
}

/// The moment of these seconds; none beyond the years -9999 and 9999.
pub(super) fn moment(seconds: f64) -> Option<DateTime> {
    let span = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    Date::constant(1970, 1, 1).at(0, 0, 0, 0).checked_add(span).ok()
}

/// How far ticks are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Seconds(i64),
    Days(i64),
    Weeks,
    Months(i64),
    Years(i64),
}

impl Step {
    /// About how long, in seconds.
    fn length(self) -> f64 {
        match self {
            Step::Seconds(count) => count as f64,
            Step::Days(count) => count as f64 * DAY,
            Step::Weeks => 7.0 * DAY,
            Step::Months(count) => count as f64 * 28.0 * DAY,
            Step::Years(count) => count as f64 * 365.0 * DAY,
        }
    }

    /// The number of the last step that begins no later than this.
    fn number(self, moment: DateTime) -> i64 {
        let days = (seconds(moment) / DAY).floor() as i64;
        match self {
            Step::Seconds(count) => (seconds(moment).floor() as i64).div_euclid(count),
            Step::Days(count) => days.div_euclid(count),
            // 1970 began on a Thursday.
            Step::Weeks => (days + 3).div_euclid(7),
            Step::Months(count) => {
                (i64::from(moment.year()) * 12 + i64::from(moment.month()) - 1).div_euclid(count)
            }
            Step::Years(count) => i64::from(moment.year()).div_euclid(count),
        }
    }

    /// When the step of this number begins.
    fn begin(self, number: i64) -> Option<DateTime> {
        let first = |year: i64, month: i64| {
            let date = Date::new(year.try_into().ok()?, (month + 1).try_into().ok()?, 1).ok()?;
            Some(date.at(0, 0, 0, 0))
        };
        match self {
            Step::Seconds(count) => moment((number * count) as f64),
            Step::Days(count) => moment((number * count) as f64 * DAY),
            Step::Weeks => moment((number * 7 - 3) as f64 * DAY),
            Step::Months(count) => first((number * count).div_euclid(12), (number * count).rem_euclid(12)),
            Step::Years(count) => first(number * count, 0),
        }
    }

    /// What stands at a tick: the first says all, each other what is new.
    fn label(self, at: DateTime, last: Option<DateTime>) -> String {
        let month = MONTHS[usize::from(at.month().unsigned_abs()).clamp(1, 12) - 1];
        let new_year = last.is_none_or(|last| last.year() != at.year());
        let day = if new_year {
            format!("{} {month} {}", at.day(), at.year())
        } else {
            format!("{} {month}", at.day())
        };
        match self {
            Step::Years(_) => at.year().to_string(),
            Step::Months(_) if last.is_none() => format!("{month} {}", at.year()),
            Step::Months(_) if new_year => at.year().to_string(),
            Step::Months(_) => month.to_owned(),
            Step::Days(_) | Step::Weeks => day,
            Step::Seconds(count) => {
                let time = if count % 60 == 0 {
                    format!("{:02}:{:02}", at.hour(), at.minute())
                } else {
                    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
                };
                match last {
                    Some(last) if last.date() == at.date() => time,
                    Some(_) if at.hour() == 0 && at.minute() == 0 && at.second() == 0 => day,
                    _ => format!("{day} {time}"),
                }
            }
        }
    }
}

/// Where steps of days begin among all of them.
const DAILY: usize = 12;

const STEPS: [Step; 33] = [
    Step::Seconds(1),
    Step::Seconds(5),
    Step::Seconds(15),
    Step::Seconds(30),
    Step::Seconds(60),
    Step::Seconds(5 * 60),
    Step::Seconds(15 * 60),
    Step::Seconds(30 * 60),
    Step::Seconds(3600),
    Step::Seconds(3 * 3600),
    Step::Seconds(6 * 3600),
    Step::Seconds(12 * 3600),
    Step::Days(1),
    Step::Days(2),
    Step::Weeks,
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(2),
    Step::Years(5),
    Step::Years(10),
    Step::Years(20),
    Step::Years(50),
    Step::Years(100),
    Step::Years(200),
    Step::Years(500),
    Step::Years(1000),
    Step::Years(2000),
    Step::Years(5000),
    Step::Years(10_000),
    Step::Years(20_000),
];

/// What lies along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// Numbers.
    Numbers,
    /// Whole days: no hours are named between them.
    Days,
    /// Moments.
    Moments,
}

impl Along {
    /// A scale over these values; with some time around a moment that is alone.
    pub(super) fn scale(self, values: impl Iterator<Item = f64>) -> Scale {
        let around = match self {
            Along::Numbers => return Scale::over(values),
            Along::Days => DAY,
            Along::Moments => DAY / 2.0,
        };
        let (from, to) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), at| {
            (from.min(at), to.max(at))
        });
        match (from > to, to - from < 1.0) {
            (true, _) => Scale { from: 0.0, to: DAY },
            (_, true) => Scale {
                from: from - around,
                to: to + around,
            },
            _ => Scale { from, to },
        }
    }

    /// No more than `count` round values on a scale.
    pub(super) fn ticks(self, scale: Scale, count: usize) -> Vec<Tick> {
        match self {
            Along::Numbers => scale.ticks(count),
            Along::Days => ticks(scale, count, &STEPS[DAILY..]),
            Along::Moments => ticks(scale, count, &STEPS),
        }
    }
}

/// The first of these steps of which no more than `count` begin on a scale.
fn ticks(scale: Scale, count: usize, steps: &[Step]) -> Vec<Tick> {
    let count = count.max(1);
    for step in steps {
        if (scale.to - scale.from) / step.length() > count as f64 + 1.0 {
            continue;
        }
        let found = at(scale, *step, count);
        if found.len() <= count {
            return found;
        }
    }
    Vec::new()
}

/// The ticks of one step; one more than `count`, if there are so many.
fn at(scale: Scale, step: Step, count: usize) -> Vec<Tick> {
    let mut ticks = Vec::new();
    let Some(first) = moment(scale.from) else {
        return ticks;
    };
    let (first, mut last) = (step.number(first), None);
    for number in (first..).take(count + 2) {
        let Some(begin) = step.begin(number) else {
            continue;
        };
        let place = seconds(begin);
        if place > scale.to {
            break;
        }
        if place >= scale.from {
            ticks.push(Tick {
                at: place,
                label: step.label(begin, last),
            });
            last = Some(begin);
        }
    }
    ticks
}
