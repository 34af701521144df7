//! Dataview's inline fields in a task: `[due:: 2026-01-31]` or `(due:: 2026-01-31)`, by the names that Dataview and
//! Obsidian Tasks use.

use super::when;
use crate::rows::Task;

/// Makes fields columns of the task; the text without those that have one.
pub(super) fn take(text: &str, task: &mut Task) -> String {
    if !text.contains("::") {
        return text.to_owned();
    }
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['[', '(']) {
        let (before, inner) = rest.split_at(at);
        left.push_str(before);
        let close = if inner.starts_with('[') { ']' } else { ')' };
        match field(&inner[1..], close) {
            Some((key, value, len)) if put(key, value, task) => {
                left.push(' ');
                rest = &inner[1 + len..];
            }
            _ => {
                left.push_str(&inner[..1]);
                rest = &inner[1..];
            }
        }
    }
    left.push_str(rest);
    left
}

/// A field's name and value, and how long all of it is with the closing bracket.
fn field(text: &str, close: char) -> Option<(&str, &str, usize)> {
    let (key, behind) = text.split_once("::")?;
    if key.contains(['[', ']', '(', ')']) {
        return None;
    }
    // A value may be a link: [due:: [[2026-01-31]]].
    let (mut depth, open) = (0, if close == ']' { '[' } else { '(' });
    let end = behind.char_indices().find_map(|(at, c)| {
        if c == close && depth == 0 {
            return Some(at);
        }
        depth += i32::from(c == open) - i32::from(c == close);
        None
    })?;
    let len = key.len() + 2 + end + close.len_utf8();
    Some((key.trim(), behind[..end].trim(), len))
}

/// Whether the field has a column, and its value is one for it.
fn put(key: &str, value: &str, task: &mut Task) -> bool {
    let date = match &*key.to_lowercase() {
        "due" => &mut task.due,
        "scheduled" => &mut task.scheduled,
        "start" => &mut task.start,
        "created" => &mut task.created,
        "completion" | "done" | "completed" => &mut task.done,
        "cancelled" => &mut task.cancelled,
        "priority" => {
            let Some(priority) = priority(value) else {
                return false;
            };
            task.priority = Some(priority);
            return true;
        }
        "repeat" | "recurrence" => return text(&mut task.recurrence, value),
        "id" => return text(&mut task.id, value),
        "project" => return text(&mut task.project, value),
        _ => return false,
    };
    let when = when(value);
    *date = when.or(*date);
    when.is_some()
}

fn text(to: &mut Option<String>, value: &str) -> bool {
    let value = value.trim_start_matches("[[").trim_end_matches("]]");
    if !value.is_empty() {
        *to = Some(value.to_owned());
    }
    !value.is_empty()
}

fn priority(value: &str) -> Option<u8> {
    Some(match &*value.to_lowercase() {
        "highest" => 1,
        "high" => 3,
        "medium" => 4,
        "normal" => 5,
        "low" => 7,
        "lowest" => 9,
        number => number.parse().ok().filter(|n| (1..=9).contains(n))?,
    })
}
