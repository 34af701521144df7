//! How the relay starts: who it is, what it refuses with which sentence, and its systemd unit.

mod common;

use common::relay::{Relay, command};
use common::within;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

const SEED: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

/// A relay that does not start: its exit code and what it says.
async fn fails(args: &[&str]) -> (Option<i32>, String) {
    let home = TempDir::new().unwrap();
    let run = command(&[], &home).args(args).output();
    let output = within("the end of a relay that cannot start", run).await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn its_seed_is_its_identity() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("seed");
    std::fs::write(&path, SEED).unwrap();
    let path = path.to_str().unwrap();
    let (one, two) = (
        Relay::start(&["--seed-file", path]).await,
        Relay::start(&["--seed-file", path]).await,
    );
    assert_eq!(one.id, two.id);
    // Pinned: by ed25519 with this seed as its secret key.
    let mut seed: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&SEED[at..at + 2], 16).unwrap())
        .collect();
    let keys = libp2p::identity::Keypair::ed25519_from_bytes(&mut seed).unwrap();
    assert_eq!(one.id, keys.public().to_peer_id());
    assert!(!one.log().contains("Without --seed-file"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), SEED, "it is only read");

    let (other, another) = (Relay::start(&[]).await, Relay::start(&[]).await);
    assert_ne!(other.id, another.id);
    assert!(other.log().contains("Without --seed-file"), "{}", other.log());
}

#[tokio::test]
async fn its_seed_may_come_by_standard_input() {
    let home = TempDir::new().unwrap();
    let mut relay = command(&[], &home)
        .args(["--seed-file", "-", "--listen", "/ip4/127.0.0.1/tcp/0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = relay.stdin.take().unwrap();
    stdin.write_all(SEED.as_bytes()).await.unwrap();
    drop(stdin);
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(relay.stdout.take().unwrap()));
    let line = within("a line", lines.next_line()).await.unwrap().unwrap();
    assert!(line.starts_with("Listening on /ip4/127.0.0.1/tcp/"), "{line}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_sentence() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("seed");
    let name = path.to_str().unwrap();
    let (code, said) = fails(&["--seed-file", name]).await;
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!("coffer-relay: Could not read the seed from {name}: ")),
        "{said}"
    );
    for wrong in [
        "",
        "12",
        &SEED.replace('f', "g"),
        &SEED[1..],
        &format!("{}00", SEED.trim()),
        "+1".repeat(32).as_str(),
    ] {
        std::fs::write(&path, wrong).unwrap();
        let (code, said) = fails(&["--seed-file", name]).await;
        assert_eq!(code, Some(1));
        assert!(said.contains("is not 64 hexadecimal digits"), "{said}");
        assert!(
            wrong.len() < 8 || !said.contains(&wrong[..8]),
            "it tells the seed: {said}"
        );
    }

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let (code, said) = fails(&["--listen", &address]).await;
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("Could not listen on {address}: ")),
        "{said}"
    );
    assert!(said.contains("in use"), "{said}");
    let (code, said) = fails(&["--listen", "/dns4/example.org/tcp/1"]).await;
    assert_eq!(code, Some(1), "{said}");

    for wrong in [
        ["--listen", "nowhere"],
        ["--max-circuits-per-peer", "0"],
        ["--rate", "-1"],
        ["--circuit-bytes", "x"],
    ] {
        let (code, said) = fails(&wrong).await;
        assert_eq!(code, Some(2), "{wrong:?}: {said}");
    }
}

#[tokio::test]
async fn its_external_address_is_what_devices_are_told() {
    let relay = Relay::start(&["--external", "/dns4/relay.example.org/tcp/4001"]).await;
    let said = format!("Reachable at /dns4/relay.example.org/tcp/4001/p2p/{}", relay.id);
    assert!(relay.log().contains(&said), "{}", relay.log());
    let mut device = common::device::Device::new();
    let way = relay.tcp.clone().with(libp2p::multiaddr::Protocol::P2pCircuit);
    device.with(move |swarm| swarm.listen_on(way)).await.unwrap();
    let own = device
        .event("an address by way of the relay", |event| match event {
            libp2p::swarm::SwarmEvent::NewListenAddr { address, .. } => Some(address),
            _ => None,
        })
        .await;
    assert!(
        own.to_string()
            .starts_with("/dns4/relay.example.org/tcp/4001/p2p/"),
        "{own}"
    );
}

/// The unit's lines are ones that systemd knows, and it closes what the program does not need.
#[test]
fn its_unit_is_well_formed_and_tight() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/coffer-relay.service");
    let folder = TempDir::new().unwrap();
    // The program stands elsewhere here.
    let text = std::fs::read_to_string(unit).unwrap();
    let here = text.replace("/usr/local/bin/coffer-relay", env!("CARGO_BIN_EXE_coffer-relay"));
    assert_ne!(here, text);
    let copy = folder.path().join("coffer-relay.service");
    std::fs::write(&copy, here).unwrap();
    let analyze = |args: &[&str]| Command::new("systemd-analyze").args(args).arg(&copy).output();
    let Ok(verified) = analyze(&["verify", "--man=no"]) else {
        return println!("SKIPPED: the unit is not verified, because systemd-analyze is missing");
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && said.trim().is_empty(), "{said}");
    let Ok(scored) = analyze(&["security", "--offline=true", "--threshold=15"]) else {
        return;
    };
    let said = String::from_utf8_lossy(&scored.stderr).into_owned();
    if said.contains("unrecognized option") {
        return println!("SKIPPED: the unit's exposure is not scored, because this systemd-analyze cannot");
    }
    assert!(
        scored.status.success(),
        "{}{said}",
        String::from_utf8_lossy(&scored.stdout)
    );
}
