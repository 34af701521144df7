//! Any bytes as the row of kept packs.
#![no_main]

coffer_fuzz::again!("kept");
