//! Files on a real file system, in one directory held by its descriptor.
//!
//! Guarantees: every name is looked up relative to the directory that was opened, so
//! renaming or replacing a path above it changes nothing; files are made 0600 and
//! closed on exec; `sync_data` is fdatasync, `sync_dir` is fsync of the directory.
//! Never follows a symbolic link in place of a file, never leaves the directory. One that
//! was opened to be read only asks for no right to write.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::retry_on_intr;

use super::{Disk, DiskFile, Space};

/// A directory of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    dir: OwnedFd,
    access: OFlags,
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
        Ok(RealDisk { dir, access })
    }

    fn open_file(&self, name: &str, extra: OFlags) -> Result<Arc<dyn DiskFile>> {
        check_name(name)?;
        let flags = self.access | OFlags::CLOEXEC | OFlags::NOFOLLOW | extra;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = retry_on_intr(|| fs::openat(&self.dir, name, flags, mode))?;
        Ok(Arc::new(RealFile { file: File::from(fd) }))
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
        Ok(fs::unlinkat(&self.dir, name, AtFlags::empty())?)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_name(from)?;
        check_name(to)?;
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
