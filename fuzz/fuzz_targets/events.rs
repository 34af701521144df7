//! Any bytes as a batch of events.
#![no_main]

coffer_fuzz::again!("events");
