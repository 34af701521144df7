//! Running other programs with an end: none is waited for longer than a bound, so that a
//! hang is a failure that says who hung, and not a suite that never ends.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as hung. It asserts nothing about speed.
pub const HUNG: Duration = Duration::from_secs(600);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// What was run, for reports.
    pub command: String,
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said of errors.
    pub stderr: String,
}

impl Ended {
    /// The same, if it succeeded.
    ///
    /// # Panics
    /// If it did not, with what it said.
    #[track_caller]
    pub fn ok(self) -> Ended {
        assert!(
            self.status.success(),
            "{}: {}\n{}\n{}",
            self.command,
            self.status,
            self.stderr,
            self.text()
        );
        self
    }

    /// What it printed, as text without the last line's end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

/// Runs a program to its end, giving it `input`.
///
/// # Panics
/// If it cannot be started or hangs.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Ended {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    // A program need not read all of it.
    let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = drain(child.stdout.take().expect("it is piped"));
    let stderr = drain(child.stderr.take().expect("it is piped"));
    let status = wait(&mut child, &shown);
    feeder.join().expect("feeding does not panic");
    let stderr = String::from_utf8_lossy(&stderr.join().expect("reading does not panic")).into_owned();
    Ended {
        command: shown,
        status,
        stdout: stdout.join().expect("reading does not panic"),
        stderr,
    }
}

/// Runs a line of shell in a folder; it must succeed.
#[track_caller]
pub fn shell(dir: &Path, line: &str) -> String {
    run(
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", line])
            .current_dir(dir),
        b"",
    )
    .ok()
    .text()
}

/// Waits for a child's end.
///
/// # Panics
/// If it hangs; it is killed then.
#[track_caller]
pub fn wait(child: &mut Child, shown: &str) -> ExitStatus {
    let end = Instant::now() + HUNG;
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if Instant::now() > end {
            let state = process_state(child.id());
            child.kill().unwrap_or_default();
            panic!("{shown} hangs, in state {state:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until something is so.
///
/// # Panics
/// If it never is.
#[track_caller]
pub fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + HUNG;
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The state letter of a process (`D` waits for a disk that may never answer), if it lives.
pub fn process_state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether this program can be found; says so if it cannot.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !found {
        crate::settings::skip(&format!("{program} is not installed"));
    }
    found
}

/// Arguments of different kinds in one list.
#[macro_export]
macro_rules! args {
    ($($arg:expr),* $(,)?) => { [$(std::ffi::OsStr::new($arg)),*] };
}

/// A command with arguments.
pub fn command(program: impl AsRef<OsStr>, args: &[&OsStr]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut out = Vec::new();
        from.read_to_end(&mut out).unwrap_or_default();
        out
    })
}
