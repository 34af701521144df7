//! Any bytes as the vault's header.
#![no_main]

coffer_fuzz::again!("header");
