//! Any bytes as a device's index in a carried folder, as if its author had signed them: they are refused, or encoded as just these.
#![no_main]

use coffer_store::ids::SpaceId;
use coffer_store::keys::{Key, SigningKey, labels};
use coffer_sync::carrier::Index;

const SPACE: SpaceId = SpaceId([7; 16]);

coffer_fuzz::fuzz_target!(|bytes: &[u8]| {
    let device = SigningKey::from_seed(Key::take(&mut [1; 32]));
    // Without a signature nothing is looked at: it is made here, for the author that stands there.
    let body = &bytes[..bytes.len().saturating_sub(64)];
    let mut body = body.to_vec();
    if let Some(author) = body.get_mut(1..33) {
        author.copy_from_slice(device.verifying().as_bytes());
    }
    let signature = device.sign(labels::SIGN_CARRIER, &[&SPACE.0[..], &body].concat());
    body.extend_from_slice(&signature);
    if let Ok(index) = Index::decode(SPACE, &body) {
        assert!(index.encode(SPACE, &device)[..] == body[..], "an index has two encodings");
    }
});
