//! What was removed, brought back: a file with its history, or a folder with everything that was
//! removed together with it.

use super::announce::Announce;
use super::find::{Found, Target, is_below, plain_path, stamp};
use super::places::{place, taken};
use crate::answers::history::{Left, Restored};
use crate::failure::Failure;
use crate::shown::Shown;
use crate::wire::WirePath;
use coffer_fs::types::Kind;
use coffer_store::ids::NodeId;
use coffer_store::record::Time;
use coffer_store::vault::{OpError, Removed, Vault, VersionInfo};
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What was removed from a folder with no longer pauses than this went together with it: programs
/// remove a tree from its leaves to its root. In seconds.
const PAUSE: i64 = 60;

/// So many come back between two commits: what a commit takes along is in memory until then.
const TOGETHER: usize = 10_000;

/// Brings it back under `path`.
///
/// # Errors
/// `Failed` if something lies there.
pub(super) fn revive(
    store: &Vault,
    target: &Target,
    path: &Path,
    announce: &Announce<'_>,
) -> Result<Restored, Failure> {
    match &target.found {
        Found::Gone(all)
            if target.moment.is_none() && all.first().is_some_and(|last| last.kind == Kind::Folder) =>
        {
            folder(store, &all[0], path, announce)
        }
        _ => file(store, target, path, announce),
    }
}

/// Why it did not come back, in words.
fn refused(error: OpError, path: &Path) -> Failure {
    match error {
        OpError::Store(error) => error.into(),
        error if error.errno() == libc::EEXIST => taken(path),
        error if error.errno() == libc::ENOENT => Failure::failed(format!(
            "{} is not kept any more; “coffer trash” lists what is.",
            path.shown()
        )),
        error => error.into(),
    }
}

fn file(store: &Vault, target: &Target, path: &Path, announce: &Announce<'_>) -> Result<Restored, Failure> {
    let (_, gone, versions) = target.file(store)?;
    let gone = gone.ok_or_else(|| Failure::failed("It is there; nothing was done."))?;
    let version = match target.moment {
        Some(moment) => Some(target.pick(moment, &versions)?),
        None => None,
    };
    let (place, folders) = place(store, path, announce)?;
    let number = version.map(|version| version.number);
    let here = store.gather_removed(gone.node, number);
    let back = here.and_then(|_here| store.bring_back(gone.node, number, place.at()));
    let ino = back.map_err(|error| refused(error, path))?;
    // Of versions that stand beside each other it came back as the one that is shown.
    let named_by = store.shows(ino).unwrap_or_default();
    announce.made(place.folder, &place.name, ino);
    let is_shown = |version: &&VersionInfo| named_by.iter().any(|at| version.events.contains(at));
    let shown = version.or_else(|| versions.iter().rev().find(is_shown));
    let shown = shown.or(versions.last());
    Ok(Restored {
        path: WirePath(path.to_owned()),
        version: shown.map(|version| version.number),
        recorded: shown.map(|version| stamp(version.recorded)),
        before: None,
        unchanged: false,
        made: true,
        files: 1,
        folders,
        left: Vec::new(),
        apart: 0,
    })
}

fn folder(store: &Vault, top: &Removed, path: &Path, announce: &Announce<'_>) -> Result<Restored, Failure> {
    let (lay, apart) = together(top, store.removed()?);
    let (at, above) = place(store, path, announce)?;
    // The folder comes with what lay in it: no commit goes between that leaves it empty.
    let first = lay.iter().take(TOGETHER).map(|gone| gone.node);
    let first: Vec<NodeId> = [top.node].into_iter().chain(first).collect();
    let mut returning = store.bringing_back(&first)?;
    let back = returning.bring(top.node, None, at.at());
    let ino = back.map_err(|error| refused(error, path))?;
    announce.made(at.folder, &at.name, ino);
    let mut restored = Restored {
        path: WirePath(path.to_owned()),
        version: None,
        recorded: None,
        before: None,
        unchanged: false,
        made: true,
        files: 0,
        folders: above + 1,
        left: Vec::new(),
        apart,
    };
    for (place_in, gone) in lay.iter().enumerate() {
        if place_in > 0 && place_in % TOGETHER == 0 {
            let next = lay[place_in..].iter().take(TOGETHER).map(|gone| gone.node);
            returning = store.bringing_back(&next.collect::<Vec<_>>())?;
        }
        let path = path.join(plain_path(&gone.path[top.path.len() + 1..]));
        let back = place(store, &path, announce).and_then(|(place, folders)| {
            restored.folders += folders;
            let here = store.gather_removed(gone.node, None);
            let back = here.and_then(|_here| returning.bring(gone.node, None, place.at()));
            let ino = back.map_err(|error| refused(error, &path))?;
            announce.made(place.folder, &place.name, ino);
            Ok(())
        });
        match (back, gone.kind) {
            (Ok(()), Kind::Folder) => restored.folders += 1,
            (Ok(()), _) => restored.files += 1,
            (Err(failure), _) => restored.left.push(Left {
                path: WirePath(path),
                why: failure.message,
            }),
        }
    }
    Ok(restored)
}

/// What was removed together with a folder, folders before what lay in them; and how much of what
/// lay there once was removed at another time, before or after, and stays so.
fn together(top: &Removed, removed: Vec<Removed>) -> (Vec<Removed>, u64) {
    let lay = removed.into_iter().filter(|gone| is_below(&gone.path, &top.path));
    // Later than the folder: of another that was called so, or of a clock that was set back.
    let (mut lay, later): (Vec<Removed>, Vec<Removed>) = lay.partition(|gone| gone.removed <= top.removed);
    lay.sort_by_key(|gone| std::cmp::Reverse(gone.removed));
    let mut last = top.removed;
    let mut paths = HashSet::new();
    let mut went = Vec::new();
    let mut apart = later.len() as u64;
    for gone in lay {
        // Of two things of one path, the one that was removed later lay there at the end.
        if pause(gone.removed, last) <= PAUSE && paths.insert(gone.path.clone()) {
            last = gone.removed;
            went.push(gone);
        } else {
            apart += 1;
        }
    }
    let depth = |gone: &Removed| {
        plain_path(&gone.path)
            .as_os_str()
            .as_bytes()
            .iter()
            .filter(|b| **b == b'/')
            .count()
    };
    went.sort_by_key(|gone| (depth(gone), gone.kind != Kind::Folder));
    (went, apart)
}

fn pause(earlier: Time, later: Time) -> i64 {
    later.sec.saturating_sub(earlier.sec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(path: &str, kind: Kind, sec: i64) -> Removed {
        Removed {
            node: NodeId::random(),
            entity: None,
            path: path.into(),
            kind,
            removed: Time { sec, nsec: 0 },
            size: 0,
            versions: 1,
        }
    }

    /// Guards what comes back with a folder: what went with it, however long that took, folders
    /// first; not what was removed from it on another day, nor what lay beside it.
    #[test]
    fn what_went_together_comes_back_together() {
        let top = gone("a", Kind::Folder, 1000);
        let all = vec![
            gone("a/b/c", Kind::File, 930),
            gone("a/d", Kind::File, 980),
            gone("a/b", Kind::Folder, 960),
            gone("a/old", Kind::File, 500),
            gone("a/d", Kind::File, 975),
            gone("ab", Kind::File, 999),
            gone("a/later", Kind::File, 1001),
            top.clone(),
        ];
        let (went, apart) = together(&top, all);
        let paths: Vec<&[u8]> = went.iter().map(|gone| &gone.path[..]).collect();
        assert_eq!(paths, [&b"a/b"[..], b"a/d", b"a/b/c"]);
        assert_eq!(went[1].removed.sec, 980);
        // “old”, the first “d”, and “later”: what a clock that was set back has made later is counted.
        assert_eq!(apart, 3);
    }
}
