//! A device that keeps names and texts beside one that keeps everything, as daemons with mounts of their own: bytes that
//! come when they are read and go again, what nobody can be asked for, pins, and a connection on which each byte costs. Skipped, with
//! a word, where nothing can be mounted.

mod common;

use common::{Stage, cannot_mount, kill, until};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];
/// What must not take long, on a machine on which others work, too.
const SOON: Duration = Duration::from_secs(1);

fn settle(stage: &Stage) {
    for (key, value) in [
        ("sync-listen", "/ip4/127.0.0.1/tcp/0"),
        ("sync-mdns", "off"),
        ("sync-dht", "off"),
    ] {
        stage.run(&["settings", key, value]).gives(0);
    }
}

fn desk() -> Stage {
    let stage = Stage::with_vault();
    settle(&stage);
    stage.mount();
    stage
}

/// A second one, which keeps names and texts; its daemon's process.
fn laptop(by: &Stage, settings: &[(&str, &str)]) -> (Stage, u32) {
    let said = by.run(&["--json", "device", "invite"]).gives(0);
    let ticket = said.json()["ticket"].as_str().unwrap().to_owned();
    let stage = Stage::new();
    let mut args = vec!["device", "join", &ticket, "--name", "laptop"];
    args.extend(QUICK);
    stage.open(&args).gives(0);
    settle(&stage);
    stage.run(&["sync", "--policy", "texts"]).gives(0);
    for (key, value) in settings {
        stage.run(&["settings", key, value]).gives(0);
    }
    let daemon = stage.mount();
    (stage, daemon)
}

fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn at(stage: &Stage, path: &str) -> PathBuf {
    stage.mnt().join(path)
}

fn sync(stage: &Stage) -> Value {
    stage.run(&["--json", "sync"]).gives(0).json()
}

fn absent(stage: &Stage) -> u64 {
    sync(stage)["keeping"]["absent"].as_u64().unwrap()
}

/// Its name and size are there.
#[track_caller]
fn is_named(stage: &Stage, path: &str, size: usize) {
    until(&format!("{path} has its name"), || {
        fs::metadata(at(stage, path)).is_ok_and(|meta| meta.len() == size as u64)
    });
}

/// Both have all that the other told.
#[track_caller]
fn is_told(one: &Stage, two: &Stage) {
    until("both know the same", || {
        [one, two].iter().all(|stage| {
            let device = &sync(stage)["devices"][0];
            device["connected"] == true && device["behind"] == 0 && device["ahead"] == 0
        })
    });
}

/// Something comes back before long, whatever else waits.
#[track_caller]
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    done
}

/// Guards names without bytes; bytes that come when they are read, by read(2), in the midst, by a copy; the error where nobody can be
/// asked, at once and in words, while all else goes on; and that a kill in the midst loses nothing.
#[test]
fn bytes_come_when_they_are_read() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    let (film, photo) = (noise(1, 6 << 20), noise(2, 3 << 20));
    fs::write(at(&desk, "Files/film.mkv"), &film).unwrap();
    fs::write(at(&desk, "Files/photo.jpg"), &photo).unwrap();
    fs::write(at(&desk, "Files/other.jpg"), &photo[1..]).unwrap();
    fs::write(at(&desk, "Notes/Garden.md"), "garlic\n".repeat(20_000)).unwrap();
    let (laptop, daemon) = laptop(&desk, &[]);
    is_named(&laptop, "Files/film.mkv", film.len());
    is_named(&laptop, "Files/photo.jpg", photo.len());
    is_named(&laptop, "Files/other.jpg", photo.len() - 1);
    until("the note is there, in whole", || {
        fs::read_to_string(at(&laptop, "Notes/Garden.md")).is_ok_and(|text| text == "garlic\n".repeat(20_000))
    });
    assert_eq!(absent(&laptop), (film.len() + 2 * photo.len() - 1) as u64);
    assert_eq!(sync(&laptop)["keeping"]["policy"], "texts");
    // What is shown of a connection comes a moment after it.
    until("the desk is said to keep everything", || {
        sync(&laptop)["devices"][0]["keeps_everything"] == true
    });
    // In the midst, and the end of it; then all.
    let mut file = File::open(at(&laptop, "Files/film.mkv")).unwrap();
    let mut some = [0; 1000];
    file.seek(SeekFrom::Start(4 << 20)).unwrap();
    file.read_exact(&mut some).unwrap();
    assert_eq!(some[..], film[4 << 20..(4 << 20) + 1000]);
    assert!(
        absent(&laptop) > 2 * photo.len() as u64,
        "not all of it was fetched"
    );
    assert!(fs::read(at(&laptop, "Files/film.mkv")).unwrap() == film);
    // A copy of what is not here.
    fs::copy(at(&laptop, "Files/photo.jpg"), at(&laptop, "Files/copy.jpg")).unwrap();
    is_told(&laptop, &desk);
    assert!(fs::read(at(&desk, "Files/copy.jpg")).unwrap() == photo);
    // The desk is silent: who waits for it holds nobody up.
    let desk_daemon = desk.run(&["--json", "status"]).gives(0).json()["mount"]["pid"]
        .as_u64()
        .unwrap() as u32;
    kill(desk_daemon, libc::SIGSTOP);
    let path = at(&laptop, "Files/other.jpg");
    let reader = std::thread::spawn(move || fs::read(path));
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..3 {
        soon(|| assert_eq!(fs::read_dir(at(&laptop, "Files")).unwrap().count(), 4));
        soon(|| assert!(fs::read(at(&laptop, "Files/film.mkv")).unwrap() == film));
        soon(|| fs::write(at(&laptop, "Notes/New.md"), "new\n").unwrap());
        soon(|| fs::rename(at(&laptop, "Notes/New.md"), at(&laptop, "Notes/Newer.md")).unwrap());
    }
    assert!(!reader.is_finished());
    kill(desk_daemon, libc::SIGCONT);
    assert!(reader.join().unwrap().unwrap() == photo[1..]);
    // A kill in the midst of fetching.
    let more = noise(5, 8 << 20);
    fs::write(at(&desk, "Files/more.bin"), &more).unwrap();
    is_named(&laptop, "Files/more.bin", more.len());
    let path = at(&laptop, "Files/more.bin");
    let reader = std::thread::spawn(move || fs::read(path));
    std::thread::sleep(Duration::from_millis(30));
    kill(daemon, libc::SIGKILL);
    let _ = reader.join();
    until("the mount is dead", || laptop.processes().is_empty());
    laptop.mount();
    assert!(fs::read(at(&laptop, "Files/film.mkv")).unwrap() == film);
    until("the rest comes", || {
        fs::read(at(&laptop, "Files/more.bin")).is_ok_and(|bytes| bytes == more)
    });
    // Nobody is there.
    let last = noise(6, 2 << 20);
    fs::write(at(&desk, "Files/last.bin"), &last).unwrap();
    is_named(&laptop, "Files/last.bin", last.len());
    desk.run(&["lock"]).gives(0);
    until("the desk is gone", || {
        sync(&laptop)["devices"][0]["connected"] == false
    });
    let refused = soon(|| fs::read(at(&laptop, "Files/last.bin")).unwrap_err());
    assert_eq!(refused.raw_os_error(), Some(libc::EHOSTUNREACH), "{refused}");
    soon(|| assert!(fs::read(at(&laptop, "Files/more.bin")).unwrap() == more));
    let status = laptop.run(&["status"]).gives(0).out;
    assert!(
        status.contains("last.bin: no device that has its bytes is connected"),
        "{status}"
    );
    // Renamed, it is the same; what is put in its place needs nobody.
    fs::rename(at(&laptop, "Files/last.bin"), at(&laptop, "Files/renamed.bin")).unwrap();
    let exported = laptop.path("out");
    let said = laptop
        .run(&["export", "/Files", exported.to_str().unwrap()])
        .gives(11);
    assert!(said.out.contains("renamed.bin"), "{}", said.out);
    fs::write(at(&laptop, "Files/renamed.bin"), "short").unwrap();
    desk.mount();
    // On another port, where nobody has met it yet.
    until("the desk listens", || !sync(&desk)["listening"][0].is_null());
    let listening = sync(&desk)["listening"][0].as_str().unwrap().to_owned();
    laptop.run(&["sync", "--peer", &listening]).gives(0);
    until("the desk shows it", || {
        fs::read(at(&desk, "Files/renamed.bin")).is_ok_and(|bytes| bytes == b"short")
    });
    laptop.run(&["sync", "--policy", "everything"]).gives(0);
    until("everything is there", || {
        let keeping = &sync(&laptop)["keeping"];
        keeping["policy"] == "everything" && keeping["absent"] == 0 && keeping.get("kept").is_none()
    });
    for stage in [&desk, &laptop] {
        stage.run(&["lock"]).gives(0);
        stage.open(&["check", "--read-data"]).gives(0);
    }
}

/// Guards that nobody who waits for a silent device holds up a forced lock, and that who waits is told.
#[test]
fn a_forced_lock_ends_the_wait() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    fs::write(at(&desk, "Files/film.mkv"), noise(40, 2 << 20)).unwrap();
    let (laptop, _) = laptop(&desk, &[]);
    is_named(&laptop, "Files/film.mkv", 2 << 20);
    is_told(&laptop, &desk);
    let status = desk.run(&["--json", "status"]).gives(0).json();
    let desk_daemon = u32::try_from(status["mount"]["pid"].as_u64().unwrap()).unwrap();
    kill(desk_daemon, libc::SIGSTOP);
    let path = at(&laptop, "Files/film.mkv");
    let (tell, told) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut file = File::open(path).unwrap();
        tell.send(()).unwrap();
        file.read_exact(&mut [0; 4096])
    });
    told.recv().unwrap();
    let begun = Instant::now();
    laptop.run(&["lock", "--force"]).gives(0);
    assert!(reader.join().unwrap().is_err());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    kill(desk_daemon, libc::SIGCONT);
}

/// Guards the limit, pins of files and folders and what comes into them, and that what is given up can be had again.
#[test]
fn a_limit_holds_and_pins_stay() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    let all: Vec<Vec<u8>> = (0..6).map(|n| noise(10 + n, 2 << 20)).collect();
    fs::create_dir(at(&desk, "Files/kept")).unwrap();
    for (n, bytes) in all.iter().enumerate() {
        fs::write(at(&desk, &format!("Files/{n}.bin")), bytes).unwrap();
    }
    fs::write(at(&desk, "Files/kept/one.bin"), noise(20, 1 << 20)).unwrap();
    let (laptop, _) = laptop(&desk, &[("sync-keep", "5MiB")]);
    is_named(&laptop, "Files/5.bin", 2 << 20);
    is_named(&laptop, "Files/kept/one.bin", 1 << 20);
    laptop.run(&["pin", "mnt/Files/kept", "mnt/Files/0.bin"]).gives(0);
    let listed = laptop.run(&["--json", "pin"]).gives(0).json();
    assert_eq!(listed["pins"][0]["path"], "Files/0.bin");
    assert_eq!(listed["pins"][1]["folder"], true);
    let whole = (6 * (2 << 20) + (1 << 20)) as u64;
    until("what is pinned comes", || absent(&laptop) == whole - (3 << 20));
    fs::write(at(&desk, "Files/kept/two.bin"), noise(21, 100_000)).unwrap();
    is_named(&laptop, "Files/kept/two.bin", 100_000);
    until("what comes into it comes, too", || {
        absent(&laptop) == whole - (3 << 20) && sync(&laptop)["keeping"]["pinned"] == 3
    });
    fs::rename(at(&laptop, "Files/0.bin"), at(&laptop, "Files/zero.bin")).unwrap();
    for (n, bytes) in all.iter().enumerate().skip(1) {
        assert!(fs::read(at(&laptop, &format!("Files/{n}.bin"))).unwrap() == *bytes);
    }
    is_told(&laptop, &desk);
    until("no more than the limit is kept", || {
        sync(&laptop)["keeping"]["kept"].as_u64().unwrap() <= 5 << 20
    });
    desk.run(&["sync", "--pause"]).gives(0);
    laptop.run(&["sync", "--pause"]).gives(0);
    assert!(
        fs::read(at(&laptop, "Files/zero.bin")).unwrap() == all[0],
        "what is pinned stays"
    );
    assert!(fs::read(at(&laptop, "Files/kept/one.bin")).unwrap() == noise(20, 1 << 20));
    laptop.run(&["sync", "--resume"]).gives(0);
    desk.run(&["sync", "--resume"]).gives(0);
    until("what was given up is there again", || {
        (1..6).all(|n| fs::read(at(&laptop, &format!("Files/{n}.bin"))).is_ok_and(|bytes| bytes == all[n]))
    });
    let listed = laptop
        .run(&["--json", "unpin", "mnt/Files/zero.bin"])
        .gives(0)
        .json();
    assert_eq!(
        (
            listed["changed"].clone(),
            listed["pins"].as_array().unwrap().len()
        ),
        (1.into(), 1)
    );
    // Nobody keeps everything any more: nothing goes.
    desk.run(&["sync", "--policy", "texts"]).gives(0);
    until("it is seen", || {
        sync(&laptop)["devices"][0]["keeps_everything"] == false
    });
    let said = laptop.run(&["sync", "--limit", "1MiB"]).gives(0);
    assert!(
        said.out.contains("nothing is given up here until one is"),
        "{}",
        said.out
    );
    for stage in [&laptop, &desk] {
        stage.run(&["lock"]).gives(0);
        stage.open(&["check", "--read-data"]).gives(0);
    }
    // What is not here is no damage, and is said.
    laptop.mount();
    let report = laptop.run(&["--json", "check"]).gives(0).json();
    assert!(report["problems"].as_array().unwrap().is_empty(), "{report}");
}

/// Guards a connection on which each byte costs: names and texts come, a file's bytes only for who reads it, pinned or not.
#[test]
fn a_metered_device_spares_bytes() {
    if cannot_mount() {
        return;
    }
    let desk = desk();
    let photo = noise(30, 2 << 20);
    fs::write(at(&desk, "Files/photo.jpg"), &photo).unwrap();
    let (laptop, _) = laptop(&desk, &[("sync-metered", "on"), ("sync-policy", "everything")]);
    fs::write(at(&desk, "Notes/Today.md"), "words\n").unwrap();
    until("the note comes", || {
        fs::read_to_string(at(&laptop, "Notes/Today.md")).is_ok_and(|text| text == "words\n")
    });
    is_told(&laptop, &desk);
    assert!(
        !at(&laptop, "Files/photo.jpg").exists(),
        "it keeps everything, and waits"
    );
    laptop.run(&["sync", "--policy", "texts"]).gives(0);
    is_named(&laptop, "Files/photo.jpg", photo.len());
    laptop.run(&["pin", "mnt/Files/photo.jpg"]).gives(0);
    assert!(sync(&laptop)["metered"] == true);
    until("it is counted", || absent(&laptop) == photo.len() as u64);
    // What else is told comes meanwhile.
    fs::write(at(&desk, "Notes/Later.md"), "more\n").unwrap();
    until("the other note comes", || {
        fs::read_to_string(at(&laptop, "Notes/Later.md")).is_ok_and(|text| text == "more\n")
    });
    is_told(&laptop, &desk);
    assert_eq!(absent(&laptop), photo.len() as u64);
    assert!(
        fs::read(at(&laptop, "Files/photo.jpg")).unwrap() == photo,
        "somebody waits"
    );
    // The other way: what is here is given to who waits for it alone.
    let own = noise(31, 1 << 20);
    fs::write(at(&laptop, "Files/own.bin"), &own).unwrap();
    is_told(&laptop, &desk);
    assert!(!at(&desk, "Files/own.bin").exists());
    laptop.run(&["sync", "--metered", "off"]).gives(0);
    until("it goes", || {
        fs::read(at(&desk, "Files/own.bin")).is_ok_and(|bytes| bytes == own)
    });
}

/// The only device that has the bytes is not removed by the way, and a backup without them is not called whole.
#[test]
fn what_is_nowhere_else_is_said() {
    if cannot_mount() {
        return;
    }
    let one = desk();
    fs::write(at(&one, "film.mkv"), noise(9, 3 << 20)).unwrap();
    let (two, _) = laptop(&one, &[]);
    is_named(&two, "film.mkv", 3 << 20);
    until("it is known what is not here", || absent(&two) == 3 << 20);
    let backup = two.path("backup");
    let backup = backup.to_str().unwrap();
    let said = two.run(&["--json", "backup", backup]).gives(11).json();
    assert_eq!(
        (said["absent_files"].as_u64(), said["absent_bytes"].as_u64()),
        (Some(1), Some(3 << 20))
    );
    let said = two.run(&["backup", backup]).gives(11);
    assert!(said.out.contains("Not in it: 3.0 MiB of 1 file"), "{}", said.out);
    let list = two.run(&["--json", "device", "list"]).gives(0).out;
    let mut all = list
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let other = all.find(|device| device["this"] == false).unwrap();
    let name = other["name"].as_str().unwrap().to_owned();
    let refused = two.run(&["device", "remove", &name, "--yes"]).gives(1);
    assert!(refused.err.contains("--force"), "{}", refused.err);
    two.run(&["device", "remove", &name, "--yes", "--force"]).gives(0);
}
