//! Where other devices may be found, and when they are called next.
//!
//! Guarantees: whoever does not answer is called less and less often, from once a second to once in five minutes, at
//! times that differ from device to device; at once when something new is heard of it. Of each device at most 16 addresses are remembered. It
//! knows no clock but the one given in, and calls nobody itself.

use std::collections::BTreeMap;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::peers::{bare, is_relayed, is_sound, is_tcp, target};

/// Addresses of one device.
const ADDRESSES_MAX: usize = 16;
/// Addresses given by hand.
const HAND_MAX: usize = 256;
/// The first pause, and the longest, in milliseconds.
const PAUSES: (u64, u64) = (1_000, 300_000);
/// A connection that held so long was a good one, in milliseconds.
pub(super) const STEADY: u64 = 30_000;

/// From whom an address was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A person.
    Hand,
    /// The device itself, or a connection that was there.
    Peer,
    /// The local network.
    Local,
    /// A record that it left with a relay.
    Record,
}

/// Somebody to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) who: Target,
    pub(super) addresses: Vec<Multiaddr>,
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Peer(PeerId),
    /// Whoever is there.
    Address(Multiaddr),
}

#[derive(Default)]
struct Entry {
    addresses: Vec<(Source, Multiaddr)>,
    tries: u32,
    at: u64,
    /// Which kind of address is tried next: TCP, QUIC, by way of relays.
    round: usize,
    is_calling: bool,
    is_there: bool,
    came_at: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Book {
    entries: BTreeMap<Target, Entry>,
    /// As given, for devices that are not known yet.
    hand: Vec<Multiaddr>,
    relays: Vec<Multiaddr>,
    local_only: bool,
}

impl Book {
    pub(super) fn new(relays: Vec<Multiaddr>, local_only: bool) -> Book {
        Book {
            relays,
            local_only,
            ..Book::default()
        }
    }

    /// These devices may be called, and no others.
    pub(super) fn members(&mut self, members: &[PeerId], now: u64) {
        self.entries.retain(|who, _| match who {
            Target::Peer(peer) => members.contains(peer),
            Target::Address(_) => true,
        });
        for peer in members {
            self.entries.entry(Target::Peer(*peer)).or_default();
        }
        for address in self.hand.clone() {
            if let Some(peer) = target(&address) {
                self.learn(peer, &address, Source::Hand, now);
            }
        }
    }

    /// An address that a person knows.
    pub(super) fn add(&mut self, address: Multiaddr, now: u64) {
        if self.hand.contains(&address) || self.hand.len() >= HAND_MAX {
            return;
        }
        self.hand.push(address.clone());
        match target(&address) {
            Some(peer) => drop(self.learn(peer, &address, Source::Hand, now)),
            None => {
                let entry = self.entries.entry(Target::Address(address.clone())).or_default();
                entry.addresses = vec![(Source::Hand, address)];
                entry.at = now;
            }
        }
    }

    /// Something was heard of where a device is; whether that is new. Then it is called at once.
    pub(super) fn learn(&mut self, peer: PeerId, address: &Multiaddr, source: Source, now: u64) -> bool {
        let address = bare(address);
        // What was seen in the local network is there, whatever its numbers.
        let near = matches!(source, Source::Hand | Source::Local) || super::peers::is_local(&address);
        let wanted = near || !self.local_only;
        let Some(entry) = self.entries.get_mut(&Target::Peer(peer)) else {
            return false;
        };
        // A circuit is made of our relays, and not of what somebody says.
        if !is_sound(&address) || !wanted || (is_relayed(&address) && source != Source::Hand) {
            return false;
        }
        if let Some(known) = entry.addresses.iter_mut().find(|(_, known)| *known == address) {
            known.0 = known.0.min(source);
            return false;
        }
        if entry.addresses.len() >= ADDRESSES_MAX {
            // The oldest that no person gave goes.
            match entry
                .addresses
                .iter()
                .position(|(source, _)| *source != Source::Hand)
            {
                Some(oldest) => drop(entry.addresses.remove(oldest)),
                None => return false,
            }
        }
        entry.addresses.push((source, address));
        (entry.at, entry.tries, entry.round) = (now, 0, 0);
        true
    }

    /// A device was heard of, though nothing new: it is called at once, if it is not there.
    pub(super) fn nudge(&mut self, peer: &PeerId, now: u64) {
        if let Some(entry) = self.entries.get_mut(&Target::Peer(*peer)) {
            entry.at = entry.at.min(now);
        }
    }

    /// The network is another: everybody is called at once.
    pub(super) fn nudge_all(&mut self, now: u64) {
        for entry in self.entries.values_mut() {
            (entry.at, entry.tries) = (entry.at.min(now), 0);
        }
    }

    /// A connection is there.
    pub(super) fn came(&mut self, who: &Target, now: u64) {
        if let Some(entry) = self.entries.get_mut(who) {
            (entry.is_calling, entry.is_there, entry.round, entry.came_at) = (false, true, 0, now);
        }
    }

    /// No connection is there any more.
    pub(super) fn went(&mut self, who: &Target, now: u64) {
        if let Some(entry) = self.entries.get_mut(who)
            && std::mem::take(&mut entry.is_there)
        {
            if now.saturating_sub(entry.came_at) >= STEADY {
                entry.tries = 0;
            }
            entry.pause(now);
        }
    }

    /// A call was in vain. The next kind of address is tried at once; after the last, a pause.
    pub(super) fn failed(&mut self, who: &Target, now: u64) {
        let Some(entry) = self.entries.get_mut(who) else {
            return;
        };
        entry.is_calling = false;
        if entry.round < 3 && matches!(who, Target::Peer(_)) {
            entry.round += 1;
            entry.at = entry.at.min(now);
        } else {
            entry.pause(now);
        }
    }

    /// Who is to be called now.
    pub(super) fn due(&mut self, now: u64) -> Vec<Call> {
        let mut calls = Vec::new();
        for (who, entry) in &mut self.entries {
            if entry.is_calling || entry.is_there || entry.at > now {
                continue;
            }
            let addresses = loop {
                let addresses = choose(who, entry, &self.relays);
                if !addresses.is_empty() || entry.round >= 3 {
                    break addresses;
                }
                entry.round += 1;
            };
            if addresses.is_empty() {
                entry.pause(now);
                continue;
            }
            entry.is_calling = true;
            calls.push(Call {
                who: who.clone(),
                addresses,
            });
        }
        calls
    }

    /// When somebody is to be called next.
    pub(super) fn wake(&self) -> Option<u64> {
        let waits = |entry: &&Entry| !entry.is_calling && !entry.is_there;
        self.entries.values().filter(waits).map(|entry| entry.at).min()
    }

    /// What is known of where a device is.
    pub(super) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let entry = self.entries.get(&Target::Peer(*peer));
        let known = entry.into_iter().flat_map(|entry| &entry.addresses);
        known.map(|(_, address)| address.clone()).collect()
    }

    /// Direct addresses of a device that can be called though it is connected by a relay.
    pub(super) fn direct(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let mut all = self.addresses(peer);
        all.retain(|address| !is_relayed(address));
        all
    }
}

impl Entry {
    fn pause(&mut self, now: u64) {
        let pause = PAUSES.1.min(PAUSES.0 << self.tries.min(16));
        let random = u64::from_le_bytes(coffer_store::keys::random_bytes());
        self.at = now + pause / 2 + random % (pause / 2 + 1);
        (self.tries, self.round) = (self.tries.saturating_add(1), 0);
    }
}

/// The addresses of this round.
fn choose(who: &Target, entry: &Entry, relays: &[Multiaddr]) -> Vec<Multiaddr> {
    let all = entry.addresses.iter().map(|(_, address)| address);
    match (who, entry.round) {
        (Target::Address(_), 0) => all.cloned().collect(),
        (Target::Peer(_), 0) => all.filter(|a| !is_relayed(a) && is_tcp(a)).cloned().collect(),
        (Target::Peer(_), 1) => all.filter(|a| !is_relayed(a) && !is_tcp(a)).cloned().collect(),
        (Target::Peer(peer), 2) => {
            let circuits = relays.iter().map(|relay| {
                relay
                    .clone()
                    .with(Protocol::P2pCircuit)
                    .with(Protocol::P2p(*peer))
            });
            all.filter(|a| is_relayed(a)).cloned().chain(circuits).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    /// Guards the order of kinds, the pauses between rounds, their growth and its end.
    #[test]
    fn whoever_does_not_answer_is_called_less_and_less() {
        let peer = PeerId::random();
        let relay = address(&format!("/ip4/9.9.9.9/tcp/1/p2p/{}", PeerId::random()));
        let mut book = Book::new(vec![relay], false);
        book.members(&[peer], 0);
        book.learn(peer, &address("/ip4/10.0.0.1/udp/1/quic-v1"), Source::Peer, 0);
        book.learn(peer, &address("/ip4/10.0.0.1/tcp/1"), Source::Peer, 0);
        let who = Target::Peer(peer);
        let (mut now, mut before) = (0, 0);
        for round in 0..14 {
            let kinds: Vec<(bool, bool)> = (0..3)
                .map(|_| {
                    let calls = book.due(now);
                    assert_eq!(calls.len(), 1, "in round {round}");
                    assert!(book.due(now).is_empty(), "it is being called");
                    book.failed(&who, now);
                    let first = &calls[0].addresses[0];
                    (is_tcp(first), is_relayed(first))
                })
                .collect();
            assert_eq!(kinds, [(true, false), (false, false), (true, true)]);
            assert!(book.due(now).is_empty(), "a pause");
            let at = book.wake().unwrap();
            let pause = at - now;
            let longest = (PAUSES.0 << round).min(PAUSES.1);
            assert!(
                (longest / 2..=longest).contains(&pause),
                "{pause} in round {round}"
            );
            assert!(round < 10 || pause * 2 >= before);
            (now, before) = (at, pause);
        }
        // News makes it be called at once.
        book.learn(peer, &address("/ip4/10.0.0.2/tcp/1"), Source::Local, now - 1);
        assert_eq!(book.due(now - 1).len(), 1);
    }

    /// Guards the bounds, and what is not believed.
    #[test]
    fn few_addresses_are_remembered_and_strangers_none() {
        let peer = PeerId::random();
        let mut book = Book::new(Vec::new(), true);
        book.members(&[peer], 0);
        for n in 1..200 {
            book.learn(peer, &address(&format!("/ip4/10.0.0.{n}/tcp/1")), Source::Peer, 0);
        }
        assert_eq!(book.addresses(&peer).len(), ADDRESSES_MAX);
        assert!(
            !book.learn(peer, &address("/ip4/8.8.8.8/tcp/1"), Source::Peer, 0),
            "not local"
        );
        assert!(book.learn(peer, &address("/ip4/8.8.8.8/tcp/1"), Source::Hand, 0));
        assert!(!book.learn(PeerId::random(), &address("/ip4/10.0.0.1/tcp/1"), Source::Hand, 0));
        book.members(&[], 0);
        assert!(book.addresses(&peer).is_empty() && book.due(1 << 40).is_empty());
    }

    /// Guards against flapping: what held long is called again soon, what did not, later and later.
    #[test]
    fn connections_that_break_at_once_make_pauses_grow() {
        let peer = PeerId::random();
        let who = Target::Peer(peer);
        let mut book = Book::new(Vec::new(), false);
        book.members(&[peer], 0);
        book.learn(peer, &address("/ip4/10.0.0.1/tcp/1"), Source::Peer, 0);
        let mut now = 0;
        for _ in 0..6 {
            assert_eq!(book.due(now).len(), 1);
            book.came(&who, now);
            book.went(&who, now);
            now = book.wake().unwrap();
        }
        assert!(now > 10_000, "{now}");
        assert_eq!(book.due(now).len(), 1);
        book.came(&who, now);
        book.went(&who, now + STEADY);
        assert!(book.wake().unwrap() <= now + STEADY + PAUSES.0);
    }
}
