//! Any bytes as the payload of a node event.
#![no_main]

coffer_fuzz::again!("state");
