//! Commits that fail and power that goes while a stale buffer is told and its merge shown: at every
//! call on the disk. Each word is there exactly once, whoever opens the file in between.

mod texts_support;

use coffer_store::io::sim::Fault;
use coffer_store::vault::Identity;
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

/// Both have loaded the note; one has saved, and it is told; the other is about to be.
fn stale(versions: usize) -> Bench {
    let bench = Bench::new();
    for i in 0..versions {
        bench.save(1, "note.md", format!("{NOTE}{i}\n"));
        bench.tell();
    }
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.read(VIM, "note.md");
    bench.read(EMACS, "note.md");
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.vault.commit().unwrap();
    bench
}

/// So many calls the telling takes, and some more.
fn calls() -> u64 {
    let bench = stale(0);
    bench.save(VIM, "note.md", garlic(NOTE));
    let before = bench.disk.ops();
    bench.tell();
    bench.disk.ops() - before + 2
}

/// Who comes between a commit that fails and the next.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nobody,
    Reader,
    Appender,
    Opener,
    Remover,
}

/// Guards what a file shows, and what names it, against commits that fail.
#[test]
fn a_commit_that_fails_loses_and_doubles_nothing() {
    let calls = calls();
    for between in [
        Between::Nobody,
        Between::Reader,
        Between::Appender,
        Between::Opener,
        Between::Remover,
    ] {
        for (fault, sticky) in [(Fault::NoSpace, false), (Fault::Io, false), (Fault::Io, true)] {
            for call in 1..=calls {
                fails_at(between, fault, sticky, call);
            }
        }
    }
}

fn fails_at(between: Between, fault: Fault, sticky: bool, call: u64) {
    let case = format!("{between:?}, {fault:?}, sticky {sticky}, call {call}");
    let bench = stale(0);
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.disk.fail_at(bench.disk.ops() + call, fault, sticky);
    let _ = bench.vault.tick();
    let ino = bench.ino("note.md");
    let mut whole = garlic(&butter(NOTE));
    match between {
        Between::Nobody => {}
        Between::Reader => {
            let text = bench.read(4_100_003, "note.md");
            assert!(text == garlic(NOTE) || text == whole, "{case}: {text}");
        }
        Between::Appender => {
            bench.vault.open_by(VIM, ino, true, false, false).unwrap();
            bench.vault.write(ino, None, b"Appended.\n", false).unwrap();
            let _ = bench.vault.tick();
            bench.disk.heal();
            let _ = bench.vault.tick();
            bench.vault.release(ino, true);
            whole += "Appended.\n";
        }
        Between::Opener => {
            let loaded = bench.read(VIM, "note.md");
            bench.save(VIM, "note.md", loaded + "Loaded.\n");
            let _ = bench.vault.tick();
            whole += "Loaded.\n";
        }
        Between::Remover => {
            // Cut while it is open, as a save begins; a commit leaves what was there.
            bench.vault.open_by(VIM, ino, true, true, false).unwrap();
            let _ = bench.vault.tick();
            bench.disk.heal();
            let _ = bench.vault.tick();
            let found = Bench::on(bench.disk.crash_all_lost(), Identity::Same);
            found.tell();
            let text = found.text("note.md");
            let was = [butter(NOTE), whole.clone()];
            assert!(was.contains(&text), "{case}, after a crash: {text}");
            found.check();
            bench
                .vault
                .write(ino, Some(0), garlic(NOTE).as_bytes(), false)
                .unwrap();
            bench.vault.release(ino, true);
        }
    }
    bench.disk.heal();
    for round in 0..4 {
        bench.tell();
        assert_eq!(bench.text("note.md"), whole, "{case}, round {round}");
    }
    bench.check();
    let bench = bench.again();
    for _ in 0..3 {
        bench.tell();
        assert_eq!(bench.text("note.md"), whole, "{case}, opened again");
    }
    let loaded = bench.read(VIM, "note.md");
    bench.save(VIM, "note.md", loaded.clone() + "After.\n");
    bench.tell();
    assert_eq!(bench.text("note.md"), loaded + "After.\n", "{case}");
}

/// Guards the same against power that goes; and the stale buffer that is saved once more after it, by
/// a process that nobody knows then.
#[test]
fn a_crash_at_any_point_loses_and_doubles_nothing() {
    for versions in [0, 20] {
        for call in 1..=calls() {
            for how in 0..4 {
                crashes_at(versions, call, how);
            }
        }
    }
}

fn crashes_at(versions: usize, call: u64, how: u64) {
    let case = format!("{versions} versions, call {call}, {how}");
    let bench = stale(versions);
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.disk.freeze_at(bench.disk.ops() + call);
    bench.tell();
    let disk = match how {
        0 => bench.disk.crash_all_lost(),
        1 => bench.disk.crash_all_kept(),
        seed => bench.disk.crash(seed * 1000 + call),
    };
    let bench = Bench::on(disk, Identity::Same);
    let found = bench.text("note.md");
    let whole = garlic(&butter(NOTE));
    // What was not synced may be gone, never a part of it.
    assert!(
        [butter(NOTE), garlic(NOTE), whole.clone()].contains(&found),
        "{case}: {found}"
    );
    for _ in 0..3 {
        bench.tell();
        let expected = if found == butter(NOTE) { &found } else { &whole };
        assert_eq!(bench.text("note.md"), *expected, "{case}");
    }
    bench.check();
    let was_told = found != butter(NOTE);
    if was_told {
        bench.save(VIM, "note.md", garlic(NOTE) + "Recovered.\n");
        for _ in 0..3 {
            bench.tell();
            assert_eq!(bench.text("note.md"), whole.clone() + "Recovered.\n", "{case}");
        }
        bench.check();
    }
}
