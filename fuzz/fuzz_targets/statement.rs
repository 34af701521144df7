//! Any bytes as a statement about a space's devices, and with the signature that its author would make: what is believed has one encoding.
#![no_main]

use coffer_fuzz::fuzz_target;
use coffer_store::keys::{Key, SigningKey, labels};
use coffer_store::members::{DeviceId, Statement, Verified};

fuzz_target!(|bytes: &[u8]| {
    let Ok(statement) = Statement::decode(bytes) else {
        return;
    };
    let mut statement = statement.statement().clone();
    assert!(statement.encode() == bytes, "a statement has two encodings");
    // By a device that signs whatever it is given.
    let device = SigningKey::from_seed(Key::take(&mut [7; 32]));
    statement.author = DeviceId::of(&device);
    let unsigned = statement.encode();
    statement.signature = device.sign(labels::SIGN_MEMBER, &unsigned[..unsigned.len() - 64]);
    let signed = statement.encode();
    if let Ok(verified) = Verified::decode(&signed) {
        assert!(
            verified.statement().encode() == signed,
            "what is believed is something else"
        );
    }
});
