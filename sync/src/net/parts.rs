//! What a device speaks, put together from libp2p's parts, with bounds on what each may hold.

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, autonat, dcutr, identify, kad, mdns, noise, ping, relay, tcp, yamux,
};

use super::door::{Door, Gate};
use super::error::StartError;
use super::inner::Inner;
use super::muxer::Yamux;

/// What identify says this network is. The relay says the same.
const IDENTIFY: &str = "/coffer/1";
/// Kademlia, in a network of its own.
const KADEMLIA: StreamProtocol = StreamProtocol::new("/coffer/kad/1");
/// Longest record, as the relay takes them.
pub(super) const RECORD_MAX: usize = 1_024;

/// Streams of one connection that have not yet said what they are for.
const NEW_STREAMS: usize = 16;
/// Yamux grants each stream 256 KiB from the start; the rest of a GiB is what windows may grow by, together: with so many
/// streams, 8 MiB.
const YAMUX_STREAMS: usize = 4_096 - 32;
/// QUIC: streams of a connection, bytes that may wait of each and of all.
const QUIC: (u32, u32, u32) = (64, 4 << 20, 8 << 20);
/// A connection on which nothing is spoken is let go of after this long.
const IDLE: Duration = Duration::from_secs(60);

/// What a device speaks.
#[derive(NetworkBehaviour)]
pub(super) struct Parts {
    pub(super) gate: Gate,
    pub(super) relay: Inner<relay::client::Behaviour>,
    pub(super) dcutr: Inner<dcutr::Behaviour>,
    pub(super) autonat: Inner<autonat::v2::client::Behaviour>,
    pub(super) identify: Inner<identify::Behaviour>,
    pub(super) ping: Inner<ping::Behaviour>,
    pub(super) kad: Inner<kad::Behaviour<MemoryStore>>,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
}

fn yamux_config() -> Yamux {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(YAMUX_STREAMS);
    Yamux(config)
}

fn kademlia(keys: &Keypair) -> kad::Behaviour<MemoryStore> {
    let me = keys.public().to_peer_id();
    let mut config = kad::Config::new(KADEMLIA);
    config
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_caching(kad::Caching::Disabled)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_periodic_bootstrap_interval(None)
        .set_query_timeout(Duration::from_secs(20));
    let room = MemoryStoreConfig {
        max_records: 16,
        max_value_bytes: RECORD_MAX,
        max_provided_keys: 0,
        max_providers_per_key: 0,
    };
    let mut kad = kad::Behaviour::with_config(me, MemoryStore::with_config(me, room), config);
    // Others ask the relays, never us.
    kad.set_mode(Some(kad::Mode::Client));
    kad
}

/// A swarm that listens nowhere yet; and why there is no mDNS, where it was wanted and the system has none. To be called in a runtime.
pub(super) fn swarm(
    keys: Keypair,
    door: &Door,
    mdns: bool,
) -> Result<(Swarm<Parts>, Option<String>), StartError> {
    let system = |error: &dyn std::fmt::Display| StartError::System(error.to_string());
    let me = keys.public().to_peer_id();
    let mut why = None;
    let local = match mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), me)) {
        Some(Ok(part)) => Some(part),
        Some(Err(error)) => {
            why = Some(format!(
                "devices in the local network are not looked for: {error}"
            ));
            None
        }
        None => None,
    };
    let swarm = SwarmBuilder::with_existing_identity(keys)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux_config,
        )
        .map_err(|error| system(&error))?
        .with_quic_config(|mut config| {
            (
                config.max_concurrent_stream_limit,
                config.max_stream_data,
                config.max_connection_data,
            ) = QUIC;
            (config.keep_alive_interval, config.max_idle_timeout) = (Duration::from_secs(15), 40_000);
            config
        })
        .with_dns()
        .map_err(|error| system(&error))?
        .with_relay_client(noise::Config::new, yamux_config)
        .map_err(|error| system(&error))?
        .with_behaviour(|keys, relay| {
            let identify = identify::Config::new(IDENTIFY.into(), keys.public())
                .with_agent_version("coffer".into())
                .with_push_listen_addr_updates(true)
                .with_cache_size(0);
            let ping = ping::Config::new()
                .with_interval(Duration::from_secs(15))
                .with_timeout(Duration::from_secs(20));
            let probes = autonat::v2::client::Config::default().with_probe_interval(Duration::from_secs(60));
            Parts {
                gate: Gate::new(door.clone()),
                relay: Inner::new(door, relay),
                dcutr: Inner::new(door, dcutr::Behaviour::new(me)),
                autonat: Inner::new(
                    door,
                    autonat::v2::client::Behaviour::new(rand::make_rng(), probes),
                ),
                identify: Inner::new(door, identify::Behaviour::new(identify)),
                ping: Inner::new(door, ping::Behaviour::new(ping)),
                kad: Inner::new(door, kademlia(keys)),
                mdns: local.into(),
            }
        })
        .map_err(|error| system(&error))?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(IDLE)
                .with_max_negotiating_inbound_streams(NEW_STREAMS)
        })
        .build();
    Ok((swarm, why))
}
