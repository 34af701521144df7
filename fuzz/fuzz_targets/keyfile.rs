//! Any bytes as the key file.
#![no_main]

coffer_fuzz::again!("keyfile");
