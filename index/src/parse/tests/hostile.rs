//! Bytes that are none of what their names say.

use super::*;

const ALL: [Format; 5] = [
    Format::Markdown,
    Format::Text,
    Format::TodoTxt,
    Format::VCard,
    Format::Calendar,
];

/// Guards encodings: marks, UTF-16, and bytes that are no text.
#[test]
fn encodings() {
    let zone = TimeZone::UTC;
    let body = |bytes: &[u8]| read(Format::Markdown, bytes, &zone);
    assert_eq!(
        body(b"\xef\xbb\xbf# A\n").note.unwrap().title.as_deref(),
        Some("A")
    );
    let utf16: Vec<u8> = "\u{feff}# Größe 🦊\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(body(&utf16).note.unwrap().title.as_deref(), Some("Größe 🦊"));
    let big: Vec<u8> = "\u{feff}# B\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(body(&big).note.unwrap().title.as_deref(), Some("B"));
    let latin = body(b"# A\nsch\xf6n\n");
    assert_eq!((latin.problems.len(), latin.problems[0].line), (1, Some(2)));
    assert!(latin.note.unwrap().body.contains("sch\u{fffd}n"));
    assert_eq!(body(b"\xff\xfea").problems.len(), 1);
}

/// Guards against files that are too long, deep, or without sense: no panic, bounded rows, and the text is kept.
#[test]
fn nonsense_is_read() {
    let zone = TimeZone::UTC;
    let long = vec![b'a'; super::super::READ_MAX + 1];
    let read_long = read(Format::Markdown, &long, &zone);
    assert_eq!((read_long.note, read_long.problems.len()), (None, 1));
    let nested = [
        "> ".repeat(20_000),
        "- ".repeat(20_000),
        "[".repeat(50_000),
        "![[".repeat(20_000),
        "*a_".repeat(20_000),
        "BEGIN:VEVENT\n".repeat(2_000),
        "BEGIN:VCARD\n".repeat(2_000),
        format!("BEGIN:VCARD\nN:{}\nEND:VCARD\n", ";".repeat(50_000)),
        format!("BEGIN:VEVENT\nRRULE:{}\nEND:VEVENT\n", "FREQ=;".repeat(10_000)),
        "a:b ".repeat(20_000),
        "📅".repeat(20_000),
        "- [ ] [due:: ".repeat(5_000),
        "---\n".repeat(5_000),
    ];
    for text in &nested {
        for format in ALL {
            let read = of(format, text);
            assert!(read.problems.len() <= 100);
        }
    }
}

/// Guards every prefix of a file that has all in it, cut at any byte.
#[test]
fn what_is_cut_off_is_read() {
    let all = "---\na: [\"[[b]]\"]\n---\n# H #t\n- [ ] x 📅 2026-01-01 [due:: 2026-01-01]\n[[a|b]] [c](d)\n\nBEGIN:VCARD\nVERSION:3.0\nFN;X=\"a:b\":x\n y\nBDAY:2026-01-01\nEND:VCARD\nBEGIN:VCALENDAR\nBEGIN:VTODO\nDUE;TZID=Europe/Berlin:20260101T010101\nEND:VTODO\nEND:VCALENDAR\n(A) 2026-01-01 x due:2026-01-01\n";
    for end in 0..all.len() {
        for format in ALL {
            let _ = read(format, &all.as_bytes()[..end], &TimeZone::UTC);
        }
    }
}
