//! The emoji of Obsidian Tasks: 📅 due, ⏳ scheduled, 🛫 start, ➕ created, ✅ done, ❌ cancelled, 🔁 recurrence, 🆔 and ⛔
//! of dependencies, 🏁 what completing does, and priorities.

use super::when;
use crate::rows::{Task, When};

/// Makes marks columns of the task; the text without them.
pub(super) fn take(text: &str, task: &mut Task) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest[c.len_utf8()..].trim_start_matches('\u{fe0f}');
        match mark(c, after, task) {
            Some(used) => {
                left.push(' ');
                rest = &after[used..];
            }
            None => {
                left.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    left
}

/// Takes one mark; how many bytes behind it belong to it.
fn mark(c: char, after: &str, task: &mut Task) -> Option<usize> {
    if let Some(priority) = priority(c) {
        task.priority = Some(priority);
        return Some(0);
    }
    let space = after.len() - after.trim_start().len();
    let value = &after[space..];
    let date = |to: &mut Option<When>| {
        let (date, _) = value.split_at_checked(10)?;
        *to = Some(when(date)?);
        Some(space + 10)
    };
    match c {
        '📅' | '📆' | '🗓' => date(&mut task.due),
        '⏳' | '⌛' => date(&mut task.scheduled),
        '🛫' => date(&mut task.start),
        '➕' => date(&mut task.created),
        '✅' => date(&mut task.done),
        '❌' => date(&mut task.cancelled),
        '🔁' => {
            let words = run(value, |c| c.is_ascii_alphanumeric() || " ,!".contains(c));
            let rule = value[..words].trim_end();
            (!rule.is_empty()).then(|| task.recurrence = Some(rule.to_owned()))?;
            Some(space + rule.len())
        }
        '🆔' => {
            let id = run(value, |c| c.is_ascii_alphanumeric() || "-_".contains(c));
            (id > 0).then(|| task.id = Some(value[..id].to_owned()))?;
            Some(space + id)
        }
        '🏁' => {
            let what = run(value, |c| c.is_ascii_alphabetic());
            (what > 0).then_some(space + what)
        }
        _ => None,
    }
}

fn run(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

fn priority(c: char) -> Option<u8> {
    Some(match c {
        '🔺' => 1,
        '⏫' => 3,
        '🔼' => 4,
        '🔽' => 7,
        '⏬' => 9,
        _ => return None,
    })
}
