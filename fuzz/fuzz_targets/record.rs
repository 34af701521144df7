//! Any bytes as the header of a record in a pack.
#![no_main]

coffer_fuzz::again!("record");
