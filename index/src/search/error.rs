//! What can go wrong with the index, and what keeps the library's panics inside.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tantivy::TantivyError;

/// Why the index did not do it. It is then of no more use: make a new one, and put everything again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// It could not be made.
    #[error("The search index could not be set up: make room in memory, and try again.")]
    Start(#[source] Cause),
    /// It did not take a change.
    #[error("The search index did not take a change, and has to be made anew.")]
    Change(#[source] Cause),
    /// It did not answer.
    #[error("The search index could not be read, and has to be made anew.")]
    Read(#[source] Cause),
}

/// What the library said.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Runs what may panic in the library.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, TantivyError>) -> Result<T, Cause> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Cause::from),
        Err(_) => Err("it panicked".into()),
    }
}
