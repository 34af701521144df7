//! `coffer backup`.

use super::check::listed;
use super::{Reached, outside, reach, understood, unlock, within};
use crate::answers;
use crate::args::Backup;
use crate::failure::{Failure, Kind};
use crate::paths;
use crate::ui::Ui;
use crate::units::{counted, size};
use crate::wire::{Op, WirePath};
use std::path::Path;

/// Copies what is new.
///
/// # Errors
/// `NoSpace`, or what the vault says; an earlier backup there stays whole. `Damaged` if the
/// backup is made but lacks something, after the report; `Incomplete` if that is only what other devices have.
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
        if report.absent_files > 0 {
            text.push_str(&format!(
                "\nNot in it: {} of {}, which are not on this device.",
                size(report.absent_bytes),
                counted(report.absent_files, "file", "files")
            ));
        }
        text
    });
    match report.problems.is_empty() {
        true if report.absent_files == 0 => Ok(()),
        true => Err(Failure::new(
            Kind::Incomplete,
            "The backup is made, without the bytes that are not on this device; back up a device that keeps everything, or fetch them first with “coffer sync --policy everything”.",
        )),
        false => Err(Failure::new(
            Kind::Damaged,
            "The backup is made, but it lacks what is listed; “coffer check” says more of the vault itself.",
        )),
    }
}
