//! Rows of the tables in schema base, column by column in their order.

use duckdb::arrow::array::ArrayRef;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::arrays::{
    days, flags, lines, micros, moments, number_lists, numbers, small, small_lists, text_lists, texts, whole,
};
use crate::rows::{Contact, Event, Extract, Link, Note, Problem, Task, When};
use crate::said::{Blob, Device, Facts, Moment, Version};

/// A name of a file, with what is known of the file.
#[derive(Clone, Debug)]
pub struct FileRow {
    /// The name's number.
    pub node: u64,
    /// Its path.
    pub path: String,
    /// What kind its extension says.
    pub kind: &'static str,
    /// How many names the file has.
    pub names: u64,
    /// The device that made its newest version, by its number here.
    pub device: Option<i32>,
    /// Its tags.
    pub tags: Vec<String>,
    /// All else.
    pub facts: Facts,
}

/// Where a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// To nothing.
    Dangling,
    /// To this name.
    Name(u64),
    /// To a place in its own note.
    Here,
    /// Elsewhere.
    Web,
}

impl Lead {
    pub(super) fn number(self) -> u8 {
        match self {
            Lead::Dangling => 0,
            Lead::Name(_) | Lead::Here => 1,
            Lead::Web => 2,
        }
    }

    pub(super) fn node(self) -> Option<i64> {
        match self {
            Lead::Name(node) => Some(node as i64),
            _ => None,
        }
    }
}

/// What was read out of a file.
#[derive(Debug)]
pub struct TextRows {
    /// The file.
    pub file: u64,
    /// What it says; of a note's body, nothing is taken.
    pub extract: Extract,
    /// The note's body, by its number among the texts.
    pub body: Option<u64>,
    /// Where its links lead, one for each.
    pub leads: Vec<Lead>,
}

/// The part of a link's target by which it is found again when names come and go.
pub fn link_key(link: &Link) -> String {
    let target = link.target.trim_end_matches('/');
    target.rsplit('/').next().unwrap_or(target).to_lowercase()
}

/// A moment as clocks show it there, in microseconds from 1970.
pub(super) fn local(moment: Moment, zone: &TimeZone) -> i64 {
    let exact = Timestamp::new(moment.seconds, moment.nanoseconds as i32).ok();
    match exact {
        Some(exact) => micros(zone.to_datetime(exact)),
        // Beyond the years that calendars have.
        None => moment
            .seconds
            .saturating_mul(1_000_000)
            .clamp(-377_705_116_800_000_000, 253_402_300_799_000_000),
    }
}

fn when(when: When) -> i64 {
    micros(
        when.date
            .to_datetime(when.time.unwrap_or(jiff::civil::Time::midnight())),
    )
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What follows the last dot of a name, in lower case.
pub fn extension(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
}

pub(super) fn files(rows: &[FileRow], zone: &TimeZone) -> Vec<ArrayRef> {
    let name = |row: &FileRow| row.path.rsplit('/').next().unwrap_or_default().to_owned();
    let each = || rows.iter();
    vec![
        whole(each().map(|r| Some(r.node as i64))),
        whole(each().map(|r| Some(r.facts.file as i64))),
        texts(each().map(|r| Some(&r.path))),
        texts(each().map(|r| Some(name(r)))),
        texts(each().map(|r| extension(&name(r)))),
        texts(each().map(|r| Some(r.kind))),
        whole(each().map(|r| Some(i64::try_from(r.facts.size).unwrap_or(i64::MAX)))),
        moments(each().map(|r| Some(local(r.facts.created, zone)))),
        moments(each().map(|r| Some(local(r.facts.modified, zone)))),
        moments(each().map(|r| r.facts.recorded.map(|m| local(m, zone)))),
        whole(each().map(|r| Some(r.facts.versions as i64))),
        numbers(each().map(|r| r.device)),
        text_lists(each().map(|r| &r.tags[..])),
        texts(each().map(|r| r.facts.content.map(|c| hex(&c)))),
        texts(each().map(|r| r.facts.conflict.as_ref())),
        flags(each().map(|r| Some(r.facts.here))),
        whole(each().map(|r| Some(r.names as i64))),
        texts(each().map(|r| Some(hex(&r.facts.id)))),
    ]
}

/// Rows of one kind with the files that they stand in.
fn spread<'a, T>(rows: &'a [TextRows], of: impl Fn(&'a Extract) -> &'a [T]) -> Vec<(u64, &'a T)> {
    let each = |row: &'a TextRows| of(&row.extract).iter().map(|one| (row.file, one));
    rows.iter().flat_map(each).collect()
}

/// The file and line of each row.
macro_rules! place {
    ($rows:expr) => {
        vec![
            whole($rows.iter().map(|(file, _)| Some(*file as i64))),
            lines($rows.iter().map(|(_, row)| Some(row.line))),
        ]
    };
}

pub(super) fn notes(rows: &[TextRows]) -> Vec<ArrayRef> {
    let notes: Vec<(&TextRows, &Note, &Extract)> = rows
        .iter()
        .filter_map(|row| Some((row, row.extract.note.as_ref()?, &row.extract)))
        .collect();
    let each = || notes.iter();
    vec![
        whole(each().map(|(row, ..)| Some(row.file as i64))),
        texts(each().map(|(_, n, _)| n.title.as_ref())),
        whole(each().map(|(row, ..)| row.body.map(|id| id as i64))),
        whole(each().map(|(_, n, _)| Some(i64::from(n.words)))),
        small_lists(each().map(|(_, n, _)| n.headings.iter().map(|h| h.level).collect())),
        {
            let heads: Vec<Vec<String>> = each()
                .map(|(_, n, _)| n.headings.iter().map(|h| h.text.clone()).collect())
                .collect();
            text_lists(heads.iter().map(|h| &h[..]))
        },
        number_lists(each().map(|(_, n, _)| n.headings.iter().map(|h| h.line).collect())),
        text_lists(each().map(|(_, n, _)| &n.tags[..])),
        texts(each().map(|(_, n, _)| n.front_matter.as_ref())),
        whole(each().map(|(.., e)| Some(e.links.len() as i64))),
        whole(each().map(|(.., e)| Some(e.tasks.len() as i64))),
        texts(each().map(|(_, n, _)| Some(n.format))),
    ]
}

pub(super) fn links(rows: &[TextRows]) -> Vec<ArrayRef> {
    let links: Vec<(u64, &Link)> = spread(rows, |e| &e.links);
    let leads: Vec<Lead> = rows.iter().flat_map(|row| row.leads.iter().copied()).collect();
    let each = || links.iter().map(|(_, link)| *link);
    let mut columns = place!(links);
    columns.extend([
        texts(each().map(|l| Some(l.kind.name()))),
        texts(each().map(|l| Some(&l.target))),
        texts(each().map(|l| l.fragment.as_ref())),
        texts(each().map(|l| l.text.as_ref())),
        flags(each().map(|l| Some(l.is_wiki))),
        texts(each().map(|l| Some(link_key(l)))),
        small(leads.iter().map(|lead| Some(lead.number()))),
        whole(leads.iter().map(|lead| lead.node())),
    ]);
    columns
}

pub(super) fn tasks(rows: &[TextRows]) -> Vec<ArrayRef> {
    let tasks: Vec<(u64, &Task)> = spread(rows, |e| &e.tasks);
    let each = || tasks.iter().map(|(_, task)| *task);
    let mut columns = place!(tasks);
    columns.extend([
        texts(each().map(|t| Some(&t.text))),
        texts(each().map(|t| Some(t.status.name()))),
        days(each().map(|t| t.due)),
        days(each().map(|t| t.scheduled)),
        days(each().map(|t| t.start)),
        days(each().map(|t| t.done)),
        days(each().map(|t| t.cancelled)),
        days(each().map(|t| t.created)),
        moments(each().map(|t| t.due.filter(|due| due.time.is_some()).map(when))),
        small(each().map(|t| t.priority)),
        text_lists(each().map(|t| &t.tags[..])),
        texts(each().map(|t| t.project.as_ref())),
        texts(each().map(|t| t.recurrence.as_ref())),
        texts(each().map(|t| t.section.as_ref())),
        texts(each().map(|t| Some(t.source))),
        texts(each().map(|t| t.symbol.as_ref())),
        texts(each().map(|t| t.id.as_ref())),
        texts(each().map(|t| Some(&t.raw))),
    ]);
    columns
}

pub(super) fn contacts(rows: &[TextRows]) -> Vec<ArrayRef> {
    let contacts: Vec<(u64, &Contact)> = spread(rows, |e| &e.contacts);
    let each = || contacts.iter().map(|(_, contact)| *contact);
    let mut columns = place!(contacts);
    columns.extend([
        texts(each().map(|c| Some(&c.name))),
        texts(each().map(|c| c.given.as_ref())),
        texts(each().map(|c| c.family.as_ref())),
        text_lists(each().map(|c| &c.nicknames[..])),
        text_lists(each().map(|c| &c.emails[..])),
        text_lists(each().map(|c| &c.phones[..])),
        text_lists(each().map(|c| &c.addresses[..])),
        texts(each().map(|c| c.organisation.as_ref())),
        texts(each().map(|c| c.title.as_ref())),
        days(each().map(|c| c.birthday.map(When::from))),
        small(each().map(|c| c.birth_day.map(|(month, _)| month))),
        small(each().map(|c| c.birth_day.map(|(_, day)| day))),
        text_lists(each().map(|c| &c.categories[..])),
        texts(each().map(|c| c.note.as_ref())),
        text_lists(each().map(|c| &c.urls[..])),
        texts(each().map(|c| c.uid.as_ref())),
        texts(each().map(|c| Some(&c.properties))),
    ]);
    columns
}

pub(super) fn events(rows: &[TextRows]) -> Vec<ArrayRef> {
    let events: Vec<(u64, &Event)> = spread(rows, |e| &e.events);
    let each = || events.iter().map(|(_, event)| *event);
    let mut columns = place!(events);
    columns.extend([
        texts(each().map(|e| Some(&e.summary))),
        texts(each().map(|e| e.description.as_ref())),
        texts(each().map(|e| e.location.as_ref())),
        moments(each().map(|e| e.start.map(when))),
        moments(each().map(|e| e.end.map(when))),
        flags(each().map(|e| e.start.map(|start| start.time.is_none()))),
        texts(each().map(|e| e.zone.as_ref())),
        texts(each().map(|e| e.recurrence.as_ref())),
        texts(each().map(|e| e.status.as_ref())),
        texts(each().map(|e| e.organizer.as_ref())),
        text_lists(each().map(|e| &e.attendees[..])),
        text_lists(each().map(|e| &e.categories[..])),
        texts(each().map(|e| e.url.as_ref())),
        texts(each().map(|e| e.uid.as_ref())),
        texts(each().map(|e| Some(&e.properties))),
    ]);
    columns
}

pub(super) fn problems(rows: &[TextRows]) -> Vec<ArrayRef> {
    let problems: Vec<(u64, &Problem)> = spread(rows, |e| &e.problems);
    vec![
        whole(problems.iter().map(|(file, _)| Some(*file as i64))),
        lines(problems.iter().map(|(_, p)| p.line)),
        texts(problems.iter().map(|(_, p)| Some(&p.reason))),
    ]
}

pub(super) fn keys(keys: &[u64]) -> Vec<ArrayRef> {
    vec![whole(keys.iter().map(|key| Some(*key as i64)))]
}

pub(super) fn same(rows: &[([u8; 16], u64)]) -> Vec<ArrayRef> {
    vec![
        texts(rows.iter().map(|(content, _)| Some(hex(content)))),
        whole(rows.iter().map(|(_, files)| Some(*files as i64))),
    ]
}

pub(super) fn devices(rows: &[(i32, Option<Device>, Vec<u8>)]) -> Vec<ArrayRef> {
    let each = || rows.iter();
    let known = || rows.iter().map(|(_, device, _)| device.as_ref());
    let state = |device: &Device| match device.is_member {
        true => "member",
        false => "removed",
    };
    vec![
        numbers(each().map(|(number, ..)| Some(*number))),
        texts(known().map(|d| d.map(|d| &d.name))),
        flags(known().map(|d| d.map(|d| d.is_this))),
        texts(known().map(|d| d.map(state))),
        texts(each().map(|(.., id)| Some(hex(id)))),
    ]
}

pub(super) fn history(rows: &[(Version, Option<i32>)], zone: &TimeZone) -> Vec<ArrayRef> {
    let each = || rows.iter().map(|(version, _)| version);
    let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    // What was removed is less by all that it was.
    let delta = |v: &Version| match (&*v.action, v.before) {
        ("removed", _) => Some(-size(v.size)),
        ("created", None) => Some(size(v.size)),
        (_, before) => before.map(|before| size(v.size).saturating_sub(size(before))),
    };
    vec![
        whole(each().map(|v| v.file.map(|file| file as i64))),
        texts(each().map(|v| Some(String::from_utf8_lossy(&v.path)))),
        whole(each().map(|v| v.number.map(|number| number as i64))),
        moments(each().map(|v| Some(local(v.recorded, zone)))),
        moments(each().map(|v| Some(local(v.modified, zone)))),
        texts(each().map(|v| Some(&v.action))),
        numbers(rows.iter().map(|(_, device)| *device)),
        texts(each().map(|v| v.program.as_ref())),
        whole(each().map(|v| Some(size(v.size)))),
        whole(each().map(delta)),
        flags(each().map(|v| Some(v.kept))),
        texts(each().map(|v| Some(hex(&v.id)))),
    ]
}

pub(super) fn blobs(rows: &[Blob]) -> Vec<ArrayRef> {
    let each = || rows.iter();
    let size = |size: u64| Some(i64::try_from(size).unwrap_or(i64::MAX));
    vec![
        texts(each().map(|b| Some(hex(&b.id)))),
        whole(each().map(|b| size(b.size))),
        whole(each().map(|b| size(b.stored))),
        whole(each().map(|b| size(b.refs))),
        flags(each().map(|b| Some(b.here))),
    ]
}
