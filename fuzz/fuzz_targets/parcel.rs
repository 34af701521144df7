//! Any bytes as a batch of events that travels: it is refused, or has just these bytes.
#![no_main]

use coffer_store::ids::ChainId;
use coffer_sync::core::wire::{Parcel, unpack};

coffer_fuzz::fuzz_target!(|bytes: &[u8]| {
    if let Ok(carried) = unpack(ChainId([1; 16]), 7, bytes) {
        let again = Parcel::new(carried.into()).piece(0, usize::MAX);
        assert!(again == bytes, "a parcel has two encodings");
    }
});
