//! Who holds a vault: the process that has locked its folder, as the kernel's list of locks
//! (`/proc/locks`, proc(5)) names it.
//!
//! Guarantees nothing: where file systems number their devices otherwise, or the process is not to be
//! seen, nobody is named.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that holds a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its short name.
    pub command: String,
}

impl Holder {
    /// Whether it is a program of ours.
    pub(crate) fn is_ours(&self) -> bool {
        self.command == "coffer"
    }
}

/// Who holds the vault in `dir`, if that can be told.
pub(crate) fn holder(dir: &Path) -> Option<Holder> {
    let lock = fs::metadata(coffer_store::vault::lock_file(dir)).ok()?;
    let device = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    let pid = pid_of(&fs::read_to_string("/proc/locks").ok()?, device, lock.ino())?;
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(Holder {
        pid,
        command: command.trim_end().to_owned(),
    })
}

/// `1: FLOCK  ADVISORY  WRITE 4242 08:01:1234 0 EOF`, the device in hexadecimal; a waiting one has
/// an arrow after its number.
fn pid_of(locks: &str, device: (u32, u32), ino: u64) -> Option<u32> {
    let wanted = format!("{:02x}:{:02x}:{ino}", device.0, device.1);
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, file, ..] if *file == wanted => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the fields' places, and that neither who waits nor another file's lock is taken for it.
    #[test]
    fn the_kernels_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 08:01:78 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 fd:1f:77 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 14 fd:1f:77 0 EOF\n";
        assert_eq!(pid_of(locks, (0xfd, 0x1f), 77), Some(13));
        assert_eq!(pid_of(locks, (8, 1), 77), None);
        assert_eq!(pid_of("nonsense\n\n", (8, 1), 77), None);
    }
}
