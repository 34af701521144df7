//! `coffer import --watch` through the built program: what is taken in and when, under which name, what
//! is removed, and how it ends.

mod common;
mod mounted;

use common::{PASSWORD, Stage, cannot_mount, kill, lives, until};
use mounted::Heard;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// An inbox that is watched.
fn watch(stage: &Stage, more: &[&str]) -> Heard {
    fs::create_dir_all(stage.path("in")).unwrap();
    let mut args = vec!["import", "--watch", "in"];
    args.extend(more);
    let mut heard = Heard::start(stage.command(&args));
    heard.until("it watches", |line| line.starts_with("Watching"));
    heard
}

fn inbox(stage: &Stage, name: &str) -> PathBuf {
    stage.path("in").join(name)
}

/// Ends it; its exit code, and what it said since.
fn end(mut heard: Heard, signal: i32) -> (i32, Vec<String>) {
    kill(heard.child.id(), signal);
    let code = heard.child.wait().unwrap().code().unwrap_or(-1);
    let said = heard.rest();
    (code, said)
}

/// Guards what is taken in: what lay there, what is copied, written slowly, moved in with its folder, and
/// what gets its real name; never half of it, and never what is not finished.
#[test]
fn what_appears_is_taken_in_whole() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    fs::create_dir(stage.path("in")).unwrap();
    fs::write(inbox(&stage, "there before"), "lay there").unwrap();
    let mut heard = watch(&stage, &["--into", "Files/Inbox"]);
    let at = |name: &str| stage.path("mnt/Files/Inbox").join(name);
    heard.until("what lay there", |line| line == "Taken in: there before (9 B)");
    assert_eq!(fs::read_to_string(at("there before")).unwrap(), "lay there");

    // Slowly, with pauses that are longer than a moment.
    let mut slow = fs::File::create(inbox(&stage, "slow")).unwrap();
    for _ in 0..4 {
        slow.write_all(&[b'x'; 50_000]).unwrap();
        std::thread::sleep(Duration::from_millis(900));
        assert!(!at("slow").exists(), "half of it is taken in");
    }
    drop(slow);
    heard.until("it is closed", |line| line.starts_with("Taken in: slow"));
    assert_eq!(fs::metadata(at("slow")).unwrap().len(), 200_000);

    // A browser's way.
    fs::write(inbox(&stage, "film.mkv.part"), "film").unwrap();
    fs::write(inbox(&stage, ".#lock"), "lock").unwrap();
    // Somebody's folder, moved in with all that is in it.
    fs::create_dir_all(stage.path("prepared/deep/er")).unwrap();
    fs::write(stage.path("prepared/deep/er/note"), "deep").unwrap();
    fs::write(stage.path("prepared/scan.pdf"), "pdf").unwrap();
    fs::rename(stage.path("prepared"), inbox(&stage, "prepared")).unwrap();
    heard.until("the folder's", |line| {
        line.starts_with("Taken in: prepared/deep/er/note")
    });
    until("both are there", || at("prepared/scan.pdf").exists());
    assert_eq!(fs::read_to_string(at("prepared/deep/er/note")).unwrap(), "deep");
    fs::rename(inbox(&stage, "film.mkv.part"), inbox(&stage, "film.mkv")).unwrap();
    heard.until("the film", |line| line.starts_with("Taken in: film.mkv"));

    // A name that something else has: in the vault, and from an earlier time here.
    fs::write(at("mine.txt"), "mine").unwrap();
    fs::write(inbox(&stage, "mine.txt"), "from outside").unwrap();
    heard.until("under a number", |line| {
        line == "Taken in: mine.txt as mine (2).txt (12 B)"
    });
    fs::write(inbox(&stage, "mine.txt"), "once more").unwrap();
    heard.until("under another", |line| {
        line == "Taken in: mine.txt as mine (3).txt (9 B)"
    });
    assert_eq!(fs::read_to_string(at("mine.txt")).unwrap(), "mine");
    let names = || fs::read_dir(stage.path("mnt/Files/Inbox")).unwrap().count();
    let before = names();
    let (code, said) = end(heard, libc::SIGINT);
    assert_eq!(code, 0, "{said:?}");
    assert!(
        said.iter().any(|line| line.starts_with("Taken in: 7 files new")),
        "{said:?}"
    );

    // What lies there still is not taken in again, though nothing is remembered.
    let mut heard = watch(&stage, &["--into", "Files/Inbox"]);
    fs::write(inbox(&stage, "last"), "last").unwrap();
    let heard_since = heard.until("the last", |line| line.starts_with("Taken in: last"));
    assert_eq!(heard_since.len(), 1, "{heard_since:?}");
    assert_eq!(names(), before + 1);
    assert!(fs::read_dir(stage.path("in")).unwrap().count() > 5, "it stays");
    let (code, _) = end(heard, libc::SIGTERM);
    assert_eq!(code, 0);
    assert!(!at("film.mkv.part").exists() && !at(".#lock").exists());
}

/// Guards --remove: only what the vault has, durably, though the daemon is killed in the next moment;
/// not what somebody still writes to.
#[test]
fn what_is_removed_is_in_the_vault() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    for round in 0..5 {
        let daemon = stage.mount();
        let mut heard = watch(&stage, &["--remove"]);
        let bytes: Vec<u8> = (0..100_000_u32)
            .map(|i| (i.wrapping_mul(i + round) >> 5) as u8)
            .collect();
        let name = format!("file-{round}");
        fs::write(inbox(&stage, &name), &bytes).unwrap();
        let mut open = fs::File::create(inbox(&stage, "open")).unwrap();
        open.write_all(b"first").unwrap();
        until("it is removed", || !inbox(&stage, &name).exists());
        kill(daemon, libc::SIGKILL);
        until("it is gone", || !lives(daemon));
        heard.until("it says so", |line| line.contains("The vault was locked"));
        assert_eq!(heard.child.wait().unwrap().code(), Some(9));
        assert!(inbox(&stage, "open").exists(), "somebody writes to it");
        drop(open);
        fs::remove_file(inbox(&stage, "open")).unwrap();
        stage.mount();
        assert_eq!(fs::read(stage.mnt().join(&name)).unwrap(), bytes);
        stage.run(&["lock"]).gives(0);
    }
    assert!(fs::read_dir(stage.path("in")).unwrap().next().is_none());
}

/// Guards what fails: said once, tried again until it works.
#[test]
fn what_fails_is_tried_again() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    fs::write(stage.path("mnt/Files/Scans"), "in the way").unwrap();
    fs::create_dir_all(inbox(&stage, "Scans")).unwrap();
    fs::write(inbox(&stage, "Scans/one"), "1").unwrap();
    let mut heard = watch(&stage, &["--into", "Files"]);
    heard.until("it says so", |line| {
        line.starts_with("Not taken in yet: Scans/one:")
    });
    // Twice at least: after one second and two.
    std::thread::sleep(Duration::from_millis(3500));
    assert_eq!(heard.so_far(), Vec::<String>::new(), "said once");
    fs::rename(stage.path("mnt/Files/Scans"), stage.path("mnt/Files/elsewhere")).unwrap();
    heard.until("it is taken in", |line| line.starts_with("Taken in: Scans/one"));
    assert_eq!(
        fs::read_to_string(stage.path("mnt/Files/Scans/one")).unwrap(),
        "1"
    );
    // A polite end while it watches: it keeps nothing busy.
    stage.run(&["lock"]).gives(0);
    heard.until("it says why it ends", |line| {
        line.contains("The vault was locked")
    });
    assert_eq!(heard.child.wait().unwrap().code(), Some(9));
}

/// Guards the same where nobody holds the vault, for programs, and what cannot be an inbox.
#[test]
fn without_a_daemon() {
    let stage = Stage::with_vault();
    fs::write(stage.path("password"), PASSWORD).unwrap();
    fs::create_dir(stage.path("in")).unwrap();
    fs::write(inbox(&stage, "note"), "note").unwrap();
    let args = [
        "import",
        "--watch",
        "in",
        "--remove",
        "--json",
        "--password-file",
        "password",
    ];
    let mut heard = Heard::start(stage.command(&args));
    let lines = heard.until("the note", |line| line.contains("\"removed\":true"));
    let line: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(
        (&line["taken"]["name"], &line["taken"]["is_new"]),
        (&"note".into(), &true.into())
    );
    let (code, said) = end(heard, libc::SIGTERM);
    assert_eq!(code, 0, "{said:?}");
    let sum: serde_json::Value = serde_json::from_str(said.last().unwrap()).unwrap();
    assert_eq!((&sum["new_files"], &sum["removed"]), (&1.into(), &1.into()));
    stage.open(&["export", "note", "out"]).gives(0);
    assert_eq!(fs::read_to_string(stage.path("out/note")).unwrap(), "note");
    for wrong in [
        &["import", "--watch", "in", "out"][..],
        &["import", "--watch", "."],
        &["import", "--watch", "v"],
        &["import", "--remove", "in"],
    ] {
        stage.open(wrong).gives(2);
    }
}
