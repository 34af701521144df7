//! Any bytes as the payload of a removal.
#![no_main]

coffer_fuzz::again!("removal");
