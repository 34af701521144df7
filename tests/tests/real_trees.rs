//! Guards real input: the documentation of all installed packages and the sources in Cargo's
//! registry, copied in and compared byte for byte after a remount, a kill -9, a change of the
//! password, and a restore from backup. A sample by default, all of it when asked for long.

use coffer_tests::args;
use coffer_tests::command::run;
use coffer_tests::settings::{long, skip};
use coffer_tests::tree::{self, assert_same};
use coffer_tests::vault::Vault;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How much of each tree is taken in a short run, in bytes.
const SAMPLE: u64 = 40 << 20;

fn registry() -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))?;
    fs::read_dir(cargo.join("registry/src"))
        .ok()?
        .flatten()
        .next()
        .map(|entry| entry.path())
}

fn bytes_in(tree: &Path) -> u64 {
    tree::list(tree).map_or(0, |listing| {
        listing.values().map(|stat| stat.st_size as u64).sum()
    })
}

/// Copies a tree, or every n-th of its folders so that about [`SAMPLE`] bytes are taken.
fn take(from: &Path, to: &Path) {
    fs::create_dir(to).expect("it is new");
    let mut parts: Vec<PathBuf> = fs::read_dir(from)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    parts.sort();
    if !long() {
        let each = (bytes_in(from) / SAMPLE).max(1) as usize;
        parts = parts.into_iter().step_by(each).collect();
    }
    for some in parts.chunks(200) {
        run(Command::new("cp").arg("-a").args(some).arg(to), b"").ok();
    }
}

/// In, and then through all that may happen to a vault.
#[test]
fn real_trees_come_back_byte_for_byte() {
    let Some(mut vault) = Vault::mounted() else { return };
    let mut sources = vec![("doc", PathBuf::from("/usr/share/doc"))];
    match registry() {
        Some(registry) => sources.push(("registry", registry)),
        None => skip("Cargo's registry is empty"),
    }
    sources.retain(|(name, path)| {
        path.is_dir() || {
            skip(&format!("there is no {name}"));
            false
        }
    });
    // A copy outside: packages may be installed while this runs.
    let kept = vault.scratch().join("kept");
    fs::create_dir(&kept).expect("it is new");
    for (name, from) in &sources {
        take(from, &kept.join(name));
    }
    let inside = vault.mountpoint.join("kept");
    run(Command::new("cp").arg("-a").args([&kept, &inside]), b"").ok();
    println!(
        "{} entries, {} bytes",
        tree::list(&kept).map_or(0, |all| all.len()),
        bytes_in(&kept)
    );
    assert_same(&kept, &inside, "after copying in");
    vault.lock();
    vault.mount();
    assert_same(&kept, &inside, "after a remount");
    // A second copy, so that the kill comes after writes.
    let again = vault.mountpoint.join("again");
    run(Command::new("cp").arg("-a").args([&kept, &again]), b"").ok();
    vault.settle();
    vault.kill();
    vault.mount();
    assert_same(&kept, &inside, "after kill -9");
    assert_same(&kept, &again, "written before kill -9");
    vault.change_password("another battery staple horse");
    assert_same(&kept, &inside, "while mounted, after a change of the password");
    vault.lock();
    vault.mount();
    assert_same(&kept, &inside, "after a change of the password and a remount");
    let backup = vault.scratch().join("backup");
    vault.back_up(&backup);
    // More after it, and a second backup into the same place: that is incremental.
    fs::remove_dir_all(&again).expect("a tree can be removed");
    fs::write(vault.mountpoint.join("late"), "late").expect("there is room");
    vault.back_up(&backup);
    vault.lock();
    vault.restore(&backup);
    vault.try_mount(&args!["--moved"]).ok();
    assert_same(&kept, &inside, "after a restore from backup");
    assert_eq!(
        fs::read(vault.mountpoint.join("late")).expect("it was backed up"),
        b"late"
    );
    assert!(!again.exists(), "what was removed before the backup is back");
    vault.assert_sound();
}
