//! Whoever means ill: silence, garbage, drips, floods. The relay's memory stays bounded, and devices are
//! served while it lasts and afterwards.

mod common;

use common::device::{Device, pass, through};
use common::relay::Relay;
use common::wire::{Wire, dial};
use common::within;
use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far above what any of these may need, far below what they could take without bounds.
const MOST: u64 = 128 << 20;

/// Devices at another address than the attacker's meet and talk.
async fn serves(relay: &Relay, wire: &Wire) {
    let way = relay.by(wire.port);
    let (mut a, mut b) = (Device::new(), Device::new());
    b.reserve(&way).await.unwrap();
    a.connect(&through(&way, b.id)).await.unwrap();
    pass(&mut a, &mut b, &vec![9; 1 << 20]).await;
}

/// Connections from as many addresses as are needed, 50 from each.
async fn crowd(relay: &Relay, size: u16) -> Vec<TcpStream> {
    let port = relay.port();
    let dials = (0..size).map(|n| {
        dial(
            Ipv4Addr::new(127, 0, 1 + (n / 2_500) as u8, 1 + (n / 50 % 50) as u8),
            port,
        )
    });
    join_all(dials).await.into_iter().filter_map(Result::ok).collect()
}

#[tokio::test]
async fn a_thousand_that_say_nothing() {
    let relay = Relay::start(&[]).await;
    let wire = Wire::new(relay.port(), Ipv4Addr::new(127, 0, 0, 2), false).await;
    let silent = crowd(&relay, 1_000).await;
    assert_eq!(silent.len(), 1_000);
    // Some of them are refused at once, the others when they have said nothing for ten seconds.
    let ends = join_all(silent.into_iter().map(|mut stream| async move {
        let mut heard = [0; 1_024];
        while let Ok(1..) = stream.read(&mut heard).await {}
    }));
    within("the silent to be sent away", ends).await;
    assert!(relay.resident() < MOST, "{} bytes", relay.resident());
    serves(&relay, &wire).await;
}

/// Of one address's silent crowd only a few are let in: others need not wait until they are gone.
#[tokio::test]
async fn one_address_keeps_nobody_out() {
    let relay = Relay::start(&[]).await;
    let wire = Wire::new(relay.port(), Ipv4Addr::new(127, 0, 0, 2), false).await;
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        silent.push(dial(Ipv4Addr::new(127, 0, 0, 3), relay.port()).await.unwrap());
    }
    serves(&relay, &wire).await;
    drop(silent);
}

#[tokio::test]
async fn garbage_and_drips() {
    let seed = std::env::var("COFFER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(rand::random::<u64>);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let relay = Relay::start(&["--rate", "100000"]).await;
    let wire = Wire::new(relay.port(), Ipv4Addr::new(127, 0, 0, 2), false).await;
    let greeting = b"\x13/multistream/1.0.0\n\x07/noise\n";
    for round in 0..6 {
        let mut streams = crowd(&relay, 200).await;
        for stream in &mut streams {
            let mut garbage = vec![0; random.random_range(1..20_000)];
            random.fill(&mut garbage[..]);
            // Some know how it begins.
            if round % 2 == 0 && garbage.len() > greeting.len() {
                garbage[..greeting.len()].copy_from_slice(greeting);
            }
            let _ = stream.write_all(&garbage).await;
        }
        serves(&relay, &wire).await;
    }
    // A byte now and then: the time for a handshake is bounded as a whole.
    let mut slow = dial(Ipv4Addr::new(127, 0, 0, 3), relay.port()).await.unwrap();
    within("the dripping one to be sent away", async {
        for byte in greeting.iter().cycle() {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        }
    })
    .await;
    // And datagrams that are no QUIC.
    let socket = std::net::UdpSocket::bind("127.0.0.4:0").unwrap();
    let port = relay.quic.iter().find_map(|part| {
        if let libp2p::multiaddr::Protocol::Udp(port) = part {
            Some(port)
        } else {
            None
        }
    });
    for _ in 0..2_000 {
        let mut garbage = vec![0; random.random_range(1..1_400)];
        random.fill(&mut garbage[..]);
        // As a first packet of QUIC begins, half of the time.
        if random.random() && garbage.len() > 5 {
            garbage[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        }
        let _ = socket.send_to(&garbage, ("127.0.0.1", port.unwrap()));
    }
    Device::new().connect(&relay.quic).await.expect("QUIC is served");
    assert!(relay.resident() < MOST, "{} bytes", relay.resident());
    assert!(!relay.log().contains("A fault"), "{}", relay.log());
    serves(&relay, &wire).await;
}

/// A receiver that reads nothing: what waits for it in the relay stays small, the sender waits.
#[tokio::test]
async fn circuits_whose_end_reads_nothing() {
    let relay = Relay::start(&[]).await;
    let wire = Wire::new(relay.port(), Ipv4Addr::new(127, 0, 0, 2), false).await;
    let before = relay.resident();
    let mut held = Vec::new();
    for way in [&relay.tcp, &relay.quic, &relay.tcp, &relay.quic] {
        let (mut a, mut b) = (Device::new(), Device::new());
        b.reserve(way).await.unwrap();
        a.connect(&through(way, b.id)).await.unwrap();
        let mut there = a.open(b.id).await;
        // Until nothing more goes in.
        let flood = async {
            let block = vec![1; 64 << 10];
            loop {
                let write = futures::AsyncWriteExt::write_all(&mut there, &block);
                if tokio::time::timeout(std::time::Duration::from_secs(1), write)
                    .await
                    .is_err()
                {
                    break;
                }
            }
        };
        within("the sender to be held back", flood).await;
        held.push((a, b, there));
    }
    let grown = relay.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "four stuck circuits take {grown} bytes");
    serves(&relay, &wire).await;
}
