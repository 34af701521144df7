//! Endings: what the daemon waits for, and how hard it tries.
//!
//! Guarantees that every ending commits first; that a polite one is refused while anything would be
//! lost or cut off (programs in the mount, long work, a commit that failed); and that a forced one ends.

use super::jobs::Shared;
use super::{Event, Requester};
use crate::engine::Mount;
use crate::failure::{Failure, Kind};
use crate::settings::{OnSuspend, Settings};
use crate::ui;
use crate::wire::Ending;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often a vault that should lock for idleness but is in use is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// How it ended.
pub(super) struct Ended {
    /// Who waits to hear of it.
    pub requester: Requester,
    /// A commit that failed in a forced ending.
    pub warning: Option<Failure>,
    /// Whether the kernel sends nothing any more.
    pub cut: bool,
}

/// Waits until the mount is gone.
pub(super) fn wait(foreground: bool, shared: &Shared, mount: &Mount, inbox: &Receiver<Event>) -> Ended {
    let mut retry: Option<Instant> = None;
    loop {
        let mut again = false;
        let (how, requester) = match inbox.recv_timeout(until_idle(shared, mount, retry)) {
            Ok(Event::End {
                how: Ending::Suspend,
                requester,
            }) => match on_suspend(shared) {
                OnSuspend::Never => {
                    requester.hears(Ok(false));
                    continue;
                }
                OnSuspend::UnlessBusy => (Ending::Polite, requester),
                OnSuspend::Always => (Ending::Force, requester),
            },
            Ok(Event::End { how, requester }) => (how, requester),
            // At the keyboard, a busy mount is worth a word; a system that shuts down does not wait.
            Ok(Event::Signal(libc::SIGINT)) if foreground => (Ending::Polite, Requester(None)),
            Ok(Event::Signal(libc::SIGHUP)) if !foreground => continue,
            Ok(Event::Signal(_)) => (Ending::Force, Requester(None)),
            Ok(Event::Unmounted) => {
                return Ended {
                    requester: Requester(None),
                    warning: None,
                    cut: true,
                };
            }
            Ok(Event::Look) => continue,
            // The loop's own sender lives in `shared`, so it cannot be cut off; if it were, end.
            Err(RecvTimeoutError::Disconnected) => (Ending::Force, Requester(None)),
            Err(RecvTimeoutError::Timeout) => {
                if !is_idle(shared, mount) {
                    continue;
                }
                again = retry.is_some();
                retry = Some(Instant::now() + RETRY);
                (Ending::Polite, Requester(None))
            }
        };
        let ended = match how {
            Ending::Force => force(shared, mount),
            Ending::Polite | Ending::Suspend => polite(shared, mount).map(|()| (None, true)),
        };
        match ended {
            Ok((warning, cut)) => {
                return Ended {
                    requester,
                    warning,
                    cut,
                };
            }
            // Said once is enough: it is tried every half minute.
            Err(_) if again => {}
            Err(failure) => {
                if foreground && requester.0.is_none() {
                    show_users(&failure);
                }
                requester.hears(Err(failure));
            }
        }
    }
}

fn polite(shared: &Shared, mount: &Mount) -> Result<(), Failure> {
    if shared.working.load(Ordering::Acquire) > 0 {
        return Err(Failure::new(
            Kind::InUse,
            "The vault is busy with a check, a backup, an import, an export or a password change; try again when it is done, or force it with --force.",
        ));
    }
    mount.flush();
    shared.vault.commit()?;
    mount.unmount()
}

/// Answers a commit that failed, and whether the connection is cut.
fn force(shared: &Shared, mount: &Mount) -> Result<(Option<Failure>, bool), Failure> {
    let hurry = |yes| shared.network.iter().for_each(|network| network.hurry(yes));
    // Who waits for bytes of other devices would hold it up.
    hurry(true);
    mount.flush();
    let warning = shared.vault.commit().err().map(|failure| lost(shared, failure));
    let cut = match mount.unmount() {
        Ok(()) => true,
        Err(_) => mount.detach().inspect_err(|_| hurry(false))?,
    };
    Ok((warning, cut))
}

/// What a forced ending loses, plainly.
fn lost(shared: &Shared, failure: Failure) -> Failure {
    let message = match shared.vault.gone() {
        Some(what) => format!(
            "The vault is closed, but {what} was deleted or replaced while it was open: what was changed since then is lost, and whatever no backup holds."
        ),
        None => format!(
            "The vault is closed, but what was not yet saved is lost. {}",
            failure.message
        ),
    };
    Failure { message, ..failure }
}

/// In the foreground nobody else shows who keeps the mount busy. Never in the background: what
/// they use are names inside the vault, and standard error is the log.
fn show_users(failure: &Failure) {
    for user in &failure.users {
        ui::note(&format!("  {}  {}  {}", user.pid, user.command, user.what));
    }
}

fn on_suspend(shared: &Shared) -> OnSuspend {
    // Settings that cannot be read must not keep a vault open over a suspend.
    Settings::load(&shared.vault_id()).map_or(OnSuspend::Always, |settings| settings.on_suspend())
}

fn is_idle(shared: &Shared, mount: &Mount) -> bool {
    let after = *shared.idle.lock();
    after.is_some_and(|after| mount.idle() >= after) && shared.working.load(Ordering::Acquire) == 0
}

/// How long nothing can be due.
fn until_idle(shared: &Shared, mount: &Mount, retry: Option<Instant>) -> Duration {
    let Some(after) = *shared.idle.lock() else {
        return Duration::from_secs(3600);
    };
    let rest = after.saturating_sub(mount.idle());
    let again = retry.map_or(Duration::ZERO, |retry| {
        retry.saturating_duration_since(Instant::now())
    });
    // Timers stand still while the system sleeps, idle time does not: look now and then.
    rest.max(again)
        .clamp(Duration::from_millis(100), Duration::from_secs(60))
}
