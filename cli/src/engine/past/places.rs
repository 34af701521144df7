//! Where something that comes back is to lie: its folder, made anew where that is gone too.

use super::super::transfer::parts;
use super::announce::Announce;
use super::find::plain_path;
use crate::failure::Failure;
use crate::shown::Shown;
use coffer_fs::types::{Kind, ROOT};
use coffer_store::record::{Meta, Time};
use coffer_store::vault::{At, Vault};
use std::path::Path;

/// A free name in a folder.
pub(super) struct Place {
    pub(super) folder: u64,
    pub(super) name: Vec<u8>,
}

impl Place {
    /// As the store takes it: never over what is there.
    pub(super) fn at(&self) -> At<'_> {
        At {
            folder: self.folder,
            name: &self.name,
            replace: false,
            keep_times: false,
        }
    }
}

/// The place of a path, its folders made if they are missing: those that were removed come back
/// themselves. How many came to be.
///
/// # Errors
/// `Failed` if something lies there, or a file lies where a folder must.
pub(super) fn place(store: &Vault, path: &Path, announce: &Announce<'_>) -> Result<(Place, u64), Failure> {
    let parts = parts(path)?;
    let Some((name, above)) = parts.split_last() else {
        return Err(Failure::usage(
            "The vault's root is no place for a file; name one in it.",
        ));
    };
    let (folder, made) = folders(store, above, announce)?;
    if store.lookup(folder, name).is_ok() {
        return Err(taken(path));
    }
    let name = name.clone();
    Ok((Place { folder, name }, made))
}

/// Something lies there.
pub(super) fn taken(path: &Path) -> Failure {
    Failure::failed(format!(
        "There is a {} already, and it is left alone; choose another place with --to.",
        path.shown()
    ))
}

fn folders(store: &Vault, parts: &[Vec<u8>], announce: &Announce<'_>) -> Result<(u64, u64), Failure> {
    let (mut folder, mut made) = (ROOT, 0);
    for (depth, name) in parts.iter().enumerate() {
        let path = parts[..=depth].join(&b'/');
        folder = match store.lookup(folder, name) {
            Ok(ino) if store.stat(ino)?.meta.kind == Kind::Folder => ino,
            Ok(_) => {
                return Err(Failure::failed(format!(
                    "{} is a file now, so nothing can lie below it; choose another place with --to.",
                    plain_path(&path).shown()
                )));
            }
            Err(error) if error.errno() == libc::ENOENT => {
                let ino = folder_again(store, folder, name, &path)?;
                announce.made(folder, name, ino);
                made += 1;
                ino
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok((folder, made))
}

/// The folder that was removed there last, empty; else a new one.
fn folder_again(store: &Vault, parent: u64, name: &[u8], path: &[u8]) -> Result<u64, Failure> {
    let at = At {
        folder: parent,
        name,
        replace: false,
        keep_times: false,
    };
    let removed = store.removed()?;
    let was = removed
        .iter()
        .filter(|gone| gone.kind == Kind::Folder && gone.path == path);
    if let Some(last) = was.max_by_key(|gone| gone.removed) {
        return Ok(store.bring_back(last.node, None, at)?);
    }
    let above = store.stat(parent)?.meta;
    let now = Time::now();
    let meta = Meta {
        kind: Kind::Folder,
        perm: 0o755 | (above.perm & 0o2000),
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
        ..above
    };
    Ok(store.make(parent, name, meta, b"")?)
}
