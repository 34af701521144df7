//! When and where other devices were met last: a note in the vault, for the next time.

use coffer_store::vault::Vault;
use coffer_sync::net::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The note's name.
const NOTE: &str = "network";
/// Most addresses that are remembered of one device.
const ADDRESSES: usize = 8;

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Met {
    /// When.
    pub(super) seen: Option<Timestamp>,
    /// “direct” or “relay”.
    pub(super) reached: Option<String>,
    /// Its address then.
    pub(super) address: Option<String>,
    /// Where it may be.
    pub(super) addresses: Vec<String>,
}

/// All of them, by id; and where whoever invited this device was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AllMet {
    pub(super) devices: BTreeMap<String, Met>,
    #[serde(default)]
    pub(super) inviter: Vec<String>,
}

impl AllMet {
    /// As it was noted; nothing, if that cannot be read: it is a help, and no more.
    pub(super) fn load(vault: &Vault) -> AllMet {
        let note = vault.note(NOTE).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&note).unwrap_or_default()
    }

    /// Notes it.
    pub(super) fn keep(&self, vault: &Vault) {
        let text = serde_json::to_vec(self).expect("it is plain data");
        // Without it other devices are found by the other ways.
        let _ = vault.set_note(NOTE, &text);
    }

    /// All addresses.
    pub(super) fn addresses(&self) -> Vec<String> {
        let all = self.devices.values().flat_map(|met| &met.addresses);
        let mut all: Vec<String> = all.chain(&self.inviter).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// Learns what the network knows now; whether that is worth noting: anything but the time.
    pub(super) fn learn(&mut self, status: &Status) -> bool {
        let mut new = false;
        for peer in &status.peers {
            let met = self.devices.entry(peer.device.to_string()).or_default();
            let before = met.clone();
            let mut addresses = peer.addresses.clone();
            addresses.truncate(ADDRESSES);
            if !addresses.is_empty() {
                met.addresses = addresses;
            }
            if let Some(link) = &peer.link {
                met.seen = Some(Timestamp::now());
                met.reached = Some(if link.relayed { "relay" } else { "direct" }.into());
                met.address = Some(link.address.clone());
            }
            new |= met.addresses != before.addresses || met.address != before.address || before.seen.is_none() != met.seen.is_none();
        }
        new
    }
}
