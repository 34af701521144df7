//! Any bytes as the payload of an acknowledgement.
#![no_main]

coffer_fuzz::again!("acknowledge");
