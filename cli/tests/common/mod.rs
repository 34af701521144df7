//! A stage for the built program: folders of its own for everything it writes, and what tests ask
//! of it. Whatever still runs or is mounted at the end is cleared away.

#![allow(dead_code, reason = "each suite uses its part")]

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The password of every vault here.
pub(crate) const PASSWORD: &str = "wander lantern 7 canary-password";
/// How long anything may take before a test calls it hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// One machine's worth of folders.
pub(crate) struct Stage {
    root: tempfile::TempDir,
    /// The network namespace of its commands, if it is not the test's.
    net: Option<PathBuf>,
}

/// The built program: of this crate; for another crate's suites what `COFFER_BIN` names, else the one built beside the test.
fn program() -> PathBuf {
    if let Some(program) = option_env!("CARGO_BIN_EXE_coffer") {
        return program.into();
    }
    // target/debug/deps/test-… → target/debug/coffer
    let test = std::env::current_exe().unwrap();
    let beside = || test.parent().unwrap().parent().unwrap().join("coffer");
    let program = std::env::var_os("COFFER_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        program.is_file(),
        "the program is not built: “cargo build -p coffer” first"
    );
    program
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The JSON on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error} in {:?} ({:?})", self.out, self.err))
    }

    /// Insists on an exit code.
    #[track_caller]
    pub(crate) fn gives(self, code: i32) -> Said {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Says why and returns true where nothing can be mounted.
pub(crate) fn cannot_mount() -> bool {
    let root = rustix::process::geteuid().is_root();
    let able = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .is_ok()
        && root;
    if !able {
        eprintln!("skipped: mounting needs /dev/fuse and root");
    }
    !able
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage::at(tempfile::tempdir().unwrap(), None)
    }

    /// A machine of its own: whatever it runs is in this network namespace.
    pub(crate) fn within(net: &Path, prefix: &str) -> Stage {
        let root = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        Stage::at(root, Some(net.to_owned()))
    }

    fn at(root: tempfile::TempDir, net: Option<PathBuf>) -> Stage {
        let stage = Stage { root, net };
        for dir in ["run", "state", "data", "home", "mnt"] {
            fs::create_dir(stage.path(dir)).unwrap();
        }
        fs::set_permissions(stage.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
        stage
    }

    /// A stage with a vault.
    pub(crate) fn with_vault() -> Stage {
        let stage = Stage::new();
        stage.init("v");
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.path("v")
    }

    pub(crate) fn mnt(&self) -> PathBuf {
        self.path("mnt")
    }

    /// A command of the program, with nothing inherited that could change what it does.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let program = program();
        let mut command = match &self.net {
            None => Command::new(program),
            Some(net) => {
                let mut command = Command::new("nsenter");
                command
                    .arg(format!("--net={}", net.display()))
                    .arg("--")
                    .arg(program);
                command
            }
        };
        command
            .args(args)
            .current_dir(self.root.path())
            .env_remove("COFFER_PASSWORD_COMMAND")
            .env_remove("COFFER_MOUNTPOINT")
            .env_remove("NOTIFY_SOCKET")
            .env("COFFER_VAULT", self.vault())
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            // As root, “--all” would reach the vaults of everybody on this machine.
            .env("COFFER_RUNTIME_DIR", self.path("run/coffer"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command with `input` on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Said {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that fails early does not read; that is its right.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// Runs a command that asks for nothing.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// Runs a command with the right password.
    pub(crate) fn open(&self, args: &[&str]) -> Said {
        let mut args = args.to_vec();
        args.push("--password-stdin");
        self.run_with(&args, &format!("{PASSWORD}\n"))
    }

    pub(crate) fn init(&self, name: &str) {
        let vault = self.path(name);
        let vault = vault.to_str().unwrap();
        self.open(&[
            "init",
            "--vault",
            vault,
            "--kdf-memory",
            "19MiB",
            "--kdf-passes",
            "2",
            "--kdf-lanes",
            "1",
        ])
        .gives(0);
    }

    /// Mounts at `mnt`; the daemon's process id.
    pub(crate) fn mount(&self) -> u32 {
        let said = self.open(&["mount", "mnt", "--json"]).gives(0);
        u32::try_from(said.json()["pid"].as_u64().unwrap()).unwrap()
    }

    /// Whether something is mounted at `mnt`.
    pub(crate) fn is_mounted(&self) -> bool {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table
            .lines()
            .any(|line| line.split(' ').nth(4) == self.mnt().to_str())
    }

    /// All processes whose arguments name this stage's vault, and guardians below them.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let vault = self.vault();
        let mine = |pid: u32| {
            let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&args).contains(vault.to_str().unwrap())
        };
        let all: Vec<u32> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        let daemons: Vec<u32> = all.iter().copied().filter(|pid| mine(*pid)).collect();
        all.into_iter()
            .filter(|pid| daemons.contains(pid) || parent(*pid).is_some_and(|p| daemons.contains(&p)))
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for pid in self.processes() {
            kill(pid, libc::SIGKILL);
        }
        // Whatever a test mounted below its folder: one that stayed would keep the folder.
        let root = self.root.path().to_str().unwrap_or_default();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        for point in points.filter(|point| !root.is_empty() && point.starts_with(root)) {
            let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

/// A process's parent.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|child| parent(*child) == Some(pid))
        .collect()
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| Some(stat.rsplit_once(") ")?.1.starts_with('Z')))
        .is_some_and(|zombie| !zombie)
}

/// Sends a signal to a process that this test started.
pub(crate) fn kill(pid: u32, signal: i32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every file below a folder.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}
