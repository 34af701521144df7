//! Any bytes as the row of what a chain has said of chains.
#![no_main]

coffer_fuzz::again!("said");
