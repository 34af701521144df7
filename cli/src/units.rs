//! Sizes and spans of time, as people write and read them. Pure; bad input is an error, never a panic.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads "256MiB", "19 MiB", "1G", "4096" (bytes). Units are powers of 1024.
///
/// # Errors
/// A sentence for clap to show.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("“{text}” is no size; write it like 256MiB"))?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        other => return Err(format!("“{other}” is no unit; use KiB, MiB or GiB")),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("“{text}” is too much"))
}

/// Reads "90s", "30m", "2h", "1d", or "never" (`None`).
///
/// # Errors
/// A sentence for clap to show.
pub(crate) fn parse_span(text: &str) -> Result<Option<Duration>, String> {
    let text = text.trim();
    if matches!(text, "never" | "off" | "0") {
        return Ok(None);
    }
    let wrong = || format!("“{text}” is no span of time; write it like 90s, 30m, 2h, 1d or never");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let each = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    match number.checked_mul(each) {
        Some(seconds) if seconds > 0 => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(wrong()),
    }
}

/// "812 B", "1.2 GiB".
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would show as 1024.0: the next unit reads better.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// "2026-03-01T07:05:09Z", for logs. Days to a date as in Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", civil_from_days.
pub(crate) fn utc(time: SystemTime) -> String {
    // A clock before 1970 shows its beginning.
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since the 1st of March of the year 0, in eras of 400 years.
    let day_of_eras = days + 719_468;
    let (era, of_era) = (day_of_eras / 146_097, day_of_eras % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// "1,204".
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 file", "1,204 files".
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// "45 s", "12 min", "3 h 5 min", "2 d 4 h".
pub(crate) fn span(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the spellings that the documentation uses, and that nonsense is refused.
    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("19MiB"), Ok(19 << 20));
        assert_eq!(parse_size(" 256 MiB "), Ok(256 << 20));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in [
            "",
            "MiB",
            "-1",
            "1.5G",
            "1 parsec",
            "99999999999999999999",
            "18446744073709551615K",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    /// Guards that an idle time is never silently zero or endless.
    #[test]
    fn spans_are_read() {
        assert_eq!(parse_span("30m"), Ok(Some(Duration::from_secs(1800))));
        assert_eq!(parse_span("never"), Ok(None));
        for bad in ["", "30", "m", "0s", "-1m", "18446744073709551615d", "1y"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    /// Guards the edges of units and groups.
    #[test]
    fn shown_for_people() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size((1 << 20) - 1), "1.0 MiB");
        assert_eq!(size(u64::MAX), "16384.0 PiB");
        assert_eq!(
            (count(0), count(999), count(1000)),
            ("0".into(), "999".into(), "1,000".into())
        );
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(span(Duration::from_secs(3 * 3600 + 301)), "3 h 5 min");
    }

    /// Guards dates around leap days, and the first and the last second of a day.
    #[test]
    fn moments_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_772_348_709, "2026-03-01T07:05:09Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
