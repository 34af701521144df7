//! Any bytes as a message between devices: it is refused, or has just these bytes.
#![no_main]

use coffer_sync::core::wire::{Heard, Message};

coffer_fuzz::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Heard::Message(message)) = Message::decode(bytes) {
        assert!(message.encode() == bytes, "a message has two encodings");
    }
});
