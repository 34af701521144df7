//! By the events: names that the database's tree lost, and files that it has no name for.
//!
//! Guarantees: nothing that the tree brought is brought again; what has no name any more comes to a folder of its own.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::SalvageError;
use super::by_tree::{ALL_NEWER, Known, OLDER_THAN_NEWER, bring};
use super::out::{BringError, Out};
use super::told::Told;
use crate::ids::{EntityId, Ino, NodeId, ROOT_NODE};
use crate::tree::Kind;
use crate::vault::Vault;

/// What the tree did not tell: names that it lost, and files that it has no name for.
pub(super) fn by_events(
    vault: Option<&Vault>,
    told: &Told,
    out: &mut Out<'_>,
    known: &mut Known,
) -> Result<(), SalvageError> {
    // Files whose rows are there, though not their names: they are newer than any event.
    let mut loose: HashMap<EntityId, (Ino, Kind)> = HashMap::new();
    if let Some(vault) = vault {
        loose = loose_files(vault, known);
    }
    for (node, attributes) in told.folders() {
        if node == ROOT_NODE || known.nodes.contains(&node) {
            continue;
        }
        let path = told.path_of(node);
        let to = out.dest.join(OsStr::from_bytes(&path));
        if let Err(e) = out.folder(&to, Some(attributes)) {
            out.refused(path, e)?;
        }
    }
    let lost = told.names().filter(|(node, _)| !known.nodes.contains(node));
    let lost: Vec<(NodeId, EntityId)> = lost.collect();
    for (node, entity) in lost {
        let path = told.path_of(node);
        bring_lost(vault, told, out, known, &mut loose, entity, path)?;
    }
    let named: HashSet<EntityId> = told.entity_of.values().copied().collect();
    let mut nameless: Vec<EntityId> = told.entities().chain(loose.keys().copied()).collect();
    nameless.retain(|entity| !named.contains(entity) && !known.entities.contains_key(entity));
    nameless.sort_unstable();
    nameless.dedup();
    for entity in nameless {
        let path = format!("without a name/{entity}").into_bytes();
        bring_lost(vault, told, out, known, &mut loose, entity, path)?;
    }
    Ok(())
}

fn bring_lost(
    vault: Option<&Vault>,
    told: &Told,
    out: &mut Out<'_>,
    known: &mut Known,
    loose: &mut HashMap<EntityId, (Ino, Kind)>,
    entity: EntityId,
    path: Vec<u8>,
) -> Result<(), SalvageError> {
    let to = out.dest.join(OsStr::from_bytes(&path));
    if let Some(folder) = to.parent()
        && let Err(e) = out.folder(folder, None)
    {
        return out.refused(path, e);
    }
    // Another name of a file that was brought out?
    let there = known.entities.get(&entity);
    if there.is_some_and(|there| out.link(there, &to)) {
        return Ok(());
    }
    if let (Some(vault), Some((ino, kind))) = (vault, loose.remove(&entity))
        && let Ok((bytes, to)) = bring(vault, ino, kind, &to, out)
    {
        out.brought(bytes);
        known.entities.insert(entity, to);
        return Ok(());
    }
    match told.restore(entity, &to, out) {
        Ok(restored) => {
            out.brought(restored.size);
            out.report.from_events += 1;
            if restored.newer_waits {
                out.newer(Some(path.clone()), OLDER_THAN_NEWER);
            }
            if restored.newer_lost {
                out.problem(
                    Some(path),
                    "a newer version of it is damaged; the one before was brought out",
                );
            }
            known.entities.insert(entity, restored.at);
            Ok(())
        }
        Err(BringError::Vault(what)) => {
            out.problem(Some(path), what);
            Ok(())
        }
        Err(BringError::Newer) => {
            out.newer(Some(path), ALL_NEWER);
            Ok(())
        }
        Err(BringError::Dest(e)) => out.refused(path, e),
    }
}

/// Files with a record that the tree has no name for, though they have one.
fn loose_files(vault: &Vault, known: &Known) -> HashMap<EntityId, (Ino, Kind)> {
    let mut inos: Vec<Ino> = Vec::new();
    let _ = vault.core.db.scan(crate::db::Table::Inodes, b"", &mut |key, _| {
        inos.extend(<[u8; 8]>::try_from(key).map(u64::from_be_bytes));
        true
    });
    let mut loose = HashMap::new();
    for ino in inos.into_iter().filter(|ino| !known.inodes.contains(ino)) {
        if let Ok(Some((_, record))) = vault.read_record(ino)
            && record.meta.nlink > 0
            && matches!(record.meta.kind, Kind::File | Kind::Symlink)
        {
            loose.insert(record.entity, (ino, record.meta.kind));
        }
    }
    loose
}
