//! `coffer mount`, and the daemon's side of it.

use super::retrying;
use crate::args::Mount;
use crate::client;
use crate::daemon::{self, Config, Idle, background};
use crate::engine::{self, Life, Sealed};
use crate::failure::{Failure, Kind};
use crate::frame;
use crate::instance;
use crate::paths;
use crate::secret::Secret;
use crate::ui::{self, Person, Ui};
use crate::units;
use crate::wire::{self, Origin, Reply, WirePath};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a daemon whose mount is gone may take to end.
const ENDING: Duration = Duration::from_secs(10);
/// How long another `coffer` that holds the vault, to mount it, say, may take for it.
const STARTING: Duration = Duration::from_secs(60);
/// How often one that nobody seems to hold is tried.
const TRIES: u32 = 3;

/// Mounts.
///
/// # Errors
/// `NoVault`, `InUse`, `WrongPassword`, `Question`, or what mounting says.
pub(super) fn mount(ui: &Ui, vault: &Path, args: &Mount) -> Result<(), Failure> {
    let mountpoint = paths::mountpoint(&args.mountpoint)?;
    let options = args.options.join(",");
    let read_only = engine::check_options(&options)?;
    if read_only && args.copied {
        return Err(Failure::usage(
            "With -o ro nothing is written, and --copied writes a new device into the vault; leave one of them away.",
        ));
    }
    let idle = match &args.idle {
        Some(span) => {
            let time = units::parse_span(span).map_err(|why| Failure::usage(format!("{why}.")))?;
            Some(time.map_or(Idle::Never, Idle::After))
        }
        None => None,
    };
    paths::identity(vault)?;
    if already(ui, vault, &mountpoint)? {
        return Ok(());
    }
    check_mountpoint(&mountpoint)?;
    // What can be refused is refused before anybody types a password.
    let opened = patiently(ui, vault, &mountpoint, || match read_only {
        true => Sealed::open_read_only(vault),
        false => Sealed::open(vault),
    })?;
    let Some(sealed) = opened else { return Ok(()) };
    if sealed.is_read_only() && !read_only {
        return Err(Failure::failed(format!(
            "Nothing can be written to {}; mount the vault read-only, with -o ro.",
            vault.display()
        )));
    }
    let origin = match (args.moved, args.copied) {
        // Nothing is told in its name: whose copy it is does not matter.
        _ if read_only => None,
        (true, _) => Some(Origin::Moved),
        (_, true) => Some(Origin::Copied),
        _ => instance::doubt(vault, &sealed).map(ask_origin).transpose()?,
    };
    drop(sealed);
    let mut config = Config {
        vault: WirePath(vault.to_owned()),
        mountpoint: WirePath(mountpoint.clone()),
        options,
        idle,
        origin,
        detach_if_killed: args.detach_if_killed,
        threads: args.threads,
        foreground: args.foreground,
    };
    retrying(vault, &args.password, |password| {
        let opened = patiently(ui, vault, &mountpoint, || match open(ui, &config, password) {
            // What can be told only with the password.
            Err(question) if question.kind == Kind::Question && config.origin.is_none() => {
                config.origin = Some(ask_origin(question)?);
                open(ui, &config, password)
            }
            opened => opened,
        });
        opened.map(drop)
    })?;
    Ok(())
}

/// Opens it, or waits for another `coffer` that holds it: one that was a little faster mounts it.
/// `None` if it is mounted there by then, which was said.
fn patiently<T>(
    ui: &Ui,
    vault: &Path,
    mountpoint: &Path,
    mut open: impl FnMut() -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let until = Instant::now() + STARTING;
    let mut tries = 0;
    loop {
        let failure = match open() {
            Err(failure) if failure.kind == Kind::InUse => failure,
            opened => return opened.map(Some),
        };
        if already(ui, vault, mountpoint)? {
            return Ok(None);
        }
        let holder = engine::holder(vault);
        // Nobody by now; or it is the mount point that is in use, or nobody can tell.
        tries += u32::from(holder.is_none());
        if tries >= TRIES || Instant::now() >= until || holder.is_some_and(|holder| !holder.is_ours()) {
            return Err(failure);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether it is mounted there already.
fn already(ui: &Ui, vault: &Path, mountpoint: &Path) -> Result<bool, Failure> {
    let until = Instant::now() + ENDING;
    let found = loop {
        let Some(found) = client::living(vault)? else {
            return Ok(false);
        };
        // One whose mount is gone is about to end.
        if engine::at(&found.card.mountpoint.0) == Some(Life::Alive) {
            break found;
        }
        if Instant::now() >= until {
            return Err(Failure::new(
                Kind::InUse,
                format!(
                    "The vault's daemon (process {}) runs, but its mount at {} is not there; lock it with “coffer lock --force”, then mount again.",
                    found.card.pid,
                    found.card.mountpoint.0.display()
                ),
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let place = &found.card.mountpoint;
    if place.0 != mountpoint {
        return Err(Failure::new(
            Kind::InUse,
            format!(
                "The vault is mounted at {} already; lock it first, or use it there.",
                place.0.display()
            ),
        ));
    }
    let answer = serde_json::json!({ "mountpoint": place, "vault": found.card.vault, "pid": found.card.pid, "already": true });
    ui.answer(&answer, || {
        format!("The vault is mounted at {} already.", paths::tilde(mountpoint))
    });
    Ok(true)
}

/// Refuses what is no empty folder, before anybody types a password. A dead mount is let pass:
/// mounting replaces it.
fn check_mountpoint(mountpoint: &Path) -> Result<(), Failure> {
    match engine::at(mountpoint) {
        Some(Life::Dead) => return Ok(()),
        Some(Life::Alive) => {
            return Err(Failure::new(
                Kind::InUse,
                format!(
                    "A vault is mounted at {} already; choose another folder.",
                    mountpoint.display()
                ),
            ));
        }
        None => {}
    }
    match std::fs::metadata(mountpoint) {
        Ok(meta) if meta.is_dir() => match std::fs::read_dir(mountpoint).map(|mut names| names.next()) {
            Ok(Some(_)) => Err(Failure::failed(format!(
                "{} is not empty, and mounting would hide what it holds; choose an empty folder.",
                mountpoint.display()
            ))),
            // One that may not be read is mounting's own to judge.
            _ => Ok(()),
        },
        Ok(_) => Err(Failure::failed(format!(
            "{} is no folder; name an empty folder to mount at.",
            mountpoint.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Failure::failed(format!(
            "There is no folder {0}; make it with “mkdir {0}”.",
            mountpoint.display()
        ))),
        Err(error) => Err(Failure::io(
            format_args!("use the folder {}", mountpoint.display()),
            &error,
        )),
    }
}

/// Serves in the foreground, or starts a daemon and waits for its word.
fn open(ui: &Ui, config: &Config, password: &Secret) -> Result<(), Failure> {
    let shown = |answer: serde_json::Value| {
        ui.answer(&answer, || {
            let stop = if config.foreground {
                "Ctrl-C"
            } else {
                "“coffer lock”"
            };
            format!(
                "Your vault is open at {}; {stop} closes it.",
                paths::tilde(&config.mountpoint.0)
            )
        });
        if answer["history_hidden"] == true {
            ui::remark(
                "The vault holds something of its own called .coffer or .coffer/history, so the folder of history is not in the mount; rename it to have both. “coffer log” and the like work all the same.",
            );
        }
    };
    if config.foreground {
        std::env::set_current_dir("/").map_err(|error| Failure::io("change to /", &error))?;
        daemon::run(config, password.duplicate(), shown)
    } else {
        background::start(config, password).map(shown)
    }
}

/// Moved, or a new device? Only a person or a flag can tell.
fn ask_origin(question: Failure) -> Result<Origin, Failure> {
    let Some(mut person) = Person::here().filter(|_| question.kind == Kind::Question) else {
        return Err(question);
    };
    person.say(&question.message);
    match person
        .ask("Was it moved (m), or is it a copy (c)?")
        .to_lowercase()
        .as_str()
    {
        "m" | "moved" => Ok(Origin::Moved),
        "c" | "copy" | "copied" => Ok(Origin::Copied),
        _ => Err(question),
    }
}

/// `coffer daemon`: what `coffer mount` starts.
///
/// # Errors
/// Also told to the foreground, which shows them.
pub(super) fn daemon() -> Result<(), Failure> {
    let (config, password, report) = background::arrive()?;
    let mut report = Some(report);
    let mut say = |reply: Reply| {
        // The foreground may have been interrupted meanwhile; the mount stands all the same.
        if let Some(mut report) = report.take() {
            let _ = frame::send(&mut report, &reply, &[]);
        }
    };
    let ended = daemon::run(&config, password, |answer| {
        say(Reply::Done {
            answer: wire::plain(&answer),
            secrets: Vec::new(),
        })
    });
    if let Err(failure) = &ended {
        say(Reply::Failed(failure.clone()));
    }
    ended
}
