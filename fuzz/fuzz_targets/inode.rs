//! Any bytes as an inode's row.
#![no_main]

coffer_fuzz::again!("inode");
