//! Finding a daemon and asking it.
//!
//! Guarantees that a request goes only to a process of this user (or, for root, of the user whose
//! folder the socket lies in), and that an ending is reported only once the daemon's process is gone.

use crate::daemon::control::{Published, short};
use crate::engine;
use crate::failure::{Failure, Kind};
use crate::frame::{self, Reader};
use crate::paths;
use crate::secret::Secret;
use crate::ui;
use crate::wire::{self, Ending, Op, Plain, Progress, Reply, Request};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a daemon may take to answer, or to be gone if it was killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a person wants no more.
const TICK: Duration = Duration::from_millis(50);
/// How long a daemon that has answered may take to be gone.
const FAREWELL: Duration = Duration::from_secs(30);
/// After how long a person hears what is waited for.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a daemon may take for what costs it nothing.
const PROMPT: Duration = Duration::from_secs(30);

/// The longest part of an answer, in bytes.
const PART_MAX: usize = 16 << 20;

/// Takes a part of an answer.
type OnPart<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Failure>;

/// Of answers that have no parts.
fn nothing(_: &[u8]) -> Result<(), Failure> {
    Ok(())
}

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
    if_it_lives(|| of_vault(dir))
}

/// The daemon that serves the mount at `mountpoint` (absolute), if it lives, as `living` says.
///
/// # Errors
/// `InUse` if it neither answers nor ends.
pub(crate) fn living_at(mountpoint: &Path) -> Result<Option<Found>, Failure> {
    let serves = |found: &Found| found.card.mountpoint.0 == mountpoint;
    if_it_lives(|| daemons(true).into_iter().find(serves))
}

fn if_it_lives(find: impl Fn() -> Option<Found>) -> Result<Option<Found>, Failure> {
    let begun = Instant::now();
    let mut said = false;
    loop {
        let Some(found) = find() else {
            return Ok(None);
        };
        // Any word is one: another version's daemon refuses the question, and lives.
        if found.speaks() {
            return Ok(Some(found));
        }
        if begun.elapsed() >= PATIENCE {
            return Err(found.silent());
        }
        if !said && begun.elapsed() >= SILENCE {
            said = true;
            found.say_what_is_waited_for();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Found {
    /// The same, if it lives, as `living` says.
    ///
    /// # Errors
    /// `InUse` if it neither answers nor ends.
    pub(crate) fn if_living(&self) -> Result<Option<Found>, Failure> {
        let same = |found: &Found| found.socket == self.socket;
        if_it_lives(|| daemons(true).into_iter().find(same))
    }

    /// Whether it says anything at all, in time.
    fn speaks(&self) -> bool {
        let ask = || -> io::Result<bool> {
            let mut stream = short(&self.socket, |socket| UnixStream::connect(socket))?;
            stream.set_read_timeout(Some(SILENCE))?;
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

    /// Says that it does not answer, and what to do.
    fn silent(&self) -> Failure {
        let pid = self.card.pid;
        let message = if is_stopped(pid) {
            format!(
                "The vault's daemon (process {pid}) is stopped; let it go on with “kill -CONT {pid}”, or end it with “kill -9 {pid}”."
            )
        } else {
            format!(
                "The vault's daemon (process {pid}) does not answer; wait for it, or end it with “kill -9 {pid}”: what was not yet synced is lost then."
            )
        };
        Failure::new(Kind::InUse, message)
    }

    fn say_what_is_waited_for(&self) {
        let pid = self.card.pid;
        let stopped = if is_stopped(pid) { ", which is stopped" } else { "" };
        ui::note(&format!(
            "Waiting for the vault's daemon (process {pid}){stopped} …"
        ));
    }

    /// Waits for the first word of an answer, for so long if there is a bound.
    fn wait_for_word(&self, stream: &UnixStream, bound: Option<Duration>) -> Result<(), Failure> {
        if is_readable(stream, Some(SILENCE)) {
            return Ok(());
        }
        self.say_what_is_waited_for();
        match is_readable(stream, bound) {
            true => Ok(()),
            false => Err(self.silent()),
        }
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
    ) -> Result<(Plain, Vec<Secret>), Failure> {
        plainly(self.converse(op, secrets, progress, None, &mut nothing))
    }

    /// The same for what can be stopped: once `stop` is set, the daemon hears that we say no more,
    /// and answers what it has done so far.
    ///
    /// # Errors
    /// As [`Found::ask`].
    pub(crate) fn ask_until(
        &self,
        op: Op,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Plain, Failure> {
        plainly(self.converse(op, &[], progress, Some(stop), &mut nothing)).map(|(answer, _)| answer)
    }

    /// The same for an answer that comes in parts; hanging up, as when `part` fails, ends the question.
    ///
    /// # Errors
    /// As [`Found::ask`], and `part`'s.
    pub(crate) fn ask_parts(
        &self,
        op: Op,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
        part: OnPart<'_>,
    ) -> Result<Plain, Failure> {
        plainly(self.converse(op, &[], progress, Some(stop), part)).map(|(answer, _)| answer)
    }

    fn converse(
        &self,
        op: Op,
        secrets: &[Secret],
        progress: &mut dyn FnMut(Progress),
        stop: Option<&AtomicBool>,
        part: OnPart<'_>,
    ) -> Result<(Plain, Vec<Secret>), Refusal> {
        let lost = |error: &io::Error| Refusal::Lost(Failure::io("talk to the vault's daemon", error));
        let mut stream =
            short(&self.socket, |socket| UnixStream::connect(socket)).map_err(|error| lost(&error))?;
        self.verify(&stream).map_err(Refusal::Said)?;
        let request = Request {
            coffer: wire::VERSION,
            secrets: secrets.iter().map(|secret| secret.expose().len()).collect(),
            op,
        };
        frame::send(&mut stream, &request, secrets).map_err(|error| lost(&error))?;
        let bound = match &request.op {
            Op::Status | Op::Ping | Op::Reload => Some(PROMPT),
            _ => None,
        };
        // What takes its time by nature is waited for without a word.
        if bound.is_some() || matches!(request.op, Op::End { .. }) {
            self.wait_for_word(&stream, bound).map_err(Refusal::Said)?;
        }
        let ours = stream.try_clone().map_err(|error| lost(&error))?;
        let mut reader = Reader::new(stream);
        loop {
            let is_stopped = || stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            // Until it is stopped, which no message tells.
            while stop.is_some() && reader.is_drained() && !is_stopped() && !is_readable(&ours, Some(TICK)) {}
            if is_stopped() {
                // As below; an answer comes all the same.
                let _ = ours.shutdown(Shutdown::Write);
            }
            let reply = reader.message(wire::MAX_REPLY).map_err(|error| lost(&error))?;
            if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                // It may have ended by itself in this moment; then nobody needs to hear.
                let _ = ours.shutdown(Shutdown::Write);
            }
            match reply {
                Some(Reply::Progress(step)) => progress(step),
                Some(Reply::Part { secrets }) => {
                    let parts = reader.secrets(&secrets, PART_MAX).map_err(|error| lost(&error))?;
                    for bytes in parts {
                        part(bytes.expose()).map_err(Refusal::Said)?;
                    }
                }
                Some(Reply::Done { answer, secrets }) => {
                    // Some carry bytes of a file.
                    let longest = wire::history::MAX_BYTES as usize;
                    let secrets = reader.secrets(&secrets, longest).map_err(|error| lost(&error))?;
                    return Ok((answer, secrets));
                }
                Some(Reply::Failed(mut failure)) => {
                    // Of ourselves nobody needs to hear.
                    failure.users.retain(|user| user.pid != std::process::id());
                    return Err(Refusal::Said(failure));
                }
                None => {
                    return Err(Refusal::Lost(Failure::failed(
                        "The vault's daemon ended without an answer; see its log, daemon.log in the state folder.",
                    )));
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
        // Standing in the mount, we would be what keeps it busy.
        let _ = std::env::set_current_dir("/");
        let has_ended = || {
            let ended = |process| is_readable(process, Some(FAREWELL));
            process.as_ref().is_none_or(ended)
        };
        let answer = match self.converse(Op::End { how }, &[], &mut |_| {}, None, &mut nothing) {
            Ok((answer, _)) => answer,
            Err(Refusal::Said(failure)) => {
                // It ends all the same, if that is what it could not do without a loss.
                if engine::at(&self.card.mountpoint.0).is_none() {
                    has_ended();
                }
                return Err(failure);
            }
            // It was ending already, for somebody else, and gone before it saw our question.
            Err(Refusal::Lost(failure)) => {
                let gone = process.is_some() && has_ended();
                return match gone && engine::at(&self.card.mountpoint.0).is_none() {
                    true => Ok(true),
                    false => Err(failure),
                };
            }
        };
        let answer: serde_json::Value = serde_json::from_str(answer.get()).unwrap_or_default();
        let locked = answer["locked"].as_bool().unwrap_or(true);
        if locked && !has_ended() {
            return Err(Failure::failed(format!(
                "The vault is locked, but its process {0} does not end; end it with “kill -9 {0}”.",
                self.card.pid
            )));
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

fn plainly<T>(answer: Result<T, Refusal>) -> Result<T, Failure> {
    answer.map_err(|refusal| match refusal {
        Refusal::Said(failure) | Refusal::Lost(failure) => failure,
    })
}

/// Why a question was not answered.
enum Refusal {
    /// The daemon said so, or we did not let it.
    Said(Failure),
    /// It is not there, or hung up.
    Lost(Failure),
}

/// Whether there is something to read, or an end, within so long.
fn is_readable(fd: impl AsFd, within: Option<Duration>) -> bool {
    let until = within.map(|time| Instant::now() + time);
    loop {
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = rest.map(|rest| rustix::fs::Timespec {
            tv_sec: i64::try_from(rest.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(rest.subsec_nanos()),
        });
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) => return false,
            // An error is for whoever reads.
            _ => return true,
        }
    }
}

/// Whether a process is stopped, as by SIGSTOP.
fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}
