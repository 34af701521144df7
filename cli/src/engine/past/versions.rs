//! Versions of a file, as answers; and their bytes.

use super::find::{find, plain_path, stamp, subject, whose};
use crate::answers::history::{Gone, History, Version};
use crate::failure::Failure;
use crate::wire::WirePath;
use crate::wire::history::{MAX_BYTES, Named, Whose};
use coffer_fs::types::Kind;
use coffer_store::event::{EventRef, Form};
use coffer_store::vault::{OpError, Removed, Subject, Vault, VersionInfo};
use std::collections::HashMap;

/// Bytes that are compared at a time.
const STEP: usize = 1 << 20;

/// The versions of a file, the newest first: the one that was named, or so many.
///
/// # Errors
/// `Failed` if there is none.
pub(super) fn list(store: &Vault, of: &Named, newest: Option<u64>) -> Result<History, Failure> {
    let target = find(store, of)?;
    let (subject, gone, versions) = target.file(store)?;
    let numbers: HashMap<EventRef, u64> = versions
        .iter()
        .flat_map(|version| version.events.iter().map(|at| (*at, version.number)))
        .collect();
    let (total, unsaved) = (versions.len() as u64, is_unsaved(store, subject, &versions)?);
    let chosen: Vec<VersionInfo> = match target.moment {
        Some(moment) => vec![target.pick(moment, &versions)?.clone()],
        None => {
            let most = newest.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
            versions.into_iter().rev().take(most).collect()
        }
    };
    let size = match subject {
        Subject::Removed(_) => gone.map_or(0, |gone| gone.size),
        of => store.stat(store.shown_by(of)?)?.size,
    };
    Ok(History {
        path: WirePath(target.path.clone()),
        whose: whose(store, subject)?,
        removed: gone.map(|gone| stamp(gone.removed)),
        picked: target.moment.is_some(),
        total,
        versions: chosen
            .into_iter()
            .map(|version| answer(version, &numbers))
            .collect(),
        size,
        unsaved,
        merged: merged(store, subject, &numbers)?,
    })
}

/// The versions whose merge a file shows; none if it shows one version, or what is none yet.
fn merged(store: &Vault, of: Subject, numbers: &HashMap<EventRef, u64>) -> Result<Vec<u64>, Failure> {
    if matches!(of, Subject::Removed(_)) {
        return Ok(Vec::new());
    }
    let named = store.shows_as_told(store.shown_by(of)?)?.unwrap_or_default();
    let mut merged: Vec<u64> = named.iter().filter_map(|at| numbers.get(at)).copied().collect();
    merged.sort_unstable();
    merged.dedup();
    Ok(if merged.len() > 1 { merged } else { Vec::new() })
}

/// Whether a file shows the merge of several versions, which is none by itself.
pub(super) fn is_merged(store: &Vault, ino: u64) -> Result<bool, Failure> {
    Ok(store.shows_as_told(ino)?.is_some_and(|named| named.len() > 1))
}

/// Whether a file has bytes now that are none of its versions: somebody writes to it.
///
/// # Errors
/// The vault's.
pub(super) fn is_unsaved(store: &Vault, of: Subject, versions: &[VersionInfo]) -> Result<bool, Failure> {
    let Some(last) = versions.last().filter(|_| !matches!(of, Subject::Removed(_))) else {
        return Ok(false);
    };
    let ino = store.shown_by(of)?;
    if store.shows_as_told(ino)?.is_some() {
        return Ok(false);
    }
    let stat = store.stat(ino)?;
    if stat.size != last.size {
        return Ok(true);
    }
    if stat.meta.mtime == last.modified || !last.held {
        return Ok(false);
    }
    // Touched, or written to: the bytes tell.
    let old = store.open_version(of, last.number)?;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for offset in (0..stat.size).step_by(STEP) {
        a.clear();
        b.clear();
        store.read(ino, offset, STEP, &mut a)?;
        old.read(store, offset, STEP, &mut b)?;
        if a != b {
            return Ok(true);
        }
    }
    Ok(false)
}

fn answer(version: VersionInfo, numbers: &HashMap<EventRef, u64>) -> Version {
    let form = match version.form {
        Form::Blob => "blob",
        Form::Text => "text",
    };
    let known = |at: &EventRef| numbers.get(at).copied();
    Version {
        number: version.number,
        recorded: stamp(version.recorded),
        modified: stamp(version.modified),
        size: version.size,
        form: form.into(),
        kind: kind(version.kind).into(),
        device: version.device,
        program: version.program,
        held: version.held,
        parents: version.parents.iter().filter_map(known).collect(),
        events: version.events.len() as u64,
    }
}

/// Something removed, as an answer.
pub(super) fn gone(gone: &Removed) -> Gone {
    Gone {
        path: WirePath(plain_path(&gone.path)),
        kind: kind(gone.kind).into(),
        removed: stamp(gone.removed),
        size: gone.size,
        versions: gone.versions,
        node: gone.node.to_string(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Folder => "folder",
        Kind::Symlink => "symlink",
        _ => "file",
    }
}

/// Up to `len` bytes of a version; fewer only at its end.
///
/// # Errors
/// `Failed` if it is not kept.
pub(super) fn read(
    store: &Vault,
    of: &Whose,
    number: Option<u64>,
    offset: u64,
    len: u32,
) -> Result<Vec<u8>, Failure> {
    let (subject, len) = (subject(of)?, len.min(MAX_BYTES) as usize);
    let mut bytes = Vec::with_capacity(len);
    let number = match (subject, number) {
        (_, Some(number)) => number,
        (Subject::Removed(_), None) => {
            let versions = store.versions(subject)?;
            versions.last().ok_or_else(not_kept)?.number
        }
        (_, None) => {
            store.read(store.shown_by(subject)?, offset, len, &mut bytes)?;
            return Ok(bytes);
        }
    };
    let version = store.open_version(subject, number).map_err(lost)?;
    version.read(store, offset, len, &mut bytes)?;
    Ok(bytes)
}

/// Why a version cannot be opened, in words.
pub(super) fn lost(error: OpError) -> Failure {
    match error.errno() {
        libc::ENOENT | libc::ESTALE => not_kept(),
        _ => error.into(),
    }
}

fn not_kept() -> Failure {
    Failure::failed(
        "The bytes of this version are not kept any more; “coffer log” lists the versions whose are.",
    )
}
