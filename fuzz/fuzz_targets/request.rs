//! Any bytes as a device's request to be added.
#![no_main]

use coffer_fuzz::fuzz_target;
use coffer_store::ids::SpaceId;
use coffer_store::members::{DeviceId, JoinRequest};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = JoinRequest::decode(bytes) {
        assert!(request.encode() == bytes, "a request has two encodings");
        let _believed = request.verify(SpaceId([1; 16]), DeviceId([2; 32]));
    }
});
