//! A device: a libp2p node that speaks what Coffer's devices will speak with a relay, and streams of bytes.

use super::{PATIENCE, within};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder};
use libp2p::{identify, kad, multiaddr::Protocol, noise, ping, relay, tcp, yamux};
use tokio::sync::{mpsc, oneshot};

const BYTES: StreamProtocol = StreamProtocol::new("/test/bytes");

#[derive(NetworkBehaviour)]
pub struct Parts {
    pub relay: relay::client::Behaviour,
    pub kad: kad::Behaviour<kad::store::MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    stream: libp2p_stream::Behaviour,
}

type Work = Box<dyn FnOnce(&mut Swarm<Parts>) + Send>;

/// A node in a task of its own.
pub struct Device {
    pub id: PeerId,
    work: mpsc::UnboundedSender<Work>,
    events: mpsc::UnboundedReceiver<SwarmEvent<PartsEvent>>,
    streams: libp2p_stream::Control,
    incoming: libp2p_stream::IncomingStreams,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The way to a peer through a relay.
pub fn through(relay: &Multiaddr, peer: PeerId) -> Multiaddr {
    relay.clone().with(Protocol::P2pCircuit).with(Protocol::P2p(peer))
}

impl Device {
    pub fn new() -> Self {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .expect("Noise")
            .with_quic()
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .expect("Noise")
            .with_behaviour(|keys, relay| {
                let me = keys.public().to_peer_id();
                let config = kad::Config::new(StreamProtocol::new("/coffer/kad/1"));
                let mut kad = kad::Behaviour::with_config(me, kad::store::MemoryStore::new(me), config);
                kad.set_mode(Some(kad::Mode::Client));
                Parts {
                    relay,
                    kad,
                    identify: identify::Behaviour::new(identify::Config::new(
                        "/coffer/1".into(),
                        keys.public(),
                    )),
                    ping: ping::Behaviour::default(),
                    stream: libp2p_stream::Behaviour::new(),
                }
            })
            .expect("parts")
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        let (work, mut to_do) = mpsc::unbounded_channel::<Work>();
        let (told, events) = mpsc::unbounded_channel();
        let mut streams = swarm.behaviour().stream.new_control();
        let incoming = streams.accept(BYTES).expect("nobody else accepts it");
        let id = *swarm.local_peer_id();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => drop(told.send(event)),
                    work = to_do.recv() => match work {
                        Some(work) => work(&mut swarm),
                        None => return,
                    },
                }
            }
        });
        Self {
            id,
            work,
            events,
            streams,
            incoming,
            task,
        }
    }

    /// Does something with the node, in its task.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Swarm<Parts>) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |swarm| drop(answer.send(work(swarm))));
        self.work.send(work).expect("the node lives");
        within("the node", answered).await.expect("the node lives")
    }

    /// Waits for an event.
    pub async fn event<T>(
        &mut self,
        what: &str,
        mut is: impl FnMut(SwarmEvent<PartsEvent>) -> Option<T>,
    ) -> T {
        within(what, async {
            loop {
                if let Some(found) = is(self.events.recv().await.expect("the node lives")) {
                    return found;
                }
            }
        })
        .await
    }

    /// Connects, and says whether that went well.
    pub async fn connect(&mut self, address: &Multiaddr) -> Result<(), String> {
        let options = DialOpts::from(address.clone());
        let id = options.connection_id();
        self.with(move |swarm| swarm.dial(options))
            .await
            .map_err(|error| error.to_string())?;
        self.event("a connection", |event| match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. } if connection_id == id => Some(Ok(())),
            SwarmEvent::OutgoingConnectionError {
                connection_id, error, ..
            } if connection_id == id => Some(Err(format!("{error:?}"))),
            _ => None,
        })
        .await
    }

    /// Waits until it is sent away: by QUIC after the handshake, which the transport answers by itself.
    pub async fn sent_away(mut self, address: &Multiaddr) {
        if self.connect(address).await.is_ok() {
            self.event("to be sent away", |event| {
                matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())
            })
            .await;
        }
    }

    /// Listens, and says where.
    pub async fn listen(&mut self, address: &str) -> Multiaddr {
        let address = address.parse().expect("a multiaddress");
        let listener = self
            .with(move |swarm| swarm.listen_on(address))
            .await
            .expect("it listens");
        self.event("an address", |event| match event {
            SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => Some(address),
            _ => None,
        })
        .await
    }

    /// Asks a relay to be reachable through it.
    pub async fn reserve(&mut self, relay: &Multiaddr) -> Result<(), String> {
        let way = relay.clone().with(Protocol::P2pCircuit);
        let listener = self
            .with(move |swarm| swarm.listen_on(way))
            .await
            .map_err(|error| error.to_string())?;
        self.event("a reservation", |event| match event {
            SwarmEvent::Behaviour(PartsEvent::Relay(relay::client::Event::ReservationReqAccepted {
                ..
            })) => Some(Ok(())),
            SwarmEvent::ListenerClosed {
                listener_id, reason, ..
            } if listener_id == listener => Some(Err(format!("{reason:?}"))),
            _ => None,
        })
        .await
    }

    /// Opens a stream to a peer that is connected.
    pub async fn open(&mut self, peer: PeerId) -> libp2p::Stream {
        within("a stream", self.streams.open_stream(peer, BYTES))
            .await
            .expect("the peer accepts streams")
    }

    /// The next stream that somebody opens.
    pub async fn accept(&mut self) -> libp2p::Stream {
        within("somebody's stream", self.incoming.next())
            .await
            .expect("the node lives")
            .1
    }
}

/// Sends bytes and ends the stream's direction.
pub async fn send(stream: &mut libp2p::Stream, bytes: &[u8]) {
    within("sending", async {
        stream.write_all(bytes).await.expect("the stream takes bytes");
        stream.close().await.expect("the stream ends");
    })
    .await;
}

/// Sends bytes from one to the other, who are connected, and checks that they arrive.
pub async fn pass(from: &mut Device, to: &mut Device, bytes: &[u8]) {
    let mut there = from.open(to.id).await;
    // An end that reads nothing holds the other one back.
    let ((), got) = tokio::join!(send(&mut there, bytes), async {
        receive(&mut to.accept().await).await
    });
    assert!(
        got == bytes,
        "{} of {} bytes, or others, arrived",
        got.len(),
        bytes.len()
    );
}

/// All bytes until the other side has ended its direction.
pub async fn receive(stream: &mut libp2p::Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    within("receiving", stream.read_to_end(&mut bytes))
        .await
        .expect("the stream gives bytes");
    bytes
}
