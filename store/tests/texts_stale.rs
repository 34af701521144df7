//! Stale buffers: an editor saves what it loaded before somebody else's version came. No word of
//! either side is lost or doubled.

mod texts_support;

use coffer_store::event::Form::Text;
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

/// A note that both have open.
fn open_by_both() -> Bench {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    assert_eq!(bench.read(VIM, "note.md"), NOTE);
    assert_eq!(bench.read(EMACS, "note.md"), NOTE);
    bench
}

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

/// Guards the editor that saves what it loaded before another's version was there.
#[test]
fn a_stale_buffer_is_merged() {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), butter(NOTE));
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    let versions = bench.versions("note.md");
    assert_eq!(bench.forms("note.md"), [Text; 3]);
    // What was saved is the version; the merge is named by both.
    assert_eq!(bench.version("note.md", 3), garlic(NOTE).as_bytes());
    assert_eq!(versions[2].parents, [versions[0].events[0]]);
    bench.check();
    let bench = bench.again();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    // The next version is made from the merge.
    bench.read(VIM, "note.md");
    bench.save(VIM, "note.md", format!("{}The end.\n", bench.text("note.md")));
    bench.tell();
    let after = bench.versions("note.md");
    assert_eq!(after.len(), 4);
    let mut parents = after[3].parents.clone();
    parents.sort_unstable();
    let mut both = [versions[1].events[0], versions[2].events[0]];
    both.sort_unstable();
    assert_eq!(parents, both);
    assert_eq!(
        bench.text("note.md"),
        format!("{}The end.\n", garlic(&butter(NOTE)))
    );
    bench.check();
}

/// Guards the same editor, which saves again and again without ever loading the merge.
#[test]
fn it_saves_again_and_again() {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    let mut buffer = garlic(NOTE);
    for i in 0..5 {
        buffer.push_str(&format!("Line {i} by one.\n"));
        bench.save(VIM, "note.md", &buffer);
        bench.tell();
        assert_eq!(bench.text("note.md"), butter(&buffer), "save {i}");
    }
    // Unchanged, and taken back: what it takes back goes, what the other wrote stays.
    bench.save(VIM, "note.md", &buffer);
    bench.tell();
    assert_eq!(bench.text("note.md"), butter(&buffer));
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), butter(&garlic(NOTE)));
    // It loads the merge, and saves.
    let loaded = bench.read(VIM, "note.md");
    let edited = loaded.replace("# Garden", "# The garden") + "It loaded the merge.\n";
    bench.save(VIM, "note.md", &edited);
    bench.tell();
    assert_eq!(bench.text("note.md"), edited);
    bench.check();
}

/// Guards the editor that reads the file just before it writes, to back it up: nearness decides.
#[test]
fn a_read_before_the_write_is_not_what_it_had() {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    bench.read(VIM, "note.md");
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
}

/// Guards saves by a new file in the old one's place, stale and not.
#[test]
fn by_rename_too() {
    let bench = open_by_both();
    bench.save_by_rename(EMACS, "note.md", butter(NOTE));
    bench.tell();
    bench.save_by_rename(VIM, "note.md", garlic(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    assert_eq!(bench.versions("note.md").len(), 3);
    bench.check();
}

/// Guards saves of both before the step has run at all.
#[test]
fn both_save_before_anything_is_told() {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.save(EMACS, "note.md", butter(NOTE) + "More by emacs.\n");
    bench.vault.commit().unwrap();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)) + "More by emacs.\n");
    assert_eq!(bench.versions("note.md").len(), 4);
    bench.check();
}

/// Guards POSIX for whoever never had an older version: what it writes is what is there.
#[test]
fn what_a_stranger_writes_is_there() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.read(VIM, "note.md");
    for text in [garlic(NOTE), butter(&garlic(NOTE))] {
        bench.save(VIM, "note.md", text);
        bench.tell();
    }
    // An older version is put back by copying it, by a process that is known and one that is not.
    for who in [EMACS, 0] {
        bench.save(who, "note.md", NOTE);
        bench.tell();
        assert_eq!(bench.text("note.md"), NOTE);
        bench.save(who, "note.md", garlic(NOTE));
        bench.tell();
        assert_eq!(bench.text("note.md"), garlic(NOTE));
    }
    bench.save(EMACS, "note.md", "something else\n");
    bench.tell();
    assert_eq!(bench.text("note.md"), "something else\n");
}

/// Guards a merge that a writer holds up: it is shown once nobody writes, and nothing is doubled.
#[test]
fn a_merge_waits_for_who_writes() {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    bench.save(VIM, "note.md", garlic(NOTE));
    let ino = bench.ino("note.md");
    // Somebody appends, and has not closed it.
    bench.vault.open_by(VIM, ino, true, false, false).unwrap();
    bench.vault.write(ino, None, b"Appended.\n", false).unwrap();
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(NOTE) + "Appended.\n");
    bench.vault.release(ino, true);
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)) + "Appended.\n");
    bench.check();
    let bench = bench.again();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)) + "Appended.\n");
}

/// Guards what a crash leaves in the midst of merging: nothing is lost, and the next saves go on.
#[test]
fn a_crash_while_merging_loses_nothing() {
    for synced in [false, true] {
        let bench = open_by_both();
        bench.save(EMACS, "note.md", butter(NOTE));
        bench.tell();
        bench.save(VIM, "note.md", garlic(NOTE));
        if synced {
            bench.vault.sync(bench.ino("note.md")).unwrap();
        } else {
            bench.tell();
        }
        let bench = bench.crashed();
        bench.tell();
        let text = bench.text("note.md");
        if synced {
            // Who had what is not known any more; what was saved is there.
            assert_eq!(text, garlic(NOTE));
        } else {
            assert_eq!(text, garlic(&butter(NOTE)));
        }
        bench.check();
    }
}
