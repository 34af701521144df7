//! Any bytes as the store's counters.
#![no_main]

coffer_fuzz::again!("counters");
