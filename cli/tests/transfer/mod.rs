//! What the suites of import and export share: a tree with everything in it, another user, and
//! transfers that are caught half-way.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each suite uses its part")]

#[path = "../../../tests/src/tree.rs"]
pub mod tree;

use crate::common::{PASSWORD, Said, Stage, files, until};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, UTIME_OMIT, utimensat};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The user of whom nothing is expected.
pub const NOBODY: u32 = 65534;

/// Bytes that nothing else has, so that nothing is stored once for two.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Sets both times, without following a symlink.
pub fn set_times(path: &Path, sec: i64, nsec: i64) {
    let at = |sec| Timespec {
        tv_sec: sec,
        tv_nsec: nsec,
    };
    let times = Timestamps {
        last_access: at(sec + 1),
        last_modification: at(sec),
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A tree with everything that is to be kept.
pub fn plant(stage: &Stage, name: &str) -> PathBuf {
    let root = stage.path(name);
    fs::create_dir_all(root.join("deep/er/est")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    for (i, len) in [0, 1, 100, 4096, 32 << 10, (32 << 10) + 1, 700_000, 5 << 20]
        .into_iter()
        .enumerate()
    {
        fs::write(root.join(format!("file-{len}")), bytes(i as u64, len)).unwrap();
    }
    fs::write(root.join("x".repeat(255)), "a long name").unwrap();
    fs::write(root.join(OsStr::from_bytes(b"not \xff utf-8\n")), "bytes").unwrap();
    fs::write(root.join("deep/er/est/note"), "deep").unwrap();
    fs::hard_link(root.join("deep/er/est/note"), root.join("deep/also")).unwrap();
    fs::hard_link(root.join("deep/er/est/note"), root.join("and-also")).unwrap();
    symlink("deep/er", root.join("symlink")).unwrap();
    symlink("/nowhere/at/all", root.join("dangling")).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(16 << 20).unwrap();
    sparse.write_at(&bytes(77, 100_000), 3 << 20).unwrap();
    sparse.write_at(b"x", (9 << 20) + 5).unwrap();
    let fifo = root.join("fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let xattr = |name: &str, value: &[u8]| {
        for path in [root.join("file-100"), root.join("deep")] {
            rustix::fs::setxattr(&path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
        }
    };
    xattr("user.colour", b"green");
    xattr("user.bytes", &bytes(5, 1000));
    let owned = rustix::process::geteuid().is_root();
    for (name, mode, uid, gid) in [
        ("file-1", 0o400, 1234, 5678),
        ("file-100", 0o4755, 0, 0),
        ("file-4096", 0o2711, 7, 8),
        ("empty", 0o1500, 3, 3),
        ("fifo", 0o622, 1, 1),
    ] {
        let path = root.join(name);
        if owned {
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid)).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut listing: Vec<PathBuf> = tree::list(&root).unwrap().into_keys().collect();
    // Folders after what is in them.
    listing.reverse();
    for (i, path) in listing.iter().enumerate() {
        let i = i as i64;
        // Before 1970, after 2038, and to the nanosecond.
        set_times(
            &root.join(path),
            1_000_000_000 * (i % 5) - 77 * i - 3,
            123_456_789 + i,
        );
    }
    set_times(&root, 86_400, 1);
    root
}

/// Files, folders and further names below a folder.
pub fn count(root: &Path) -> (u64, u64, u64) {
    let listing = tree::list(root).unwrap();
    let is_folder = |stat: &&rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let folders = listing.values().filter(is_folder).count();
    let mut seen = std::collections::BTreeSet::new();
    let others = listing.values().filter(|stat| !is_folder(stat));
    let (mut first, mut further) = (0, 0);
    for stat in others {
        match seen.insert(stat.st_ino) {
            true => first += 1,
            false => further += 1,
        }
    }
    (first, folders as u64, further)
}

/// Access times of all but folders, which looking at them changes.
pub fn atimes(root: &Path) -> BTreeMap<PathBuf, (i64, i64)> {
    let listing = tree::list(root).unwrap().into_iter();
    listing
        .filter(|(_, stat)| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
        .map(|(path, stat)| (path, (stat.st_atime, stat.st_atime_nsec as i64)))
        .collect()
}

/// Sets them again.
pub fn reset_atimes(root: &Path, atimes: &BTreeMap<PathBuf, (i64, i64)>) {
    for (path, (sec, nsec)) in atimes {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: *sec,
                tv_nsec: *nsec,
            },
            last_modification: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
        };
        utimensat(CWD, root.join(path), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// Lets another user use the stage and the program.
pub fn give_to_nobody(stage: &Stage) {
    let root = stage.path(".");
    fs::copy(env!("CARGO_BIN_EXE_coffer"), root.join("coffer")).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    for dir in [".", "run", "state", "data", "home", "mnt"] {
        std::os::unix::fs::chown(root.join(dir), Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Runs a command as nobody, with the right password.
pub fn as_nobody(stage: &Stage, args: &[&str]) -> Said {
    let template = stage.command(args);
    let mut command = Command::new(stage.path("coffer"));
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command
        .args(args)
        .arg("--password-stdin")
        .current_dir(stage.path("."))
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = writeln!(child.stdin.take().unwrap(), "{PASSWORD}");
    said.unwrap();
    child.wait_with_output().unwrap().into()
}

/// Many small files and a few large ones: a transfer that takes a while.
pub fn plant_many(stage: &Stage, name: &str) -> PathBuf {
    let root = stage.path(name);
    for folder in 0..40 {
        let dir = root.join(format!("folder-{folder}"));
        fs::create_dir_all(&dir).unwrap();
        for i in 0..200 {
            let len = 500 + (i * 97) % 9000;
            let seed = folder * 1000 + i as u64 + 1;
            fs::write(dir.join(format!("note-{i}")), bytes(seed, len)).unwrap();
        }
        fs::write(dir.join("large"), bytes(folder + 7, 1 << 20)).unwrap();
    }
    root
}

/// Bytes of a vault's files.
pub fn stored(stage: &Stage) -> u64 {
    let sizes = files(&stage.vault()).into_iter();
    sizes
        .filter_map(|file| fs::metadata(file).ok())
        .map(|meta| meta.size())
        .sum()
}

/// Starts a command with the right password, and returns when the vault has grown so much.
pub fn half_way(stage: &Stage, args: &[&str], grown: u64) -> Child {
    let before = stored(stage);
    let mut child = stage
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Through the daemon nobody reads it.
    let _ = writeln!(child.stdin.take().unwrap(), "{PASSWORD}");
    until("the vault grows", || {
        stored(stage) >= before + grown || child.try_wait().unwrap().is_some()
    });
    child
}
