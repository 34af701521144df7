//! A task in one line of Markdown: `- [ ] text`, with the dates, priorities and marks that Obsidian Tasks (as emoji, or as
//! Dataview's fields) and Dataview write into it.
//!
//! Guarantees: what is taken for a mark has a column of its own and leaves the text; all else stays in it.

mod field; // [due:: 2026-01-31]
mod sign; // 📅 2026-01-31

use jiff::civil;

use crate::rows::{Status, Task, When};

/// The sign in a task's brackets, and what stands behind them; none if the line is no task.
pub(super) fn split(line: &str) -> Option<(char, &str)> {
    let rest = line.trim_start();
    let rest = match rest.as_bytes() {
        [b'-' | b'*' | b'+', ..] => &rest[1..],
        [b'0'..=b'9', ..] => rest
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix(['.', ')'])?,
        _ => return None,
    };
    let inner = rest.trim_start();
    if inner.len() == rest.len() {
        return None;
    }
    let mut chars = inner.strip_prefix('[')?.chars();
    let sign = chars.next()?;
    let behind = chars.as_str().strip_prefix(']')?;
    (behind.is_empty() || behind.starts_with([' ', '\t'])).then_some((sign, behind.trim()))
}

/// The task that a line says.
pub(super) fn of(sign: char, text: &str, raw: &str, line: u32) -> Task {
    let mut task = Task {
        source: "markdown",
        status: match sign {
            'x' | 'X' => Status::Done,
            '-' => Status::Cancelled,
            '/' => Status::InProgress,
            _ => Status::Open,
        },
        symbol: Some(sign.to_string()),
        raw: raw.trim_end().to_owned(),
        line,
        ..Task::default()
    };
    let text = field::take(text, &mut task);
    let text = sign::take(&text, &mut task);
    task.text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    task
}

/// A day, or a day and a time, as people write them: 2026-01-31, 2026-01-31T14:30, 2026-01-31 14:30.
pub(super) fn when(text: &str) -> Option<When> {
    let text = text.trim().trim_start_matches("[[").trim_end_matches("]]");
    let text = text.split('|').next().unwrap_or_default().trim();
    let (date, rest) = text.split_at_checked(10)?;
    let date: civil::Date = date.parse().ok()?;
    let time = match rest.strip_prefix(['T', ' ']) {
        Some(time) => Some(time.trim().trim_end_matches('Z').parse().ok()?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some(When { date, time })
}
