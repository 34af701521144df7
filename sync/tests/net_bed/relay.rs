//! A relay in this process: the same parts of libp2p as in the program `coffer-relay`, without its counting.

use std::time::Duration;

use futures::StreamExt;
use libp2p::connection_limits::ConnectionLimits;
use libp2p::kad::store::MemoryStore;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{PeerId, StreamProtocol, SwarmBuilder};
use libp2p::{identify, kad, noise, ping, relay, tcp, yamux};
use tokio::runtime::Runtime;

#[derive(NetworkBehaviour)]
struct Parts {
    limits: libp2p::connection_limits::Behaviour,
    circuits: relay::Behaviour,
    records: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// See the module.
pub struct Relay {
    pub address: String,
    pub id: PeerId,
    _runtime: Runtime,
}

impl Relay {
    pub fn start() -> Relay {
        Relay::with(16, &[])
    }

    /// One that lets only so many circuits be (none: it is a board for records alone), and sends whoever asks for a record on to
    /// these strangers.
    pub fn with(circuits: usize, strangers: &[libp2p::Multiaddr]) -> Relay {
        let strangers = strangers.to_vec();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let guard = runtime.enter();
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(move |keys| {
                let me = keys.public().to_peer_id();
                let config = relay::Config {
                    max_circuits: circuits,
                    max_circuit_bytes: 1 << 30,
                    max_circuit_duration: Duration::from_secs(600),
                    ..relay::Config::default()
                };
                let mut circuits = relay::Behaviour::new(me, config);
                circuits.set_status(Some(relay::Status::Enable));
                let mut config = kad::Config::new(StreamProtocol::new("/coffer/kad/1"));
                config.set_kbucket_inserts(kad::BucketInserts::Manual);
                let mut records = kad::Behaviour::with_config(me, MemoryStore::new(me), config);
                records.set_mode(Some(kad::Mode::Server));
                for address in strangers {
                    records.add_address(&PeerId::random(), address);
                }
                let identify = identify::Config::new("/coffer/1".into(), keys.public())
                    .with_agent_version("coffer".into())
                    .with_hide_listen_addrs(true);
                // It calls nobody.
                let limits = ConnectionLimits::default().with_max_pending_outgoing(Some(0));
                Parts {
                    limits: libp2p::connection_limits::Behaviour::new(limits),
                    circuits,
                    records,
                    identify: identify::Behaviour::new(identify),
                    ping: ping::Behaviour::default(),
                }
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        drop(guard);
        let id = *swarm.local_peer_id();
        let address = runtime.block_on(async {
            swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    swarm.add_external_address(address.clone());
                    return format!("{address}/p2p/{id}");
                }
            }
        });
        runtime.spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Relay {
            address,
            id,
            _runtime: runtime,
        }
    }
}
