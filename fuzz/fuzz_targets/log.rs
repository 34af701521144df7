//! Any bytes as a row of a file's log.
#![no_main]

coffer_fuzz::again!("log");
