//! What a person can choose about the network.

use coffer_store::members::DeviceId;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::error::StartError;
use super::peers::is_sound;

/// How a device takes part in the network. What is not said here is chosen by the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen, as multiaddrs. None: this device only calls others.
    pub listen: Vec<String>,
    /// Addresses of other devices that are known by hand, with or without `/p2p/…`.
    pub peers: Vec<String>,
    /// Where devices were found before: tried as what they say of themselves is. Of who is no member any more, nothing.
    pub remembered: Vec<(DeviceId, String)>,
    /// Relays, as multiaddrs that end in `/p2p/…`.
    pub relays: Vec<String>,
    /// Whether to show itself to, and look for, devices in the local network.
    pub mdns: bool,
    /// Whether to leave sealed addresses with the relays, and look for those of other devices.
    pub dht: bool,
    /// Whether to keep to the local network: no relay is called, and no address from elsewhere but those known by hand.
    pub lan_only: bool,
    /// Most bytes a second that go out; none: any number.
    pub limit_out: Option<u64>,
    /// Most bytes a second that come in; none: any number.
    pub limit_in: Option<u64>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: [
                "/ip4/0.0.0.0/tcp/0",
                "/ip4/0.0.0.0/udp/0/quic-v1",
                "/ip6/::/tcp/0",
                "/ip6/::/udp/0/quic-v1",
            ]
            .map(String::from)
            .into(),
            peers: Vec::new(),
            remembered: Vec::new(),
            relays: Vec::new(),
            mdns: true,
            dht: true,
            lan_only: false,
            limit_out: None,
            limit_in: None,
        }
    }
}

/// The same, read.
pub(super) struct Plan {
    pub(super) listen: Vec<Multiaddr>,
    pub(super) peers: Vec<Multiaddr>,
    pub(super) remembered: Vec<(DeviceId, Multiaddr)>,
    pub(super) relays: Vec<Multiaddr>,
    pub(super) mdns: bool,
    pub(super) dht: bool,
    pub(super) lan_only: bool,
    pub(super) limits: (Option<u64>, Option<u64>),
}

impl Settings {
    /// Whether all addresses are some.
    ///
    /// # Errors
    /// The first that is none, as a sentence.
    pub fn check(&self) -> Result<(), StartError> {
        self.read().map(drop)
    }

    pub(super) fn read(&self) -> Result<Plan, StartError> {
        let all = |list: &[String]| {
            list.iter()
                .map(|text| address(text))
                .collect::<Result<Vec<_>, _>>()
        };
        let relays = all(&self.relays)?;
        for (relay, text) in relays.iter().zip(&self.relays) {
            if !is_relay(relay) {
                return Err(StartError::Relay(text.clone()));
            }
        }
        Ok(Plan {
            listen: all(&self.listen)?,
            peers: all(&self.peers)?,
            // One that cannot be read any more is no loss.
            remembered: self
                .remembered
                .iter()
                .filter_map(|(device, text)| Some((*device, text.parse().ok()?)))
                .collect(),
            relays: if self.lan_only { Vec::new() } else { relays },
            mdns: self.mdns,
            dht: self.dht && !self.lan_only,
            lan_only: self.lan_only,
            limits: (self.limit_out, self.limit_in),
        })
    }
}

/// An address as a person wrote it.
pub(super) fn address(text: &str) -> Result<Multiaddr, StartError> {
    text.trim()
        .parse()
        .map_err(|_| StartError::Address(text.chars().take(200).collect()))
}

fn is_relay(address: &Multiaddr) -> bool {
    is_sound(address)
        && matches!(address.iter().last(), Some(Protocol::P2p(_)))
        && !super::peers::is_relayed(address)
}
