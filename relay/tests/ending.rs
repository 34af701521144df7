//! SIGTERM: what is under way finishes, nothing new begins, and the relay ends well. A second one ends it now.

mod common;

use common::device::{Device, through};
use common::relay::{Relay, signal};
use common::wire::dial;
use common::{until, within};
use futures::{AsyncReadExt, AsyncWriteExt};
use std::net::Ipv4Addr;

#[tokio::test]
async fn what_is_under_way_finishes_and_nothing_new_begins() {
    for quic in [false, true] {
        let relay = Relay::start(&["--drain", "60"]).await;
        let way = if quic { &relay.quic } else { &relay.tcp };
        let (mut a, mut b) = (Device::new(), Device::new());
        b.reserve(way).await.unwrap();
        a.connect(&through(way, b.id)).await.unwrap();
        let mut there = a.open(b.id).await;
        there.write_all(b"before").await.unwrap();
        let mut here = b.accept().await;
        let mut got = [0; 6];
        within("the first bytes", here.read_exact(&mut got))
            .await
            .unwrap();

        // Connected, but without anything under way.
        let mut c = Device::new();
        c.connect(way).await.unwrap();
        relay.terminate();
        until("the relay to hear it", || {
            relay.log().contains("Ending: 1 circuit")
        })
        .await;

        until("its door to be closed", || {
            std::net::TcpStream::connect(("127.0.0.1", relay.port())).is_err()
        })
        .await;
        Device::new().sent_away(&relay.quic).await;
        c.connect(&through(way, b.id)).await.expect_err("a new circuit");
        c.reserve(way).await.expect_err("a new reservation");

        let mut bulk = vec![0; 8 << 20];
        let sent = tokio::spawn(async move {
            there
                .write_all(&vec![5; 8 << 20])
                .await
                .expect("the circuit goes on");
            there.close().await.expect("the circuit ends well");
        });
        within("what was under way", here.read_exact(&mut bulk))
            .await
            .expect("the circuit goes on");
        assert!(bulk.iter().all(|byte| *byte == 5));
        within("the sender", sent).await.unwrap();
        // The two say goodbye; the relay is then free to end, long before its time is over.
        let id = b.id;
        a.with(move |swarm| swarm.disconnect_peer_id(id)).await.unwrap();
        let (status, log) = relay.ended().await;
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[tokio::test]
async fn its_time_ends_what_does_not_end_itself() {
    let relay = Relay::start(&["--drain", "1"]).await;
    let (mut a, mut b) = (Device::new(), Device::new());
    b.reserve(&relay.tcp).await.unwrap();
    a.connect(&through(&relay.tcp, b.id)).await.unwrap();
    relay.terminate();
    let (status, _) = relay.ended().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let relay = Relay::start(&["--drain", "100000"]).await;
    let (mut a, mut b) = (Device::new(), Device::new());
    b.reserve(&relay.tcp).await.unwrap();
    a.connect(&through(&relay.tcp, b.id)).await.unwrap();
    relay.terminate();
    until("the relay to hear it", || {
        relay.log().contains("Ending: 1 circuit")
    })
    .await;
    signal(relay.pid());
    let (status, _) = relay.ended().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn with_nothing_under_way_it_ends_at_once() {
    let relay = Relay::start(&["--drain", "100000"]).await;
    let mut device = Device::new();
    device.reserve(&relay.tcp).await.unwrap();
    let _silent = dial(Ipv4Addr::LOCALHOST, relay.port()).await.unwrap();
    relay.terminate();
    let (status, _) = relay.ended().await;
    assert_eq!(status.code(), Some(0));
}
