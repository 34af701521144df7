//! What the relay needs and gives under load, as figures: they depend on the machine, so nothing is asserted.
//!
//!     cargo test -p coffer-relay --test load -- --ignored --nocapture --test-threads 1

mod common;

use common::device::{Device, receive, through};
use common::relay::Relay;
use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Multiaddr, PeerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const MIB: f64 = 1_048_576.0;

fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let files = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: files,
            maximum: files,
        },
    );
}

/// 1,000 reservations, 200 circuits with all the bytes that they take.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory() {
    many_files();
    for quic in [false, true] {
        let relay = Relay::start(&["--max-per-address", "5000", "--rate", "1000000"]).await;
        let way = if quic {
            relay.quic.clone()
        } else {
            relay.tcp.clone()
        };
        let name = if quic { "QUIC" } else { "TCP" };
        let empty = relay.resident();
        let mut devices = Vec::new();
        while devices.len() < 1_000 {
            let some = (0..50).map(|_| async {
                let mut device = Device::new();
                device.reserve(&way).await.expect("a reservation");
                device
            });
            devices.extend(join_all(some).await);
        }
        let reserved = relay.resident();
        let passed = Arc::new(AtomicU64::new(0));
        let mut circuits = Vec::new();
        let mut called = devices.split_off(800);
        let callers = devices.split_off(600);
        // All are there before any of them takes the processor.
        for (mut caller, mut called) in callers.into_iter().zip(called.drain(..)) {
            caller
                .connect(&through(&way, called.id))
                .await
                .expect("a circuit");
            let mut there = caller.open(called.id).await;
            there.write_all(&[1]).await.expect("the circuit takes it");
            let here = called.accept().await;
            circuits.push((caller, there, called, here));
        }
        let begun = relay.resident();
        let mut tasks = Vec::new();
        for (caller, mut there, called, mut here) in circuits {
            let passed = passed.clone();
            tasks.push(tokio::spawn(async move {
                let _alive = tokio::spawn(async move {
                    let block = vec![1; 64 << 10];
                    while there.write_all(&block).await.is_ok() {}
                    drop(caller);
                });
                let mut buffer = vec![0; 64 << 10];
                while let Ok(n @ 1..) = here.read(&mut buffer).await {
                    passed.fetch_add(n as u64, Relaxed);
                }
                drop(called);
            }));
        }
        let (mut most, began, before) = (0, Instant::now(), passed.load(Relaxed));
        while began.elapsed() < Duration::from_secs(15) {
            most = most.max(relay.resident());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let rate = (passed.load(Relaxed) - before) as f64 / began.elapsed().as_secs_f64() / MIB;
        println!(
            "{name}: resident {:.1} MiB empty, {:.1} with 1,000 reservations, {:.1} with 200 idle circuits, {:.1} at most while they pass {rate:.0} MiB/s",
            empty as f64 / MIB,
            reserved as f64 / MIB,
            begun as f64 / MIB,
            most as f64 / MIB,
        );
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Sends so many bytes on a new stream to a peer, and says how long it takes until the last is read.
async fn timed(from: &mut Device, peer: PeerId, reader: impl Future<Output = usize> + Send + 'static) -> f64 {
    const BULK: usize = 512 << 20;
    let mut there = from.open(peer).await;
    let began = Instant::now();
    let read = tokio::spawn(reader);
    let block = vec![1; 256 << 10];
    for _ in 0..BULK / block.len() {
        there.write_all(&block).await.expect("it takes bytes");
    }
    there.close().await.expect("it ends");
    assert_eq!(read.await.expect("a reader"), BULK);
    BULK as f64 / MIB / began.elapsed().as_secs_f64()
}

async fn drain(mut stream: libp2p::Stream) -> usize {
    let (mut got, mut buffer) = (0, vec![0; 256 << 10]);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        got += n;
    }
    got
}

/// The relay beside a node that ends the encryption on both sides and so could read along.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn rate() {
    let relay = Relay::start(&[]).await;
    for (name, way) in [("TCP", relay.tcp.clone()), ("QUIC", relay.quic.clone())] {
        let mut ratios = Vec::new();
        for _ in 0..5 {
            let ratio = beside_a_proxy(&way, name).await;
            ratios.push(ratio);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{name}: the relay passes {:.2} of what the proxy does (median of 5)",
            ratios[2]
        );
    }
}

async fn beside_a_proxy(way: &Multiaddr, name: &str) -> f64 {
    let (mut a, mut b, mut proxy) = (Device::new(), Device::new(), Device::new());
    b.reserve(way).await.expect("a reservation");
    a.connect(&through(way, b.id)).await.expect("a circuit");
    let id = b.id;
    let (sent, received) = tokio::sync::oneshot::channel();
    let accepting = tokio::spawn(async move {
        let stream = b.accept().await;
        let got = drain(stream).await;
        let _ = sent.send(got);
        b
    });
    let relayed = timed(&mut a, id, async { received.await.expect("an end") }).await;
    let mut b = accepting.await.expect("the receiver");

    let listen = if name == "TCP" {
        "/ip4/127.0.0.1/tcp/0"
    } else {
        "/ip4/127.0.0.1/udp/0/quic-v1"
    };
    let (near, far) = (proxy.listen(listen).await, b.listen(listen).await);
    let mut c = Device::new();
    c.connect(&near).await.expect("a connection");
    proxy.connect(&far).await.expect("a connection");
    let through_proxy = proxy.id;
    let pumping = tokio::spawn(async move {
        let mut near = proxy.accept().await;
        let mut far = proxy.open(id).await;
        let near = futures::io::BufReader::with_capacity(64 << 10, &mut near);
        futures::io::copy_buf(near, &mut far).await.expect("bytes");
        far.close().await.expect("an end");
        let _ = receive(&mut far).await;
        proxy
    });
    let (sent, received) = tokio::sync::oneshot::channel();
    let accepting = tokio::spawn(async move {
        let got = drain(b.accept().await).await;
        let _ = sent.send(got);
        b
    });
    let proxied = timed(&mut c, through_proxy, async { received.await.expect("an end") }).await;
    drop((accepting.await, pumping.await));
    println!("{name}: {relayed:.0} MiB/s through the relay, {proxied:.0} through the proxy");
    relayed / proxied
}
