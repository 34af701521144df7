//! Connections and their streams: which are kept, and what goes through them.
//!
//! Guarantees: of several connections with one device one is kept, and one of the two ends alone decides which, so that they never
//! close one each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::SystemTime;

use coffer_store::members::DeviceId;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Stream};

use super::Hub;
use super::moved::local_of;
use crate::core::{Ended, Millis, SessionId};
use crate::net::book::{Source, Target};
use crate::net::door::Place;
use crate::net::peers::{is_relayed, peer_of};
use crate::net::streams::{self, Heard, Line, Written};
use crate::replica::{Roster, RosterMember};

/// Two connections that came within this time came at once: both ends called.
const AT_ONCE: Millis = 10_000;
/// How long a guest may stay, or who is told that it was removed.
const GUEST: Millis = 40_000;
/// A connection that was over so soon was of no use.
const SHORT: Millis = 1_000;
/// The same, once all was written.
const LINGER: Millis = 200;
/// How long a connection is kept after its session's end, for the last bytes.
const LAST: Millis = 2_000;

/// A connection.
pub(super) struct Connection {
    pub(super) peer: PeerId,
    pub(super) place: Place,
    pub(super) address: Multiaddr,
    pub(super) relayed: bool,
    /// This machine's address, if it goes by one.
    pub(super) local: Option<IpAddr>,
    /// Whether this end called.
    pub(super) ours: bool,
    pub(super) at: Millis,
    pub(super) since: SystemTime,
    pub(super) session: Option<SessionId>,
    /// It is closed then, whatever happens.
    pub(super) until: Option<Millis>,
}

/// A session of the protocol.
pub(super) struct Session {
    pub(super) connection: ConnectionId,
    /// None once it has ended, and its last bytes are being written.
    pub(super) line: Option<Line>,
}

impl Hub {
    /// A connection came through the gate.
    pub(super) fn connected(&mut self, id: ConnectionId, peer: PeerId, endpoint: &ConnectedPoint) {
        let Some(place) = self.door.at(&id) else {
            self.swarm.close_connection(id);
            return;
        };
        let now = self.now();
        let address = endpoint.get_remote_address().clone();
        // In a hole that both punch, one of those who dial answers: so says the gate, too.
        let ours =
            matches!(endpoint, ConnectedPoint::Dialer { role_override, .. } if role_override.is_dialer());
        let connection = Connection {
            peer,
            place,
            relayed: is_relayed(&address) || endpoint.is_relayed(),
            local: local_of(endpoint),
            address,
            ours,
            at: now,
            since: SystemTime::now(),
            session: None,
            until: matches!(place, Place::Guest | Place::Host | Place::Removed(_)).then_some(now + GUEST),
        };
        self.connections.insert(id, connection);
        if let Place::Member(_) = place {
            self.book.came(&Target::Peer(peer), now);
            if let ConnectedPoint::Dialer { address, .. } = endpoint {
                self.book.learn(peer, address, Source::Peer, now);
            }
        }
        self.is_dirty = true;
    }

    /// A connection is gone.
    pub(super) fn disconnected(&mut self, id: ConnectionId) {
        let now = self.now();
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if let Some(session) = connection.session {
            self.node.disconnected(now, session);
            self.sessions.remove(&session);
        }
        let mut others = self.connections.values();
        if !others.any(|other| other.peer == connection.peer) {
            if let (Place::Member(device), true) = (connection.place, now - connection.at < SHORT) {
                let why = "it ends connections at once: it may not know this device, or have removed it from the vault";
                self.errors.entry(device).or_insert_with(|| why.into());
            }
            self.book.went(&Target::Peer(connection.peer), now);
            self.look_up_soon();
        }
        self.is_dirty = true;
    }

    /// Of several connections with a device one stays: a direct one; of two that came at once the one that the smaller
    /// peer id called; else the newest, since whoever calls again has lost the other. The device of the smaller peer id decides.
    /// Those without a session do not count: whoever calls several addresses at once drops all but one before it opens a stream.
    fn choose(&mut self, peer: PeerId) {
        if *self.swarm.local_peer_id() > peer {
            return;
        }
        let mut all: Vec<(ConnectionId, bool, bool, Millis)> = self
            .connections
            .iter()
            .filter(|(_, c)| c.peer == peer && c.until.is_none() && c.session.is_some())
            .map(|(id, c)| (*id, c.relayed, c.ours, c.at))
            .collect();
        all.sort_by_key(|(id, .., at)| (*at, *id));
        let Some(mut best) = all.first().copied() else {
            return;
        };
        for one in &all[1..] {
            best = match (best.1, one.1) {
                (true, false) => *one,
                (false, true) => best,
                _ if one.3 - best.3 < AT_ONCE && best.2 && !one.2 => best,
                _ => *one,
            };
        }
        for (id, ..) in all.into_iter().filter(|(id, ..)| *id != best.0) {
            self.end_connection(id);
        }
    }

    /// Ends a connection, whose session says goodbye.
    fn end_connection(&mut self, id: ConnectionId) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.until = Some(now + LAST);
        if let Some(session) = connection.session {
            self.node.close(now, session);
        }
    }

    /// A stream of the sync protocol is there.
    pub(super) fn begin_session(&mut self, id: ConnectionId, stream: Stream) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (device, known) = match connection.place {
            Place::Member(device) if connection.until.is_none() => (device, &self.members),
            Place::Removed(device) => (device, &self.removed),
            _ => return,
        };
        if connection.session.is_some() {
            return;
        }
        // The one place where a session begins; the roster says the device's chains, and what it may do.
        let Some(member) = known.get(&connection.peer) else {
            return;
        };
        let standing = member.standing(&self.roster.chains);
        let session = self
            .node
            .connect(now, device.0, standing.certified, standing.access);
        let line = streams::start(session, stream, self.heard.0.clone(), self.written.0.clone());
        connection.session = Some(session);
        self.sessions.insert(
            session,
            Session {
                connection: id,
                line: Some(line),
            },
        );
        let peer = connection.peer;
        self.choose(peer);
        self.is_dirty = true;
    }

    pub(super) fn send(&mut self, session: SessionId, bytes: Vec<u8>) {
        if let Some(line) = self
            .sessions
            .get(&session)
            .and_then(|session| session.line.as_ref())
        {
            let _ = line.out.send(bytes);
        }
    }

    /// The protocol has ended a session: what was sent before is written, then the connection goes.
    pub(super) fn close_session(&mut self, id: SessionId, why: &Ended) {
        let now = self.now();
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.line = None;
        let Some(connection) = self.connections.get_mut(&session.connection) else {
            self.sessions.remove(&id);
            return;
        };
        connection.until = Some(connection.until.unwrap_or(u64::MAX).min(now + LAST));
        if let (Place::Member(device), false) =
            (connection.place, matches!(why, Ended::Asked | Ended::Replaced))
        {
            self.errors.insert(device, why.to_string());
        }
        self.is_dirty = true;
    }

    pub(super) fn on_heard(&mut self, heard: Heard) {
        let now = self.now();
        match heard {
            Heard::Bytes(session, bytes) => self.node.receive(now, session, &bytes),
            Heard::Ended(session) => self.node.disconnected(now, session),
        }
        self.is_dirty = true;
    }

    pub(super) fn on_written(&mut self, written: Written) {
        let now = self.now();
        match written {
            Written::Bytes(session, bytes) => self.node.wrote(now, session, bytes),
            Written::Closed(id) => {
                if let Some(session) = self.sessions.get(&id) {
                    let connection = session.connection;
                    // It broke while it was used, or it has ended.
                    self.node.disconnected(now, id);
                    self.sessions.remove(&id);
                    match self.connections.get_mut(&connection) {
                        // Its last word must arrive before QUIC closes.
                        Some(ended) if ended.until.is_some() => {
                            (ended.session, ended.until) = (None, Some(now + LINGER));
                        }
                        ended => {
                            ended.into_iter().for_each(|ended| ended.session = None);
                            self.swarm.close_connection(connection);
                        }
                    }
                }
            }
        }
    }

    /// What is to be done by the clock.
    pub(super) fn in_time(&mut self, now: Millis) {
        let over = self
            .connections
            .iter()
            .filter(|(_, c)| c.until.is_some_and(|at| at <= now));
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.swarm.close_connection(id);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.until = Some(now + LAST);
            }
        }
        self.find_in_time(now);
    }

    pub(super) fn due_in_time(&self) -> Option<Millis> {
        let connections = self
            .connections
            .values()
            .filter_map(|connection| connection.until);
        connections.chain(self.find_at()).min()
    }

    /// Who may come in is decided anew; whoever may not any more is sent away.
    pub(super) fn take_roster(&mut self, roster: Roster) {
        if roster == self.roster {
            return;
        }
        let now = self.now();
        let me = *self.swarm.local_peer_id();
        let by_peer = |all: &[RosterMember]| -> HashMap<PeerId, RosterMember> {
            all.iter()
                .filter(|member| member.device != roster.me)
                .filter_map(|member| Some((peer_of(&member.transport)?, member.clone())))
                .filter(|(peer, _)| *peer != me)
                .collect()
        };
        let (members, removed) = (by_peer(&roster.members), by_peer(&roster.removed));
        let gate = |all: &HashMap<PeerId, RosterMember>| {
            all.iter().map(|(peer, member)| (*peer, member.device)).collect()
        };
        let gone = self.door.admit(gate(&members), gate(&removed));
        let mut expelled: Vec<DeviceId> = Vec::new();
        for id in gone {
            let Some(connection) = self.connections.get_mut(&id) else {
                self.swarm.close_connection(id);
                continue;
            };
            connection.until = Some(now + LAST);
            match (connection.session, connection.place) {
                (Some(_), Place::Member(device)) => expelled.push(device),
                _ => drop(self.swarm.close_connection(id)),
            }
        }
        for device in expelled {
            self.node.expel(now, device.0);
        }
        let peers: Vec<PeerId> = members.keys().copied().collect();
        self.book.members(&peers, now);
        for (device, address) in std::mem::take(&mut self.plan.remembered) {
            let peer = members.iter().find(|(_, member)| member.device == device);
            match peer {
                Some((peer, _)) => drop(self.book.learn(*peer, &address, Source::Peer, now)),
                // It may be one that is not known yet.
                None => self.plan.remembered.push((device, address)),
            }
        }
        (self.roster, self.members, self.removed) = (roster, members, removed);
        self.recall_seen();
        self.look_up_soon();
        self.is_dirty = true;
    }
}
