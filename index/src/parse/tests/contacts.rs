//! Contacts, as different programs write them.

use super::*;
use crate::rows::Contact;

fn contacts(text: &str) -> Vec<Contact> {
    let read = of(Format::VCard, text);
    assert_eq!(read.problems, [], "{text}");
    read.contacts
}

/// Guards vCard 4, with groups, several values, preferences, folded lines and escapes.
#[test]
fn version_4() {
    let all = contacts(
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada\\, Countess of Lovelace\r\nN:Lovelace;Ada;King,Augusta;Lady;\r\nEMAIL;TYPE=home:ada@home.example\r\nEMAIL;PREF=1;TYPE=work:ada@work.example\r\nTEL;VALUE=uri;TYPE=\"voice,cell\":tel:+44-20-7946-0000\r\nADR;TYPE=home:;;12 St James's Square;London;;SW1Y;United Kingdom\r\nORG:Analytical Engines;Programmes\r\nTITLE:Analyst\r\nBDAY:18151210\r\nCATEGORIES:friend,maths\r\nNOTE:First line\\nsecond line that is so long that it is\r\n  folded\r\nURL:https://example.org/ada\r\nUID:urn:uuid:1\r\nX-FAVOURITE:numbers\r\nEND:VCARD\r\n",
    );
    let c = &all[0];
    assert_eq!(
        (&*c.name, c.given.as_deref(), c.family.as_deref()),
        ("Ada, Countess of Lovelace", Some("Ada"), Some("Lovelace"))
    );
    assert_eq!(c.emails, ["ada@work.example", "ada@home.example"]);
    assert_eq!(c.phones, ["+44-20-7946-0000"]);
    assert_eq!(
        c.addresses,
        ["12 St James's Square, London, SW1Y, United Kingdom"]
    );
    assert_eq!(
        (c.organisation.as_deref(), c.title.as_deref()),
        (Some("Analytical Engines, Programmes"), Some("Analyst"))
    );
    assert_eq!(
        (c.birthday, c.birth_day),
        ("1815-12-10".parse().ok(), Some((12, 10)))
    );
    assert_eq!(c.categories, ["friend", "maths"]);
    assert_eq!(
        c.note.as_deref(),
        Some("First line\nsecond line that is so long that it is folded")
    );
    assert_eq!(c.uid.as_deref(), Some("urn:uuid:1"));
    let properties: serde_json::Value = serde_json::from_str(&c.properties).unwrap();
    let other = properties
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "X-FAVOURITE")
        .unwrap();
    assert_eq!(other["value"], "numbers", "what is not understood is kept");
}

/// Guards vCard 3 as phones write it: groups, a year that is none, pictures.
#[test]
fn version_3_and_several_in_a_file() {
    let photo = "A".repeat(5000);
    let text = format!(
        "BEGIN:VCARD\nVERSION:3.0\nN:Müller;Jürgen;;;\nFN:Jürgen Müller\nitem1.EMAIL;type=INTERNET;type=pref:j@example.org\nitem1.X-ABLabel:_$!<Other>!$_\nTEL;type=CELL;type=VOICE;type=pref:+49 170 1\nTEL;type=HOME:030 2\nBDAY;X-APPLE-OMIT-YEAR=1604:1604-03-29\nPHOTO;ENCODING=b;TYPE=JPEG:{photo}\nEND:VCARD\n\nBEGIN:VCARD\nVERSION:3.0\nFN:Second\nBDAY:1980-04-12T00:00:00Z\nEND:VCARD\n"
    );
    let all = contacts(&text);
    assert_eq!(all.len(), 2);
    assert_eq!(
        (&*all[0].name, &all[0].emails[..], all[0].line),
        ("Jürgen Müller", &["j@example.org".to_owned()][..], 1)
    );
    assert_eq!(all[0].phones, ["+49 170 1", "030 2"]);
    assert_eq!((all[0].birthday, all[0].birth_day), (None, Some((3, 29))));
    assert!(all[0].properties.len() < 2000 && all[0].properties.contains("\"bytes\":5000"));
    assert_eq!(
        (&*all[1].name, all[1].birthday, all[1].line),
        ("Second", "1980-04-12".parse().ok(), 13)
    );
}

/// Guards vCard 2.1: quoted-printable with soft line breaks; parameters without names.
#[test]
fn version_2_1() {
    let all = contacts(
        "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=BCrgen\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen =\r\nM=C3=BCller\r\nTEL;CELL:123\r\nEMAIL;INTERNET;PREF:a@b.c\r\nEND:VCARD\r\n",
    );
    assert_eq!(
        (&*all[0].name, all[0].family.as_deref()),
        ("Jürgen Müller", Some("Müller"))
    );
    assert_eq!(
        (&all[0].phones[..], &all[0].emails[..]),
        (&["123".to_owned()][..], &["a@b.c".to_owned()][..])
    );
}

/// Guards contacts without a name to show, and birthdays without a year.
#[test]
fn names_and_birthdays_in_part() {
    let all = contacts(
        "BEGIN:VCARD\nVERSION:4.0\nN:Noether;Emmy;;;\nBDAY:--0323\nEND:VCARD\nBEGIN:VCARD\nVERSION:4.0\nFN:\nORG:ACME\nBDAY;VALUE=text:circa 1800\nEND:VCARD\nBEGIN:VCARD\nVERSION:4.0\nFN:x\nBDAY:1990\nEND:VCARD\n",
    );
    assert_eq!(
        (&*all[0].name, all[0].birthday, all[0].birth_day),
        ("Emmy Noether", None, Some((3, 23)))
    );
    assert_eq!((&*all[1].name, all[1].birthday), ("ACME", None));
    assert_eq!(all[2].birthday, None);
}

/// Guards what is broken: listed by line, and the rest is read.
#[test]
fn what_is_broken_is_listed() {
    let read = of(
        Format::VCard,
        "junk\nBEGIN:VCARD\nVERSION:3.0\nFN:One\nthis line has no colon\nEND:VCARD\nTEL:1\nEND:VCARD\nBEGIN:VCARD\nFN:Two\n",
    );
    let names: Vec<_> = read.contacts.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["One", "Two"]);
    let lines: Vec<_> = read.problems.iter().map(|p| p.line.unwrap()).collect();
    assert_eq!(lines, [1, 5, 7, 8, 9]);
}

/// Guards birthdays as programs write them, whatever the card's version permits.
#[test]
fn birthdays_of_all_writers_are_read() {
    for (version, day) in [
        ("4.0", "BDAY:1980-11-30"),
        ("4.0", "BDAY;VALUE=date:1980-11-30"),
        ("4.0", "BDAY:1980-11-30T00:00:00Z"),
        ("4.0", "BDAY:19801130"),
        ("3.0", "BDAY:1980-11-30"),
        ("3.0", "BDAY:19801130"),
        ("3.0", "BDAY;VALUE=DATE-AND-OR-TIME:1980-11-30 00:00:00"),
        ("2.1", "BDAY:19801130"),
    ] {
        let all = contacts(&format!(
            "BEGIN:VCARD\nVERSION:{version}\nFN:x\n{day}\nEND:VCARD\n"
        ));
        assert_eq!(
            all[0].birthday,
            Some(jiff::civil::date(1980, 11, 30)),
            "{version} {day}"
        );
    }
    for day in ["BDAY:--1130", "BDAY:--11-30"] {
        let all = contacts(&format!("BEGIN:VCARD\nVERSION:4.0\nFN:x\n{day}\nEND:VCARD\n"));
        assert_eq!(
            (all[0].birthday, all[0].birth_day),
            (None, Some((11, 30))),
            "{day}"
        );
    }
}

/// Guards quoted-printable of old telephones, addresses told twice, and a card within a card.
#[test]
fn cards_of_old_programs_are_read() {
    let all = contacts(
        "BEGIN:VCARD\nVERSION:2.1\nFN;QUOTED-PRINTABLE;CHARSET=ISO-8859-1:J=F6rg\nAGENT:\nBEGIN:VCARD\nVERSION:2.1\nFN:Agent\nEND:VCARD\nTEL:123\nEND:VCARD\nBEGIN:VCARD\nVERSION:2.1\nFN;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg\nEND:VCARD\n",
    );
    let jorg: Vec<_> = all.iter().filter(|c| c.name == "Jörg").collect();
    assert_eq!(jorg.len(), 2, "{all:?}");
    assert_eq!(jorg[0].phones, ["123"]);
    let all = contacts(
        "BEGIN:VCARD\nVERSION:3.0\nFN:x\nADR:;;1 Main St;Town;CA;90000;US;1 Main St\\nTown\nEND:VCARD\n",
    );
    assert_eq!(all[0].addresses, ["1 Main St, Town, CA, 90000, US"]);
}
