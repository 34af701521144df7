//! `coffer unmount` and `coffer lock`: two words for one ending, by mount and by vault.

use crate::args::{Lock, Unmount};
use crate::client::{self, Found};
use crate::engine::{self, Life, Sealed};
use crate::failure::{Failure, Kind};
use crate::paths;
use crate::ui::{self, Ui};
use crate::wire::{Ending, WirePath};
use std::path::Path;

/// Unmounts one mount, or takes a dead one away.
///
/// # Errors
/// `NotOpen`, or `InUse` naming who uses it.
pub(super) fn unmount(ui: &Ui, vault: &Path, args: &Unmount) -> Result<(), Failure> {
    let how = if args.force { Ending::Force } else { Ending::Polite };
    let Some(mountpoint) = &args.mountpoint else {
        return match client::living(vault)? {
            Some(found) => end(ui, &found, how),
            None => match clear(vault)?.as_slice() {
                [] => Err(Failure::new(
                    Kind::NotOpen,
                    format!("The vault {} is not mounted.", vault.display()),
                )),
                cleared => {
                    let answer = serde_json::json!({ "mountpoint": cleared[0], "stale": true });
                    ui.answer(&answer, || said(cleared));
                    Ok(())
                }
            },
        };
    };
    let mountpoint = paths::mountpoint(mountpoint)?;
    if let Some(found) = client::living_at(&mountpoint)? {
        return end(ui, &found, how);
    }
    match engine::at(&mountpoint) {
        Some(Life::Dead) => {
            engine::remove_stale(&mountpoint)?;
            let answer = serde_json::json!({ "mountpoint": WirePath(mountpoint.clone()), "stale": true });
            ui.answer(&answer, || said(&[WirePath(mountpoint)]));
            Ok(())
        }
        Some(Life::Alive) => Err(Failure::new(
            Kind::InUse,
            format!(
                "{} is mounted, but its daemon does not answer you; ask the user who mounted it, or root.",
                mountpoint.display()
            ),
        )),
        None => Err(Failure::new(
            Kind::NotOpen,
            format!("No vault is mounted at {}.", mountpoint.display()),
        )),
    }
}

/// Locks one vault. One that is locked already is fine.
///
/// # Errors
/// `NoVault`, or `InUse` naming who uses it.
pub(super) fn lock(ui: &Ui, vault: &Path, args: &Lock) -> Result<(), Failure> {
    match client::living(vault)? {
        Some(found) => end(ui, &found, ending(args)),
        None => {
            paths::identity(vault)?;
            // Somebody else may hold it: then it is not locked, and nobody shall think so.
            drop(Sealed::open(vault)?);
            let cleared = clear(vault)?;
            let mut answer =
                serde_json::json!({ "vault": WirePath(vault.to_owned()), "locked": true, "already": true });
            if !cleared.is_empty() {
                answer["stale"] = serde_json::json!(cleared);
            }
            ui.answer(&answer, || {
                format!(
                    "{}The vault {} is locked already.",
                    said(&cleared),
                    paths::tilde(vault)
                )
            });
            Ok(())
        }
    }
}

/// Takes the vault's dead mounts away; answers where they were.
fn clear(vault: &Path) -> Result<Vec<WirePath>, Failure> {
    let dead = engine::dead_mounts(vault);
    for point in &dead {
        engine::remove_stale(point)?;
    }
    Ok(dead.into_iter().map(WirePath).collect())
}

fn said(cleared: &[WirePath]) -> String {
    let line = |point: &WirePath| {
        format!(
            "{} was a dead mount of a killed daemon; it is gone.\n",
            paths::tilde(&point.0)
        )
    };
    cleared.iter().map(line).collect()
}

/// Locks every open vault.
///
/// # Errors
/// The first failure, after all were tried.
pub(super) fn all(ui: &Ui, args: &Lock) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let mut locked = Vec::new();
    for found in client::daemons(true) {
        let ended = match found.if_living() {
            Ok(None) => continue,
            Ok(Some(found)) => found.end(ending(args)),
            Err(silent) => Err(silent),
        };
        match ended {
            Ok(true) => locked.push(found.card.vault.clone()),
            Ok(false) => {}
            Err(failure) => failures.push((found.card.vault.0.clone(), failure)),
        }
    }
    ui.answer(
        &serde_json::json!({ "locked": locked, "failed": failures.len() }),
        || match locked.len() {
            0 if failures.is_empty() => "No vault was open.".to_owned(),
            0 => String::new(),
            _ => locked
                .iter()
                .map(|vault| format!("Locked {}.\n", paths::tilde(&vault.0)))
                .collect(),
        },
    );
    let mut failures = failures.into_iter();
    let first = failures.next();
    for (vault, failure) in failures {
        ui::note(&format!("coffer: {}: {}", vault.display(), failure.message));
    }
    first.map_or(Ok(()), |(_, failure)| Err(failure))
}

fn ending(args: &Lock) -> Ending {
    match (args.force, args.suspend) {
        (true, _) => Ending::Force,
        (_, true) => Ending::Suspend,
        _ => Ending::Polite,
    }
}

fn end(ui: &Ui, found: &Found, how: Ending) -> Result<(), Failure> {
    let locked = found.end(how)?;
    let answer = serde_json::json!({
        "vault": found.card.vault, "mountpoint": found.card.mountpoint, "locked": locked,
    });
    ui.answer(&answer, || {
        let vault = paths::tilde(&found.card.vault.0);
        if locked {
            format!("Locked {vault}.")
        } else {
            format!("{vault} stays open, as its setting lock-suspend says.")
        }
    });
    Ok(())
}
