//! Who uses a mount, so that "busy" can name names: what lsof(8) and fuser(1) find.
//!
//! Guarantees: reads `/proc` only, never the mount, so a dead or silent one cannot block
//! it. Sees other users' processes only as root. Never fails: what cannot be read is left out.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::table::{self, MountEntry};

/// How a process uses a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It works in a folder there.
    WorkingFolder,
    /// Its root is there.
    Root,
    /// It runs a program, or has mapped a file, from there.
    Mapping,
    /// It has a file or folder open there.
    OpenFile,
    /// Something else is mounted inside.
    InnerMount,
}

/// One user of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Process id; 0 for an inner mount.
    pub pid: u32,
    /// The process's name.
    pub command: String,
    /// What it does there.
    pub what: Use,
    /// What it uses: a name inside the vault. For the person who asks; never for a log.
    pub path: PathBuf,
}

impl fmt::Display for User {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Use::WorkingFolder => "working folder",
            Use::Root => "root folder",
            Use::Mapping => "program or mapped file",
            Use::OpenFile => "open file",
            Use::InnerMount => return write!(out, "another mount inside it"),
        };
        write!(out, "{} (process {}: {what})", self.command, self.pid)
    }
}

/// Everything that keeps the mount in sight at `mountpoint` from being unmounted: at most
/// one line a process, the first use found of those in [`Use`]'s order.
pub fn who_uses(mountpoint: &Path) -> Vec<User> {
    let mounts = table::mounts().unwrap_or_default();
    let Some(mount) = mounts.iter().rfind(|entry| entry.point == mountpoint) else {
        return Vec::new();
    };
    let inner = mounts
        .iter()
        .filter(|entry| entry.point != mount.point && entry.point.starts_with(&mount.point));
    let mut users: Vec<User> = inner
        .map(|entry| User {
            pid: 0,
            command: entry.kind.clone(),
            what: Use::InnerMount,
            path: entry.point.clone(),
        })
        .collect();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some((what, path)) = use_of(mount, &process.path()) {
            let command = fs::read(process.path().join("comm")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).trim_end().to_owned();
            users.push(User {
                pid,
                command,
                what,
                path,
            });
        }
    }
    users
}

/// How the process at `proc` (its folder under `/proc`) uses the mount, if it does.
fn use_of(mount: &MountEntry, proc: &Path) -> Option<(Use, PathBuf)> {
    for (name, what) in [("cwd", Use::WorkingFolder), ("root", Use::Root)] {
        // readlink on these follows nothing: the kernel prints the name it knows.
        if let Ok(path) = fs::read_link(proc.join(name))
            && path.starts_with(&mount.point)
            // Everything starts with "/" where the mount is the root itself.
            && mount.point != Path::new("/")
        {
            return Some((what, path));
        }
    }
    if let Some(path) = mapped(mount, &fs::read_to_string(proc.join("maps")).unwrap_or_default()) {
        return Some((Use::Mapping, path));
    }
    let open = fs::read_dir(proc.join("fd")).into_iter().flatten().flatten();
    for descriptor in open {
        let info = proc.join("fdinfo").join(descriptor.file_name());
        if mount_id(&fs::read_to_string(info).unwrap_or_default()) == Some(mount.id) {
            return Some((
                Use::OpenFile,
                fs::read_link(descriptor.path()).unwrap_or_default(),
            ));
        }
    }
    None
}

/// `mnt_id:` of a `/proc/…/fdinfo/…` (proc(5)).
fn mount_id(info: &str) -> Option<u64> {
    info.lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

/// The first file of the mount in a `/proc/…/maps`: `address perms offset major:minor
/// inode path`, the device in hexadecimal (proc(5)).
fn mapped(mount: &MountEntry, maps: &str) -> Option<PathBuf> {
    let device = format!("{:02x}:{:02x}", mount.device.major, mount.device.minor);
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        (fields.nth(3) == Some(device.as_str())).then(|| fields.skip(1).collect::<Vec<_>>().join(" ").into())
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::Device;
    use super::*;

    /// Guards the two texts of `/proc` that are taken apart here.
    #[test]
    fn proc_files() {
        assert_eq!(
            mount_id("pos:\t0\nflags:\t0100000\nmnt_id:\t61\nino:\t5\n"),
            Some(61)
        );
        assert_eq!(mount_id("pos:\t0\n"), None);
        let mount = MountEntry {
            id: 61,
            device: Device {
                major: 0,
                minor: 0x2d,
            },
            point: "/v".into(),
            kind: "fuse.coffer".into(),
            source: "coffer".into(),
            options: String::new(),
        };
        let maps = "5570-5571 r--p 00000000 08:01 77 /usr/bin/cat\n7f00-7f01 rw-s 00000000 00:2d 12 /v/a b\n";
        assert_eq!(mapped(&mount, maps), Some("/v/a b".into()));
        assert_eq!(mapped(&mount, "7f00-7f01 rw-p 00000000 00:00 0 \n"), None);
    }
}
