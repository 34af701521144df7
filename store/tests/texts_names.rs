//! Which names are texts is a setting of the vault: it counts at once, for files that are there too, and
//! nothing is lost by it.

mod texts_support;

use coffer_store::event::Form::{Blob, Text};
use coffer_store::io::sim::Fault;
use coffer_store::text::TextNames;
use texts_support::pair::Pair;
use texts_support::*;

fn names(list: &str) -> TextNames {
    list.parse().unwrap()
}

/// Guards the setting itself: kept and told, over a lock and a crash, and the program's own list again.
#[test]
fn it_is_kept() {
    let bench = Bench::new();
    assert_eq!(bench.vault.text_names(), (TextNames::default(), true));
    bench.vault.set_text_names(Some(&names("*.md *.bin"))).unwrap();
    assert_eq!(bench.vault.text_names(), (names("*.md *.bin"), false));
    let events = bench.vault.status().unwrap().events;
    let bench = bench.crashed();
    assert_eq!(bench.vault.text_names(), (names("*.md *.bin"), false));
    bench.save(VIM, "new.bin", "text\n");
    bench.tell();
    assert_eq!(bench.forms("new.bin"), [Text]);
    assert!(bench.vault.status().unwrap().events > events);
    let bench = bench.again();
    bench.save(VIM, "new.bin", "text again\n");
    bench.tell();
    assert_eq!(bench.forms("new.bin"), [Text; 2]);
    bench.vault.set_text_names(None).unwrap();
    let bench = bench.again();
    assert_eq!(bench.vault.text_names(), (TextNames::default(), true));
    bench.save(VIM, "new.bin", "no text\n");
    bench.tell();
    assert_eq!(bench.forms("new.bin"), [Text, Text, Blob]);
    bench.check();
}

/// Guards files that are there: what is saved next is of the new kind, every version is still what it
/// was, and setting the list makes no version of any file.
#[test]
fn files_change_their_kind_with_the_next_save() {
    let bench = Bench::new();
    let saves = |name: &str, texts: &[&str]| {
        for text in texts {
            bench.save(VIM, name, text);
            bench.tell();
        }
    };
    for name in ["note.md", "data.bin", "readme"] {
        saves(name, &["one\n", "one\ntwo\n"]);
    }
    bench
        .vault
        .link(bench.ino("note.md"), coffer_store::ids::ROOT, b"other.md")
        .unwrap();
    bench.tell();
    let events = bench.vault.status().unwrap().events;
    bench.vault.set_text_names(Some(&names("*.bin readme"))).unwrap();
    assert_eq!(
        bench.vault.status().unwrap().events,
        events + 1,
        "of the setting alone"
    );
    for name in ["note.md", "data.bin", "readme"] {
        assert_eq!(bench.versions(name).len(), 2, "{name}");
        saves(name, &["one\ntwo\nthree\n", "one\ntwo\nthree\nfour\n"]);
    }
    assert_eq!(bench.forms("note.md"), [Text, Text, Blob, Blob]);
    assert_eq!(bench.forms("data.bin"), [Blob, Blob, Text, Text]);
    assert_eq!(bench.forms("readme"), [Text; 4]);
    let bench = bench.again();
    bench.vault.set_text_names(None).unwrap();
    for name in ["note.md", "data.bin"] {
        bench.save(VIM, name, "end\n");
        bench.tell();
        let all = [
            "one\n",
            "one\ntwo\n",
            "one\ntwo\nthree\n",
            "one\ntwo\nthree\nfour\n",
            "end\n",
        ];
        for (text, number) in all.iter().zip(1..) {
            assert_eq!(bench.version(name, number), text.as_bytes(), "{name}@{number}");
        }
    }
    assert_eq!(bench.forms("note.md").last(), Some(&Text));
    assert_eq!(bench.forms("data.bin").last(), Some(&Blob));
    bench.check();
}

/// Guards what is on its way when the list changes: saves that are not told yet, a file that is open, an
/// editor with an old buffer. And a folder that is closed to texts whatever the list says.
#[test]
fn what_is_on_its_way_is_not_lost() {
    let bench = Bench::new();
    for name in ["note.md", "data.bin"] {
        bench.save(VIM, name, "one\n");
        bench.tell();
        bench.read(EMACS, name);
        // Two saves that nobody was told of, then half a one.
        bench.save(VIM, name, "one\ntwo\n");
        bench.save(VIM, name, "one\ntwo\nthree\n");
        let ino = bench.ino(name);
        bench.vault.open_by(VIM, ino, true, true, false).unwrap();
        bench.vault.write(ino, Some(0), b"half", false).unwrap();
    }
    bench.vault.set_text_names(Some(&names("*.bin"))).unwrap();
    for name in ["note.md", "data.bin"] {
        let ino = bench.ino(name);
        assert_eq!(bench.text(name), "half");
        bench.vault.write(ino, Some(4), b" and whole\n", false).unwrap();
        bench.vault.release(ino, true);
        bench.tell();
        bench.save(EMACS, name, "one\nby emacs\n");
        bench.tell();
        bench.tell();
        assert!(bench.text(name).contains("by emacs"));
        let count = bench.versions(name).len() as u64;
        let all: Vec<Vec<u8>> = (1..=count).map(|number| bench.version(name, number)).collect();
        for saved in ["one\n", "half and whole\n", "one\nby emacs\n"] {
            assert!(all.contains(&saved.into()), "{name}: {saved:?} in {all:?}");
        }
    }
    // A text's saves were versions each, as ever.
    assert_eq!(bench.version("note.md", 2), b"one\ntwo\n");
    let root = coffer_store::ids::ROOT;
    let folder = coffer_store::record::Meta {
        kind: coffer_store::tree::Kind::Folder,
        perm: 0o755,
        ..meta()
    };
    let git = bench.vault.make(root, b".git", folder, b"").unwrap();
    let ino = bench.vault.make(git, b"config.bin", meta(), b"").unwrap();
    bench.vault.open_by(VIM, ino, true, true, false).unwrap();
    bench.vault.write(ino, Some(0), b"ref\n", false).unwrap();
    bench.vault.release(ino, true);
    bench.tell();
    bench.vault.set_text_names(Some(&names("*"))).unwrap();
    let versions = bench
        .vault
        .versions(coffer_store::vault::Subject::File(ino))
        .unwrap();
    assert_eq!(versions[0].form, Blob);
    bench.vault.open_by(VIM, ino, true, true, false).unwrap();
    bench.vault.write(ino, Some(0), b"another\n", false).unwrap();
    bench.vault.release(ino, true);
    bench.tell();
    let versions = bench
        .vault
        .versions(coffer_store::vault::Subject::File(ino))
        .unwrap();
    assert!(versions.iter().all(|version| version.form == Blob));
    bench.check();
}

/// Guards a disk that fails, and power that goes, at every call: the list and what it makes of files are
/// stored together or not at all; and once the disk works again, they are.
#[test]
fn it_is_all_or_nothing() {
    let (mut stored, mut not) = (0, 0);
    for call in 0.. {
        let bench = Bench::new();
        bench.save(VIM, "data.bin", "one\n");
        bench.save(VIM, "note.md", "one\n");
        bench.tell();
        let ops = bench.disk.ops();
        bench.disk.fail_at(ops + call, Fault::Io, false);
        // Whether it failed is said; what follows is so in any case.
        let set = bench.vault.set_text_names(Some(&names("*.bin")));
        let went_through = bench.disk.ops() < ops + call;
        assert!(set.is_ok() || !went_through, "call {call}: {set:?}");
        let after = bench.crashed();
        let is_set = !after.vault.text_names().1;
        assert!(is_set || set.is_err(), "call {call}: it said that it was stored");
        match is_set {
            true => stored += 1,
            false => not += 1,
        }
        bench.disk.heal();
        for (bench, is_set) in [(after, is_set), (bench, true)] {
            for (name, form) in [("data.bin", Blob), ("note.md", Text)] {
                bench.save(VIM, name, "two\n");
                bench.tell();
                let now = match (form, is_set) {
                    (form, false) => form,
                    (Blob, true) => Text,
                    (Text, true) => Blob,
                };
                assert_eq!(bench.forms(name), [form, now], "call {call}, set {is_set}");
            }
            bench.check();
        }
        if went_through {
            break;
        }
    }
    assert!(stored > 0 && not > 0, "{stored} {not}");
}

/// Guards two devices of which one has another list: who saved decides, and what is a text merges. Of the
/// other's setting it is known that it is there.
#[test]
fn the_author_decides() {
    let mut pair = Pair::new(&[("data.bin", "one\n\nmiddle\n\nend\n")]);
    pair.two.vault.set_text_names(Some(&names("*.bin"))).unwrap();
    pair.two.save(EMACS, "data.bin", "one\n\nmiddle of two\n\nend\n");
    pair.meet();
    assert_eq!(pair.both("data.bin"), "one\n\nmiddle of two\n\nend\n");
    assert_eq!(pair.one.forms("data.bin"), [Blob, Text]);
    pair.check();
}

/// A file of two names was of the kind of the last one that it got, or of whichever came last when the list
/// was set.
#[test]
fn of_several_names_one_of_a_text_is_enough() {
    let root = coffer_store::ids::ROOT;
    for (first, second) in [("x.md", "x.bin"), ("x.bin", "x.md")] {
        let bench = Bench::new();
        bench.save(VIM, first, "one\n");
        bench.tell();
        bench
            .vault
            .link(bench.ino(first), root, second.as_bytes())
            .unwrap();
        let last = |bench: &Bench, name: &str, text: &str| {
            bench.save(VIM, name, text);
            bench.tell();
            assert_eq!(
                bench.version(name, bench.versions(name).len() as u64),
                text.as_bytes()
            );
            bench.forms(name).pop().unwrap()
        };
        assert_eq!(last(&bench, first, "two\n"), Text, "{first}, {second}");
        // Whichever list comes: by all names.
        for (list, form) in [
            ("*.bin", Text),
            ("*.rs", Blob),
            ("*.md", Text),
            ("*.rs", Blob),
            ("*.bin *.md", Text),
        ] {
            bench.vault.set_text_names(Some(&names(list))).unwrap();
            assert_eq!(
                last(&bench, second, &format!("{list}\n")),
                form,
                "{list}: {first}, {second}"
            );
        }
        bench.vault.set_text_names(None).unwrap();
        assert_eq!(last(&bench, first, "three\n"), Text);
        // Without the text's name it is none any more, at once and after a crash in between.
        bench.vault.remove(root, b"x.md", false).unwrap();
        bench.vault.sync(bench.ino("x.bin")).unwrap();
        let after = bench.crashed();
        for bench in [&bench, &after] {
            assert_eq!(last(bench, "x.bin", "four\n"), Blob, "{first}, {second}");
            // And with another again.
            bench.vault.link(bench.ino("x.bin"), root, b"y.bin").unwrap();
            assert_eq!(last(bench, "x.bin", "five\n"), Blob);
            bench
                .vault
                .rename((root, b"y.bin"), (root, b"y.md"), false)
                .unwrap();
            assert_eq!(last(bench, "x.bin", "six\n"), Text);
            bench.check();
        }
    }
}
