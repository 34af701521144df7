//! Any bytes as a message between devices: it is refused, or has just these bytes. A policy, or a reason to say goodbye, that only a later version has is
//! encoded as what it counts as.
#![no_main]

use coffer_sync::core::wire::{Heard, Message};

coffer_fuzz::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Heard::Message(message)) = Message::decode(bytes) {
        let again = message.encode();
        let differ = again.iter().zip(bytes).filter(|(now, then)| now != then).count();
        let counts = matches!(message, Message::Hello(_) | Message::Goodbye(_));
        assert!(
            again.len() == bytes.len() && differ <= usize::from(counts),
            "a message has two encodings"
        );
        assert!(Message::decode(&again) == Ok(Heard::Message(message)));
    }
});
