//! From a person's settings to the network's.

use crate::settings::Settings;
use coffer_store::members::DeviceId;
use coffer_sync::net;

/// What this device's settings say of the network; with where devices were found before.
pub(super) fn plan(settings: &Settings, remembered: Vec<(DeviceId, String)>) -> net::Settings {
    let list = |key: &str| -> Vec<String> {
        let value = settings.get(key);
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let is_on = |key: &str| settings.get(key) == "on";
    let rate = |key: &str| settings.rate(key);
    let usual = net::Settings::default();
    let listen = list("sync-listen");
    net::Settings {
        listen: match listen.as_slice() {
            [] => usual.listen,
            [none] if none == "none" => Vec::new(),
            _ => listen,
        },
        peers: list("sync-peers"),
        remembered,
        relays: list("sync-relays"),
        mdns: is_on("sync-mdns"),
        dht: is_on("sync-dht"),
        lan_only: is_on("sync-lan-only"),
        limit_out: rate("sync-limit-out"),
        limit_in: rate("sync-limit-in"),
    }
}
