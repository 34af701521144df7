//! What is read out of a file: plain rows, which know neither SQL nor the vault.
//!
//! Guarantees: a row says only what stands in the file; what was not understood stands as it was written, in the row's
//! own words, or as a [`Problem`]. Lines count from 1. Dates are as written; times without a zone are local ones.

use jiff::civil;

/// All that a file's bytes say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extract {
    /// The file as a note; none if it is no text.
    pub note: Option<Note>,
    /// The links in it.
    pub links: Vec<Link>,
    /// The tasks in it.
    pub tasks: Vec<Task>,
    /// The contacts in it.
    pub contacts: Vec<Contact>,
    /// The events in it.
    pub events: Vec<Event>,
    /// What could not be read of it.
    pub problems: Vec<Problem>,
}

/// A note.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Note {
    /// `markdown` or `text`.
    pub format: &'static str,
    /// Its front matter's title, or its first heading's; none if it has neither.
    pub title: Option<String>,
    /// All but the front matter.
    pub body: String,
    /// Its words, by Unicode's rules (UAX #29), without markup.
    pub words: u32,
    /// Its headings.
    pub headings: Vec<Heading>,
    /// Its tags without `#`, each once.
    pub tags: Vec<String>,
    /// Its front matter as a JSON object.
    pub front_matter: Option<String>,
}

/// A heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    /// What it says.
    pub text: String,
    /// Where it stands.
    pub line: u32,
}

/// Which form a link has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkKind {
    /// `[[note]]`
    #[default]
    Wiki,
    /// `[text](note.md)`, by reference, too.
    Markdown,
    /// `![[note]]` or `![text](picture.png)`
    Embed,
    /// To somewhere else: `https://…`, `mailto:…`
    Web,
}

impl LinkKind {
    /// As the column says it.
    pub fn name(self) -> &'static str {
        match self {
            LinkKind::Wiki => "wiki",
            LinkKind::Markdown => "markdown",
            LinkKind::Embed => "embed",
            LinkKind::Web => "web",
        }
    }
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Which form it has.
    pub kind: LinkKind,
    /// An [`LinkKind::Embed`] by a wiki link's rules; of all others it follows from the kind.
    pub is_wiki: bool,
    /// Where to, without the fragment, decoded; empty if it is to a place in the same note.
    pub target: String,
    /// The heading or block in it.
    pub fragment: Option<String>,
    /// What it shows.
    pub text: Option<String>,
    /// Where it stands.
    pub line: u32,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// To be done.
    #[default]
    Open,
    /// Begun.
    InProgress,
    /// Done.
    Done,
    /// Given up.
    Cancelled,
}

impl Status {
    /// As the column says it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::InProgress => "in progress",
            Status::Done => "done",
            Status::Cancelled => "cancelled",
        }
    }
}

/// A day, and perhaps a time on it; local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The day.
    pub date: civil::Date,
    /// The time, if one is said.
    pub time: Option<civil::Time>,
}

impl From<civil::Date> for When {
    fn from(date: civil::Date) -> When {
        When { date, time: None }
    }
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// `markdown`, `todo.txt` or `calendar`.
    pub source: &'static str,
    /// What is to be done, without the dates and marks that have a column of their own.
    pub text: String,
    /// How far it is.
    pub status: Status,
    /// The sign in the brackets of a Markdown task, as written; of others none.
    pub symbol: Option<String>,
    /// By when.
    pub due: Option<When>,
    /// When somebody means to do it.
    pub scheduled: Option<When>,
    /// From when on it can be done.
    pub start: Option<When>,
    /// When it was done.
    pub done: Option<When>,
    /// When it was given up.
    pub cancelled: Option<When>,
    /// When it was written down.
    pub created: Option<When>,
    /// 1 (highest) to 9 (lowest), as calendars count.
    pub priority: Option<u8>,
    /// Tags without `#`; contexts of todo.txt and categories of calendars, too.
    pub tags: Vec<String>,
    /// What it belongs to.
    pub project: Option<String>,
    /// How it repeats, as written.
    pub recurrence: Option<String>,
    /// What others call it who depend on it.
    pub id: Option<String>,
    /// The heading under which it stands.
    pub section: Option<String>,
    /// The line as it is written.
    pub raw: String,
    /// Where it stands.
    pub line: u32,
}

/// A contact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contact {
    /// As it is to be shown.
    pub name: String,
    /// Given names.
    pub given: Option<String>,
    /// Family names.
    pub family: Option<String>,
    /// Nicknames.
    pub nicknames: Vec<String>,
    /// Addresses of mail, the preferred one first.
    pub emails: Vec<String>,
    /// Numbers, the preferred one first.
    pub phones: Vec<String>,
    /// Addresses, each in one line.
    pub addresses: Vec<String>,
    /// The organisation and its units.
    pub organisation: Option<String>,
    /// Position in it.
    pub title: Option<String>,
    /// The day, if its year is known.
    pub birthday: Option<civil::Date>,
    /// Month and day, be the year known or not.
    pub birth_day: Option<(u8, u8)>,
    /// Categories.
    pub categories: Vec<String>,
    /// The note.
    pub note: Option<String>,
    /// Web addresses.
    pub urls: Vec<String>,
    /// Its identifier.
    pub uid: Option<String>,
    /// All of its properties as JSON: a list of name, parameters and values.
    pub properties: String,
    /// Where it begins.
    pub line: u32,
}

/// An event of a calendar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// What it is.
    pub summary: String,
    /// More about it.
    pub description: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// When it begins.
    pub start: Option<When>,
    /// When it ends: the moment after its last one; of whole days the day after the last.
    pub end: Option<When>,
    /// The zone in which it is meant, if one is said.
    pub zone: Option<String>,
    /// The rule by which it repeats (RFC 5545).
    pub recurrence: Option<String>,
    /// `confirmed`, `tentative` or `cancelled`.
    pub status: Option<String>,
    /// Who holds it.
    pub organizer: Option<String>,
    /// Who comes.
    pub attendees: Vec<String>,
    /// Categories.
    pub categories: Vec<String>,
    /// A web address.
    pub url: Option<String>,
    /// Its identifier.
    pub uid: Option<String>,
    /// All of its properties as JSON: a list of name, parameters and values.
    pub properties: String,
    /// Where it begins.
    pub line: u32,
}

/// What could not be read of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Where; none if it is about the whole file.
    pub line: Option<u32>,
    /// One clear sentence.
    pub reason: String,
}

impl Extract {
    pub(crate) fn problem(&mut self, line: impl Into<Option<u32>>, reason: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                line: line.into(),
                reason: reason.into(),
            });
        }
    }
}

/// More of one file help nobody.
const PROBLEMS_MAX: usize = 100;
