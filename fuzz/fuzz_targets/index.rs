//! Any bytes as a device's index in a carried folder, as if its author had signed them: they are refused, or encoded as just these,
//! but for a policy that only a later version has, and what such a one says further on.
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
        let again = index.encode(SPACE, &device);
        let said = &again[..again.len() - 64];
        // Version, author and number stand before it.
        const POLICY: usize = 1 + 32 + 8;
        assert!(said.len() <= body.len() - 64, "an index has two encodings");
        for (at, (now, then)) in said.iter().zip(&body[..]).enumerate() {
            assert!(now == then || at == POLICY && *now == 2, "an index has two encodings");
        }
        assert!(Index::decode(SPACE, &again).is_ok());
    }
});
