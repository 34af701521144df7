//! Any bytes as a node's row.
#![no_main]

coffer_fuzz::again!("node");
