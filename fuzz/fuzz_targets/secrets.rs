//! Any bytes as a device's secrets.
#![no_main]

coffer_fuzz::again!("secrets");
