//! Nobody gets more than a share: one too many is refused, and all others are served all the same.

mod common;

use common::device::{Device, pass, through};
use common::relay::Relay;
use common::wire::{Wire, dial};
use futures::{AsyncReadExt, AsyncWriteExt};
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Both can talk through the relay.
async fn talk(a: &mut Device, b: &mut Device) {
    pass(a, b, b"hello").await;
}

#[tokio::test]
async fn one_reservation_too_many_is_refused_and_the_others_stay() {
    let relay = Relay::start(&["--max-reservations", "2"]).await;
    let (mut a, mut b, mut late, mut caller) = (Device::new(), Device::new(), Device::new(), Device::new());
    a.reserve(&relay.tcp).await.unwrap();
    b.reserve(&relay.quic).await.unwrap();
    let refused = late.reserve(&relay.tcp).await.unwrap_err();
    assert!(refused.contains("ResourceLimitExceeded"), "{refused}");
    // Whoever has one may renew it although there is none left.
    a.reserve(&relay.tcp).await.expect("a renewal");
    for device in [&mut a, &mut b] {
        caller.connect(&through(&relay.tcp, device.id)).await.unwrap();
        talk(&mut caller, device).await;
    }
    // And a place that is given back is free for another.
    drop(b);
    let mut tries = 0;
    while late.reserve(&relay.tcp).await.is_err() {
        tries += 1;
        assert!(tries < 500, "the place stays taken");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_circuit_too_many_is_refused_of_a_peer_and_of_all() {
    let relay = Relay::start(&["--max-circuits-per-peer", "1", "--max-circuits", "2"]).await;
    let mut called = Vec::new();
    for _ in 0..3 {
        let mut device = Device::new();
        device.reserve(&relay.tcp).await.unwrap();
        called.push(device);
    }
    let (mut greedy, mut modest, mut late) = (Device::new(), Device::new(), Device::new());
    greedy.connect(&through(&relay.tcp, called[0].id)).await.unwrap();
    let refused = greedy
        .connect(&through(&relay.tcp, called[1].id))
        .await
        .unwrap_err();
    assert!(refused.contains("ResourceLimitExceeded"), "{refused}");
    modest.connect(&through(&relay.tcp, called[1].id)).await.unwrap();
    let refused = late
        .connect(&through(&relay.tcp, called[2].id))
        .await
        .unwrap_err();
    assert!(refused.contains("ResourceLimitExceeded"), "{refused}");
    talk(&mut greedy, &mut called[0]).await;
    talk(&mut modest, &mut called[1]).await;

    relay.terminate();
    drop((greedy, modest, late, called));
    let (_, log) = relay.ended().await;
    assert!(log.contains("circuits: 2, refused 2"), "{log}");
}

#[tokio::test]
async fn one_address_gets_so_many_connections_and_another_is_served() {
    let relay = Relay::start(&["--max-per-address", "5"]).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut device = Device::new();
        device.connect(&relay.tcp).await.unwrap();
        held.push(device);
    }
    // The sixth is closed before a word was said; by QUIC it counts as well.
    let mut sixth = dial(Ipv4Addr::LOCALHOST, relay.port()).await.unwrap();
    let heard = common::within("the end", sixth.read(&mut [0; 64]))
        .await
        .unwrap_or(0);
    assert_eq!(heard, 0, "one connection too many is closed");
    Device::new().sent_away(&relay.quic).await;

    let wire = Wire::new(relay.port(), ELSEWHERE, false).await;
    let (mut a, mut b) = (Device::new(), Device::new());
    b.reserve(&relay.by(wire.port)).await.unwrap();
    a.connect(&through(&relay.by(wire.port), b.id)).await.unwrap();
    talk(&mut a, &mut b).await;

    // Whoever leaves makes room.
    held.pop();
    let mut tries = 0;
    while Device::new().connect(&relay.tcp).await.is_err() {
        tries += 1;
        assert!(tries < 500, "the place stays taken");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_peer_gets_four_connections() {
    let relay = Relay::start(&[]).await;
    let mut device = Device::new();
    for _ in 0..4 {
        device.connect(&relay.tcp).await.unwrap();
    }
    // The relay hears who it is after the handshake; what it refuses then, it closes at once.
    let _ = device.connect(&relay.tcp).await;
    let count = || device.with(|swarm| swarm.network_info().connection_counters().num_established());
    common::within("the fifth to be closed", async {
        while count().await > 4 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    Device::new()
        .connect(&relay.tcp)
        .await
        .expect("another peer is served");
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits_and_another_is_served() {
    let relay = Relay::start(&["--rate", "20"]).await;
    let mut refused = 0;
    for _ in 0..40 {
        let mut stream = dial(Ipv4Addr::LOCALHOST, relay.port()).await.unwrap();
        let _ = stream.write_all(b"\x13/multistream/1.0.0\n").await;
        let heard = common::within("an answer, or the end", stream.read(&mut [0; 64]))
            .await
            .unwrap_or(0);
        refused += u32::from(heard == 0);
    }
    assert!(
        (15..=20).contains(&refused),
        "{refused} of 40 were refused, with 20 in a minute"
    );
    let wire = Wire::new(relay.port(), ELSEWHERE, false).await;
    Device::new()
        .reserve(&relay.by(wire.port))
        .await
        .expect("another address is served");
}

#[tokio::test]
async fn a_circuit_ends_when_its_bytes_are_used_up_and_the_next_one_goes_on() {
    let relay = Relay::start(&["--circuit-bytes", "1000000"]).await;
    let (mut a, mut b) = (Device::new(), Device::new());
    b.reserve(&relay.tcp).await.unwrap();
    a.connect(&through(&relay.tcp, b.id)).await.unwrap();
    let mut there = a.open(b.id).await;
    there.write_all(b"first").await.unwrap();
    let mut here = b.accept().await;
    let sent = tokio::spawn(async move {
        let block = vec![7; 64 << 10];
        while there.write_all(&block).await.is_ok() {}
    });
    let (mut got, mut buffer) = (0, vec![0; 64 << 10]);
    while let Ok(n @ 1..) = common::within("the circuit's end", here.read(&mut buffer)).await {
        got += n;
    }
    assert!(
        (500_000..1_100_000).contains(&got),
        "{got} bytes passed, of 1,000,000"
    );
    common::within("the sender to hear of it", sent).await.unwrap();
    a.connect(&through(&relay.tcp, b.id))
        .await
        .expect("another circuit");
    talk(&mut a, &mut b).await;
}
