//! Two devices meet through the relay: their bytes arrive whole, much of them too, and nobody on the way,
//! the relay included, sees any of it.

mod common;

use common::device::{Device, receive, send, through};
use common::relay::Relay;
use common::wire::Wire;
use common::within;
use futures::{AsyncReadExt, AsyncWriteExt};
use std::net::Ipv4Addr;

const MARKER: &[u8] = b"Plant the garlic in October, at the south wall.";

/// A plain connection through the wire would show the marker: the wire does see.
#[tokio::test]
async fn a_wire_shows_what_is_not_encrypted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = Wire::new(listener.local_addr().unwrap().port(), Ipv4Addr::LOCALHOST, true).await;
    let mut near = common::wire::dial(Ipv4Addr::LOCALHOST, wire.port).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut near, MARKER)
        .await
        .unwrap();
    let mut got = vec![0; MARKER.len()];
    tokio::io::AsyncReadExt::read_exact(&mut far, &mut got)
        .await
        .unwrap();
    assert!(contains(&wire.passed(), MARKER));
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn two_devices_meet_and_no_wire_shows_what_they_say() {
    let relay = Relay::start(&[]).await;
    let (left, right) = (
        Wire::new(relay.port(), Ipv4Addr::LOCALHOST, true).await,
        Wire::new(relay.port(), Ipv4Addr::LOCALHOST, true).await,
    );
    let (mut a, mut b) = (Device::new(), Device::new());
    b.reserve(&relay.by(right.port)).await.unwrap();
    a.connect(&through(&relay.by(left.port), b.id)).await.unwrap();

    let mut there = a.open(b.id).await;
    send(&mut there, MARKER).await;
    let mut here = b.accept().await;
    assert_eq!(receive(&mut here).await, MARKER);
    send(&mut here, &[MARKER, MARKER].concat()).await;
    assert_eq!(receive(&mut there).await, [MARKER, MARKER].concat());

    for wire in [&left, &right] {
        let passed = wire.passed();
        assert!(
            passed.len() > 5 * MARKER.len(),
            "it went this way: {} bytes",
            passed.len()
        );
        assert!(!contains(&passed, MARKER), "the marker passed in the clear");
        // Nor do the peers' names, though the relay knows them.
        assert!(!contains(&passed, &a.id.to_bytes()) && !contains(&passed, &b.id.to_bytes()));
    }

    relay.terminate();
    drop((here, there));
    let (a_id, b_id) = (a.id.to_string(), b.id.to_string());
    drop((a, b));
    let (status, log) = relay.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("circuits: 1, refused 0"), "it counts: {log}");
    assert!(
        !log.contains(&a_id) && !log.contains(&b_id),
        "it names nobody: {log}"
    );
    let addresses = log
        .lines()
        .filter(|line| !line.starts_with("Listening on "))
        .collect::<String>();
    assert!(!addresses.contains("127.0.0"), "it says where nobody was: {log}");
}

#[tokio::test]
async fn bulk_passes_one_circuit_by_tcp_and_by_quic() {
    const BULK: usize = 256 << 20;
    let relay = Relay::start(&[]).await;
    for (near, far) in [
        (&relay.tcp, &relay.tcp),
        (&relay.quic, &relay.tcp),
        (&relay.tcp, &relay.quic),
    ] {
        let (mut a, mut b) = (Device::new(), Device::new());
        b.reserve(far).await.unwrap();
        a.connect(&through(near, b.id)).await.unwrap();
        let mut there = a.open(b.id).await;
        let sent = tokio::spawn(async move {
            let mut block = vec![0; 1 << 20];
            for at in 0..BULK >> 20 {
                block.fill(at as u8);
                there.write_all(&block).await.expect("the circuit takes it");
            }
            there.close().await.expect("the circuit ends well");
        });
        let mut here = b.accept().await;
        let (mut got, mut buffer) = (0, vec![0; 64 << 10]);
        loop {
            let n = within("more bytes", here.read(&mut buffer))
                .await
                .expect("the circuit goes on");
            if n == 0 {
                break;
            }
            for (at, byte) in buffer[..n].iter().enumerate() {
                assert_eq!(*byte, ((got + at) >> 20) as u8, "at {}", got + at);
            }
            got += n;
        }
        assert_eq!(got, BULK);
        within("the sender", sent).await.unwrap();
    }
}
