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
    let here = Mounted::new();
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

    for (name, is_folder, event) in [
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
