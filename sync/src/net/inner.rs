//! Parts of libp2p that members and relays may speak, and guests may not: on a connection with a guest such a part is
//! not there.

use std::collections::HashSet;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::derive_prelude::Either;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::door::{Door, Place};

/// A part that guests do not see.
pub(super) struct Inner<B> {
    door: Door,
    /// Connections on which it is not there.
    barred: HashSet<ConnectionId>,
    pub(super) part: B,
}

impl<B: NetworkBehaviour> Inner<B> {
    pub(super) fn new(door: &Door, part: B) -> Inner<B> {
        Inner {
            door: door.clone(),
            barred: HashSet::new(),
            part,
        }
    }

    fn bars(&mut self, id: ConnectionId) -> bool {
        let bars = !matches!(self.door.at(&id), Some(Place::Member(_) | Place::Relay));
        if bars {
            self.barred.insert(id);
        }
        bars
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Inner<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.part.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.bars(id) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler = self
            .part
            .handle_established_inbound_connection(id, peer, local, remote)?;
        Ok(Either::Left(handler))
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.part
            .handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.bars(id) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler = self
            .part
            .handle_established_outbound_connection(id, peer, address, role, port)?;
        Ok(Either::Left(handler))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let barred = match &event {
            FromSwarm::ConnectionEstablished(new) => self.barred.contains(&new.connection_id),
            FromSwarm::ConnectionClosed(old) => self.barred.remove(&old.connection_id),
            FromSwarm::AddressChange(other) => self.barred.contains(&other.connection_id),
            FromSwarm::ListenFailure(failed) => {
                self.barred.remove(&failed.connection_id);
                false
            }
            FromSwarm::DialFailure(failed) => {
                self.barred.remove(&failed.connection_id);
                false
            }
            _ => false,
        };
        if !barred {
            self.part.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => self.part.on_connection_handler_event(peer, id, event),
            Either::Right(never) => match never {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.part.poll(cx).map(|todo| todo.map_in(Either::Left))
    }
}
