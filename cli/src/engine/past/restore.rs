//! A version brought back: in its file's place, or under another name.

use super::super::Mount;
use super::announce::Announce;
use super::find::{Found, Target, find, stamp};
use super::places::{place, taken};
use super::revive;
use super::versions::{is_merged, is_unsaved, lost};
use crate::answers::history::Restored;
use crate::failure::Failure;
use crate::wire::WirePath;
use crate::wire::history::Named;
use coffer_fs::types::Kind;
use coffer_store::record::Meta;
use coffer_store::vault::{Subject, Vault, VersionInfo};
use std::collections::HashSet;
use std::path::Path;

/// Bytes that are copied at a time.
const STEP: usize = 1 << 20;

/// Brings back what is named, at its own path or another.
///
/// # Errors
/// `Failed` if there is nothing of it, or something lies where it is to go.
pub(super) fn restore(
    store: &Vault,
    mount: Option<&Mount>,
    of: &Named,
    to: Option<&WirePath>,
) -> Result<Restored, Failure> {
    let target = find(store, of)?;
    let announce = Announce(mount);
    let path = to.map_or(target.path.as_path(), |to| to.0.as_path());
    let restored = match (&target.found, to) {
        (Found::Gone(_), _) => revive::revive(store, &target, path, &announce),
        (Found::Live(ino, _), None) => in_place(store, mount, &target, *ino, &announce),
        (Found::Live(ino, _), Some(_)) => elsewhere(store, &target, *ino, path, &announce),
    };
    // Also of what was done before something failed.
    announce.settle();
    restored
}

/// The version that is meant of a file that is there: the one that was named, else the newest kept
/// one before the present.
fn chosen<'a>(
    target: &Target,
    versions: &'a [VersionInfo],
    present: Option<usize>,
) -> Result<&'a VersionInfo, Failure> {
    if let Some(moment) = target.moment {
        return target.pick(moment, versions);
    }
    let before = present.map_or(versions, |place| &versions[..place]);
    before.iter().rev().find(|version| version.held).ok_or_else(|| {
        Failure::failed(format!(
            "{} has no version before the present one; “coffer log {0}” lists those that it has.",
            target.shown()
        ))
    })
}

/// Which of its versions a file that holds nothing else shows; none: the merge of several.
fn present(store: &Vault, of: Subject, versions: &[VersionInfo]) -> Result<Option<usize>, Failure> {
    let last = versions.len().checked_sub(1);
    Ok(match store.shows_as_told(store.shown_by(of)?)?.as_deref() {
        Some([at]) => versions
            .iter()
            .position(|version| version.events.contains(at))
            .or(last),
        Some(_) => None,
        None => last,
    })
}

fn unsaved(target: &Target) -> Failure {
    Failure::failed(format!(
        "{} is being written to, and what it holds now is no version yet, so it would be lost; close it first, or bring the version back beside it with --to.",
        target.shown()
    ))
}

fn in_place(
    store: &Vault,
    mount: Option<&Mount>,
    target: &Target,
    ino: u64,
    announce: &Announce<'_>,
) -> Result<Restored, Failure> {
    if let Some(mount) = mount
        && store.is_being_written(ino)
    {
        // What a program has written into mapped memory, and the kernel has not passed on, is no version.
        mount.flush();
    }
    let (subject, _, versions) = target.file(store)?;
    if is_unsaved(store, subject, &versions)? {
        return Err(unsaved(target));
    }
    let merged = is_merged(store, store.shown_by(subject)?)?;
    let present = present(store, subject, &versions)?;
    let version = chosen(target, &versions, present)?;
    let mut restored = Restored {
        path: WirePath(target.path.clone()),
        version: Some(version.number),
        recorded: Some(stamp(version.recorded)),
        before: None,
        unchanged: false,
        made: false,
        files: 1,
        folders: 0,
        left: Vec::new(),
        apart: 0,
    };
    if present.is_some_and(|place| versions[place].number == version.number) {
        restored.unchanged = true;
        return Ok(restored);
    }
    let _here = store.gather_version(subject, version.number).map_err(lost)?;
    let restored_in = store.restore_version(subject, version.number);
    let ino = restored_in.map_err(|error| match error.errno() {
        // Somebody has written to it since we looked.
        libc::EBUSY => unsaved(target),
        _ => lost(error),
    })?;
    // Wherever it lies by now: who has it must hear of it, though it was renamed or removed meanwhile.
    let names = store.names_of(&HashSet::from([ino]));
    if names.is_empty() {
        announce.nameless(ino);
    }
    for (ino, folder, name) in names {
        announce.content(folder, &name, ino);
    }
    // All that it was is a version, or it would have been refused.
    restored.before = match merged {
        // It was none by itself, and became one.
        true => store.versions(subject)?[versions.len()..]
            .first()
            .map(|version| version.number),
        false => present.map(|place| versions[place].number),
    };
    Ok(restored)
}

/// A file of its own, with a version's bytes.
fn elsewhere(
    store: &Vault,
    target: &Target,
    ino: u64,
    path: &Path,
    announce: &Announce<'_>,
) -> Result<Restored, Failure> {
    let (subject, _, versions) = target.file(store)?;
    let unsaved = is_unsaved(store, subject, &versions)?;
    let present = match unsaved {
        true => None,
        false => present(store, subject, &versions)?,
    };
    let version = chosen(target, &versions, present)?;
    let (place, folders) = place(store, path, announce)?;
    let like = store.stat(ino)?.meta;
    let made = copy(store, subject, version, like, &place)?.ok_or_else(|| taken(path))?;
    announce.made(place.folder, &place.name, made);
    Ok(Restored {
        path: WirePath(path.to_owned()),
        version: Some(version.number),
        recorded: Some(stamp(version.recorded)),
        before: None,
        unchanged: false,
        made: true,
        files: 1,
        folders,
        left: Vec::new(),
        apart: 0,
    })
}

/// The new file; none if the place was taken meanwhile.
fn copy(
    store: &Vault,
    subject: Subject,
    version: &VersionInfo,
    like: Meta,
    place: &super::places::Place,
) -> Result<Option<u64>, Failure> {
    let _here = store.gather_version(subject, version.number).map_err(lost)?;
    let old = store.open_version(subject, version.number).map_err(lost)?;
    let meta = Meta {
        kind: version.kind,
        perm: version.perm,
        mtime: version.modified,
        ..like
    };
    let mut made = store.incoming(meta)?;
    let mut bytes = Vec::with_capacity(STEP);
    for offset in (0..version.size).step_by(STEP) {
        bytes.clear();
        old.read(store, offset, STEP, &mut bytes)?;
        // What is all zeros becomes a hole again.
        if version.kind != Kind::File || bytes.iter().any(|byte| *byte != 0) {
            made.write(offset, &bytes)?;
        }
    }
    if version.kind == Kind::File {
        made.set_size(version.size)?;
    }
    match made.place(place.at()) {
        Err(error) if error.errno() == libc::EEXIST => Ok(None),
        placed => Ok(Some(placed?.0)),
    }
}
