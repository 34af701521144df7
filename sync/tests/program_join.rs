//! The built program, killed in the midst of a joining: the one that joins, the one that invited, or both, at every stage. In the end there is a device,
//! or none, and nobody stays listed who has nothing. Skipped, with a word, where nothing can be mounted.

#[path = "../../cli/tests/common/mod.rs"]
mod common;
mod net_bed;

use std::io::Write;
use std::process::{Child, Stdio};

use coffer_store::keys::Password;
use coffer_store::vault::{Identity, Sealed};
use coffer_sync::pairing::Ticket;
use common::{PASSWORD, Stage, cannot_mount, kill, lives, until};
use net_bed::cut::{Link, Then};
use serde_json::Value;

const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];
fn settle(stage: &Stage) {
    for (key, value) in [
        ("sync-listen", "/ip4/127.0.0.1/tcp/0"),
        ("sync-mdns", "off"),
        ("sync-dht", "off"),
    ] {
        stage.run(&["settings", key, value]).gives(0);
    }
}

/// Its devices: those that were removed are listed as that.
fn listed(stage: &Stage) -> Vec<Value> {
    let said = stage.run(&["--json", "device", "list"]).gives(0).out;
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|device: &Value| device["standing"] == "member")
        .collect()
}

fn invite(stage: &Stage) -> Ticket {
    let said = stage.run(&["--json", "device", "invite"]).gives(0).json();
    Ticket::parse(said["ticket"].as_str().unwrap()).unwrap()
}

fn listening(stage: &Stage) -> String {
    let mut at = None;
    until("it listens", || {
        let said = stage.run(&["--json", "sync"]).gives(0).json();
        at = said["listening"][0].as_str().map(str::to_owned);
        at.is_some()
    });
    at.unwrap()
}

/// Begins to join over a link that holds what comes after so many bytes each way.
fn begin(desk: &Stage, laptop: &Stage, most: [usize; 2]) -> (Link, Child) {
    let ticket = invite(desk);
    let at = ticket.addresses()[0].clone();
    let port = at.split('/').nth(4).unwrap().parse().unwrap();
    let link = Link::to(port, most, Then::Hold);
    let peer = ticket.peer().to_vec();
    let held = Ticket::parse(&ticket.line()).unwrap();
    let held = held.hinting(peer, vec![format!("/ip4/127.0.0.1/tcp/{}", link.port)]);
    let line = held.unwrap().line();
    let mut args = vec!["device", "join", &line, "--name", "laptop", "--password-stdin"];
    args.extend(QUICK);
    let mut child = laptop
        .command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    (link, child)
}

/// Whether what was killed has left a vault.
fn is_vault(stage: &Stage) -> bool {
    let sealed = Sealed::open(&stage.vault());
    let opened = sealed.map(|sealed| sealed.unlock(&Password::new(PASSWORD.into()), Identity::Same));
    match opened {
        Ok(Ok(vault)) => vault.close().is_ok(),
        _ => false,
    }
}

/// Guards a joining against power that goes, at each stage, on either machine: after it, the other machine is a device that syncs and stays
/// one; or the list says that nothing was heard of it, a person removes it, and it joins by a new ticket.
#[test]
fn killed_at_any_stage_there_is_a_device_or_none() {
    if cannot_mount() {
        return;
    }
    let whole = {
        let (desk, laptop) = (Stage::with_vault(), Stage::new());
        settle(&desk);
        desk.mount();
        let (link, mut child) = begin(&desk, &laptop, [usize::MAX; 2]);
        assert!(child.wait().unwrap().success());
        until("it is listed", || listed(&desk).len() == 2);
        desk.run(&["lock"]).gives(0);
        link.went()
    };
    // By the bytes that went to the one that joins; and the last ones that it says.
    let to_it = (4..10).map(|n| [whole[0] * n / 10, usize::MAX]);
    let by_it = [150, 120, 90, 60, 30, 10].map(|less| [usize::MAX, whole[1] - less]);
    let (mut none, mut back, mut kept) = (0, 0, 0);
    for (n, most) in to_it.chain(by_it).enumerate() {
        let (desk, laptop) = (Stage::with_vault(), Stage::new());
        settle(&desk);
        let pid = desk.mount();
        let (link, mut child) = begin(&desk, &laptop, most);
        let mut is_over = false;
        until("the link holds", || {
            is_over = child.try_wait().unwrap().is_some();
            is_over || link.has_stopped()
        });
        let what = format!("case {n}, {most:?} of {whole:?}");
        // In every other case the inviter's machine goes, too; and first.
        if n % 2 == 1 {
            kill(pid, libc::SIGKILL);
            until("the daemon is gone", || !lives(pid));
        }
        let _ = child.kill();
        child.wait().unwrap();
        match n % 2 {
            1 => drop(desk.run(&["unmount", "mnt"])),
            _ => drop(desk.run(&["lock"]).gives(0)),
        }
        let has_vault = is_vault(&laptop);
        desk.mount();
        let before = listed(&desk);
        if has_vault {
            assert_eq!(before.len(), 2, "{what}: it has a vault, and nobody knows it");
            settle(&laptop);
            laptop.mount();
            laptop.run(&["sync", "--peer", &listening(&desk)]).gives(0);
            until("it is heard of", || {
                listed(&desk)
                    .iter()
                    .any(|device| device["name"] == "laptop" && device["connected"] == true)
                    && laptop.mnt().join("Notes").is_dir()
            });
        }
        let after = listed(&desk);
        assert_eq!(after.len(), before.len(), "{what}: nobody is taken back");
        match (has_vault, after.get(1)) {
            (true, Some(laptop)) => {
                assert_eq!(laptop["heard"], true, "{what}");
                kept += 1;
            }
            (false, Some(laptop)) => {
                assert_eq!(laptop["heard"], false, "{what}");
                let said = desk.run(&["device", "list"]).gives(0).out;
                assert!(
                    said.contains("nothing was heard of it since it was added"),
                    "{said}"
                );
                desk.run(&["device", "remove", "laptop", "--yes"]).gives(0);
                back += 1;
            }
            _ => none += 1,
        }
        let ticket = invite(&desk);
        // The machine joins anew.
        if !has_vault {
            let again = Stage::new();
            let line = ticket.line();
            let mut args = vec!["device", "join", &line, "--name", "laptop"];
            args.extend(QUICK);
            again.open(&args).gives(0);
            assert_eq!(listed(&desk).len(), 2, "{what}");
        }
    }
    println!("{none} not added, {back} removed by hand, {kept} kept");
    assert!(back > 2 && kept > 0, "{none}, {back}, {kept}");
}
