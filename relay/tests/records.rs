//! Records: small sealed notes under keys that only their readers know. The relay holds few, small ones, and
//! says neither who put them there nor who else is connected.

mod common;

use common::device::{Device, PartsEvent};
use common::relay::Relay;
use libp2p::kad::{self, QueryResult, Quorum, Record};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;

/// A device whose table has the relay in it, and nobody else.
async fn near(relay: &Relay) -> Device {
    let mut device = Device::new();
    device.connect(&relay.tcp).await.unwrap();
    let (id, mut address) = (relay.id, relay.tcp.clone());
    assert!(matches!(address.pop(), Some(Protocol::P2p(_))));
    device
        .with(move |swarm| swarm.behaviour_mut().kad.add_address(&id, address))
        .await;
    device
}

async fn answer(device: &mut Device, query: kad::QueryId) -> QueryResult {
    device
        .event("an answer", |event| match event {
            SwarmEvent::Behaviour(PartsEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result,
                step,
                ..
            })) if id == query && (step.last || matches!(result, QueryResult::GetRecord(Ok(_)))) => {
                Some(result)
            }
            _ => None,
        })
        .await
}

async fn put(device: &mut Device, key: &[u8], value: Vec<u8>) -> bool {
    let record = Record::new(key.to_vec(), value);
    let query = device
        .with(|swarm| swarm.behaviour_mut().kad.put_record(record, Quorum::One))
        .await;
    matches!(
        answer(device, query.unwrap()).await,
        QueryResult::PutRecord(Ok(_))
    )
}

async fn get(device: &mut Device, key: &[u8]) -> Option<Record> {
    let key = kad::RecordKey::new(&key);
    let query = device
        .with(|swarm| swarm.behaviour_mut().kad.get_record(key))
        .await;
    match answer(device, query).await {
        QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))) => Some(found.record),
        _ => None,
    }
}

#[tokio::test]
async fn what_one_puts_another_finds_and_nobody_learns_by_whom() {
    let relay = Relay::start(&[]).await;
    let (mut a, mut b) = (near(&relay).await, near(&relay).await);
    let key = [7; 32];
    assert!(put(&mut a, &key, b"sealed".to_vec()).await);
    let found = get(&mut b, &key).await.expect("it is there");
    assert_eq!(found.value, b"sealed");
    assert_eq!(found.publisher, None, "the relay says who put it there");
    let hour = std::time::Duration::from_secs(3_600);
    let expires = found.expires.expect("it does not stay for ever");
    assert!(expires <= std::time::Instant::now() + hour);
    assert!(get(&mut b, &[8; 32]).await.is_none());
    // A newer one takes its place.
    assert!(put(&mut b, &key, b"newer".to_vec()).await);
    assert_eq!(
        get(&mut near(&relay).await, &key)
            .await
            .expect("it is there")
            .value,
        b"newer"
    );
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_not_kept() {
    let relay = Relay::start(&["--rate", "30"]).await;
    let (mut a, mut b) = (near(&relay).await, near(&relay).await);
    put(&mut a, &[1; 32], vec![1; 1_024]).await;
    put(&mut a, &[2; 32], vec![1; 1_025]).await;
    put(&mut a, &[3; 65], vec![1; 16]).await;
    assert!(get(&mut b, &[1; 32]).await.is_some());
    assert!(
        get(&mut b, &[2; 32]).await.is_none(),
        "larger than a record may be"
    );
    assert!(
        get(&mut b, &[3; 65]).await.is_none(),
        "a longer key than a record may have"
    );
    for n in 100..140 {
        put(&mut a, &[n; 32], vec![n]).await;
    }
    let mut kept = 0;
    for n in 100..140 {
        kept += u32::from(get(&mut b, &[n; 32]).await.is_some());
    }
    assert!((20..=30).contains(&kept), "{kept} were kept, with 30 in a minute");
}

#[tokio::test]
async fn who_asks_is_told_of_no_peer() {
    let relay = Relay::start(&[]).await;
    let (mut a, mut b) = (near(&relay).await, near(&relay).await);
    b.reserve(&relay.quic).await.unwrap();
    let id = b.id;
    let query = a
        .with(move |swarm| swarm.behaviour_mut().kad.get_closest_peers(id))
        .await;
    let QueryResult::GetClosestPeers(found) = answer(&mut a, query).await else {
        panic!("another answer")
    };
    let peers = match found {
        Ok(found) => found.peers,
        Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
    };
    assert!(peers.iter().all(|peer| peer.peer_id == relay.id), "{peers:?}");
    // Nor does it say who provides what: nobody can say so here.
    let query = b
        .with(|swarm| {
            swarm
                .behaviour_mut()
                .kad
                .start_providing(kad::RecordKey::new(b"thing"))
        })
        .await;
    answer(&mut b, query.unwrap()).await;
    let query = a
        .with(|swarm| {
            swarm
                .behaviour_mut()
                .kad
                .get_providers(kad::RecordKey::new(b"thing"))
        })
        .await;
    let QueryResult::GetProviders(Ok(found)) = answer(&mut a, query).await else {
        panic!("another answer")
    };
    assert!(
        matches!(&found, kad::GetProvidersOk::FinishedWithNoAdditionalRecord { .. }),
        "the relay tells of a provider: {found:?}"
    );
}
