//! What the daemon does for a command: each operation, its progress, its answer.
//!
//! Guarantees that a panic in one request answers that request and touches nothing else, and that
//! an ending waits for no request and is refused while long work runs (unless forced).

use super::transfers::Transfers;
use super::{Event, Requester};
use crate::answers::{Mounted, Status};
use crate::engine::{self, Vault};
use crate::failure::Failure;
use crate::frame;
use crate::paths;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::ask::{Answered, Ask};
use crate::wire::devices::Devices;
use crate::wire::{self, Op, Plain, Progress, Reply, WirePath};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// What all requests see.
pub(crate) struct Shared {
    /// The open vault.
    pub vault: Vault,
    /// Its folder.
    pub dir: PathBuf,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// The mount, until it ends.
    pub mount: Arc<engine::Mount>,
    /// When it was mounted.
    pub since: Instant,
    /// Idle time after which to lock; changes with the setting unless given at the mount.
    pub idle: Mutex<Option<Duration>>,
    /// Whether the idle time was given at the mount.
    pub idle_fixed: bool,
    /// To the daemon's main loop.
    pub events: Sender<Event>,
    /// What is in it, to be asked.
    pub index: Option<Arc<engine::Index>>,
    /// Other devices; none where the vault can only be read.
    pub network: Option<Arc<engine::Network>>,
    /// Long operations running.
    pub working: AtomicUsize,
    /// Imports and exports running.
    pub(super) transfers: Transfers,
}

/// An answer and the secret that goes with it.
type Answer = Result<(Plain, Option<Secret>), Failure>;

fn plain(answer: impl Serialize) -> Answer {
    Ok((wire::plain(&answer), None))
}

impl Shared {
    /// Does what is asked and answers on `stream`.
    pub(crate) fn answer(&self, op: Op, secrets: &[Secret], stream: UnixStream) {
        if let Op::End { how } = op {
            // The main loop answers, as the very last thing before the process ends.
            let _ = self.events.send(Event::End {
                how,
                requester: Requester(Some(stream)),
            });
            return;
        }
        if let Op::Ask(asked) = &op {
            return self.ask(asked, stream);
        }
        // Without another descriptor the peer sees the connection close, and says so.
        let Ok(peer) = stream.try_clone() else { return };
        let mut out = stream;
        let answer = {
            let mut next = Instant::now();
            let mut listening = true;
            let mut progress = |progress: Progress| {
                // Ten a second are enough to look alive; a listener that left is not told again.
                if listening && Instant::now() >= next {
                    next = Instant::now() + Duration::from_millis(100);
                    listening = frame::send(&mut out, &Reply::Progress(progress), &[]).is_ok();
                }
            };
            catch_unwind(AssertUnwindSafe(|| self.perform(op, secrets, &peer, &mut progress))).unwrap_or_else(|_| {
                Err(Failure::failed("The daemon met a fault of its own in this request; the log says where. The vault goes on."))
            })
        };
        let (reply, secret) = match answer {
            Ok((answer, secret)) => {
                let lengths = secret.iter().map(|secret| secret.expose().len()).collect();
                (
                    Reply::Done {
                        answer,
                        secrets: lengths,
                    },
                    secret,
                )
            }
            Err(failure) => (Reply::Failed(failure), None),
        };
        // Nobody left to tell is no error.
        let _ = frame::send(&mut out, &reply, secret.as_slice());
    }

    /// Asks the index, and gives the answer away as it comes, until whoever asked hangs up.
    fn ask(&self, asked: &Ask, stream: UnixStream) {
        let mut out = &stream;
        let gone = |error: std::io::Error| Failure::io("answer", &error);
        let left = || is_left(&stream);
        let mut next = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| {
            let index = self.index.as_ref();
            let index = index.ok_or_else(|| Failure::failed("The vault was mounted without an index."))?;
            index.ask(asked, &left, &mut |part| match part {
                engine::Part::Bytes(bytes) => {
                    let reply = Reply::Part {
                        secrets: vec![bytes.len()],
                    };
                    frame::send(&mut out, &reply, &[Secret::new(bytes.to_vec())]).map_err(gone)
                }
                engine::Part::Filling(step) => {
                    if Instant::now() < next {
                        return Ok(());
                    }
                    next = Instant::now() + Duration::from_millis(100);
                    frame::send(&mut out, &Reply::Progress(step), &[]).map_err(gone)
                }
            })
        }));
        let reply = match answer {
            Ok(Ok(rows)) => Reply::Done {
                answer: wire::plain(&Answered { rows }),
                secrets: Vec::new(),
            },
            Ok(Err(failure)) => Reply::Failed(failure),
            Err(_) => Reply::Failed(Failure::failed(
                "The daemon met a fault of its own in this request; the log says where. The vault goes on.",
            )),
        };
        let _ = frame::send(&mut out, &reply, &[]);
    }

    /// Runs an import or export until its end, an ending, or until whoever asked hangs up.
    fn transfer<T: Serialize>(
        &self,
        peer: &UnixStream,
        progress: engine::OnProgress<'_>,
        work: impl FnOnce(&engine::Stop, engine::OnProgress<'_>) -> Result<T, Failure>,
    ) -> Answer {
        let _working = self.work();
        let transfer = self.transfers.begin()?;
        plain(work(transfer.stop(), &mut |step| {
            transfer.heed(peer);
            progress(step);
        })?)
    }

    fn perform(
        &self,
        op: Op,
        secrets: &[Secret],
        peer: &UnixStream,
        progress: engine::OnProgress<'_>,
    ) -> Answer {
        match op {
            // Handled by `answer`.
            Op::End { .. } | Op::Ask(_) => plain(()),
            Op::Ping => plain(()),
            Op::Status => plain(self.status()?),
            Op::Verify => {
                let _working = self.work();
                let [current] = secrets else { return Err(missing()) };
                plain(self.vault.verify_password(current)?)
            }
            Op::Passwd { kdf } => {
                let _working = self.work();
                let [current, new] = secrets else {
                    return Err(missing());
                };
                self.vault
                    .change_password(current, new, kdf.unwrap_or(self.vault.facts().kdf))?;
                plain(())
            }
            Op::Check { read_data } => {
                let _working = self.work();
                plain(self.vault.check(read_data, progress)?)
            }
            Op::Backup { dest } => {
                let _working = self.work();
                plain(self.vault.backup(&dest.0, progress)?)
            }
            Op::Import(asked) => self.transfer(peer, progress, |stop, progress| {
                engine::import(&self.vault, Some(&self.mount), &asked, stop, progress)
            }),
            Op::Intake(asked) => self.transfer(peer, progress, |stop, progress| {
                engine::intake(&self.vault, Some(&self.mount), &asked, stop, progress)
            }),
            Op::Export(asked) => self.transfer(peer, progress, |stop, progress| {
                engine::export(&self.vault, &asked, stop, progress)
            }),
            Op::Devices(asked) => {
                let Some(network) = &self.network else {
                    return Err(Failure::failed(
                        "The vault is mounted read-only, and other devices are told nothing; mount it to be written.",
                    ));
                };
                // An exchange may take its time, and is use.
                let _working = matches!(asked, Devices::Via { .. }).then(|| self.work());
                network.answer(&asked, &|| Settings::load(&self.vault_id()))
            }
            Op::Asked(asked) => plain(self.vault.asked(&asked)?),
            Op::Past(asked) => {
                let _working = self.work();
                engine::past(&self.vault, Some(&self.mount), &asked)
            }
            Op::RecoverAdd => {
                let _working = self.work();
                let [current] = secrets else { return Err(missing()) };
                let phrase = self.vault.add_recovery(current)?;
                Ok((wire::plain(&()), Some(phrase)))
            }
            Op::Reload => {
                let settings = Settings::load(&self.vault_id())?;
                if let Some(network) = &self.network {
                    network.reload(&settings)?;
                }
                if !self.idle_fixed {
                    *self.idle.lock() = settings.idle();
                    // Wakes the main loop, which sleeps by the old time.
                    let _ = self.events.send(Event::Look);
                }
                plain(())
            }
        }
    }

    /// The vault's id, in hex.
    pub(crate) fn vault_id(&self) -> String {
        paths::hex(&self.vault.facts().id)
    }

    fn status(&self) -> Result<Status, Failure> {
        let facts = self.vault.facts();
        Ok(Status {
            vault: WirePath(self.dir.clone()),
            vault_id: self.vault_id(),
            state: "open".into(),
            kdf: Some(facts.kdf),
            recovery: Some(facts.recovery),
            mount: Some(Mounted {
                mountpoint: WirePath(self.mountpoint.clone()),
                pid: std::process::id(),
                mounted_seconds: self.since.elapsed().as_secs(),
                idle_seconds: self.mount.idle().as_secs(),
                locks_after_seconds: self.idle.lock().map(|idle| idle.as_secs()),
            }),
            dead_mounts: Vec::new(),
            contents: Some(self.vault.contents()?),
            network: self
                .network
                .as_ref()
                .map(|network| network.trouble())
                .unwrap_or_default(),
        })
    }

    fn work(&self) -> Working<'_> {
        self.working.fetch_add(1, Ordering::AcqRel);
        Working(&self.working)
    }
}

/// Counts a long operation out, however it ends.
struct Working<'a>(&'a AtomicUsize);
impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether whoever asked has gone.
fn is_left(stream: &UnixStream) -> bool {
    let now = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(stream, PollFlags::RDHUP)], Some(&now)).is_ok_and(|ready| ready > 0)
}

fn missing() -> Failure {
    Failure::usage("The request came without the password that it needs.")
}
