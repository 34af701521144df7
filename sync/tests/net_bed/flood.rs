//! Somebody who opens streams and fills them, whatever the other end says: without libp2p's swarm, which would mind its manners.

use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use coffer_store::keys::SigningKey;
use libp2p::core::muxing::StreamMuxer;
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::{Endpoint, Transport, upgrade};

/// Opens streams by so many connections. Some of each say half of what they are for, and are waited for; the others, which nobody
/// looks at meanwhile, are filled as far as they let themselves be. How many bytes that takes.
pub fn flood(at: &str, as_whom: &SigningKey, connections: usize) -> usize {
    let keys = libp2p::identity::Keypair::ed25519_from_bytes(*as_whom.seed().expose()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let mut transport = libp2p::tcp::tokio::Transport::new(libp2p::tcp::Config::default())
        .upgrade(upgrade::Version::V1)
        .authenticate(libp2p::noise::Config::new(&keys).unwrap())
        .multiplex(libp2p::yamux::Config::default())
        .boxed();
    let mut all = Vec::new();
    for _ in 0..connections {
        let options = DialOpts {
            role: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let dial = transport.dial(at.parse().unwrap(), options).unwrap();
        if let Ok((_, connection)) = runtime.block_on(dial) {
            all.push((connection, Vec::new(), true));
        }
    }
    let (half, block) = (b"\x13/multistream/1.0.0\n\x14/half", [0x33; 16 << 10]);
    let (mut sent, end) = (0, Instant::now() + Duration::from_secs(5));
    let work = futures::future::poll_fn(|cx| {
        for (connection, streams, lives) in &mut all {
            let mut more = *lives;
            while more && Instant::now() < end {
                more = match Pin::new(&mut *connection).poll(cx) {
                    Poll::Ready(Ok(_)) => true,
                    Poll::Ready(Err(_)) => {
                        *lives = false;
                        break;
                    }
                    Poll::Pending => false,
                };
                if streams.len() < 260
                    && let Poll::Ready(Ok(stream)) = Pin::new(&mut *connection).poll_outbound(cx)
                {
                    streams.push((stream, 0));
                    more = true;
                }
                for (n, (stream, of)) in streams.iter_mut().enumerate() {
                    let bytes = if n < 16 { &half[*of..] } else { &block[..] };
                    if !bytes.is_empty()
                        && let Poll::Ready(Ok(n @ 1..)) =
                            futures::AsyncWrite::poll_write(Pin::new(stream), cx, bytes)
                    {
                        (*of, sent, more) = (*of + n, sent + n, true);
                    }
                }
            }
        }
        let waker = cx.waker().clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            waker.wake();
        });
        if Instant::now() < end {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    });
    runtime.block_on(work);
    sent
}
