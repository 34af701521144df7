//! Pack files.
