//! Any bytes as an event.
#![no_main]

coffer_fuzz::again!("event");
