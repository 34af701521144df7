//! Two directory trees compared: byte for byte, and all that tar, rsync and cp -a keep.
//!
//! Guarantees that nothing is passed over: what cannot be read is a difference. Compares
//! names, kinds, modes, owners, mtimes, sizes, contents, targets, user xattrs and which
//! names are one file; not ctimes, atimes and inode numbers, which no copy keeps.

use rustix::fs::{AtFlags, FileType, Stat};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Every path below a folder, the folder itself left out, with what stat says.
pub type Listing = BTreeMap<PathBuf, Stat>;

/// Lists a tree.
///
/// # Errors
/// The first thing that cannot be read, in words.
pub fn list(root: &Path) -> Result<Listing, String> {
    let mut all = Listing::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = root.join(&folder);
        let entries = fs::read_dir(&here).map_err(|error| format!("{}: {error}", here.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", here.display()))?;
            let path = folder.join(entry.file_name());
            let stat = stat(&root.join(&path))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                folders.push(path.clone());
            }
            all.insert(path, stat);
        }
    }
    Ok(all)
}

/// Compares two trees.
///
/// # Errors
/// The first difference, in words.
pub fn compare(left: &Path, right: &Path) -> Result<(), String> {
    let (lefts, rights) = (list(left)?, list(right)?);
    if let Some(path) = lefts.keys().find(|path| !rights.contains_key(*path)) {
        return Err(format!("{} is only in {}", path.display(), left.display()));
    }
    if let Some(path) = rights.keys().find(|path| !lefts.contains_key(*path)) {
        return Err(format!("{} is only in {}", path.display(), right.display()));
    }
    let (left_groups, right_groups) = (groups(&lefts), groups(&rights));
    for (path, stat) in &lefts {
        let differ = |what: &str| Err(format!("{} differs: {what}", path.display()));
        let other = &rights[path];
        for (what, one, two) in [
            ("mode", i128::from(stat.st_mode), i128::from(other.st_mode)),
            ("owner", i128::from(stat.st_uid), i128::from(other.st_uid)),
            ("group", i128::from(stat.st_gid), i128::from(other.st_gid)),
            ("mtime", mtime(stat), mtime(other)),
        ] {
            if one != two {
                return differ(&format!("{what} {one:o} is {two:o}"));
            }
        }
        if left_groups[path.as_path()] != right_groups[path.as_path()] {
            return differ("its hard links");
        }
        let (one, two) = (left.join(path), right.join(path));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                if stat.st_size != other.st_size {
                    return differ(&format!("size {} is {}", stat.st_size, other.st_size));
                }
                same_bytes(&one, &two)?;
            }
            FileType::Symlink => {
                let target = |path: &Path| fs::read_link(path).map_err(|error| error.to_string());
                if target(&one)? != target(&two)? {
                    return differ("its target");
                }
            }
            _ => {}
        }
        if xattrs(&one)? != xattrs(&two)? {
            return differ("its extended attributes");
        }
    }
    Ok(())
}

/// Compares two trees.
///
/// # Panics
/// With the first difference.
#[track_caller]
pub fn assert_same(left: &Path, right: &Path, when: &str) {
    if let Err(difference) = compare(left, right) {
        panic!("{when}: {difference}");
    }
}

fn stat(path: &Path) -> Result<Stat, String> {
    rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn mtime(stat: &Stat) -> i128 {
    i128::from(stat.st_mtime) * 1_000_000_000 + stat.st_mtime_nsec as i128
}

/// For each path the first one that is the same file.
fn groups(listing: &Listing) -> BTreeMap<&Path, &Path> {
    let mut first: BTreeMap<u64, &Path> = BTreeMap::new();
    listing
        .iter()
        .map(|(path, stat)| (&**path, *first.entry(stat.st_ino).or_insert(path)))
        .collect()
}

fn same_bytes(left: &Path, right: &Path) -> Result<(), String> {
    let open = |path: &Path| fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()));
    let (mut one, mut two) = (open(left)?, open(right)?);
    let (mut ones, mut twos) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    loop {
        let count = fill(&mut one, &mut ones).map_err(|error| format!("{}: {error}", left.display()))?;
        let other = fill(&mut two, &mut twos).map_err(|error| format!("{}: {error}", right.display()))?;
        if ones[..count] != twos[..other] {
            let within = ones
                .iter()
                .zip(&twos)
                .position(|(one, two)| one != two)
                .unwrap_or(count.min(other));
            return Err(format!(
                "{} differs: its bytes from {} on",
                right.display(),
                at + within
            ));
        }
        if count == 0 {
            return Ok(());
        }
        at += count;
    }
}

fn fill(from: &mut fs::File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match from.read(&mut buffer[done..])? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

fn xattrs(path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let read = || -> rustix::io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut names = vec![0; 1 << 16];
        let len = rustix::fs::llistxattr(path, &mut names[..])?;
        let user = names[..len]
            .split(|byte| *byte == 0)
            .filter(|name| name.starts_with(b"user."));
        user.map(|name| {
            let mut value = vec![0; 1 << 16];
            let len = rustix::fs::lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value[..])?;
            value.truncate(len);
            Ok((name.to_vec(), value))
        })
        .collect()
    };
    match read() {
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(BTreeMap::new()),
        done => done.map_err(|error| format!("extended attributes of {}: {error}", path.display())),
    }
}
