//! Texts that merge: from two versions of a note to what was edited, and from what several
//! people and devices edited to one note.
//!
//! The way of a save: [`TextNames`] says whether a file is a text; [`likeliest`] finds the version
//! that its editor had; [`Document::edit`] makes one [`Change`] of the difference, at that
//! version; another device checks the change ([`Change::check`]), applies it, and has the same
//! text. [`still_whole`] says whether a merged contact or calendar is still one.
//!
//! Pure: bytes in, bytes out; no I/O, no clock, and the same input gives the same output on
//! every device. Bad bytes never panic out of here. It never decides what is stored or sent.
//! `docs/text.md` has the recipe byte by byte, and what is promised.

mod actor;
mod base;
mod change;
mod diff;
mod document;
mod error;
mod glob;
mod guard;
mod names;
mod structured;

pub use actor::{Actor, Maker};
pub use base::{Had, likeliest, nearest};
pub use change::{Change, ChangeHash, Heads};
pub(crate) use diff::one_step;
pub use diff::{Splice, splices};
pub use document::Document;
pub(crate) use document::Split;
pub use error::TextError;
pub use guard::Refused;
pub use names::{BadPattern, Kind, TEXT_MAX, TextNames};
pub use structured::still_whole;
