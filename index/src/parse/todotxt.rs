//! todo.txt: one task in a line (todotxt.org), with the names that its programs have agreed on: `due:`, `t:` (start),
//! `rec:`, `id:`, and `pri:`, in which a done task keeps its priority.
//!
//! Read here and not by a library: that for this format drops each word with a colon, a time of day too.

use super::task::when;
use super::{plain, tag};
use crate::rows::{Extract, Status, Task, When};

pub(super) fn read(text: &str, out: &mut Extract) {
    for (number, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            out.tasks.push(task(line, number as u32 + 1));
        }
    }
    plain::read(text, out);
}

/// A date that begins a text, and what stands behind it.
fn date(text: &str) -> Option<(When, &str)> {
    let (word, rest) = text.split_once(' ')?;
    Some((when(word).filter(|when| when.time.is_none())?, rest.trim_start()))
}

/// `(A)` that begins a text, and what stands behind it.
fn priority(text: &str) -> Option<(u8, &str)> {
    match text.as_bytes() {
        [b'(', letter @ b'A'..=b'Z', b')', b' ', ..] => Some((rank(*letter), text[4..].trim_start())),
        _ => None,
    }
}

/// Letters as calendars count: A is 1, I and all behind it are 9.
fn rank(letter: u8) -> u8 {
    (letter - b'A' + 1).min(9)
}

fn task(line: &str, number: u32) -> Task {
    let mut task = Task {
        source: "todo.txt",
        raw: line.to_owned(),
        line: number,
        ..Task::default()
    };
    let mut text = line.trim();
    if let Some(rest) = text.strip_prefix("x ") {
        task.status = Status::Done;
        text = rest.trim_start();
    }
    if let Some((rank, rest)) = priority(text) {
        (task.priority, text) = (Some(rank), rest);
    }
    if let Some((first, rest)) = date(text) {
        text = rest;
        match task.status {
            Status::Done => task.done = Some(first),
            _ => task.created = Some(first),
        }
    }
    if task.done.is_some()
        && let Some((created, rest)) = date(text)
    {
        (task.created, text) = (Some(created), rest);
    }
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        if !mark(word, &mut task) {
            words.push(word);
        }
    }
    task.text = words.join(" ");
    task
}

/// Makes a column of a word that has one; whether it leaves the text.
fn mark(word: &str, task: &mut Task) -> bool {
    if let Some(name) = word.strip_prefix('+').filter(|name| !name.is_empty()) {
        match task.project {
            None => task.project = Some(name.to_owned()),
            Some(_) => tag::add(&mut task.tags, name),
        }
        return false;
    }
    if let Some(name) = word.strip_prefix(['@', '#']) {
        tag::add(&mut task.tags, name);
        return false;
    }
    let Some((key, value)) = word.split_once(':').filter(|(_, value)| !value.is_empty()) else {
        return false;
    };
    let put = |to: &mut Option<When>| {
        let when = when(value);
        *to = when.or(*to);
        when.is_some()
    };
    match key {
        "due" => put(&mut task.due),
        "t" => put(&mut task.start),
        "rec" => {
            task.recurrence = Some(value.to_owned());
            true
        }
        "id" => {
            task.id = Some(value.to_owned());
            true
        }
        "pri" => match value.as_bytes() {
            [letter @ b'A'..=b'Z'] => {
                task.priority = task.priority.or(Some(rank(*letter)));
                true
            }
            _ => false,
        },
        _ => false,
    }
}
