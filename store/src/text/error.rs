//! What can go wrong with a text, in one sentence each.
//!
//! No error holds a word of the text.

use super::change::ChangeHash;

/// Why something could not be done to a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// These bytes cannot begin a text.
    #[error("this is not a text that can merge, {0}: it is kept as a file of which every version is whole")]
    NotText(&'static str),
    /// A version, or what a change builds on, is not here.
    #[error("the text's change {0} is not here yet: wait for the event that brings it")]
    Missing(ChangeHash),
    /// A version without a single change.
    #[error("this names no version of the text: a version has at least one change")]
    NoVersion,
    /// A change of another device contradicts what is known; the document is as it was.
    #[error(
        "the text's change {change} was refused, {why}: it is set aside, and the text goes on without it"
    )]
    Refused {
        /// Which.
        change: ChangeHash,
        /// In which respect.
        why: &'static str,
    },
    /// Too many operations were ever made.
    #[error("this text's past is too long for another change: begin its document again from its text")]
    Full,
    /// A stored document does not read.
    #[error("the stored document of this text is damaged: build it again from its events")]
    Damaged,
    /// The document was discarded, because the library failed in the middle of changing it.
    #[error("this text's document failed and was discarded: build it again from what is stored")]
    Discarded,
}
