//! Who is called, and how devices find each other: relays, records, invitations.

use std::collections::HashMap;
use std::num::NonZeroU8;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coffer_store::keys::Key;
use libp2p::core::transport::ListenerId;
use libp2p::kad::{self, QueryId, Quorum, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Stream};
use tokio::sync::oneshot;

use super::{Hub, Inside};
use crate::core::Millis;
use crate::net::book::{Call, Source, Target};
use crate::net::error::InviteError;
use crate::net::inviting;
use crate::net::peers::{bare, is_relayed, key_of, target};
use crate::net::record::{self, Record, Spot};
use crate::pairing::{Inviting, PairError, TICKET_SECONDS, Ticket};

/// A record is put anew after this long; relays keep it for an hour.
const PUT: Millis = 20 * 60_000;
/// Others' records are looked up anew after this long, while somebody is not there.
const LOOK: Millis = 5 * 60_000;
/// What happens together is put together.
const SOON: Millis = 500;
/// How long a record is kept.
const KEEP: Duration = Duration::from_secs(3_600);
/// Pauses of a relay that does not answer.
const PAUSES: (Millis, Millis) = (1_000, 300_000);
/// Addresses in a ticket.
const HINTS: usize = 8;

/// A relay of ours.
struct Relay {
    address: Multiaddr,
    peer: PeerId,
    listener: Option<ListenerId>,
    /// A place is reserved there.
    is_reserved: bool,
    tries: u32,
    at: Millis,
}

/// See the module.
#[derive(Default)]
pub(super) struct Finding {
    relays: Vec<Relay>,
    put_at: Option<Millis>,
    look_at: Option<Millis>,
    /// Lookups under way.
    queries: HashMap<QueryId, (PeerId, Spot)>,
    /// Tickets whose maker is to be found by words: topic, end.
    topics: Vec<([u8; 32], Millis)>,
    /// Devices that answered at addresses that did not say whose they are.
    loose: Vec<(Target, PeerId)>,
}

/// What came of asking for the members' secrets.
pub(in crate::net) struct Rendezvous {
    puts: bool,
    looks: bool,
    /// Of the period before, the present, and the next one.
    keys: Vec<(u64, Key)>,
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Hub {
    pub(super) fn begin_finding(&mut self) {
        let now = self.now();
        for address in self.plan.peers.clone() {
            self.book.add(address, now);
        }
        for address in self.plan.relays.clone() {
            let Some(peer) = target(&address) else { continue };
            self.door.add_relay(peer);
            if self.plan.dht {
                self.swarm
                    .behaviour_mut()
                    .kad
                    .part
                    .add_address(&peer, bare(&address));
            }
            self.finding.relays.push(Relay {
                address,
                peer,
                listener: None,
                is_reserved: false,
                tries: 0,
                at: now,
            });
        }
        self.put_soon();
        self.look_up_soon();
    }

    /// Calls whoever is due.
    pub(super) fn call_due(&mut self) {
        let now = self.now();
        if self.book.wake().is_none_or(|at| at > now) {
            return;
        }
        for Call { who, addresses } in self.book.due(now) {
            let options = match &who {
                Target::Peer(peer) => DialOpts::peer_id(*peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .override_dial_concurrency_factor(NonZeroU8::MIN.saturating_add(7))
                    .build(),
                Target::Address(address) => DialOpts::unknown_peer_id().address(address.clone()).build(),
            };
            let id = options.connection_id();
            self.calls.insert(id, who.clone());
            // Errors that come at once come as no event.
            if self.swarm.dial(options).is_err() {
                self.calls.remove(&id);
                self.book.failed(&who, now);
            }
        }
    }

    /// A device that a relay connects can be called directly.
    pub(super) fn call_directly(&mut self, peer: &PeerId) {
        let mut links = self.connections.values().filter(|c| c.peer == *peer).peekable();
        let relayed_only = links.peek().is_some() && links.all(|connection| connection.relayed);
        let addresses = self.book.direct(peer);
        if relayed_only && !addresses.is_empty() {
            let options = DialOpts::peer_id(*peer)
                .condition(PeerCondition::NotDialing)
                .addresses(addresses)
                .build();
            let _ = self.swarm.dial(options);
        }
    }

    /// Who answers at an address that did not say so.
    pub(super) fn found_at(&mut self, target: Target, peer: PeerId) {
        let now = self.now();
        if let Target::Address(address) = &target {
            self.book.learn(peer, address, Source::Hand, now);
        }
        self.finding.loose.retain(|(other, _)| *other != target);
        self.finding.loose.push((target, peer));
    }

    /// A connection with this one is gone: an address that led there is called again.
    pub(super) fn lost_at(&mut self, peer: &PeerId) {
        let now = self.now();
        if self.swarm.is_connected(peer) {
            return;
        }
        for (target, _) in self.finding.loose.iter().filter(|(_, other)| other == peer) {
            self.book.went(target, now);
        }
    }

    /// What is to be done by the clock.
    pub(super) fn find_in_time(&mut self, now: Millis) {
        for n in 0..self.finding.relays.len() {
            let relay = &mut self.finding.relays[n];
            if relay.listener.is_none() && relay.at <= now {
                let way = relay.address.clone().with(Protocol::P2pCircuit);
                match self.swarm.listen_on(way.clone()) {
                    Ok(listener) => {
                        self.finding.relays[n].listener = Some(listener);
                        self.circuits.insert(listener, way);
                    }
                    Err(_) => pause(&mut self.finding.relays[n], now),
                }
            }
        }
        if self.finding.topics.iter().any(|(_, end)| *end <= now) {
            self.finding.topics.retain(|(_, end)| *end > now);
            self.tickets_changed();
        }
        let (puts, looks) = (
            self.finding.put_at.is_some_and(|at| at <= now),
            self.finding.look_at.is_some_and(|at| at <= now),
        );
        if puts || looks {
            self.finding.put_at = self.finding.put_at.map(|at| if puts { now + PUT } else { at });
            self.finding.look_at = self.finding.look_at.map(|at| if looks { now + LOOK } else { at });
            let (desk, inside) = (self.stores.desk(), self.inside.0.clone());
            tokio::spawn(async move {
                let today = record::period(seconds());
                let periods = [today.saturating_sub(1), today, today + 1];
                let keys = desk
                    .call(move |replica| periods.map(|period| (period, replica.rendezvous(period))).into())
                    .await;
                if let Some(keys) = keys {
                    let _ = inside.send(Inside::Rendezvous(Rendezvous { puts, looks, keys }));
                }
            });
        }
    }

    /// When the next of it is due.
    pub(super) fn find_at(&self) -> impl Iterator<Item = Millis> {
        let relays = self.finding.relays.iter();
        let relays = relays
            .filter(|relay| relay.listener.is_none())
            .map(|relay| relay.at);
        let topics = self.finding.topics.iter().map(|(_, end)| *end);
        relays
            .chain(topics)
            .chain(self.finding.put_at)
            .chain(self.finding.look_at)
    }

    pub(super) fn put_soon(&mut self) {
        if self.plan.dht && !self.finding.relays.is_empty() {
            let soon = self.now() + SOON;
            self.finding.put_at = Some(self.finding.put_at.map_or(soon, |at| at.min(soon)));
        }
    }

    pub(super) fn look_up_soon(&mut self) {
        if self.plan.dht && !self.finding.relays.is_empty() {
            let soon = self.now() + SOON;
            self.finding.look_at = Some(self.finding.look_at.map_or(soon, |at| at.min(soon)));
        }
    }

    fn records(&mut self, rendezvous: &Rendezvous) {
        if rendezvous.puts {
            if let Some((period, key)) = rendezvous.keys.get(1) {
                self.put(&Spot::of(key, &self.roster.me.0, *period));
            }
            for (topic, _) in self.finding.topics.clone() {
                self.put(&Spot::of_ticket(topic));
            }
        }
        if rendezvous.looks {
            let absent = self
                .members
                .iter()
                .filter(|(peer, _)| !self.swarm.is_connected(peer));
            let absent: Vec<_> = absent.map(|(peer, member)| (*peer, member.device)).collect();
            for (peer, device) in absent {
                for (period, key) in &rendezvous.keys {
                    let spot = Spot::of(key, &device.0, *period);
                    let kad = &mut self.swarm.behaviour_mut().kad.part;
                    let query = kad.get_record(RecordKey::new(&spot.topic));
                    self.finding.queries.insert(query, (peer, spot));
                }
            }
        }
    }

    /// Leaves a record of where this device is with each relay.
    fn put(&mut self, spot: &Spot) {
        let record = Record {
            said_at: seconds(),
            peer: *self.swarm.local_peer_id(),
            addresses: self.own_addresses(),
        };
        let record = kad::Record {
            key: RecordKey::new(&spot.topic),
            value: spot.seal(&record),
            publisher: None,
            expires: Some(std::time::Instant::now() + KEEP),
        };
        let relays: Vec<PeerId> = self.finding.relays.iter().map(|relay| relay.peer).collect();
        let kad = &mut self.swarm.behaviour_mut().kad.part;
        let _ = kad.put_record_to(record, relays.into_iter(), Quorum::One);
    }

    pub(super) fn on_kad(&mut self, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { id, result, step, .. } = event else {
            return;
        };
        if let kad::QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))) = &result
            && let Some((peer, spot)) = self.finding.queries.get(&id)
            && let Some(record) = spot.open(&found.record.value)
            // One device cannot speak for another.
            && record.peer == *peer
        {
            let (peer, now) = (*peer, self.now());
            for address in &record.addresses {
                self.book.learn(peer, address, Source::Record, now);
            }
            self.book.nudge(&peer, now);
        }
        if step.last {
            self.finding.queries.remove(&id);
        }
    }

    /// Where this device can be reached, the likeliest first: of loopback only if there is nothing else.
    pub(super) fn own_addresses(&self) -> Vec<Multiaddr> {
        let mut all: Vec<Multiaddr> = self.swarm.external_addresses().map(bare).collect();
        all.extend(self.swarm.listeners().map(bare));
        let is_loopback = |address: &Multiaddr| {
            !is_relayed(address)
                && address.iter().any(|part| match part {
                    Protocol::Ip4(ip) => ip.is_loopback(),
                    Protocol::Ip6(ip) => ip.is_loopback(),
                    _ => false,
                })
        };
        if all
            .iter()
            .any(|address| !is_loopback(address) && !is_relayed(address))
        {
            all.retain(|address| !is_loopback(address));
        }
        all.sort_by_key(is_relayed);
        let mut seen = Vec::new();
        all.retain(|address| {
            !seen.contains(address) && {
                seen.push(address.clone());
                true
            }
        });
        all
    }

    /// A place at a relay is ours.
    pub(super) fn reserved_at(&mut self, listener: ListenerId) {
        for relay in &mut self.finding.relays {
            if relay.listener == Some(listener) {
                (relay.is_reserved, relay.tries) = (true, 0);
            }
        }
    }

    /// Relays at which this device can be reached.
    pub(super) fn reserved(&self) -> Vec<String> {
        let relays = self.finding.relays.iter().filter(|relay| relay.is_reserved);
        relays.map(|relay| relay.address.to_string()).collect()
    }

    pub(super) fn listener_closed(&mut self, listener: ListenerId, why: Option<String>) {
        let now = self.now();
        self.is_dirty = true;
        if self.circuits.remove(&listener).is_none() {
            if let Some(why) = why {
                self.note(format!("this device no longer listens for others: {why}"));
            }
            return;
        }
        let Some(relay) = self
            .finding
            .relays
            .iter_mut()
            .find(|relay| relay.listener == Some(listener))
        else {
            return;
        };
        (relay.listener, relay.is_reserved) = (None, false);
        pause(relay, now);
        let address = relay.address.clone();
        self.note(format!(
            "the relay {address} does not answer, or has no place left; it is asked again"
        ));
    }

    /// Opens an invitation.
    pub(super) fn invite(&mut self, answer: oneshot::Sender<Result<Ticket, InviteError>>) {
        let ticket = Ticket::new(seconds());
        let hints = self
            .own_addresses()
            .into_iter()
            .map(|address| address.to_string());
        let hints = hints.filter(|text| text.len() <= 128).take(HINTS).collect();
        let peer = self.swarm.local_peer_id().to_bytes();
        let ticket = match ticket.hinting(peer, hints) {
            Ok(ticket) => ticket,
            Err(why) => return drop(answer.send(Err(why.into()))),
        };
        if let Err(why) = self.tickets.lock().open(seconds(), &ticket) {
            return drop(answer.send(Err(why.into())));
        }
        self.door.invite(true);
        let end = self.now() + TICKET_SECONDS * 1_000 + 1_000;
        self.finding.topics.push((ticket.topic(), end));
        self.put_soon();
        let (desk, tickets, inside) = (self.stores.desk(), self.tickets.clone(), self.inside.0.clone());
        tokio::spawn(async move {
            // The one place where it is asked whether this device can invite.
            let ready = desk
                .call(|replica| {
                    let keyring = replica.keyring();
                    let mut ready = false;
                    replica.with_members(&mut |members| ready = Inviting::is_ready(members, &keyring));
                    ready
                })
                .await;
            let told = match ready {
                Some(true) => Ok(ticket),
                Some(false) => {
                    tickets.lock().close(&ticket);
                    Err(InviteError::NotReady(PairError::NotReady))
                }
                None => Err(InviteError::Ended),
            };
            // Whoever asked may have gone.
            if let Err(Ok(ticket)) = answer.send(told) {
                tickets.lock().close(&ticket);
            }
            let _ = inside.send(Inside::Tickets);
        });
    }

    /// Hears a guest.
    pub(super) fn hear_guest(&mut self, connection: ConnectionId, peer: PeerId, stream: Stream) {
        let (Some(ours), Some(theirs)) = (key_of(self.swarm.local_peer_id()), key_of(&peer)) else {
            self.swarm.close_connection(connection);
            return;
        };
        let (desk, tickets, inside) = (self.stores.desk(), self.tickets.clone(), self.inside.0.clone());
        tokio::spawn(async move {
            let came = inviting::converse(stream, ours, theirs, tickets, desk).await;
            let _ = inside.send(Inside::Paired(connection, came.err()));
        });
    }

    pub(super) fn on_inside(&mut self, inside: Inside) {
        match inside {
            Inside::Paired(connection, why) => {
                if let Some(why) = why {
                    self.note(why);
                }
                self.swarm.close_connection(connection);
                self.tickets_changed();
                self.stores.members();
            }
            Inside::Tickets => self.tickets_changed(),
            Inside::Rendezvous(rendezvous) => self.records(&rendezvous),
        }
    }

    fn tickets_changed(&mut self) {
        let mut tickets = self.tickets.lock();
        tickets.expire(seconds());
        let is_open = !tickets.is_empty();
        drop(tickets);
        self.door.invite(is_open);
        if !is_open {
            self.finding.topics.clear();
        }
    }
}

fn pause(relay: &mut Relay, now: Millis) {
    let pause = PAUSES.1.min(PAUSES.0 << relay.tries.min(16));
    let random = u64::from_le_bytes(coffer_store::keys::random_bytes());
    relay.at = now + pause / 2 + random % (pause / 2 + 1);
    relay.tries = relay.tries.saturating_add(1);
}
