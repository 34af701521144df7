//! Guards the thin layer over the operating system: modes, names, ends of files.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};

use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;

#[test]
fn files_are_private_and_stay_in_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(dir.path()).unwrap();
    let file = disk.create("a").unwrap();
    assert_eq!(
        fs::metadata(dir.path().join("a")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(disk.create("a").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(disk.open("b").unwrap_err().kind(), ErrorKind::NotFound);
    for name in ["", ".", "..", "x/y", "/etc/passwd", "a\0b", "ä", "a b"] {
        assert_eq!(
            disk.create(name).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{name:?}"
        );
        assert_eq!(
            disk.remove(name).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{name:?}"
        );
    }

    file.write_at(5, b"hello").unwrap();
    assert_eq!(file.len().unwrap(), 10);
    let mut out = [9; 10];
    file.read_at(0, &mut out).unwrap();
    assert_eq!(&out, b"\0\0\0\0\0hello");
    assert_eq!(
        file.read_at(1, &mut out).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    file.set_len(3).unwrap();
    assert_eq!(disk.open("a").unwrap().len().unwrap(), 3);
    file.sync_data().unwrap();

    symlink("a", dir.path().join("link")).unwrap();
    assert!(disk.open("link").is_err(), "a symbolic link is not followed");
    disk.remove("link").unwrap();
    disk.create("c").unwrap();
    disk.rename("a", "c").unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(disk.list().unwrap(), ["c"]);
    assert_eq!(disk.open("c").unwrap().len().unwrap(), 3);
    let space = disk.space().unwrap();
    assert!(space.total > 0 && space.available <= space.free && space.free <= space.total);
}

/// The directory is held, not its path: moving it away changes nothing.
#[test]
fn the_directory_is_held_by_descriptor() {
    let root = tempfile::tempdir().unwrap();
    let (before, after) = (root.path().join("before"), root.path().join("after"));
    fs::create_dir(&before).unwrap();
    let disk = RealDisk::open(&before).unwrap();
    fs::rename(&before, &after).unwrap();
    disk.create("a").unwrap();
    assert!(after.join("a").exists());
    assert!(
        RealDisk::open(&after.join("a")).is_err(),
        "a file is not a directory"
    );
}
