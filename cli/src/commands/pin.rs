//! `coffer pin` and `coffer unpin`: what is always to be on this device.

use super::past::{To, here, locate, with};
use crate::answers::devices::Pinned;
use crate::args::PasswordArgs;
use crate::args::device::{Pin, Unpin};
use crate::failure::Failure;
use crate::shown::Shown;
use crate::ui::Ui;
use crate::units::counted;
use crate::wire::WirePath;
use crate::wire::history::Past;
use std::path::{Path, PathBuf};

/// Pins, or lists what is pinned.
///
/// # Errors
/// The vault's.
pub(super) fn pin(ui: &Ui, vault: Option<&Path>, args: &Pin) -> Result<(), Failure> {
    if args.paths.is_empty() {
        let vault = here(vault)?;
        let listed: Pinned = with(&vault, &args.password, To::Read, |vault| {
            vault.ask(Past::Pins {
                paths: Vec::new(),
                pin: true,
            })
        })?;
        ui.answer(&listed, || match listed.pins.is_empty() {
            true => "Nothing is pinned; “coffer pin PATH” does.".into(),
            false => {
                let shown = |pin: &crate::answers::devices::Pin| match (
                    pin.folder,
                    pin.path.0.as_os_str().is_empty(),
                ) {
                    (true, true) => "/".to_owned(),
                    (true, false) => format!("{}/", pin.path.0.shown()),
                    (false, _) => pin.path.0.shown(),
                };
                listed.pins.iter().map(shown).collect::<Vec<_>>().join("\n")
            }
        });
        return Ok(());
    }
    let done = change(vault, &args.paths, &args.password, true)?;
    ui.answer(&done, || match done.changed {
        0 => "It was pinned already.".into(),
        changed => format!(
            "{} pinned: what is not here is fetched, and stays.",
            counted(changed as u64, "path is", "paths are")
        ),
    });
    Ok(())
}

/// Takes pins away.
///
/// # Errors
/// The vault's.
pub(super) fn unpin(ui: &Ui, vault: Option<&Path>, args: &Unpin) -> Result<(), Failure> {
    let done = change(vault, &args.paths, &args.password, false)?;
    ui.answer(&done, || match done.changed {
        0 => "It was not pinned by itself; “coffer pin” lists what is.".into(),
        changed => format!(
            "{} pinned no more: the bytes may go when room is needed.",
            counted(changed as u64, "path is", "paths are")
        ),
    });
    Ok(())
}

fn change(
    vault: Option<&Path>,
    paths: &[PathBuf],
    password: &PasswordArgs,
    pin: bool,
) -> Result<Pinned, Failure> {
    let mut places = paths
        .iter()
        .map(|path| locate(vault, path))
        .collect::<Result<Vec<_>, _>>()?;
    places.dedup_by(|one, two| one.vault == two.vault && one.path == two.path);
    let Some(first) = places.first().map(|place| place.vault.clone()) else {
        return Ok(Pinned::default());
    };
    if places.iter().any(|place| place.vault != first) {
        return Err(Failure::usage(
            "These lie in several vaults; name those of one vault at a time.",
        ));
    }
    let asked = Past::Pins {
        paths: places.into_iter().map(|place| WirePath(place.path)).collect(),
        pin,
    };
    with(&first, password, To::Write, |vault| vault.ask(asked))
}
