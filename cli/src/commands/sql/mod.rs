//! `coffer sql`, as far as it needs no database: the conversation at the terminal.
//!
//! Guarantees: knows no vault and no SQL beyond where a statement ends. Touches no file: what was asked before is given to it,
//! and taken from it.

mod history;
mod lines;
mod scan;
mod schema;

mod dot;

mod complete;

mod editor;
pub(super) use history::History;
pub(super) use prompt::{Prompt, Runner, Shows};
pub(super) use schema::{Column, Example, Schema, View};

mod prompt; // takes its lines from the editor, whose lines it describes
