//! The program `coffer-relay`: a meeting point for devices that cannot reach each other. It forwards what
//! they say to each other (circuit relay v2) and holds small sealed records for an hour (Kademlia).
//!
//! Guarantees that whoever runs it learns no more than addresses, transport keys, times and amounts: what
//! passes through a circuit is encrypted between its two ends, and the relay has no key of theirs. That each
//! peer and each address gets a bounded share of it. That SIGTERM lets what is under way finish.
//!
//! It never writes a file, opens a connection, knows a user, or says in its log who was here.

use clap::Parser;
use futures::{AsyncRead, AsyncWrite, FutureExt, StreamExt, ready};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::transport::{ListenerId, PortUse};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig, RecordStore};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, ListenError, NetworkBehaviour, SwarmEvent, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{PeerId, StreamProtocol, Swarm, SwarmBuilder, TransportError};
use libp2p::{identify, kad, noise, ping, relay, tcp};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, sleep, timeout};
use zeroize::Zeroizing;

/// What identify says this network is. Devices say the same.
const IDENTIFY: &str = "/coffer/1";
/// Kademlia, in a network of its own: no stranger's table ever holds a device of ours.
const KADEMLIA: StreamProtocol = StreamProtocol::new("/coffer/kad/1");

/// Records: how many, how large (bytes), for how long.
const RECORDS: usize = 8_192;
const RECORD_KEY: usize = 64;
const RECORD_VALUE: usize = 1_024;
const RECORD_TTL: Duration = Duration::from_secs(3_600);

/// Reservations are renewed by the devices before this is over.
const RESERVATION: Duration = Duration::from_secs(3_600);
/// Of one peer at once: by TCP and by QUIC, and each once more while the old one is not yet known to be dead.
const CONNECTIONS_OF_PEER: u32 = 4;
/// Connections whose peer has not yet proven who it is; they have ten seconds.
const STRANGERS: u32 = 512;
/// Beyond these, beyond the reservations, and beyond all connections, so large a part is kept for neighbourhoods
/// from which somebody has come for a while: others cannot take all places.
const KEPT: u32 = 4;
/// Neighbourhoods that are remembered so, and for how long after the last reservation.
const REGULARS: usize = 4_096;
const FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);
/// Streams of one connection that have not yet said what they are for; and as many that are not even looked at.
const NEW_STREAMS: usize = 16;
/// Streams of one Yamux connection. Its standard lets 256 KiB wait in each; so much more, together, by windows that grow.
const YAMUX: (usize, usize) = (256, 256 << 10);
const YAMUX_WINDOW: usize = 256 << 10;
/// What may wait in all Yamux connections together: beyond that, those go in which the most waits. As many slow
/// circuits as there are by default stay below it.
const WAITING: usize = 56 << 20;
/// A connection in which less waits is no cause of that.
const LITTLE: usize = 8 << 10;
/// The same for QUIC: streams of a connection, bytes that may wait of each and of all.
const QUIC: (u32, u32, u32) = (64, 512 << 10, 4 << 20);
/// Addresses whose rates are remembered.
const BUCKETS: usize = 16_384;
/// A program with so many faults in it should rather be started anew.
const FAULTS: u32 = 100;

/// A relay for Coffer's devices: forwards sealed bytes, keeps nothing.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Args {
    /// Where to listen; may be repeated [default: port 4001 of all addresses, TCP and QUIC]
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<Multiaddr>,
    /// Under which address devices reach this relay; may be repeated [default: where it listens]
    #[arg(long, value_name = "MULTIADDR")]
    external: Vec<Multiaddr>,
    /// The relay's identity: a file of 64 hexadecimal digits, or - for standard input; it is only read.
    /// Without it, the relay is another one at each start
    #[arg(long, value_name = "PATH", env = "COFFER_RELAY_SEED_FILE")]
    seed_file: Option<String>,
    /// Devices that can be reached through this relay at once
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    max_reservations: u32,
    /// Circuits at once
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_circuits: u32,
    /// Circuits of one device at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    max_circuits_per_peer: u32,
    /// Connections of one address at once (of IPv6: one /64), and circuits asked for from it
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_per_address: u32,
    /// Seconds after which the network (IPv4: /24, IPv6: /48) of a device that once reserved finds room when strangers have taken all
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    regular_after: u32,
    /// Connections, reservations, circuits and records, all together, that one address may ask for in a minute
    #[arg(long, value_name = "N", default_value_t = 600)]
    rate: u32,
    /// Bytes that may pass through one circuit, both ways together; 0: no limit
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 30)]
    circuit_bytes: u64,
    /// Seconds that one circuit may live
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    circuit_seconds: u32,
    /// Seconds that circuits have left to finish once the relay is asked to end
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u32,
}

impl Args {
    /// At once, of all devices.
    fn connections(&self) -> u32 {
        self.max_reservations
            .saturating_mul(2)
            .saturating_add(self.max_circuits)
    }
}

/// Why the relay ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("Could not read the seed from {0}: {1}. Name another file with --seed-file, or none.")]
    SeedUnread(String, io::Error),
    #[error("The seed in {0} is not 64 hexadecimal digits. “openssl rand -hex 32” makes one.")]
    SeedMalformed(String),
    #[error("Could not listen on {0}: {1}. Choose another address with --listen, or end what uses it.")]
    Listen(Multiaddr, String),
    #[error("Could not set up the network: {0}.")]
    Network(String),
    #[error("There were too many faults of the program's own: start it anew, and please report them.")]
    Faults,
}

fn reason(error: TransportError<io::Error>) -> String {
    match error {
        TransportError::Other(error) => error.to_string(),
        TransportError::MultiaddrNotSupported(_) => "it is neither /tcp/PORT nor /udp/PORT/quic-v1".into(),
    }
}

/// The relay's key pair: from its seed, or another one each time.
fn identity(seed_file: Option<&str>) -> Result<Keypair, Failure> {
    let Some(path) = seed_file else {
        return Ok(Keypair::generate_ed25519());
    };
    let mut text = Zeroizing::new(String::with_capacity(256));
    let read = match path {
        "-" => io::stdin().lock().take(256).read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|file| file.take(256).read_to_string(&mut text)),
    };
    read.map_err(|error| Failure::SeedUnread(path.into(), error))?;
    let (digits, mut seed) = (text.trim(), Zeroizing::new([0; 32]));
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        for (at, byte) in seed.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..][..2], 16).expect("two hexadecimal digits");
        }
        if let Ok(keys) = Keypair::ed25519_from_bytes(&mut seed[..]) {
            return Ok(keys);
        }
    }
    Err(Failure::SeedMalformed(path.into()))
}

/// Whom an address counts for: an IPv4 address, or the /64 of an IPv6 one, which one household has.
fn origin(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(match ip.to_ipv4_mapped() {
            Some(ip) => ip.into(),
            None => Ipv6Addr::from(u128::from(ip) & (!0 << 64)).into(),
        }),
        _ => None,
    })
}

/// The network around it: whoever has one address there may have all of them.
fn neighbourhood(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip) & (!0 << 8)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & (!0 << 80)).into(),
    }
}

/// What is counted: done, and refused.
#[derive(Clone, Copy)]
enum Count {
    Connections,
    Reservations,
    Circuits,
    Records,
}

/// A peer that is connected.
struct Peer {
    from: IpAddr,
    reserved: bool,
    /// That it asked for.
    circuits: u32,
}

/// A connection, before its handshake or after.
struct Connection {
    from: IpAddr,
    stranger: bool,
}

/// Who may come in, and what he may ask for. All of it in memory, and gone when he leaves.
struct Gate {
    args: Args,
    /// The relay is about to end: no more of anything.
    draining: bool,
    connections: HashMap<ConnectionId, Connection>,
    peers: HashMap<PeerId, Peer>,
    /// Neighbourhoods from which somebody reserved: when first, and when last.
    regulars: HashMap<IpAddr, (Instant, Instant)>,
    /// What an address may still ask for, and when that was so (token buckets).
    buckets: HashMap<IpAddr, (f64, Instant)>,
    /// Done and refused, by kind, since it was last told.
    tally: [[u64; 2]; 4],
}

impl Gate {
    /// Takes one token of an address, if it has any.
    fn spend(&mut self, from: IpAddr) -> bool {
        let (most, now) = (f64::from(self.args.rate), Instant::now());
        let left = |(left, at): (f64, Instant)| most.min(left + (now - at).as_secs_f64() * most / 60.0);
        if self.buckets.len() >= BUCKETS && !self.buckets.contains_key(&from) {
            self.buckets.retain(|_, bucket| left(*bucket) < most);
            if self.buckets.len() >= BUCKETS {
                // More addresses than anybody's devices have: now the limits on totals must do.
                self.buckets.clear();
            }
        }
        let bucket = self.buckets.entry(from).or_insert((most, now));
        let have = left(*bucket);
        *bucket = if have < 1.0 {
            (have, now)
        } else {
            (have - 1.0, now)
        };
        have >= 1.0
    }

    /// Most of something: of all, or of those from whose neighbourhood somebody has come for a while.
    fn most(&self, of_all: u32, from: IpAddr) -> usize {
        let after = Duration::from_secs(self.args.regular_after.into());
        let first = self.regulars.get(&neighbourhood(from)).map(|(first, _)| *first);
        let kept = first.is_some_and(|first| first.elapsed() >= after);
        of_all.saturating_add(if kept { of_all / KEPT } else { 0 }) as usize
    }

    /// A connection, before its handshake.
    fn enter(&mut self, id: ConnectionId, from: IpAddr) -> bool {
        let (own, near) = (self.args.max_per_address as usize, neighbourhood(from));
        // Strangers, and all: everywhere, nearby, at the same address.
        let mut counts = [[0; 2]; 3];
        for other in self.connections.values() {
            for (count, counts_here) in
                counts
                    .iter_mut()
                    .zip([true, neighbourhood(other.from) == near, other.from == from])
            {
                count[0] += usize::from(counts_here && other.stranger);
                count[1] += usize::from(counts_here);
            }
        }
        let most = [
            [
                self.most(STRANGERS, from),
                self.most(self.args.connections(), from),
            ],
            [own, own.saturating_mul(4)],
            [own.div_ceil(2), own],
        ];
        let room = counts
            .as_flattened()
            .iter()
            .zip(most.as_flattened())
            .all(|(have, most)| have < most);
        let may = !self.draining && room && self.spend(from);
        if may {
            self.connections.insert(id, Connection { from, stranger: true });
        }
        may
    }

    /// Whoever holds a reservation may renew it, also when there are none left for others.
    fn reserve(&mut self, peer: PeerId, from: IpAddr) -> bool {
        let held = self.peers.values().filter(|peer| peer.reserved).count();
        let room = held < self.most(self.args.max_reservations, from);
        let may = !self.draining && self.spend(from);
        match self.peers.get_mut(&peer) {
            Some(peer) if may && (peer.reserved || room) => {
                peer.reserved = true;
                let (near, now) = (neighbourhood(from), Instant::now());
                if self.regulars.len() < REGULARS || self.regulars.contains_key(&near) {
                    self.regulars.entry(near).or_insert((now, now)).1 = now;
                }
                true
            }
            _ => false,
        }
    }

    fn circuit(&mut self, from: IpAddr) -> bool {
        let of_address = self
            .peers
            .values()
            .filter(|peer| peer.from == from)
            .map(|peer| peer.circuits);
        !self.draining && of_address.sum::<u32>() < self.args.max_per_address && self.spend(from)
    }

    fn record(&mut self, source: PeerId, record: &kad::Record) -> bool {
        let fits = record.key.as_ref().len() <= RECORD_KEY && record.value.len() <= RECORD_VALUE;
        let from = self.peers.get(&source).map(|peer| peer.from);
        fits && !self.draining && from.is_some_and(|from| self.spend(from))
    }

    fn circuits(&self) -> u32 {
        self.peers.values().map(|peer| peer.circuits).sum()
    }

    /// A circuit more, or less, that a peer asked for.
    fn circuit_of(&mut self, peer: PeerId, change: i32) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.circuits = peer.circuits.saturating_add_signed(change);
        }
    }

    /// One line of counts, if there is anything to count.
    fn tell(&mut self) {
        let tally = std::mem::take(&mut self.tally);
        if tally != <[[u64; 2]; 4]>::default() {
            let names = ["Connections", "reservations", "circuits", "records"];
            let parts = names
                .iter()
                .zip(tally)
                .map(|(name, [done, refused])| format!("{name}: {done}, refused {refused}"));
            say(&parts.collect::<Vec<_>>().join("; "));
        }
    }
}

/// The gate, as the parts of the relay share it.
#[derive(Clone)]
struct Door(Arc<Mutex<Gate>>);

impl Door {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        // What a fault could leave behind are counts, at worst one off.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NetworkBehaviour for Door {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let may = origin(from).is_some_and(|from| self.gate().enter(id, from));
        if may {
            Ok(())
        } else {
            Err(ConnectionDenied::new("no room"))
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Err(ConnectionDenied::new("the relay calls nobody"))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let mut gate = self.gate();
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                if let Some(connection) = gate.connections.get_mut(&new.connection_id) {
                    connection.stranger = false;
                    let from = connection.from;
                    gate.peers.entry(new.peer_id).or_insert(Peer {
                        from,
                        reserved: false,
                        circuits: 0,
                    });
                }
            }
            FromSwarm::ConnectionClosed(old) => {
                gate.connections.remove(&old.connection_id);
                if old.remaining_established == 0 {
                    gate.peers.remove(&old.peer_id);
                }
            }
            FromSwarm::ListenFailure(failed) => {
                gate.connections.remove(&failed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

/// What of a Yamux connection's streams has come, and was not read: by stream, and in all.
#[derive(Default)]
struct Unread(HashMap<u32, usize>, usize);

/// The sum over all connections, and how many of them there are in which more than little waits.
static UNREAD: AtomicUsize = AtomicUsize::new(0);
static HOLDERS: AtomicUsize = AtomicUsize::new(0);

impl Unread {
    /// Bytes more and fewer of a stream that there is.
    fn count(&mut self, stream: u32, came: usize, went: usize) {
        let Some(unread) = self.0.get_mut(&stream) else {
            return;
        };
        let (before, went) = (self.1, went.min(*unread + came));
        *unread = *unread + came - went;
        self.1 = self.1 + came - went;
        UNREAD.fetch_add(came, Relaxed);
        UNREAD.fetch_sub(went, Relaxed);
        match (before > LITTLE, self.1 > LITTLE) {
            (false, true) => drop(HOLDERS.fetch_add(1, Relaxed)),
            (true, false) => drop(HOLDERS.fetch_sub(1, Relaxed)),
            _ => {}
        }
    }

    fn forget(&mut self, stream: u32) {
        let unread = self.0.get(&stream).copied().unwrap_or(0);
        self.count(stream, 0, unread);
        self.0.remove(&stream);
    }

    /// There is too much of it in all, and here is not less than elsewhere.
    fn is_too_much(&self) -> bool {
        let all = UNREAD.load(Relaxed);
        all > WAITING && self.1.saturating_mul(HOLDERS.load(Relaxed)) >= all
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        for stream in self.0.keys().copied().collect::<Vec<_>>() {
            self.forget(stream);
        }
    }
}

type Tally = Arc<Mutex<Unread>>;

fn counted(count: &Tally) -> MutexGuard<'_, Unread> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What comes, on its way to Yamux: it reads along in the frames' heads.
struct Wire<C> {
    io: C,
    count: Tally,
    head: Vec<u8>,
    body: usize,
}

impl<C: AsyncRead + Unpin> AsyncRead for Wire<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let mut bytes = &buf[..read];
        while !bytes.is_empty() {
            if self.body > 0 {
                let part = self.body.min(bytes.len());
                (self.body, bytes) = (self.body - part, &bytes[part..]);
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(12 - self.head.len()));
            self.head.extend_from_slice(part);
            bytes = rest;
            let &[_, kind, _, flags, a, b, c, d, e, f, g, h] = &self.head[..] else {
                continue;
            };
            let (stream, len) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
            self.head.clear();
            let mut unread = counted(&self.count);
            // Data, and a window, can begin a stream; how many there may be, Yamux sees to at once.
            if kind < 2 && flags & 1 == 1 && unread.0.len() <= YAMUX.0 {
                unread.0.entry(stream).or_insert(0);
            }
            if kind == 0 {
                unread.count(stream, len as usize, 0);
                if unread.is_too_much() {
                    return Poll::Ready(Err(io::Error::other("too much waits")));
                }
                drop(unread);
                self.body = len as usize;
            }
        }
        Poll::Ready(Ok(read))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Wire<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

/// A stream, of which is counted what is read.
struct Substream {
    io: yamux::Stream,
    count: Tally,
}

impl AsyncRead for Substream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        counted(&self.count).count(self.io.id().val(), 0, read);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Substream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

impl Drop for Substream {
    fn drop(&mut self) {
        counted(&self.count).forget(self.io.id().val());
    }
}

/// Yamux within bounds: libp2p's own keeps 256 streams of each connection that it has not looked at, 64 MiB of them.
#[derive(Clone)]
struct Yamux;

struct Muxer<C> {
    io: yamux::Connection<Wire<C>>,
    count: Tally,
    /// Not looked at yet.
    new: VecDeque<Substream>,
    waker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(io: C, mode: yamux::Mode) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(YAMUX.0);
        config.set_max_connection_receive_window(Some(YAMUX.0 * YAMUX_WINDOW + YAMUX.1));
        let count = Tally::default();
        let io = Wire {
            io,
            count: count.clone(),
            head: Vec::with_capacity(12),
            body: 0,
        };
        Self {
            io: yamux::Connection::new(io, config, mode),
            count,
            new: VecDeque::new(),
            waker: None,
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Substream, yamux::ConnectionError>> {
        let next = ready!(self.io.poll_next_inbound(cx)).unwrap_or(Err(yamux::ConnectionError::Closed));
        let count = self.count.clone();
        Poll::Ready(next.map(|io| Substream { io, count }))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Substream;
    type Error = yamux::ConnectionError;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Substream, Self::Error>> {
        if let Some(stream) = self.new.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        self.waker = Some(cx.waker().clone());
        self.next(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Substream, Self::Error>> {
        let io = ready!(self.io.poll_new_outbound(cx))?;
        counted(&self.count).0.insert(io.id().val(), 0);
        let count = self.count.clone();
        Poll::Ready(Ok(Substream { io, count }))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.io.poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let stream = ready!(self.next(cx))?;
        // Who opens more at once than anybody needs has them reset.
        if self.new.len() < NEW_STREAMS {
            self.new.push_back(stream);
            self.waker.take().into_iter().for_each(Waker::wake);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_inbound(self, io: C, _: Self::Info) -> Self::Future {
        std::future::ready(Ok(Muxer::new(io, yamux::Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_outbound(self, io: C, _: Self::Info) -> Self::Future {
        std::future::ready(Ok(Muxer::new(io, yamux::Mode::Client)))
    }
}

/// What the relay speaks.
#[derive(NetworkBehaviour)]
struct Parts {
    door: Door,
    limits: connection_limits::Behaviour,
    circuits: relay::Behaviour,
    records: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

impl Parts {
    fn new(keys: &Keypair, door: &Door) -> Self {
        let me = keys.public().to_peer_id();
        let args = &door.gate().args;
        let limits = ConnectionLimits::default()
            .with_max_pending_outgoing(Some(0))
            .with_max_established_per_peer(Some(CONNECTIONS_OF_PEER));

        let (reserve, circuit) = (door.clone(), door.clone());
        let mut circuits = relay::Behaviour::new(
            me,
            relay::Config {
                // Counted by the gate: the library refuses renewals, too, when all are taken.
                max_reservations: usize::MAX,
                // The library allows one more than it is told. The second is for a device at a new address.
                max_reservations_per_peer: 1,
                reservation_duration: RESERVATION,
                reservation_rate_limiters: vec![Box::new(
                    move |peer: PeerId, from: &Multiaddr, _: Instant| {
                        origin(from).is_some_and(|from| reserve.gate().reserve(peer, from))
                    },
                )],
                max_circuits: args.max_circuits as usize,
                max_circuits_per_peer: args.max_circuits_per_peer as usize - 1,
                max_circuit_duration: Duration::from_secs(args.circuit_seconds.into()),
                max_circuit_bytes: args.circuit_bytes,
                circuit_src_rate_limiters: vec![Box::new(move |_: PeerId, from: &Multiaddr, _: Instant| {
                    origin(from).is_some_and(|from| circuit.gate().circuit(from))
                })],
            },
        );
        circuits.set_status(Some(relay::Status::Enable));

        // Without a routing table: who asks is told of records, never of peers.
        let mut config = kad::Config::new(KADEMLIA);
        config
            .set_record_ttl(Some(RECORD_TTL))
            .set_record_filtering(kad::StoreInserts::FilterBoth)
            .set_kbucket_inserts(kad::BucketInserts::Manual)
            .set_replication_interval(None)
            .set_publication_interval(None)
            .set_provider_publication_interval(None)
            .set_periodic_bootstrap_interval(None);
        let room = MemoryStoreConfig {
            max_records: RECORDS,
            max_value_bytes: RECORD_VALUE + 1,
            ..Default::default()
        };
        let mut records = kad::Behaviour::with_config(me, MemoryStore::with_config(me, room), config);
        records.set_mode(Some(kad::Mode::Server));

        let identify = identify::Config::new(IDENTIFY.into(), keys.public())
            .with_agent_version("coffer".into())
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        Self {
            door: door.clone(),
            limits: connection_limits::Behaviour::new(limits),
            circuits,
            records,
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(30))),
        }
    }
}

/// One line on standard output. That nobody reads it is no reason to end.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A relay at work.
struct Relay {
    swarm: Swarm<Parts>,
    door: Door,
    /// By TCP, which can be closed while its connections go on.
    tcp: Vec<ListenerId>,
}

impl Relay {
    fn start(args: Args) -> Result<Self, Failure> {
        let keys = identity(args.seed_file.as_deref())?;
        if args.seed_file.is_none() {
            say("Without --seed-file, this relay is another one at each start.");
        }
        let (mut listen, external) = (args.listen.clone(), args.external.clone());
        let gate = Gate {
            args,
            draining: false,
            connections: HashMap::new(),
            peers: HashMap::new(),
            regulars: HashMap::new(),
            buckets: HashMap::new(),
            tally: Default::default(),
        };
        let door = Door(Arc::new(Mutex::new(gate)));
        let mut swarm = SwarmBuilder::with_existing_identity(keys)
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, || Yamux)
            .map_err(|error| Failure::Network(error.to_string()))?
            .with_quic_config(|mut config| {
                (
                    config.max_concurrent_stream_limit,
                    config.max_stream_data,
                    config.max_connection_data,
                ) = QUIC;
                (config.keep_alive_interval, config.max_idle_timeout) = (Duration::from_secs(15), 40_000);
                config
            })
            .with_behaviour(|keys| Parts::new(keys, &door))
            .expect("making the parts cannot fail")
            .with_swarm_config(|config| config.with_max_negotiating_inbound_streams(NEW_STREAMS))
            .build();

        // A machine without IPv6 is fine, unless somebody asked for it.
        let chosen = !listen.is_empty();
        if !chosen {
            let defaults = [
                "/ip4/0.0.0.0/tcp/4001",
                "/ip4/0.0.0.0/udp/4001/quic-v1",
                "/ip6/::/tcp/4001",
                "/ip6/::/udp/4001/quic-v1",
            ];
            listen = defaults
                .map(|address| address.parse().expect("a multiaddress"))
                .into();
        }
        let mut tcp = Vec::new();
        for (at, address) in listen.iter().enumerate() {
            match swarm.listen_on(address.clone()) {
                Ok(id) if address.iter().any(|part| matches!(part, Protocol::Tcp(_))) => tcp.push(id),
                Ok(_) => {}
                Err(error) if chosen || at < 2 => {
                    return Err(Failure::Listen(address.clone(), reason(error)));
                }
                Err(_) => {}
            }
        }
        for address in external {
            say(&format!("Reachable at {address}/p2p/{}", swarm.local_peer_id()));
            swarm.add_external_address(address);
        }
        Ok(Self { swarm, door, tcp })
    }

    /// Serves until it is told to end and what was under way is done, or its time is over.
    async fn run(mut self) -> Result<(), Failure> {
        let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
            return Err(Failure::Network("signals cannot be received".into()));
        };
        let (mut hour, mut minute) = (
            interval(Duration::from_secs(3_600)),
            interval(Duration::from_secs(60)),
        );
        let mut end = std::pin::pin!(sleep(Duration::MAX));
        let (mut draining, mut faults) = (false, 0);
        while !draining || self.door.gate().circuits() > 0 {
            tokio::select! {
                // A fault of a library's in one peer's matter must not end what others have under way.
                event = AssertUnwindSafe(self.swarm.select_next_some()).catch_unwind() => match event {
                    Ok(event) => self.on_event(event),
                    Err(_) if faults == FAULTS => return Err(Failure::Faults),
                    Err(_) => faults += 1,
                },
                _ = hour.tick() => self.door.gate().tell(),
                _ = minute.tick() => {
                    let now = Instant::now();
                    self.swarm.behaviour_mut().records.store_mut().retain(|_, record| !record.is_expired(now));
                    self.door.gate().regulars.retain(|_, (_, last)| now - *last < FORGOTTEN);
                }
                () = &mut end => break,
                _ = async { tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} } } => {
                    if draining {
                        return Ok(());
                    }
                    draining = true;
                    end.set(sleep(self.drain()));
                }
            }
        }
        // Last bytes, and goodbye.
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let goodbye = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = timeout(Duration::from_secs(1), goodbye).await;
        self.door.gate().tell();
        Ok(())
    }

    /// Nothing new from now on. QUIC's port stays open, for closing it would close its connections.
    fn drain(&mut self) -> Duration {
        for id in self.tcp.drain(..) {
            self.swarm.remove_listener(id);
        }
        self.swarm
            .behaviour_mut()
            .circuits
            .set_status(Some(relay::Status::Disable));
        let mut gate = self.door.gate();
        gate.draining = true;
        say(&format!(
            "Ending: {} circuits have {} seconds to finish.",
            gate.circuits(),
            gate.args.drain
        ));
        Duration::from_secs(gate.args.drain.into())
    }

    /// Never holds the gate while it calls the swarm, whose parts go through it, too.
    fn on_event(&mut self, event: SwarmEvent<PartsEvent>) {
        use relay::Event as Circuit;
        let (what, done) = match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                say(&format!(
                    "Listening on {address}/p2p/{}",
                    self.swarm.local_peer_id()
                ));
                if self.door.gate().args.external.is_empty() {
                    self.swarm.add_external_address(address);
                }
                return;
            }
            SwarmEvent::ConnectionEstablished { .. } => (Count::Connections, true),
            SwarmEvent::IncomingConnectionError {
                error: ListenError::Denied { .. },
                ..
            } => (Count::Connections, false),
            SwarmEvent::Behaviour(PartsEvent::Circuits(event)) => match event {
                Circuit::ReservationReqAccepted { .. } => (Count::Reservations, true),
                Circuit::ReservationReqDenied { .. } => (Count::Reservations, false),
                Circuit::CircuitReqAccepted { src_peer_id, .. } => {
                    self.door.gate().circuit_of(src_peer_id, 1);
                    (Count::Circuits, true)
                }
                Circuit::CircuitReqDenied { .. } => (Count::Circuits, false),
                Circuit::CircuitClosed { src_peer_id, .. } => {
                    return self.door.gate().circuit_of(src_peer_id, -1);
                }
                _ => return,
            },
            SwarmEvent::Behaviour(PartsEvent::Records(kad::Event::InboundRequest {
                request:
                    kad::InboundRequest::PutRecord {
                        source,
                        record: Some(mut record),
                        ..
                    },
            })) => {
                // Who looks it up is not told who put it there.
                record.publisher = None;
                let may = self.door.gate().record(source, &record);
                (
                    Count::Records,
                    may && self.swarm.behaviour_mut().records.store_mut().put(record).is_ok(),
                )
            }
            SwarmEvent::Behaviour(PartsEvent::Ping(ping::Event {
                connection,
                result: Err(_),
                ..
            })) => {
                self.swarm.close_connection(connection);
                return;
            }
            _ => return,
        };
        self.door.gate().tally[what as usize][usize::from(!done)] += 1;
    }
}

/// Before anything else: no core dumps, as many connections as the system allows, and faults that name a
/// place in the program and not what it was about.
fn harden() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let files = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: files,
            maximum: files,
        },
    );
    std::panic::set_hook(Box::new(|fault| {
        let place = fault.location().map(ToString::to_string).unwrap_or_default();
        say(&format!("A fault of the program's own, in {place}."));
    }));
}

/// Memory that is free again goes back. An arena for each thread would be mostly empty, and glibc raises the other two by
/// itself, for good.
#[cfg(target_env = "gnu")]
fn frugal() {
    for (what, value) in [
        (libc::M_ARENA_MAX, 2),
        (libc::M_TRIM_THRESHOLD, 1 << 20),
        (libc::M_MMAP_THRESHOLD, 256 << 10),
    ] {
        // SAFETY: it is called before there are other threads, and touches nothing of ours.
        unsafe { libc::mallopt(what, value) };
    }
}

#[cfg(not(target_env = "gnu"))]
fn frugal() {}

fn main() -> ExitCode {
    frugal();
    harden();
    let args = Args::parse();
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Network(error.to_string()))
        .and_then(|runtime| runtime.block_on(async { Relay::start(args)?.run().await }));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "coffer-relay: {failure}");
            ExitCode::FAILURE
        }
    }
}
