//! `coffer trash`, `coffer purge` and `coffer gc`: what was removed, and what is destroyed for good.

use super::past::{Answering, To, agreed, here, locate, with};
use crate::answers::history::{Freed, Gone, Weight};
use crate::args::history::{Gc, Purge, Trash};
use crate::failure::{Failure, Kind};
use crate::shown::Shown;
use crate::ui::{Ui, table};
use crate::units::{counted, size};
use crate::when::{ago, local};
use crate::wire::WirePath;
use crate::wire::history::{Past, Whose};
use jiff::{SignedDuration, Timestamp, Zoned};
use std::path::{Path, PathBuf};

/// How many things one request names: it is bounded.
const STEP: usize = 20_000;

/// Lists what was removed, or destroys it.
///
/// # Errors
/// `Question` if nobody can be asked; else the vault's.
pub(super) fn trash(ui: &Ui, vault: Option<&Path>, args: &Trash) -> Result<(), Failure> {
    let (vault, under) = place(vault, args.path.as_deref())?;
    let asked = Past::Trash {
        under: under.map(WirePath),
    };
    if !args.empty {
        let removed: Vec<Gone> = with(&vault, &args.password, To::Read, |vault| vault.ask(asked))?;
        ui.lines(removed.iter(), || listed(&removed, &Zoned::now()));
        return Ok(());
    }
    let freed = with(&vault, &args.password, To::Write, |vault| {
        let mut removed: Vec<Gone> = vault.ask(asked)?;
        if let Some(age) = args.older_than {
            let before = SignedDuration::try_from(age)
                .ok()
                .and_then(|age| Timestamp::now().checked_sub(age).ok())
                .unwrap_or(Timestamp::MIN);
            removed.retain(|gone| gone.removed <= before);
        }
        if removed.is_empty() {
            return Ok(Freed::default());
        }
        let versions = removed.iter().map(|gone| gone.versions).sum();
        agreed(
            args.yes,
            &format!(
                "Destroy {} with {}, for good?",
                counted(
                    removed.len() as u64,
                    "removed file or folder",
                    "removed files and folders"
                ),
                counted(versions, "version", "versions")
            ),
        )?;
        let of: Vec<Whose> = removed
            .into_iter()
            .map(|gone| Whose::Removed(gone.node))
            .collect();
        destroy(vault, &of)
    })?;
    ui.answer(&freed, || destroyed(&freed));
    Ok(())
}

/// The vault, and what in it.
fn place(vault: Option<&Path>, path: Option<&Path>) -> Result<(PathBuf, Option<PathBuf>), Failure> {
    if let Some(path) = path {
        let place = locate(vault, path)?;
        return Ok((place.vault, Some(place.path)));
    }
    Ok((here(vault)?, None))
}

/// Destroys the history of a file or folder.
///
/// # Errors
/// `Question` if nobody can be asked; else the vault's.
pub(super) fn purge(ui: &Ui, vault: Option<&Path>, args: &Purge) -> Result<(), Failure> {
    let place = locate(vault, &args.path)?;
    let freed = with(&place.vault, &args.password, To::Write, |vault| {
        let weight: Weight = vault.ask(Past::Weigh {
            path: WirePath(place.path.clone()),
        })?;
        if weight.of.is_empty() {
            return Ok(Freed::default());
        }
        agreed(args.yes, &format!("Destroy {}, for good?", weighed(&weight)))?;
        destroy(vault, &weight.of)
    })?;
    ui.answer(&freed, || destroyed(&freed));
    match freed.missed {
        0 => Ok(()),
        missed => Err(Failure::new(
            Kind::Incomplete,
            format!(
                "{} removed or replaced since the question was asked, and nothing of it was destroyed; say “coffer purge” again.",
                counted(missed, "file was", "files were")
            ),
        )),
    }
}

fn weighed(weight: &Weight) -> String {
    let mut parts = Vec::new();
    if weight.files > 0 {
        parts.push(format!(
            "the earlier versions of {}, whose present bytes stay",
            counted(weight.files, "file", "files")
        ));
    }
    if weight.removed > 0 {
        parts.push(format!(
            "{}, which cannot be brought back then",
            counted(
                weight.removed,
                "removed file or folder",
                "removed files and folders"
            )
        ));
    }
    format!(
        "{} ({} in all)",
        parts.join(", and "),
        counted(weight.versions, "version", "versions")
    )
}

fn destroy(vault: &Answering, of: &[Whose]) -> Result<Freed, Failure> {
    let mut sum = Freed::default();
    for step in of.chunks(STEP) {
        let freed: Freed = vault.ask(Past::Purge { of: step.to_vec() })?;
        sum.versions += freed.versions;
        sum.removed += freed.removed;
        sum.chunks += freed.chunks;
        sum.packs += freed.packs;
        sum.bytes += freed.bytes;
        sum.missed += freed.missed;
        sum.unread += freed.unread;
        sum.left = freed.left;
    }
    Ok(sum)
}

/// Lets go of what the retention does not hold, and gives room back.
///
/// # Errors
/// The vault's.
pub(super) fn gc(ui: &Ui, vault: Option<&Path>, args: &Gc) -> Result<(), Failure> {
    let freed: Freed = with(&here(vault)?, &args.password, To::Write, |vault| {
        vault.ask(Past::Gc)
    })?;
    ui.answer(&freed, || {
        let thinned = match (freed.versions, freed.removed) {
            (0, 0) => "No version was too old".to_owned(),
            (versions, 0) => format!("Let go of {}", counted(versions, "version", "versions")),
            (versions, removed) => format!(
                "Let go of {} and {}",
                counted(versions, "version", "versions"),
                counted(removed, "removed file or folder", "removed files and folders")
            ),
        };
        format!("{thinned}. {}", room(&freed))
    });
    Ok(())
}

fn destroyed(freed: &Freed) -> String {
    match (freed.versions, freed.removed) {
        (0, 0) if freed.missed > 0 => "Nothing was destroyed.".to_owned(),
        (0, 0) => "There was nothing to destroy.".to_owned(),
        (versions, removed) => format!(
            "Destroyed {}{}. {}{}",
            counted(versions, "version", "versions"),
            match removed {
                0 => String::new(),
                removed => format!(
                    " and {}",
                    counted(removed, "removed file or folder", "removed files and folders")
                ),
            },
            room(freed),
            unread(freed.unread)
        ),
    }
}

/// What of other devices may have needed it.
fn unread(unread: u64) -> String {
    match unread {
        0 => String::new(),
        unread => format!(
            " Other devices had told {} of it that this program has not read (“coffer status” says why): here they may be lost with it.",
            counted(unread, "change", "changes")
        ),
    }
}

fn room(freed: &Freed) -> String {
    let mut text = match freed.bytes {
        0 => "No room was given back.".to_owned(),
        bytes => format!("{} given back.", size(bytes)),
    };
    if freed.left > 0 {
        text.push_str(" Some sealed bytes of it are in use, by an open file or a backup, and go later; “coffer gc” tries again.");
    }
    text
}

fn listed(removed: &[Gone], now: &Zoned) -> String {
    if removed.is_empty() {
        return "Nothing that was removed is kept.".to_owned();
    }
    let rows: Vec<[String; 5]> = removed
        .iter()
        .map(|gone| {
            let folder = gone.kind == "folder";
            [
                local(gone.removed, now),
                ago(gone.removed, now),
                if folder { String::new() } else { size(gone.size) },
                if folder {
                    String::new()
                } else {
                    counted(gone.versions, "version", "versions")
                },
                format!("{}{}", gone.path.0.shown(), if folder { "/" } else { "" }),
            ]
        })
        .collect();
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that whoever destroys what a newer program's changes were made from hears of it, and nobody else does.
    #[test]
    fn a_purge_says_what_was_not_read() {
        let said = |unread| {
            destroyed(&Freed {
                versions: 3,
                unread,
                ..Freed::default()
            })
        };
        assert_eq!(said(0), "Destroyed 3 versions. No room was given back.");
        assert!(said(2).contains("told 2 changes of it that this program has not read"));
    }
}
