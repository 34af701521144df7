//! Changes that did not come through the kernel, for whoever watches a mounted vault: inotify tells
//! of each, as if somebody had made it there; caches show it; and nothing but that changes.

mod mounted;

use coffer_fs::adapter::{Change, Place};
use coffer_fs::types::Kind;
use mounted::{Heard, Mounted, TOP, possible};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Those of one name, joined.
fn events(lines: &[String], name: &str) -> Vec<String> {
    let of_name = |line: &&String| line.split(' ').nth(1) == Some(name);
    lines
        .iter()
        .filter(of_name)
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

/// Guards each kind of change: what inotify says of it, and that the tree is then as it is.
#[test]
fn inotify_tells_of_every_change() {
    if !possible(&["inotifywait"]) {
        return;
    }
    // Checked by the daemon, and by the kernel.
    for options in ["", "allow_other"] {
        every_change(&Mounted::with(options));
    }
}

fn every_change(here: &Mounted) {
    // What the kernel remembers wrongly after the change: absent names, a listing, attributes.
    for name in ["file", "folder", "symlink", "fifo", "moved", "other"] {
        assert!(fs::symlink_metadata(here.path(name)).is_err());
    }
    assert_eq!(fs::read_dir(here.path("")).unwrap().count(), 0);
    let mut watcher = Heard::inotify(&here.path(""), &[]);

    let ino = here.put(TOP, "file", Kind::File, b"bytes");
    let heard = watcher.until("a new file", |line| line == "CLOSE_WRITE,CLOSE file");
    assert_eq!(events(&heard, "file"), ["CREATE", "OPEN", "CLOSE_WRITE,CLOSE"]);
    assert_eq!(fs::read(here.path("file")).unwrap(), b"bytes");
    assert_eq!(here.vault.lookup(TOP, b"file").unwrap(), ino, "nothing was made");

    let folder = here.put(TOP, "folder", Kind::Folder, b"");
    watcher.until("a new folder", |line| line == "CREATE,ISDIR folder");
    here.put(TOP, "symlink", Kind::Symlink, b"to/here");
    watcher.until("a new symlink", |line| line == "CREATE symlink");
    assert_eq!(
        fs::read_link(here.path("symlink")).unwrap().as_os_str(),
        "to/here"
    );
    here.put(TOP, "fifo", Kind::Fifo, b"");
    watcher.until("a new FIFO", |line| line == "CREATE fifo");
    here.settle();
    watcher.so_far();

    here.rewrite(TOP, "file", 5, b" and more");
    let heard = watcher.until("new content", |line| line == "CLOSE_WRITE,CLOSE file");
    assert_eq!(events(&heard, "file"), ["OPEN", "MODIFY", "CLOSE_WRITE,CLOSE"]);
    assert_eq!(fs::read(here.path("file")).unwrap(), b"bytes and more");

    here.announcer.announce(Change::Attributes {
        at: Place::new(TOP, "folder"),
        ino: folder,
    });
    watcher.until("attributes", |line| line == "ATTRIB,ISDIR folder");

    here.vault.rename((TOP, b"file"), (TOP, b"moved"), true).unwrap();
    here.announcer.announce(Change::Moved {
        from: Place::new(TOP, "file"),
        to: Place::new(TOP, "moved"),
        ino,
        over: None,
    });
    let heard = watcher.until("a move", |line| line == "MOVED_TO moved");
    assert_eq!(events(&heard, "file"), ["MOVED_FROM"]);
    here.settle();
    assert!(fs::metadata(here.path("file")).is_err());
    assert_eq!(fs::metadata(here.path("moved")).unwrap().ino(), ino);

    let new = here.put(TOP, "moved", Kind::File, b"replaced");
    let heard = watcher.until("a replacement", |line| line == "MOVED_TO moved");
    assert!(
        events(&heard, "moved").iter().all(|event| event != "DELETE"),
        "{heard:?}"
    );
    here.settle();
    assert_eq!(fs::read(here.path("moved")).unwrap(), b"replaced");
    assert_eq!(fs::metadata(here.path("moved")).unwrap().ino(), new);
    watcher.so_far();

    // What runs cannot be opened to be written to; its time tells.
    let sleep = fs::read("/bin/sleep").unwrap();
    let ino = here.put(TOP, "program", Kind::File, &sleep);
    let runs = coffer_store::vault::Change {
        perm: Some(0o755),
        ..Default::default()
    };
    here.vault.change(ino, runs).unwrap();
    here.settle();
    let mut program = std::process::Command::new(here.path("program"))
        .arg("1000")
        .spawn()
        .unwrap();
    watcher.so_far();
    here.announcer.announce(Change::Content {
        at: Place::new(TOP, "program"),
        ino,
    });
    watcher.until("a running program's content", |line| line == "MODIFY program");
    here.settle();
    program.kill().unwrap();
    program.wait().unwrap();

    for (name, is_folder, event) in [
        ("program", false, "DELETE program"),
        ("moved", false, "DELETE moved"),
        ("folder", true, "DELETE,ISDIR folder"),
        ("fifo", false, "DELETE fifo"),
    ] {
        let ino = here.vault.lookup(TOP, name.as_bytes()).unwrap();
        here.vault.remove(TOP, name.as_bytes(), is_folder).unwrap();
        here.announcer.announce(Change::Removed {
            at: Place::new(TOP, name),
            ino,
            folder: is_folder,
        });
        watcher.until(event, |line| line == event);
    }
    here.settle();
    let left: Vec<_> = fs::read_dir(here.path("")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// Guards folders: deep ones, those that come while one watches, and one beyond the longest path.
#[test]
fn folders_anywhere() {
    if !possible(&["inotifywait"]) {
        return;
    }
    let here = Mounted::new();
    let (mut folder, mut path) = (TOP, here.path(""));
    let name = "n".repeat(200);
    for i in 0..30 {
        folder = here.put(folder, &format!("{name}{i}"), Kind::Folder, b"");
        here.settle();
        if i == 2 {
            path = here.path(&format!("{name}0/{name}1/{name}2"));
            let mut watcher = Heard::inotify(&path, &["-r"]);
            let inner = here.put(folder, "inner", Kind::Folder, b"");
            watcher.until("a folder", |line| line == "CREATE,ISDIR inner");
            here.put(inner, "in it", Kind::File, b"x");
            here.settle();
            // Whether it watched in there before the file came is its own luck.
            here.put(inner, "then", Kind::File, b"x");
            watcher.until("a file in it", |line| {
                line.starts_with("CLOSE_WRITE") && line.ends_with(" then")
            });
        }
    }
    assert!(path.is_dir());
    // Six thousand bytes from the root: reached by a descriptor on the way.
    let mut at = fs::File::open(here.path("")).unwrap();
    for i in 0..30 {
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let below = rustix::fs::openat(&at, format!("{name}{i}"), flags, rustix::fs::Mode::empty());
        at = fs::File::from(below.unwrap());
    }
    let fd = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        std::os::fd::AsRawFd::as_raw_fd(&at)
    );
    let mut watcher = Heard::inotify(std::path::Path::new(&fd), &[]);
    here.put(folder, "deepest", Kind::File, b"x");
    watcher.until("the deepest file", |line| line.starts_with("CLOSE_WRITE"));
}

/// Guards what lies in the mount without being it: the helper enters nothing that is mounted there.
#[test]
fn nothing_else_is_touched() {
    if !possible(&["mount", "umount"]) {
        return;
    }
    let here = Mounted::new();
    let folder = here.put(TOP, "folder", Kind::Folder, b"");
    let file = here.put(folder, "file", Kind::File, b"x");
    here.settle();
    let over = |what: &str, at: &str| {
        let mut command = std::process::Command::new("mount");
        assert!(
            command
                .args(["--bind", what])
                .arg(here.path(at))
                .status()
                .unwrap()
                .success()
        );
    };
    let plain = here.outside().join("plain");
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("file"), "plain").unwrap();
    fs::write(plain.join("gone"), "plain").unwrap();
    let before = fs::metadata(plain.join("file")).unwrap();
    over(plain.to_str().unwrap(), "folder");
    here.put(folder, "new", Kind::File, b"x");
    here.rewrite(folder, "file", 0, b"other");
    for change in [
        Change::Attributes {
            at: Place::new(folder, "file"),
            ino: file,
        },
        Change::Removed {
            at: Place::new(folder, "gone"),
            ino: 77,
            folder: false,
        },
        Change::Moved {
            from: Place::new(folder, "gone"),
            to: Place::new(folder, "to"),
            ino: file,
            over: None,
        },
    ] {
        here.announcer.announce(change);
    }
    here.settle();
    let mut names: Vec<_> = fs::read_dir(&plain)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["file", "gone"]);
    let after = fs::metadata(plain.join("file")).unwrap();
    assert_eq!(
        (before.mtime_nsec(), before.ctime_nsec()),
        (after.mtime_nsec(), after.ctime_nsec())
    );
    assert!(
        std::process::Command::new("umount")
            .arg(here.path("folder"))
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(fs::read(here.path("folder/file")).unwrap(), b"other");
}

/// Guards those who look while it is told: names that are looked up all the time go where they went,
/// and no ghost of an old one stays.
#[test]
fn whoever_looks_meanwhile_sees_the_truth() {
    if !possible(&["inotifywait"]) {
        return;
    }
    let here = Mounted::new();
    let folder = here.put(TOP, "folder", Kind::Folder, b"");
    here.put(folder, "inside", Kind::File, b"x");
    here.put(TOP, "one", Kind::File, b"1");
    here.settle();
    let watcher = Heard::inotify(&here.path(""), &[]);
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    for name in ["one", "two", "folder", "other", "folder/inside", "other/inside"] {
                        let _ = fs::metadata(here.path(name));
                    }
                    let _ = fs::read_dir(here.path("")).map(|listing| listing.count());
                }
            });
        }
        let mut moves = 0;
        for round in 0..200 {
            let forth = round % 2 == 0;
            for (one, two) in [("one", "two"), ("folder", "other")] {
                let (from, to) = if forth { (one, two) } else { (two, one) };
                let ino = here.vault.lookup(TOP, from.as_bytes()).unwrap();
                here.vault
                    .rename((TOP, from.as_bytes()), (TOP, to.as_bytes()), true)
                    .unwrap();
                let (from_at, to_at) = (Place::new(TOP, from), Place::new(TOP, to));
                here.announcer.announce(Change::Moved {
                    from: from_at,
                    to: to_at,
                    ino,
                    over: None,
                });
                here.settle();
                assert!(
                    fs::symlink_metadata(here.path(from)).is_err(),
                    "{round}: a ghost of {from}"
                );
                assert_eq!(fs::metadata(here.path(to)).unwrap().ino(), ino, "{round}");
            }
            moves += watcher
                .so_far()
                .iter()
                .filter(|line| line.starts_with("MOVED_TO"))
                .count();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        eprintln!("{moves} of 400 moves were told while everybody looked");
        assert!(moves > 0);
    });
    assert_eq!(fs::read(here.path("folder/inside")).unwrap(), b"x");
}

/// Guards helpers that fail: caches are right all the same, and nothing waits for long.
#[test]
fn a_helper_that_fails_is_done_without() {
    if !possible(&[]) {
        return;
    }
    for fails in [
        "exit",
        "sleep 1000",
        "echo nonsense; exec sleep 1000",
        "kill -STOP $$",
    ] {
        let here = Mounted::silent("");
        here.announcer.repeat_in(here.mount.point(), move || {
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", fails]);
            command
        });
        for i in 0..20 {
            let name = format!("{i}");
            assert!(fs::metadata(here.path(&name)).is_err());
            here.put(TOP, &name, Kind::File, b"x");
            here.settle();
            assert!(fs::metadata(here.path(&name)).is_ok(), "{fails}");
        }
        assert_eq!(fs::read_dir(here.path("")).unwrap().count(), 20);
    }
}

/// Guards the stage: for a helper that is not this daemon's child there is none.
#[test]
fn a_stranger_finds_no_stage() {
    use std::io::{Read, Write};
    if !possible(&[]) {
        return;
    }
    let here = Mounted::new();
    here.put(TOP, "first", Kind::File, b"x");
    here.settle();
    assert!(fs::metadata(here.path(".coffer-backstage")).is_err());
    let mut stranger = mounted::helper()
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let point = here.path("");
    let point = point.to_str().unwrap();
    let mut frame = Vec::new();
    frame.extend_from_slice(&(point.len() as u32 + 5).to_le_bytes());
    frame.push(1);
    frame.extend_from_slice(&(point.len() as u32).to_le_bytes());
    frame.extend_from_slice(point.as_bytes());
    let mut to = stranger.stdin.take().unwrap();
    to.write_all(&frame).unwrap();
    let mut errno = [0; 4];
    stranger.stdout.take().unwrap().read_exact(&mut errno).unwrap();
    assert_eq!(i32::from_le_bytes(errno), libc::ENOENT);
    drop(to);
    assert!(stranger.wait().unwrap().success());
}
