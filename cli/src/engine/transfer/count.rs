//! Files and bytes in all, counted ahead for whoever watches: so there is a bar, and a time left.
//!
//! Guarantees that it ends with the work that it is for. Follows no symlink, opens no file.

use super::tally::Tally;
use crate::wire::Source;
use coffer_fs::types::Kind;
use coffer_store::vault::Vault;
use std::fs::Metadata;
use std::path::PathBuf;

/// Plain files and bytes; what cannot be read counts as nothing, and nor does what is `own`.
pub(super) fn outside(sources: &[Source], own: &(dyn Fn(&Metadata) -> bool + Sync), tally: &Tally<'_>) {
    let (mut files, mut bytes) = (0, 0);
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut add = |path: PathBuf, meta: &Metadata, folders: &mut Vec<PathBuf>| {
        if !meta.is_dir() {
            files += 1;
            bytes += if meta.is_file() { meta.len() } else { 0 };
        } else if !own(meta) {
            folders.push(path);
        }
    };
    for source in sources {
        if let Ok(meta) = std::fs::symlink_metadata(&source.path.0) {
            add(source.path.0.clone(), &meta, &mut folders);
        }
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if tally.is_over() {
                return;
            }
            if let Ok(meta) = entry.metadata() {
                add(entry.path(), &meta, &mut folders);
            }
        }
    }
    tally.counted(files, bytes);
}

/// The same in the vault, from something in it on.
pub(super) fn inside(vault: &Vault, ino: u64, kind: Kind, tally: &Tally<'_>) {
    let (mut files, mut bytes) = (0, 0);
    let mut folders = Vec::new();
    let mut step = vec![(ino, kind)];
    loop {
        for (ino, kind) in step.drain(..) {
            if kind == Kind::Folder {
                folders.push(ino);
                continue;
            }
            files += 1;
            if kind == Kind::File {
                bytes += vault.stat(ino).map_or(0, |stat| stat.size);
            }
        }
        let Some(folder) = folders.pop() else { break };
        if tally.is_over() {
            return;
        }
        // One that is gone meanwhile counts as nothing.
        let _ = vault.list(folder, 0, &mut |_, ino, kind, _| {
            step.push((ino, kind));
            true
        });
    }
    tally.counted(files, bytes);
}
