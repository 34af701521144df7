//! Any bytes as the record of a text's document.
#![no_main]

coffer_fuzz::again!("document");
