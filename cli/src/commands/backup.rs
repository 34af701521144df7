//! `coffer backup`.

use super::check::listed;
use super::{Reached, outside, reach, understood, unlock, within};
use crate::answers;
use crate::args::Backup;
use crate::failure::{Failure, Kind};
use crate::paths;
use crate::ui::Ui;
use crate::units::size;
use crate::wire::{Op, WirePath};
use std::path::Path;

/// Copies what is new.
///
/// # Errors
/// `NoSpace`, or what the vault says; an earlier backup there stays whole. `Damaged` if the
/// backup is made but lacks something, after the report.
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
        let mut text = listed(&report.problems);
        text.push_str(&format!(
            "Backed up to {}: {} copied, {} there from before.",
            paths::tilde(&dest),
            size(report.copied_bytes),
            size(report.kept_bytes)
        ));
        text
    });
    match report.problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            Kind::Damaged,
            "The backup is made, but it lacks what is listed; “coffer check” says more of the vault itself.",
        )),
    }
}
