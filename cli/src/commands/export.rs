//! `coffer export`.

use super::import::from_root;
use super::transfer::{carry, tell};
use super::{outside, reach, unlock};
use crate::args::Export;
use crate::engine;
use crate::failure::Failure;
use crate::ui::Ui;
use crate::wire::{self, Op, WirePath};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Brings files and folders out.
///
/// # Errors
/// `Usage` for a folder in the vault itself, `Incomplete` if something was left out, after the
/// report; `NoSpace`, or what the vault says.
pub(super) fn export(ui: &Ui, vault: &Path, args: &Export) -> Result<(), Failure> {
    let bytes = args.path.as_os_str().as_bytes();
    let asked = wire::Export {
        path: WirePath(from_root(&args.path, vault)),
        contents: bytes == b"." || bytes.ends_with(b"/."),
        dest: WirePath(outside(&args.dest, vault)?),
        replace: args.replace,
        count: ui.is_watched(),
    };
    let sum = carry(
        ui,
        reach(vault)?,
        Op::Export(asked.clone()),
        |sealed| Ok(unlock(sealed, vault, &args.password)?.0),
        |open, stop, progress| engine::export(open, &asked, stop, progress),
    )?;
    tell(ui, &sum, "Brought out")
}
