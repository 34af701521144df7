//! `coffer restore`.

use super::past::{Place, To, locate, with};
use crate::answers::history::Restored;
use crate::args::history::Restore;
use crate::failure::{Failure, Kind};
use crate::shown::Shown;
use crate::ui::Ui;
use crate::units::counted;
use crate::when::{ago, local};
use crate::wire::WirePath;
use crate::wire::history::Past;
use jiff::Zoned;
use std::path::Path;

/// Brings a version, or something removed, back.
///
/// # Errors
/// `Failed` if there is no such version or its place is taken; `Incomplete` if not everything of a
/// folder came back, after the report.
pub(super) fn restore(ui: &Ui, vault: Option<&Path>, args: &Restore) -> Result<(), Failure> {
    let place = locate(vault, &args.path)?;
    let other = match &args.to {
        Some(to) => Some(beside(vault, &place, to)?),
        None => None,
    };
    let asked = Past::Restore {
        of: place.named(args.removed),
        to: other.as_ref().map(|other| WirePath(other.path.clone())),
    };
    let restored: Restored = with(&place.vault, &args.password, To::Write, |vault| vault.ask(asked))?;
    ui.answer(&restored, || {
        text(&restored, &place, other.as_ref(), &Zoned::now())
    });
    match restored.left.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            Kind::Incomplete,
            format!(
                "{}; the report says why.",
                counted(
                    restored.left.len() as u64,
                    "thing was left out",
                    "things were left out"
                )
            ),
        )),
    }
}

/// Another place in the same vault.
fn beside(vault: Option<&Path>, place: &Place, to: &Path) -> Result<Place, Failure> {
    let other = locate(vault.or(Some(&place.vault)), to)?;
    match other.vault == place.vault {
        true => Ok(other),
        false => Err(Failure::usage(format!(
            "{} lies in another vault; “coffer show” with “>” copies a version anywhere.",
            to.shown()
        ))),
    }
}

fn text(restored: &Restored, place: &Place, other: Option<&Place>, now: &Zoned) -> String {
    let path = restored.path.0.shown();
    let version = match (restored.version, restored.recorded) {
        (Some(number), Some(recorded)) => format!(
            "version {number} ({}, {})",
            local(recorded, now),
            ago(recorded, now)
        ),
        _ => "its last version".to_owned(),
    };
    if restored.unchanged {
        return format!("{path} is as in {version} already; nothing was done.");
    }
    if !restored.made {
        let undo = match restored.before {
            Some(before) => format!(
                "\nWhat it was until now is version {before}; to undo: coffer restore {}",
                place.at(before)
            ),
            None => String::new(),
        };
        return format!("{path} is as in {version} again.{undo}");
    }
    let whole = restored.version.is_none();
    let mut text = String::new();
    for left in &restored.left {
        text.push_str(&format!("Left out: {}: {}\n", left.path.0.shown(), left.why));
    }
    if whole {
        text.push_str(&format!(
            "{path} is back: {} and {}.",
            counted(restored.files, "file", "files"),
            counted(restored.folders, "folder", "folders")
        ));
        if restored.apart > 0 {
            text.push_str(&format!(
                "\n{} at another time, and stay in the trash: coffer trash {}",
                counted(
                    restored.apart,
                    "thing in it was removed",
                    "things in it were removed"
                ),
                place.argument(place.typed())
            ));
        }
    } else {
        text.push_str(&format!("{path} is there, as in {version}."));
    }
    let typed = other.unwrap_or(place);
    let removes = if whole { "rm -r" } else { "rm" };
    let undone = typed.argument(typed.typed());
    // Only where it is a path for the system.
    if std::fs::symlink_metadata(typed.typed()).is_ok() {
        text.push_str(&format!("\nTo undo: {removes} {undone}"));
    }
    text
}
