//! Any bytes as the record of a version.
#![no_main]

coffer_fuzz::again!("history");
