//! Any bytes as the payload of a content event.
#![no_main]

coffer_fuzz::again!("version");
