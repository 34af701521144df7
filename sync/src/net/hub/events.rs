//! What the swarm says.

use libp2p::swarm::{DialError, SwarmEvent};
use libp2p::{identify, mdns, ping};

use super::Hub;
use crate::net::book::{Source, Target};
use crate::net::door::{Came, Place};
use crate::net::handler::Opened;
use crate::net::parts::PartsEvent;
use crate::net::peers::is_relayed;

impl Hub {
    /// Deals with one event.
    pub(super) fn on_event(&mut self, event: SwarmEvent<PartsEvent>) {
        let now = self.now();
        match event {
            SwarmEvent::Behaviour(event) => self.on_part(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                if let Some(target @ Target::Address(_)) = self.calls.remove(&connection_id) {
                    self.book.came(&target, now);
                    self.found_at(target, peer_id);
                }
                self.connected(connection_id, peer_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                ..
            } => {
                self.disconnected(connection_id);
                self.lost_at(&peer_id);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id, error, ..
            } => {
                let Some(target) = self.calls.remove(&connection_id) else {
                    return;
                };
                if let (Target::Peer(peer), Some(why)) = (&target, plain(&error))
                    && let Some(member) = self.members.get(peer)
                    && !self.swarm.is_connected(peer)
                {
                    self.errors.insert(member.device, why);
                    self.is_dirty = true;
                }
                self.book.failed(&target, now);
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.is_dirty = true;
                if is_relayed(&address) {
                    self.reserved_at(listener_id);
                } else {
                    self.book.nudge_all(now);
                }
                self.put_soon();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.is_dirty = true;
                if !is_relayed(&address) {
                    self.address_gone(&address);
                    self.book.nudge_all(now);
                }
            }
            SwarmEvent::ListenerClosed {
                listener_id, reason, ..
            } => {
                let why = reason.err().map(|error| error.to_string());
                self.listener_closed(listener_id, why);
            }
            SwarmEvent::ListenerError { error, .. } => {
                self.note(format!("listening for other devices failed: {error}"));
            }
            SwarmEvent::ExternalAddrConfirmed { .. } | SwarmEvent::ExternalAddrExpired { .. } => {
                self.is_dirty = true;
                self.put_soon();
            }
            SwarmEvent::IncomingConnectionError { .. } => self.is_dirty = true,
            _ => {}
        }
    }

    fn on_part(&mut self, event: PartsEvent) {
        let now = self.now();
        match event {
            PartsEvent::Gate(Came {
                peer,
                connection,
                what,
            }) => match what {
                Opened::Stream(stream, _) => match self.door.at(&connection) {
                    Some(Place::Member(_)) => self.begin_session(connection, *stream),
                    Some(Place::Guest) => self.hear_guest(connection, peer, *stream),
                    _ => {}
                },
                Opened::Refused(_) => {
                    if let Some(member) = self.members.get(&peer) {
                        let why =
                            "it does not take this device for one of the vault's, or runs another version";
                        self.errors.insert(member.device, why.into());
                    }
                    self.swarm.close_connection(connection);
                }
            },
            // Of a relay there is nothing to learn; of who is neither, the book takes nothing.
            PartsEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                // What it says is bounded by what one of libp2p's messages can hold, and by the book.
                for address in info.listen_addrs.iter().take(32) {
                    self.book.learn(peer_id, address, Source::Peer, now);
                }
                self.call_directly(&peer_id);
                self.is_dirty = true;
            }
            PartsEvent::Mdns(mdns::Event::Discovered(all)) => {
                for (peer, address) in all {
                    self.seen(peer, address);
                }
            }
            PartsEvent::Ping(ping::Event {
                connection,
                result: Err(ping::Failure::Timeout | ping::Failure::Other { .. }),
                ..
            }) => {
                // Nobody answers there any more: it is called anew.
                self.swarm.close_connection(connection);
            }
            PartsEvent::Kad(event) => self.on_kad(event),
            _ => {}
        }
    }
}

/// Why a device could not be reached; none if that is of no concern.
fn plain(error: &DialError) -> Option<String> {
    Some(match error {
        DialError::Transport(_) => "it does not answer at any address that is known".into(),
        DialError::WrongPeerId { .. } => "another device answers at its address".into(),
        DialError::NoAddresses => "no address of it is known".into(),
        DialError::LocalPeerId { .. } => "its address leads to this device itself".into(),
        DialError::Denied { .. } => "there are too many connections with it".into(),
        DialError::DialPeerConditionFalse(_) | DialError::Aborted => return None,
    })
}
