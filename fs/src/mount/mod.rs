//! Mounting and unmounting: the mount point, `/dev/fuse`, the kernel's tables.
//!
//! Guarantees: mounts only on an existing, empty folder, and leaves that folder without
//! write permission (mode 0500), so that programs that come while nothing is mounted do
//! not write plaintext beside the vault. Root is not stopped by that, nor is an owner who
//! changes the mode back. A mount left by a process that is gone is replaced. Of two that
//! mount on one folder at once, one is refused. Unmounts only
//! what it mounted: what lies on the mount point now is compared with what was put there.
//!
//! Never reads a mounted file system that might not answer, but for one bounded question.
//!
//! Parts, each importing only those above it: `table` (the kernel's list of mounts),
//! `users` (who keeps one busy), `error`, `options`, `helper` (`fusermount3`), `mounted`
//! (what can be done with a mount), `point` (what a mount point must be).

mod error;
mod helper;
mod mounted;
mod options;
mod point;
mod table;
mod users;

use std::ffi::CString;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub use error::{MountError, OptionError, UnmountError};
use helper::HelperError;
pub use mounted::Mount;
pub use options::MountOptions;
pub use table::{Device, MountEntry, TYPE, find_mounts, mounts};
pub use users::{Use, User, who_uses};

/// The mount point's mode while nothing is mounted: its owner may look, nobody may write.
const BARE_MODE: u32 = 0o500;
/// The same while the helper checks that its user may write there.
const HELPER_MODE: u32 = 0o700;

/// Mounts on `mountpoint`, as root itself, else (or where that is refused) through
/// `fusermount3`; returns the descriptor to serve (see [`crate::adapter::serve`]).
///
/// Until it is served, everything that touches the mount waits.
///
/// # Errors
/// See [`MountError`]; nothing is left mounted then.
pub fn mount(mountpoint: &Path, options: &MountOptions) -> Result<(OwnedFd, Mount), MountError> {
    let root = rustix::process::geteuid().is_root();
    let refused = [(options.nosuid, "suid"), (options.nodev, "dev")]
        .into_iter()
        .find(|(safe, _)| !safe);
    if let (false, Some((_, option))) = (root, refused) {
        return Err(MountError::NeedsRoot { option });
    }
    let point = point::prepare(mountpoint)?;
    // Held across the mount: afterwards its name leads into the vault.
    let bare = File::open(&point).map_err(|source| io_error("cannot open", &point, source))?;
    // One at a time: two could both find it bare, and take the upper mount for their own.
    point::claim(&bare, &point)?;
    let point = point::prepare(&point)?;
    let before = bare
        .metadata()
        .map_err(|source| io_error("cannot look at", &point, source))?
        .permissions();
    let mode = |mode| bare.set_permissions(Permissions::from_mode(mode));
    let mounted = match root.then(|| by_root(&point, options)) {
        Some(Ok(fuse)) => Ok(fuse),
        // In a container root may lack the right to mount, and still have the helper.
        Some(Err(refused @ MountError::Refused { .. })) => {
            by_helper(&point, options, &mode).map_err(|_| refused)
        }
        Some(Err(error)) => Err(error),
        None => by_helper(&point, options, &mode),
    };
    // That may not be ours to change, or lie on a read-only file system: then nobody
    // writes there anyway, or somebody else decides who does.
    let fuse = match mounted {
        Ok(fuse) => {
            let _ = mode(BARE_MODE);
            fuse
        }
        Err(error) => {
            let _ = bare.set_permissions(before);
            return Err(error);
        }
    };
    let entry = table::at(&point).map_err(|source| io_error("cannot look up", &point, source))?;
    match entry.filter(|entry| entry.kind == TYPE) {
        Some(entry) => Ok((fuse, Mount::existing(&entry))),
        None => Err(MountError::Refused {
            point,
            reason: "it did not appear among the mounts".to_owned(),
        }),
    }
}

/// mount(2).
fn by_root(point: &Path, options: &MountOptions) -> Result<OwnedFd, MountError> {
    let fuse = File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .map_err(|source| MountError::NoFuse { source })?;
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let data = format!(
        "fd={},rootmode=40000,user_id={uid},group_id={gid}{}",
        fuse.as_raw_fd(),
        options.data()
    );
    let refused = |reason: String| MountError::Refused {
        point: point.to_owned(),
        reason,
    };
    let data = CString::new(data).map_err(|_| refused("an option holds a NUL byte".to_owned()))?;
    let source = CString::new(options.fsname.as_str())
        .map_err(|_| refused("the source's name holds a NUL byte".to_owned()))?;
    rustix::mount::mount(source.as_c_str(), point, TYPE, options.flags(), data.as_c_str())
        .map_err(|error| refused(io::Error::from(error).to_string()))?;
    Ok(fuse.into())
}

/// `fusermount3`, which insists that its user may write to the mount point.
fn by_helper(
    point: &Path,
    options: &MountOptions,
    mode: &impl Fn(u32) -> io::Result<()>,
) -> Result<OwnedFd, MountError> {
    let _ = mode(HELPER_MODE);
    helper::mount(point, &options.for_helper()).map_err(|error| match error {
        HelperError::Missing => MountError::NoHelper,
        HelperError::Refused(reason) => MountError::Refused {
            point: point.to_owned(),
            reason,
        },
        HelperError::Io(source) => io_error("cannot mount on", point, source),
    })
}

fn io_error(what: &'static str, point: &Path, source: io::Error) -> MountError {
    MountError::Io {
        what,
        point: point.to_owned(),
        source,
    }
}
