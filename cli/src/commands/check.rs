//! `coffer check`, and `--salvage`.

use super::{Reached, outside, reach, retrying, understood, unlock, within};
use crate::answers::{self, Problem};
use crate::args::Check;
use crate::engine;
use crate::failure::{Failure, Kind};
use crate::paths;
use crate::secret::Secret;
use crate::shown::Shown;
use crate::ui::{Ui, table};
use crate::units::{counted, size};
use crate::wire::Op;
use std::path::Path;

/// Verifies what is stored.
///
/// # Errors
/// `Damaged` if anything is wrong, after the report.
pub(super) fn check(ui: &Ui, vault: &Path, args: &Check) -> Result<(), Failure> {
    if let Some(dest) = &args.salvage {
        return salvage(ui, vault, dest, args);
    }
    let mut progress = ui.progress();
    let report: answers::Check = match reach(vault)? {
        Reached::Daemon(found) => understood(
            found
                .ask(
                    Op::Check {
                        read_data: args.read_data,
                    },
                    &[],
                    &mut progress,
                )?
                .0,
        )?,
        Reached::Sealed(sealed) => {
            let (open, _) = unlock(sealed, vault, &args.password)?;
            within(open, |open| open.check(args.read_data, &mut progress))?
        }
    };
    drop(progress);
    ui.answer(&report, || {
        let mut text = listed(&report.problems);
        let read = if args.read_data {
            format!(", {} read", size(report.bytes))
        } else {
            String::new()
        };
        for aside in &report.asides {
            text.push_str(&format!("Kept aside: {}, {}.\n", aside.name, size(aside.bytes)));
        }
        if !report.asides.is_empty() {
            text.push_str(&format!("  {}.\n", engine::ASIDE_ADVICE));
        }
        if report.absent_bytes > 0 {
            text.push_str(&format!(
                "Not on this device, and not looked at: {} of files, which other devices have.\n",
                size(report.absent_bytes)
            ));
        }
        for skipped in &report.skipped {
            text.push_str(&format!("Not looked at: {skipped}.\n"));
        }
        text.push_str(match (report.problems.is_empty(), report.skipped.is_empty()) {
            (true, true) => "All is well: ",
            (true, false) => "The rest is well: ",
            _ => "",
        });
        text.push_str(&format!(
            "{}, {}, {} and {} verified{read}.",
            counted(report.files, "file or folder", "files and folders"),
            counted(report.records, "record", "records"),
            counted(report.chunks, "chunk", "chunks"),
            counted(report.events, "event", "events")
        ));
        text
    });
    verdict(
        &report.problems,
        "thing is damaged",
        "things are damaged",
        "What is whole stays readable; restore the rest from a backup, or bring out the whole with “coffer check --salvage DIR”.",
    )
}

/// Brings out what is whole, as plain files.
fn salvage(ui: &Ui, vault: &Path, dest: &Path, args: &Check) -> Result<(), Failure> {
    let dest = outside(dest, vault)?;
    engine::check_empty(&dest)?;
    match reach(vault) {
        Ok(Reached::Daemon(_)) => {
            return Err(Failure::new(
                Kind::InUse,
                "The vault is open; lock it first with “coffer lock”, then salvage.",
            ));
        }
        // One that does not open is what salvage is for.
        Err(failure)
            if matches!(
                failure.kind,
                Kind::InUse | Kind::TooNew | Kind::Trial | Kind::NoVault
            ) =>
        {
            return Err(failure);
        }
        _ => {}
    }
    let mut progress = ui.progress();
    let report = match &args.phrase_file {
        Some(file) => {
            let phrase = super::recover::phrase_in(file)?;
            engine::salvage(vault, &phrase, true, &dest, &mut progress)?
        }
        None => {
            let by_password =
                |password: &Secret| engine::salvage(vault, password, false, &dest, &mut progress);
            retrying(vault, &args.password, by_password)?.0
        }
    };
    drop(progress);
    ui.answer(&report, || {
        format!(
            "{}{}{}{} ({}) brought out to {}, unencrypted.",
            listed(&report.problems),
            listed(&report.newer),
            listed(&report.notes),
            counted(report.files, "file", "files"),
            size(report.bytes),
            paths::tilde(&dest)
        )
    });
    verdict(
        &report.problems,
        "thing could not be brought out, or not as it was last",
        "things could not be brought out, or not as they were last",
        "An older backup may have what is missing.",
    )?;
    match report.newer.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Kind::TooNew, NEWER)),
    }
}

/// What is said where nothing is damaged, and not all could be read.
const NEWER: &str = "Nothing is damaged, but not all was brought out: a newer version of Coffer is used with this vault. \
     Keep the vault, update Coffer on this device, and salvage again.";

/// Problems as a table.
pub(super) fn listed(problems: &[Problem]) -> String {
    let rows: Vec<[String; 2]> = problems
        .iter()
        .map(|problem| {
            let path = problem.path.as_ref().map(|path| path.0.shown());
            [
                path.unwrap_or_else(|| "(no file)".to_owned()),
                problem.what.clone(),
            ]
        })
        .collect();
    table(&rows)
}

/// What is damaged is a failure, even where the report could be made.
fn verdict(problems: &[Problem], one: &str, many: &str, then: &str) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    let damaged = counted(problems.len() as u64, one, many);
    Err(Failure::new(Kind::Damaged, format!("{damaged}. {then}")))
}
