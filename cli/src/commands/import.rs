//! `coffer import`.

use super::transfer::{carry, open_to_write, tell};
use super::{outside, reach};
use crate::args::Import;
use crate::client;
use crate::engine;
use crate::failure::Failure;
use crate::instance::Markers;
use crate::shown::Shown;
use crate::ui::Ui;
use crate::wire::{self, Op, Source, WirePath};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Takes files and folders in.
///
/// # Errors
/// `Usage` for what lies in the vault itself, `Incomplete` if something was left out, after the
/// report; `NoSpace`, or what the vault says.
pub(super) fn import(ui: &Ui, vault: &Path, args: &Import) -> Result<(), Failure> {
    let sources = args.sources.iter().map(|path| source(path, vault));
    let asked = wire::Import {
        sources: sources.collect::<Result<_, _>>()?,
        into: WirePath(from_root(args.into.as_deref().unwrap_or(Path::new("/")), vault)),
        replace: args.replace,
        count: ui.is_watched(),
    };
    let mut opened = None;
    let sum = carry(
        ui,
        reach(vault)?,
        Op::Import(asked.clone()),
        |sealed| {
            let open = open_to_write(vault, sealed, &args.password)?;
            opened = Some(open.clone());
            Ok(open)
        },
        |open, stop, progress| engine::import(open, None, &asked, stop, progress),
    );
    if let Some(open) = opened {
        // How far it is now: else a restore of an earlier time today is not noticed.
        Markers::load(&open.facts().id)?.remember(vault, &open)?;
    }
    tell(ui, &sum?, "Taken in")
}

/// What a path on the command line stands for: of DIR/. and the like its contents.
///
/// # Errors
/// When it is not there, or lies in the vault or its mount.
fn source(path: &Path, vault: &Path) -> Result<Source, Failure> {
    let real = outside(path, vault)?;
    let real = fs::canonicalize(&real)
        .map_err(|error| Failure::io(format_args!("find {}", path.shown()), &error))?;
    let bytes = path.as_os_str().as_bytes();
    let last = bytes.rsplit(|byte| *byte == b'/').next();
    // `file_name` leaves a last “.” out, so it must be looked for.
    let name = match last {
        Some(b"." | b"..") => None,
        _ => path.file_name().map(|name| WirePath(PathBuf::from(name))),
    };
    Ok(Source {
        path: WirePath(real),
        name,
    })
}

/// A place in the vault, however it is named: from its root, or by its path in the mount.
pub(super) fn from_root(path: &Path, vault: &Path) -> PathBuf {
    if path.is_absolute()
        && let Some(found) = client::of_vault(vault)
        && let Ok(rest) = path.strip_prefix(&found.card.mountpoint.0)
    {
        return rest.to_owned();
    }
    path.to_owned()
}
