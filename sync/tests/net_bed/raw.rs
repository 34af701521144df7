//! A libp2p node that does what it likes: it opens any protocol, and speaks any bytes.

use std::time::Duration;

use coffer_store::keys::SigningKey;
use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder};
use libp2p::{identify, noise, ping, tcp, yamux};
use tokio::runtime::Runtime;

#[derive(NetworkBehaviour)]
pub struct Parts {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    stream: libp2p_stream::Behaviour,
}

/// See the module.
pub struct Raw {
    pub runtime: Runtime,
    pub id: PeerId,
    pub control: libp2p_stream::Control,
    events: tokio::sync::mpsc::UnboundedReceiver<SwarmEvent<PartsEvent>>,
    work: tokio::sync::mpsc::UnboundedSender<Work>,
}

type Work = Box<dyn FnOnce(&mut Swarm<Parts>) + Send>;

impl Raw {
    /// With this transport key; none: a stranger's.
    pub fn new(transport: Option<&SigningKey>) -> Raw {
        let keys = match transport {
            Some(key) => Keypair::ed25519_from_bytes(*key.seed().expose()).unwrap(),
            None => Keypair::generate_ed25519(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let guard = runtime.enter();
        let mut swarm = SwarmBuilder::with_existing_identity(keys)
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_behaviour(|keys| Parts {
                identify: identify::Behaviour::new(identify::Config::new("/coffer/1".into(), keys.public())),
                ping: ping::Behaviour::default(),
                stream: libp2p_stream::Behaviour::new(),
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(30)))
            .build();
        drop(guard);
        let id = *swarm.local_peer_id();
        let control = swarm.behaviour().stream.new_control();
        let (told, events) = tokio::sync::mpsc::unbounded_channel();
        let (work, mut todo) = tokio::sync::mpsc::unbounded_channel::<Work>();
        runtime.spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => drop(told.send(event)),
                    work = todo.recv() => match work {
                        Some(work) => work(&mut swarm),
                        None => return,
                    },
                }
            }
        });
        Raw {
            runtime,
            id,
            control,
            events,
            work,
        }
    }

    pub fn dial(&self, address: &str) {
        let address: Multiaddr = address.parse().unwrap();
        let dial = move |swarm: &mut Swarm<Parts>| swarm.dial(address).unwrap();
        self.work.send(Box::new(dial)).ok().unwrap();
    }

    /// Waits for an event.
    pub fn event<T>(&mut self, what: &str, is: impl FnMut(&SwarmEvent<PartsEvent>) -> Option<T>) -> T {
        self.event_within(what, super::PATIENCE, is)
    }

    /// Waits for an event, so long at most.
    pub fn event_within<T>(
        &mut self,
        what: &str,
        most: Duration,
        mut is: impl FnMut(&SwarmEvent<PartsEvent>) -> Option<T>,
    ) -> T {
        let events = &mut self.events;
        self.runtime.block_on(async {
            let find = async {
                loop {
                    let event = events.recv().await.expect("the node lives");
                    if let Some(found) = is(&event) {
                        return found;
                    }
                }
            };
            tokio::time::timeout(most, find)
                .await
                .unwrap_or_else(|_| panic!("waited in vain for {what}"))
        })
    }

    /// Whether it is let in: a refused one sees its connection fail, or end at once.
    pub fn connect(&mut self, address: &str) {
        self.dial(address);
        self.event("a connection", |event| {
            matches!(event, SwarmEvent::ConnectionEstablished { .. }).then_some(())
        });
    }

    /// Waits until it is sent away.
    pub fn sent_away(&mut self) {
        self.sent_away_within(super::PATIENCE);
    }

    /// Waits until it is sent away, so long at most.
    pub fn sent_away_within(&mut self, most: Duration) {
        self.event_within("to be sent away", most, |event| {
            matches!(
                event,
                SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. }
            )
            .then_some(())
        });
    }

    pub fn open(&mut self, to: PeerId, protocol: &'static str) -> Result<Stream, String> {
        let control = &mut self.control;
        self.runtime.block_on(async {
            let open = control.open_stream(to, StreamProtocol::new(protocol));
            match tokio::time::timeout(super::PATIENCE, open).await {
                Ok(opened) => opened.map_err(|why| why.to_string()),
                Err(_) => panic!("waited in vain for a stream, or a refusal"),
            }
        })
    }
}

/// The peer id at an address's end.
pub fn peer(address: &str) -> PeerId {
    match address.parse::<Multiaddr>().unwrap().iter().last() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => peer,
        other => panic!("{other:?}"),
    }
}
