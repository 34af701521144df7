//! Whoever means ill: silence, garbage, drips, floods. The relay's memory stays bounded, and devices are
//! served while it lasts and afterwards.

mod common;

use common::device::{Device, pass, through};
use common::relay::Relay;
use common::wire::{Wire, dial};
use common::within;
use futures::future::{join_all, poll_fn};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox};
use libp2p::core::transport::{Boxed, DialOpts, PortUse};
use libp2p::core::{Endpoint, Transport, upgrade};
use libp2p::{PeerId, identity::Keypair, noise, tcp, yamux};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::net::Ipv4Addr;
use std::pin::Pin;
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

/// Whom nothing binds: connections with Noise and Yamux, and streams of theirs on which one may say anything.
fn lawless() -> Boxed<(PeerId, StreamMuxerBox)> {
    let keys = Keypair::generate_ed25519();
    tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(upgrade::Version::V1)
        .authenticate(noise::Config::new(&keys).expect("Noise"))
        .multiplex(yamux::Config::default())
        .boxed()
}

/// Opens stream after stream, and fills each with as much as fits, in the midst of saying what it is for; until the connection
/// ends, or holds all that it ever will. How many bytes it took.
async fn floods(relay: &Relay) -> usize {
    let options = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    let dial = lawless().dial(relay.tcp.clone(), options).expect("an address");
    let Ok((_, mut connection)) = within("a connection", dial).await else {
        return 0;
    };
    let (mut streams, mut sent, block) = (Vec::new(), 0, vec![b'x'; 16 << 10]);
    // The first say half of what they are for: the relay waits for the rest, and looks at no others.
    let half = b"\x13/multistream/1.0.0\n\x14/half";
    let mut quiet = tokio::time::Instant::now();
    poll_fn(|cx| {
        let mut more = true;
        while more {
            more = false;
            if Pin::new(&mut connection).poll(cx)?.is_ready() {
                more = true;
            }
            if streams.len() < 400
                && let std::task::Poll::Ready(stream) = Pin::new(&mut connection).poll_outbound(cx)
            {
                streams.push((stream?, 0));
                more = true;
            }
            for (n, (stream, of)) in streams.iter_mut().enumerate() {
                let bytes = if n < 16 { &half[*of..] } else { &block };
                if bytes.is_empty() {
                    continue;
                }
                if let std::task::Poll::Ready(Ok(n @ 1..)) =
                    futures::AsyncWrite::poll_write(Pin::new(stream), cx, bytes)
                {
                    (*of, sent, more) = (*of + n, sent + n, true);
                    quiet = tokio::time::Instant::now();
                }
            }
        }
        if quiet.elapsed() > std::time::Duration::from_secs(1) {
            return std::task::Poll::Ready(Ok::<(), std::io::Error>(()));
        }
        // Looked at again soon, whatever wakes it.
        let waker = cx.waker().clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            waker.wake();
        });
        std::task::Poll::Pending
    })
    .await
    .ok();
    sent
}

/// Streams that say half a word, and then are filled with what nobody reads, on many connections: each could hold 256 KiB, all of
/// them a GiB. What waits in all connections together is bounded, and devices are served meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_nobody_reads() {
    let relay = Relay::start(&[]).await;
    let wire = Wire::new(relay.port(), Ipv4Addr::new(127, 0, 9, 2), false).await;
    let before = relay.resident();
    let sent = async {
        join_all((0..16).map(|_| floods(&relay)))
            .await
            .into_iter()
            .sum::<usize>()
    };
    let most = std::sync::atomic::AtomicU64::new(0);
    let watched = async {
        loop {
            most.fetch_max(relay.resident(), std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let both = async { tokio::join!(sent, serves(&relay, &wire)).0 };
    let sent = tokio::select! { sent = within("the end of the flood", both) => sent, () = watched => 0 };
    let grown = most.into_inner().saturating_sub(before);
    println!("{} MiB sent, {} MiB held at most", sent >> 20, grown >> 20);
    assert!(sent > 64 << 20, "the flood is none: {sent} bytes");
    assert!(grown < 96 << 20, "{grown} bytes are held");
    serves(&relay, &wire).await;
    assert!(!relay.log().contains("A fault"), "{}", relay.log());
}

/// Many addresses of one network count together, in their handshakes as well; and when strangers of many networks have all
/// places, a device that was there before them finds one that is kept, while another stranger does not.
#[tokio::test]
async fn those_who_came_before_find_a_place() {
    let relay = Relay::start(&["--regular-after", "0"]).await;
    let regular = Wire::new(relay.port(), Ipv4Addr::new(127, 0, 0, 2), false).await;
    serves(&relay, &regular).await;
    let says = async |stream: &mut TcpStream| {
        let greet = async {
            stream.write_all(b"\x13/multistream/1.0.0\n").await?;
            stream.read(&mut [0; 64]).await
        };
        within("an answer, or the end", greet).await.unwrap_or(0) > 0
    };
    let mut held = Vec::new();
    // 64 of each network, whatever their addresses.
    for net in 1..=9 {
        let mut of_net = 0;
        for n in 0..100 {
            let from = Ipv4Addr::new(127, 0, net, 1 + n % 10);
            let mut stream = dial(from, relay.port()).await.unwrap();
            if says(&mut stream).await {
                of_net += 1;
                held.push(stream);
            }
        }
        assert!(of_net <= 64, "{of_net} strangers of one network");
        assert!(
            of_net >= if net <= 8 { 50 } else { 0 },
            "{of_net} of network {net}"
        );
    }
    let mut late = dial(Ipv4Addr::new(127, 0, 99, 1), relay.port()).await.unwrap();
    assert!(!says(&mut late).await, "all places are taken: {}", held.len());
    serves(&relay, &regular).await;
}
