//! Changes that did not come through the kernel, through a real kernel: once announced and settled,
//! no look-up and no listing shows what was before, not even one that was under way.

mod adapter_bed;

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use adapter_bed::hooked::Hooked;
use adapter_bed::memory::Memory;
use adapter_bed::{Here, possible};
use coffer_fs::adapter::{Change, Place, ReaddirPlus, ServeOptions};
use coffer_fs::mount::MountOptions;
use coffer_fs::types::{Caller, FileSystem, NewNode, OpenMode, ROOT};
use parking_lot::Mutex;

/// How long the kernel may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn serving() -> ServeOptions {
    ServeOptions {
        readdir_plus: ReaddirPlus::Never,
        ..ServeOptions::default()
    }
}

fn make(fs: &impl FileSystem, name: &str) -> Change {
    let made = fs.make(Caller::default(), ROOT, name.as_bytes(), NewNode::File, 0o644);
    Change::Made {
        at: Place::new(ROOT, name),
        ino: made.unwrap().ino,
        over: None,
    }
}

fn names(here: &Here) -> usize {
    fs::read_dir(here.path("")).unwrap().count()
}

/// Guards what the kernel remembers for a day: absent names, listings, a file's attributes.
#[test]
fn what_was_remembered_is_forgotten() {
    if !possible() {
        return;
    }
    let fs = Arc::new(Memory::default());
    let here = Here::new(fs.clone(), &MountOptions::default(), serving());
    let announcer = here.session.as_ref().unwrap().announcer();
    assert!(fs::metadata(here.path("new")).is_err());
    assert_eq!(names(&here), 0);
    let change = make(&*fs, "new");
    assert!(
        fs::metadata(here.path("new")).is_err(),
        "or this test guards nothing"
    );
    announcer.announce(change);
    assert!(announcer.settle(PATIENCE));
    assert!(fs::metadata(here.path("new")).unwrap().is_file());
    assert_eq!(names(&here), 1);
    let ino = fs.lookup(ROOT, b"new").unwrap().ino;
    fs.link(Caller::default(), ino, ROOT, b"other").unwrap();
    announcer.announce(Change::Made {
        at: Place::new(ROOT, "other"),
        ino,
        over: None,
    });
    assert!(announcer.settle(PATIENCE));
    let links = std::os::unix::fs::MetadataExt::nlink(&fs::metadata(here.path("new")).unwrap());
    assert_eq!((links, names(&here)), (2, 2));
}

/// Guards the order of things: a look-up and a listing that were answered before the change, and
/// reach the kernel after it, leave nothing behind.
#[test]
fn answers_that_were_under_way_are_forgotten_too() {
    if !possible() {
        return;
    }
    // A listing is two requests: what there is, and that there is no more.
    for (operation, nth, shown) in [("lookup", 1_i32, 0), ("readdir", 1, 1), ("readdir", 2, 0)] {
        let (arrive, arrived) = channel();
        let (leave, left) = sync_channel::<()>(1);
        // One such request is held between its answer and the kernel.
        let held = Mutex::new((nth, arrive, left));
        let armed = Arc::new(Mutex::new(false));
        let arm = armed.clone();
        let hook = move |name: &str, done: bool| {
            if name == operation && done && *arm.lock() {
                let mut held = held.lock();
                held.0 -= 1;
                if held.0 == 0 {
                    held.1.send(()).unwrap();
                    held.2.recv_timeout(PATIENCE).unwrap();
                }
            }
        };
        let fs = Arc::new(Hooked {
            fs: Memory::default(),
            hook,
        });
        let here = Here::new(fs.clone(), &MountOptions::default(), serving());
        let announcer = here.session.as_ref().unwrap().announcer();
        *armed.lock() = true;
        thread::scope(|scope| {
            let early = scope.spawn(|| match operation {
                "lookup" => usize::from(fs::metadata(here.path("new")).is_ok()),
                _ => names(&here),
            });
            arrived.recv_timeout(PATIENCE).unwrap();
            announcer.announce(make(&fs.fs, "new"));
            leave.send(()).unwrap();
            assert_eq!(early.join().unwrap(), shown, "{operation} {nth}");
        });
        assert!(announcer.settle(PATIENCE), "{operation}");
        assert!(fs::metadata(here.path("new")).is_ok(), "{operation}");
        assert_eq!(names(&here), 1, "{operation}");
    }
}

/// Guards pages that are being read: one that was answered with the old bytes, and reaches the kernel
/// after the announcement, is forgotten; until then everybody else goes on.
#[test]
fn pages_under_way_are_forgotten_too() {
    if !possible() {
        return;
    }
    let (arrive, arrived) = channel();
    let (leave, left) = sync_channel::<()>(1);
    let held = Mutex::new(Some((arrive, left)));
    let hook = move |operation: &str, done: bool| {
        if operation == "read"
            && done
            && let Some((arrive, left)) = held.lock().take()
        {
            arrive.send(()).unwrap();
            left.recv_timeout(PATIENCE).unwrap();
        }
    };
    let fs = Arc::new(Hooked {
        fs: Memory::default(),
        hook,
    });
    let here = Here::new(fs.clone(), &MountOptions::default(), serving());
    let announcer = here.session.as_ref().unwrap().announcer();
    let who = Caller::default();
    let mode = OpenMode {
        write: true,
        ..OpenMode::default()
    };
    let (attr, handle) = fs.create(who, ROOT, b"file", 0o644, mode, true).unwrap();
    fs.write(attr.ino, handle, 0, b"old", false).unwrap();
    thread::scope(|scope| {
        let early = scope.spawn(|| fs::read(here.path("file")).unwrap());
        arrived.recv_timeout(PATIENCE).unwrap();
        fs.write(attr.ino, handle, 0, b"new", false).unwrap();
        announcer.announce(Change::Content {
            at: Place::new(ROOT, "file"),
            ino: attr.ino,
        });
        // Meanwhile, and while the announcement waits.
        make(&fs.fs, "other");
        assert_eq!(fs::metadata(here.path("other")).unwrap().len(), 0);
        assert!(
            !announcer.settle(Duration::from_millis(50)),
            "it waits for the page"
        );
        assert_eq!(names(&here), 2);
        leave.send(()).unwrap();
        // The kernel may drop the page before it has handed it over, and read it once more.
        let early = early.join().unwrap();
        assert!(early == b"old" || early == b"new", "{early:?}");
    });
    assert!(announcer.settle(PATIENCE));
    assert_eq!(fs::read(here.path("file")).unwrap(), b"new");
    fs.release(attr.ino, handle);
}

/// Guards who announces much at once, and when nobody listens any more.
#[test]
fn a_thousand_changes_and_none() {
    if !possible() {
        return;
    }
    let fs = Arc::new(Memory::default());
    let here = Here::new(fs.clone(), &MountOptions::default(), serving());
    let announcer = here.session.as_ref().unwrap().announcer();
    for i in 0..1000 {
        assert!(fs::metadata(here.path(&format!("{i}"))).is_err());
    }
    assert_eq!(names(&here), 0);
    for i in 0..1000 {
        announcer.announce(make(&*fs, &format!("{i}")));
    }
    assert!(announcer.settle(PATIENCE));
    assert_eq!(names(&here), 1000);
    for i in 0..1000 {
        assert!(fs::metadata(here.path(&format!("{i}"))).is_ok());
    }
    drop(here);
    let begun = Instant::now();
    announcer.announce(Change::Removed {
        at: Place::new(ROOT, "gone"),
        ino: 99,
        folder: false,
    });
    // As soon as the service has noticed its end, nobody is told any more; and nothing waits.
    while announcer.settle(PATIENCE) {
        assert!(begun.elapsed() < PATIENCE, "somebody is told");
    }
    assert!(begun.elapsed() < PATIENCE, "and nothing waits");
}
