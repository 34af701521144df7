//! What an editor had: by whatever way it came by it, no word of another's is lost or doubled.

mod texts_support;

use std::process::{Child, Command, Stdio};

use coffer_store::event::Form::{Blob, Text};
use coffer_store::ids::ROOT;
use coffer_store::vault::{Change, Identity, Process, Subject};
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";
const BASH: Process = 4_100_003;
const CAT: Process = 4_100_004;

/// A process that lives as long as this.
struct Living(Child);

impl Living {
    fn new() -> Living {
        let mut cat = Command::new("cat");
        let cat = cat.stdin(Stdio::piped()).stdout(Stdio::null());
        Living(cat.spawn().unwrap())
    }

    fn who(&self) -> Process {
        self.0.id()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

/// Two devices with the note.
fn two() -> (Bench, Bench, u64) {
    let one = Bench::new();
    one.save(1, "note.md", NOTE);
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    (one, two, 0)
}

/// What the second told comes to the first.
fn carry(one: &Bench, two: &Bench, had: &mut u64) {
    two.tell();
    for carried in two.vault.told_after(*had).unwrap() {
        one.vault.take_in(&two.vault.device(), &carried).unwrap();
        *had = carried.row.last().unwrap();
    }
}

/// `printf '%s\n' "$(cat note.md)" > note.md`: the shell that wrote had saved before, and was taken
/// for an editor with that, whatever it had read by another process: what came in between was
/// inserted once more.
#[test]
fn what_another_process_read_for_it_is_not_doubled() {
    for remote in [true, false] {
        for made in [
            |read: &str| read.to_owned(),
            |read: &str| read.to_owned() + "More.\n",
        ] {
            let (one, two, mut had) = two();
            one.read(CAT, "note.md");
            one.save(BASH, "note.md", garlic(NOTE));
            one.tell();
            if remote {
                two.save(EMACS, "note.md", butter(NOTE));
                carry(&one, &two, &mut had);
            } else {
                one.read(EMACS, "note.md");
                one.save(EMACS, "note.md", garlic(&butter(NOTE)));
                one.tell();
            }
            for _ in 0..3 {
                let read = one.read(CAT, "note.md");
                one.save(BASH, "note.md", made(&read));
                one.tell();
                assert_eq!(one.text("note.md"), made(&read), "remote {remote}");
            }
            one.check();
        }
    }
}

/// Guards what came in between from a chance likeness: the shell took out what the other took out too,
/// and so is nearer to the other's version, which it never read.
#[test]
fn what_it_never_read_is_not_lost_for_a_likeness() {
    let bench = Bench::new();
    let long = NOTE.replace("Plant", "What both of them come to think is not needed.\n\nPlant");
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.save(BASH, "note.md", &long);
    bench.tell();
    bench.read(EMACS, "note.md");
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    bench.save(BASH, "note.md", NOTE.replace("October", "autumn"));
    bench.tell();
    assert_eq!(bench.text("note.md"), butter(NOTE).replace("October", "autumn"));
}

/// A merge that came while a file was open was read by that handle: it was taken for what the
/// process did not have, since only the open was noted, and its words were doubled.
#[test]
fn an_open_handle_shows_what_the_file_comes_to_show() {
    let (one, two, mut had) = two();
    one.read(VIM, "note.md");
    one.save(VIM, "note.md", garlic(NOTE));
    one.tell();
    let ino = one.ino("note.md");
    let read = (false, false, false);
    one.vault.open_handle(VIM, ino, read, 11).unwrap();
    two.save(
        EMACS,
        "note.md",
        format!("{NOTE}Half of what came goes, half of what came stays.\n"),
    );
    carry(&one, &two, &mut had);
    let mut shown = Vec::new();
    one.vault.read(ino, 0, 1 << 20, &mut shown).unwrap();
    one.vault.release_handle(ino, false, 11);
    // It goes on from what it read, and changes some of it: what stays says that it had all.
    let text = String::from_utf8(shown)
        .unwrap()
        .replace("Half of what came goes, h", "H");
    one.save(VIM, "note.md", &text);
    one.tell();
    assert_eq!(one.text("note.md"), text);
}

/// The same of what another process wrote in place meanwhile.
#[test]
fn an_open_handle_shows_what_another_wrote() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.read(VIM, "note.md");
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.tell();
    let ino = bench.ino("note.md");
    let read = (false, false, false);
    for told in [true, false] {
        bench.vault.open_handle(VIM, ino, read, 21).unwrap();
        let was = bench.text("note.md");
        bench.read(EMACS, "note.md");
        bench.save(
            EMACS,
            "note.md",
            format!("{was}Half of it goes, half of it stays ({told}).\n"),
        );
        if told {
            bench.tell();
        }
        let text = bench.text("note.md").replace(
            &format!("Half of it goes, half of it stays ({told})"),
            &format!("Half of it stays ({told})"),
        );
        bench.save(VIM, "note.md", &text);
        bench.vault.release_handle(ino, false, 21);
        bench.tell();
        assert_eq!(bench.text("note.md"), text, "told {told}");
    }
    bench.check();
}

/// A handle of a file that lost its name to another was never closed, as far as anybody knew: what it
/// showed stayed for ever what its process may have.
#[test]
fn a_handle_of_a_replaced_file_ends() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    let ino = bench.ino("note.md");
    bench
        .vault
        .open_handle(VIM, ino, (false, false, false), 31)
        .unwrap();
    // The file itself stays, as the backup.
    bench.vault.link_by(VIM, ino, ROOT, b"note.md~").unwrap();
    bench.save_by_rename(VIM, "note.md", garlic(NOTE));
    bench.vault.release_handle(ino, false, 31);
    bench.tell();
    // It takes back what it wrote: it is what it had no more.
    bench.save_by_rename(VIM, "note.md", NOTE);
    bench.tell();
    assert_eq!(bench.text("note.md"), NOTE);
}

/// A buffer of which nothing is known, saved as it is, was taken for somebody who puts an older
/// version back: it deleted what had come since, on all devices.
#[test]
fn an_unmodified_stale_buffer_says_nothing() {
    for (case, who, remount) in [("before a remount", VIM, true), ("hidden", 0, false)] {
        for rereads in [false, true] {
            let (mut one, two, mut had) = two();
            one.read(VIM, "note.md");
            two.save(EMACS, "note.md", butter(NOTE));
            carry(&one, &two, &mut had);
            if remount {
                one = one.again();
            }
            if rereads {
                one.read(who, "note.md");
            }
            for _ in 0..2 {
                one.save(who, "note.md", NOTE);
                for _ in 0..3 {
                    one.tell();
                    assert_eq!(one.text("note.md"), butter(NOTE), "{case}, rereads {rereads}");
                }
            }
            // Who wants it says so.
            let of = Subject::File(one.ino("note.md"));
            one.vault.restore_version(of, 1).unwrap();
            one.tell();
            assert_eq!(one.text("note.md"), NOTE, "{case}");
            one.check();
        }
    }
}

/// Where nothing came from others, an older version that somebody copies over is there.
#[test]
fn what_nobody_else_wrote_in_is_put_back() {
    let (one, two, mut had) = two();
    two.save(EMACS, "note.md", butter(NOTE));
    carry(&one, &two, &mut had);
    let (first, second) = (garlic(&butter(NOTE)), butter(NOTE) + "Second.\n");
    for text in [&first, &second] {
        one.read(VIM, "note.md");
        one.save(VIM, "note.md", text);
        one.tell();
    }
    one.save(EMACS, "note.md", &first);
    one.tell();
    assert_eq!(one.text("note.md"), first);
}

/// A text that was none for a while began anew, and an editor that still had the former one was taken
/// for a stranger: what it saved deleted what another had written in the new one.
#[test]
fn an_editor_with_a_former_text_stands_beside_the_new_one() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.read(VIM, "note.md");
    bench.save(EMACS, "note.md", b"no text: \xff\xfe\n");
    bench.tell();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.save(VIM, "note.md", garlic(NOTE));
    for _ in 0..3 {
        bench.tell();
        // What is shown is what was saved last.
        assert_eq!(bench.text("note.md"), garlic(NOTE));
    }
    let versions = bench.versions("note.md");
    assert_eq!(bench.forms("note.md"), [Text, Blob, Text, Text]);
    // What it does not know is not replaced by it.
    assert_eq!(versions[2].parents, versions[1].events);
    assert_eq!(versions[3].parents, versions[0].events);
    assert_eq!(bench.version("note.md", 3), butter(NOTE).as_bytes());
    bench.check();
    // Each goes on from its own; after a remount too.
    bench.save(VIM, "note.md", garlic(NOTE) + "More.\n");
    bench.tell();
    bench.save(EMACS, "note.md", butter(NOTE) + "More by emacs.\n");
    bench.tell();
    let bench = bench.again();
    assert_eq!(bench.text("note.md"), butter(NOTE) + "More by emacs.\n");
    assert_eq!(bench.version("note.md", 5), (garlic(NOTE) + "More.\n").as_bytes());
    let versions = bench.versions("note.md");
    assert_eq!(versions[4].parents, versions[3].events);
    assert_eq!(versions[5].parents, versions[2].events);
    bench.check();
}

/// Where what was no text was over before it was told, the text is still the one that it was.
#[test]
fn what_was_no_text_for_a_moment_ends_none() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.read(VIM, "note.md");
    bench.save(EMACS, "note.md", b"no text: \xff\xfe\n");
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.save(VIM, "note.md", garlic(NOTE));
    for _ in 0..3 {
        bench.tell();
    }
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    bench.check();
}

/// One who read the new text has that, and what it saved last: nothing stands beside anything.
#[test]
fn whoever_has_the_new_text_replaces_it() {
    let bench = Bench::new();
    bench.save(VIM, "note.md", NOTE);
    bench.tell();
    bench.read(VIM, "note.md");
    bench.save(EMACS, "note.md", b"no text: \xff\xfe\n");
    bench.tell();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    let read = bench.read(VIM, "note.md");
    bench.save(VIM, "note.md", garlic(&read));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    let versions = bench.versions("note.md");
    assert_eq!(versions[3].parents, versions[2].events);
}

/// A reader that goes on living, and reads again after each save, made an editor forgotten that had
/// loaded the note.
#[test]
fn a_living_reader_crowds_nobody_out() {
    for handles in [false, true] {
        let indexer = Living::new();
        let bench = Bench::new();
        let editor: Process = std::process::id();
        bench.save(1, "note.md", NOTE);
        bench.tell();
        bench.read(editor, "note.md");
        let mut text = butter(NOTE);
        let ino = bench.ino("note.md");
        bench
            .vault
            .open_handle(indexer.who(), ino, (false, false, false), 41)
            .unwrap();
        for i in 0..80 {
            bench.save(EMACS, "note.md", &text);
            bench.tell();
            match handles {
                true => bench
                    .vault
                    .open_handle(indexer.who(), ino, (false, false, false), 50 + i)
                    .unwrap(),
                false => drop(bench.read(indexer.who(), "note.md")),
            }
            text.push_str(&format!("Line {i}.\n"));
        }
        bench.save(editor, "note.md", garlic(NOTE));
        bench.tell();
        let whole = garlic(&text).replace("Line 79.\n", "");
        assert_eq!(bench.text("note.md"), whole, "handles {handles}");
    }
}

/// Somebody who reads all notes, as `grep -r` does, made the editors of any forgotten.
#[test]
fn who_reads_all_notes_crowds_nobody_out() {
    let grep = Living::new();
    let bench = Bench::new();
    let editor: Process = std::process::id();
    let names: Vec<String> = (0..18_000).map(|i| format!("{i}.md")).collect();
    bench.save(1, "note.md", NOTE);
    for name in &names {
        bench.save(1, name, "a note\n");
    }
    bench.vault.commit().unwrap();
    bench.read(editor, "note.md");
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    for name in &names {
        bench.read(grep.who(), name);
    }
    bench.save(editor, "note.md", garlic(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
}

/// A version was put back while a program had the note open, which then wrote another text over it: what was
/// put back was there beside that.
#[test]
fn what_is_put_back_under_an_open_handle_was_shown() {
    // Between the steps, in each combination: whether commits come there, and the handle's close.
    for case in 0..32 {
        let bench = Bench::new();
        for text in ["one\n", "two\n", "three\n"] {
            bench.save(VIM, "note.md", text);
            bench.tell();
        }
        let maybe = |bit: u32| {
            if case & bit != 0 {
                bench.tell();
            }
        };
        let (ino, handle) = (bench.ino("note.md"), 7);
        let write = (true, false, false);
        bench.vault.open_handle(VIM, ino, write, handle).unwrap();
        // A child of the program closes what it has inherited.
        bench.vault.close_handle(ino, handle);
        bench.vault.restore_version(Subject::File(ino), 1).unwrap();
        maybe(1);
        if case & 2 == 0 {
            bench.vault.release_handle(ino, true, handle);
        }
        maybe(4);
        // As the kernel asks for it: opened, cut, written.
        bench.vault.open_handle(VIM, ino, write, 8).unwrap();
        let cut = Change {
            size: Some(0),
            ..Change::default()
        };
        bench.vault.change(ino, cut).unwrap();
        maybe(8);
        bench.vault.write(ino, Some(0), b"five\n", false).unwrap();
        bench.vault.release_handle(ino, true, 8);
        maybe(16);
        if case & 2 != 0 {
            bench.vault.release_handle(ino, true, handle);
        }
        bench.tell();
        assert_eq!(bench.text("note.md"), "five\n", "{case}");
    }
}

/// A process with two handles, of an older version and of the newest: what it put back beside the newest
/// words was taken for an edit of the older version, and those words were there twice.
#[test]
fn of_two_handles_the_newer_one_counts_where_words_would_double() {
    let long = "A paragraph that is so long that it is more than what took its place.\n";
    let was = format!("Groceries\n\n{long}\nEnd\n");
    let bench = Bench::new();
    bench.save(VIM, "note.md", &was);
    bench.tell();
    let ino = bench.ino("note.md");
    let open = |handle| {
        let how = (false, false, false);
        bench.vault.open_handle(BASH, ino, how, handle).unwrap();
    };
    open(71);
    bench.read(EMACS, "note.md");
    bench.save(EMACS, "note.md", "Groceries\n\nBuy eggs.\n\nEnd\n");
    bench.tell();
    open(72);
    let both = format!("Groceries\n\n{long}Buy eggs.\n\nEnd\n");
    bench.save(BASH, "note.md", &both);
    bench.tell();
    bench.tell();
    assert_eq!(bench.text("note.md"), both);
    bench.check();
}
