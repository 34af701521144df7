//! Any bytes as a chunk's row.
#![no_main]

coffer_fuzz::again!("chunk");
