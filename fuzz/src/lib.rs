//! The law of every decoder of stored bytes: it refuses them, or has read what is encoded
//! as exactly these bytes. It never panics; the fuzzer watches memory besides.
//!
//! Targets begin from the frozen vectors, which `scripts/fuzz` lays out for them.

#[doc(hidden)]
pub use libfuzzer_sys::fuzz_target;

/// A target for the format of this name.
#[macro_export]
macro_rules! again {
    ($format:literal) => {
        $crate::fuzz_target!(|bytes: &[u8]| $crate::lawful($format, bytes));
    };
}

/// Holds the decoder of a format to its law.
///
/// # Panics
/// If it breaks the law.
pub fn lawful(format: &str, bytes: &[u8]) {
    if let Some(made) = coffer_store::testing::format(format)(bytes) {
        assert!(
            made == bytes,
            "a record has two encodings: this one is made of it: {made:02x?}"
        );
    }
}
