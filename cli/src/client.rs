//! Finding a daemon and asking it.
//!
//! Guarantees that a request goes only to a process of this user (or, for root, of the user whose
//! folder the socket lies in), and that an ending is reported only once the daemon's process is gone.

use crate::daemon::control::{Published, short};
use crate::failure::{Failure, Kind};
use crate::frame::{self, Reader};
use crate::paths;
use crate::secret::Secret;
use crate::wire::{self, Ending, Op, Progress, Reply, Request};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a daemon may take to answer, or to be gone if it was killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a daemon that has answered may take to be gone.
const FAREWELL: Duration = Duration::from_secs(30);

/// A daemon that runs, as its card says.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What it serves.
    pub card: Published,
    socket: PathBuf,
}

/// All daemons of this user; with `everyone`, as root, of all users. Remains of dead ones are cleared away.
pub(crate) fn daemons(everyone: bool) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for dir in paths::runtime_dirs(everyone) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let socket = path.with_extension("sock");
            let Some(card) = fs::read(&path)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Published>(&bytes).ok())
            else {
                continue;
            };
            match short(&socket, |socket| UnixStream::connect(socket)) {
                Ok(_) => found.push(Found { card, socket }),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    // Killed: nobody will clean up after it but us.
                    let _ = fs::remove_file(&socket);
                    let _ = fs::remove_file(&path);
                }
                Err(_) => {}
            }
        }
    }
    found.sort_by(|a, b| a.card.mountpoint.0.cmp(&b.card.mountpoint.0));
    found
}

/// The daemon that holds the vault in `dir`, by whatever path it was opened. One whose folder was
/// deleted meanwhile is known by its path.
pub(crate) fn of_vault(dir: &Path) -> Option<Found> {
    let identity = paths::identity(dir).ok();
    daemons(false).into_iter().find(|found| match identity {
        Some(identity) => (found.card.dev, found.card.ino) == identity,
        None => found.card.vault.0 == dir,
    })
}

/// The same, if it lives: one that was killed may take calls until its last thread is gone,
/// and is waited for.
///
/// # Errors
/// `InUse` if it neither answers nor ends.
pub(crate) fn living(dir: &Path) -> Result<Option<Found>, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let Some(found) = of_vault(dir) else {
            return Ok(None);
        };
        // Any word is one: another version's daemon refuses the question, and lives.
        if found.speaks() {
            return Ok(Some(found));
        }
        if Instant::now() >= until {
            return Err(Failure::new(
                Kind::InUse,
                format!(
                    "The vault's daemon (process {}) does not answer; if it is stopped, let it go on, else end it with “kill -9”.",
                    found.card.pid
                ),
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The daemon that serves the mount at `mountpoint` (absolute).
pub(crate) fn of_mountpoint(mountpoint: &Path) -> Option<Found> {
    daemons(true)
        .into_iter()
        .find(|found| found.card.mountpoint.0 == mountpoint)
}

impl Found {
    /// Whether it says anything at all, in time.
    fn speaks(&self) -> bool {
        let ask = || -> io::Result<bool> {
            let mut stream = short(&self.socket, |socket| UnixStream::connect(socket))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let request = Request {
                coffer: wire::VERSION,
                secrets: Vec::new(),
                op: Op::Ping,
            };
            frame::send(&mut stream, &request, &[])?;
            let word: Option<serde_json::Value> = Reader::new(stream).message(wire::MAX_REPLY)?;
            Ok(word.is_some())
        };
        ask().unwrap_or(false)
    }

    /// Asks, shows progress, and answers what came back.
    ///
    /// # Errors
    /// The daemon's, or why it could not be asked.
    pub(crate) fn ask(
        &self,
        op: Op,
        secrets: &[Secret],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(serde_json::Value, Vec<Secret>), Failure> {
        let lost = |error: &io::Error| Failure::io("talk to the vault's daemon", error);
        let mut stream =
            short(&self.socket, |socket| UnixStream::connect(socket)).map_err(|error| lost(&error))?;
        self.verify(&stream)?;
        let request = Request {
            coffer: wire::VERSION,
            secrets: secrets.iter().map(|secret| secret.expose().len()).collect(),
            op,
        };
        frame::send(&mut stream, &request, secrets).map_err(|error| lost(&error))?;
        let mut reader = Reader::new(stream);
        loop {
            match reader.message(wire::MAX_REPLY).map_err(|error| lost(&error))? {
                Some(Reply::Progress(step)) => progress(step),
                Some(Reply::Done { answer, secrets }) => {
                    let secrets = reader.secrets(&secrets).map_err(|error| lost(&error))?;
                    return Ok((answer, secrets));
                }
                Some(Reply::Failed(failure)) => return Err(failure),
                None => {
                    return Err(Failure::failed(
                        "The vault's daemon ended without an answer; see its log, daemon.log in the state folder.",
                    ));
                }
            }
        }
    }

    /// Asks for the end and waits until the process is gone. Answers whether it locked: a
    /// vault may be set to stay open over a suspend.
    ///
    /// # Errors
    /// `InUse`, naming who uses the mount; or that the last writes could not be kept.
    pub(crate) fn end(&self, how: Ending) -> Result<bool, Failure> {
        // Taken before asking: afterwards the number could be another process's.
        let process = i32::try_from(self.card.pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let (answer, _) = self.ask(Op::End { how }, &[], &mut |_| {})?;
        let locked = answer["locked"].as_bool().unwrap_or(true);
        if locked && let Some(process) = process {
            let until = Instant::now() + FAREWELL;
            loop {
                let rest = until.saturating_duration_since(Instant::now());
                let timeout = rustix::fs::Timespec {
                    tv_sec: i64::try_from(rest.as_secs()).unwrap_or(0),
                    tv_nsec: i64::from(rest.subsec_nanos()),
                };
                match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)) {
                    Err(rustix::io::Errno::INTR) => {}
                    Ok(0) => {
                        return Err(Failure::failed(format!(
                            "The vault is locked, but its process {} does not end; end it with “kill -9”.",
                            self.card.pid
                        )));
                    }
                    _ => break,
                }
            }
        }
        Ok(locked)
    }

    /// Makes sure who listens.
    fn verify(&self, stream: &UnixStream) -> Result<(), Failure> {
        let peer = rustix::net::sockopt::socket_peercred(stream)
            .map_err(|error| Failure::io("see who listens on the control socket", &error.into()))?;
        let owner = self
            .socket
            .parent()
            .and_then(|dir| fs::metadata(dir).ok())
            .map(|meta| meta.uid());
        if owner == Some(peer.uid.as_raw()) || peer.uid.is_root() {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Failed,
            format!(
                "The control socket {} is served by somebody else; nothing was sent.",
                self.socket.display()
            ),
        ))
    }
}
