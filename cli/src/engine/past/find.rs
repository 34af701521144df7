//! Which file or folder a path means: one that is there, else one that was removed there; with a
//! version behind it or without.

use super::super::transfer::parts;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::wire::history::{Moment, Named, Whose};
use coffer_fs::types::{Kind, ROOT};
use coffer_store::ids::{EntityId, NodeId};
use coffer_store::record::Time;
use coffer_store::vault::{Removed, Subject, Vault, VersionInfo};
use jiff::Timestamp;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a path stands for.
pub(super) enum Found {
    /// It is there.
    Live(u64, Kind),
    /// It was removed; all that was removed at this path, the latest first.
    Gone(Vec<Removed>),
}

/// What was named.
pub(super) struct Target {
    /// Its path from the vault's root, without the version.
    pub(super) path: PathBuf,
    /// What lies there, or lay.
    pub(super) found: Found,
    /// Which version was named.
    pub(super) moment: Option<Moment>,
}

/// What lies at a path now.
///
/// # Errors
/// `Usage` for a path that goes up.
pub(super) fn live(store: &Vault, path: &Path) -> Result<Option<(u64, Kind)>, Failure> {
    let mut ino = ROOT;
    for name in parts(path)? {
        ino = match store.lookup(ino, &name) {
            Err(error) if matches!(error.errno(), libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG) => {
                return Ok(None);
            }
            found => found?,
        };
    }
    Ok(Some((ino, store.stat(ino)?.meta.kind)))
}

/// What lies at a path, which must be there.
///
/// # Errors
/// `Failed` if nothing does.
pub(super) fn there(store: &Vault, path: &Path) -> Result<u64, Failure> {
    match live(store, path)? {
        Some((ino, _)) => Ok(ino),
        None => Err(Failure::failed(format!(
            "There is no {} in the vault.",
            path.shown()
        ))),
    }
}

/// What was removed: all, or what lay at or below a path; the latest first.
///
/// # Errors
/// The vault's.
pub(super) fn removed(store: &Vault, under: Option<&Path>) -> Result<Vec<Removed>, Failure> {
    let mut removed = store.removed()?;
    if let Some(under) = under {
        let under = parts(under)?.join(&b'/');
        removed.retain(|gone| under.is_empty() || gone.path == under || is_below(&gone.path, &under));
    }
    removed.sort_by_key(|gone| std::cmp::Reverse(gone.removed));
    Ok(removed)
}

/// Whether a path lies below another; both from the root, without a leading slash.
pub(super) fn is_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

fn gone_at(store: &Vault, path: &Path) -> Result<Option<Found>, Failure> {
    let at = parts(path)?.join(&b'/');
    let mut removed = removed(store, Some(path))?;
    removed.retain(|gone| gone.path == at);
    Ok((!removed.is_empty()).then_some(Found::Gone(removed)))
}

/// What is meant: a file that is really called so, else the version of another, else what was
/// removed under the whole name.
///
/// # Errors
/// `Failed` if nothing of it is known.
pub(super) fn find(store: &Vault, named: &Named) -> Result<Target, Failure> {
    let target = |path: &Path, found, moment| Target {
        path: path.to_owned(),
        found,
        moment,
    };
    let whole = &named.whole.0;
    if !named.removed
        && let Some((ino, kind)) = live(store, whole)?
    {
        return Ok(target(whole, Found::Live(ino, kind), None));
    }
    if let Some((base, moment)) = &named.split {
        let is_there = match named.removed {
            true => None,
            false => live(store, &base.0)?,
        };
        if let Some((ino, kind)) = is_there {
            return Ok(target(&base.0, Found::Live(ino, kind), Some(*moment)));
        }
        if let Some(found) = gone_at(store, &base.0)? {
            return Ok(target(&base.0, found, Some(*moment)));
        }
    }
    if let Some(found) = gone_at(store, whole)? {
        return Ok(target(whole, found, None));
    }
    let path = named.split.as_ref().map_or(whole, |(base, _)| &base.0);
    Err(Failure::failed(match named.removed {
        true => format!(
            "Nothing that was removed at {} is kept; “coffer trash” lists what is.",
            path.shown()
        ),
        false => format!(
            "There is no {} in the vault, and nothing that was removed there is kept; “coffer trash” lists what was removed.",
            path.shown()
        ),
    }))
}

impl Target {
    /// Its path, for people.
    pub(super) fn shown(&self) -> String {
        match self.path.as_os_str().is_empty() {
            true => "/".to_owned(),
            false => self.path.shown(),
        }
    }

    /// The file that it stands for, and its versions, the oldest first. Of several that were
    /// removed at one path it is the last one that was there at the named time, or the last.
    ///
    /// # Errors
    /// `Failed` for a folder.
    pub(super) fn file(
        &self,
        store: &Vault,
    ) -> Result<(Subject, Option<&Removed>, Vec<VersionInfo>), Failure> {
        match &self.found {
            Found::Live(_, Kind::Folder) => Err(Failure::failed(format!(
                "{} is a folder, and only files have versions; “coffer trash {0}” lists what was removed from it.",
                self.shown()
            ))),
            Found::Live(ino, Kind::File | Kind::Symlink) => {
                let of = of_file(store, *ino)?;
                Ok((of, None, store.versions(of)?))
            }
            Found::Live(..) => Err(Failure::failed(format!(
                "{} is no file, and has no versions.",
                self.shown()
            ))),
            Found::Gone(all) => {
                let files: Vec<&Removed> = all.iter().filter(|gone| gone.kind != Kind::Folder).collect();
                let Some(last) = files.first() else {
                    return Err(Failure::failed(format!(
                        "{} was a folder, and only files have versions; “coffer trash {0}” lists what lay in it.",
                        self.shown()
                    )));
                };
                if let Some(Moment::Time(time)) = self.moment {
                    for gone in &files {
                        let of = Subject::Removed(gone.node);
                        let versions = store.versions(of)?;
                        if versions
                            .first()
                            .is_some_and(|first| stamp(first.recorded) <= time)
                        {
                            return Ok((of, Some(gone), versions));
                        }
                    }
                }
                let of = Subject::Removed(last.node);
                Ok((of, Some(last), store.versions(of)?))
            }
        }
    }

    /// The version that is named, among all of them: by number exactly, by time the newest that is
    /// kept.
    ///
    /// # Errors
    /// `Failed` if there is none, or it was thinned out.
    pub(super) fn pick<'a>(
        &self,
        moment: Moment,
        versions: &'a [VersionInfo],
    ) -> Result<&'a VersionInfo, Failure> {
        let shown = self.shown();
        match moment {
            Moment::Number(number) => {
                let found = versions.iter().find(|version| version.number == number);
                let Some(found) = found else {
                    return Err(Failure::failed(format!(
                        "{shown} has no version {number}; “coffer log {shown}” lists those that it has."
                    )));
                };
                match found.held {
                    true => Ok(found),
                    false => Err(Failure::failed(format!(
                        "Version {number} of {shown} was thinned out, and its bytes are not kept any more; “coffer log {shown}” lists those that are."
                    ))),
                }
            }
            Moment::Time(time) => versions
                .iter()
                .rev()
                .find(|version| version.held && stamp(version.recorded) <= time)
                .ok_or_else(|| {
                    Failure::failed(format!(
                        "Of {shown}, no version that is so old is kept; “coffer log {shown}” lists those that are."
                    ))
                }),
        }
    }
}

/// A time as the rest of the program has it; one that no calendar knows becomes the nearest.
pub(super) fn stamp(time: Time) -> Timestamp {
    let nanos = i32::try_from(time.nsec).unwrap_or(0);
    Timestamp::new(time.sec, nanos).unwrap_or(match time.sec < 0 {
        true => Timestamp::MIN,
        false => Timestamp::MAX,
    })
}

/// The history of a file that is there, whichever file a save puts in its place.
///
/// # Errors
/// The vault's, if it is gone.
pub(super) fn of_file(store: &Vault, ino: u64) -> Result<Subject, Failure> {
    let entity = store.entity(ino)?;
    Ok(Subject::Entity { entity, seen: ino })
}

/// A history as it crosses the socket, and back.
///
/// # Errors
/// The vault's, if it is gone.
pub(super) fn whose(store: &Vault, of: Subject) -> Result<Whose, Failure> {
    let (entity, seen) = match of {
        Subject::Removed(node) => return Ok(Whose::Removed(node.to_string())),
        Subject::Entity { entity, seen } => (entity, seen),
        Subject::File(ino) => (store.entity(ino)?, ino),
    };
    let entity = entity.to_string();
    Ok(Whose::File { entity, seen })
}

/// The inverse.
///
/// # Errors
/// `Usage` for what is no node's id.
pub(super) fn subject(whose: &Whose) -> Result<Subject, Failure> {
    match whose {
        Whose::File { entity, seen } => id(entity)
            .map(|id| Subject::Entity {
                entity: EntityId(id),
                seen: *seen,
            })
            .ok_or_else(|| Failure::usage("The request names no file.")),
        Whose::Removed(hex) => id(hex)
            .map(|id| Subject::Removed(NodeId(id)))
            .ok_or_else(|| Failure::usage("The request names no removed file.")),
    }
}

fn id(hex: &str) -> Option<[u8; 16]> {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 32)?;
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(id)
}

/// A path of the store as the system's.
pub(super) fn plain_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards ids across the socket, and what is none.
    #[test]
    fn histories_cross_the_socket() {
        let (file, removed) = (EntityId([0x5a; 16]), NodeId([0xa5; 16]));
        let of = |entity: String| Whose::File { entity, seen: 7 };
        assert_eq!(
            subject(&of(file.to_string())).unwrap(),
            Subject::Entity {
                entity: file,
                seen: 7
            }
        );
        assert_eq!(
            subject(&Whose::Removed(removed.to_string())).unwrap(),
            Subject::Removed(removed)
        );
        for hex in ["", "a5", "g".repeat(32).as_str(), "a".repeat(33).as_str()] {
            assert!(subject(&Whose::Removed(hex.into())).is_err(), "{hex}");
            assert!(subject(&of(hex.into())).is_err(), "{hex}");
        }
    }

    /// Guards against taking “Notes2” for a part of “Notes”.
    #[test]
    fn below_means_below() {
        assert!(is_below(b"a/b", b"a") && is_below(b"a/b/c", b"a"));
        assert!(!is_below(b"a", b"a") && !is_below(b"ab", b"a"));
    }
}
