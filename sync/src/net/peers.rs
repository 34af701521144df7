//! Names and addresses of libp2p's, and ours: transport keys and peer ids, and what an address is.

use std::net::{IpAddr, Ipv6Addr};

use coffer_store::keys::Key;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use zeroize::Zeroizing;

/// The longest address that is remembered or written anywhere, in bytes.
pub(super) const ADDRESS_MAX: usize = 128;

/// The peer id of a transport key; none if it is no key.
pub(super) fn peer_of(key: &[u8; 32]) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The transport key of a peer id; none if it is of another kind.
pub(super) fn key_of(peer: &PeerId) -> Option<[u8; 32]> {
    // An ed25519 key's peer id is the key itself, behind a few bytes that say so.
    let key = PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}

/// The key pair of a seed.
pub(super) fn keypair(seed: &Key) -> Option<Keypair> {
    let mut bytes = Zeroizing::new(*seed.expose());
    Keypair::ed25519_from_bytes(&mut bytes[..]).ok()
}

/// Whether an address leads through a relay.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The relay that it leads through.
pub(super) fn relay_in(address: &Multiaddr) -> Option<PeerId> {
    let mut before = None;
    for part in address {
        match part {
            Protocol::P2p(peer) => before = Some(peer),
            Protocol::P2pCircuit => return before,
            _ => {}
        }
    }
    None
}

/// Whether it is good on one link only, which it does not name.
pub(super) fn is_link_local(address: &Multiaddr) -> bool {
    matches!(address.iter().next(), Some(Protocol::Ip6(ip)) if ip.is_unicast_link_local())
}

/// Whether it is one of TCP's.
pub(super) fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

/// Whom an address leads to, if it says.
pub(super) fn target(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// An address without whom it leads to.
pub(super) fn bare(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    if target(&address).is_some() {
        address.pop();
    }
    address
}

/// Whether an address lies in a local network.
pub(super) fn is_local(address: &Multiaddr) -> bool {
    let ip: IpAddr = match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return false,
    };
    !is_relayed(address)
        && match ip {
            IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
        }
}

/// Whom an address counts for: an IPv4 address, or the /64 of an IPv6 one, which one household has.
pub(super) fn origin(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(match ip.to_ipv4_mapped() {
            Some(ip) => ip.into(),
            None => Ipv6Addr::from(u128::from(ip) & (!0 << 64)).into(),
        }),
        _ => None,
    })
}

/// Whether it says where: not an address of all interfaces, nor longer than addresses are.
pub(super) fn is_sound(address: &Multiaddr) -> bool {
    let somewhere = match address.iter().next() {
        Some(Protocol::Ip4(ip)) => !ip.is_unspecified() && !ip.is_multicast(),
        Some(Protocol::Ip6(ip)) => !ip.is_unspecified() && !ip.is_multicast(),
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => true,
        _ => false,
    };
    somewhere && address.len() <= ADDRESS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the way there and back: a transport key and its peer id name each other.
    #[test]
    fn keys_and_peer_ids_name_each_other() {
        let pair = keypair(&Key::take(&mut [7; 32])).unwrap();
        let peer = pair.public().to_peer_id();
        let key = key_of(&peer).unwrap();
        assert_eq!(peer_of(&key), Some(peer));
        assert_eq!(key, pair.try_into_ed25519().unwrap().public().to_bytes());
    }

    /// Guards what addresses are taken for.
    #[test]
    fn addresses_are_what_they_say() {
        let peer = PeerId::random();
        let of = |text: &str| text.parse::<Multiaddr>().unwrap();
        let direct = of(&format!("/ip4/192.168.1.2/tcp/4001/p2p/{peer}"));
        assert_eq!(target(&direct), Some(peer));
        assert_eq!(bare(&direct), of("/ip4/192.168.1.2/tcp/4001"));
        assert!(is_local(&direct) && !is_relayed(&direct) && is_sound(&direct) && is_tcp(&direct));
        let circuit = of(&format!("/ip4/192.168.1.2/tcp/1/p2p/{peer}/p2p-circuit"));
        assert!(is_relayed(&circuit) && !is_local(&circuit) && target(&circuit).is_none());
        assert_eq!((relay_in(&circuit), relay_in(&direct)), (Some(peer), None));
        assert!(!is_local(&of("/ip4/8.8.8.8/udp/1/quic-v1")));
        let one = of("/ip6/2001:db8:0:1::5/tcp/1");
        assert_eq!(
            origin(&one),
            origin(&of("/ip6/2001:db8:0:1:ffff::/udp/2/quic-v1"))
        );
        assert_ne!(origin(&one), origin(&of("/ip6/2001:db8:0:2::5/tcp/1")));
        assert_eq!(origin(&direct), origin(&of("/ip6/::ffff:192.168.1.2/tcp/1")));
        assert!(!is_sound(&of("/ip4/0.0.0.0/tcp/1")) && !is_sound(&of("/memory/1")));
    }
}
