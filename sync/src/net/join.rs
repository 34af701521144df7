//! The joiner's end of a pairing: from a ticket to a member.
//!
//! Guarantees: the keys that it makes are kept, by the caller, before anybody could take this device for a member; nothing is asked of
//! whoever does not prove the ticket. It calls nobody but who the ticket names, or, where it is words alone, the devices of the local
//! network one by one, and who left a record under the ticket's topic.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use coffer_store::ids::SpaceId;
use coffer_store::keys::{Key, SigningKey};
use coffer_store::members::{DeviceId, DeviceName};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::kad::{self, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, Swarm, mdns};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::clock::seconds;
use super::door::{Came, Door};
use super::error::JoinError;
use super::handler::Opened;
use super::parts::{Parts, PartsEvent, swarm};
use super::patience::Patience;
use super::peers::{bare, is_relayed, is_sound, key_of, keypair, relay_in, target};
use super::record::Spot;
use super::service::runtime;
use super::settings::{Plan, Settings};
use crate::pairing::{Joined, JoinerStep, Joining, PairError, Seeds, Ticket};

/// How long somebody is looked for.
const LOOK: Duration = Duration::from_secs(60);
/// How long one candidate has to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How often the relays are asked.
const ASK: Duration = Duration::from_secs(5);
/// How long the last message has to arrive.
const LINGER: Duration = Duration::from_secs(1);
/// How long the other end has to hear that this one gives up, once it has asked to be added.
const GIVE_UP: Duration = Duration::from_secs(5);
/// Whoever is asked, where it is not known who made the ticket.
const CANDIDATES_MAX: usize = 64;

/// The keys of a new device, to be kept before it may be a member.
pub struct Prepared<'a> {
    /// The space that it joins.
    pub space: SpaceId,
    /// Who adds it.
    pub inviter: DeviceId,
    /// Its identity.
    pub device: &'a SigningKey,
    /// The key pair of its transport.
    pub transport: &'a SigningKey,
}

/// A device that has joined.
pub struct Entered {
    /// Statements, and the secrets of all epochs.
    pub joined: Box<Joined>,
    /// Its identity.
    pub device: SigningKey,
    /// The seed of its transport key.
    pub transport: Key,
    /// Who added it.
    pub inviter: DeviceId,
    /// Where the inviter was found.
    pub addresses: Vec<String>,
}

struct Candidate {
    peer: Option<PeerId>,
    addresses: Vec<Multiaddr>,
}

/// Joins a vault with a ticket. `keep` makes the keys durable; only then is this device added. `store` makes durable what it was
/// given; only then does it say that it has it. Blocks, for a few minutes at most. Not to be called from an asynchronous task.
///
/// # Errors
/// [`JoinError`]. If `keep` was called, this device may be a member for a while: the inviter's list says so ([`JoinError::Half`]).
pub fn join(
    ticket: &Ticket,
    name: DeviceName,
    settings: &Settings,
    keep: impl FnOnce(&Prepared<'_>) -> Result<(), String>,
    store: impl FnOnce(&Joined) -> Result<(), String>,
) -> Result<Entered, JoinError> {
    let plan = settings.read()?;
    let (device, transport) = (SigningKey::generate(), SigningKey::generate());
    let runtime = runtime()?;
    let joined = runtime.block_on(async {
        let keys = keypair(&transport.seed()).ok_or(super::error::StartError::Key)?;
        let door = Door::default();
        let (swarm, _) = swarm(keys, &door, plan.mdns && known(ticket).is_empty())?;
        let search = Search::new(swarm, door, plan, ticket);
        search.run(ticket, &device, &transport, name, keep, store).await
    });
    runtime.shutdown_timeout(Duration::from_millis(500));
    let (joined, inviter, addresses) = joined?;
    Ok(Entered {
        joined,
        inviter,
        addresses,
        transport: transport.seed(),
        device,
    })
}

/// The addresses in a ticket that this program can call: a newer one may have named others.
fn known(ticket: &Ticket) -> Vec<Multiaddr> {
    ticket.addresses().iter().filter_map(|a| a.parse().ok()).collect()
}

struct Search {
    swarm: Swarm<Parts>,
    door: Door,
    plan: Plan,
    waiting: VecDeque<Candidate>,
    known: HashSet<PeerId>,
    calling: Option<(ConnectionId, Instant)>,
    addresses: Vec<String>,
    last: Option<String>,
    newer: Option<JoinError>,
    spot: Spot,
    words: bool,
}

type Found = (Box<Joined>, DeviceId, Vec<String>);

impl Search {
    fn new(mut swarm: Swarm<Parts>, door: Door, plan: Plan, ticket: &Ticket) -> Search {
        for relay in &plan.relays {
            if let Some(peer) = target(relay) {
                door.add_relay(peer);
                swarm.behaviour_mut().kad.part.add_address(&peer, bare(relay));
            }
        }
        let addresses = known(ticket);
        let mut search = Search {
            swarm,
            door,
            plan,
            waiting: VecDeque::new(),
            known: HashSet::new(),
            calling: None,
            addresses: Vec::new(),
            last: None,
            newer: None,
            spot: Spot::of_ticket(ticket.topic()),
            // Of addresses that only a newer program knows there is none here.
            words: addresses.is_empty(),
        };
        // To be seen in the local network one must listen; nobody is let in.
        if search.words && search.plan.mdns {
            for address in search.plan.listen.clone() {
                let _ = search.swarm.listen_on(address);
            }
        }
        let peer = PeerId::from_bytes(ticket.peer()).ok();
        if !addresses.is_empty() {
            search.consider(peer, addresses);
        }
        search
    }

    fn consider(&mut self, peer: Option<PeerId>, addresses: Vec<Multiaddr>) {
        let mut addresses: Vec<Multiaddr> = addresses.iter().filter(|a| is_sound(a)).map(bare).collect();
        // Relays that a ticket names are called for its sake; a record names none.
        for relay in addresses.iter().filter_map(relay_in) {
            self.door.add_relay(relay);
        }
        if let Some(peer) = peer {
            if peer == *self.swarm.local_peer_id()
                || self.known.len() >= CANDIDATES_MAX
                || !self.known.insert(peer)
            {
                return;
            }
            let circuits = self.plan.relays.iter();
            addresses.extend(circuits.map(|relay| relay.clone().with(Protocol::P2pCircuit)));
        }
        self.waiting.push_back(Candidate { peer, addresses });
    }

    /// Calls the next candidate.
    fn call(&mut self) {
        while self.calling.is_none()
            && let Some(candidate) = self.waiting.pop_front()
        {
            self.door.add_host(candidate.peer);
            self.addresses = candidate.addresses.iter().map(ToString::to_string).collect();
            let options = match (candidate.peer, candidate.addresses.first()) {
                (Some(peer), Some(_)) => DialOpts::peer_id(peer).addresses(candidate.addresses).build(),
                (None, Some(first)) => DialOpts::unknown_peer_id().address(first.clone()).build(),
                (_, None) => continue,
            };
            let id = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => self.calling = Some((id, Instant::now() + ANSWER)),
                Err(error) => self.last = Some(error.to_string()),
            }
        }
    }

    async fn run(
        mut self,
        ticket: &Ticket,
        device: &SigningKey,
        transport: &SigningKey,
        name: DeviceName,
        keep: impl FnOnce(&Prepared<'_>) -> Result<(), String>,
        store: impl FnOnce(&Joined) -> Result<(), String>,
    ) -> Result<Found, JoinError> {
        let until = Instant::now() + LOOK;
        let mut ask = tokio::time::interval(ASK);
        let (mut keep, mut store) = (Some(keep), Some(store));
        loop {
            self.call();
            let end = self.calling.map_or(until, |(_, at)| at.min(until));
            tokio::select! {
                event = self.swarm.select_next_some() => {
                    let Some((peer, stream)) = self.on_event(event) else {
                        if !self.words && self.calling.is_none() && self.waiting.is_empty() {
                            let why = self.last.take();
                            return Err(why.map_or(JoinError::NotFound, JoinError::NotReached));
                        }
                        continue;
                    };
                    let Some(theirs) = key_of(&peer) else { continue };
                    let joining =
                        Joining::begin(seconds(), ticket, device, transport, name.clone(), theirs, Seeds::random());
                    let asked = Cell::new(false);
                    let talk = Talk { stream, device, transport, inviter: None, asked: &asked };
                    let talk = talk.run(joining, &mut keep, &mut store);
                    let why = match with(&mut self.swarm, talk).await {
                        Ok((joined, inviter)) => {
                            self.linger(peer).await;
                            let found = self.addresses.iter();
                            let found = found.map(|a| format!("{a}/p2p/{peer}")).collect();
                            return Ok((joined, inviter, found));
                        }
                        Err(why) if asked.get() => return Err(JoinError::Half(Box::new(why))),
                        Err(why) => why,
                    };
                    // Once somebody has proved the ticket there is nobody else to ask.
                    if keep.is_none() || !self.words {
                        return Err(why);
                    }
                    // Of many who may have made it, one that cannot say so is remembered.
                    if matches!(why, JoinError::Pairing(PairError::Newer)) {
                        self.newer = Some(why);
                    }
                    let _ = self.swarm.disconnect_peer_id(peer);
                    self.calling = None;
                }
                _ = ask.tick() => self.ask(),
                () = tokio::time::sleep_until(end) => {
                    if Instant::now() >= until {
                        let why = self.last.take();
                        let why = why.map_or(JoinError::NotFound, JoinError::NotReached);
                        return Err(self.newer.take().unwrap_or(why));
                    }
                    self.calling = None;
                }
            }
        }
    }

    /// The last message must arrive before the connection goes: the other end closes it, or a second passes.
    async fn linger(&mut self, peer: PeerId) {
        let gone = async {
            while self.swarm.is_connected(&peer) {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(LINGER, gone).await;
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Asks the relays who made the ticket.
    fn ask(&mut self) {
        if self.words && self.plan.dht && !self.plan.relays.is_empty() {
            let topic = RecordKey::new(&self.spot.topic);
            self.swarm.behaviour_mut().kad.part.get_record(topic);
        }
    }

    /// A stream, if one was opened with whom is being called.
    fn on_event(&mut self, event: SwarmEvent<PartsEvent>) -> Option<(PeerId, Stream)> {
        match event {
            SwarmEvent::Behaviour(PartsEvent::Gate(Came {
                peer,
                connection,
                what,
            })) => {
                let is_called = self.calling.is_some_and(|(id, _)| id == connection);
                match what {
                    Opened::Stream(stream, true) if is_called => return Some((peer, *stream)),
                    Opened::Refused(said_so) if is_called => {
                        self.last = Some(
                            match said_so {
                                true => "it does not speak this version of pairing; update coffer on both devices, then try again",
                                false => "it did not answer; try again",
                            }
                            .into(),
                        );
                        self.calling = None;
                        self.swarm.close_connection(connection);
                    }
                    _ => {}
                }
            }
            SwarmEvent::Behaviour(PartsEvent::Mdns(mdns::Event::Discovered(all))) => {
                let mut by_peer: Vec<(PeerId, Vec<Multiaddr>)> = Vec::new();
                for (peer, address) in all.into_iter().take(4 * CANDIDATES_MAX) {
                    match by_peer.iter_mut().find(|(other, _)| *other == peer) {
                        Some((_, addresses)) => addresses.push(address),
                        None => by_peer.push((peer, vec![address])),
                    }
                }
                for (peer, addresses) in by_peer {
                    self.consider(Some(peer), addresses);
                }
            }
            SwarmEvent::Behaviour(PartsEvent::Kad(kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))),
                ..
            })) => {
                if let Some(record) = self.spot.open(&found.record.value) {
                    let direct = record.addresses.into_iter().filter(|a| !is_relayed(a));
                    self.consider(Some(record.peer), direct.collect());
                }
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id, error, ..
            } if self.calling.is_some_and(|(id, _)| id == connection_id) => {
                let _ = error;
                self.last = Some("it does not answer at any address that the ticket names".into());
                self.calling = None;
            }
            SwarmEvent::ConnectionClosed { connection_id, .. }
                if self.calling.is_some_and(|(id, _)| id == connection_id) =>
            {
                self.last =
                    Some("it ended the connection; the ticket may be used up, or have expired".into());
                self.calling = None;
            }
            _ => {}
        }
        None
    }
}

/// Lets the network go on while something else does.
async fn with<T>(swarm: &mut Swarm<Parts>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = swarm.select_next_some() => {}
        }
    }
}

struct Talk<'a> {
    stream: Stream,
    device: &'a SigningKey,
    transport: &'a SigningKey,
    inviter: Option<DeviceId>,
    /// Whether it was asked to add this device.
    asked: &'a Cell<bool>,
}

impl Talk<'_> {
    async fn run<K, S>(
        mut self,
        mut joining: Joining,
        keep: &mut Option<K>,
        store: &mut Option<S>,
    ) -> Result<(Box<Joined>, DeviceId), JoinError>
    where
        K: FnOnce(&Prepared<'_>) -> Result<(), String>,
        S: FnOnce(&Joined) -> Result<(), String>,
    {
        let came = self.talk(&mut joining, keep, store).await;
        if came.is_err() && self.asked.get() {
            // If it does not arrive, this device stays listed as one of which nothing was heard.
            let _ = tokio::time::timeout(GIVE_UP, self.give_up(joining)).await;
        }
        came
    }

    /// Says that this device has nothing and never will, and waits until that was read.
    async fn give_up(&mut self, mut joining: Joining) -> std::io::Result<()> {
        joining.give_up();
        while let Some(step) = joining.poll() {
            if let JoinerStep::Send(bytes) = step {
                self.stream.write_all(&bytes).await?;
            }
        }
        self.stream.flush().await?;
        self.stream.close().await?;
        // It reads only once it has written all that it has to give.
        let mut piece = [0; 4 << 10];
        while self.stream.read(&mut piece).await? > 0 {}
        Ok(())
    }

    async fn talk<K, S>(
        &mut self,
        joining: &mut Joining,
        keep: &mut Option<K>,
        store: &mut Option<S>,
    ) -> Result<(Box<Joined>, DeviceId), JoinError>
    where
        K: FnOnce(&Prepared<'_>) -> Result<(), String>,
        S: FnOnce(&Joined) -> Result<(), String>,
    {
        let mut joined = None;
        let mut patience = Patience::new(Instant::now());
        let mut piece = Zeroizing::new(vec![0; 16 << 10]);
        loop {
            while let Some(step) = joining.poll() {
                match step {
                    JoinerStep::Send(bytes) => {
                        let bytes = Zeroizing::new(bytes);
                        let wrote = async {
                            self.stream.write_all(&bytes).await?;
                            self.stream.flush().await
                        };
                        let wrote = timeout_at(patience.until(), wrote).await;
                        match wrote {
                            // What is stored makes it a member, whether or not the last word arrives.
                            _ if joined.is_some() => {}
                            Ok(wrote) => wrote.map_err(|_| JoinError::Lost)?,
                            Err(_) => return Err(JoinError::TooLate),
                        }
                        patience.wrote(Instant::now(), bytes.len());
                    }
                    JoinerStep::Prepare { space, inviter } => {
                        self.inviter = Some(inviter);
                        let prepared = Prepared {
                            space,
                            inviter,
                            device: self.device,
                            transport: self.transport,
                        };
                        let keep = keep.take().ok_or(PairError::Ended)?;
                        keep(&prepared).map_err(JoinError::Keep)?;
                        joining.prepared()?;
                        self.asked.set(true);
                        patience.proved(Instant::now());
                    }
                    JoinerStep::Store(given) => {
                        let store = store.take().ok_or(PairError::Ended)?;
                        store(&given).map_err(JoinError::Keep)?;
                        joining.stored()?;
                        patience.wrote(Instant::now(), 0);
                        joined = Some(given);
                    }
                    JoinerStep::Done => {
                        let _ = self.stream.close().await;
                        let (joined, inviter) = joined.zip(self.inviter).ok_or(PairError::Ended)?;
                        return Ok((joined, inviter));
                    }
                }
            }
            match timeout_at(patience.until(), self.stream.read(&mut piece)).await {
                Ok(Ok(n @ 1..)) => {
                    patience.heard(Instant::now());
                    joining.receive(seconds(), &piece[..n])?;
                }
                Ok(_) => return Err(JoinError::Lost),
                Err(_) => return Err(JoinError::TooLate),
            }
        }
    }
}
