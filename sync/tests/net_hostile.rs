//! Whoever knocks, and members of ill will: nobody gets in who is none of the vault's devices, memory stays bounded, and honest
//! devices converge all the while.

mod net_bed;

use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use net_bed::raw::{Raw, peer};
use net_bed::{Bed, PATIENCE, QUIC, TCP, address, quiet, until, wait};

const SYNC: &str = "/coffer/sync/1";
const PAIR: &str = "/coffer/pair/1";

/// A stranger is sent away at once, by TCP and QUIC, and learns nothing by identify.
#[test]
fn a_stranger_is_sent_away() {
    for listen in [TCP, QUIC] {
        let bed = Bed::founded("desk");
        let service = bed.start(&quiet(&[listen]));
        let mut stranger = Raw::new(None);
        stranger.dial(&address(&service));
        let mut told = false;
        stranger.event("to be sent away", |event| {
            let text = format!("{event:?}");
            told |= text.contains("Received");
            (text.contains("ConnectionClosed") || text.contains("OutgoingConnectionError")).then_some(())
        });
        assert!(!told, "it was told something by identify");
        wait(&service, "it to be counted", |status| status.refused > 0);
        assert!(service.status().peers.is_empty());
    }
}

/// A member whose program speaks nonsense: its session ends with a reason, and it does no harm.
#[test]
fn nonsense_on_the_sync_protocol_ends_the_session() {
    let beds = Bed::several(&["desk", "laptop", "thief"]);
    let desk = beds[0].start(&quiet(&[TCP]));
    let at = address(&desk);
    let mut settings = quiet(&[]);
    settings.peers.push(at.clone());
    let _laptop = beds[1].start(&settings);
    let mut thief = Raw::new(Some(&beds[2].transport));
    thief.connect(&at);
    let mut stream = thief.open(peer(&at), SYNC).unwrap();
    let ended = thief.runtime.block_on(async {
        let talk = async {
            let _ = stream.write_all(&[0xff; 100_000]).await;
            let _ = stream.flush().await;
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
            all
        };
        tokio::time::timeout(PATIENCE, talk)
            .await
            .expect("the session ends")
    });
    // It was told who this is, and why it is over; no event, chunk or statement.
    assert!(ended.len() < 200, "{} bytes", ended.len());
    let status = wait(&desk, "the reason", |status| {
        status
            .peers
            .iter()
            .any(|peer| peer.name == "thief" && peer.last_error.is_some())
    });
    let thief = status.peers.iter().find(|peer| peer.name == "thief").unwrap();
    assert!(
        thief
            .last_error
            .as_ref()
            .unwrap()
            .contains("no message of this protocol"),
        "{thief:?}"
    );
    beds[1].tell(100);
    until("one history", || {
        beds[0].clock() == beds[1].clock() && !beds[0].clock().is_empty()
    });
}

/// A member that opens its stream and never reads: the others are not held up, and it costs what the protocol says.
#[test]
fn a_stream_that_never_reads_holds_nobody_up() {
    let beds = Bed::several(&["desk", "laptop", "thief"]);
    beds[0].tell_with(10, &vec![1_000_000; 60]);
    let desk = beds[0].start(&quiet(&[TCP]));
    let at = address(&desk);
    let mut thief = Raw::new(Some(&beds[2].transport));
    thief.connect(&at);
    let mut stream = thief.open(peer(&at), SYNC).unwrap();
    // It says hello, and asks for everything, and never reads.
    let (space, heads) = {
        let state = beds[0].state.lock().unwrap();
        (
            state.members.space(),
            state.members.heads().map(|id| id.0).collect::<Vec<_>>(),
        )
    };
    use coffer_sync::core::wire::{Hello, Message, VERSION, framed};
    let chain = beds[2].state.lock().unwrap().store.own;
    let hello = Hello {
        versions: (VERSION, VERSION),
        space,
        own: chain,
        features: 0,
        policy: coffer_sync::core::Policy::Everything,
        credit: 1 << 40,
    };
    let chunks: Vec<([u8; 32], u32)> = {
        let state = beds[0].state.lock().unwrap();
        state.store.chunks.keys().map(|id| (*id, 0)).collect()
    };
    let mut bytes = framed(&Message::Hello(hello).encode());
    bytes.extend(framed(&Message::Heads(heads).encode()));
    bytes.extend(framed(
        &Message::Clock {
            whole: true,
            reach: vec![],
        }
        .encode(),
    ));
    bytes.extend(framed(&Message::WantChunks { urgent: true, chunks }.encode()));
    thief.runtime.block_on(async {
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
    });
    let mut settings = quiet(&[]);
    settings.peers.push(at);
    let laptop = beds[1].start(&settings);
    let begun = Instant::now();
    until("all chunks at the laptop", || {
        beds[1].missing() == 0 && beds[0].clock() == beds[1].clock()
    });
    assert!(begun.elapsed() < Duration::from_secs(20));
    let status = wait(&desk, "what went to the thief", |status| {
        status
            .peers
            .iter()
            .any(|peer| peer.name == "thief" && peer.link.is_some())
    });
    let thief = status.peers.iter().find(|peer| peer.name == "thief").unwrap();
    // What the windows of both ends take, not 60 MB.
    assert!(thief.link.as_ref().unwrap().went < 20 << 20, "{thief:?}");
    let begun = Instant::now();
    desk.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(laptop);
}

/// Without an open invitation nobody hears the pairing protocol; with one, a guest hears that and nothing else.
#[test]
fn a_guest_speaks_the_pairing_protocol_alone() {
    let bed = Bed::founded("desk");
    let service = bed.start(&quiet(&[TCP]));
    let at = address(&service);
    let _ticket = service.invite().unwrap();
    let mut guest = Raw::new(None);
    guest.connect(&at);
    assert!(guest.open(peer(&at), SYNC).is_err(), "the sync protocol");
    assert!(guest.open(peer(&at), "/ipfs/id/1.0.0").is_err(), "identify");
    assert!(guest.open(peer(&at), "/ipfs/ping/1.0.0").is_err(), "ping");
    let mut stream = guest.open(peer(&at), PAIR).unwrap();
    // Nonsense: “no”, and the end.
    let said = guest.runtime.block_on(async {
        let talk = async {
            stream.write_all(&[7; 200]).await.unwrap();
            stream.flush().await.unwrap();
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
            all
        };
        tokio::time::timeout(PATIENCE, talk).await.expect("an end")
    });
    assert!(said.is_empty() || said == [0; 5], "{said:?}");
    guest.sent_away();
    assert_eq!(bed.state.lock().unwrap().members.len(), 2);
}

/// Nine guests at once: eight are heard; and they are sent away after their time.
#[test]
fn guests_are_few_and_stay_shortly() {
    let bed = Bed::founded("desk");
    let service = bed.start(&quiet(&[TCP]));
    let at = address(&service);
    let _ticket = service.invite().unwrap();
    let mut guests: Vec<Raw> = (0..8).map(|_| Raw::new(None)).collect();
    let begun = Instant::now();
    for guest in &mut guests {
        guest.connect(&at);
        let mut stream = guest.open(peer(&at), PAIR).unwrap();
        guest.runtime.spawn(async move {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        });
    }
    let mut ninth = Raw::new(None);
    ninth.dial(&at);
    ninth.sent_away();
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "the ninth did not wait for the others' end"
    );
    // Each has 40 seconds.
    for guest in &mut guests {
        guest.sent_away_within(Duration::from_secs(50).saturating_sub(begun.elapsed()));
    }
    // And there is room again.
    let mut tenth = Raw::new(None);
    tenth.connect(&at);
    tenth.open(peer(&at), PAIR).unwrap();
}
