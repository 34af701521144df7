//! Any bytes as the changes of a record of the journal.
#![no_main]

coffer_fuzz::again!("journal");
