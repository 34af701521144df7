//! Any bytes as the row of what is settled of a node.
#![no_main]

coffer_fuzz::again!("ground");
