//! History: what is asked of versions and of what was removed, answered by the open vault.
//!
//! Guarantees that nothing which is there is overwritten but by a version of the same file, and
//! then what it was stays one of its versions; and that what is destroyed is what was asked for,
//! named one by one. The mount hears of every change.
//!
//! Parts, each importing only those above it: `find` (which file a path means), `versions`,
//! `announce`, `merges`, `places` (where something is to lie), `restore`, `revive` (what was removed),
//! `forget` (purge and collection).

mod announce;
mod find;
mod forget;
mod merges;
mod places;
mod restore;
mod revive;
mod versions;

use super::{Mount, Vault, sentence};
use crate::answers::devices::{Pin, Pinned};
use crate::answers::history::Gone;
use crate::failure::Failure;
use crate::secret::Secret;
use crate::wire::history::{Past, Retention, TextNames};
use crate::wire::{self, Plain, WirePath};
use coffer_store::vault::Retention as Kept;
use serde::Serialize;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Answers one question; what holds bytes of a file goes as a secret. `mount` hears of changes, if
/// the vault is mounted.
///
/// # Errors
/// `Failed` for what is not there; else as the vault says.
pub(crate) fn past(
    vault: &Vault,
    mount: Option<&Mount>,
    asked: &Past,
) -> Result<(Plain, Option<Secret>), Failure> {
    let store = vault.store();
    match asked {
        Past::List { of, newest } => plain(versions::list(store, of, *newest)?),
        Past::Read {
            of,
            number,
            offset,
            len,
        } => {
            let bytes = versions::read(store, of, *number, *offset, *len)?;
            Ok((wire::plain(&()), Some(Secret::new(bytes))))
        }
        Past::Restore { of, to } => {
            let restored = restore::restore(store, mount, of, to.as_ref())?;
            // What is said to be back is back after a crash, too.
            vault.commit()?;
            plain(restored)
        }
        Past::Merges { of, newest, which } => {
            plain(merges::list(store, of.as_ref(), *newest, which.as_deref())?)
        }
        Past::MergeText { of, sides, part } => {
            let text = merges::read(store, of, sides, part.clone())?;
            Ok((wire::plain(&()), Some(text)))
        }
        Past::Unmerge {
            of,
            path,
            sides,
            keep,
        } => {
            let unmerged = merges::undo(store, mount, (of, path), sides, keep)?;
            vault.commit()?;
            plain(unmerged)
        }
        Past::Trash { under } => {
            let removed = find::removed(store, under.as_ref().map(|path| path.0.as_path()))?;
            plain(removed.iter().map(versions::gone).collect::<Vec<Gone>>())
        }
        Past::Weigh { path } => plain(forget::weigh(store, &path.0)?),
        Past::Purge { of } => plain(forget::purge(vault, of)?),
        Past::Gc => plain(forget::collect(vault)?),
        Past::Retention { set } => {
            if let Some(set) = set {
                store.set_retention(Kept {
                    all_days: set.all_days,
                    daily_days: set.daily_days,
                    removed_days: set.removed_days,
                })?;
                vault.commit()?;
            }
            let kept = store.retention();
            plain(Retention {
                all_days: kept.all_days,
                daily_days: kept.daily_days,
                removed_days: kept.removed_days,
            })
        }
        Past::Pins { paths, pin } => {
            let mut inos = Vec::with_capacity(paths.len());
            for path in paths {
                inos.push(find::there(store, &path.0)?);
            }
            let changed = match inos.is_empty() {
                true => 0,
                false => store.pin(&inos, *pin).map_err(|error| match error.errno() {
                    libc::EINVAL => Failure::usage("Only files and folders can be pinned."),
                    libc::E2BIG => Failure::failed(
                        "So much cannot be pinned one by one; pin the folders that it lies in.",
                    ),
                    _ => error.into(),
                })?,
            };
            let shown = |pin: coffer_store::vault::Pinned| Pin {
                path: WirePath(OsString::from_vec(pin.path).into()),
                folder: pin.is_folder,
            };
            plain(Pinned {
                changed,
                pins: store.pins()?.into_iter().map(shown).collect(),
            })
        }
        Past::Texts { set } => {
            if let Some(set) = set {
                let names = match set.default {
                    true => None,
                    false => Some(text_names(&set.list)?),
                };
                store.set_text_names(names.as_ref())?;
                vault.commit()?;
            }
            let (names, default) = store.text_names();
            let list = names.to_string();
            plain(TextNames { list, default })
        }
    }
}

/// The list that a person has written.
///
/// # Errors
/// `Usage`, naming the pattern that is none.
pub(crate) fn text_names(list: &str) -> Result<coffer_store::text::TextNames, Failure> {
    list.parse()
        .map_err(|error: coffer_store::text::BadPattern| Failure::usage(sentence(&error)))
}

fn plain(answer: impl Serialize) -> Result<(Plain, Option<Secret>), Failure> {
    Ok((wire::plain(&answer), None))
}
