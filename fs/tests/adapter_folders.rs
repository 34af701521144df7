//! Folders, names and the adapter's own promises, through a real kernel: listings while
//! names come and go, what the kernel remembers, lookups counted right, panics.

mod adapter_bed;

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use adapter_bed::hooked::Hooked;
use adapter_bed::memory::Memory;
use adapter_bed::{Here, possible};
use coffer_fs::adapter::{ReaddirPlus, ServeOptions};
use coffer_fs::mount::MountOptions;
use coffer_fs::types::FileSystem;
use rustix::fs::{CWD, Mode, RenameFlags, XattrFlags};

#[test]
fn serves_for_another_process() {
    adapter_bed::serve_if_asked();
}

fn with(serving: ServeOptions) -> Here {
    Here::new(Arc::new(Memory::default()), &MountOptions::default(), serving)
}

/// Guards that names which stay are listed exactly once while 100,000 are there and others
/// come and go, whatever way the kernel asks, from its cache or not.
#[test]
fn a_listing_is_stable() {
    const NAMES: usize = 100_000;
    if !possible() {
        return;
    }
    for readdir_plus in [ReaddirPlus::Never, ReaddirPlus::Auto] {
        let here = with(ServeOptions {
            readdir_plus,
            ..ServeOptions::default()
        });
        for name in 0..NAMES {
            rustix::fs::mknodat(
                CWD,
                here.path(&format!("stays {name}")),
                rustix::fs::FileType::RegularFile,
                Mode::RUSR,
                0,
            )
            .unwrap();
        }
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0_u64.. {
                    let (old, new) = (
                        here.path(&format!("goes {round}")),
                        here.path(&format!("came {round}")),
                    );
                    fs::write(&old, "").unwrap();
                    fs::rename(&old, &new).unwrap();
                    fs::remove_file(&new).unwrap();
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for _ in 0..2 {
                let mut seen = HashMap::new();
                for entry in fs::read_dir(here.mount.point()).unwrap() {
                    let name = entry.unwrap().file_name().into_string().unwrap();
                    *seen.entry(name).or_insert(0) += 1;
                }
                let twice = seen.iter().find(|(_, count)| **count > 1);
                assert_eq!(twice, None, "{readdir_plus:?}");
                let stayed = seen.keys().filter(|name| name.starts_with("stays ")).count();
                assert_eq!(stayed, NAMES, "{readdir_plus:?}");
            }
            done.store(true, Ordering::Relaxed);
        });
        let left: usize = fs::read_dir(here.mount.point()).unwrap().count();
        assert_eq!(left, NAMES, "nothing that went is listed afterwards");
    }
}

/// Guards what the kernel remembers: that a name does not exist, until it does, by each
/// way to make it; and a listing that it holds.
#[test]
fn what_was_missing_appears() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    type Make<'a> = &'a dyn Fn(&std::path::Path);
    let ways: [(&str, Make<'_>); 6] = [
        ("create", &|path| fs::write(path, "x").unwrap()),
        ("folder", &|path| fs::create_dir(path).unwrap()),
        ("symlink", &|path| symlink("target", path).unwrap()),
        ("link", &|path| {
            fs::hard_link(path.with_file_name("create"), path).unwrap()
        }),
        ("rename", &|path| {
            fs::rename(path.with_file_name("link"), path).unwrap()
        }),
        ("fifo", &|path| {
            rustix::fs::mknodat(CWD, path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap()
        }),
    ];
    for (name, make) in ways {
        let path = here.path(name);
        assert!(path.symlink_metadata().is_err());
        let before = fs::read_dir(here.mount.point()).unwrap().count();
        make(&path);
        path.symlink_metadata().unwrap();
        let grown = usize::from(name != "rename");
        assert_eq!(
            fs::read_dir(here.mount.point()).unwrap().count(),
            before + grown,
            "{name}"
        );
    }
    assert!(here.path("link").symlink_metadata().is_err(), "it was renamed");
    assert_eq!(
        fs::read_link(here.path("symlink")).unwrap(),
        std::path::Path::new("target")
    );
    assert!(here.path("fifo").metadata().unwrap().file_type().is_fifo());
    assert_eq!(here.path("create").metadata().unwrap().nlink(), 2);
}

/// Guards renameat2's flags, names' lengths and user attributes.
#[test]
fn names_and_attributes() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    let (a, b) = (here.path("a"), here.path("b"));
    fs::write(&a, "a").unwrap();
    fs::write(&b, "b").unwrap();
    let kept = rustix::fs::renameat_with(CWD, &a, CWD, &b, RenameFlags::NOREPLACE).unwrap_err();
    assert_eq!(kept, rustix::io::Errno::EXIST);
    rustix::fs::renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
    assert_eq!(
        (fs::read(&a).unwrap(), fs::read(&b).unwrap()),
        (b"b".to_vec(), b"a".to_vec())
    );
    fs::write(here.path(&"n".repeat(255)), "").unwrap();
    let long = fs::write(here.path(&"n".repeat(256)), "").unwrap_err();
    assert_eq!(long.raw_os_error(), Some(libc::ENAMETOOLONG));

    rustix::fs::setxattr(&a, "user.color", b"red", XattrFlags::CREATE).unwrap();
    let again = rustix::fs::setxattr(&a, "user.color", b"blue", XattrFlags::CREATE).unwrap_err();
    assert_eq!(again, rustix::io::Errno::EXIST);
    let mut value = [0; 16];
    assert_eq!(rustix::fs::getxattr(&a, "user.color", &mut value), Ok(3));
    assert_eq!(
        rustix::fs::getxattr(&a, "user.color", &mut [0; 2]),
        Err(rustix::io::Errno::RANGE)
    );
    assert_eq!(rustix::fs::listxattr(&a, &mut value), Ok(11));
    for other in ["security.capability", "system.posix_acl_access", "trusted.x"] {
        let refused = rustix::fs::getxattr(&a, other, &mut value).unwrap_err();
        assert_eq!(refused, rustix::io::Errno::OPNOTSUPP, "{other}");
    }
    rustix::fs::removexattr(&a, "user.color").unwrap();
    assert_eq!(rustix::fs::listxattr(&a, &mut value), Ok(0));
}

/// Guards memory: whatever the kernel has looked up, listed or opened is forgotten again
/// when it is deleted, so counts are neither lost nor doubled. (The file system itself
/// panics when more is forgotten than was given.)
#[test]
fn lookups_are_counted_right() {
    if !possible() {
        return;
    }
    for readdir_plus in [ReaddirPlus::Never, ReaddirPlus::Auto, ReaddirPlus::Always] {
        let fs = Arc::new(Memory::default());
        let serving = ServeOptions {
            readdir_plus,
            ..ServeOptions::default()
        };
        let here = Here::new(fs.clone(), &MountOptions::default(), serving);
        for folder in 0..10 {
            fs::create_dir_all(here.path(&format!("{folder}/inner"))).unwrap();
            for file in 0..300 {
                fs::write(here.path(&format!("{folder}/{file}")), "x").unwrap();
                fs::hard_link(
                    here.path(&format!("{folder}/{file}")),
                    here.path(&format!("{folder}/l{file}")),
                )
                .unwrap();
            }
            for entry in fs::read_dir(here.path(&folder.to_string())).unwrap() {
                entry.unwrap().metadata().unwrap();
            }
            let open = File::open(here.path(&format!("{folder}/7"))).unwrap();
            fs::remove_dir_all(here.path(&folder.to_string())).unwrap();
            assert_eq!(open.metadata().unwrap().nlink(), 0);
        }
        // The kernel forgets when it likes; the root stays.
        let start = Instant::now();
        while fs.statfs().unwrap().files > 1 && start.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        assert_eq!(fs.statfs().unwrap().files, 1, "{readdir_plus:?}");
        assert_eq!(here.panics(), 0);
    }
}

/// Guards everybody else from a defect that one request meets: it answers EIO, in each
/// operation, and the mount lives on.
#[test]
fn a_panic_answers_eio() {
    if !possible() {
        return;
    }
    let armed: Arc<Mutex<&str>> = Arc::default();
    let trigger = armed.clone();
    let hook = move |operation: &str, done: bool| {
        let hit = !done && *trigger.lock().unwrap() == operation;
        assert!(!hit, "a panic on purpose, in {operation}");
    };
    let fs = Arc::new(Hooked {
        fs: Memory::default(),
        hook,
    });
    let serving = ServeOptions {
        readdir_plus: ReaddirPlus::Always,
        ..ServeOptions::default()
    };
    let here = Here::new(fs, &MountOptions::default(), serving);
    let path = here.path("file");
    fs::write(&path, "x").unwrap();
    fs::create_dir(here.path("folder")).unwrap();
    let ways: [(&str, &dyn Fn() -> std::io::Result<()>); 10] = [
        ("lookup", &|| here.path("unknown").metadata().map(drop)),
        ("create", &|| fs::write(here.path("new"), "x")),
        ("make", &|| fs::create_dir(here.path("new"))),
        ("open", &|| File::open(&path).map(drop)),
        ("write", &|| fs::write(&path, "y")),
        ("read", &|| fs::read(&path).map(drop)),
        ("fsync", &|| File::open(&path)?.sync_all()),
        ("readdir_plus", &|| {
            fs::read_dir(here.path("folder"))?.try_for_each(|entry| entry.map(drop))
        }),
        ("rename", &|| fs::rename(&path, here.path("other"))),
        ("unlink", &|| fs::remove_file(&path)),
    ];
    for (operation, way) in ways {
        *armed.lock().unwrap() = operation;
        let error = way().expect_err(operation);
        *armed.lock().unwrap() = "";
        assert_eq!(error.raw_os_error(), Some(libc::EIO), "{operation}");
        way().unwrap_or_else(|error| match operation {
            "lookup" => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
            _ => panic!("{operation} afterwards: {error}"),
        });
        match operation {
            "make" => fs::remove_dir(here.path("new")).unwrap(),
            "create" => fs::remove_file(here.path("new")).unwrap(),
            "rename" => fs::rename(here.path("other"), &path).unwrap(),
            _ => {}
        }
    }
    // Counted after the answer has gone out.
    let start = Instant::now();
    while here.panics() < ways.len() as u64 && start.elapsed() < Duration::from_secs(20) {
        thread::yield_now();
    }
    // At least: the kernel reads a page again that could not be read ahead.
    assert!(here.panics() >= ways.len() as u64);
}
