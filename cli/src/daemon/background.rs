//! Going to the background: the program starts itself anew, before it has threads, and waits for
//! word through a pipe.
//!
//! Guarantees that the password crosses in a pipe (never arguments, environment or a file; pipes
//! are not swapped), that the foreground ends only when the mount is there or with the daemon's own
//! sentence, and that the daemon keeps no terminal, working folder or descriptor of its parent.

use super::Config;
use crate::failure::Failure;
use crate::frame::{self, Reader};
use crate::paths;
use crate::secret::Secret;
use crate::wire::{self, Reply};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// This program's own file, even if it was replaced on disk meanwhile.
pub(super) const SELF: &str = "/proc/self/exe";
/// The log starts anew beyond this many bytes.
const LOG_LIMIT: u64 = 1 << 20;

/// Starts a daemon and waits until it has mounted; answers what it reported.
///
/// # Errors
/// The daemon's, or why there is none.
pub(crate) fn start(config: &Config, password: &Secret) -> Result<serde_json::Value, Failure> {
    let (log, log_path) = open_log()?;
    keep_descriptors();
    let mut child = Command::new(SELF)
        .arg0("coffer")
        .arg("daemon")
        // The password crosses in the pipe; where it came from is nobody's business afterwards.
        .env_remove("COFFER_PASSWORD_COMMAND")
        .env_remove("COFFER_NEW_PASSWORD_COMMAND")
        .arg(&config.vault.0)
        .arg(&config.mountpoint.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| Failure::io("start the daemon", &error))?;
    let mut to = child.stdin.take().expect("standard input was piped above");
    let from = child.stdout.take().expect("standard output was piped above");
    let start = Start {
        config: config.clone(),
        password: password.expose().len(),
    };
    let sent = frame::send(&mut to, &start, std::slice::from_ref(password));
    drop(to);
    // Even if sending failed, the daemon's own words are the better ones.
    match Reader::new(from).message(wire::MAX_REPLY) {
        Ok(Some(Reply::Done { answer, .. })) => Ok(serde_json::from_str(answer.get()).unwrap_or_default()),
        Ok(Some(Reply::Failed(failure))) => {
            // It has said why and ends; collect it.
            let _ = child.wait();
            Err(failure)
        }
        _ => {
            let status = child
                .wait()
                .map(|status| format!(" ({status})"))
                .unwrap_or_default();
            let why = sent.err().map(|error| format!("; {error}")).unwrap_or_default();
            Err(Failure::failed(format!(
                "The daemon ended before the vault was mounted{status}{why}; its log may say why: {}.",
                log_path.display()
            )))
        }
    }
}

/// Marks every descriptor beyond standard error to be closed in programs started from here: a
/// daemon that kept a pipe of the shell's would keep whoever reads it waiting.
pub(super) fn keep_descriptors() {
    // SAFETY: sets one flag on descriptors; none is closed, and no memory is touched. Where the
    // kernel does not know the call, descriptors are inherited as ever.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// What the daemon reads first.
#[derive(serde::Serialize, serde::Deserialize)]
struct Start {
    config: Config,
    password: usize,
}

/// In the daemon: detaches, reads its orders, and hands back where to report.
///
/// # Errors
/// When it was not started by `coffer mount`.
pub(crate) fn arrive() -> Result<(Config, Secret, File), Failure> {
    let stranger = |error: std::io::Error| {
        Failure::usage(format!(
            "“coffer daemon” is started by “coffer mount” only ({error})."
        ))
    };
    let null = || OpenOptions::new().read(true).write(true).open("/dev/null");
    // Duplicates close on exec, so that no child of ours can hold the foreground waiting.
    let orders = duplicate(rustix::stdio::stdin()).map_err(stranger)?;
    let report = duplicate(rustix::stdio::stdout()).map_err(stranger)?;
    let null = null().map_err(stranger)?;
    rustix::stdio::dup2_stdin(&null).map_err(|error| stranger(error.into()))?;
    rustix::stdio::dup2_stdout(&null).map_err(|error| stranger(error.into()))?;
    // Fails only if we lead a group already; then we are detached enough.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/").map_err(stranger)?;
    let mut reader = Reader::new(File::from(orders));
    let start: Start = reader
        .message(wire::MAX_REQUEST)
        .and_then(|start| start.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into()))
        .map_err(stranger)?;
    let password = reader
        .secrets(&[start.password], crate::secret::MAX)
        .map_err(stranger)?
        .pop();
    let password = password.ok_or_else(|| stranger(std::io::ErrorKind::UnexpectedEof.into()))?;
    Ok((start.config, password, File::from(report)))
}

fn duplicate(fd: impl std::os::fd::AsFd) -> std::io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

/// The daemon's log: what it would have said on standard error. Holds no names and no secrets.
fn open_log() -> Result<(File, PathBuf), Failure> {
    let path = paths::state_dir()?.join(paths::LOG);
    let open = || {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)?;
        if file.seek(SeekFrom::End(0))? > LOG_LIMIT {
            file.set_len(0)?;
        }
        Ok(file)
    };
    match open() {
        Ok(file) => Ok((file, path)),
        Err(error) => Err(Failure::io(
            format_args!("open the log {}", path.display()),
            &error,
        )),
    }
}
