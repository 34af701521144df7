//! Guards notes that programs change without a person: sed, perl, rsync, git, GLib, and libraries
//! that save atomically. Each of 100 changes is a version of the same note, and nothing else is told.

use coffer_tests::command::{run, shell, until};
use coffer_tests::editors::{BEGIN, Desk, Pace, edited, line};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// The stream editors that write beside the file and put that in its place.
#[test]
fn stream_editors() {
    let Some(desk) = Desk::new(&["sed", "perl"]) else {
        return;
    };
    let ways = [
        ("sed", "sed -i \"\\$a $LINE\" $NOTE"),
        ("sed-backup", "sed -i.bak \"\\$a $LINE\" $NOTE"),
        ("perl", "perl -i -pe '$_ .= \"$ENV{LINE}\\n\" if eof' $NOTE"),
        (
            "perl-backup",
            "perl -i~ -pe '$_ .= \"$ENV{LINE}\\n\" if eof' $NOTE",
        ),
        ("append", "echo \"$LINE\" >> $NOTE"),
        (
            "over",
            "text=$(cat $NOTE); printf '%s\\n%s\\n' \"$text\" \"$LINE\" > $NOTE",
        ),
    ];
    for (way, save) in ways {
        edited(&desk, &format!("{way}.md"), Pace::Burst, |name, line, _| {
            let mut command = Command::new("bash");
            command.args(["-euc", save]).current_dir(desk.folder());
            run(command.env("NOTE", name).env("LINE", line), b"").ok();
        });
    }
    desk.assert_kept(&[]);
}

/// rsync from a folder where the note is edited: into a file of its own, which it moves there, and
/// into the note itself.
#[test]
fn rsync_into_the_vault() {
    let Some(desk) = Desk::new(&["rsync"]) else {
        return;
    };
    let source = desk.vault.scratch();
    for (way, how) in [
        ("whole", &["-a"][..]),
        ("differences", &["-a", "--no-whole-file"]),
        ("backup", &["-a", "--backup"]),
        ("inplace", &["-a", "--inplace"]),
        ("inplace-differences", &["-a", "--inplace", "--no-whole-file"]),
    ] {
        edited(&desk, &format!("{way}.md"), Pace::Burst, |name, _, text| {
            fs::write(source.join(name), text).expect("there is room");
            let mut command = Command::new("rsync");
            run(command.args(how).arg(source.join(name)).arg(desk.folder()), b"").ok();
        });
    }
    desk.assert_kept(&[]);
}

/// Python's way to save atomically, and that of its library for it.
#[test]
fn python_saves_atomically() {
    let Some(desk) = Desk::new(&["python3"]) else {
        return;
    };
    let ways = [
        (
            "tempfile",
            "fd, made = tempfile.mkstemp(dir='.')\n\
             with os.fdopen(fd, 'w') as new: new.write(text)\n\
             os.replace(made, note)",
        ),
        // As the library does.
        (
            "atomicwrites",
            "with tempfile.NamedTemporaryFile('w', dir='.', delete=False) as new:\n\
             \x20new.write(text); new.flush(); os.fsync(new.fileno())\n\
             os.rename(new.name, note)\n\
             folder = os.open('.', 0); os.fsync(folder); os.close(folder)",
        ),
        (
            "named",
            "with open(note + '.tmp', 'w') as new: new.write(text)\n\
             os.replace(note + '.tmp', note)",
        ),
    ];
    for (way, save) in ways {
        let begin = "import os, sys, tempfile\n\
             note, line = sys.argv[1:]\n\
             with open(note) as old: text = old.read() + line + '\\n'\n";
        edited(&desk, &format!("{way}.md"), Pace::Burst, |name, line, _| {
            let mut command = Command::new("python3");
            command.args(["-c", &format!("{begin}{save}"), name, line]);
            run(command.current_dir(desk.folder()), b"").ok();
        });
    }
    desk.assert_kept(&[]);
}

/// Rust's library for files that are made and then moved to their place, in one process that goes on.
#[test]
fn a_library_saves_atomically() {
    let Some(desk) = Desk::new(&[]) else { return };
    edited(&desk, "note.md", Pace::Burst, |name, _, text| {
        let mut new = tempfile::NamedTempFile::new_in(desk.folder()).expect("there is room");
        new.write_all(text.as_bytes()).expect("there is room");
        new.persist(desk.folder().join(name)).expect("it can be moved");
    });
    desk.assert_kept(&[]);
}

/// GLib, as gedit and all of GNOME save: with and without a backup, and into a new file.
#[test]
fn glib_saves() {
    let Some(desk) = Desk::new(&["gio"]) else { return };
    for (way, how) in [("plain", &[][..]), ("backup", &["--backup"])] {
        edited(&desk, &format!("{way}.md"), Pace::Burst, |name, _, text| {
            let mut command = Command::new("gio");
            command.arg("save").args(how).arg(name).current_dir(desk.folder());
            run(command.env("HOME", desk.vault.scratch()), text.as_bytes()).ok();
        });
    }
    desk.assert_kept(&[]);
}

/// What git needs to know to commit, and nothing of whoever runs this.
fn git(desk: &Desk, folder: &Path, line: &str) {
    let home = desk.vault.scratch();
    shell(
        folder,
        &format!(
            "export HOME='{}' GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b \
             GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n{line}",
            home.display()
        ),
    );
}

/// git changes from one branch to another, which removes the note and makes it anew. Its folder is
/// elsewhere: so the note is all that changes here.
#[test]
fn git_checkout() {
    let Some(desk) = Desk::new(&["git"]) else { return };
    let mut note = desk.note("note.md", BEGIN);
    let other = BEGIN.to_owned() + &line(1) + "\n";
    let outside = desk.vault.scratch().join("repository");
    let at = format!("export GIT_DIR='{}' GIT_WORK_TREE=.", outside.display());
    git(
        &desk,
        desk.folder(),
        &format!(
            "{at}; git init -q -b main; git add note.md; git commit -qm begin; git checkout -q -b other"
        ),
    );
    fs::write(note.path(), &other).expect("there is room");
    note.saved(&other);
    note.told();
    git(&desk, desk.folder(), &format!("{at}; git commit -qam other"));
    for turn in 0..100 {
        let (branch, text) = if turn % 2 == 0 {
            ("main", BEGIN)
        } else {
            ("other", &*other)
        };
        git(&desk, desk.folder(), &format!("{at}; git checkout -q {branch}"));
        note.saved(text);
        note.told();
    }
    note.done();
    desk.assert_kept(&[]);
}

/// A repository in the vault: its notes keep their versions, and what git keeps for itself is no
/// text, whatever it is called. Beside its folder nothing was removed.
#[test]
fn git_in_the_vault() {
    let Some(desk) = Desk::new(&["git"]) else { return };
    let repository = desk.folder().join("repository");
    fs::create_dir(&repository).expect("it is new");
    let two = "begin\nand more\n";
    git(
        &desk,
        &repository,
        "git init -q -b main; git config gc.auto 0; echo begin > note.md; git add note.md; git commit -qm begin; git checkout -q -b other",
    );
    let log = |path: &str| desk.log(&format!("repository/{path}"));
    until("the note is told", || (log("note.md").len() == 1).then_some(()));
    fs::write(repository.join("note.md"), two).expect("there is room");
    git(&desk, &repository, "git commit -qam other");
    for turn in 0..20 {
        let branch = ["main", "other"][turn % 2];
        until("the note is told", || {
            (log("note.md").len() == turn + 2).then_some(())
        });
        git(&desk, &repository, &format!("git checkout -q {branch}"));
    }
    // A text would have a version for each of these.
    let closed = repository.join(".git/hooks/todo.md");
    for turn in 0..100 {
        fs::write(&closed, format!("{turn}\n")).expect("there is room");
    }
    let look = |when: &str| {
        assert_eq!(log("note.md").len(), 22, "{when}");
        for (number, text) in ["begin\n", two].iter().cycle().take(22).enumerate() {
            let version = format!("{}@{}", repository.join("note.md").display(), number + 1);
            let shown = desk.vault.coffer(&coffer_tests::args!["show", &version]).ok();
            assert_eq!(
                String::from_utf8_lossy(&shown.stdout),
                *text,
                "{when}: {}",
                number + 1
            );
        }
        assert!(log(".git/hooks/todo.md").len() < 50, "{when}");
        for kept in [".git/HEAD", ".git/index", ".git/config", ".git/hooks/todo.md"] {
            assert!(log(kept).iter().all(|v| v["form"] == "blob"), "{when}: {kept}");
        }
        let removed = desk.removed();
        // A lock of git's own that is there when a commit comes is a file like others.
        let strays: Vec<&String> = removed.iter().filter(|path| !path.contains("/.git/")).collect();
        assert!(strays.is_empty(), "{when}: {strays:?}");
    };
    look("now");
    desk.vault.lock();
    desk.vault.mount();
    look("after a remount");
    git(
        &desk,
        &repository,
        "git fsck --full --strict; test -z \"$(git status --porcelain)\"",
    );
    desk.vault.assert_sound();
}
