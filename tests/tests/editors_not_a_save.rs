//! Guards what is not a save from being taken for one: moves, copies and snapshots mix no histories,
//! and real files are told like others, whatever they are called.

use coffer_tests::args;
use coffer_tests::command::{shell, until};
use coffer_tests::editors::Desk;
use std::fs;

/// What each version of a file was, the oldest first.
fn texts(desk: &Desk, name: &str) -> Vec<String> {
    let path = desk.folder().join(name);
    let shown = |version: &serde_json::Value| {
        let of = format!("{}@{}", path.display(), version["number"]);
        desk.vault.coffer(&args!["show", &of]).ok()
    };
    let versions = desk.log(name);
    let bytes = versions.iter().map(|version| shown(version).stdout);
    bytes
        .map(|bytes| String::from_utf8(bytes).expect("it is text"))
        .collect()
}

/// Writes a file, and waits until that is a version.
fn save(desk: &Desk, name: &str, text: &str) {
    fs::write(desk.folder().join(name), text).expect("there is room");
    until("it is a version", || {
        let last = texts(desk, name).pop();
        (last.as_deref() == Some(text)).then_some(())
    });
}

/// Asserts something now and after a remount.
fn now_and_later(desk: &Desk, look: impl Fn(&str)) {
    look("now");
    desk.vault.lock();
    desk.vault.mount();
    look("after a remount");
    desk.vault.assert_sound();
}

/// `mv a b; mv c a`: each file keeps its history, under its new name.
#[test]
fn moves_keep_histories_apart() {
    let Some(desk) = Desk::new(&[]) else { return };
    for name in ["a.md", "c.md"] {
        for text in ["first", "second"] {
            save(&desk, name, &format!("{text} of {name}\n"));
        }
    }
    shell(desk.folder(), "mv a.md b.md; mv c.md a.md");
    now_and_later(&desk, |when| {
        assert_eq!(
            texts(&desk, "b.md"),
            ["first of a.md\n", "second of a.md\n"],
            "{when}"
        );
        assert_eq!(
            texts(&desk, "a.md"),
            ["first of c.md\n", "second of c.md\n"],
            "{when}"
        );
        assert_eq!(desk.removed(), [""; 0], "{when}");
    });
    // Over one another: one goes, with all that it was.
    shell(desk.folder(), "mv b.md a.md");
    now_and_later(&desk, |when| {
        assert_eq!(
            texts(&desk, "a.md"),
            ["first of a.md\n", "second of a.md\n"],
            "{when}"
        );
        assert_eq!(desk.removed(), ["desk/a.md"], "{when}");
    });
}

/// `cp b a` is a save of `a`; `cp` to a new name is a new file.
#[test]
fn copies_have_their_own_history() {
    let Some(desk) = Desk::new(&[]) else { return };
    save(&desk, "a.md", "first\n");
    save(&desk, "a.md", "second\n");
    shell(desk.folder(), "cp -a a.md copy.md");
    save(&desk, "copy.md", "of the copy\n");
    now_and_later(&desk, |when| {
        assert_eq!(texts(&desk, "a.md"), ["first\n", "second\n"], "{when}");
        assert_eq!(texts(&desk, "copy.md"), ["second\n", "of the copy\n"], "{when}");
    });
}

/// Names that editors use, too.
const NAMES: [&str; 9] = [
    "x",
    "x~",
    "#todo#",
    "todo",
    ".x.swp",
    "note.md.bak",
    "4913",
    "x.orig",
    "tmpabcdef",
];

/// Real files with such names, copied or imported together with what they seem to belong to, are
/// told at once; changed and removed like others.
#[test]
fn real_files_with_such_names() {
    let Some(desk) = Desk::new(&[]) else { return };
    let source = desk.vault.scratch().join("imported");
    fs::create_dir(&source).expect("it is new");
    for name in NAMES {
        fs::write(source.join(name), format!("a real {name}\n")).expect("there is room");
    }
    shell(desk.folder(), &format!("cp -a '{}' copied", source.display()));
    let into = args!["import", "--into", "desk", &source];
    desk.vault.coffer(&into).ok();
    now_and_later(&desk, |when| {
        for folder in ["copied", "imported"] {
            for name in NAMES {
                let text = texts(&desk, &format!("{folder}/{name}"));
                assert_eq!(text, [format!("a real {name}\n")], "{when}: {folder}");
            }
        }
    });
    shell(
        desk.folder(),
        "rm copied/x~; mv copied/#todo# copied/done; echo more >> imported/x~",
    );
    now_and_later(&desk, |when| {
        assert_eq!(desk.removed(), ["desk/copied/x~"], "{when}");
        assert_eq!(texts(&desk, "copied/done"), ["a real #todo#\n"], "{when}");
        assert_eq!(
            texts(&desk, "imported/x~"),
            ["a real x~\n", "a real x~\nmore\n"],
            "{when}"
        );
    });
}

/// A snapshot by hard links keeps the history of what it is of, whichever way is saved then.
#[test]
fn snapshots_keep_their_history() {
    let Some(desk) = Desk::new(&[]) else { return };
    fs::create_dir(desk.folder().join("notes")).expect("it is new");
    for name in ["renamed.md", "over.md"] {
        save(&desk, &format!("notes/{name}"), "first\n");
        save(&desk, &format!("notes/{name}"), "second\n");
    }
    shell(desk.folder(), "cp -al notes snapshot");
    shell(desk.folder(), "sed -i 's/second/third/' notes/renamed.md");
    save(&desk, "notes/over.md", "third\n");
    now_and_later(&desk, |when| {
        assert_eq!(
            texts(&desk, "snapshot/renamed.md"),
            ["first\n", "second\n"],
            "{when}"
        );
        assert_eq!(texts(&desk, "notes/renamed.md"), ["third\n"], "{when}");
        // One file under two names, as the person wanted it.
        let both = ["first\n", "second\n", "third\n"];
        assert_eq!(texts(&desk, "snapshot/over.md"), both, "{when}");
        assert_eq!(texts(&desk, "notes/over.md"), both, "{when}");
    });
}
