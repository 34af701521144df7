//! Imports that are cut short: killed, stopped by ^C, overtaken by an ending, or by the files
//! themselves. Whatever has a name is whole, and the same command goes on from there.

mod common;
mod transfer;

use common::{Stage, cannot_mount, kill, lives, until};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use transfer::tree::{assert_same, list};
use transfer::{bytes, half_way, plant_many};

/// All that was brought out is as in the source, though not all of the source is there. Folders
/// have the times of the source too.
#[track_caller]
fn assert_part(whole: &Path, part: &Path) -> usize {
    let wholes = list(whole).unwrap();
    let parts = list(part).unwrap();
    for (path, stat) in &parts {
        let other = wholes
            .get(path)
            .unwrap_or_else(|| panic!("{} is new", path.display()));
        let time = |stat: &rustix::fs::Stat| (stat.st_mtime, stat.st_mtime_nsec);
        assert_eq!(time(stat), time(other), "{}", path.display());
        assert_eq!(stat.st_mode, other.st_mode, "{}", path.display());
        if part.join(path).is_file() {
            let same = fs::read(whole.join(path)).unwrap() == fs::read(part.join(path)).unwrap();
            assert!(same, "{} is torn", path.display());
        }
    }
    parts.len()
}

/// Guards kill -9 in the middle, several times on the way: what is there is whole, nothing is
/// damaged, and running it again brings the rest and reads nothing twice that has a name.
#[test]
fn a_killed_import_goes_on() {
    let stage = Stage::with_vault();
    let source = plant_many(&stage, "source");
    let mut caught = 0;
    let before = transfer::stored(&stage);
    for (round, grown) in [1, 32 << 20, 64 << 20].into_iter().enumerate() {
        // From where it was in the beginning: what a kill left in packs is written over.
        let grown = (before + grown).saturating_sub(transfer::stored(&stage)).max(1);
        let mut child = half_way(&stage, &["import", "source", "--password-stdin"], grown);
        child.kill().unwrap();
        let code = child.wait().unwrap();
        caught += usize::from(!code.success());
        stage.open(&["check", "--read-data"]).gives(0);
        let out = format!("out-{round}");
        // Before the first commit not even the folder is there.
        if stage.open(&["export", "source", &out]).code == 0 {
            assert_part(&source, &stage.path(&out).join("source"));
        }
    }
    assert!(caught > 0, "none of them was caught in the middle");
    let sum = stage.open(&["import", "source", "--json"]).gives(0).json();
    assert!(sum["there"].as_u64().unwrap() > 0, "{sum}");
    stage.open(&["export", "source", "whole"]).gives(0);
    assert_same(&source, &stage.path("whole/source"), "in the end");
}

/// Guards the same where the daemon does the work and is killed.
#[test]
fn a_killed_daemon_leaves_whole_files() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let source = plant_many(&stage, "source");
    let daemon = stage.mount();
    let child = half_way(&stage, &["import", "source"], 8 << 20);
    kill(daemon, libc::SIGKILL);
    let said: common::Said = child.wait_with_output().unwrap().into();
    assert!(said.code == 1 || said.code == 0, "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    until("the daemon is gone", || !lives(daemon));
    stage.run(&["unmount", "mnt"]).gives(0);
    if stage.open(&["export", "source", "part"]).code == 0 {
        assert_part(&source, &stage.path("part/source"));
    }
    stage.mount();
    stage.run(&["import", "source"]).gives(0);
    assert_same(&source, &stage.mnt().join("source"), "in the end");
    stage.run(&["lock"]).gives(0);
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards ^C: it ends at a file's end with a summary and a code, in this process and in the daemon,
/// which lives on.
#[test]
fn an_interrupt_ends_it_at_a_files_end() {
    let stage = Stage::with_vault();
    let source = plant_many(&stage, "source");
    let mounted = !cannot_mount();
    for through_daemon in [false, true] {
        if through_daemon && !mounted {
            return;
        }
        let into = format!("into-{through_daemon}");
        let mut args = vec!["import", "source", "--into", &into, "--json"];
        if through_daemon {
            stage.mount();
        } else {
            args.push("--password-stdin");
        }
        let child = half_way(&stage, &args, 1 << 20);
        kill(child.id(), libc::SIGINT);
        let said: common::Said = child.wait_with_output().unwrap().into();
        let sum = said.gives(1).json();
        assert_eq!(sum["stopped"], true, "{sum}");
        let path = format!("{into}/source");
        let out = format!("out-{through_daemon}");
        match through_daemon {
            true => stage.run(&["export", &path, &out]).gives(0),
            false => stage.open(&["export", &path, &out]).gives(0),
        };
        let there = assert_part(&source, &stage.path(&out).join("source"));
        let files = sum["new_files"].as_u64().unwrap() + sum["new_folders"].as_u64().unwrap();
        // The folder that receives, and the tree's own.
        assert_eq!(there as u64 + 2, files, "the summary says what is there: {sum}");
        assert!((there as u64) < 8000, "it did not stop");
    }
    stage.run(&["import", "source", "--into", "into-true"]).gives(0);
    assert_same(&source, &stage.mnt().join("into-true/source"), "in the end");
}

/// Guards endings: a polite one is refused while files are taken in, a forced one ends that first;
/// what was taken in is whole.
#[test]
fn a_lock_waits_for_an_import_or_ends_it() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let source = plant_many(&stage, "source");
    let daemon = stage.mount();
    let child = half_way(&stage, &["import", "source"], 4 << 20);
    let said = stage.run(&["lock"]);
    let forced = stage.run(&["lock", "--force"]);
    let imported: common::Said = child.wait_with_output().unwrap().into();
    assert_eq!(said.code, 5, "the polite one: {}", said.err);
    assert!(said.err.contains("import"), "{}", said.err);
    forced.gives(0);
    assert_eq!(imported.code, 1, "{}{}", imported.out, imported.err);
    assert!(!lives(daemon));
    stage.open(&["check", "--read-data"]).gives(0);
    if stage.open(&["export", "source", "part"]).code == 0 {
        assert_part(&source, &stage.path("part/source"));
    }
}

/// Guards a file that is written to while it is read: it is left out, and said so.
#[test]
fn a_file_that_goes_on_changing_is_left_out() {
    let stage = Stage::with_vault();
    fs::create_dir(stage.path("s")).unwrap();
    fs::write(stage.path("s/still"), "still").unwrap();
    fs::write(stage.path("s/log"), bytes(1, 48 << 20)).unwrap();
    let over = AtomicBool::new(false);
    let sum = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = fs::File::options()
                .append(true)
                .open(stage.path("s/log"))
                .unwrap();
            while !over.load(Ordering::Relaxed) {
                log.write_all(b"one more line\n").unwrap();
            }
        });
        let said = stage.open(&["import", "s", "--json"]);
        over.store(true, Ordering::Relaxed);
        said.gives(11).json()
    });
    let skipped = &sum["skipped"][0];
    assert_eq!(skipped["reason"], "changing", "{sum}");
    assert!(skipped["path"].as_str().unwrap().ends_with("s/log"), "{sum}");
    assert_eq!(sum["new_files"], 1, "the other went: {sum}");
    stage.open(&["export", "s", "out"]).gives(0);
    assert!(!stage.path("out/s/log").exists());
    // At rest, it goes; and what was stored of it before need not be stored again.
    let sum = stage.open(&["import", "s", "--json"]).gives(0).json();
    assert_eq!(sum["new_files"], 1, "{sum}");
    assert!(sum["saved_bytes"].as_u64().unwrap() > 20 << 20, "{sum}");
}
