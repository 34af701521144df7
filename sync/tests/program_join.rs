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
/// The note's name, and what one device takes in it.
const NOTE: (&str, usize) = ("unfinished", 44);

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

/// The vault's note of devices that were added and have not said that they have all, with a change to it.
fn note(stage: &Stage, change: impl FnOnce(&mut [u8])) -> usize {
    let sealed = Sealed::open(&stage.vault()).unwrap();
    let vault = sealed
        .unlock(&Password::new(PASSWORD.into()), Identity::Same)
        .unwrap();
    let mut note = vault.note(NOTE.0).unwrap().unwrap_or_default();
    let noted = note.len().saturating_sub(1) / NOTE.1;
    if noted > 0 {
        change(&mut note[1..]);
        vault.set_note(NOTE.0, &note).unwrap();
    }
    vault.close().unwrap();
    noted
}

/// As if the devices that are noted had been added days ago, and this one had been there all the time.
fn age(note: &mut [u8]) {
    for one in note.chunks_exact_mut(NOTE.1) {
        one[32..40].fill(0);
        one[40..].copy_from_slice(&60u32.to_le_bytes());
    }
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
/// one, or it is taken back once its time is over, and joins by a new ticket.
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
        assert_eq!(note(&desk, |_| {}), 0, "its last word was heard");
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
        let noted = note(&desk, |_| {});
        // Nothing is done before its time.
        desk.mount();
        let before = listed(&desk).len();
        invite(&desk);
        assert_eq!(listed(&desk).len(), before, "{what}: taken back too early");
        assert!(
            before == 1 || noted == 1 || has_vault,
            "{what}: listed, without a note"
        );
        if has_vault {
            assert_eq!(before, 2, "{what}: it has a vault, and nobody knows it");
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
        desk.run(&["lock"]).gives(0);
        note(&desk, age);
        desk.mount();
        let left = 1 + usize::from(has_vault);
        until("who has nothing is taken back", || listed(&desk).len() == left);
        // Whatever was to be done at the beginning has been, when it invites.
        let ticket = invite(&desk);
        assert_eq!(listed(&desk).len(), left, "{what}");
        match (has_vault, before) {
            (true, _) => kept += 1,
            (false, 2) => back += 1,
            _ => none += 1,
        }
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
    println!("{none} not added, {back} taken back, {kept} kept");
    assert!(back > 2 && kept > 0, "{none}, {back}, {kept}");
}
