//! Any bytes as the note of a removal.
#![no_main]

coffer_fuzz::again!("gone");
