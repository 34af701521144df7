//! What the adapter's tests stand on: a file system in memory, really mounted, served by
//! this process or by one of its own.
//!
//! Needs root and `/dev/fuse`; where they are missing a test says so and is skipped.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test program uses its part"
)]

pub mod hooked;
#[path = "../../examples/floor/memory.rs"]
pub mod memory;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coffer_fs::adapter::{ServeOptions, Session, serve};
use coffer_fs::mount::{Mount, MountOptions, find_mounts, mount};
use coffer_fs::types::FileSystem;
use hooked::Hooked;
use memory::Memory;

/// The variable that turns a test program into a server for one mount point.
const SERVE: &str = "COFFER_TEST_SERVE";
/// What the server says once it serves.
const READY: &str = "served";

/// Whether mounts are possible here; says why not.
pub fn possible() -> bool {
    let reason = if !rustix::process::geteuid().is_root() {
        "needs root"
    } else if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
        eprintln!("/dev/fuse: {error}");
        "needs /dev/fuse"
    } else {
        return true;
    };
    eprintln!("SKIPPED: {reason}");
    false
}

/// A folder to mount on, in a place of its own.
pub fn point() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let point = dir.path().canonicalize().unwrap().join("mount point");
    std::fs::create_dir(&point).unwrap();
    (dir, point)
}

/// A file system served by this process. Not for mapped files: a page fault may hold what
/// the serving threads need.
pub struct Here {
    pub mount: Mount,
    pub session: Option<Session>,
    dir: tempfile::TempDir,
}

impl Here {
    pub fn new<F: FileSystem>(fs: Arc<F>, options: &MountOptions, serving: ServeOptions) -> Here {
        let (dir, point) = point();
        let (fuse, mount) = mount(&point, options).unwrap();
        let session = Some(serve(fs, fuse, 3, serving).unwrap());
        Here { mount, session, dir }
    }

    pub fn memory() -> Here {
        Here::new(
            Arc::new(Memory::default()),
            &MountOptions::default(),
            ServeOptions::default(),
        )
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.mount.point().join(name)
    }

    pub fn panics(&self) -> u64 {
        self.session.as_ref().unwrap().panics()
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        if self.mount.unmount().is_err() {
            // A test failed with something open: no process may be left hanging on it.
            let _ = self.mount.abort();
            let _ = self.mount.unmount_lazily();
        }
        let session = self.session.take().unwrap();
        // Some other program may have copied the mount into a namespace of its own.
        if !session.wait(Duration::from_secs(20)) {
            return eprintln!("the service goes on: someone holds a copy of the mount");
        }
        let ended = session.join();
        if !std::thread::panicking() {
            ended.expect("a clean end of the service");
        }
    }
}

/// A file system served by a process of its own.
pub struct There {
    pub mount: Mount,
    pub server: Child,
    /// Held open, so that the server may go on speaking.
    _output: BufReader<ChildStdout>,
}

impl There {
    /// Starts this test program again as a server on `point`, run as `command` has it.
    pub fn start(mut command: Command, point: &Path, options: &str) -> There {
        command.args(["--exact", "serves_for_another_process", "--nocapture"]);
        command.env(SERVE, point).env("COFFER_TEST_OPTIONS", options);
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(READY) {
            line.clear();
            assert!(
                output.read_line(&mut line).unwrap() > 0,
                "the server ended before it served"
            );
        }
        let entry = find_mounts()
            .unwrap()
            .into_iter()
            .rfind(|entry| entry.point == point)
            .unwrap();
        There {
            mount: Mount::existing(&entry),
            server,
            _output: output,
        }
    }

    pub fn new(point: &Path) -> There {
        There::start(Command::new(std::env::current_exe().unwrap()), point, "")
    }
}

impl Drop for There {
    fn drop(&mut self) {
        if self.mount.unmount().is_err() {
            let _ = self.mount.abort();
            let _ = self.mount.unmount_lazily();
        }
        // It ends by itself, unless some other program holds a copy of the mount.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// To be called by a test named `serves_for_another_process`: does nothing, but in a
/// server's process.
pub fn serve_if_asked() {
    let Some(point) = std::env::var_os(SERVE) else {
        return;
    };
    let mut options = MountOptions::default();
    options
        .parse(&std::env::var("COFFER_TEST_OPTIONS").unwrap_or_default())
        .unwrap();
    let (fuse, _mount) = mount(Path::new(&point), &options).unwrap_or_else(|error| panic!("{error}"));
    let memory = Memory::default();
    let session = match std::env::var_os(LATE_WRITES) {
        None => serve(Arc::new(memory), fuse, 3, ServeOptions::default()),
        Some(_) => serve(Arc::new(late_writes(memory)), fuse, 3, ServeOptions::default()),
    };
    println!("{READY}");
    session.unwrap().join().unwrap();
}

/// The variable that makes a server's writes happen as late as they can.
pub const LATE_WRITES: &str = "COFFER_TEST_LATE_WRITES";

/// Lets a read that comes meanwhile overtake each write: the order that is hardest for
/// whoever must not show old bytes. (A write that nobody reads beside goes on after a while.)
fn late_writes(fs: Memory) -> impl FileSystem {
    let reads = AtomicU64::new(0);
    let hook = move |operation: &str, done: bool| match (operation, done) {
        ("read", true) => {
            reads.fetch_add(1, Ordering::SeqCst);
        }
        ("write", false) => {
            let before = reads.load(Ordering::SeqCst);
            for _ in 0..1_000 {
                if reads.load(Ordering::SeqCst) != before {
                    break;
                }
                std::thread::yield_now();
            }
        }
        _ => {}
    };
    Hooked { fs, hook }
}
