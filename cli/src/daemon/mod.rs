//! The daemon: the one process that holds a vault while it is mounted.
//!
//! Life: guardian, unlock, is it a copy?, mount, control socket, report; then it waits for an ending.
//! Guarantees that a polite ending is refused while anything would be lost or cut off (programs in
//! the mount, long work, a failed commit), that every ending commits before it unmounts, and that
//! whoever asked for it hears of it only when keys are wiped. Never writes names or secrets to its log.

pub(crate) mod background;
pub(crate) mod control;
mod ending;
pub(crate) mod guardian;
mod jobs;
mod notify;
mod transfers;

use crate::engine::{self, Sealed, Vault};
use crate::failure::Failure;
use crate::frame;
use crate::instance::{self, Markers};
use crate::paths;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::ui;
use crate::wire::{self, Ending, Origin, Reply, WirePath};
use control::{Published, Socket};
use guardian::Guardian;
use jobs::Shared;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use transfers::Transfers;

/// See [`few_arenas`].
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 4;

/// An idle time, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Idle {
    /// Stay open.
    Never,
    /// Lock after this time without use.
    After(Duration),
}

impl Idle {
    /// The time, if any.
    pub(crate) fn time(self) -> Option<Duration> {
        match self {
            Idle::Never => None,
            Idle::After(time) => Some(time),
        }
    }
}

/// What a daemon is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    /// The vault's folder, absolute.
    pub vault: WirePath,
    /// The mount point, absolute.
    pub mountpoint: WirePath,
    /// Mount options as for mount(8), checked.
    pub options: String,
    /// Idle time given at the mount.
    pub idle: Option<Idle>,
    /// Moved or copied, where somebody said so.
    pub origin: Option<Origin>,
    /// Take a dead mount away when the daemon was killed.
    pub detach_if_killed: bool,
    /// Threads that serve the mount.
    pub threads: Option<u16>,
    /// Serving in the foreground.
    pub foreground: bool,
}

/// What wakes the main loop.
pub(crate) enum Event {
    /// Somebody asks for the end.
    End { how: Ending, requester: Requester },
    /// A signal.
    Signal(i32),
    /// The kernel ended the mount (somebody ran umount).
    Unmounted,
    /// A setting changed.
    Look,
}

/// Who waits for the end, if anybody.
pub(crate) struct Requester(pub Option<UnixStream>);

impl Requester {
    fn hears(self, result: Result<bool, Failure>) {
        let reply = match result {
            Ok(locked) => Reply::Done {
                answer: wire::plain(&serde_json::json!({ "locked": locked })),
                secrets: Vec::new(),
            },
            Err(failure) => Reply::Failed(failure),
        };
        if let Some(mut stream) = self.0 {
            let _ = frame::send(&mut stream, &reply, &[]);
        } else if let Reply::Failed(failure) = reply {
            ui::log(&format!("coffer: {}", failure.message));
        }
    }
}

/// Lets the C library's allocator keep a few arenas instead of one for each thread, of which every one holds
/// back what its thread once needed: with 100,000 files read by several threads, 65 MB less resident, and no
/// slower.
fn few_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two numbers, and sets one under the lock of the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Opens, mounts and serves until the end. `ready` is called once the mount is there.
///
/// # Errors
/// When it does not come to a mount, or when the last commit failed.
pub(crate) fn run(
    config: &Config,
    password: Secret,
    ready: impl FnOnce(serde_json::Value),
) -> Result<(), Failure> {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    few_arenas();
    let (events, inbox) = channel();
    let mut guardian = Guardian::start()?;
    listen_for_signals(&events)?;
    let identity = paths::identity(&config.vault.0)?;
    let vault = open(config, &password)?;
    drop(password);
    vault.when_gone(|what| ui::log(&format!("coffer: {what}")));
    let vault_id = paths::hex(&vault.facts().id);
    let idle = match config.idle {
        Some(given) => given.time(),
        None => Settings::load(&vault_id)?.idle(),
    };
    let read_only = engine::check_options(&config.options)?;
    let ended = events.clone();
    // A mount without an index is better than none.
    let index = match engine::Index::begin(&vault) {
        Ok(index) => Some(Arc::new(index)),
        Err(failure) => {
            ui::log(&format!("coffer: {}", failure.message));
            None
        }
    };
    let mount = Arc::new(vault.mount(
        &config.mountpoint.0,
        &config.options,
        config.threads.map(usize::from),
        index.as_ref(),
        Box::new(move || drop(ended.send(Event::Unmounted))),
    )?);
    guardian.watch(mount.mark(), &config.mountpoint.0, config.detach_if_killed);
    let published = Published {
        pid: std::process::id(),
        vault: config.vault.clone(),
        dev: identity.0,
        ino: identity.1,
        vault_id,
        mountpoint: config.mountpoint.clone(),
    };
    let network = match read_only {
        true => None,
        // A mount without other devices is better than none.
        false => match Settings::load(&published.vault_id)
            .and_then(|settings| engine::Network::begin(&vault, &config.mountpoint.0, &settings))
        {
            Ok(network) => Some(network),
            Err(failure) => {
                ui::log(&format!("coffer: {}", failure.message));
                None
            }
        },
    };
    let shared = Arc::new(Shared {
        vault: vault.clone(),
        dir: config.vault.0.clone(),
        mountpoint: config.mountpoint.0.clone(),
        mount: Arc::clone(&mount),
        since: Instant::now(),
        idle: Mutex::new(idle),
        idle_fixed: config.idle.is_some(),
        events,
        index,
        network,
        working: AtomicUsize::new(0),
        transfers: Transfers::default(),
    });
    let socket = match Socket::bind(&published).and_then(|socket| {
        let served = socket.serve(Arc::clone(&shared));
        served
            .map_err(|error| Failure::io("start the control thread", &error))
            .map(|()| socket)
    }) {
        Ok(socket) => socket,
        Err(failure) => {
            // A mount that nobody can steer is worse than none.
            if mount
                .unmount()
                .map_or_else(|_| mount.detach().unwrap_or(false), |()| true)
            {
                mount.join();
            }
            let _ = vault.close();
            return Err(failure);
        }
    };
    ready(serde_json::json!({
        "mountpoint": config.mountpoint, "vault": config.vault, "pid": published.pid,
        "history_hidden": vault.hides_history(),
    }));
    notify::systemd("READY=1");
    let ended = ending::wait(config.foreground, &shared, &mount, &inbox);
    notify::systemd("STOPPING=1");
    // A connection that cannot be cut ends with this process, and not before.
    if ended.cut && !mount.join() {
        ui::log(
            "coffer: the mount lives on in another mount namespace and could not be cut off; it ends with this process.",
        );
    }
    shared.transfers.end();
    if let Some(index) = &shared.index {
        index.end();
    }
    if let Some(network) = &shared.network {
        network.end();
    }
    let closed = vault.close();
    // The control thread keeps the vault until the process ends; its keys go now.
    engine::wipe_keys();
    if matches!(engine::check_options(&config.options), Ok(false)) {
        // How far it is now. Without that, a restore of an earlier time today is not noticed.
        let markers = Markers::load(&vault.facts().id);
        if let Err(failure) = markers.and_then(|markers| markers.remember(&config.vault.0, &vault)) {
            ui::log(&format!("coffer: {}", failure.message));
        }
    }
    drop(socket);
    drop(guardian);
    let result = ended.warning.map_or(closed, Err);
    // Whoever else has asked meanwhile hears the same.
    let others = inbox.try_iter().filter_map(|event| match event {
        Event::End { requester, .. } => Some(requester),
        _ => None,
    });
    for requester in others.chain([ended.requester]) {
        requester.hears(result.clone().map(|()| true));
    }
    result
}

/// Opens the vault as the copy that it is: the one that was here, one that moved, or, where
/// somebody said so, a device of its own. To be read only, it is opened as it is.
fn open(config: &Config, password: &Secret) -> Result<Vault, Failure> {
    let dir = &config.vault.0;
    if engine::check_options(&config.options)? {
        // Nothing is told in its name, so no copy needs to be noticed, nor remembered.
        return Sealed::open_read_only(dir)?.key(password)?.visit();
    }
    instance::take_into_use(dir, Sealed::open(dir)?, password, config.origin)
}

/// Turns SIGTERM, SIGINT and SIGHUP into events.
fn listen_for_signals(events: &Sender<Event>) -> Result<(), Failure> {
    let wanted = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
    let failed = |error: std::io::Error| Failure::io("listen for signals", &error);
    let mut signals = signal_hook::iterator::Signals::new(wanted).map_err(failed)?;
    let events = events.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if events.send(Event::Signal(signal)).is_err() {
                    break;
                }
            }
        })
        .map_err(failed)?;
    Ok(())
}
