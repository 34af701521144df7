//! Destroying histories, and giving room back.

use super::super::Vault;
use super::find::{live, of_file, removed, subject, whose};
use crate::answers::history::{Freed, Weight};
use crate::failure::Failure;
use crate::shown::Shown;
use crate::wire::history::Whose;
use coffer_fs::types::Kind;
use coffer_store::vault::{Purged, Subject, Vault as Store};
use std::collections::HashSet;
use std::path::Path;

/// How often a collection is repeated at most: what one frees can make the next free more.
const ROUNDS: u32 = 8;

/// What a purge of a path destroys: the earlier versions of files that are there, at the path or
/// below it, and all that was removed there.
///
/// # Errors
/// `Failed` if there is nothing.
pub(super) fn weigh(store: &Store, path: &Path) -> Result<Weight, Failure> {
    let mut weight = Weight::default();
    let found = live(store, path)?;
    let mut files = HashSet::new();
    match found {
        Some((ino, Kind::Folder)) => below(store, ino, &mut files)?,
        Some((ino, _)) => drop(files.insert(ino)),
        None => {}
    }
    let mut files: Vec<u64> = files.into_iter().collect();
    files.sort_unstable();
    for ino in files {
        let of = of_file(store, ino)?;
        let versions = store.versions(of)?;
        // The present one stays.
        let old = versions.len().saturating_sub(1) as u64;
        if old > 0 {
            weight.files += 1;
            weight.versions += old;
            weight.of.push(whose(store, of)?);
        }
    }
    for gone in removed(store, Some(path))? {
        weight.removed += 1;
        weight.versions += gone.versions;
        weight.of.push(whose(store, Subject::Removed(gone.node))?);
    }
    if found.is_none() && weight.of.is_empty() {
        return Err(Failure::failed(format!(
            "There is no {} in the vault, and nothing that was removed there is kept.",
            path.shown()
        )));
    }
    Ok(weight)
}

/// The files below a folder; one that has two names, once.
fn below(store: &Store, folder: u64, files: &mut HashSet<u64>) -> Result<(), Failure> {
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        let listed = store.list(folder, 0, &mut |_, ino, kind, _| {
            match kind {
                Kind::Folder => folders.push(ino),
                Kind::File | Kind::Symlink => drop(files.insert(ino)),
                _ => {}
            }
            true
        });
        match listed {
            // Removed while we came to it.
            Err(error) if error.errno() == libc::ENOENT => {}
            listed => listed?,
        }
    }
    Ok(())
}

/// Destroys these histories, and the bytes that nothing else needs. A file that is there no more since
/// it was asked about is counted as missed: what was agreed to is another thing.
///
/// # Errors
/// The vault's; what was destroyed before that is.
pub(super) fn purge(vault: &Vault, of: &[Whose]) -> Result<Freed, Failure> {
    let store = vault.store();
    let mut freed = Freed::default();
    let mut removed = Vec::new();
    for whose in of {
        match subject(whose)? {
            Subject::Removed(node) => removed.push(node),
            file => match store.purge(file) {
                Err(error) if error.errno() == libc::ENOENT => freed.missed += 1,
                purged => count(&mut freed, purged?, 0),
            },
        }
    }
    // At once, which is much quicker; one by one if some are gone since they were asked about.
    match store.purge_removed(&removed) {
        Err(error) if error.errno() == libc::ENOENT => {
            for node in removed {
                match store.purge(Subject::Removed(node)) {
                    // Purged or brought back by then.
                    Err(error) if error.errno() == libc::ENOENT => {}
                    purged => count(&mut freed, purged?, 1),
                }
            }
        }
        purged => count(&mut freed, purged?, removed.len() as u64),
    }
    vault.commit()?;
    room(store, &mut freed)?;
    Ok(freed)
}

/// Lets go of what the retention does not hold any more, and collects.
///
/// # Errors
/// The vault's.
pub(super) fn collect(vault: &Vault) -> Result<Freed, Failure> {
    let store = vault.store();
    let thinned = store.thin_now()?;
    let mut freed = Freed {
        versions: thinned.versions,
        removed: thinned.removed,
        ..Freed::default()
    };
    vault.commit()?;
    // What is written anew by that is collected at once.
    store.join_batches()?;
    room(store, &mut freed)?;
    Ok(freed)
}

fn count(freed: &mut Freed, purged: Purged, removed: u64) {
    freed.versions += purged.versions;
    freed.unread += purged.unread;
    freed.removed += removed;
}

fn room(store: &Store, freed: &mut Freed) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        let round = store.collect()?;
        freed.chunks += round.chunks;
        freed.packs += round.packs;
        freed.bytes += round.bytes;
        freed.left = round.left;
        if round.chunks == 0 && round.packs == 0 {
            break;
        }
    }
    Ok(())
}
