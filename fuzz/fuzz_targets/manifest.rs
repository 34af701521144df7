//! Any bytes as a manifest's node.
#![no_main]

coffer_fuzz::again!("manifest");
