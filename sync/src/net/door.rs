//! Who may come in: the gate that every connection passes, before and right after its handshake.
//!
//! Guarantees: a connection with somebody who is no member and never was one, no relay of ours, and while no invitation is open, is refused
//! before anything is spoken on it, and nobody else is called; counts of connections are bounded before room is made for them. A guest may speak the
//! pairing protocol and nothing else. A device that was removed is called by nobody; if it calls, it is told so, a few at a time, for a short while.
//!
//! It also opens, or accepts, the one stream of each connection ([`Handler`]).

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use coffer_store::members::DeviceId;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use parking_lot::Mutex;

use super::handler::{Handler, Opened, Role};
use super::peers::origin;

/// Connections in their handshake.
pub(super) const PENDING_MAX: usize = 64;
/// The same with one address: who keeps these busy keeps nobody else out.
const PENDING_OF_ONE: usize = 16;
/// Connections with guests.
pub(super) const GUESTS_MAX: usize = 8;
/// Connections with devices that were removed.
pub(super) const REMOVED_MAX: usize = 8;
/// Connections with one of them: whoever calls several addresses at once may have several for a moment, and drops all but one.
const PER_GUEST_MAX: usize = 3;
/// Connections with one member or relay: by TCP and by QUIC, direct and relayed.
pub(super) const PER_PEER_MAX: usize = 4;

/// What the other end of a connection is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A device that may come in.
    Member(DeviceId),
    /// A device that was removed. If it calls, it is told so.
    Removed(DeviceId),
    /// A relay that we chose.
    Relay,
    /// Somebody who may have a ticket of ours.
    Guest,
    /// Somebody who may have made the ticket that we have.
    Host,
}

#[derive(Default)]
struct Book {
    members: HashMap<PeerId, DeviceId>,
    removed: HashMap<PeerId, DeviceId>,
    relays: HashSet<PeerId>,
    /// An invitation is open.
    invites: bool,
    /// This device has a ticket of somebody's, who may be any of these.
    hosts: HashSet<PeerId>,
    /// Somebody else may be the host, too: the address was read from a ticket that names nobody.
    any_host: bool,
    /// Connections in their handshake that others called, and whom they count for.
    pending: HashMap<ConnectionId, Option<IpAddr>>,
    places: HashMap<ConnectionId, (PeerId, Place)>,
    refused: u64,
}

impl Book {
    fn of_peer(&self, peer: &PeerId) -> usize {
        self.places.values().filter(|(other, _)| other == peer).count()
    }

    fn place(&self, peer: &PeerId, we_call: bool) -> Option<Place> {
        if let Some(device) = self.members.get(peer) {
            return Some(Place::Member(*device));
        }
        if self.relays.contains(peer) {
            // A relay calls nobody.
            return we_call.then_some(Place::Relay);
        }
        if let (Some(device), false) = (self.removed.get(peer), we_call) {
            let others = self.places.values();
            let others = others
                .filter(|(_, place)| matches!(place, Place::Removed(_)))
                .count();
            return (others < REMOVED_MAX).then_some(Place::Removed(*device));
        }
        if we_call {
            return (self.any_host || self.hosts.contains(peer)).then_some(Place::Host);
        }
        let guests = self
            .places
            .values()
            .filter(|(_, place)| *place == Place::Guest)
            .count();
        (self.invites && guests < GUESTS_MAX).then_some(Place::Guest)
    }

    fn enter(&mut self, id: ConnectionId, peer: PeerId, we_call: bool) -> Result<Place, ConnectionDenied> {
        self.pending.remove(&id);
        let place = self.place(&peer, we_call).filter(|place| match place {
            Place::Guest | Place::Host | Place::Removed(_) => self.of_peer(&peer) < PER_GUEST_MAX,
            _ => self.of_peer(&peer) < PER_PEER_MAX,
        });
        match place {
            Some(place) => {
                self.places.insert(id, (peer, place));
                Ok(place)
            }
            None => {
                self.refused += 1;
                Err(ConnectionDenied::new("not one of this vault's devices"))
            }
        }
    }
}

/// The gate, as the parts of the network share it.
#[derive(Clone, Default)]
pub(super) struct Door(Arc<Mutex<Book>>);

impl Door {
    /// Those who may come in from now on, and those who are told that they were removed; returns connections of those who are not what
    /// they were.
    pub(super) fn admit(
        &self,
        members: HashMap<PeerId, DeviceId>,
        removed: HashMap<PeerId, DeviceId>,
    ) -> Vec<ConnectionId> {
        let mut book = self.0.lock();
        (book.members, book.removed) = (members, removed);
        let Book {
            members,
            removed,
            places,
            ..
        } = &mut *book;
        let gone = places.iter().filter(|(_, (peer, place))| match place {
            Place::Member(device) => members.get(peer) != Some(device),
            Place::Removed(device) => removed.get(peer) != Some(device),
            _ => false,
        });
        gone.map(|(id, _)| *id).collect()
    }

    pub(super) fn add_relay(&self, relay: PeerId) {
        self.0.lock().relays.insert(relay);
    }

    /// Whether guests are heard.
    pub(super) fn invite(&self, invites: bool) {
        self.0.lock().invites = invites;
    }

    /// This peer may have made our ticket.
    pub(super) fn add_host(&self, host: Option<PeerId>) {
        let mut book = self.0.lock();
        match host {
            Some(host) => drop(book.hosts.insert(host)),
            None => book.any_host = true,
        }
    }

    /// What the other end of a connection was when it came in.
    pub(super) fn at(&self, id: &ConnectionId) -> Option<Place> {
        self.0.lock().places.get(id).map(|(_, place)| *place)
    }

    /// How many were refused.
    pub(super) fn refused(&self) -> u64 {
        self.0.lock().refused
    }
}

/// A stream that was opened, or could not be.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    pub(super) what: Opened,
}

/// The gate as a part of the swarm.
pub(super) struct Gate {
    door: Door,
    events: VecDeque<Came>,
    waker: Option<Waker>,
}

impl Gate {
    pub(super) fn new(door: Door) -> Gate {
        Gate {
            door,
            events: VecDeque::new(),
            waker: None,
        }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = Handler;
    type ToSwarm = Came;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let from = origin(from);
        let mut book = self.door.0.lock();
        let of_one = book.pending.values().filter(|other| **other == from).count();
        if book.pending.len() >= PENDING_MAX || (from.is_some() && of_one >= PENDING_OF_ONE) {
            book.refused += 1;
            return Err(ConnectionDenied::new("too many connections at once"));
        }
        book.pending.insert(id, from);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let place = self.door.0.lock().enter(id, peer, false)?;
        Ok(Handler::new(Role::of(place), false))
    }

    /// Nobody else is even called: a relay, or a member, could name anybody's address.
    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let book = self.door.0.lock();
        match peer.is_none_or(|peer| book.place(&peer, true).is_some()) {
            true => Ok(Vec::new()),
            false => Err(ConnectionDenied::new("not one of this vault's devices")),
        }
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        role: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let place = self.door.0.lock().enter(id, peer, true)?;
        // In a hole that both ends punch, one of those who dial answers.
        Ok(Handler::new(Role::of(place), role == Endpoint::Dialer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let id = match event {
            FromSwarm::ConnectionClosed(closed) => closed.connection_id,
            FromSwarm::ListenFailure(failed) => failed.connection_id,
            FromSwarm::DialFailure(failed) => failed.connection_id,
            _ => return,
        };
        let mut book = self.door.0.lock();
        book.pending.remove(&id);
        book.places.remove(&id);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        what: THandlerOutEvent<Self>,
    ) {
        self.events.push_back(Came {
            peer,
            connection,
            what,
        });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Came, THandlerInEvent<Self>>> {
        match self.events.pop_front() {
            Some(came) => Poll::Ready(ToSwarm::GenerateEvent(came)),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
