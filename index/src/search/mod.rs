//! Full-text search: what is asked (`Query`), the index that answers it (`Index`), and how an answer is shown (`snippet`).
//!
//! Guarantees: lies in memory only; whatever is put or asked, nothing panics, and an index that broke says so. Knows no
//! vault, no SQL and no clock: what the vault knows of a file (path, time, kind) is asked of [`Files`] while searching, so
//! that a renamed folder changes nothing in here. docs/search.md says what people can type.

mod error; // what can go wrong
mod fold; // words without case and accents

mod token; // texts to words

mod date; // days, as typed
mod flow; // the tokenizer, and how much it is given
mod query; // what is asked

mod fields; // what the library keeps
mod memory; // the library's files
mod merge; // when segments become one
mod parse; // what is typed, to what is asked
mod snippet; // how an answer is shown

mod find; // the answers

mod index; // the index

pub use error::{Cause, SearchError};
pub use find::{Finder, Found, Hit};
pub use index::{Doc, Index, TEXT_MAX};
pub use parse::{DEPTH_MAX, QUERY_MAX, WORDS_MAX};
pub use query::{Facts, Files, Query, QueryError};
pub use snippet::{SNIPPET_MAX, Snippet, snippet};

#[cfg(test)]
mod tests;
