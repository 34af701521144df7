//! Any bytes as the list of a bundle in a carried folder: they are refused, or encoded as just these.
#![no_main]

use coffer_sync::carrier::Toc;

coffer_fuzz::fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = Toc::decode(bytes) {
        assert!(list.encode() == bytes, "a list has two encodings");
    }
});
