//! A vault as a person has it: the built program, a home of its own, a mount point.
//!
//! Guarantees that nothing of it touches the person's own home, runtime or state folders,
//! and that whatever still runs or is mounted at the end is taken away.

use crate::command::{Ended, process_state, run, until};
use crate::{args, settings};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

mod site;

pub use site::VaultSite;

/// The KDF's floor: the least that the program takes.
const FLOOR: [&str; 4] = ["--kdf-memory", "19MiB", "--kdf-passes", "2"];

/// One vault and its surroundings.
#[derive(Debug)]
pub struct Vault {
    dir: TempDir,
    program: PathBuf,
    /// The vault's folder.
    pub store: PathBuf,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// The password.
    pub password: String,
}

impl Vault {
    /// A new vault, not mounted. `None`, said aloud, where nothing can be mounted.
    ///
    /// # Panics
    /// If the program was not built, or fails.
    pub fn init() -> Option<Vault> {
        if !Path::new("/dev/fuse").exists() {
            settings::skip("there is no /dev/fuse");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            settings::skip("mounting needs root here");
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("coffer-")
            .tempdir()
            .expect("temporary folders can be made");
        for name in ["home", "data", "state", "cache", "config", "run", "tmp", "mnt"] {
            fs::create_dir(dir.path().join(name)).expect("the folder is new");
        }
        fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o700)).expect("it is ours");
        let vault = Vault {
            program: program(),
            store: dir.path().join("vault"),
            mountpoint: dir.path().join("mnt"),
            password: "correct horse battery staple".into(),
            dir,
        };
        let mut init = args!["init", "--password-stdin", "--no-recovery"].to_vec();
        init.extend(FLOOR.map(OsStr::new));
        vault.coffer(&init).ok();
        Some(vault)
    }

    /// A new vault, mounted.
    pub fn mounted() -> Option<Vault> {
        let vault = Vault::init()?;
        vault.mount();
        Some(vault)
    }

    /// The folder that holds all of it: home, state, runtime and temporary folders too.
    pub fn surroundings(&self) -> &Path {
        self.dir.path()
    }

    /// A folder outside the vault for whatever a test needs.
    pub fn scratch(&self) -> PathBuf {
        let scratch = self.dir.path().join("scratch");
        fs::create_dir_all(&scratch).expect("it is ours");
        scratch
    }

    /// A command of the program on this vault, given the password.
    pub fn coffer(&self, arguments: &[&OsStr]) -> Ended {
        self.coffer_with(arguments, format!("{}\n", self.password).as_bytes())
    }

    /// Mounts it in the foreground: the daemon is the child that is returned, perhaps not
    /// mounted yet.
    pub fn foreground(&self) -> Child {
        let mut command = self.command();
        command
            .args(["mount", "--foreground", "--password-stdin"])
            .arg(&self.mountpoint);
        let quiet = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = quiet.spawn().expect("the program can be started");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin
            .write_all(format!("{}\n", self.password).as_bytes())
            .expect("it reads the password");
        child
    }

    /// A command of the program on this vault, given this input.
    pub fn coffer_with(&self, arguments: &[&OsStr], input: &[u8]) -> Ended {
        run(self.command().args(arguments), input)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(self.dir.path());
        for (name, dir) in [
            ("HOME", "home"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_RUNTIME_DIR", "run"),
            ("TMPDIR", "tmp"),
        ] {
            command.env(name, self.dir.path().join(dir));
        }
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("COFFER_VAULT", &self.store);
        command
    }

    /// Mounts it, in the background.
    pub fn mount(&self) {
        self.try_mount(&[]).ok();
        assert!(
            self.is_mounted(),
            "mount says that it did, but nothing is mounted"
        );
    }

    /// Tries to mount it, with more arguments.
    pub fn try_mount(&self, more: &[&OsStr]) -> Ended {
        let mut mount = args!["mount", "--password-stdin", &self.mountpoint].to_vec();
        mount.extend(more);
        self.coffer(&mount)
    }

    /// Unmounts it and ends its daemon, in order.
    pub fn lock(&self) {
        let daemon = self.daemon();
        self.coffer(&args!["lock"]).ok();
        assert!(
            !self.is_mounted(),
            "lock says that it did, but the vault is still mounted"
        );
        self.wait_for_end(daemon);
    }

    /// Kills the daemon, and waits until it is gone. The mount stays, dead.
    pub fn kill(&self) {
        let daemon = self.daemon();
        let pid = Pid::from_raw(daemon as i32).expect("a process id is not 0");
        rustix::process::kill_process(pid, Signal::KILL).expect("it is alive");
        self.wait_for_end(daemon);
    }

    /// The daemon's process id.
    ///
    /// # Panics
    /// If the vault is not mounted.
    pub fn daemon(&self) -> u32 {
        let status = self.json(&args!["status", "--json"]);
        status["mount"]["pid"]
            .as_u64()
            .unwrap_or_else(|| panic!("no daemon in {status}")) as u32
    }

    /// Waits until everything written so far is durable.
    pub fn settle(&self) {
        until("everything is durable", || {
            let contents = &self.json(&args!["status", "--json"])["contents"];
            (contents["pending_seconds"].is_null() && contents["pending_events"] == 0).then_some(())
        });
    }

    /// Changes the password.
    pub fn change_password(&mut self, new: &str) {
        let input = format!("{}\n{new}\n", self.password);
        let mut passwd = args!["passwd", "--password-stdin"].to_vec();
        passwd.extend(FLOOR.map(OsStr::new));
        self.coffer_with(&passwd, input.as_bytes()).ok();
        self.password = new.into();
    }

    /// Copies it to a backup, and gives that as a vault beside this one.
    pub fn back_up(&self, to: &Path) {
        self.coffer(&args!["backup", "--password-stdin", to]).ok();
    }

    /// Makes this vault the one that lies in another folder, as after a restore.
    pub fn restore(&mut self, from: &Path) {
        assert!(!self.is_mounted(), "a mounted vault cannot be replaced");
        fs::remove_dir_all(&self.store).expect("it is ours");
        fs::rename(from, &self.store).expect("both are ours");
    }

    /// What `check` reports: everything read, each problem by path.
    pub fn check(&self) -> Value {
        let ended = self.coffer(&args!["check", "--read-data", "--json", "--password-stdin"]);
        serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|error| panic!("check answers no JSON ({error}): {ended:?}"))
    }

    /// Asserts that `check` finds nothing.
    #[track_caller]
    pub fn assert_sound(&self) {
        let report = self.check();
        let problems = report["problems"].as_array();
        assert!(problems.is_some_and(Vec::is_empty), "check finds: {report}");
        assert!(
            report["records"].as_u64() > Some(0),
            "check verified nothing: {report}"
        );
    }

    /// A command's answer in JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&OsStr]) -> Value {
        let ended = self.coffer(arguments).ok();
        serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", ended.text()))
    }

    /// Whether something is mounted at the mount point, alive or dead. Asks the kernel's
    /// list, never the mount itself, which may not answer.
    pub fn is_mounted(&self) -> bool {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let here = self.mountpoint.to_string_lossy();
        mounts.lines().any(|line| line.split(' ').nth(4) == Some(&here))
    }

    /// The processes whose memory may hold keys or plaintext: all that run our program for
    /// this vault. Others' tests run side by side: ours are told by what we gave them.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(program) = fs::canonicalize(&self.program) else {
            return Vec::new();
        };
        let mark = self.dir.path().as_os_str().as_encoded_bytes();
        let ours = |pid: &u32| {
            let marked = |what: &str| {
                let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                bytes.windows(mark.len()).any(|window| window == mark)
            };
            let runs = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
            runs && (marked("environ") || marked("cmdline"))
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(ours)
            .collect()
    }

    /// A process whose first thread is a zombie may still run others, and hold all its files.
    fn wait_for_end(&self, pid: u32) {
        until(&format!("the daemon {pid} ends"), || {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
            (threads == 0 || threads == 1 && process_state(pid) == Some('Z')).then_some(())
        });
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        // After a failed test as well as after a good one; what is gone already is fine.
        for pid in self.processes() {
            if let Some(pid) = Pid::from_raw(pid as i32) {
                rustix::process::kill_process(pid, Signal::KILL).unwrap_or_default();
            }
        }
        while self.is_mounted() {
            let flags = rustix::mount::UnmountFlags::DETACH;
            if rustix::mount::unmount(&self.mountpoint, flags).is_err() {
                break;
            }
        }
    }
}

/// The program under test: what `COFFER_BIN` names, else the one built beside this test.
///
/// # Panics
/// If it is not there: a suite that tests nothing must not pass.
pub fn program() -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().expect("Linux tells");
        // target/debug/deps/test-… → target/debug/coffer
        test.parent().and_then(Path::parent).map(|dir| dir.join("coffer"))
    };
    let program = std::env::var_os("COFFER_BIN").map(PathBuf::from).or_else(beside);
    program
        .filter(|path| path.is_file())
        .expect("the program is not built: run “cargo build -p coffer” first")
}
