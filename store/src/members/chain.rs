//! A chain's id names its device and its space: nobody can claim another's chain, and a device that is in two spaces has
//! no chain in both.

use super::statement::DeviceId;
use crate::ids::{ChainId, SpaceId};
use crate::keys::labels;

/// The id of the chain that this device begins in this space with these random bytes: the first 16 bytes of BLAKE3
/// `derive_key(`[`labels::DEVICE_CHAIN`]`)` over the space ‖ the device's public key ‖ `random`.
pub fn chain_id(space: SpaceId, device: DeviceId, random: &[u8; 16]) -> ChainId {
    let mut hasher = blake3::Hasher::new_derive_key(labels::DEVICE_CHAIN);
    hasher.update(&space.0).update(&device.0).update(random);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    ChainId(id)
}
