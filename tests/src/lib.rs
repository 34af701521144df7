//! What the end-to-end suites share.
//!
//! Modules, each importing only those above it:

pub mod settings;

pub mod op;

pub mod play;

pub mod reference;

pub mod stream;

pub mod broken;

pub mod engine;

pub mod crash;

pub mod command;

pub mod load;

pub mod tree;

pub mod vault;

pub mod editors;
