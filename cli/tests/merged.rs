//! What a file comes to show by itself, a merge or another device's version, reaches the programs that
//! have it open, though it did not come through the kernel.

mod mounted;

use mounted::device::Device;
use mounted::{Heard, Mounted, PATIENCE, possible};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::Instant;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

fn bytes(file: &fs::File) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let len = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(len);
    bytes
}

/// Guards what the kernel remembers of a note that comes to show a merge: pages, size and times, by its
/// name and through a descriptor that was open before; and those who watch its folder.
#[test]
fn a_merge_reaches_who_has_the_note_open() {
    if !possible(&["inotifywait"]) {
        return;
    }
    let here = Mounted::new();
    fs::write(here.path("note.md"), NOTE).unwrap();
    let mut other = Device::of(&here);
    // The pages, the attributes and the name are in the kernel's memory from here on.
    let open = fs::File::open(here.path("note.md")).unwrap();
    let mut watcher = Heard::inotify(&here.path(""), &["-e", "modify,close_write"]);
    for round in 0..3 {
        let shown = fs::read_to_string(here.path("note.md")).unwrap();
        let line = format!("Ours {round}.\n");
        let ours = garlic(&shown) + &line;
        fs::write(here.path("note.md"), &ours).unwrap();
        watcher.until("our own save", |line| line == "CLOSE_WRITE,CLOSE note.md");
        assert_eq!(fs::read_to_string(here.path("note.md")).unwrap(), ours);
        assert_eq!(bytes(&open), ours.as_bytes());
        let before = fs::metadata(here.path("note.md")).unwrap();

        let theirs = butter(&other.text("note.md")).replace("# Garden", &format!("# Garden {round}"));
        other.save("note.md", &theirs);
        other.send(&here);
        watcher.until("a merge", |line| line == "MODIFY note.md");
        // Pages are forgotten before it is told, and the rest before the next is.
        let merged = fs::read_to_string(here.path("note.md")).unwrap();
        for part in [&line, &format!("# Garden {round}"), "late October", "butter"] {
            assert_eq!(merged.matches(part).count(), 1, "{part:?} in {merged}");
        }
        assert_eq!(bytes(&open), merged.as_bytes());
        watcher.until("the end of it", |line| line == "CLOSE_WRITE,CLOSE note.md");
        here.settle();
        let after = open.metadata().unwrap();
        assert_eq!(after.len(), merged.len() as u64);
        assert_eq!(fs::metadata(here.path("note.md")).unwrap().len(), after.len());
        assert_ne!(after.modified().unwrap(), before.modified().unwrap());
        assert_eq!(after.ino(), before.ino());
        other.hear(&here);
    }
}

/// Guards who follows a note with `tail -f`, and who looks at it every moment.
#[test]
fn who_looks_now_and_then_sees_it() {
    if !possible(&["tail"]) {
        return;
    }
    let here = Mounted::new();
    fs::write(here.path("note.md"), NOTE).unwrap();
    let mut other = Device::of(&here);
    let mut tail = Command::new("tail");
    // On FUSE it does not use inotify, but looks now and then.
    tail.args(["-f", "-s", "0.05", "-n", "+1"])
        .arg(here.path("note.md"));
    let mut tail = Heard::start(tail);
    tail.until("what is there", |line| line == "Buy bread and milk.");
    let open = fs::File::open(here.path("note.md")).unwrap();
    let mut text = NOTE.to_owned();
    for round in 0..10 {
        assert_eq!(fs::read_to_string(here.path("note.md")).unwrap(), text);
        let line = format!("From elsewhere, {round}.");
        text = format!("{text}{line}\n");
        other.save("note.md", &text);
        other.send(&here);
        tail.until("what was added elsewhere", |heard| heard == line);
        let end = Instant::now() + PATIENCE;
        while open.metadata().unwrap().len() != text.len() as u64 {
            assert!(Instant::now() < end, "a size of long ago is shown");
        }
        assert_eq!(bytes(&open), text.as_bytes());
    }
}

/// Guards permissions of another device's version: the kernel keeps those of a file for a day.
#[test]
fn new_permissions_reach_the_kernel() {
    if !possible(&["inotifywait"]) {
        return;
    }
    let here = Mounted::new();
    fs::write(here.path("note.md"), NOTE).unwrap();
    let mode = || fs::metadata(here.path("note.md")).unwrap().permissions().mode() & 0o777;
    let mut other = Device::of(&here);
    assert_eq!(mode(), 0o644);
    let mut watcher = Heard::inotify(&here.path(""), &["-e", "attrib,modify"]);
    let ino = other.vault.lookup(coffer_store::ids::ROOT, b"note.md").unwrap();
    let change = coffer_store::vault::Change {
        perm: Some(0o600),
        ..Default::default()
    };
    other.vault.change(ino, change).unwrap();
    other.send(&here);
    watcher.until("new permissions", |line| line == "ATTRIB note.md");
    here.settle();
    assert_eq!(mode(), 0o600);
    assert_eq!(fs::read_to_string(here.path("note.md")).unwrap(), NOTE);
}

/// Guards many merges at once, and who watches another folder in which a file has a name; writes and
/// fsyncs go on meanwhile.
#[test]
fn many_at_once_and_by_every_name() {
    if !possible(&["inotifywait"]) {
        return;
    }
    const NOTES: usize = 200;
    let here = Mounted::new();
    let name = |i: usize| format!("note-{i}.md");
    for i in 0..NOTES {
        fs::write(here.path(&name(i)), format!("{NOTE}{i}\n")).unwrap();
    }
    fs::create_dir(here.path("folder")).unwrap();
    fs::hard_link(here.path(&name(7)), here.path("folder/second.md")).unwrap();
    let mut other = Device::of(&here);
    let mut folder = Heard::inotify(&here.path("folder"), &["-e", "modify"]);
    for i in 0..NOTES {
        let text = fs::read_to_string(here.path(&name(i))).unwrap();
        fs::write(here.path(&name(i)), garlic(&text)).unwrap();
        other.save(&name(i), &butter(&text));
    }
    let mut watcher = Heard::inotify(&here.path(""), &["-e", "modify"]);
    other.send(&here);
    let mut file = fs::File::create(here.path("a file")).unwrap();
    file.write_all(b"bytes").unwrap();
    file.sync_all().unwrap();
    drop(file);
    let mut missing: std::collections::HashSet<String> =
        (0..NOTES).map(|i| format!("MODIFY {}", name(i))).collect();
    while !missing.is_empty() {
        let heard = watcher.until("another merge", |line| missing.contains(line));
        missing.retain(|line| !heard.contains(line));
    }
    folder.until("the second name", |line| line == "MODIFY second.md");
    here.settle();
    for i in 0..NOTES {
        let text = fs::read_to_string(here.path(&name(i))).unwrap();
        assert_eq!(text, garlic(&butter(&format!("{NOTE}{i}\n"))));
    }
}
