//! Who is called, and how devices find each other: by hand, in the local network, at relays, by records.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU8;
use std::time::Duration;

use coffer_store::keys::Key;
use libp2p::core::transport::ListenerId;
use libp2p::kad::{self, QueryId, Quorum, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::{Hub, Inside};
use crate::core::Millis;
use crate::net::book::{Call, Source, Target};
use crate::net::clock::wall;
use crate::net::peers::{bare, is_link_local, is_relayed, relay_in, target};
use crate::net::record::{self, Record, Spot};

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
/// Strangers' addresses in the local network that are remembered.
const SEEN_MAX: usize = 256;
/// Devices that are looked up at a time: relays count what one asks.
const LOOK_MAX: usize = 48;

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
    pub(super) topics: Vec<([u8; 32], Millis)>,
    /// Seen in the local network, and none of ours so far.
    seen: VecDeque<(PeerId, Multiaddr)>,
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

impl Hub {
    pub(super) fn begin_finding(&mut self) {
        let now = self.now();
        for address in self.plan.peers.clone() {
            self.add_by_hand(address);
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

    /// An address that a person knows; the relay that it leads through is as good as chosen.
    pub(super) fn add_by_hand(&mut self, address: Multiaddr) {
        if let Some(relay) = relay_in(&address) {
            self.door.add_relay(relay);
        }
        let now = self.now();
        self.book.add(address, now);
    }

    /// A peer was seen in the local network. Who is none of ours may become one.
    pub(super) fn seen(&mut self, peer: PeerId, address: Multiaddr) {
        let now = self.now();
        if self.members.contains_key(&peer) {
            self.book.learn(peer, &address, Source::Local, now);
            self.book.nudge(&peer, now);
            self.call_directly(&peer);
            return;
        }
        let seen = &mut self.finding.seen;
        seen.retain(|(other, known)| *other != peer || *known != address);
        if seen.len() >= SEEN_MAX {
            seen.pop_front();
        }
        seen.push_back((peer, address));
    }

    /// Those who are new among the members may have been seen before.
    pub(super) fn recall_seen(&mut self) {
        let known = |(peer, _): &(PeerId, Multiaddr)| self.members.contains_key(peer);
        let (ours, others): (VecDeque<_>, _) = self.finding.seen.drain(..).partition(known);
        self.finding.seen = others;
        for (peer, address) in ours {
            self.seen(peer, address);
        }
    }

    /// Calls whoever is due.
    pub(super) fn call_due(&mut self) {
        let now = self.now();
        if self.book.wake().is_none_or(|at| at > now) {
            return;
        }
        for Call { who, addresses } in self.book.due(now) {
            let options = match &who {
                // The book knows who is there. A connection that was given up may take long to close, and does not count.
                Target::Peer(peer) => DialOpts::peer_id(*peer)
                    .condition(PeerCondition::NotDialing)
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
                let today = record::period(wall());
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

    pub(super) fn records(&mut self, rendezvous: &Rendezvous) {
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
            let mut absent: Vec<_> = absent.map(|(peer, member)| (*peer, member.device)).collect();
            // Others each time, where they are many.
            if absent.len() > LOOK_MAX {
                let random = u64::from_le_bytes(coffer_store::keys::random_bytes());
                let from = (random % absent.len() as u64) as usize;
                absent.rotate_left(from);
                absent.truncate(LOOK_MAX);
            }
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
            said_at: wall(),
            peer: *self.swarm.local_peer_id(),
            // Circuits are made of the reader's own relays.
            addresses: self
                .own_addresses()
                .into_iter()
                .filter(|a| !is_relayed(a))
                .collect(),
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
        all.retain(|address| !is_link_local(address));
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
}

fn pause(relay: &mut Relay, now: Millis) {
    let pause = PAUSES.1.min(PAUSES.0 << relay.tries.min(16));
    let random = u64::from_le_bytes(coffer_store::keys::random_bytes());
    relay.at = now + pause / 2 + random % (pause / 2 + 1);
    relay.tries = relay.tries.saturating_add(1);
}
