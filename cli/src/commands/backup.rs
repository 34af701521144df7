//! `coffer backup`.

use super::{Reached, outside, reach, understood, unlock, within};
use crate::answers;
use crate::args::Backup;
use crate::failure::Failure;
use crate::paths;
use crate::ui::Ui;
use crate::units::size;
use crate::wire::{Op, WirePath};
use std::path::Path;

/// Copies what is new.
///
/// # Errors
/// `NoSpace`, or what the vault says; an earlier backup there stays whole.
pub(super) fn backup(ui: &Ui, vault: &Path, args: &Backup) -> Result<(), Failure> {
    let dest = outside(&args.dest, vault)?;
    let mut progress = ui.progress();
    let report: answers::Backup = match reach(vault)? {
        Reached::Daemon(found) => understood(
            found
                .ask(
                    Op::Backup {
                        dest: WirePath(dest.clone()),
                    },
                    &[],
                    &mut progress,
                )?
                .0,
        )?,
        Reached::Sealed(sealed) => {
            let (open, _) = unlock(sealed, vault, &args.password)?;
            within(open, |open| open.backup(&dest, &mut progress))?
        }
    };
    drop(progress);
    ui.answer(&report, || {
        format!(
            "Backed up to {}: {} copied, {} there from before.",
            paths::tilde(&dest),
            size(report.copied_bytes),
            size(report.kept_bytes)
        )
    });
    Ok(())
}
