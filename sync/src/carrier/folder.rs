//! A vault's folder in a carried one, behind a trait; and a real one.
//!
//! Guarantees of the real one: it never leaves its folder: it is held by its descriptor, no link in it is followed, and only
//! regular files are opened. What [`Folder::publish`] returned from is durable as far as the file system can make it so.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, fstatvfs, fsync, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::error::CarrierError;
use super::limits::FILES_MAX;
use super::name::Name;

/// What lies in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files that have such names as ours, and their lengths.
    pub files: Vec<(Name, u64)>,
    /// How many others there are.
    pub others: usize,
}

/// A file that is written.
pub trait Sink {
    /// Writes at its end.
    ///
    /// # Errors
    /// The file system's.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes it durable.
    ///
    /// # Errors
    /// The file system's.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A file that is read.
pub trait Source {
    /// Reads so many bytes from there; fewer are an error.
    ///
    /// # Errors
    /// The file system's.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

/// A vault's folder.
pub trait Folder {
    /// All that lies there.
    ///
    /// # Errors
    /// The file system's.
    fn list(&self) -> io::Result<Listing>;

    /// Opens a file to be read.
    ///
    /// # Errors
    /// The file system's.
    fn open(&self, name: &Name) -> io::Result<Box<dyn Source>>;

    /// Makes a new one.
    ///
    /// # Errors
    /// The file system's.
    fn create(&self, name: &Name) -> io::Result<Box<dyn Sink>>;

    /// Gives a finished one its name, durably.
    ///
    /// # Errors
    /// The file system's.
    fn publish(&self, from: &Name, to: &Name) -> io::Result<()>;

    /// Removes one.
    ///
    /// # Errors
    /// The file system's.
    fn remove(&self, name: &Name) -> io::Result<()>;

    /// How many bytes more fit.
    ///
    /// # Errors
    /// The file system's.
    fn room(&self) -> io::Result<u64>;
}

/// A folder of a file system.
pub struct Shelf {
    dir: OwnedFd,
    /// What others may do with what is put there: as much as with the folder that was given.
    mode: u32,
}

/// Whether a folder that is not there is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is.
    Make,
    /// It must be there.
    Find,
}

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Shelf {
    /// Opens the folder of this name in `dir`.
    ///
    /// # Errors
    /// As [`CarrierError`] says.
    pub(super) fn open(dir: &Path, name: Name, place: Place) -> Result<Shelf, CarrierError> {
        let failed =
            |what: &str, errno: Errno| CarrierError::io(format!("{what} {}", dir.display()))(errno.into());
        let above = match rustix::fs::open(dir, DIR, Mode::empty()) {
            Ok(above) => above,
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(CarrierError::Absent(dir.to_owned())),
            Err(errno) => return Err(failed("open the folder", errno)),
        };
        let stat = rustix::fs::fstat(&above).map_err(|errno| failed("look at the folder", errno))?;
        // With what makes new files be the group's, or each user's own.
        let mode = stat.st_mode & 0o7777;
        let name = name.to_string();
        let find = || openat(&above, &name, DIR | OFlags::NOFOLLOW, Mode::empty());
        let found = match (find(), place) {
            (Err(Errno::NOENT), Place::Find) => return Err(CarrierError::Gone(dir.to_owned())),
            (Err(Errno::NOENT), Place::Make) => {
                match mkdirat(&above, &name, Mode::from_raw_mode(mode | 0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(failed("make this vault's folder in", errno)),
                }
                let made = find().map_err(|errno| failed("open this vault's folder in", errno))?;
                // Where another user of a shared folder shall find it, too; not every file system has modes.
                let _ = rustix::fs::fchmod(&made, Mode::from_raw_mode(mode | 0o700));
                durable(&above).map_err(CarrierError::io(format!("write to {}", dir.display())))?;
                made
            }
            (found, _) => found.map_err(|errno| failed("open this vault's folder in", errno))?,
        };
        Ok(Shelf { dir: found, mode })
    }
}

/// Makes names in a folder durable, where the file system knows of such a thing.
fn durable(dir: &OwnedFd) -> io::Result<()> {
    match fsync(dir) {
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

struct Open(File);

impl Sink for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Source for Open {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }
}

impl Folder for Shelf {
    fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let text = entry.file_name();
            if matches!(text.to_bytes(), b"." | b"..") {
                continue;
            }
            let name = Name::parse(text.to_bytes());
            let stat = statat(&self.dir, text, AtFlags::SYMLINK_NOFOLLOW);
            match (name, stat) {
                // Removed just now.
                (_, Err(Errno::NOENT)) => {}
                (Some(name), Ok(stat))
                    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                        && listing.files.len() < FILES_MAX =>
                {
                    listing.files.push((name, stat.st_size.try_into().unwrap_or(0)));
                }
                _ => listing.others += 1,
            }
        }
        Ok(listing)
    }

    fn open(&self, name: &Name) -> io::Result<Box<dyn Source>> {
        // What took a file's place meanwhile must not keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.dir, name.to_string(), flags, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(Box::new(Open(file))),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn create(&self, name: &Name) -> io::Result<Box<dyn Sink>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.dir, name.to_string(), flags, Mode::RUSR | Mode::WUSR)?;
        let file = File::from(fd);
        let _ = file.set_permissions(PermissionsExt::from_mode(self.mode & 0o444 | 0o600));
        Ok(Box::new(Open(file)))
    }

    fn publish(&self, from: &Name, to: &Name) -> io::Result<()> {
        renameat(&self.dir, from.to_string(), &self.dir, to.to_string())?;
        durable(&self.dir)
    }

    fn remove(&self, name: &Name) -> io::Result<()> {
        match unlinkat(&self.dir, name.to_string(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn room(&self) -> io::Result<u64> {
        let stat = fstatvfs(&self.dir)?;
        Ok(match stat.f_blocks {
            // A file system that does not say.
            0 => u64::MAX,
            _ => stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }
}
