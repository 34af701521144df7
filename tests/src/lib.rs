//! What the end-to-end suites share.
//!
//! Modules, each importing only those above it:

pub mod settings;

pub mod op;

pub mod play;

pub mod reference;

pub mod stream;

pub mod broken;
