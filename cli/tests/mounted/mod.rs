//! A vault mounted by the test itself, so that it can change what is in there past the kernel, as
//! import, restore and other devices do; announcements are repeated by the built program.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each suite uses its part")]

pub mod device;

use coffer_fs::adapter::{Announcer, Change, Place, ServeOptions, Session, serve};
use coffer_fs::follow::Follow;
use coffer_fs::mount::{Mount, MountOptions, mount};
use coffer_fs::permit::{Permit, User};
use coffer_fs::types::{Ino, Kind, ROOT};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::vault::{At, Vault};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long anything may take before a test calls it hung.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub struct Mounted {
    pub vault: Arc<Vault>,
    pub mount: Mount,
    pub announcer: Announcer,
    session: Option<Session>,
    dir: tempfile::TempDir,
}

/// The command of the process that repeats announcements.
pub fn helper() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.arg("announce");
    command
}

impl Mounted {
    pub fn new() -> Mounted {
        Mounted::with("")
    }

    /// With mount options.
    pub fn with(options: &str) -> Mounted {
        let mounted = Mounted::silent(options);
        mounted.announcer.repeat_in(mounted.mount.point(), helper);
        mounted
    }

    /// Without a helper.
    pub fn silent(options: &str) -> Mounted {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (vault, _) = Vault::create(
            &root.join("v"),
            &Password::new(b"a password".to_vec()),
            KdfParams::FLOOR,
            false,
        )
        .unwrap();
        let point = root.join("mount point");
        std::fs::create_dir(&point).unwrap();
        let mut parsed = MountOptions::default();
        parsed.parse(options).unwrap();
        let (fuse, mount) = mount(&point, &parsed).unwrap();
        let serving = ServeOptions {
            kernel_checks: parsed.kernel_checks(),
            ..ServeOptions::default()
        };
        let fs = Arc::new(CofferFs::new(vault.clone()).unwrap());
        let follow = Follow::new(&vault);
        let session = match serving.kernel_checks {
            true => serve(fs, fuse, 4, serving).unwrap(),
            false => {
                let fs = Permit::new(fs, User::current().unwrap());
                serve(Arc::new(fs), fuse, 4, serving).unwrap()
            }
        };
        follow.announce(session.announcer()).unwrap();
        Mounted {
            vault,
            mount,
            announcer: session.announcer(),
            session: Some(session),
            dir,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.mount.point().join(name)
    }

    /// A folder outside.
    pub fn outside(&self) -> &Path {
        self.dir.path()
    }

    /// Makes something as import does, and announces it.
    pub fn put(&self, folder: Ino, name: &str, kind: Kind, bytes: &[u8]) -> Ino {
        let over = self.vault.lookup(folder, name.as_bytes()).ok();
        let mut incoming = self.vault.incoming(meta(kind)).unwrap();
        if matches!(kind, Kind::File | Kind::Symlink) {
            incoming.write(0, bytes).unwrap();
        }
        let at = At {
            folder,
            name: name.as_bytes(),
            replace: true,
            keep_times: false,
        };
        let (ino, _) = incoming.place(at).unwrap();
        let at = Place::new(folder, name);
        self.announcer.announce(Change::Made { at, ino, over });
        ino
    }

    /// Writes into a file where it is, as a version from another device does, and announces it.
    pub fn rewrite(&self, folder: Ino, name: &str, offset: u64, bytes: &[u8]) {
        let ino = self.vault.lookup(folder, name.as_bytes()).unwrap();
        self.vault.write(ino, Some(offset), bytes, false).unwrap();
        let at = Place::new(folder, name);
        self.announcer.announce(Change::Content { at, ino });
    }

    pub fn settle(&self) {
        assert!(self.announcer.settle(PATIENCE), "announcing does not end");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.announcer.settle(PATIENCE);
        if self.mount.unmount().is_err() {
            // A test failed with something open: no process may be left hanging on it.
            let _ = self.mount.abort();
            let _ = self.mount.unmount_lazily();
        }
        let session = self.session.take().unwrap();
        if session.wait(Duration::from_secs(20)) {
            let ended = session.join();
            if !std::thread::panicking() {
                ended.expect("a clean end of the service");
                self.vault.close().unwrap();
            }
        }
    }
}

pub fn meta(kind: Kind) -> Meta {
    let now = Time::now();
    Meta {
        kind,
        perm: if kind == Kind::Folder { 0o755 } else { 0o644 },
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    }
}

/// Whether mounts are possible here, and these programs are there; says why not.
pub fn possible(programs: &[&str]) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root || File::options().read(true).write(true).open("/dev/fuse").is_err() {
        eprintln!("SKIPPED: mounting needs /dev/fuse and root");
        return false;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for program in programs {
        if !std::env::split_paths(&path).any(|dir| dir.join(program).is_file()) {
            eprintln!("SKIPPED: {program} is not installed");
            return false;
        }
    }
    true
}

/// A program whose lines are heard as they come.
pub struct Heard {
    pub child: Child,
    lines: Receiver<String>,
}

impl Heard {
    /// Listens to standard output and, if so, standard error.
    pub fn start(mut command: Command) -> Heard {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let both: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for pipe in both {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        Heard { child, lines }
    }

    /// inotifywait on a folder, once it watches.
    pub fn inotify(path: &Path, more: &[&str]) -> Heard {
        let mut command = Command::new("inotifywait");
        command.args(["-m", "--format", "%e %f"]).args(more).arg(path);
        let mut heard = Heard::start(command);
        heard.until("it watches", |line| line.contains("Watches established"));
        heard
    }

    /// Lines up to one that fits; panics if none comes.
    #[track_caller]
    pub fn until(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut heard: Vec<String> = Vec::new();
        while !heard.last().is_some_and(|line| fits(line)) {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => heard.push(line),
                Err(_) => panic!("waited in vain for {what}; heard {heard:#?}"),
            }
        }
        heard
    }

    /// All lines to the end of both.
    pub fn rest(&mut self) -> Vec<String> {
        self.lines.iter().collect()
    }

    /// Lines that came already.
    pub fn so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub const TOP: Ino = ROOT;
