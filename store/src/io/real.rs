//! Files on a real file system, in one directory held by its descriptor.
//!
//! Guarantees: every name is looked up relative to the directory that was opened, so
//! renaming or replacing a path above it changes nothing; files are made 0600 and
//! closed on exec; `sync_data` is fdatasync, `sync_dir` is fsync of the directory.
//! Never follows a symbolic link in place of a file, never leaves the directory. One that
//! was opened to be read only asks for no right to write. Tells when somebody has deleted or
//! replaced what is open: written to it is nothing that anybody will find.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Disk, DiskFile, Space};

/// A directory of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    dir: OwnedFd,
    access: OFlags,
    /// What was opened by these names, for as long as it is.
    open: Mutex<Vec<(String, Weak<RealFile>)>>,
    /// Whether this file system counts links; some say 0 always.
    counts_links: bool,
}

fn has_links(fd: impl AsFd) -> bool {
    // What cannot be asked is no evidence of anything.
    fs::fstat(fd).map_or(true, |stat| stat.st_nlink > 0)
}

impl RealDisk {
    /// Takes hold of an existing directory.
    ///
    /// # Errors
    /// Those of open(2): it is missing, is not a directory, or may not be read.
    pub fn open(dir: &Path) -> Result<RealDisk> {
        RealDisk::open_with(dir, OFlags::RDWR)
    }

    /// The same, to read only: of writes to its files none succeeds.
    ///
    /// # Errors
    /// As [`RealDisk::open`].
    pub fn open_read_only(dir: &Path) -> Result<RealDisk> {
        RealDisk::open_with(dir, OFlags::RDONLY)
    }

    fn open_with(dir: &Path, access: OFlags) -> Result<RealDisk> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = retry_on_intr(|| fs::openat(CWD, dir, flags, Mode::empty()))?;
        Ok(RealDisk {
            counts_links: has_links(&dir),
            dir,
            access,
            open: Mutex::default(),
        })
    }

    fn open_file(&self, name: &str, extra: OFlags) -> Result<Arc<dyn DiskFile>> {
        check_name(name)?;
        let flags = self.access | OFlags::CLOEXEC | OFlags::NOFOLLOW | extra;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = retry_on_intr(|| fs::openat(&self.dir, name, flags, mode))?;
        let file = Arc::new(RealFile { file: File::from(fd) });
        let mut open = self.open.lock();
        open.retain(|(_, file)| file.strong_count() > 0);
        open.push((name.to_owned(), Arc::downgrade(&file)));
        Ok(file)
    }

    /// Whether an open file still has this name.
    fn has_name(&self, name: &str, file: &RealFile) -> bool {
        let Ok(ours) = fs::fstat(&file.file) else {
            return true;
        };
        if self.counts_links && ours.st_nlink == 0 {
            return false;
        }
        match fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) => (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino),
            Err(e) => e != Errno::NOENT,
        }
    }
}

/// A name that cannot lead anywhere else.
fn check_name(name: &str) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if name.is_empty() || name == "." || name == ".." || !plain {
        return Err(Error::new(ErrorKind::InvalidInput, "not a plain file name"));
    }
    Ok(())
}

impl Disk for RealDisk {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        self.open_file(name, OFlags::empty())
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        self.open_file(name, OFlags::CREATE | OFlags::EXCL)
    }

    fn remove(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.open.lock().retain(|(open, _)| open != name);
        Ok(fs::unlinkat(&self.dir, name, AtFlags::empty())?)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_name(from)?;
        check_name(to)?;
        self.open.lock().retain(|(open, _)| open != from && open != to);
        Ok(fs::renameat(&self.dir, from, &self.dir, to)?)
    }

    /// Names that no [`Disk`] can have made (not plain ASCII) are left out.
    fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.dir)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && check_name(name).is_ok()
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> Result<()> {
        Ok(retry_on_intr(|| fs::fsync(&self.dir))?)
    }

    fn space(&self) -> Result<Space> {
        let stat = fs::fstatvfs(&self.dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space {
            total: bytes(stat.f_blocks),
            free: bytes(stat.f_bfree),
            available: bytes(stat.f_bavail),
        })
    }

    fn missing(&self, file: Option<&str>) -> Option<String> {
        if self.counts_links && !has_links(&self.dir) {
            return Some(String::new());
        }
        // Held while looking: what we rename or remove ourselves is off the list before.
        let open = self.open.lock();
        let mut wanted = open
            .iter()
            .filter(|(name, _)| file.is_none_or(|file| file == name));
        let lost = wanted.find(|(name, file)| file.upgrade().is_some_and(|file| !self.has_name(name, &file)));
        lost.map(|(name, _)| name.clone())
    }
}

/// An open file of a [`RealDisk`].
#[derive(Debug)]
struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data()
    }
}
