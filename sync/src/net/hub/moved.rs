//! This machine's addresses change: a cable is pulled, another network joined.
//!
//! Guarantees that connections which came to, or went out from, an address that is gone are given up at once: nothing arrives at them
//! any more, and to notice it by silence takes a minute. It never waits for one to be closed: what cannot be sent has no end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use libp2p::Multiaddr;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;

use super::Hub;

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// This machine's address by which a direct connection goes; none if it cannot be told.
pub(super) fn local_of(endpoint: &ConnectedPoint) -> Option<IpAddr> {
    if endpoint.is_relayed() {
        return None;
    }
    if let ConnectedPoint::Listener { local_addr, .. } = endpoint
        && let Some(ip) = ip_of(local_addr).filter(|ip| !ip.is_unspecified())
    {
        return Some(ip);
    }
    // The system knows by which address it would send something there. Nothing is sent.
    let remote = ip_of(endpoint.get_remote_address())?;
    let any: IpAddr = match remote {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((remote, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

impl Hub {
    /// An address of this machine is gone.
    pub(super) fn address_gone(&mut self, address: &Multiaddr) {
        let Some(gone) = ip_of(address) else { return };
        let lost = self.connections.iter().filter(|(_, c)| c.local == Some(gone));
        let lost: Vec<ConnectionId> = lost.map(|(id, _)| *id).collect();
        for id in lost {
            self.disconnected(id);
            self.swarm.close_connection(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    /// Guards whose address is whose: the other end's is never taken for this one's.
    #[test]
    fn the_local_address_of_a_connection() {
        let of = |text: &str| text.parse::<Multiaddr>().unwrap();
        let came = ConnectedPoint::Listener {
            local_addr: of("/ip4/127.0.0.2/tcp/1"),
            send_back_addr: of("/ip4/127.0.0.3/tcp/2"),
        };
        assert_eq!(local_of(&came), Some([127, 0, 0, 2].into()));
        let went = |to: &str| ConnectedPoint::Dialer {
            address: of(to),
            role_override: Endpoint::Dialer,
            port_use: PortUse::Reuse,
        };
        assert_eq!(
            local_of(&went("/ip4/127.0.0.3/tcp/2")),
            Some([127, 0, 0, 1].into())
        );
        let peer = libp2p::PeerId::random();
        let circuit = format!("/ip4/127.0.0.3/tcp/2/p2p/{peer}/p2p-circuit");
        assert_eq!(local_of(&went(&circuit)), None);
    }
}
