//! Import and export: files into the vault and out of it, past the mounted folder, by several
//! threads.
//!
//! Guarantees, both ways: a file is under its name whole or not at all; what is there already is
//! never harmed unless it is to be replaced, and a folder never; what cannot be taken along is
//! listed with its reason and keeps nothing else from going; an interrupted one goes on where it
//! stopped when it is started again. Never follows a symlink below what was named, and never goes
//! into the vault's own folder or mount.
//!
//! Parts, each importing only those above it: `tally` (what is counted, when to stop), `run` (the
//! threads), `count` (how much there is), `source` (what stat(2) says as the vault keeps it), `target` (plain files that are
//! being made), `links` (which names are one file), `fill` (its bytes), `take` (one file in), `walk` (a tree in),
//! `intake` (single files in, under numbered names), `give` (one file out), `bring` (a tree out).

mod bring;
mod count;
mod fill;
mod give;
mod intake;
mod links;
mod run;
mod source;
mod take;
mod tally;
mod target;
mod walk;

use super::{Mount, OnProgress, Vault};
use crate::answers::Transfer;
use crate::failure::{Failure, Kind};
use crate::shown::Shown;
use crate::wire::{Export, Import};
use coffer_fs::adapter::Announcer;
use std::time::{Duration, Instant};

pub(crate) use intake::intake;
pub(crate) use tally::Stop;
use tally::Tally;

/// How long the kernel may take to forget what changed. It waits for whoever works in the folder.
const FORGET: Duration = Duration::from_secs(30);

/// Takes files and folders in; `mount` hears what changed, if the vault is mounted. Durable when it
/// returns.
///
/// # Errors
/// When it cannot go on at all (`NoSpace`, a vault that can only be read); what was taken in before
/// that is kept. What single files met is in the answer.
pub(crate) fn import(
    vault: &Vault,
    mount: Option<&Mount>,
    asked: &Import,
    stop: &Stop,
    progress: OnProgress<'_>,
) -> Result<Transfer, Failure> {
    let begun = Instant::now();
    let tally = Tally::new(stop);
    let store = vault.store();
    let saved = store.saved();
    let announcer = mount.map(Mount::announcer);
    let own = walk::Own::of(vault.dir(), mount);
    let done = walk::import(store, asked, own, announcer.as_ref(), &tally, progress);
    let kept = done.and_then(|()| tally.verdict()).map_err(|failure| Failure {
        message: format!(
            "{} What was taken in before is kept; the same command goes on from there.",
            failure.message
        ),
        ..failure
    });
    // Also after a failure: what is there is to be there after a crash as well.
    let committed = settled(vault, announcer.as_ref(), FORGET);
    kept?;
    committed?;
    let sum = tally.sum();
    // What others save meanwhile counts there as well.
    let saved_bytes = store.saved().saturating_sub(saved).min(sum.read_bytes);
    Ok(Transfer {
        saved_bytes,
        seconds: begun.elapsed().as_secs_f64(),
        ..sum
    })
}

/// Makes what was taken in durable, and waits, within bounds, until the mount has heard of it.
fn settled(vault: &Vault, announcer: Option<&Announcer>, most: Duration) -> Result<(), Failure> {
    let committed = vault.commit();
    if let Some(announcer) = announcer {
        announcer.settle(most);
    }
    committed
}

/// Brings files and folders out, as plain files. Durable when it returns.
///
/// # Errors
/// `NotThere` has no code: a path that the vault does not hold is `Failed`; else when it cannot go
/// on at all. What single files met is in the answer.
pub(crate) fn export(
    vault: &Vault,
    asked: &Export,
    stop: &Stop,
    progress: OnProgress<'_>,
) -> Result<Transfer, Failure> {
    let begun = Instant::now();
    let tally = Tally::new(stop);
    bring::export(vault.store(), asked, &tally, progress)?;
    tally.verdict()?;
    Ok(Transfer {
        seconds: begun.elapsed().as_secs_f64(),
        ..tally.sum()
    })
}

/// The parts of a path in the vault, from its root. A leading slash is none.
///
/// # Errors
/// `Usage` for one that goes up.
pub(super) fn parts(path: &std::path::Path) -> Result<Vec<Vec<u8>>, Failure> {
    use std::os::unix::ffi::OsStrExt;
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
    let named = parts.filter(|part| !matches!(*part, b"" | b"."));
    named
        .map(|part| match part {
            b".." => Err(Failure::new(
                Kind::Usage,
                format!(
                    "{} goes up; name a place in the vault from its root.",
                    path.shown()
                ),
            )),
            part => Ok(part.to_vec()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parts;
    use std::path::Path;

    /// Guards how places in the vault are spelled.
    #[test]
    fn paths_in_the_vault() {
        for (path, wanted) in [
            ("/", &[][..]),
            ("", &[]),
            ("./Notes//old/.", &[&b"Notes"[..], b"old"]),
            ("/a b/\u{e4}", &[b"a b", "\u{e4}".as_bytes()]),
        ] {
            assert_eq!(parts(Path::new(path)).unwrap(), wanted, "{path}");
        }
        assert!(parts(Path::new("Notes/../x")).is_err());
    }
}
