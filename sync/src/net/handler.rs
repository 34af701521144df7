//! The one stream of a connection: whoever dialled opens it, the other end accepts it, and no second one.
//!
//! Guarantees: between members, and with who is told of its removal, it is the sync protocol's, with guests the pairing protocol's, with relays there is none.
//! A connection with a member or a guest stays until it is closed by hand.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use libp2p::{Stream, StreamProtocol};

use super::door::Place;

/// The protocol between members.
pub(super) const SYNC: StreamProtocol = StreamProtocol::new("/coffer/sync/1");
/// The protocol with who wants to become one. Its name is the same in all versions: its first message says which.
pub(super) const PAIR: StreamProtocol = StreamProtocol::new("/coffer/pair/1");

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Sync,
    Pair,
    Nothing,
}

impl Role {
    pub(super) fn of(place: Place) -> Role {
        match place {
            Place::Member(_) | Place::Removed(_) => Role::Sync,
            Place::Relay => Role::Nothing,
            Place::Guest | Place::Host => Role::Pair,
        }
    }

    fn protocol(self) -> Option<StreamProtocol> {
        match self {
            Role::Sync => Some(SYNC),
            Role::Pair => Some(PAIR),
            Role::Nothing => None,
        }
    }
}

/// What came of the stream.
pub(super) enum Opened {
    /// It is there; whether this end opened it.
    Stream(Box<Stream>, bool),
    /// The other end does not take it; whether it said so, rather than not answering.
    Refused(bool),
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Opened::Stream(..) => "Stream",
            Opened::Refused(_) => "Refused",
        })
    }
}

/// See the module.
pub(super) struct Handler {
    role: Role,
    /// Whether this end opens it.
    opens: bool,
    /// It was asked for, or has come.
    is_begun: bool,
    event: Option<Opened>,
}

impl Handler {
    pub(super) fn new(role: Role, opens: bool) -> Handler {
        Handler {
            role,
            opens,
            is_begun: false,
            event: None,
        }
    }
}

/// The protocols that are taken: one at most.
pub(super) struct Protocols(Option<StreamProtocol>);

impl UpgradeInfo for Protocols {
    type Info = StreamProtocol;
    type InfoIter = std::option::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        ready(Ok(stream))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        ready(Ok(stream))
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Opened;
    type InboundProtocol = Protocols;
    type OutboundProtocol = Protocols;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Protocols> {
        let takes = !self.opens && !self.is_begun;
        SubstreamProtocol::new(Protocols(self.role.protocol().filter(|_| takes)), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.role != Role::Nothing
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Protocols, (), Opened>> {
        if let Some(event) = self.event.take() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if self.opens
            && !self.is_begun
            && let Some(protocol) = self.role.protocol()
        {
            self.is_begun = true;
            let protocol = SubstreamProtocol::new(Protocols(Some(protocol)), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        // It is polled again after every event of the connection, which alone changes anything here.
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocols, Protocols>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                // Several may have been on their way: the first counts.
                let is_first = !self.opens && !std::mem::replace(&mut self.is_begun, true);
                self.event = is_first
                    .then(|| Opened::Stream(Box::new(protocol), false))
                    .or(self.event.take());
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.event = Some(Opened::Stream(Box::new(protocol), true));
            }
            ConnectionEvent::DialUpgradeError(failed) => {
                let said_so = matches!(failed.error, StreamUpgradeError::NegotiationFailed);
                self.event = Some(Opened::Refused(said_so));
            }
            _ => {}
        }
    }
}
