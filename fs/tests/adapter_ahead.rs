//! Files that come to show other bytes while an answer about them is under way, through a real kernel: an
//! answer that was right when the file system gave it leaves no old size behind.
//!
//! In each, one request is held between the file system's answer and the kernel, and the file comes to be
//! longer meanwhile. An old size that the kernel keeps cuts whatever is read for a day.

mod adapter_bed;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use adapter_bed::hooked::Hooked;
use adapter_bed::memory::Memory;
use adapter_bed::{Here, possible};
use coffer_fs::adapter::{Announcer, Change, Place, ReaddirPlus, ServeOptions};
use coffer_fs::mount::MountOptions;
use coffer_fs::types::{Caller, FileSystem, Ino, NewNode, OpenMode, ROOT};
use parking_lot::Mutex;

/// How long the kernel may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it is looked whether something waits that should.
const MOMENT: Duration = Duration::from_millis(100);
const OLD: &[u8] = b"old";
const NEW: &[u8] = b"new, and much longer";

type Hook = Box<dyn Fn(&str, bool) + Send + Sync>;

/// A mounted file, and the hold on one request.
struct Bed {
    here: Here,
    fs: Arc<Hooked<Memory, Hook>>,
    arrived: Receiver<()>,
    leave: SyncSender<()>,
    /// How often attributes were asked for.
    asked: Arc<AtomicU64>,
    /// The request to be held, from now on.
    armed: Arc<Mutex<Option<&'static str>>>,
}

impl Bed {
    fn new(readdir_plus: ReaddirPlus) -> Bed {
        let (arrive, arrived) = channel();
        let (leave, left) = sync_channel::<()>(1);
        let ends = Mutex::new((arrive, left));
        let (armed, asked) = (Arc::new(Mutex::new(None)), Arc::new(AtomicU64::new(0)));
        let (arm, asks) = (armed.clone(), asked.clone());
        let hook: Hook = Box::new(move |name, done| {
            asks.fetch_add(u64::from(name == "getattr" && done), Ordering::SeqCst);
            let is_due = done && arm.lock().take_if(|due| *due == name).is_some();
            if is_due {
                let ends = ends.lock();
                ends.0.send(()).unwrap();
                ends.1.recv_timeout(PATIENCE).unwrap();
            }
        });
        let fs = Arc::new(Hooked {
            fs: Memory::default(),
            hook,
        });
        let serving = ServeOptions {
            readdir_plus,
            ..ServeOptions::default()
        };
        let here = Here::new(fs.clone(), &MountOptions::default(), serving);
        Bed {
            here,
            fs,
            arrived,
            leave,
            asked,
            armed,
        }
    }

    fn announcer(&self) -> Announcer {
        self.here.session.as_ref().unwrap().announcer()
    }

    /// Past the kernel: as a merge does.
    fn shows(&self, ino: Ino, bytes: &[u8]) {
        self.fs.fs.write(ino, 0, 0, bytes, false).unwrap();
    }

    /// A file with the old bytes, of which the kernel knows nothing.
    fn file(&self) -> Ino {
        let made = self
            .fs
            .fs
            .make(Caller::default(), ROOT, b"file", NewNode::File, 0o644);
        let ino = made.unwrap().ino;
        let mode = OpenMode {
            write: true,
            ..OpenMode::default()
        };
        self.fs.fs.open(Caller::default(), ino, mode).unwrap();
        self.shows(ino, OLD);
        ino
    }

    /// While `doing` is held at this request, the file comes to show more, which is announced; `meanwhile`,
    /// and what `doing` returned.
    fn hold<T: Send>(
        &self,
        (request, ino): (&'static str, Ino),
        doing: impl FnOnce() -> T + Send,
        meanwhile: impl FnOnce(),
    ) -> T {
        *self.armed.lock() = Some(request);
        thread::scope(|scope| {
            let doing = scope.spawn(doing);
            self.arrived.recv_timeout(PATIENCE).unwrap();
            self.shows(ino, NEW);
            self.announcer().announce(Change::Content {
                at: Place::new(ROOT, "file"),
                ino,
            });
            meanwhile();
            self.leave.send(()).unwrap();
            doing.join().unwrap()
        })
    }

    /// Whoever opens it has it whole, also once all is told.
    fn is_whole(&self, request: &str) {
        let path = self.here.path("file");
        assert_eq!(fs::read(&path).unwrap(), NEW, "{request}");
        assert_eq!(size(&path), NEW.len() as u64, "{request}");
        assert!(self.announcer().settle(PATIENCE), "{request}");
        assert_eq!(size(&path), NEW.len() as u64, "{request}, told");
        assert_eq!(fs::read(&path).unwrap(), NEW, "{request}, told");
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// Guards files that the kernel does not have yet: to tell it of them does nothing, and the answer then
/// brings the old size. The announcement waits for the answer, and the file stays ahead until then.
#[test]
fn who_brings_a_file_with_its_old_size() {
    if !possible() {
        return;
    }
    for (request, plus) in [
        ("lookup", ReaddirPlus::Never),
        ("readdir_plus", ReaddirPlus::Always),
    ] {
        let bed = Bed::new(plus);
        let ino = bed.file();
        let path = bed.here.path("file");
        let doing = || match request {
            "lookup" => size(&path),
            _ => fs::read_dir(bed.here.path("")).unwrap().count() as u64,
        };
        let waits = || assert!(!bed.announcer().settle(MOMENT), "{request} is waited for");
        let done = bed.hold((request, ino), doing, waits);
        let right = if request == "lookup" { NEW.len() as u64 } else { 1 };
        assert_eq!(done, right, "{request}");
        bed.is_whole(request);
    }
}

/// Guards who makes a name that has come to be there, and so opens a file that the kernel does not have.
#[test]
fn who_opens_what_he_meant_to_make() {
    if !possible() {
        return;
    }
    let bed = Bed::new(ReaddirPlus::Never);
    let path = bed.here.path("file");
    assert!(!path.exists(), "now the kernel takes it for absent");
    let ino = bed.file();
    let doing = || {
        let options = &mut File::options();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.metadata().unwrap().len(), bytes)
    };
    let waits = || assert!(!bed.announcer().settle(MOMENT), "it is waited for");
    let (len, bytes) = bed.hold(("create", ino), doing, waits);
    assert_eq!((len, &bytes[..]), (NEW.len() as u64, NEW));
    bed.is_whole("create");
}

/// Guards sizes that the kernel takes without asking how old they are: somebody else opened the file
/// meanwhile, so that it is not ahead any more; and what is told to the kernel, it does not keep.
#[test]
fn who_says_the_size_though_nobody_asked_for_it() {
    if !possible() {
        return;
    }
    for request in ["link", "setattr", "getattr"] {
        let bed = Bed::new(ReaddirPlus::Never);
        let ino = bed.file();
        let path = bed.here.path("file");
        let early = File::open(&path).unwrap();
        let doing = || match request {
            "link" => fs::hard_link(&path, bed.here.path("other")).map(|()| None),
            "setattr" => fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map(|()| None),
            _ => early.metadata().map(|found| Some(found.len())),
        };
        if request == "getattr" {
            // The kernel asks only for what it does not hold.
            let at = Place::new(ROOT, "file");
            bed.announcer().announce(Change::Attributes { at, ino });
            assert!(bed.announcer().settle(PATIENCE));
        }
        let reads = || {
            if request != "getattr" {
                assert_eq!(fs::read(&path).unwrap(), NEW, "{request}");
            }
        };
        let said = bed.hold((request, ino), doing, reads).unwrap();
        assert!(said.is_none_or(|len| len == NEW.len() as u64), "{request}");
        if request != "getattr" {
            let asked = bed.asked.load(Ordering::SeqCst);
            size(&path);
            assert!(bed.asked.load(Ordering::SeqCst) > asked, "{request} is not kept");
        }
        bed.is_whole(request);
    }
}

/// Guards that a panic on a thread that answers later costs one answer, and not the thread.
#[test]
fn a_panic_costs_one_answer() {
    if !possible() {
        return;
    }
    let (arrive, arrived) = channel();
    let (leave, left) = sync_channel::<()>(1);
    // One look-up is held, so that what is announced waits for it, and the file stays ahead.
    let held = Mutex::new(Some((arrive, left)));
    let dies = Arc::new(AtomicBool::new(false));
    let dying = dies.clone();
    let hook = move |name: &str, done: bool| {
        if name == "lookup"
            && dying.load(Ordering::SeqCst)
            && let Some((arrive, left)) = held.lock().take()
        {
            arrive.send(()).unwrap();
            left.recv_timeout(PATIENCE).unwrap();
        }
        let is_late = thread::current().name() == Some("fuse-forget");
        assert!(
            name != "getattr" || done || !is_late || !dying.load(Ordering::SeqCst),
            "as meant"
        );
    };
    let fs = Arc::new(Hooked {
        fs: Memory::default(),
        hook,
    });
    let here = Here::new(fs.clone(), &MountOptions::default(), ServeOptions::default());
    let announcer = here.session.as_ref().unwrap().announcer();
    let path = here.path("file");
    fs::write(&path, OLD).unwrap();
    let file = File::open(&path).unwrap();
    let ino = fs.fs.lookup(ROOT, b"file").unwrap().ino;
    dies.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        let early = scope.spawn(|| fs::metadata(here.path("absent")).is_ok());
        arrived.recv_timeout(PATIENCE).unwrap();
        let rewritten = || {
            announcer.announce(Change::Content {
                at: Place::new(ROOT, "file"),
                ino,
            });
            file.set_permissions(fs::Permissions::from_mode(0o600))
        };
        for _ in 0..2 {
            assert_eq!(rewritten().unwrap_err().raw_os_error(), Some(libc::EIO));
        }
        dies.store(false, Ordering::SeqCst);
        rewritten().unwrap();
        assert_eq!(here.panics(), 2);
        leave.send(()).unwrap();
        assert!(!early.join().unwrap());
    });
    assert!(announcer.settle(PATIENCE));
}
