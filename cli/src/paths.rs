//! Where things lie: the vault, the daemon's socket, what is remembered outside the vault.
//!
//! Guarantees that a socket's folder is ours alone: a real folder (no symlink), owned by us, closed
//! to others; anything else is refused, never repaired. Never follows a mount point, which may hang or be stale.

use crate::failure::{Failure, Kind};
use rustix::fs::{self as rfs, FileType, Mode};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The log's name in the state folder.
pub(crate) const LOG: &str = "daemon.log";

/// An absolute path from the environment; relative ones are ignored, as the XDG specification asks.
fn xdg(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// The home folder: `$HOME`, else what the user database says (a boot-time mount has no `$HOME`).
pub(crate) fn home() -> Result<PathBuf, Failure> {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .ok_or_else(|| {
            Failure::failed(
                "Cannot tell where your home folder is: set HOME, or name the vault with --vault.",
            )
        })
}

/// The vault to use when none is named: `$XDG_DATA_HOME/coffer/default`.
pub(crate) fn default_vault() -> Result<PathBuf, Failure> {
    let data = match xdg("XDG_DATA_HOME") {
        Some(data) => data,
        None => home()?.join(".local/share"),
    };
    Ok(data.join("coffer/default"))
}

/// `$XDG_STATE_HOME/coffer`: logs, and the markers that notice copies. Made on the way.
pub(crate) fn state_dir() -> Result<PathBuf, Failure> {
    let state = match xdg("XDG_STATE_HOME") {
        Some(state) => state,
        None => home()?.join(".local/state"),
    };
    let dir = state.join("coffer");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(|error| Failure::io(format_args!("make the folder {}", dir.display()), &error))?;
    Ok(dir)
}

/// `$XDG_CONFIG_HOME/coffer`: settings of this device. Not made: who writes there makes it.
pub(crate) fn config_dir() -> Result<PathBuf, Failure> {
    let config = match xdg("XDG_CONFIG_HOME") {
        Some(config) => config,
        None => home()?.join(".config"),
    };
    Ok(config.join("coffer"))
}

/// The one folder for sockets, where somebody says so: no other is looked into, for any command.
fn runtime_override() -> Option<PathBuf> {
    xdg("COFFER_RUNTIME_DIR")
}

/// Folders in which this user's sockets may lie, the best one first.
fn runtime_candidates() -> Vec<PathBuf> {
    if let Some(only) = runtime_override() {
        return vec![only];
    }
    let uid = rustix::process::getuid().as_raw();
    let mut candidates: Vec<PathBuf> = xdg("XDG_RUNTIME_DIR").into_iter().collect();
    candidates.push(PathBuf::from(format!("/run/user/{uid}")));
    if uid == 0 {
        candidates.push(PathBuf::from("/run"));
    }
    let mut candidates: Vec<PathBuf> = candidates.into_iter().map(|dir| dir.join("coffer")).collect();
    candidates.push(PathBuf::from(format!("/tmp/coffer-{uid}")));
    candidates.dedup();
    candidates
}

/// The folder in which a daemon binds its socket: made 0700 if need be.
///
/// # Errors
/// When no candidate can be had, or the last one belongs to somebody else.
pub(crate) fn runtime_dir() -> Result<PathBuf, Failure> {
    let uid = rustix::process::getuid().as_raw();
    let mut last = Failure::failed("There is no folder for the control socket: set XDG_RUNTIME_DIR.");
    for dir in runtime_candidates() {
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match is_private(&dir, Some(uid)) {
                true => return Ok(dir),
                false => {
                    last = Failure::failed(format!(
                        "The folder {} is not safe for the control socket: it must be yours and closed to others (chmod 700).",
                        dir.display()
                    ));
                }
            },
            Err(_) => {}
        }
    }
    Err(last)
}

/// The folders in which to look for daemons: this user's; with `everyone`, as root, all users'.
pub(crate) fn runtime_dirs(everyone: bool) -> Vec<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let mut dirs: Vec<PathBuf> = runtime_candidates()
        .into_iter()
        .filter(|dir| is_private(dir, Some(uid)))
        .collect();
    if everyone && uid == 0 && runtime_override().is_none() {
        let users = names("/run/user").map(|dir| dir.join("coffer"));
        let strays = names("/tmp").filter(|dir| {
            dir.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"coffer-"))
        });
        for dir in users.chain(strays) {
            if is_private(&dir, None) && !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
    }
    dirs
}

/// The entries of a folder; none if it cannot be read.
fn names(dir: &str) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

/// Whether `dir` is a real folder, closed to others, and (if asked) owned by `owner`.
fn is_private(dir: &Path, owner: Option<u32>) -> bool {
    rfs::lstat(dir).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && !Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO)
            && owner.is_none_or(|uid| stat.st_uid == uid)
    })
}

/// A mount point's absolute path without touching what is mounted there: its parent is
/// resolved, its own name is kept.
///
/// # Errors
/// When the parent does not exist.
pub(crate) fn mountpoint(path: &Path) -> Result<PathBuf, Failure> {
    let resolve = |dir: &Path| {
        fs::canonicalize(dir).map_err(|error| Failure::io(format_args!("find {}", dir.display()), &error))
    };
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            let plain = resolve(parent)?.join(name);
            // A symlink to the mount point is followed; lstat of its own inode cannot hang on the mount.
            match fs::read_link(&plain) {
                Ok(_) => resolve(&plain),
                Err(_) => Ok(plain),
            }
        }
        _ => resolve(path),
    }
}

/// An absolute form of a path that may not exist yet.
///
/// # Errors
/// When the current folder is gone.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if let Ok(found) = fs::canonicalize(path) {
        return Ok(found);
    }
    std::path::absolute(path).map_err(|error| Failure::io(format_args!("find {}", path.display()), &error))
}

/// What names a folder whatever its path: its device and inode.
///
/// # Errors
/// `NoVault` if there is nothing.
pub(crate) fn identity(dir: &Path) -> Result<(u64, u64), Failure> {
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => Ok((meta.dev(), meta.ino())),
        Ok(_) => Err(no_vault(dir)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(no_vault(dir)),
        Err(error) => Err(Failure::io(
            format_args!("open the vault {}", dir.display()),
            &error,
        )),
    }
}

/// There is no vault in `dir`.
pub(crate) fn no_vault(dir: &Path) -> Failure {
    Failure::new(
        Kind::NoVault,
        format!(
            "There is no vault in {}; make one with “coffer init”, or name another with --vault.",
            dir.display()
        ),
    )
}

/// Lower-case hex, for file names.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path with "~" for the home folder, for people.
pub(crate) fn tilde(path: &Path) -> String {
    match home()
        .ok()
        .and_then(|home| path.strip_prefix(home).ok().map(OsString::from))
    {
        Some(rest) if rest.is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.to_string_lossy()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Guards the control socket's folder against a trap laid in /tmp.
    #[test]
    fn only_our_own_closed_folder_is_private() {
        let tmp = tempfile::tempdir().unwrap();
        let uid = rustix::process::getuid().as_raw();
        let dir = tmp.path().join("d");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(is_private(&dir, Some(uid)));
        assert!(!is_private(&dir, Some(uid + 1)), "owned by somebody else");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o710)).unwrap();
        assert!(!is_private(&dir, Some(uid)), "open to the group");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        let link = tmp.path().join("l");
        symlink(&dir, &link).unwrap();
        assert!(!is_private(&link, Some(uid)), "a symlink");
        assert!(!is_private(&tmp.path().join("none"), Some(uid)));
    }

    /// Guards that a mount point is named the same however it is spelled.
    #[test]
    fn mountpoints_resolve_to_one_name() {
        let tmp = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(tmp.path()).unwrap().join("m");
        fs::create_dir(&real).unwrap();
        symlink(&real, tmp.path().join("link")).unwrap();
        for spelled in ["m", "./m", "m/", "m/.", "link", "x/../m"] {
            fs::create_dir_all(tmp.path().join("x")).unwrap();
            assert_eq!(mountpoint(&tmp.path().join(spelled)).unwrap(), real, "{spelled}");
        }
        assert!(mountpoint(&tmp.path().join("none/m")).is_err());
    }
}
