//! Dates, times, moments and spans as text, as ISO 8601 has them, over the whole range of 64 bits. Pure.
//!
//! Guarantees: no value panics, whatever its size; fractions of a second stand only where there are some.

use arrow_schema::TimeUnit;
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// How many nanoseconds one of it has.
pub(super) fn nanos_of(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => SECOND,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// “2026-03-01”, of days since 1970. The two ends of the range mean that there is no end, as in DuckDB.
pub(super) fn date(days: i64) -> String {
    match days {
        d if d == i64::from(i32::MAX) => "infinity".to_owned(),
        d if d == -i64::from(i32::MAX) => "-infinity".to_owned(),
        d => day(i128::from(d)),
    }
}

/// Days to a date as in Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn day(days: i128) -> String {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + i128::from(month <= 2);
    // ISO 8601 wants a sign for years that have not four digits.
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        10_000.. => format!("+{year}-{month:02}-{day:02}"),
        _ => format!("-{:04}-{month:02}-{day:02}", -year),
    }
}

/// “14:05:09.25”, of nanoseconds since midnight; also a span of more than a day, or a negative one.
pub(super) fn time(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let (seconds, rest) = (nanos / SECOND as u128, nanos % SECOND as u128);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{sign}{hour:02}:{minute:02}:{second:02}");
    if rest > 0 {
        text.push_str(format!(".{rest:09}").trim_end_matches('0'));
    }
    text
}

/// “2026-03-01 14:05:09”; with a zone, in that zone's time and with its offset.
pub(super) fn stamp(value: i64, unit: TimeUnit, zone: Option<&str>) -> String {
    match value {
        i64::MAX => return "infinity".to_owned(),
        // Its opposite, and not the least number, is DuckDB's other end.
        v if v == -i64::MAX => return "-infinity".to_owned(),
        _ => {}
    }
    let nanos = i128::from(value) * nanos_of(unit);
    let Some(zone) = zone else { return local(nanos) };
    match shift(nanos, zone) {
        Some(seconds) => {
            let there = local(nanos + i128::from(seconds) * SECOND);
            format!("{there}{}", offset(seconds))
        }
        None => format!("{}Z", local(nanos)),
    }
}

fn local(nanos: i128) -> String {
    format!("{} {}", day(nanos.div_euclid(DAY)), time(nanos.rem_euclid(DAY)))
}

/// “+01:00”, of seconds east of Greenwich; seconds stand only where there are some.
pub(super) fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let east = seconds.unsigned_abs();
    let mut text = format!("{sign}{:02}:{:02}", east / 3600, east / 60 % 60);
    if !east.is_multiple_of(60) {
        text.push_str(&format!(":{:02}", east % 60));
    }
    text
}

/// How far a zone was from UTC then; none for UTC, and for what the system knows nothing of.
fn shift(nanos: i128, zone: &str) -> Option<i32> {
    if matches!(zone, "" | "UTC" | "Etc/UTC" | "GMT" | "Z") {
        return None;
    }
    if let Some(fixed) = fixed(zone) {
        return Some(fixed);
    }
    // Those that are built in: whoever writes may be able to open no file.
    let zone = TimeZoneDatabase::bundled().get(zone).ok()?;
    let seconds = i64::try_from(nanos.div_euclid(SECOND)).ok()?;
    let moment = Timestamp::from_duration(SignedDuration::from_secs(seconds)).ok()?;
    Some(zone.to_offset(moment).seconds())
}

/// “+01:00”, as Arrow writes zones that are only an offset.
fn fixed(zone: &str) -> Option<i32> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<i32>().ok())?;
    Some(sign * (two(hours)? * 3600 + two(minutes)? * 60))
}

/// “1 year 2 months 3 days 04:05:06”: each part with its own sign, as they do not add up to one number.
pub(super) fn span(months: i64, days: i64, nanos: i128) -> String {
    let mut parts = Vec::new();
    for (number, one) in [(months / 12, "year"), (months % 12, "month"), (days, "day")] {
        match number {
            0 => {}
            1 | -1 => parts.push(format!("{number} {one}")),
            _ => parts.push(format!("{number} {one}s")),
        }
    }
    if nanos != 0 || parts.is_empty() {
        parts.push(time(nanos));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards dates around leap days and the year 0, and the ends of the range.
    #[test]
    fn moments_have_their_iso_form() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (i64::from(i32::MAX), "infinity"),
            (-i64::from(i32::MAX), "-infinity"),
        ] {
            assert_eq!(date(days), text);
        }
        let micro = TimeUnit::Microsecond;
        assert_eq!(stamp(1_772_373_909_000_000, micro, None), "2026-03-01 14:05:09");
        assert_eq!(stamp(-1, micro, None), "1969-12-31 23:59:59.999999");
        assert_eq!(
            stamp(250, TimeUnit::Millisecond, Some("UTC")),
            "1970-01-01 00:00:00.25Z"
        );
        assert_eq!(
            stamp(0, TimeUnit::Second, Some("-03:30")),
            "1969-12-31 20:30:00-03:30"
        );
        assert_eq!(
            stamp(0, TimeUnit::Second, Some("No/Where")),
            "1970-01-01 00:00:00Z"
        );
        for unit in [TimeUnit::Second, micro, TimeUnit::Nanosecond] {
            assert_eq!(stamp(i64::MAX, unit, Some("UTC")), "infinity");
            assert!(stamp(i64::MIN, unit, Some("Europe/Berlin")).starts_with('-') || unit != micro);
        }
    }

    /// Guards zones of the system's own list.
    #[test]
    fn a_zone_is_that_of_the_moment() {
        if TimeZoneDatabase::bundled().get("Europe/Berlin").is_err() {
            println!("skipped: this system knows no time zones");
            return;
        }
        let at = |seconds| stamp(seconds, TimeUnit::Second, Some("Europe/Berlin"));
        assert_eq!(at(1_772_373_909), "2026-03-01 15:05:09+01:00");
        assert_eq!(at(1_783_000_000), "2026-07-02 15:46:40+02:00");
    }

    /// Guards spans whose parts have different signs, and the empty one.
    #[test]
    fn spans_are_words() {
        assert_eq!(span(1, 3, 0), "1 month 3 days");
        assert_eq!(
            span(26, -1, 14_706_500_000_000),
            "2 years 2 months -1 day 04:05:06.5"
        );
        assert_eq!(span(0, 0, 0), "00:00:00");
        assert_eq!(span(-13, 0, -1), "-1 year -1 month -00:00:00.000000001");
    }
}
