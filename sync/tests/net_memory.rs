//! What those who knock, and members of ill will, can make a device hold: measured on this process, one test at a time.

mod net_bed;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::AsyncReadExt;
use net_bed::raw::{Raw, peer};
use net_bed::{Bed, QUIC, TCP, address, linked, quiet, until, wait};

const SYNC: &str = "/coffer/sync/1";

static PROCESS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 500 connections that say nothing, and more strangers: a member gets in all the same, and what they cost is bounded.
#[test]
fn many_who_knock_cost_little() {
    let _alone = alone();
    let beds = Bed::several(&["desk", "laptop"]);
    let desk = beds[0].start(&quiet(&[TCP]));
    let at = address(&desk);
    let port: u16 = at.split('/').nth(4).unwrap().parse().unwrap();
    let before = resident();
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    wait(&desk, "most to be refused", |status| status.refused >= 400);
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes for 500 connections");
    // Those in their handshake have ten seconds; then there is room again.
    let mut settings = quiet(&[]);
    settings.peers.push(at);
    let laptop = beds[1].start(&settings);
    wait(&laptop, "the desk", |status| linked(status, &beds[0]));
    beds[1].tell(100);
    until("one history", || {
        beds[0].clock() == beds[1].clock() && !beds[0].clock().is_empty()
    });
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A member that opens a thousand streams gets one; the rest cost nothing.
#[test]
fn a_thousand_streams_are_one() {
    let _alone = alone();
    for listen in [TCP, QUIC] {
        let beds = Bed::several(&["desk", "laptop", "thief"]);
        let desk = beds[0].start(&quiet(&[listen]));
        let at = address(&desk);
        let mut thief = Raw::new(Some(&beds[2].transport));
        thief.connect(&at);
        let before = resident();
        let mut open = 0;
        let mut streams = Vec::new();
        for _ in 0..1_000 {
            if let Ok(mut stream) = thief.open(peer(&at), SYNC) {
                // A stream counts if something can be read from it: the desk's Hello.
                let answers = thief.runtime.block_on(async {
                    let mut byte = [0];
                    tokio::time::timeout(
                        Duration::from_millis(if open == 0 { 5_000 } else { 1 }),
                        stream.read_exact(&mut byte),
                    )
                    .await
                    .is_ok_and(|read| read.is_ok())
                });
                open += usize::from(answers);
                streams.push(stream);
            }
        }
        assert_eq!(open, 1, "{listen}");
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes");
        let mut settings = quiet(&[]);
        settings.peers.push(at);
        let laptop = beds[1].start(&settings);
        wait(&laptop, "the desk", |status| linked(status, &beds[0]));
        beds[0].tell(100);
        until("one history", || {
            beds[0].clock() == beds[1].clock() && !beds[0].clock().is_empty()
        });
    }
}
