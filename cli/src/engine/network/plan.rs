//! From a person's settings to the network's.

use crate::settings::Settings;
use coffer_sync::net;

/// What this device's settings say of the network; and which addresses were known before.
pub(super) fn plan(settings: &Settings, met: &[String]) -> net::Settings {
    let list = |key: &str| -> Vec<String> {
        let value = settings.get(key);
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let is_on = |key: &str| settings.get(key) == "on";
    let rate = |key: &str| settings.rate(key);
    let usual = net::Settings::default();
    let listen = list("sync-listen");
    let mut peers = list("sync-peers");
    peers.extend(met.iter().filter(|address| !peers.contains(address)).cloned().collect::<Vec<_>>());
    net::Settings {
        listen: match listen.as_slice() {
            [] => usual.listen,
            [none] if none == "none" => Vec::new(),
            _ => listen,
        },
        peers,
        relays: list("sync-relays"),
        mdns: is_on("sync-mdns"),
        dht: is_on("sync-dht"),
        lan_only: is_on("sync-lan-only"),
        limit_out: rate("sync-limit-out"),
        limit_in: rate("sync-limit-in"),
    }
}
