//! What the end-to-end suites share.
