//! Days as people write them in a question.
//!
//! Guarantees: reads no clock; what is no day is none.

use jiff::civil::Date;
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// When what is named begins: a day, a month, a year, `today`, `yesterday`, or so long ago (`7d`, `2w`, `3m`, `1y`).
pub(super) fn start(text: &str, now: &Zoned) -> Option<Timestamp> {
    let day = day(text.trim(), now.date())?;
    Some(day.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

fn day(text: &str, today: Date) -> Option<Date> {
    match text.to_ascii_lowercase().as_str() {
        "today" => return Some(today),
        "yesterday" => return today.yesterday().ok(),
        _ => (),
    }
    if let Some(span) = ago(text) {
        return today.checked_sub(span).ok();
    }
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4..=4)?;
    let month = parts.next().map_or(Some(1), |month| number(month, 1..=2))?;
    let day = parts.next().map_or(Some(1), |day| number(day, 1..=2))?;
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn ago(text: &str) -> Option<Span> {
    let (at, unit) = text.char_indices().next_back()?;
    let count = i64::from(number(&text[..at], 1..=4)?);
    match unit.to_ascii_lowercase() {
        'd' => Some(count.days()),
        'w' => Some(count.weeks()),
        'm' => Some(count.months()),
        'y' => Some(count.years()),
        _ => None,
    }
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i16> {
    let is_number = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
