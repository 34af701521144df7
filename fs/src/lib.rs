//! The mounted folder: file-system semantics in our own types first, and a thin FUSE
//! adapter over them. The only crate that names `fuser`.
//!
//! Modules, each importing only those above it:

pub mod types;

pub mod patience;
pub mod permit;

pub mod adapter;
pub mod mount;
pub mod vaultfs;

pub mod follow;
pub mod shelf;
