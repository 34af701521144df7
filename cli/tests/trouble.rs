//! Guards what went wrong for people: endings that hung, disks that stayed full, words that were
//! missing. Through the built program and real mounts; skipped, with a word, where nothing can be mounted.

mod common;

use common::{Stage, cannot_mount, lives, until};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A process that ends with the test.
struct Killed(Child);
impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process in a mount namespace of its own, which keeps a copy of all that is mounted.
fn keeper_of_a_copy() -> Killed {
    let mut keeper = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            "echo there; exec sleep 1000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "there\n");
    Killed(keeper)
}

/// `lock` waited for ever, with the keys in memory, while a private mount namespace held a copy
/// of the mount. It ends it, also for who has the copy, and keeps what was written.
#[test]
fn lock_ends_a_mount_copied_into_a_namespace() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    fs::write(stage.mnt().join("Notes/kept"), "kept").unwrap();
    let copy = keeper_of_a_copy();
    let seen = format!("/proc/{}/root{}", copy.0.id(), stage.mnt().display());
    assert_eq!(fs::read(format!("{seen}/Notes/kept")).unwrap(), b"kept");
    let mut lock = stage.command(&["lock"]).stdout(Stdio::null()).spawn().unwrap();
    until("lock has ended", || lock.try_wait().unwrap().is_some());
    assert!(lock.wait().unwrap().success());
    assert!(!lives(pid) && !stage.is_mounted());
    // Names that the kernel has cached may still be shown there; nothing can be opened.
    assert!(
        fs::read(format!("{seen}/Notes/kept")).is_err(),
        "the copy still shows the vault"
    );
    drop(copy);
    stage.mount();
    assert_eq!(
        fs::read_to_string(stage.mnt().join("Notes/kept")).unwrap(),
        "kept"
    );
}
