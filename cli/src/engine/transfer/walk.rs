//! A tree into the vault: folders are made as they are met, and what is in them goes to the threads.
//!
//! Guarantees that neither the vault's own folder nor its mount is entered, by whatever path they
//! are met; and that a folder that was made has the times that it is to have from the beginning.

use super::super::{Mount, OnProgress};
use super::run::run;
use super::source::{Look, xattrs};
use super::take::{Folder, Found, Taker, differs};
use super::tally::{Tally, Trouble, unreadable};
use super::{count, parts};
use crate::answers::Reason;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::wire::{Import, Source};
use coffer_fs::adapter::Announcer;
use coffer_fs::types::{Kind, ROOT, Time};
use coffer_store::record::Meta;
use coffer_store::vault::{At, Vault};
use crossbeam_channel::Sender;
use rustix::fd::AsFd;
use rustix::fs::{FileType, Mode, OFlags, RawDir, open, openat};
use std::ffi::CString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Bytes of names that are read at a time.
const NAMES: usize = 32 << 10;

/// How a folder is opened to be listed.
const LISTED: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What of this machine is the vault itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// Its folder's device and inode.
    folder: Option<((u32, u32), u64)>,
    /// The device number of its mount.
    mount: Option<(u32, u32)>,
}

impl Own {
    pub(super) fn of(dir: &Path, mount: Option<&Mount>) -> Own {
        let look = open(dir, LISTED, Mode::empty()).and_then(Look::of);
        Own {
            folder: look.ok().map(|look| (look.device, look.ino)),
            // The connection's number is the minor of a device without a major.
            mount: mount.and_then(|mount| Some((0, u32::try_from(mount.connection()).ok()?))),
        }
    }

    fn is(&self, look: &Look) -> bool {
        self.folder == Some((look.device, look.ino)) || self.mount == Some(look.device)
    }

    fn is_at(&self, meta: &Metadata) -> bool {
        let device = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        self.folder == Some((device, meta.ino())) || self.mount == Some(device)
    }
}

/// Takes in what is asked for.
///
/// # Errors
/// When it cannot begin: there is no such place in the vault. The rest is in the tally.
pub(super) fn import(
    vault: &Vault,
    asked: &Import,
    own: Own,
    announcer: Option<&Announcer>,
    tally: &Tally<'_>,
    progress: OnProgress<'_>,
) -> Result<(), Failure> {
    let taker = Taker::new(vault, tally, announcer, asked.replace);
    let into = destination(&taker, &asked.into.0)?;
    let walk = Walk {
        taker: &taker,
        own,
        into,
    };
    let count = asked
        .count
        .then_some(|| count::outside(&asked.sources, &|meta| own.is_at(meta), tally));
    run(
        tally,
        progress,
        count,
        |jobs| asked.sources.iter().for_each(|source| walk.source(source, jobs)),
        |found: Found, buffer| taker.take(&found, buffer),
    );
    taker.links(&mut vec![0; 1 << 20]);
    Ok(())
}

/// The folder in the vault that receives, made if it is missing.
pub(super) fn destination(taker: &Taker<'_>, path: &Path) -> Result<u64, Failure> {
    let mut folder = ROOT;
    for name in parts(path)? {
        folder = match taker.vault.lookup(folder, &name) {
            Ok(ino) if taker.vault.stat(ino)?.meta.kind == Kind::Folder => ino,
            Ok(_) => {
                return Err(Failure::failed(format!(
                    "{} lies in the vault as a file; name a folder with --into.",
                    path.shown()
                )));
            }
            Err(error) if error.errno() == libc::ENOENT => {
                let at = At {
                    folder,
                    name: &name,
                    replace: false,
                    keep_times: false,
                };
                taker
                    .folder(new_folder(taker), at)
                    .map_err(|trouble| match trouble {
                        Trouble::End(failure) => failure,
                        Trouble::Skip(_, why) => {
                            Failure::failed(format!("Cannot make {} in the vault: {why}.", path.shown()))
                        }
                        Trouble::Stopped => Failure::failed("Stopped."),
                    })?
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(folder)
}

fn new_folder(taker: &Taker<'_>) -> Meta {
    let now = Time::now();
    let (uid, gid) = taker.owners.me();
    Meta {
        kind: Kind::Folder,
        perm: 0o755,
        uid,
        gid,
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    }
}

struct Walk<'a> {
    taker: &'a Taker<'a>,
    own: Own,
    /// The folder in the vault that receives.
    into: u64,
}

impl Walk<'_> {
    fn source(&self, source: &Source, jobs: &Sender<Found>) {
        if let Err(trouble) = self.try_source(source, jobs) {
            self.taker.tally.trouble(source.path.0.clone(), trouble);
        }
    }

    fn try_source(&self, source: &Source, jobs: &Sender<Found>) -> Result<(), Trouble> {
        let path = &source.path.0;
        let (Some(called), Some(above), Some(name)) = (&source.name, path.parent(), path.file_name()) else {
            let fd = open(path, LISTED, Mode::empty()).map_err(unreadable)?;
            let look = Look::of(&fd).map_err(unreadable)?;
            if self.own.is(&look) {
                return Err(own());
            }
            let folder = Folder {
                fd,
                path: path.clone(),
                ino: self.into,
                keep_times: false,
            };
            self.down(Arc::new(folder), jobs);
            return Ok(());
        };
        let top = Folder {
            fd: open(above, LISTED, Mode::empty()).map_err(unreadable)?,
            path: above.to_owned(),
            ino: self.into,
            keep_times: false,
        };
        // A path that was found holds no NUL.
        let name = CString::new(name.as_bytes()).unwrap_or_default();
        let look = Look::at(top.fd.as_fd(), &name).map_err(unreadable)?;
        let found = Found {
            folder: Arc::new(top),
            name: name.into_boxed_c_str(),
            called: Some(called.0.as_os_str().as_bytes().into()),
            kind: look.kind,
        };
        if look.kind != FileType::Directory {
            // All workers gone means a panic that is about to be told.
            let _ = jobs.send(found);
            return Ok(());
        }
        let folder = self.enter(&found)?;
        self.down(folder, jobs);
        Ok(())
    }

    /// All below a folder. Folders below come last, so that few are open at a time.
    fn down(&self, top: Arc<Folder>, jobs: &Sender<Found>) {
        let mut names = Vec::with_capacity(NAMES);
        let mut below: Vec<Found> = Vec::new();
        let mut next = Some(top);
        loop {
            if let Some(folder) = next.take()
                && let Err(trouble) = self.list(&folder, &mut names, &mut below, jobs)
            {
                self.taker.tally.trouble(folder.path.clone(), trouble);
            }
            let Some(found) = below.pop() else { return };
            if self.taker.tally.is_stopped() {
                return;
            }
            match self.enter(&found) {
                Ok(folder) => next = Some(folder),
                Err(trouble) => self.taker.tally.trouble(found.path(), trouble),
            }
        }
    }

    /// What is in a folder: folders to `below`, all else to the threads.
    fn list(
        &self,
        folder: &Arc<Folder>,
        names: &mut Vec<u8>,
        below: &mut Vec<Found>,
        jobs: &Sender<Found>,
    ) -> Result<(), Trouble> {
        let mut entries = RawDir::new(&folder.fd, names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.taker.tally.is_stopped() {
                return Ok(());
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                kind = Look::at(folder.fd.as_fd(), name).map_or(FileType::Unknown, |look| look.kind);
            }
            let found = Found {
                folder: folder.clone(),
                name: name.into(),
                called: None,
                kind,
            };
            if kind == FileType::Directory {
                below.push(found);
            } else if jobs.send(found).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Opens a folder, and makes or finds its place in the vault.
    fn enter(&self, found: &Found) -> Result<Arc<Folder>, Trouble> {
        let (above, name) = (&found.folder, &*found.name);
        // Before it is opened: nothing is asked of our own mount but what the kernel knows.
        if self
            .own
            .is(&Look::at(above.fd.as_fd(), name).map_err(unreadable)?)
        {
            return Err(own());
        }
        let fd = openat(&above.fd, name, LISTED, Mode::empty()).map_err(unreadable)?;
        let look = Look::of(&fd).map_err(unreadable)?;
        let taker = self.taker;
        let at = taker.at(above, found.called.as_deref().unwrap_or(name.to_bytes()));
        let (ino, keep_times) = match taker.vault.lookup(at.folder, at.name) {
            Ok(ino) => {
                let there = taker.vault.stat(ino)?.meta;
                if there.kind != Kind::Folder {
                    return Err(differs(
                        "a file of that name is there, so nothing of the folder is taken in",
                    ));
                }
                (ino, there.mtime == look.mtime)
            }
            Err(error) if error.errno() == libc::ENOENT => {
                let xattrs = xattrs(&fd).map_err(unreadable)?;
                let meta = look.meta(Kind::Folder, xattrs, &taker.owners);
                (taker.folder(meta, at)?, true)
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Arc::new(Folder {
            fd,
            path: found.path(),
            ino,
            keep_times,
        }))
    }
}

fn own() -> Trouble {
    Trouble::Skip(Reason::Own, "it is this vault itself".to_owned())
}
