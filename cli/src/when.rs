//! Moments, as people write and read them: “2h” ago, “yesterday”, 2026-11-20T15:30, “2 minutes
//! ago”. Local time, by the zone of whoever asks. Bad input is none, never a panic.

use crate::wire::history::Moment;
use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp, Unit, Zoned};

/// Reads what stands behind the @ of a path. A day, or a minute, means its end, so that what
/// happened in it is in it.
pub(crate) fn moment(text: &str, now: &Zoned) -> Option<Moment> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| *number > 0).map(Moment::Number);
    }
    let today = now.date();
    let time = match text {
        "today" => end_of(today, now),
        "yesterday" => end_of(today.yesterday().ok()?, now),
        _ => ago_by(text, now)
            .or_else(|| text.parse::<Timestamp>().ok())
            .or_else(|| dated(text, now)),
    };
    time.map(Moment::Time)
}

/// The last instant of a day.
fn end_of(day: Date, now: &Zoned) -> Option<Timestamp> {
    let next = day.tomorrow().ok()?.to_zoned(now.time_zone().clone()).ok()?;
    next.timestamp().checked_sub(Span::new().nanoseconds(1)).ok()
}

/// “90s”, “30m”, “2h”, “3d”, “2w” before now; days and weeks by the calendar.
fn ago_by(text: &str, now: &Zoned) -> Option<Timestamp> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let count: i64 = count.parse().ok()?;
    let span = Span::new();
    let span = match unit {
        "s" => span.try_seconds(count),
        "m" | "min" => span.try_minutes(count),
        "h" => span.try_hours(count),
        "d" => span.try_days(count),
        "w" => span.try_weeks(count),
        "y" => span.try_years(count),
        _ => return None,
    };
    Some(now.checked_sub(span.ok()?).ok()?.timestamp())
}

/// A day, or a day and a time, in local time.
fn dated(text: &str, now: &Zoned) -> Option<Timestamp> {
    // Strictly as it is documented: the library alone would take many forms.
    let plain = |c: char| c.is_ascii_digit() || "-:T .".contains(c);
    let bytes = text.as_bytes();
    if text.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' || !text.chars().all(plain) {
        return None;
    }
    if text.len() == 10 {
        return end_of(text.parse().ok()?, now);
    }
    let at: DateTime = text.replace(' ', "T").parse().ok()?;
    let unit = match text.len() {
        16 => Span::new().minutes(1),
        19 => Span::new().seconds(1),
        _ => Span::new().nanoseconds(1),
    };
    let at = at.to_zoned(now.time_zone().clone()).ok()?.timestamp();
    let end = at.checked_add(unit).ok()?;
    end.checked_sub(Span::new().nanoseconds(1)).ok()
}

/// “2026-11-22 15:04”.
pub(crate) fn local(at: Timestamp, now: &Zoned) -> String {
    let at = now.time_zone().to_datetime(at);
    let (year, month, day) = (at.year(), at.month(), at.day());
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}",
        at.hour(),
        at.minute()
    )
}

/// “2 minutes ago”.
pub(crate) fn ago(at: Timestamp, now: &Zoned) -> String {
    let seconds = now.timestamp().duration_since(at).as_secs();
    let days = || {
        let date = now.time_zone().to_datetime(at).date();
        date.until((Unit::Day, now.date()))
            .map_or(0, |span| span.get_days())
    };
    let (count, what) = match seconds {
        ..=-60 => return "in the future".to_owned(),
        -59..5 => return "just now".to_owned(),
        5..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => match i64::from(days()) {
            ..14 => (days().into(), "day"),
            14..60 => (i64::from(days()) / 7, "week"),
            60..730 => (i64::from(days()) / 30, "month"),
            _ => (i64::from(days()) / 365, "year"),
        },
    };
    format!("{count} {what}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn now() -> Zoned {
        // The rules of Europe/Berlin, without the system's tables.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        "2026-11-22T15:04:05"
            .parse::<DateTime>()
            .unwrap()
            .to_zoned(zone)
            .unwrap()
    }

    fn at(text: &str) -> String {
        match moment(text, &now()) {
            Some(Moment::Time(at)) => at
                .to_zoned(now().time_zone().clone())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Guards every spelling that the help promises: in local time, a day and a minute with all
    /// that was in them, and across the end of summer time.
    #[test]
    fn moments_are_read() {
        for (text, means) in [
            ("today", "2026-11-22 23:59:59"),
            ("yesterday", "2026-11-21 23:59:59"),
            ("2h", "2026-11-22 13:04:05"),
            ("90s", "2026-11-22 15:02:35"),
            ("3d", "2026-11-19 15:04:05"),
            ("2w", "2026-11-08 15:04:05"),
            ("5w", "2026-10-18 15:04:05"),
            ("2026-11-20", "2026-11-20 23:59:59"),
            ("2026-11-20T15:30", "2026-11-20 15:30:59"),
            ("2026-11-20 15:30", "2026-11-20 15:30:59"),
            ("2026-11-20T15:30:07", "2026-11-20 15:30:07"),
            ("2026-11-20T15:30:07Z", "2026-11-20 16:30:07"),
        ] {
            assert_eq!(at(text), means, "{text}");
        }
        assert_eq!(moment("7", &now()), Some(Moment::Number(7)));
    }

    /// Guards that what is no version is none: it is part of a name then.
    #[test]
    fn nonsense_is_no_moment() {
        for text in [
            "",
            "0",
            "2x",
            "h",
            "-1",
            "2x.png",
            "example.org",
            "2026-13-01",
            "2026-11-20T25:00",
            "20261120T1530",
            "99999999999999999999",
            "9999999999999w",
            "tomorrow",
            "2026-11-20T15:30[Europe/Berlin]",
        ] {
            assert_eq!(moment(text, &now()), None, "{text}");
        }
    }

    /// Guards how long ago something is said to be: days by the calendar.
    #[test]
    fn ages_are_said() {
        for (text, means) in [
            ("2026-11-22T15:04:03", "just now"),
            ("2026-11-22T15:03:30", "35 seconds ago"),
            ("2026-11-22T15:03:00", "1 minute ago"),
            ("2026-11-22T09:00:00", "6 hours ago"),
            ("2026-11-21T09:00:00", "1 day ago"),
            ("2026-11-01T09:00:00", "3 weeks ago"),
            ("2024-01-01T09:00:00", "2 years ago"),
            ("2026-11-22T16:04:05", "in the future"),
        ] {
            let at: DateTime = text.parse().unwrap();
            let at = at.to_zoned(now().time_zone().clone()).unwrap().timestamp();
            assert_eq!(ago(at, &now()), means, "{text}");
        }
    }
}
