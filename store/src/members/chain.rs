//! A chain's id names its device: nobody can claim another's chain.

use super::statement::DeviceId;
use crate::ids::ChainId;
use crate::keys::labels;

/// The id of the chain that this device begins with these random bytes: the first 16 bytes of BLAKE3
/// `derive_key(`[`labels::DEVICE_CHAIN`]`)` over the device's public key ‖ `random`.
pub fn chain_id(device: DeviceId, random: &[u8; 16]) -> ChainId {
    let mut hasher = blake3::Hasher::new_derive_key(labels::DEVICE_CHAIN);
    hasher.update(&device.0).update(random);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    ChainId(id)
}
