//! Any bytes as the row of a batch of events.
#![no_main]

coffer_fuzz::again!("batch");
