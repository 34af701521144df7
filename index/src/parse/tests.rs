//! Guards what files are read as: real forms of notes, tasks, contacts and calendars, and bytes that are none.

use jiff::tz::TimeZone;

use super::{Format, read};
use crate::rows::{Extract, LinkKind, Status, When};

mod calendars;
mod contacts;
mod hostile;
mod notes;
mod tasks;

fn of(format: Format, text: &str) -> Extract {
    read(format, text.as_bytes(), &TimeZone::get("Europe/Berlin").unwrap())
}

fn day(text: &str) -> Option<When> {
    Some(text.parse::<jiff::civil::Date>().unwrap().into())
}

fn at(text: &str) -> Option<When> {
    let moment: jiff::civil::DateTime = text.parse().unwrap();
    Some(When {
        date: moment.date(),
        time: Some(moment.time()),
    })
}

/// Guards which files are read, by their names alone.
#[test]
fn names_say_what_a_file_is_read_as() {
    for (name, format) in [
        ("a.md", Some(Format::Markdown)),
        ("A.MD", Some(Format::Markdown)),
        ("todo.txt", Some(Format::TodoTxt)),
        ("Done.txt", Some(Format::TodoTxt)),
        ("work.todo.txt", Some(Format::TodoTxt)),
        ("nottodo.txt", Some(Format::Text)),
        ("people.vcf", Some(Format::VCard)),
        ("home.ics", Some(Format::Calendar)),
        (".md", None),
        ("photo.jpg", None),
        ("md", None),
        ("", None),
    ] {
        assert_eq!(Format::of(name.as_bytes()), format, "{name}");
    }
    assert_eq!(Format::of(b"\xff.md"), Some(Format::Markdown));
}
