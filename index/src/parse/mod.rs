//! Reads what files say: Markdown, todo.txt, vCard, iCalendar and plain text, by name.
//!
//! Guarantees: any bytes give rows or problems, never a panic and never more memory than a small multiple of the file;
//! what is not understood is kept in the row or listed. Reads no clock but the zone it is given, and touches no file.

mod decode; // bytes to text, offsets to lines
mod tag; // #tags

mod front; // YAML at a note's start
mod plain; // plain text
mod properties; // vCard's and iCalendar's lines
mod task; // a task in a line of Markdown

mod calendar; // iCalendar
mod contact; // vCard
mod markdown; // notes
mod todotxt; // todo.txt

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::tz::TimeZone;

use crate::rows::Extract;

/// A longer file, in bytes, is not read.
pub const READ_MAX: usize = 8 << 20;

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Markdown, of any dialect.
    Markdown,
    /// Plain text.
    Text,
    /// A list of tasks (todotxt.org).
    TodoTxt,
    /// Contacts.
    VCard,
    /// Events and tasks.
    Calendar,
}

impl Format {
    /// What a file of this name is read as; none if its bytes are nobody's here.
    pub fn of(name: &[u8]) -> Option<Format> {
        let name = String::from_utf8_lossy(name).to_lowercase();
        if ["todo.txt", "done.txt"].contains(&&*name) || name.ends_with(".todo.txt") {
            return Some(Format::TodoTxt);
        }
        let (stem, extension) = name.rsplit_once('.')?;
        if stem.is_empty() {
            return None;
        }
        match extension {
            "md" | "markdown" | "mdown" | "mkd" => Some(Format::Markdown),
            "txt" | "text" => Some(Format::Text),
            "vcf" | "vcard" => Some(Format::VCard),
            "ics" | "ical" | "icalendar" | "ifb" => Some(Format::Calendar),
            _ => None,
        }
    }
}

/// Reads a file's bytes. Moments that are said with a zone are told as they are in `zone`.
pub fn read(format: Format, bytes: &[u8], zone: &TimeZone) -> Extract {
    let mut out = Extract::default();
    if bytes.len() > READ_MAX {
        out.problem(
            None,
            format!("The file is longer than {} MiB and was not read.", READ_MAX >> 20),
        );
        return out;
    }
    // The libraries are not ours: a panic of theirs is a file that cannot be read, and no more.
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut found = Extract::default();
        let mended;
        let bytes = match format {
            Format::VCard | Format::Calendar if std::str::from_utf8(bytes).is_err() => {
                mended = decode::folds(bytes);
                &mended
            }
            _ => bytes,
        };
        let text = decode::text(bytes, &mut found);
        match format {
            Format::Markdown => markdown::read(&text, &mut found),
            Format::Text => plain::read(&text, &mut found),
            Format::TodoTxt => todotxt::read(&text, &mut found),
            Format::VCard => contact::read(&text, &mut found),
            Format::Calendar => calendar::read(&text, zone, &mut found),
        }
        found
    }));
    match done {
        Ok(found) => found,
        Err(_) => {
            out.problem(
                None,
                "The file could not be read: its reader met a fault of its own.",
            );
            plain::read(&String::from_utf8_lossy(bytes), &mut out);
            out
        }
    }
}

#[cfg(test)]
mod tests;
