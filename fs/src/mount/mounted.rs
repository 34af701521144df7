//! What can be done with a mount: unmount it, cut its connection, let it read ahead.
//!
//! Guarantees: touches only the mount that it was made for, never another one that lies
//! on the same point by now. Never asks the mounted file system anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::error::UnmountError;
use super::helper::{self, HelperError};
use super::table::{self, Device, MountEntry};
use super::users::who_uses;

/// How far the kernel reads ahead, in KiB: as much as one request carries.
const READ_AHEAD: u32 = 1024;
/// For so long a mount may be busy that nobody uses.
const PASSING: Duration = Duration::from_secs(1);
/// Where the kernel lets connections be controlled (the file system fusectl).
const CONTROL: &str = "/sys/fs/fuse/connections";

/// The unique id of the mount in sight at `point` (statx(2)); `None` where the kernel has
/// none or does not let us see it. Asks the kernel only, never the file system.
fn unique_id(point: &Path) -> Option<u64> {
    /// STATX_MNT_ID_UNIQUE
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let how = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let found = rustix::fs::statx(CWD, point, how, UNIQUE).ok()?;
    (found.stx_mask & UNIQUE.bits() != 0).then_some(found.stx_mnt_id)
}

/// A mounted vault. Dropping it does not unmount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    point: PathBuf,
    device: Device,
    /// The mount's id: like the device number, used again soon after the mount is gone.
    id: u64,
    /// The mount's unique id, never used again (Linux 6.8).
    unique: Option<u64>,
}

impl Mount {
    /// A mount found in the table, of this process or another.
    pub fn existing(entry: &MountEntry) -> Mount {
        let unique = unique_id(&entry.point);
        Mount {
            point: entry.point.clone(),
            device: entry.device,
            id: entry.id,
            unique,
        }
    }

    /// Where it is mounted, without symlinks.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// The connection's id under `/sys/fs/fuse/connections`.
    pub fn connection(&self) -> u32 {
        self.device.minor
    }

    /// What tells it from other mounts: connection, mount and, from Linux 6.8 on, the number
    /// that is never used again.
    pub fn mark(&self) -> String {
        let unique = self.unique.unwrap_or(0);
        format!("{}-{}-{unique}", self.device.minor, self.id)
    }

    /// Whether it is mounted still (or something else lies there by now).
    ///
    /// # Errors
    /// The table of mounts cannot be read.
    pub fn is_mounted(&self) -> io::Result<bool> {
        let here = table::at(&self.point)?;
        Ok(
            here.is_some_and(|entry| entry.device == self.device && entry.id == self.id)
                && (self.unique.is_none() || unique_id(&self.point) == self.unique),
        )
    }

    /// Unmounts. What is unmounted already is left as it is, and so is something else that
    /// was mounted over it since.
    ///
    /// # Errors
    /// [`UnmountError::Busy`] names who uses it; nothing is changed then.
    pub fn unmount(&self) -> Result<(), UnmountError> {
        // A process that is being started has all of its parent's descriptors for a moment: busy, and nobody uses it.
        let begun = Instant::now();
        loop {
            match self.take_down(false) {
                Err(UnmountError::Busy { users, .. }) if users.is_empty() && begun.elapsed() < PASSING => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                done => return done,
            }
        }
    }

    /// Takes the mount out of sight at once; the kernel ends it when nobody uses it any more.
    ///
    /// # Errors
    /// Not being allowed to.
    pub fn unmount_lazily(&self) -> Result<(), UnmountError> {
        self.take_down(true)
    }

    fn take_down(&self, lazily: bool) -> Result<(), UnmountError> {
        let point = || self.point.clone();
        let failed = |source| UnmountError::Io {
            what: "cannot unmount",
            point: point(),
            source,
        };
        if !self.is_mounted().map_err(failed)? {
            return Ok(());
        }
        let flags = if lazily {
            UnmountFlags::DETACH
        } else {
            UnmountFlags::empty()
        };
        match rustix::mount::unmount(&self.point, flags | UnmountFlags::NOFOLLOW) {
            Ok(()) => return Ok(()),
            Err(Errno::BUSY) => return Err(self.busy()),
            // Not root, or not allowed as root: the helper may.
            Err(Errno::PERM) => {}
            Err(error) => return Err(failed(error.into())),
        }
        helper::unmount(&self.point, lazily).map_err(|error| match error {
            HelperError::Missing => UnmountError::NoHelper,
            HelperError::Refused(reason) if reason.contains("busy") => self.busy(),
            HelperError::Refused(reason) => UnmountError::Refused {
                point: point(),
                reason,
            },
            HelperError::Io(source) => failed(source),
        })
    }

    fn busy(&self) -> UnmountError {
        UnmountError::Busy {
            point: self.point.clone(),
            users: who_uses(&self.point),
        }
    }

    /// Cuts the connection: every request, waiting or to come, fails (ENOTCONN), and no
    /// process stays blocked on it. The mount stays, unusable, until it is unmounted.
    ///
    /// After an unmount only while the service goes on ([`crate::adapter::Session::wait`]):
    /// once it has ended, the connection's number may be another's.
    ///
    /// # Errors
    /// The connection's control file is not there (no fusectl mounted, and no right to
    /// mount it; or the connection is gone) or not writable.
    pub fn abort(&self) -> io::Result<()> {
        let control = format!("{CONTROL}/{}/abort", self.connection());
        let cut = || fs::write(&control, "1");
        match cut() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        // Hardly any system leaves it unmounted; then root may put it where it belongs.
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        if rustix::mount::mount(c"fusectl", CONTROL, c"fusectl", flags, None).is_ok() {
            return cut();
        }
        if !self.is_mounted()? {
            return Err(io::ErrorKind::NotFound.into());
        }
        // A forced unmount cuts the connection as well.
        match rustix::mount::unmount(&self.point, UnmountFlags::FORCE | UnmountFlags::NOFOLLOW) {
            // Busy: it stays mounted, but the connection was cut before.
            Ok(()) | Err(Errno::BUSY) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the kernel read ahead as far as one request carries. To be called once the
    /// mount is served (the handshake sets it back). Only root may; without it, reading
    /// large files is slower, no more.
    ///
    /// # Errors
    /// Not being allowed to, or no `/sys`.
    pub fn raise_readahead(&self) -> io::Result<()> {
        let Device { major, minor } = self.device;
        fs::write(
            format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"),
            READ_AHEAD.to_string(),
        )
    }
}
