//! A tree out of the vault: folders are made as they are met, what is in them goes to the threads,
//! and when all is there the folders get their modes and times.

use super::super::OnProgress;
use super::give::{Dest, Giver, Leaving, other_there};
use super::run::run;
use super::tally::{Came, Tally, Trouble, unwritable};
use super::target::dress;
use super::{count, parts};
use crate::failure::Failure;
use crate::shown::Shown;
use crate::wire::Export;
use coffer_fs::types::{Kind, ROOT};
use coffer_store::record::Meta;
use coffer_store::vault::Vault;
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, mkdirat, open, openat, syncfs};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Entries of a folder that are listed at a time.
const STEP: usize = 1024;
/// How a plain folder is opened.
const ENTERED: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Brings out what is asked for.
///
/// # Errors
/// When there is no such thing in the vault, or the folder that receives cannot be made or synced.
/// The rest is in the tally.
pub(super) fn export(
    vault: &Vault,
    asked: &Export,
    tally: &Tally<'_>,
    progress: OnProgress<'_>,
) -> Result<(), Failure> {
    let parts = parts(&asked.path.0)?;
    let (ino, kind) = find(vault, &parts, &asked.path.0)?;
    let dest = &asked.dest.0;
    let failed = |error: &std::io::Error| Failure::io(format_args!("write to {}", dest.shown()), error);
    // One that is made is closed to others: what comes into it was.
    let mut maker = std::fs::DirBuilder::new();
    maker.recursive(true).mode(0o700);
    maker.create(dest).map_err(|error| failed(&error))?;
    // The folder itself may be named by a symlink.
    let fd = open(
        dest,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| failed(&error.into()))?;
    let synced = rustix::io::dup(&fd).map_err(|error| failed(&error.into()))?;
    let from = |parts: &[Vec<u8>]| -> PathBuf { parts.iter().map(|part| OsStr::from_bytes(part)).collect() };
    let top = |parts: &[Vec<u8>]| {
        Arc::new(Dest {
            fd,
            path: dest.clone(),
            from: from(parts),
        })
    };
    let giver = Giver::new(vault, tally, asked.replace);
    let bring = Bring {
        giver: &giver,
        folders: Mutex::default(),
    };
    let count = asked.count.then_some(|| count::inside(vault, ino, kind, tally));
    let begin = |jobs: &Sender<Leaving>| match parts.split_last() {
        Some((name, above)) if !(asked.contents && kind == Kind::Folder) => {
            bring.one(&top(above), name, ino, kind, jobs)
        }
        _ => bring.down(top(&parts), ino, jobs),
    };
    run(tally, progress, count, begin, |leaving: Leaving, buffer| {
        giver.give(&leaving, buffer)
    });
    giver.links();
    bring.dress();
    syncfs(&synced).map_err(|error| failed(&error.into()))
}

/// What lies at a path in the vault.
fn find(vault: &Vault, parts: &[Vec<u8>], path: &Path) -> Result<(u64, Kind), Failure> {
    let mut ino = ROOT;
    for name in parts {
        ino = match vault.lookup(ino, name) {
            Err(error) if error.errno() == libc::ENOENT => {
                return Err(Failure::failed(format!(
                    "There is no {} in the vault; paths begin at its root.",
                    path.shown()
                )));
            }
            found => found?,
        };
    }
    Ok((ino, vault.stat(ino)?.meta.kind))
}

struct Bring<'a> {
    giver: &'a Giver<'a>,
    /// Folders that get their attributes in the end: where they are, and what of.
    folders: Mutex<Vec<(PathBuf, u64)>>,
}

impl Bring<'_> {
    fn one(&self, dest: &Arc<Dest>, name: &[u8], ino: u64, kind: Kind, jobs: &Sender<Leaving>) {
        let leaving = self.leaving(dest, name, ino, kind);
        if kind != Kind::Folder {
            // All workers gone means a panic that is about to be told.
            let _ = jobs.send(leaving);
            return;
        }
        match self.enter(&leaving) {
            Ok(dest) => self.down(dest, ino, jobs),
            Err(trouble) => self.giver.tally.trouble(leaving.from(), trouble),
        }
    }

    fn leaving(&self, dest: &Arc<Dest>, name: &[u8], ino: u64, kind: Kind) -> Leaving {
        Leaving {
            dest: dest.clone(),
            name: CString::new(name).expect("no name in a vault holds a NUL"),
            ino,
            kind,
        }
    }

    /// All below a folder.
    fn down(&self, dest: Arc<Dest>, ino: u64, jobs: &Sender<Leaving>) {
        let tally = self.giver.tally;
        let mut below: Vec<Leaving> = Vec::new();
        let mut next = Some((dest, ino));
        loop {
            if let Some((dest, ino)) = next.take()
                && let Err(trouble) = self.list(&dest, ino, &mut below, jobs)
            {
                tally.trouble(dest.from.clone(), trouble);
            }
            let Some(leaving) = below.pop() else { return };
            if tally.is_stopped() {
                return;
            }
            match self.enter(&leaving) {
                Ok(dest) => next = Some((dest, leaving.ino)),
                Err(trouble) => tally.trouble(leaving.from(), trouble),
            }
        }
    }

    /// What is in a folder: folders to `below`, all else to the threads.
    fn list(
        &self,
        dest: &Arc<Dest>,
        folder: u64,
        below: &mut Vec<Leaving>,
        jobs: &Sender<Leaving>,
    ) -> Result<(), Trouble> {
        let mut cookie = 0;
        loop {
            let mut step: Vec<Leaving> = Vec::new();
            self.giver
                .vault
                .list(folder, cookie, &mut |at, ino, kind, name| {
                    cookie = at;
                    step.push(self.leaving(dest, name, ino, kind));
                    step.len() < STEP
                })?;
            let is_last = step.len() < STEP;
            for leaving in step {
                if self.giver.tally.is_stopped() {
                    return Ok(());
                }
                if leaving.kind == Kind::Folder {
                    below.push(leaving);
                } else if jobs.send(leaving).is_err() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Makes or finds a folder.
    fn enter(&self, leaving: &Leaving) -> Result<Arc<Dest>, Trouble> {
        let above = &leaving.dest;
        let name = &leaving.name;
        // Nobody else looks into it, and we can write to it, until all is there.
        match mkdirat(&above.fd, name, Mode::RWXU) {
            Ok(()) => self.giver.tally.came(Came::Folder),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(unwritable(error)),
        }
        let fd = match openat(&above.fd, name, ENTERED, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(other_there()),
            opened => opened.map_err(unwritable)?,
        };
        let plain = OsStr::from_bytes(name.to_bytes());
        let path = above.path.join(plain);
        self.folders.lock().push((path.clone(), leaving.ino));
        Ok(Arc::new(Dest {
            fd,
            path,
            from: leaving.from(),
        }))
    }

    /// Gives folders their attributes, those below first.
    fn dress(&self) {
        for (path, ino) in self.folders.lock().drain(..).rev() {
            let dressed = || -> Result<(), Trouble> {
                let meta = Meta {
                    xattrs: self.giver.xattrs(ino)?,
                    ..self.giver.vault.stat(ino)?.meta
                };
                let fd = open(&path, ENTERED, Mode::empty()).map_err(unwritable)?;
                dress(&fd, &meta, &self.giver.owners).map_err(unwritable)
            };
            if let Err(trouble) = dressed() {
                self.giver.tally.trouble(path, trouble);
            }
        }
    }
}
