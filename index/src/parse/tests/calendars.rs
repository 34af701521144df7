//! Calendars, as different programs write them.

use super::*;

const ZONE: &str = "BEGIN:VTIMEZONE\nTZID:Custom\nX-LIC-LOCATION:America/New_York\nEND:VTIMEZONE\n";

fn calendar(inner: &str) -> Extract {
    of(
        Format::Calendar,
        &format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\n{ZONE}{inner}END:VCALENDAR\n"),
    )
}

/// Guards times: days, local ones, UTC, named zones, those that the file defines, and Windows' names.
#[test]
fn moments_are_told_as_they_are_here() {
    for (start, expected) in [
        ("DTSTART;VALUE=DATE:20260131", day("2026-01-31")),
        ("DTSTART:20260131T090000", at("2026-01-31T09:00")),
        ("DTSTART:20260131T090000Z", at("2026-01-31T10:00")),
        ("DTSTART:20260731T230000Z", at("2026-08-01T01:00")),
        (
            "DTSTART;TZID=America/New_York:20260131T090000",
            at("2026-01-31T15:00"),
        ),
        ("DTSTART;TZID=Custom:20260131T090000", at("2026-01-31T15:00")),
        (
            "DTSTART;TZID=Eastern Standard Time:20260131T090000",
            at("2026-01-31T15:00"),
        ),
        ("DTSTART:20260131T235960Z", at("2026-02-01T00:59:59")),
    ] {
        let read = calendar(&format!("BEGIN:VEVENT\nUID:1\nSUMMARY:s\n{start}\nEND:VEVENT\n"));
        assert_eq!(read.problems, [], "{start}");
        assert_eq!(read.events[0].start, expected, "{start}");
        assert_eq!(read.events[0].line, 8);
    }
    let read = calendar("BEGIN:VEVENT\nUID:1\nDTSTART;TZID=Nowhere/At all:20260131T090000\nEND:VEVENT\n");
    assert_eq!(
        (read.events[0].start, read.problems.len()),
        (at("2026-01-31T09:00"), 1)
    );
}

/// Guards events: ends, durations, rules, people.
#[test]
fn events() {
    let read = calendar(
        "BEGIN:VEVENT\nUID:e1\nSUMMARY:Dinner\\, late\nDESCRIPTION:two\\nlines\nLOCATION:Home\nDTSTART;TZID=Europe/Berlin:20260131T190000\nDURATION:PT2H30M\nRRULE:FREQ=WEEKLY;BYDAY=SA,SU;COUNT=4\nSTATUS:CONFIRMED\nORGANIZER;CN=Ada:mailto:ada@example.org\nATTENDEE;PARTSTAT=ACCEPTED:MAILTO:bob@example.org\nATTENDEE:mailto:eve@example.org\nCATEGORIES:food,friends\nURL:https://example.org\nBEGIN:VALARM\nACTION:DISPLAY\nSUMMARY:not this\nTRIGGER:-PT15M\nEND:VALARM\nEND:VEVENT\nBEGIN:VEVENT\nUID:e2\nSUMMARY:Holiday\nDTSTART;VALUE=DATE:20260401\nEND:VEVENT\nBEGIN:VEVENT\nUID:e3\nDTSTART:20260101T100000Z\nDTEND:20260101T110000Z\nEND:VEVENT\n",
    );
    assert_eq!(read.problems, []);
    let [dinner, holiday, third] = &read.events[..] else {
        panic!("{:?}", read.events)
    };
    assert_eq!(
        (&*dinner.summary, dinner.description.as_deref()),
        ("Dinner, late", Some("two\nlines"))
    );
    assert_eq!(
        (dinner.start, dinner.end),
        (at("2026-01-31T19:00"), at("2026-01-31T21:30"))
    );
    assert_eq!(dinner.zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(
        dinner.recurrence.as_deref(),
        Some("FREQ=WEEKLY;COUNT=4;BYDAY=SA,SU")
    );
    assert_eq!(
        (dinner.status.as_deref(), dinner.organizer.as_deref()),
        (Some("confirmed"), Some("ada@example.org"))
    );
    assert_eq!(dinner.attendees, ["bob@example.org", "eve@example.org"]);
    assert_eq!(dinner.categories, ["food", "friends"]);
    assert_eq!(
        (holiday.start, holiday.end),
        (day("2026-04-01"), day("2026-04-02"))
    );
    assert_eq!(
        (third.start, third.end),
        (at("2026-01-01T11:00"), at("2026-01-01T12:00"))
    );
}

/// Guards tasks in calendars.
#[test]
fn tasks() {
    let read = calendar(
        "BEGIN:VTODO\nUID:t1\nSUMMARY:File taxes\nDUE;VALUE=DATE:20260531\nPRIORITY:1\nCATEGORIES:money\nSTATUS:NEEDS-ACTION\nCREATED:20260101T000000Z\nEND:VTODO\nBEGIN:VTODO\nUID:t2\nSUMMARY:Done\nCOMPLETED:20260102T100000Z\nPRIORITY:0\nEND:VTODO\nBEGIN:VTODO\nUID:t3\nSUMMARY:Half\nPERCENT-COMPLETE:50\nDTSTART;VALUE=DATE:20260101\nDURATION:P2D\nRRULE:FREQ=DAILY\nEND:VTODO\nBEGIN:VTODO\nUID:t4\nSTATUS:CANCELLED\nDUE:nonsense\nEND:VTODO\n",
    );
    let [taxes, done, half, gone] = &read.tasks[..] else {
        panic!("{:?}", read.tasks)
    };
    assert_eq!(
        (&*taxes.text, taxes.status, taxes.due, taxes.priority),
        ("File taxes", Status::Open, day("2026-05-31"), Some(1))
    );
    assert_eq!(
        (taxes.created, &taxes.tags[..], taxes.id.as_deref()),
        (at("2026-01-01T01:00"), &["money".to_owned()][..], Some("t1"))
    );
    assert_eq!(
        (done.status, done.done, done.priority),
        (Status::Done, at("2026-01-02T11:00"), None)
    );
    assert_eq!(
        (half.status, half.due, half.recurrence.as_deref()),
        (Status::InProgress, day("2026-01-03"), Some("FREQ=DAILY"))
    );
    assert_eq!((gone.status, gone.due), (Status::Cancelled, None));
    assert_eq!(read.problems.len(), 1, "{:?}", read.problems);
}
