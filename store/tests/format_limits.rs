//! Guards the edge between what a caller may set and what a record can hold: whatever the
//! vault accepts, it commits, publishes and reads again.

use std::path::PathBuf;
use std::sync::Arc;

use coffer_store::ids::ROOT;
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, NAME_MAX, Time, XATTRS_COUNT_MAX, XATTRS_MAX, Xattrs, xattrs_len};
use coffer_store::tree::Kind;
use coffer_store::vault::{CheckOptions, Identity, OpError, Sealed, Vault};

fn password() -> Password {
    Password::new(b"password".to_vec())
}

fn vault(disk: &SimDisk) -> Arc<Vault> {
    let disk = Arc::new(disk.clone());
    Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None)
        .unwrap()
        .0
}

fn again(disk: &SimDisk) -> Arc<Vault> {
    let sealed = Sealed::open_on(Arc::new(disk.clone()), PathBuf::new(), None).unwrap();
    sealed.unlock(&password(), Identity::Same).unwrap()
}

fn meta(xattrs: Xattrs) -> Meta {
    let time = Time::default();
    Meta {
        kind: Kind::File,
        perm: 0o600,
        uid: 0,
        gid: 0,
        rdev: 0,
        nlink: 1,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        xattrs: Some(Box::new(xattrs)),
    }
}

/// The n-th of names that are short: all of one byte, then all of two …
fn short_name(n: usize) -> Vec<u8> {
    let digit = |n: usize| 1 + (n % 255) as u8;
    match n {
        0..255 => vec![digit(n)],
        _ => [short_name(n / 255 - 1), vec![digit(n)]].concat(),
    }
}

fn is_enospc(result: Result<(), OpError>) -> bool {
    result.is_err_and(|e| e.errno() == libc::ENOSPC)
}

/// Sets one xattr more than there may be, then saves, publishes and reads again.
fn full(xattrs: Xattrs, more: (&[u8], &[u8])) {
    let disk = SimDisk::new();
    let before = vault(&disk);
    let some = xattrs.keys().next().unwrap().clone();
    let ino = before.make(ROOT, b"full", meta(xattrs.clone()), b"").unwrap();
    assert!(is_enospc(before.set_xattr(ino, more.0, more.1, None)));
    // One that is there can still be changed.
    before.set_xattr(ino, &some, &xattrs[&some], Some(true)).unwrap();
    before.open(ino, true, false, false).unwrap();
    before.write(ino, Some(0), &[7; 4096], false).unwrap();
    before.release(ino, true);
    before.close().unwrap();
    drop(before);
    let vault = again(&disk);
    assert_eq!(vault.lookup(ROOT, b"full").unwrap(), ino);
    assert_eq!(vault.xattrs(ino).unwrap().len(), xattrs.len());
    assert_eq!(vault.xattr(ino, &some).unwrap(), xattrs[&some]);
    let report = vault
        .check(CheckOptions { read_data: true }, &mut |_| {})
        .unwrap();
    assert_eq!(report.problems, []);
    assert!(
        report.events >= 2,
        "the file and its name are told: {}",
        report.events
    );
}

/// As many xattrs as their count can say.
#[test]
fn the_most_xattrs() {
    let xattrs: Xattrs = (0..XATTRS_COUNT_MAX)
        .map(|n| (short_name(n), Vec::new()))
        .collect();
    assert_eq!(xattrs.len(), XATTRS_COUNT_MAX);
    assert!(
        xattrs_len(&xattrs) < XATTRS_MAX - 100,
        "their bytes are not what stops it"
    );
    full(xattrs, (&short_name(XATTRS_COUNT_MAX), b""));
}

/// As many bytes of xattrs as there can be, and a body in the same event.
#[test]
fn the_longest_xattrs() {
    let pair = |n: u8| (vec![n; NAME_MAX], vec![n; 65536 - NAME_MAX - 8]);
    let xattrs: Xattrs = (1..=16).map(pair).collect();
    assert_eq!(xattrs_len(&xattrs), XATTRS_MAX);
    full(xattrs, (b"a", b""));
}
