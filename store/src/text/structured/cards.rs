//! vCard (RFC 6350, RFC 2426) and iCalendar (RFC 5545): lines, folding, nesting, and what may
//! be there once.
//!
//! A small strict check rather than a parser: it looks at what a merge breaks. It never judges
//! what a name or a summary says.

use std::collections::HashSet;

use super::Faults;

/// What a kind of file asks for.
pub(super) struct Rules {
    /// The outermost component.
    root: &'static str,
    /// Properties that a component (or any, for an empty name) has at most once.
    once: &'static [(&'static str, &'static [&'static str])],
    /// Properties that a component must have.
    must: &'static [(&'static str, &'static [&'static str])],
    /// Properties that hold a date or a time, and what it looks like.
    dates: &'static [&'static str],
    date: fn(&str) -> bool,
    /// Properties that hold a number.
    numbers: &'static [&'static str],
}

pub(super) const VCARD: Rules = Rules {
    root: "VCARD",
    once: &[(
        "VCARD",
        &[
            "VERSION",
            "N",
            "UID",
            "REV",
            "PRODID",
            "BDAY",
            "ANNIVERSARY",
            "GENDER",
            "KIND",
        ],
    )],
    must: &[("VCARD", &["VERSION", "FN"])],
    // Not BDAY: it may be words.
    dates: &["REV"],
    date: card_date,
    numbers: &[],
};

pub(super) const ICALENDAR: Rules = Rules {
    root: "VCALENDAR",
    once: &[
        ("VCALENDAR", &["VERSION", "PRODID", "CALSCALE", "METHOD"]),
        (
            "VEVENT",
            &[
                "UID",
                "DTSTAMP",
                "DTSTART",
                "DTEND",
                "DURATION",
                "SUMMARY",
                "DESCRIPTION",
                "LOCATION",
                "STATUS",
                "RRULE",
                "SEQUENCE",
                "CREATED",
                "LAST-MODIFIED",
                "CLASS",
                "TRANSP",
                "PRIORITY",
                "GEO",
                "ORGANIZER",
                "URL",
                "RECURRENCE-ID",
            ],
        ),
        (
            "VTODO",
            &[
                "UID",
                "DTSTAMP",
                "DTSTART",
                "DUE",
                "DURATION",
                "COMPLETED",
                "SUMMARY",
                "DESCRIPTION",
                "LOCATION",
                "STATUS",
                "RRULE",
                "SEQUENCE",
                "CREATED",
                "LAST-MODIFIED",
                "CLASS",
                "PRIORITY",
                "GEO",
                "ORGANIZER",
                "URL",
                "RECURRENCE-ID",
                "PERCENT-COMPLETE",
            ],
        ),
        (
            "VJOURNAL",
            &[
                "UID",
                "DTSTAMP",
                "DTSTART",
                "SUMMARY",
                "STATUS",
                "RRULE",
                "SEQUENCE",
                "CREATED",
                "LAST-MODIFIED",
                "CLASS",
                "ORGANIZER",
                "URL",
                "RECURRENCE-ID",
            ],
        ),
        (
            "VALARM",
            &[
                "ACTION",
                "TRIGGER",
                "DURATION",
                "REPEAT",
                "SUMMARY",
                "DESCRIPTION",
            ],
        ),
        ("VTIMEZONE", &["TZID", "LAST-MODIFIED", "TZURL"]),
    ],
    must: &[
        ("VCALENDAR", &["VERSION", "PRODID"]),
        ("VEVENT", &["UID"]),
        ("VTODO", &["UID"]),
        ("VJOURNAL", &["UID"]),
    ],
    dates: &[
        "DTSTAMP",
        "DTSTART",
        "DTEND",
        "DUE",
        "COMPLETED",
        "CREATED",
        "LAST-MODIFIED",
        "RECURRENCE-ID",
    ],
    date: calendar_date,
    numbers: &["SEQUENCE", "PRIORITY", "PERCENT-COMPLETE", "REPEAT"],
};

/// A component that is open.
struct Open {
    name: String,
    seen: HashSet<String>,
}

pub(super) fn faults(text: &str, rules: &Rules) -> Faults {
    let mut faults = Faults::default();
    let mut open: Vec<Open> = Vec::new();
    for line in unfolded(text) {
        let Some((name, value)) = property(&line) else {
            faults.add(Faults::LINE);
            continue;
        };
        match name.as_str() {
            "BEGIN" => {
                let inner = value.trim().to_ascii_uppercase();
                if open.is_empty() != (inner == rules.root) {
                    faults.add(Faults::NESTING);
                }
                let seen = HashSet::new();
                open.push(Open { name: inner, seen });
            }
            "END" => match open.pop() {
                Some(component) if component.name == value.trim().to_ascii_uppercase() => {
                    faults.add(missing(&component, rules));
                }
                _ => faults.add(Faults::NESTING),
            },
            _ => match open.last_mut() {
                Some(component) => faults.add(judged(component, name, value, rules)),
                None => faults.add(Faults::NESTING),
            },
        }
    }
    if !open.is_empty() {
        faults.add(Faults::NESTING);
    }
    faults
}

/// What a property does to its component.
fn judged(component: &mut Open, name: String, value: &str, rules: &Rules) -> Faults {
    let mut faults = Faults::default();
    let value = value.trim();
    let listed = |lists: &[(&str, &[&str])]| {
        let mut lists = lists.iter();
        lists.any(|(of, names)| *of == component.name && names.contains(&name.as_str()))
    };
    let once = listed(rules.once);
    if rules.dates.contains(&name.as_str()) && !(rules.date)(value) {
        faults.add(Faults::VALUE);
    }
    if rules.numbers.contains(&name.as_str()) && (value.is_empty() || value.parse::<u32>().is_err()) {
        faults.add(Faults::VALUE);
    }
    if !component.seen.insert(name) && once {
        faults.add(Faults::TWICE);
    }
    faults
}

fn missing(component: &Open, rules: &Rules) -> Faults {
    let asked = rules.must.iter().filter(|(of, _)| *of == component.name);
    let mut asked = asked.flat_map(|(_, names)| names.iter());
    if asked.all(|name| component.seen.contains(*name)) {
        Faults::default()
    } else {
        Faults::MISSING
    }
}

/// Lines that go on in the next, after a space or a tab, as one. Empty lines are left out:
/// readers do, and editors put them at the end.
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ if line.trim().is_empty() => {}
            _ => lines.push(line.to_string()),
        }
    }
    lines
}

/// A line's name, in upper case without group and parameters, and its value.
fn property(line: &str) -> Option<(String, &str)> {
    let mut quoted = false;
    let colon = line.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b':' && !quoted
    })?;
    let (head, value) = (&line[..colon], &line[colon + 1..]);
    let name = head.split(';').next().unwrap_or(head);
    let name = name.rsplit('.').next().unwrap_or(name);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let whole = !name.is_empty() && name.chars().all(fits);
    whole.then(|| (name.to_ascii_uppercase(), value))
}

/// A date of a calendar, with a time or without: 20250102, 20250102T090000, 20250102T090000Z.
fn calendar_date(value: &str) -> bool {
    match value.split_once('T') {
        None => digits(value, 8),
        Some((day, time)) => digits(day, 8) && digits(time.strip_suffix('Z').unwrap_or(time), 6),
    }
}

/// A date of a contact: the same, or with separators, a fraction and a zone.
fn card_date(value: &str) -> bool {
    let plain: String = value.chars().filter(|c| !['-', ':'].contains(c)).collect();
    let Some((day, time)) = plain.split_once('T') else {
        return digits(&plain, 8);
    };
    // The zone's minus is gone with the separators; its digits stay.
    let time = time.strip_suffix('Z').unwrap_or(time);
    let (clock, zone) = time.split_once('+').unwrap_or((time, ""));
    let clock = clock.split('.').next().unwrap_or(clock);
    let counts = |text: &str, counts: &[usize]| counts.iter().any(|count| digits(text, *count));
    digits(day, 8) && counts(clock, &[2, 4, 6, 10]) && (zone.is_empty() || counts(zone, &[2, 4]))
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}
