//! Merges, as answers: found by the vault, counted in words, and taken back.
//!
//! Among programs a merge is named by the newest events of its sides: so one that has gone on since it
//! was listed is not taken for what it was. Among people it is named by the versions of its sides, whose
//! numbers are given once.

use super::super::Mount;
use super::super::words::words_changed;
use super::announce::Announce;
use super::find::{Found, find, of_file, plain_path, stamp, subject, whose};
use crate::answers::history::{Merge, MergeSide, Merges, Unmerged};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::shown::Shown;
use crate::wire::WirePath;
use crate::wire::history::{Kept, MergePart, Named, Whose};
use coffer_store::vault::{self as store, Keep, MergeTexts, OpError, Subject, UndoError, Undone, Vault};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The largest present text that is looked at, in bytes: larger ones are no texts that merge.
const TEXT_MAX: u64 = 4 << 20;

/// So many names of other merges are said, where one is not found.
const SAID: usize = 5;

/// A merge, and where it is.
struct Place {
    of: Subject,
    path: PathBuf,
    merge: store::Merge,
}

/// The merges of one file, or of all that are there: so many, the newest first; or the one of these
/// versions.
///
/// # Errors
/// `Failed` if there is no such file, or not one such merge.
pub(super) fn list(
    store: &Vault,
    of: Option<&Named>,
    newest: Option<u64>,
    which: Option<&[u64]>,
) -> Result<Merges, Failure> {
    let mut found = match (of, which) {
        (Some(named), which) => of_one(store, named, which)?,
        (None, None) => of_all(store)?,
        (None, Some(_)) => return Err(Failure::usage("The request names a merge, but no file.")),
    };
    let total = found.len() as u64;
    found.truncate(newest.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)));
    let answers = found.iter().map(|place| answer(store, place));
    Ok(Merges {
        total,
        merges: answers.collect::<Result<_, _>>()?,
    })
}

fn of_one(store: &Vault, named: &Named, which: Option<&[u64]>) -> Result<Vec<Place>, Failure> {
    let target = find(store, named)?;
    if target.moment.is_some() {
        return Err(Failure::usage(format!(
            "Merges are of a file, not of one of its versions; name {} alone.",
            target.shown()
        )));
    }
    let of = match &target.found {
        Found::Live(ino, _) => {
            // Says so of a folder.
            target.file(store)?;
            of_file(store, *ino)?
        }
        Found::Gone(_) => target.file(store)?.0,
    };
    let place = |merge| Place {
        of,
        path: target.path.clone(),
        merge,
    };
    let mut found: Vec<Place> = store.merges(of)?.into_iter().map(place).collect();
    if let Some(versions) = which {
        only(&mut found, versions, &target.shown())?;
    }
    Ok(found)
}

/// Leaves the merge of these versions, and no other.
fn only(found: &mut Vec<Place>, versions: &[u64], shown: &str) -> Result<(), Failure> {
    let mut versions = versions.to_vec();
    versions.sort_unstable();
    let others: Vec<String> = found.iter().filter_map(|place| name(&place.merge)).collect();
    found.retain(|place| numbers(&place.merge).as_ref() == Some(&versions));
    let wanted = joined(&versions);
    Err(Failure::failed(match (found.len(), others.as_slice()) {
        (1, _) => return Ok(()),
        (0, []) => format!("{shown} has no merge {wanted}, and no other."),
        (0, others) => {
            let more = if others.len() > SAID { " and more" } else { "" };
            let others = others[..others.len().min(SAID)].join(", ");
            format!(
                "{shown} has no merge {wanted}; it has {others}{more}. One that somebody has written on in has a new name: “coffer merges {shown}” lists them."
            )
        }
        (count, _) => format!(
            "{count} merges of {shown} are of the versions {wanted}, so which is meant cannot be told; “coffer restore {shown}@{}” brings one side back as it was.",
            versions[0]
        ),
    }))
}

/// The numbers of the versions that came together, in order; none if one is not known any more.
fn numbers(merge: &store::Merge) -> Option<Vec<u64>> {
    let mut numbers: Vec<u64> = merge
        .sides
        .iter()
        .map(|side| side.number)
        .collect::<Option<_>>()?;
    numbers.sort_unstable();
    Some(numbers)
}

/// “@4+5”.
fn joined(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    format!("@{}", numbers.join("+"))
}

/// What people call a merge, behind its file.
fn name(merge: &store::Merge) -> Option<String> {
    numbers(merge).map(|numbers| joined(&numbers))
}

fn of_all(store: &Vault) -> Result<Vec<Place>, Failure> {
    let mut merges = Vec::new();
    for (ino, of) in store.merge_candidates()? {
        match store.merges(of) {
            Ok(found) => merges.extend(found.into_iter().map(|merge| (ino, of, merge))),
            // It went, or is damaged, which `check` names: all others are listed.
            Err(_) => continue,
        }
    }
    let inos: HashSet<u64> = merges.iter().map(|(ino, ..)| *ino).collect();
    let paths: HashMap<u64, Vec<u8>> = store.paths_of(&inos).into_iter().collect();
    let mut found: Vec<Place> = merges
        .into_iter()
        .filter_map(|(ino, of, merge)| {
            let path = plain_path(paths.get(&ino)?);
            Some(Place { of, path, merge })
        })
        .collect();
    found.sort_by_key(|place| std::cmp::Reverse(place.merge.order));
    Ok(found)
}

/// A side's name on the wire.
fn id(side: &store::MergeSide) -> String {
    format!("{}:{}", side.at.chain, side.at.seq)
}

fn answer(store: &Vault, place: &Place) -> Result<Merge, Failure> {
    let merge = &place.merge;
    // Texts that cannot be had are not kept, as far as a list is concerned.
    let texts = store.merge_texts(place.of, merge).ok().flatten();
    let sides = merge.sides.iter().enumerate().map(|(at, side)| {
        let words = texts
            .as_ref()
            .map(|texts| words_changed(&texts.base, &texts.sides[at]));
        MergeSide {
            id: id(side),
            version: side.number,
            versions: side.versions,
            devices: side.devices.clone(),
            programs: side.programs.clone(),
            own: side.own,
            recorded: side.recorded.map(stamp),
            words_added: words.map(|(added, _)| added),
            words_removed: words.map(|(_, removed)| removed),
        }
    });
    Ok(Merge {
        path: WirePath(place.path.clone()),
        name: name(merge),
        whose: whose(store, place.of)?,
        recorded: merge
            .sides
            .iter()
            .filter_map(|side| side.recorded)
            .max()
            .map(stamp),
        sides: sides.collect(),
        kept: texts.is_some(),
        overlap: texts.as_ref().map(MergeTexts::overlap),
        saved_as: merge.saved_as,
        only: texts.and_then(|texts| texts.taken_back(&present(store, place.of)?)),
    })
}

/// The text of the file now, if it is there and is one.
fn present(store: &Vault, of: Subject) -> Option<String> {
    let ino = store.shown_by(of).ok()?;
    let mut bytes = Vec::new();
    if store.stat(ino).ok()?.size <= TEXT_MAX {
        store.read(ino, 0, TEXT_MAX as usize, &mut bytes).ok()?;
    }
    String::from_utf8(bytes).ok()
}

/// The merge of these sides.
fn find_merge(store: &Vault, of: Subject, sides: &[String]) -> Result<store::Merge, Failure> {
    let named: HashSet<&String> = sides.iter().collect();
    let mut merges = store.merges(of)?.into_iter();
    let is_it = |merge: &store::Merge| {
        let ids: Vec<String> = merge.sides.iter().map(id).collect();
        ids.iter().collect::<HashSet<_>>() == named
    };
    merges.find(is_it).ok_or_else(|| {
        Failure::failed("That merge has gone on since it was listed; “coffer merges” lists what there is.")
    })
}

fn gone() -> Failure {
    Failure::failed("What was merged was thinned out or purged, and is not kept any more.")
}

/// One of a merge's texts.
///
/// # Errors
/// `Failed` if it is not kept any more.
pub(super) fn read(store: &Vault, of: &Whose, sides: &[String], part: MergePart) -> Result<Secret, Failure> {
    let of = subject(of)?;
    let merge = find_merge(store, of, sides)?;
    let texts = store.merge_texts(of, &merge)?.ok_or_else(gone)?;
    let text = match part {
        MergePart::Base => texts.base,
        MergePart::Merged => texts.merged,
        MergePart::Side(id_of) => {
            let at = side(&merge, &id_of)?;
            texts.sides.into_iter().nth(at).unwrap_or_default()
        }
    };
    Ok(Secret::new(text.into_bytes()))
}

fn side(merge: &store::Merge, named: &str) -> Result<usize, Failure> {
    let at = merge.sides.iter().position(|side| id(side) == named);
    at.ok_or_else(|| Failure::usage("The request names no side of the merge."))
}

/// Takes a merge back, or brings back what was.
///
/// # Errors
/// `Failed` if what was written since stands in the way, or there is nothing of it any more.
pub(super) fn undo(
    store: &Vault,
    mount: Option<&Mount>,
    (of, path): (&Whose, &WirePath),
    sides: &[String],
    keep: &Kept,
) -> Result<Unmerged, Failure> {
    let of = subject(of)?;
    if matches!(of, Subject::Removed(_)) {
        return Err(Failure::failed(format!(
            "{} was removed; bring it back first, with “coffer restore”.",
            path.0.shown()
        )));
    }
    if let (Some(mount), true) = (mount, store.is_being_written(store.shown_by(of)?)) {
        // What a program has written into mapped memory, and the kernel has not passed on, is no version.
        mount.flush();
    }
    let merge = find_merge(store, of, sides)?;
    let keep = match keep {
        Kept::All => Keep::All,
        Kept::Side(named) => Keep::Side(side(&merge, named)?),
    };
    let undone = store.undo_merge(of, &merge, keep);
    let undone = undone.map_err(|error| refused(error, path))?;
    let Undone::Done(ino) = undone else {
        return Ok(Unmerged {
            path: path.clone(),
            unchanged: true,
            version: None,
        });
    };
    let announce = Announce(mount);
    for (ino, folder, name) in store.names_of(&HashSet::from([ino])) {
        announce.content(folder, &name, ino);
    }
    announce.settle();
    let versions = store.versions(of)?;
    Ok(Unmerged {
        path: path.clone(),
        unchanged: false,
        version: versions.last().map(|version| version.number),
    })
}

fn refused(error: UndoError, path: &WirePath) -> Failure {
    let shown = path.0.shown();
    match error {
        UndoError::Gone => gone(),
        UndoError::InTheWay => Failure::failed(format!(
            "Since the merge, somebody has written on in the same words of {shown}, so what is to go cannot be told from what is to stay; “coffer merges --diff {shown}” shows what each side did: take out by hand what is to go, or bring back a version with “coffer restore”."
        )),
        UndoError::NoText => Failure::failed(format!(
            "{shown} is no text any more; “coffer restore” brings one of its versions back."
        )),
        UndoError::Op(OpError::Errno(libc::EBUSY)) => Failure::failed(format!(
            "{shown} is being written to, and what it holds now is no version yet, so it would be lost; close it first."
        )),
        UndoError::Op(error) => error.into(),
    }
}
