//! When and where other devices were met last: a note in the vault, for the next time.

use coffer_store::members::DeviceId;
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

/// All of them, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AllMet {
    pub(super) devices: BTreeMap<String, Met>,
}

fn id_of(hex: &str) -> Option<DeviceId> {
    let digits = hex.as_bytes();
    let mut id = [0; 32];
    for (n, byte) in id.iter_mut().enumerate() {
        let pair = std::str::from_utf8(digits.get(2 * n..2 * n + 2)?).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    (digits.len() == 64).then_some(DeviceId(id))
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

    /// Nothing but where one device is: the one that invited this one.
    pub(super) fn only(device: DeviceId, addresses: Vec<String>) -> AllMet {
        let met = Met {
            addresses,
            ..Met::default()
        };
        AllMet {
            devices: BTreeMap::from([(device.to_string(), met)]),
        }
    }

    /// All addresses, with whose they are.
    pub(super) fn addresses(&self) -> Vec<(DeviceId, String)> {
        let of = |(hex, met): (&String, &Met)| Some((id_of(hex)?, met.addresses.clone()));
        let all = self.devices.iter().filter_map(of);
        all.flat_map(|(id, addresses)| addresses.into_iter().map(move |address| (id, address)))
            .collect()
    }

    /// Learns what the network knows now; whether that is worth noting: anything but the time.
    pub(super) fn learn(&mut self, status: &Status, members: &[String]) -> bool {
        let mut new = false;
        // Who is no member any more is called no more.
        self.devices.retain(|id, _| members.contains(id));
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
            new |= met.addresses != before.addresses
                || met.address != before.address
                || before.seen.is_none() != met.seen.is_none();
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vault that was locked a moment after it was mounted forgot where its other devices were: the network did not know
    /// them yet. Guards what is remembered: for as long as a device is a member.
    #[test]
    fn nobody_is_forgotten_before_the_network_knows_them() {
        let id = DeviceId([7; 32]);
        let mut met = AllMet::only(id, vec!["/ip4/192.0.2.1/tcp/1".into()]);
        met.learn(&Status::default(), &[id.to_string()]);
        assert_eq!(met.addresses(), [(id, "/ip4/192.0.2.1/tcp/1".to_owned())]);
        met.learn(&Status::default(), &[]);
        assert!(met.addresses().is_empty());
    }
}
