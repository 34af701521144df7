//! Where the lines of a conversation come from: a terminal, or a test.

use crate::failure::Failure;

/// Where lines come from.
pub(crate) trait Lines {
    /// What was typed, whole.
    ///
    /// # Errors
    /// Nothing more can be read.
    fn read(&mut self) -> Result<Read, Failure>;

    /// Offers it again.
    fn keep(&mut self, entry: &str);
}

/// What came.
pub(crate) enum Read {
    Text(String),
    /// Ctrl-C
    Cleared,
    /// Ctrl-D
    End,
}
