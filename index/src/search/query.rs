//! What is asked: words, phrases, tags and filters, joined by and, or and not.
//!
//! Guarantees: its size is bounded by what the parser takes; what is asked shows in no `Debug` of it.

use std::fmt;

use jiff::Timestamp;

use super::fold::folded;
use super::token::{Of, Tokens};

/// A question as people type it, understood; docs/search.md says how.
#[derive(Clone)]
pub struct Query {
    pub(super) root: Node,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query(…)")
    }
}

/// Why a question makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No word and no filter in it.
    #[error("There is nothing to search for: give at least one word, or a filter such as in:Notes.")]
    Empty,
    /// More bytes than are read.
    #[error("The search is too long: at most {max} bytes are read.")]
    TooLong {
        /// How many are.
        max: usize,
    },
    /// More words than are looked for at once.
    #[error("The search has too many words: at most {max} are looked for at once.")]
    TooManyWords {
        /// How many are.
        max: usize,
    },
    /// Parentheses in parentheses, too many times.
    #[error("The search has too many parentheses in each other: at most {max}.")]
    TooDeep {
        /// How many may be.
        max: usize,
    },
    /// A filter by time whose value is none.
    #[error(
        "“{value}” after {field}: is no date; write 2026-03-01, 2026-03, 2026, today, yesterday, \
         or a time ago such as 7d, 2w, 3m or 1y."
    )]
    Date {
        /// `before` or `after`.
        field: &'static str,
        /// What stands there.
        value: String,
    },
}

/// A part of a question.
#[derive(Clone)]
pub(super) enum Node {
    /// All of them; of none: everything.
    And(Vec<Node>),
    /// One of them at least.
    Or(Vec<Node>),
    /// Not this.
    Not(Box<Node>),
    /// Words in a row.
    Text(Text),
    /// A tag, folded, with all below it.
    Tag {
        /// Without `#`.
        path: String,
        /// `tag:gar*`
        is_prefix: bool,
    },
    /// What the vault knows of the file.
    Filter(Filter),
}

/// Where words are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everywhere.
    Any,
    /// In the title.
    Title,
    /// In the file's name.
    Name,
}

/// A word, or several that stand in a row.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) scope: Scope,
    /// At least one; each with its distance from the first, growing.
    pub(super) words: Vec<(u32, String)>,
    /// The last word is only the beginning of one.
    pub(super) is_prefix: bool,
}

impl Text {
    /// The words of a text in a row; none if there are none.
    pub(super) fn of(text: &str, scope: Scope, is_prefix: bool) -> Option<Text> {
        let mut tokens = Tokens::new(text, Of::Question);
        let mut words = Vec::new();
        let mut word = String::new();
        let mut is_undivided = false;
        while let Some(spot) = tokens.next(&mut word) {
            is_undivided = spot.is_undivided;
            words.push((spot.position, word.clone()));
        }
        let first = words.first()?.0;
        for word in &mut words {
            word.0 -= first;
        }
        Some(Text {
            scope,
            words,
            // Parts of undivided words are found anyway.
            is_prefix: is_prefix && !is_undivided,
        })
    }
}

/// What the vault knows of a file, and not its text.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// In this folder, or this file: its path's parts, folded.
    In(Vec<String>),
    /// Changed earlier than this.
    Before(Timestamp),
    /// Changed then or later.
    After(Timestamp),
    /// Of this kind, folded.
    Kind(String),
    /// With this extension, folded.
    Extension(String),
}

/// What is said of a file.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// When its content changed last.
    pub modified: Timestamp,
    /// What `kind:` is compared with.
    pub kind: &'a str,
    /// What `ext:` is compared with; without the dot.
    pub extension: &'a str,
}

/// The files, as who searches may see them. Asked often while searching: it has to be quick.
pub trait Files {
    /// What is known of a file; none if it is not to be found.
    fn facts(&self, file: u64) -> Option<Facts<'_>>;
    /// Its path from the vault's root on.
    fn path(&self, file: u64) -> std::borrow::Cow<'_, str>;
}

impl Filter {
    /// Whether a file passes.
    pub(super) fn passes(&self, file: u64, facts: &Facts<'_>, files: &dyn Files) -> bool {
        match self {
            Filter::In(wanted) => {
                let path = files.path(file);
                let mut parts = parts(&path);
                wanted
                    .iter()
                    .all(|part| parts.next().is_some_and(|other| is_folded(other, part)))
            }
            Filter::Before(time) => facts.modified < *time,
            Filter::After(time) => facts.modified >= *time,
            Filter::Kind(kind) => is_folded(facts.kind, kind),
            Filter::Extension(extension) => is_folded(facts.extension, extension),
        }
    }
}

/// The parts of a path that say something.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

fn is_folded(text: &str, folded_one: &str) -> bool {
    match text.is_ascii() {
        true => text.len() == folded_one.len() && text.eq_ignore_ascii_case(folded_one),
        false => folded(text) == folded_one,
    }
}
