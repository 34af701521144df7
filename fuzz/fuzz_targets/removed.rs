//! Any bytes as the record of something that was removed.
#![no_main]

coffer_fuzz::again!("removed");
