//! Guards what is a text, what a merge of each kind of text looks like, and that a merged
//! contact, calendar or front matter still is one.

mod text_support;

use coffer_store::text::{Document, Kind, TEXT_MAX, TextError, TextNames, still_whole};
use text_support::{Device, began};

/// Two devices edit the same text at once; what both have then.
fn merged(base: &str, one: &str, two: &str) -> String {
    let mut devices = [Device::new(1, base), Device::new(2, base)];
    devices[0].save_newest(one);
    devices[1].save_newest(two);
    Device::receive_all(&mut devices);
    assert_eq!(devices[0].text(), devices[1].text(), "both have the same");
    devices[0].text()
}

/// Guards the list of names: what people write in, no source, nothing of version control.
#[test]
fn what_people_write_in_is_a_text() {
    let names = TextNames::default();
    let texts: [&[u8]; 12] = [
        b"Notes/Garden.md",
        b"a.MARKDOWN",
        b"todo.txt",
        b"x/y/TODO",
        b"Contacts/ada.vcf",
        b"Cal.ics",
        b"j.org",
        b"README",
        b"n.rst",
        b"\xff\xfe.txt",
        b"deep/er/l.adoc",
        b".hidden.md",
    ];
    for name in texts {
        assert!(names.cover(name), "{}", name.escape_ascii());
    }
    let others: [&[u8]; 14] = [
        b"main.rs",
        b"a.py",
        b"CMakeLists.txt",
        b"requirements-dev.txt",
        b"x.html",
        b"x.json",
        b"md",
        b"a.md~",
        b"",
        b"repo/.git/description.txt",
        b".git/x.md",
        b".git",
        b"a/.svn/n.txt",
        b"a.mdx",
    ];
    for name in others {
        assert!(!names.cover(name), "{}", name.escape_ascii());
    }
    // A folder's name says nothing.
    assert!(!names.cover(b"notes.md/picture.png"));
    assert!(names.cover(b"main.rs/notes.md"));
}

/// Guards the setting: another list, exceptions, its printed form, what is no list.
#[test]
fn the_list_is_a_setting() {
    let names: TextNames = "*.rs  a*b*c.d !secret*".parse().expect("a list");
    for (name, is) in [
        ("x.rs", true),
        ("axxbyyc.d", true),
        ("abc.d", true),
        ("acb.d", false),
        ("secret.rs", false),
        ("x.md", false),
    ] {
        assert_eq!(names.cover(name.as_bytes()), is, "{name}");
    }
    assert_eq!(names.to_string().parse::<TextNames>().as_ref(), Ok(&names));
    let names = TextNames::default();
    assert_eq!(names.to_string().parse::<TextNames>().as_ref(), Ok(&names));
    assert!(
        "".parse::<TextNames>().is_ok_and(|none| !none.cover(b"a.md")),
        "no patterns: no texts"
    );
    assert!("!".parse::<TextNames>().is_err());
    assert!("Notes/*.md".parse::<TextNames>().is_err());
    assert!("x ".repeat(600).parse::<TextNames>().is_err());
    assert!("x".repeat(300).parse::<TextNames>().is_err());
    // Stars that could match in very many ways do not take long.
    let names: TextNames = "*a*a*a*a*a*a*a*a*a*a*a*b".parse().expect("a list");
    assert!(!names.cover("a".repeat(255).as_bytes()));
}

/// Guards the kind of a version: by name, size and encoding; nothing of an empty one.
#[test]
fn the_bytes_decide_too() {
    let names = TextNames::default();
    assert_eq!(names.kind(b"a.md", b"hello"), Kind::Text("hello"));
    assert_eq!(names.kind(b"a.rs", b"hello"), Kind::Blob);
    assert_eq!(names.kind(b"a.md", b""), Kind::Empty);
    assert_eq!(names.kind(b"a.md", b"caf\xe9"), Kind::Blob);
    let largest = "x".repeat(TEXT_MAX);
    assert_eq!(names.kind(b"a.md", largest.as_bytes()), Kind::Text(&largest));
    assert_eq!(names.kind(b"a.md", format!("{largest}x").as_bytes()), Kind::Blob);
    assert!(matches!(
        Document::genesis(began(), ""),
        Err(TextError::NotText(_))
    ));
    assert!(matches!(
        Document::genesis(began(), &format!("{largest}x")),
        Err(TextError::NotText(_))
    ));
}

/// Guards merges of plain notes: both sides' words are there, in their places.
#[test]
fn notes_merge() {
    let base = "# Trip\n\nTake the train at nine.\nAsk Ada.\n";
    assert_eq!(
        merged(
            base,
            "# Trip\n\nTake the early train at nine.\nAsk Ada.\n",
            "# Trip to Lyon\n\nTake the train at nine.\nAsk Grace.\n"
        ),
        "# Trip to Lyon\n\nTake the early train at nine.\nAsk Grace.\n"
    );
    // One word, changed by both: both words are there, neither cut.
    let both = merged(
        base,
        &base.replace("nine", "eight"),
        &base.replace("nine", "eleven"),
    );
    assert!(
        both.contains("eight") && both.contains("eleven") && !both.contains("nine"),
        "{both}"
    );
    // Deleted by one, changed elsewhere by the other.
    assert_eq!(
        merged("a b c\nd e f\n", "a b c\n", "a b x c\nd e f\n"),
        "a b x c\n"
    );
    // The same, made by both, is there twice: nobody knows that it is the same.
    assert_eq!(merged("a\n", "a\nb\n", "a\nb\n"), "a\nb\nb\n");
}

/// Guards line endings, scripts and signs of several code points through merges.
#[test]
fn nothing_is_torn_by_a_merge() {
    assert_eq!(
        merged(
            "one\r\ntwo\r\nthree\r\n",
            "one 1\r\ntwo\r\nthree\r\n",
            "one\r\ntwo\r\nthree 3\r\nfour\r\n"
        ),
        "one 1\r\ntwo\r\nthree 3\r\nfour\r\n"
    );
    let family = "👨\u{200d}👩\u{200d}👧";
    let fewer = "👨\u{200d}👧";
    let more = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
    let both = merged(
        &format!("we: {family}!\n"),
        &format!("we: {fewer}!\n"),
        &format!("we: {more}!\n"),
    );
    assert!(
        both.contains(fewer) && both.contains(more),
        "two families, not a third: {both}"
    );
    let both = merged("cafe\u{301} noir\n", "cafe noir\n", "cafe\u{301}s noir\n");
    assert!(both.contains("cafe") && both.contains("cafe\u{301}s"), "{both}");
    assert_eq!(
        merged("שלום עולם יפה\n", "שלום עולם יפה מאוד\n", "היי עולם יפה\n"),
        "היי עולם יפה מאוד\n"
    );
    assert_eq!(
        merged("漢字の本\n", "漢字の新本\n", "漢字の本。\n"),
        "漢字の新本。\n"
    );
    let (bom, nul) = ("\u{feff}x y\n", "x\0y z\n");
    assert_eq!(merged(bom, "\u{feff}x y z\n", "\u{feff}w y\n"), "\u{feff}w y z\n");
    assert_eq!(merged(nul, "x\0y zz\n", "w\0y z\n"), "w\0y zz\n");
}

/// Guards a text that becomes empty on one device and is edited on another: the edit is there.
#[test]
fn an_edit_survives_an_emptied_text() {
    assert_eq!(merged("gone\n", "", "gone\nkept\n"), "kept\n");
}

const CARD: &str = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:urn:uuid:1\r\nFN:Ada Lovelace\r\nN:Lovelace;Ada;;;\r\n\
    TEL;TYPE=home:+44 1\r\nREV:20250101T000000Z\r\nEND:VCARD\r\n";

/// Guards contacts: what merges is one contact with both edits; what does not is not taken.
#[test]
fn contacts_stay_contacts() {
    let name = b"ada.vcf";
    let mail = CARD.replace("TEL", "EMAIL:ada@example.org\r\nTEL");
    let phone = CARD.replace("+44 1", "+44 2");
    let both = merged(CARD, &mail, &phone);
    assert_eq!(both, mail.replace("+44 1", "+44 2"));
    assert!(still_whole(name, &[&mail, &phone], &both));
    // Both wrote the time of their change into one line.
    let (one, two) = (
        mail.replace("20250101", "20260203"),
        phone.replace("20250101", "20260304"),
    );
    let both = merged(CARD, &one, &two);
    assert!(!still_whole(name, &[&one, &two], &both), "{both}");
    assert!(
        still_whole(b"ada.md", &[&one, &two], &both),
        "as a note it may stand"
    );
    // Each added a second contact: three contacts, each whole.
    let (one, two) = (
        [CARD, &CARD.replace("uuid:1", "uuid:2")].concat(),
        [CARD, &CARD.replace("uuid:1", "uuid:3")].concat(),
    );
    let both = merged(CARD, &one, &two);
    assert!(still_whole(name, &[&one, &two], &both), "{both}");
    // What a merge could come to: every kind of harm is seen.
    let harms = [
        CARD.replace("END:VCARD\r\n", ""),
        CARD.replace("VERSION:4.0\r\n", ""),
        CARD.replace("FN:Ada Lovelace\r\n", ""),
        CARD.replace("N:Love", "N:Twice;;;;\r\nN:Love"),
        CARD.replace("UID:", "UID:urn:uuid:0\r\nUID:"),
        CARD.replace("FN:Ada Lovelace", "FNAda Lovelace"),
        CARD.replace("REV:2025", "REV:20262025"),
        format!("{CARD}END:VCARD\r\n"),
        format!("Ada\r\n{CARD}"),
        CARD.replace("FN:", "BEGIN:VCARD\r\nFN:"),
    ];
    for harm in &harms {
        assert!(!still_whole(name, &[CARD, CARD], harm), "{harm}");
        assert!(
            still_whole(name, &[CARD, harm], harm),
            "what was so before may stay so: {harm}"
        );
    }
    // Folded lines, groups, quoted parameters, LF: a contact all the same.
    let odd = "BEGIN:vcard\nversion:3.0\nitem1.TEL;TYPE=\"a:b\":+1\nFN:A very lo\n ng name\nN:x\nREV:2025-01-01T00:00:00Z\nEND:VCARD\n\n";
    assert!(still_whole(name, &[CARD, CARD], odd), "{odd}");
}

/// Guards calendars.
#[test]
fn calendars_stay_calendars() {
    let name = b"work.ICS";
    let base = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20250101T000000Z\r\n\
        DTSTART;TZID=Europe/Berlin:20250102T090000\r\nSUMMARY:Meet\r\nSEQUENCE:1\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n\
        TRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let (one, two) = (base.replace("Meet", "Meet Ada"), base.replace("-PT15M", "-PT30M"));
    let both = merged(base, &one, &two);
    assert_eq!(both, one.replace("-PT15M", "-PT30M"));
    assert!(still_whole(name, &[&one, &two], &both));
    // Both moved it to another time.
    let (one, two) = (
        base.replace("T090000", "T100000"),
        base.replace("T090000", "T110000"),
    );
    assert!(!still_whole(name, &[&one, &two], &merged(base, &one, &two)));
    for (from, to) in [
        ("END:VALARM\r\n", ""),
        ("SEQUENCE:1", "SEQUENCE:12-3"),
        ("SUMMARY:Meet", "SUMMARY:Meet\r\nSUMMARY:Again"),
        ("UID:1\r\n", ""),
        ("20250101T000000Z", "20250101T0000"),
        ("VERSION:2.0\r\n", ""),
    ] {
        let harmed = base.replace(from, to);
        assert!(!still_whole(name, &[base, base], &harmed), "{from} → {to}");
    }
}

/// Guards the front matter of notes.
#[test]
fn front_matters_stay_front_matters() {
    let name = b"post.md";
    let base = "---\ntitle: Plan\ntags: [a, b]\n---\n\nText: with: colons\n";
    let (one, two) = (
        base.replace("Plan", "The Plan"),
        base.replace("[a, b]", "[a, b, c]"),
    );
    let both = merged(base, &one, &two);
    assert_eq!(both, one.replace("[a, b]", "[a, b, c]"));
    assert!(still_whole(name, &[&one, &two], &both));
    // Both added the same name.
    let (one, two) = (
        base.replace("title", "date: 1\ntitle"),
        base.replace("title", "date: 2\ntitle"),
    );
    assert!(!still_whole(name, &[&one, &two], &merged(base, &one, &two)));
    for harm in [
        "---\ntitle: Plan\n",
        "---\ntitle: [a\n---\n",
        "---\na: 1\nb: {c\n---\n",
        "---\na: \"x\n---\n",
    ] {
        assert!(!still_whole(name, &[base, base], harm), "{harm}");
    }
    for fine in [
        "no front matter\n",
        "",
        "---\n---\n",
        "---\na: {x: 1, x2: 2}\nb:\n  a: 1\n  c: 2\n---\n",
        "+++\ntitle = 1\n+++\n",
        "---\n- a\n- a\n---\n",
        "\u{feff}---\r\na: 1\r\n---\r\nb\r\n",
    ] {
        assert!(still_whole(name, &[base, base], fine), "{fine}");
    }
    // A rule at the top of a note is no front matter that broke.
    assert!(still_whole(
        name,
        &["---\nsome words\n"],
        "---\nsome more words\n"
    ));
    // Names of no structure are always whole.
    assert!(still_whole(b"x.txt", &[base], "---\n"));
}
