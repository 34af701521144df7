//! The record that a device leaves with relays, so that others find it: under a key that only they know, sealed, and
//! always of one length.
//!
//! ```text
//! period = days since 1970; rendezvous = the members' secret of that period
//! key of the record = derive(rendezvous, NET_TOPIC, device)
//! record (1000) = seal(derive(rendezvous, NET_RECORD, device), kind 0x60, version: period, plain)
//! plain (960) = version 0 (1) ‖ said at, seconds since 1970 (8) ‖ peer id: length (1), bytes
//!               ‖ addresses: how many (1), each length (1), multiaddr ‖ zeros
//! ```
//!
//! While a ticket is open, its maker is found in the same way: the ticket's topic in place of the rendezvous, zeros in place
//! of the device, period 0.
//!
//! Guarantees: without the secret, neither whose a record is can be told, nor that two are of one device, nor what is in it,
//! nor how much.

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::keys::{Aad, Key, SEAL_OVERHEAD, derive, labels, open, seal};
use libp2p::{Multiaddr, PeerId};

use super::peers::{ADDRESS_MAX, is_sound};

/// How long a record is before it is sealed.
const PLAIN: usize = 960;
/// How long it is.
pub(super) const LENGTH: usize = PLAIN + SEAL_OVERHEAD;
/// Addresses in one.
const ADDRESSES_MAX: usize = 6;
/// Seconds that a period has.
const PERIOD: u64 = 86_400;
const VERSION: u8 = 0;
const KIND: u8 = 0x60;

const _: () = assert!(LENGTH <= super::parts::RECORD_MAX);
const _: () = assert!(11 + 64 + ADDRESSES_MAX * (ADDRESS_MAX + 1) <= PLAIN);

/// The period of a time (seconds since 1970).
pub(super) fn period(seconds: u64) -> u64 {
    seconds / PERIOD
}

/// What a device says of where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When, in seconds since 1970 by its clock.
    pub(super) said_at: u64,
    pub(super) peer: PeerId,
    pub(super) addresses: Vec<Multiaddr>,
}

/// Where a record lies, and what it is sealed with.
pub(super) struct Spot {
    pub(super) topic: [u8; 32],
    seal: Key,
    period: u64,
}

impl Spot {
    pub(super) fn of(rendezvous: &Key, who: &[u8; 32], period: u64) -> Spot {
        Spot {
            topic: *derive(rendezvous, labels::NET_TOPIC, who).expose(),
            seal: derive(rendezvous, labels::NET_RECORD, who),
            period,
        }
    }

    /// Of a ticket with this topic, which is told nobody.
    pub(super) fn of_ticket(topic: [u8; 32]) -> Spot {
        let mut topic = topic;
        Spot::of(&Key::take(&mut topic), &[0; 32], 0)
    }

    fn aad(&self) -> Aad {
        Aad {
            kind: KIND,
            id: [0; 16],
            chain: [0; 16],
            version: self.period,
            generation: 0,
        }
    }

    /// The record's bytes.
    pub(super) fn seal(&self, record: &Record) -> Vec<u8> {
        let mut w = Writer::new();
        let peer = record.peer.to_bytes();
        w.u8(VERSION).u64(record.said_at).u8(peer.len() as u8).raw(&peer);
        let fits = |address: &&Multiaddr| address.len() <= ADDRESS_MAX;
        let addresses: Vec<&Multiaddr> = record.addresses.iter().filter(fits).take(ADDRESSES_MAX).collect();
        w.u8(addresses.len() as u8);
        for address in addresses {
            w.u8(address.len() as u8).raw(address.as_ref());
        }
        let mut plain = w.0;
        plain.resize(PLAIN, 0);
        seal(&self.seal, &self.aad(), &plain)
    }

    /// The inverse; none if it is not sealed with this, or says nothing of use.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Record> {
        if sealed.len() != LENGTH {
            return None;
        }
        let plain = open(&self.seal, &self.aad(), sealed).ok()?;
        read(&plain).ok()
    }
}

fn read(plain: &[u8]) -> Result<Record, Malformed> {
    let mut r = Reader::new(plain);
    if r.u8()? != VERSION {
        return Err(Malformed("a record of an unknown version"));
    }
    let said_at = r.u64()?;
    let length = r.u8()?.into();
    let peer = PeerId::from_bytes(r.raw(length)?).map_err(|_| Malformed("no peer id"))?;
    let mut addresses = Vec::new();
    // A later program may name ways that this one does not know, and more of them.
    for _ in 0..r.u8()? {
        let length = r.u8()?.into();
        let address = Multiaddr::try_from(r.raw(length)?.to_vec());
        addresses.extend(address.ok().filter(is_sound));
    }
    addresses.truncate(ADDRESSES_MAX);
    Ok(Record {
        said_at,
        peer,
        addresses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(count: usize) -> Record {
        let address = |n| format!("/ip4/10.0.0.{n}/tcp/4001").parse().unwrap();
        Record {
            said_at: 1_800_000_000,
            peer: PeerId::random(),
            addresses: (1..=count).map(address).collect(),
        }
    }

    fn key(n: u8) -> Key {
        Key::take(&mut [n; 32])
    }

    /// Guards the way there and back, and that the length tells nothing.
    #[test]
    fn what_is_sealed_opens_and_is_of_one_length() {
        let spot = Spot::of(&key(1), &[2; 32], 20_000);
        for count in 0..=ADDRESSES_MAX {
            let record = record(count);
            let sealed = spot.seal(&record);
            assert_eq!(sealed.len(), LENGTH);
            assert_ne!(sealed, spot.seal(&record), "sealed anew each time");
            assert_eq!(spot.open(&sealed), Some(record));
        }
        let many = record(ADDRESSES_MAX + 3);
        assert_eq!(
            spot.open(&spot.seal(&many)).unwrap().addresses.len(),
            ADDRESSES_MAX
        );
    }

    /// Guards devices that a newer program lists by ways that this one does not know, or by more of them.
    #[test]
    fn a_record_with_newer_addresses_is_read() {
        let said = record(ADDRESSES_MAX);
        let mut plain = Writer::new();
        let peer = said.peer.to_bytes();
        plain
            .u8(VERSION)
            .u64(said.said_at)
            .u8(peer.len() as u8)
            .raw(&peer);
        plain.u8(2 + said.addresses.len() as u8);
        // No protocol has this code.
        plain.u8(3).raw(&[0xff, 0xff, 0x7f]);
        for address in &said.addresses {
            plain.u8(address.len() as u8).raw(address.as_ref());
        }
        plain.u8(0).raw(b"what a later version says");
        assert_eq!(read(&plain.0).unwrap(), said);
    }

    /// Guards against records put elsewhere: another secret, device or day opens nothing; nor does what was altered.
    #[test]
    fn nothing_else_opens_it() {
        let spot = Spot::of(&key(1), &[2; 32], 20_000);
        let sealed = spot.seal(&record(2));
        let others = [
            Spot::of(&key(3), &[2; 32], 20_000),
            Spot::of(&key(1), &[4; 32], 20_000),
            Spot::of(&key(1), &[2; 32], 20_001),
        ];
        for other in others {
            assert!(other.open(&sealed).is_none());
        }
        for at in [0, 30, LENGTH - 1] {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(spot.open(&altered).is_none());
        }
        assert!(spot.open(&sealed[..LENGTH - 1]).is_none() && spot.open(&[]).is_none());
        // What a member of ill will sealed.
        for plain in [
            vec![0xff; PLAIN],
            [vec![0; 9], vec![0xff; PLAIN - 9]].concat(),
            vec![0; PLAIN],
        ] {
            assert!(spot.open(&seal(&spot.seal, &spot.aad(), &plain)).is_none());
        }
    }

    /// Prints what would be frozen, for the day when there is a new format.
    #[test]
    #[ignore = "prints; guards nothing"]
    fn show() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let spot = Spot::of(&key(1), &[2; 32], 20_000);
        let signing = coffer_store::keys::SigningKey::from_seed(key(5));
        let public = *signing.verifying().as_bytes();
        let record = Record {
            said_at: 1_800_000_000,
            peer: super::super::peers::peer_of(&public).unwrap(),
            addresses: vec![
                "/ip4/10.0.0.1/tcp/4001".parse().unwrap(),
                "/ip4/10.0.0.2/udp/4001/quic-v1".parse().unwrap(),
            ],
        };
        println!("topic {}", hex(&spot.topic));
        println!("ticket-topic {}", hex(&Spot::of_ticket([9; 32]).topic));
        println!("peer {}", hex(&public));
        println!("record {}", hex(&spot.seal(&record)));
    }

    /// Guards the format: what was frozen is found under its key, and opens.
    #[test]
    fn what_was_frozen_opens() {
        let frozen = include_str!("../../tests/vectors/net_v1.txt");
        let of = |name: &str| -> Vec<u8> {
            let line = frozen
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .trim();
            let digits = (0..line.len()).step_by(2);
            digits
                .map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap())
                .collect()
        };
        let spot = Spot::of(&key(1), &[2; 32], 20_000);
        assert_eq!(spot.topic[..], of("topic "));
        assert_eq!(Spot::of_ticket([9; 32]).topic[..], of("ticket-topic "));
        let record = spot.open(&of("record ")).unwrap();
        assert_eq!(record.said_at, 1_800_000_000);
        assert_eq!(
            record.peer,
            super::super::peers::peer_of(&of("peer ").try_into().unwrap()).unwrap()
        );
        assert_eq!(
            record.addresses,
            [
                "/ip4/10.0.0.1/tcp/4001".parse().unwrap(),
                "/ip4/10.0.0.2/udp/4001/quic-v1".parse().unwrap()
            ]
        );
    }

    /// Guards the topics: they differ by secret and device.
    #[test]
    fn topics_differ() {
        let topics = [
            Spot::of(&key(1), &[2; 32], 0).topic,
            Spot::of(&key(3), &[2; 32], 0).topic,
            Spot::of(&key(1), &[4; 32], 0).topic,
            Spot::of_ticket([9; 32]).topic,
        ];
        for (n, topic) in topics.iter().enumerate() {
            assert!(!topics[n + 1..].contains(topic));
        }
    }
}
