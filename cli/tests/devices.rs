//! Two devices of one vault on this machine, each with its own folders, daemon, mount and network on loopback: the built program from the
//! invitation to the removal, and what editors on both see of each other. Skipped, with a word, where nothing can be mounted.

mod common;

use common::{PASSWORD, Stage, cannot_mount, files, kill, until};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];

/// A device that listens on loopback, and looks for nobody by itself.
fn settle(stage: &Stage) {
    for (key, value) in [
        ("sync-listen", "/ip4/127.0.0.1/tcp/0"),
        ("sync-mdns", "off"),
        ("sync-dht", "off"),
    ] {
        stage.run(&["settings", key, value]).gives(0);
    }
}

/// A mounted vault that is alone.
fn desk() -> Stage {
    let stage = Stage::with_vault();
    settle(&stage);
    stage.mount();
    stage
}

fn invite(by: &Stage) -> String {
    let said = by.run(&["--json", "device", "invite"]).gives(0);
    said.json()["ticket"].as_str().unwrap().to_owned()
}

/// A second one, which joins and is mounted.
fn joined(by: &Stage, name: &str) -> Stage {
    let stage = Stage::new();
    join(&stage, &invite(by), name).gives(0);
    settle(&stage);
    stage.mount();
    stage
}

fn join(stage: &Stage, ticket: &str, name: &str) -> common::Said {
    let mut args = vec!["device", "join", ticket, "--name", name];
    args.extend(QUICK);
    stage.open(&args)
}

fn at(stage: &Stage, path: &str) -> PathBuf {
    stage.mnt().join(path)
}

fn text(stage: &Stage, path: &str) -> String {
    fs::read_to_string(at(stage, path)).unwrap_or_default()
}

#[track_caller]
fn shows(stage: &Stage, path: &str, wanted: &str) {
    until(&format!("{path} shows {wanted:?}"), || {
        text(stage, path) == wanted
    });
}

fn sync(stage: &Stage) -> Value {
    stage.run(&["--json", "sync"]).gives(0).json()
}

fn list(stage: &Stage) -> Vec<Value> {
    let said = stage.run(&["--json", "device", "list"]).gives(0).out;
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// All that is in a mount but for what only its device shows.
fn tree(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let root = stage.mnt();
    let mut all: Vec<(String, Vec<u8>)> = files(&root)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap_or_default())
        })
        .collect();
    all.sort();
    all
}

#[track_caller]
fn become_one(one: &Stage, two: &Stage) {
    until("both show the same", || tree(one) == tree(two));
}

/// Guards the whole way: alone, an invitation, a device that joins with a password of its own, what was there and what comes, both ways, a name for it,
/// and its removal, after which neither hears of the other.
#[test]
fn two_machines_have_one_vault() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    assert_eq!(sync(&desk)["state"], "alone");
    assert_eq!(
        sync(&desk)["listening"].as_array().unwrap().len(),
        0,
        "alone, it listens nowhere"
    );
    fs::write(at(&desk, "Notes/Garden.md"), "garlic\n").unwrap();
    let photo: Vec<u8> = (0..2_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    fs::write(at(&desk, "Files/photo.jpg"), &photo).unwrap();
    let laptop = joined(&desk, "laptop");
    shows(&laptop, "Notes/Garden.md", "garlic\n");
    until("the photo", || {
        fs::read(at(&laptop, "Files/photo.jpg")).is_ok_and(|bytes| bytes == photo)
    });
    fs::write(at(&laptop, "Notes/Garden.md"), "garlic\nroses\n").unwrap();
    shows(&desk, "Notes/Garden.md", "garlic\nroses\n");
    until("the laptop is listed as it is", || {
        let found = list(&desk);
        found.len() == 2
            && found[1]["name"] == "laptop"
            && found[1]["connected"] == true
            && found[1]["behind"] == 0
    });
    desk.run(&["device", "rename", "laptop", "Ada's laptop"]).gives(0);
    until("the laptop knows its name", || {
        list(&laptop)[1]["name"] == "Ada's laptop"
    });
    desk.run(&["device", "rename", "nobody", "x"]).gives(2);
    desk.run(&["device", "remove", "Ada's laptop", "--yes"]).gives(0);
    until("the laptop is let go of", || {
        sync(&laptop)["devices"][0]["connected"] == false
    });
    fs::write(
        at(&desk, "Notes/Garden.md"),
        "garlic\nroses\nnot for the laptop\n",
    )
    .unwrap();
    fs::write(at(&laptop, "Notes/Mine.md"), "not for the desk\n").unwrap();
    // A third one tells when all that could come has come.
    let phone = joined(&desk, "phone");
    shows(&phone, "Notes/Garden.md", "garlic\nroses\nnot for the laptop\n");
    assert_eq!(text(&laptop, "Notes/Garden.md"), "garlic\nroses\n");
    assert!(!at(&desk, "Notes/Mine.md").exists());
    for stage in [&desk, &laptop, &phone] {
        stage.run(&["lock"]).gives(0);
        stage.open(&["check", "--read-data"]).gives(0);
    }
}

/// Guards tickets: each works once, is void after the daemon's end, and what is none is refused before anybody is called.
#[test]
fn a_ticket_works_once() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    let ticket = invite(&desk);
    join(&Stage::new(), &ticket, "laptop").gives(0);
    let again = Stage::new();
    let said = join(&again, &ticket, "thief").gives(1);
    assert!(said.err.contains("the ticket may be used up"), "{}", said.err);
    assert!(
        !again.vault().exists() || fs::read_dir(again.vault()).unwrap().next().is_none(),
        "nothing was made"
    );
    join(&again, "abandon ability able", "thief").gives(2);
    join(&again, &ticket[..ticket.len() - 3], "thief").gives(2);
    assert_eq!(list(&desk).len(), 2);
    let void = invite(&desk);
    desk.run(&["lock"]).gives(0);
    desk.mount();
    // The desk has another device by now, and listens; but on another port.
    let said = join(&again, &void, "thief");
    assert_eq!(said.code, 1, "{}", said.err);
}

/// Guards notes that both edit while apart: text, a front matter, the same daily note made on both, the same folder made on both, a blob and a text under one
/// name. Nothing that anybody wrote is lost, and both show the same.
#[test]
fn what_both_did_while_apart_comes_together() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    fs::write(
        at(&desk, "Notes/List.md"),
        "---\ntags: [a]\n---\none\n\ntwo\n\nthree\n",
    )
    .unwrap();
    let laptop = joined(&desk, "laptop");
    shows(
        &laptop,
        "Notes/List.md",
        "---\ntags: [a]\n---\none\n\ntwo\n\nthree\n",
    );
    desk.run(&["sync", "--pause"]).gives(0);
    assert_eq!(sync(&desk)["state"], "paused");
    fs::write(
        at(&desk, "Notes/List.md"),
        "---\ntags: [a]\n---\none here\n\ntwo\n\nthree\n",
    )
    .unwrap();
    fs::write(
        at(&laptop, "Notes/List.md"),
        "---\ntags: [a, b]\n---\none\n\ntwo\n\nthree there\n",
    )
    .unwrap();
    for (stage, word) in [(&desk, "here"), (&laptop, "there")] {
        fs::write(at(stage, "Notes/2026-11-23.md"), format!("woke up {word}\n")).unwrap();
        fs::create_dir(at(stage, "Trip")).unwrap();
        fs::write(at(stage, &format!("Trip/{word}.md")), word).unwrap();
    }
    fs::write(at(&desk, "Files/thing"), [0, 159, 146, 150]).unwrap();
    fs::write(at(&laptop, "Files/thing"), "a text\n").unwrap();
    desk.run(&["sync", "--resume"]).gives(0);
    let merged = "---\ntags: [a, b]\n---\none here\n\ntwo\n\nthree there\n";
    shows(&desk, "Notes/List.md", merged);
    shows(&laptop, "Notes/List.md", merged);
    let all = |stage: &Stage, word: &[u8]| {
        let found = tree(stage);
        found
            .iter()
            .filter(|(_, bytes)| bytes.windows(word.len()).any(|part| part == word))
            .count()
    };
    let words: [&[u8]; 6] = [
        b"woke up here",
        b"woke up there",
        b"here",
        b"there",
        &[0, 159, 146, 150],
        b"a text",
    ];
    until("all of it on both", || {
        [&desk, &laptop]
            .iter()
            .all(|stage| words.iter().all(|word| all(stage, word) > 0))
    });
    become_one(&desk, &laptop);
    let folders = fs::read_dir(laptop.mnt()).unwrap().flatten();
    let trips = folders
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("Trip"))
        .count();
    assert_eq!(trips, 1, "folders of one name are one");
}

/// Guards removals against edits: a note that one removes while the other edits it stays; one that nobody edited goes; a folder that was moved
/// takes along what the other put into it.
#[test]
fn an_edit_that_nobody_saw_outlives_a_removal() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    fs::create_dir(at(&desk, "Box")).unwrap();
    for name in ["Kept.md", "Gone.md", "Box/Old.md"] {
        fs::write(at(&desk, name), "was\n").unwrap();
    }
    let laptop = joined(&desk, "laptop");
    become_one(&desk, &laptop);
    laptop.run(&["sync", "--pause"]).gives(0);
    fs::remove_file(at(&desk, "Kept.md")).unwrap();
    fs::remove_file(at(&desk, "Gone.md")).unwrap();
    fs::rename(at(&desk, "Box"), at(&desk, "Chest")).unwrap();
    fs::write(at(&laptop, "Kept.md"), "was\nand is\n").unwrap();
    fs::write(at(&laptop, "Box/New.md"), "new\n").unwrap();
    laptop.run(&["sync", "--resume"]).gives(0);
    for stage in [&desk, &laptop] {
        shows(stage, "Kept.md", "was\nand is\n");
        shows(stage, "Chest/New.md", "new\n");
        until("what nobody edited is gone", || !at(stage, "Gone.md").exists());
    }
    become_one(&desk, &laptop);
}

/// Guards a daemon that is killed in the middle of what comes: after it is mounted again it has all.
#[test]
fn a_daemon_that_was_killed_goes_on_where_it_was() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    let laptop = Stage::new();
    let big: Vec<u8> = (0..30_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 9) as u8)
        .collect();
    fs::write(at(&desk, "Files/big"), &big).unwrap();
    for n in 0..300 {
        fs::write(at(&desk, &format!("Notes/{n}.md")), format!("note {n}\n")).unwrap();
    }
    join(&laptop, &invite(&desk), "laptop").gives(0);
    settle(&laptop);
    for _ in 0..4 {
        let pid = laptop.mount();
        until("something comes", || laptop.mnt().join("Notes").is_dir());
        kill(pid, libc::SIGKILL);
        until("it is gone", || !common::lives(pid));
    }
    laptop.mount();
    become_one(&desk, &laptop);
    assert!(fs::read(at(&laptop, "Files/big")).unwrap() == big);
    laptop.run(&["lock"]).gives(0);
    laptop.open(&["check", "--read-data"]).gives(0);
}

/// Guards objecting: a junior removes its senior, which hears of it, says so, and takes it back by removing the junior. It is a member
/// again, for others too; the junior is none, and what it saved in between goes no further than to itself.
#[test]
fn a_senior_that_its_junior_removed_objects() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    fs::write(at(&desk, "Notes/Garden.md"), "garlic\n").unwrap();
    let (phone, laptop) = (joined(&desk, "phone"), joined(&desk, "laptop"));
    for stage in [&phone, &laptop] {
        shows(stage, "Notes/Garden.md", "garlic\n");
    }
    // Without the desk they find each other by hand alone.
    let of_phone = sync(&phone)["listening"][0].as_str().unwrap().to_owned();
    laptop.run(&["sync", "--peer", &of_phone]).gives(0);
    until("all know each other", || {
        [&desk, &phone, &laptop].iter().all(|stage| {
            let all = list(stage);
            all.len() == 3 && all.iter().filter(|device| device["connected"] == true).count() == 2
        })
    });
    let of_desk = list(&laptop)[0]["id"].as_str().unwrap().to_owned();
    let said = laptop.run(&["device", "remove", &of_desk, "--yes"]).gives(0);
    println!("the laptop removes the desk: {}", said.out);
    until("the desk knows that it is removed", || {
        sync(&desk)["state"] == "removed"
    });
    let said = desk.run(&["sync"]).gives(0);
    println!("the desk: {}", said.out);
    assert!(
        said.out.contains("“laptop” removed this device") && said.out.contains("coffer device remove laptop"),
        "it says who did it, and what to do: {}",
        said.out
    );
    until("the phone has let go of the desk", || {
        list(&phone)[0]["standing"] == "removed"
    });
    fs::write(at(&laptop, "Notes/Loot.md"), "for the phone alone\n").unwrap();
    shows(&phone, "Notes/Loot.md", "for the phone alone\n");
    assert!(!at(&desk, "Notes/Loot.md").exists(), "the desk is told nothing");

    let said = desk.run(&["device", "remove", "laptop", "--yes"]).gives(0);
    println!("the desk objects: {}", said.out);
    assert_eq!(sync(&desk)["state"], "on");
    until("the phone believes the desk", || {
        let all = list(&phone);
        let standing = |n: usize| all[n]["standing"].as_str().unwrap().to_owned();
        standing(0) == "member"
            && all
                .iter()
                .any(|d| d["name"] == "laptop" && d["standing"] == "removed")
    });
    fs::write(at(&desk, "Notes/Garden.md"), "garlic\nroses\n").unwrap();
    shows(&phone, "Notes/Garden.md", "garlic\nroses\n");
    // What the phone was told while the laptop was a member stands, and comes to the desk by the phone.
    shows(&desk, "Notes/Loot.md", "for the phone alone\n");
    // By the statement itself, or, if its connections end before that comes, by whoever refuses it.
    until("the laptop says that it is removed", || {
        laptop.run(&["sync"]).gives(0).out.contains("pair it again")
    });
    println!("the laptop: {}", laptop.run(&["sync"]).gives(0).out);
    assert_eq!(text(&laptop, "Notes/Garden.md"), "garlic\n");
    fs::write(at(&laptop, "Notes/More loot.md"), "for nobody\n").unwrap();
    fs::write(at(&phone, "Notes/Last.md"), "the last word\n").unwrap();
    shows(&desk, "Notes/Last.md", "the last word\n");
    assert!(!at(&desk, "Notes/More loot.md").exists() && !at(&phone, "Notes/More loot.md").exists());
    become_one(&desk, &phone);
    for stage in [&desk, &phone, &laptop] {
        stage.run(&["lock"]).gives(0);
        stage.open(&["check", "--read-data"]).gives(0);
    }
}

/// Guards open editors: whoever watches a folder hears of what another device saved, as of a local save.
#[test]
fn a_save_elsewhere_is_heard_by_who_watches_here() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    fs::write(at(&desk, "Notes/Garden.md"), "garlic\n").unwrap();
    let laptop = joined(&desk, "laptop");
    shows(&laptop, "Notes/Garden.md", "garlic\n");
    let spawned = std::process::Command::new("inotifywait")
        .args(["-q", "-t", "60", "-e", "modify", "--format", "%e"])
        .arg(at(&laptop, "Notes/Garden.md"))
        .stdout(Stdio::piped())
        .spawn();
    let Ok(watcher) = spawned else {
        eprintln!("skipped: there is no inotifywait");
        return;
    };
    let fdinfo = format!("/proc/{}/fdinfo", watcher.id());
    until("it watches", || {
        let open = fs::read_dir(&fdinfo).into_iter().flatten().flatten();
        open.into_iter()
            .any(|fd| fs::read_to_string(fd.path()).is_ok_and(|text| text.contains("inotify wd")))
    });
    fs::write(at(&desk, "Notes/Garden.md"), "garlic\nroses\n").unwrap();
    let heard = watcher.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&heard.stdout).trim(), "MODIFY");
    shows(&laptop, "Notes/Garden.md", "garlic\nroses\n");
}

/// Guards against a password or a ticket that is kept: neither lies in any file of either device, nor does a note's text.
#[test]
fn nothing_secret_lies_anywhere() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    let ticket = invite(&desk);
    let laptop = Stage::new();
    join(&laptop, &ticket, "laptop").gives(0);
    settle(&laptop);
    laptop.mount();
    fs::write(at(&desk, "Notes/Secret.md"), "canary-of-a-note\n").unwrap();
    shows(&laptop, "Notes/Secret.md", "canary-of-a-note\n");
    for stage in [&desk, &laptop] {
        stage.run(&["lock"]).gives(0);
        for name in ["v", "state", "config", "run", "home", "data"] {
            for file in files(&stage.path(name)) {
                let bytes = fs::read(&file).unwrap_or_default();
                for secret in ["canary-of-a-note", PASSWORD, &ticket[10..40]] {
                    let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                    assert!(!found, "{} holds {secret}", file.display());
                }
            }
        }
    }
}

/// A ticket that is good for so many seconds.
fn invite_for(by: &Stage, span: &str) -> Value {
    let said = by.run(&["--json", "device", "invite", "--for", span]).gives(0);
    said.json()
}

/// Guards a ticket's end, and its one use, while the same daemon hears guests by other tickets: who comes with an expired or a used one is told no, by its line and by its words, makes
/// nothing, and is no device; and the tickets that are open stay so.
#[test]
fn an_expired_and_a_used_ticket_are_refused_while_others_are_open() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    for wrong in ["0s", "16m", "1h", "never", "soon"] {
        desk.run(&["device", "invite", "--no-wait", "--for", wrong])
            .gives(2);
    }
    let short = invite_for(&desk, "2s");
    let until: jiff::Timestamp = short["expires"].as_str().unwrap().parse().unwrap();
    let left = until.duration_since(jiff::Timestamp::now()).as_millis();
    assert!((0..=2_000).contains(&left), "{left} ms are left");
    // By the first device the desk comes to listen, and by another ticket it goes on hearing guests.
    let used = invite(&desk);
    join(&Stage::new(), &used, "laptop").gives(0);
    let open = invite(&desk);
    common::until("the ticket is over", || jiff::Timestamp::now() > until);
    let thief = Stage::new();
    for ticket in [short["ticket"].as_str().unwrap(), &used] {
        let said = join(&thief, ticket, "thief").gives(1);
        println!("{}", said.err);
        assert!(
            said.err.contains("does not take this ticket") && said.err.contains("used up, or has expired"),
            "{}",
            said.err
        );
        assert!(
            !thief.vault().exists() || fs::read_dir(thief.vault()).unwrap().next().is_none(),
            "nothing was made"
        );
    }
    let sync = sync(&desk);
    assert_eq!(sync["error"], "a device tried to pair without a good ticket");
    assert_eq!(list(&desk).len(), 2);
    join(&thief, &open, "phone").gives(0);
    assert_eq!(list(&desk).len(), 3);
}

/// Guards the door: with nothing open but a ticket that ended, nobody is heard.
#[test]
fn when_the_last_ticket_ends_nobody_is_heard() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    let ticket = invite_for(&desk, "1s");
    let until: jiff::Timestamp = ticket["expires"].as_str().unwrap().parse().unwrap();
    common::until("the ticket is over", || {
        jiff::Timestamp::now() > until + jiff::SignedDuration::from_secs(2)
    });
    let thief = Stage::new();
    let said = join(&thief, ticket["ticket"].as_str().unwrap(), "thief").gives(1);
    println!("{}", said.err);
    assert!(
        !said.err.contains("does not take this ticket"),
        "it was heard: {}",
        said.err
    );
    assert_eq!(list(&desk).len(), 1);
}
