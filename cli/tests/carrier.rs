//! Two devices whose networks are off, and a carried folder: the built program, by hand and by itself. Skipped, with a word, where nothing
//! can be mounted.

mod common;

use common::{PASSWORD, Stage, cannot_mount, files, kill, until};
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];

/// Two devices that have met once, on loopback, and from then on never again.
fn two() -> (Stage, Stage) {
    let desk = Stage::with_vault();
    let laptop = Stage::new();
    for (key, value) in [
        ("sync-listen", "/ip4/127.0.0.1/tcp/0"),
        ("sync-mdns", "off"),
        ("sync-dht", "off"),
    ] {
        desk.run(&["settings", key, value]).gives(0);
    }
    desk.mount();
    let ticket = desk.run(&["--json", "device", "invite"]).gives(0).json()["ticket"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut args = vec!["device", "join", &ticket, "--name", "laptop"];
    args.extend(QUICK);
    laptop.open(&args).gives(0);
    for stage in [&desk, &laptop] {
        stage.run(&["settings", "sync", "off"]).gives(0);
    }
    laptop.mount();
    (desk, laptop)
}

fn at(stage: &Stage, path: &str) -> PathBuf {
    stage.mnt().join(path)
}

fn text(stage: &Stage, path: &str) -> String {
    fs::read_to_string(at(stage, path)).unwrap_or_default()
}

fn via(stage: &Stage, dir: &Path) -> Value {
    stage
        .run(&["--json", "sync", "--via", dir.to_str().unwrap()])
        .gives(0)
        .json()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// Saves whatever is in the mount: what is at rest is told.
#[track_caller]
fn both_show(stages: [&Stage; 2], dir: &Path, path: &str, wanted: &str) {
    until(&format!("{path} shows {wanted:?} on both"), || {
        for stage in stages {
            via(stage, dir);
        }
        stages.iter().all(|stage| text(stage, path) == wanted)
    });
}

/// Guards the whole way by hand: a note both ways, a merge, a large file, a daemon killed in the midst, garbage, a locked vault; and at the end
/// what a stranger finds.
#[test]
fn a_stick_goes_between_two_mounts() {
    if cannot_mount() {
        return;
    }
    let (desk, laptop) = two();
    let stick = tempfile::tempdir().unwrap();
    fs::write(
        at(&desk, "Notes/Garden-canary.md"),
        "one canary-of-a-note\n\ntwo\n\nthree\n",
    )
    .unwrap();
    let photo = noise(20 << 20);
    fs::write(at(&desk, "Files/photo.jpg"), &photo).unwrap();
    let said = desk.run(&["sync", "--via", "/nowhere/at/all"]).gives(9);
    assert!(said.err.contains("no folder /nowhere/at/all"), "{}", said.err);
    let inside = desk.vault();
    desk.run(&["sync", "--via", inside.to_str().unwrap()]).gives(2);
    for inside in [inside, desk.mnt().join("stick")] {
        let said = desk
            .run(&["settings", "sync-via", inside.to_str().unwrap()])
            .gives(2);
        assert!(said.err.contains("outside"), "{}", said.err);
    }

    // Killed in the midst: whatever lies there then is no false word, and nothing is lost.
    let mut asked = desk.command(&["sync", "--via", stick.path().to_str().unwrap()]);
    let mut asking = asked
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    until("something lies there", || !files(stick.path()).is_empty());
    let daemon = pid(&desk);
    kill(daemon, libc::SIGKILL);
    let _ = asking.wait();
    until("it is gone", || !common::lives(daemon));
    desk.mount();
    let half = via(&laptop, stick.path());
    assert_eq!(half["notes"].as_array().unwrap().len(), 0, "{half}");

    let gave = via(&desk, stick.path());
    assert_eq!(gave["folder"]["waiting"][0]["device"], "laptop", "{gave}");
    let said = desk
        .run(&["sync", "--via", stick.path().to_str().unwrap()])
        .gives(0);
    assert!(said.out.contains("there for laptop"), "{}", said.out);
    // A stranger's look, while all of it lies there.
    stranger(&[&desk, &laptop], stick.path());
    let took = via(&laptop, stick.path());
    assert_eq!(took["folder"]["lacking"], 0, "{took}");
    until("the note", || {
        text(&laptop, "Notes/Garden-canary.md").contains("canary-of-a-note")
    });
    until("the photo", || {
        fs::read(at(&laptop, "Files/photo.jpg")).is_ok_and(|bytes| bytes == photo)
    });

    // Both edit, one file is torn, garbage lies around.
    fs::write(at(&desk, "Notes/Garden-canary.md"), "one here\n\ntwo\n\nthree\n").unwrap();
    fs::write(
        at(&laptop, "Notes/Garden-canary.md"),
        "one canary-of-a-note\n\ntwo\n\nthree there\n",
    )
    .unwrap();
    via(&laptop, stick.path());
    let lying = files(stick.path());
    fs::write(&lying[0], b"garbage").unwrap();
    let folder = lying[0].parent().unwrap();
    fs::write(folder.join("a (conflicted copy).bin"), b"garbage").unwrap();
    fs::write(folder.join("00112233445566778899aabbccddeeff"), noise(50_000)).unwrap();
    let merged = "one here\n\ntwo\n\nthree there\n";
    both_show([&desk, &laptop], stick.path(), "Notes/Garden-canary.md", merged);

    // Locked, it asks for the password.
    fs::write(at(&desk, "Notes/Later.md"), "later\n").unwrap();
    desk.run(&["lock"]).gives(0);
    laptop.run(&["lock"]).gives(0);
    desk.run(&["sync", "--via", stick.path().to_str().unwrap(), "--watch"])
        .gives(9);
    for stage in [&desk, &laptop] {
        stage
            .open(&["sync", "--via", stick.path().to_str().unwrap()])
            .gives(0);
    }
    laptop.mount();
    until("the later note", || text(&laptop, "Notes/Later.md") == "later\n");
    laptop.run(&["lock"]).gives(0);
    for stage in [&desk, &laptop] {
        stage.open(&["check", "--read-data"]).gives(0);
    }
    stranger(&[&desk, &laptop], stick.path());
}

fn pid(stage: &Stage) -> u32 {
    let status = stage.run(&["--json", "status"]).gives(0).json();
    u32::try_from(status["mount"]["pid"].as_u64().unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
        .collect()
}

/// Nothing of the vault is in any name or byte: no text, name, path, password; no id of vault or device, as bytes or digits.
#[track_caller]
fn stranger(stages: &[&Stage], dir: &Path) {
    let mut secret: Vec<Vec<u8>> = [
        "canary-of-a-note",
        "Garden",
        "canary",
        "photo.jpg",
        "laptop",
        PASSWORD,
        "coffer",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for stage in stages {
        // A locked vault says no more than its id.
        let status = stage.run(&["--json", "status"]);
        let id = status.json()["vault_id"].as_str().unwrap_or_default().to_owned();
        let devices = stage.run(&["--json", "device", "list"]).out;
        let ids = devices.lines().filter_map(|line| {
            Some(
                serde_json::from_str::<Value>(line).ok()?["id"]
                    .as_str()?
                    .to_owned(),
            )
        });
        for id in ids.chain((!id.is_empty()).then_some(id)) {
            secret.push(unhex(&id));
            secret.push(unhex(&id)[..8].to_vec());
            secret.push(id.as_bytes()[..16].to_vec());
        }
    }
    assert!(secret.len() > 10);
    let all = files(dir);
    assert!(!all.is_empty());
    let mut counts = [0u64; 256];
    for file in &all {
        let ours = file.file_name().unwrap().to_str().unwrap();
        if ours.contains("conflicted") || ours.starts_with("0011") || fs::read(file).unwrap() == b"garbage" {
            continue;
        }
        let name = file.strip_prefix(dir).unwrap().to_str().unwrap();
        assert!(
            name.split('/')
                .all(|part| part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit())),
            "{name}"
        );
        let bytes = fs::read(file).unwrap();
        bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        for secret in &secret {
            let is_in = |text: &[u8]| text.windows(secret.len()).any(|part| part == secret);
            assert!(
                !is_in(&bytes) && !is_in(name.as_bytes()),
                "{name} holds {secret:02x?}"
            );
        }
    }
    // And it looks like chance: no byte is more frequent than others. With so many, one in a million million runs would be so.
    let total: u64 = counts.iter().sum();
    let mean = total as f64 / 256.0;
    let far = counts
        .iter()
        .map(|count| (*count as f64 - mean).abs())
        .fold(0.0, f64::max);
    assert!(far < 8.5 * mean.sqrt() + 1.0, "{far} of {mean}");
}

/// Guards the folder that is looked after: what one saves comes to the other without a word; one that goes away is waited for, and none is begun
/// in its place.
#[test]
fn a_shared_folder_is_looked_after() {
    if cannot_mount() {
        return;
    }
    let (desk, laptop) = two();
    let cloud = tempfile::tempdir().unwrap();
    let dir = cloud.path().join("shared");
    let name = dir.to_str().unwrap();
    for stage in [&desk, &laptop] {
        stage.run(&["settings", "sync-via", "not/whole"]).gives(2);
        stage.run(&["settings", "sync-via", name]).gives(0);
    }
    let folder = |stage: &Stage| stage.run(&["--json", "sync"]).gives(0).json()["folders"][0].clone();
    assert_eq!(folder(&desk)["there"], false);
    assert_eq!(
        folder(&desk)["error"],
        Value::Null,
        "that it is not there is no trouble"
    );
    fs::create_dir(&dir).unwrap();
    fs::write(at(&desk, "Notes/One.md"), "one\n").unwrap();
    until("the laptop shows what the desk wrote", || {
        text(&laptop, "Notes/One.md") == "one\n"
    });
    fs::write(at(&laptop, "Notes/One.md"), "one\ntwo\n").unwrap();
    until("and the desk what the laptop did", || {
        text(&desk, "Notes/One.md") == "one\ntwo\n"
    });
    until("nothing waits any more", || {
        let found = folder(&desk);
        found["waiting"].as_array().unwrap().is_empty() && found["there"] == true && !found["last"].is_null()
    });
    let said = desk.run(&["sync"]).gives(0).out;
    assert!(said.contains("exchanged"), "{said}");

    // The stick goes, and another one lies in its place.
    let away = cloud.path().join("away");
    fs::rename(&dir, &away).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(at(&desk, "Notes/Two.md"), "while it was away\n").unwrap();
    until("it is said", || {
        folder(&desk)["error"]
            .as_str()
            .is_some_and(|error| error.contains("no folder of this vault"))
    });
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    fs::remove_dir(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    // A save is a reason to look.
    fs::write(at(&desk, "Notes/Three.md"), "and back\n").unwrap();
    fs::write(at(&laptop, "Notes/Four.md"), "by the laptop\n").unwrap();
    until("it goes on", || {
        text(&laptop, "Notes/Two.md") == "while it was away\n"
    });
    assert_eq!(folder(&desk)["error"], Value::Null);

    // Somebody makes it lead into the vault itself.
    let away = cloud.path().join("away");
    fs::rename(&dir, &away).unwrap();
    std::os::unix::fs::symlink(at(&desk, "Notes"), &dir).unwrap();
    fs::write(at(&desk, "Notes/Five.md"), "a reason to look\n").unwrap();
    until("it is refused", || {
        folder(&desk)["error"]
            .as_str()
            .is_some_and(|error| error.contains("lies in the vault itself"))
    });
    assert!(
        files(&at(&desk, "Notes"))
            .iter()
            .all(|file| file.extension().is_some())
    );
    for stage in [&desk, &laptop] {
        stage.run(&["lock"]).gives(0);
        stage.open(&["check"]).gives(0);
    }
}

/// Guards real disks: one that is full says so and keeps what was complete, one that can only be read gives, and with room again all comes.
#[test]
fn a_stick_is_full_or_can_only_be_read() {
    if cannot_mount() {
        return;
    }
    let (desk, laptop) = two();
    let stick = desk.path("stick");
    fs::create_dir(&stick).unwrap();
    let mount = |options: &str| {
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&stick)
            .status();
        assert!(done.unwrap().success());
    };
    mount("size=3M");
    fs::write(at(&desk, "Notes/Small.md"), "small\n").unwrap();
    let photo = noise(6 << 20);
    fs::write(at(&desk, "Files/photo.jpg"), &photo).unwrap();
    let name = stick.to_str().unwrap();
    let said = desk.run(&["sync", "--via", name]).gives(8);
    assert!(said.err.contains("no room for"), "{}", said.err);
    assert!(said.out.contains("there for laptop"), "{}", said.out);
    mount("remount,ro,size=3M");
    fs::write(at(&laptop, "Mine.md"), "by the laptop\n").unwrap();
    let took = via(&laptop, &stick);
    assert_eq!(
        (
            took["folder"]["read_only"].clone(),
            took["folder"]["error"].clone()
        ),
        (true.into(), Value::Null)
    );
    assert!(took["took"]["events"].as_u64().unwrap() > 0 && took["folder"]["lacking"].as_u64().unwrap() > 0);
    until("the small one", || text(&laptop, "Notes/Small.md") == "small\n");
    mount("remount,rw,size=40M");
    via(&desk, &stick);
    via(&laptop, &stick);
    until("the photo", || {
        fs::read(at(&laptop, "Files/photo.jpg")).is_ok_and(|bytes| bytes == photo)
    });
    via(&desk, &stick);
    until("what the laptop wrote", || {
        text(&desk, "Mine.md") == "by the laptop\n"
    });
}
