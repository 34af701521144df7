//! Values as JSON, and as plain text.
//!
//! Guarantees: one line; what would drive a terminal or turn text around is escaped, which changes no value. Nothing is
//! JSON only because somebody said so: text that does not parse is a string.

use super::cell::{Cell, hex};
use super::harmless;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The value as JSON, at the end of `out`.
pub(super) fn json(cell: &Cell<'_>, out: &mut String) {
    match cell {
        Cell::Null => out.push_str("null"),
        // JSON has no name for them.
        Cell::Single(x) if !x.is_finite() => out.push_str("null"),
        Cell::Double(x) if !x.is_finite() => out.push_str("null"),
        Cell::Bool(_) | Cell::Int(_) | Cell::Number(_) | Cell::Single(_) | Cell::Double(_) => {
            out.push_str(&plain(cell));
        }
        Cell::Stamp(text) => string(&text.replacen(' ', "T", 1), out),
        Cell::Moment(text) | Cell::Made(text) => string(text, out),
        Cell::Text(text) => string(text, out),
        Cell::Json(text) => match is_json(text) {
            true => compact(text, out),
            false => string(text, out),
        },
        Cell::Bytes(bytes) => string(&hex(bytes), out),
        Cell::List(cells) => list(cells.iter(), out),
        // A row without names is none that an object could hold.
        Cell::Struct(parts) if !parts.is_empty() && parts.iter().all(|(name, _)| name.is_empty()) => {
            list(parts.iter().map(|(_, cell)| cell), out);
        }
        Cell::Struct(parts) => object(parts.iter().map(|(name, cell)| (Cow::Borrowed(*name), cell)), out),
        Cell::Map(pairs) => object(pairs.iter().map(|(key, cell)| (plain(key), cell)), out),
    }
}

/// The value as text without quotes; nested ones as JSON, none as nothing.
pub(super) fn plain<'a>(cell: &Cell<'a>) -> Cow<'a, str> {
    match cell {
        Cell::Null => Cow::Borrowed(""),
        Cell::Bool(true) => Cow::Borrowed("true"),
        Cell::Bool(false) => Cow::Borrowed("false"),
        Cell::Int(number) => number.to_string().into(),
        Cell::Number(text) | Cell::Moment(text) | Cell::Stamp(text) | Cell::Made(text) => text.clone().into(),
        // Rust's own: the shortest digits that read back to the same number.
        Cell::Single(x) => format!("{x:?}").into(),
        Cell::Double(x) => format!("{x:?}").into(),
        Cell::Text(text) | Cell::Json(text) => Cow::Borrowed(text),
        Cell::Bytes(bytes) => hex(bytes).into(),
        Cell::List(_) | Cell::Struct(_) | Cell::Map(_) => {
            let mut out = String::new();
            json(cell, &mut out);
            out.into()
        }
    }
}

fn list<'a, 'b: 'a>(cells: impl Iterator<Item = &'a Cell<'b>>, out: &mut String) {
    out.push('[');
    for (at, cell) in cells.enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        json(cell, out);
    }
    out.push(']');
}

fn object<'a, 'b: 'a>(parts: impl Iterator<Item = (Cow<'a, str>, &'a Cell<'b>)>, out: &mut String) {
    out.push('{');
    for (at, (name, cell)) in parts.enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        string(&name, out);
        out.push(':');
        json(cell, out);
    }
    out.push('}');
}

/// A string of JSON.
pub(super) fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => escaped(c, out),
        }
    }
    out.push('"');
}

fn escaped(c: char, out: &mut String) {
    if !harmless::is_harmful(c) {
        return out.push(c);
    }
    let mut units = [0; 2];
    for unit in c.encode_utf16(&mut units) {
        // Into memory, this cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

fn is_json(text: &str) -> bool {
    // Half of a surrogate pair is no letter, and only who reads the strings sees it.
    let halves = text.contains("\\ud") || text.contains("\\uD");
    match halves {
        true => serde_json::from_str::<serde_json::Value>(text).is_ok(),
        false => serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(),
    }
}

/// JSON without the space between its parts: it must not be two lines of JSON Lines. Numbers stay as they are written.
fn compact(text: &str, out: &mut String) {
    let (mut quoted, mut escape) = (false, false);
    for c in text.chars() {
        if !quoted && c.is_ascii_whitespace() {
            continue;
        }
        if c == '"' && !escape {
            quoted = !quoted;
        }
        escape = quoted && c == '\\' && !escape;
        escaped(c, out);
    }
}
