//! The kernel's table of mounts, as `/proc/self/mountinfo` shows it (proc(5)).
//!
//! Guarantees: reading it touches no file system that is mounted, so a dead or silent one
//! cannot block it; a line that is not understood is left out.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type under which vaults are mounted.
pub const TYPE: &str = "fuse.coffer";

/// A device number, as stat(2) and the kernel's tables show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// Major number; 0 for file systems without a device.
    pub major: u32,
    /// Minor number; for FUSE also the connection's id.
    pub minor: u32,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// The mount's id.
    pub id: u64,
    /// Which file system.
    pub device: Device,
    /// Where.
    pub point: PathBuf,
    /// `fuse.coffer`, `ext4`, …
    pub kind: String,
    /// What mount(8) calls the source; for a vault its `fsname`.
    pub source: OsString,
    /// The mount's own options: `rw,nosuid,…`
    pub options: String,
}

/// All mounts that this process sees, in the order in which they were made: of several on
/// one point, the last is the one in sight.
///
/// # Errors
/// `/proc` is not there or not readable.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(table.split(|&byte| byte == b'\n').filter_map(parse).collect())
}

/// The mounted vaults.
///
/// # Errors
/// As [`mounts`].
pub fn find_mounts() -> io::Result<Vec<MountEntry>> {
    Ok(mounts()?.into_iter().filter(|entry| entry.kind == TYPE).collect())
}

/// The mount in sight at `point` (a path without symlinks), if it is a mount point.
pub(super) fn at(point: &Path) -> io::Result<Option<MountEntry>> {
    Ok(mounts()?.into_iter().rfind(|entry| entry.point == point))
}

/// One line: `36 35 98:0 /root /point options optional… - type source superoptions`.
fn parse(line: &[u8]) -> Option<MountEntry> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let dash = fields.iter().position(|&field| field == b"-")?;
    let text = |at: usize| std::str::from_utf8(fields.get(at)?).ok();
    let (major, minor) = text(2)?.split_once(':')?;
    if dash < 6 {
        return None;
    }
    Some(MountEntry {
        id: text(0)?.parse().ok()?,
        device: Device {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        },
        point: unescape(fields.get(4)?).into(),
        kind: text(dash + 1)?.to_owned(),
        source: unescape(fields.get(dash + 2)?),
        options: text(5)?.to_owned(),
    })
}

/// Undoes the kernel's `\040` for what would break the line.
fn unescape(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the fields' places, with and without optional fields, and the escapes.
    #[test]
    fn lines() {
        let entry = parse(
            br"61 29 0:45 / /home/a\040b/Vault\134 rw,nosuid,nodev shared:7 master:2 - fuse.coffer /x\012y rw,user_id=1",
        )
        .unwrap();
        assert_eq!(entry.id, 61);
        assert_eq!(entry.device, Device { major: 0, minor: 45 });
        assert_eq!(entry.point, Path::new("/home/a b/Vault\\"));
        assert_eq!(entry.kind, TYPE);
        assert_eq!(entry.source, "/x\ny");
        assert_eq!(entry.options, "rw,nosuid,nodev");
        let plain = parse(b"1 0 8:1 / / rw - ext4 /dev/sda1 rw").unwrap();
        assert_eq!((plain.kind.as_str(), plain.device.major), ("ext4", 8));
    }

    /// Guards against a panic on lines that no kernel writes.
    #[test]
    fn nonsense_is_left_out() {
        for line in [
            &b""[..],
            b"1",
            b"- - -",
            b"1 2 3:4 - a b",
            b"a b c:d e f g - h i",
            b"1 0 8:1 / / rw -",
        ] {
            assert_eq!(parse(line), None);
        }
        assert_eq!(unescape(br"\0\04\99\777\400\"), r"\0\04\99\777\400\");
    }

    /// Guards that the table of this very machine is understood: there is a root.
    #[test]
    fn this_machine() {
        assert!(
            mounts()
                .unwrap()
                .iter()
                .any(|entry| entry.point == Path::new("/"))
        );
    }
}
