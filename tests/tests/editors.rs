//! Guards the promise to who writes: in vim, emacs and nano, at a terminal and without one, each
//! save of a note is one version of the same note, and nothing that an editor puts beside it is told.

use coffer_tests::command::run;
use coffer_tests::editors::{BEGIN, Desk, Note, Terminal, line};
use coffer_tests::settings::pick;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Saves in each way.
const EDITS: usize = 100;

/// The size of a file; 0 while it has no name.
fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// The names in a folder that begin so.
fn names(folder: &Path, begin: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there").flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(begin))
        .collect()
}

/// vim, without plugins or settings of whoever runs this; with those that are given.
fn vim(desk: &Desk, settings: &str, more: &[&str], name: &str) -> Command {
    let mut command = Command::new("vim");
    command
        .args(["-u", "NONE", "-i", "NONE", "-N", "-c"])
        .arg(format!(
            "set backupskip= undofile undodir=. directory=. backupdir=. swapfile updatecount=1 {settings}"
        ))
        .args(more)
        .arg(name)
        .current_dir(desk.folder())
        .env("HOME", desk.vault.scratch());
    command
}

/// All that decides how vim saves.
const VIM_WAYS: [(&str, &str); 12] = [
    ("yes", "writebackup nobackup"),
    ("yes", "nowritebackup nobackup"),
    ("yes", "writebackup backup"),
    ("yes", "nowritebackup backup"),
    ("no", "writebackup nobackup"),
    ("no", "nowritebackup nobackup"),
    ("no", "writebackup backup"),
    ("no", "nowritebackup backup"),
    ("auto", "writebackup nobackup"),
    ("auto", "nowritebackup nobackup"),
    ("auto", "writebackup backup"),
    ("auto", "nowritebackup backup"),
];

/// Each time vim is started, adds a line, saves and ends.
fn vim_each_time(backupcopy: &str) {
    let Some(desk) = Desk::new(&["vim"]) else {
        return;
    };
    for (way, (_, backup)) in VIM_WAYS
        .iter()
        .filter(|(copy, _)| *copy == backupcopy)
        .enumerate()
    {
        let mut note = desk.note(&format!("note-{way}.md"), BEGIN);
        for number in 1..=EDITS {
            let text = note.text() + &line(number) + "\n";
            let add = format!("$put ='{}'", line(number));
            let settings = format!("backupcopy={backupcopy} {backup}");
            let mut edit = vim(
                &desk,
                &settings,
                &["-es", "-V1", "-c", &add, "-c", "wq"],
                note.name(),
            );
            run(&mut edit, b"").ok();
            note.saved(&text);
            if number % 10 == 0 {
                note.told();
            }
        }
        note.done();
    }
    desk.assert_kept(&[]);
}

#[test]
fn vim_started_for_each_save_copying() {
    vim_each_time("yes");
}

#[test]
fn vim_started_for_each_save_renaming() {
    vim_each_time("no");
}

#[test]
fn vim_started_for_each_save_as_it_likes() {
    vim_each_time("auto");
}

/// Types a line at the end in vim, and saves.
fn type_in_vim(vim: &mut Terminal, note: &mut Note, number: usize) {
    let text = note.text() + &line(number) + "\n";
    vim.keys(&format!("Go{}\x1b:w\r", line(number)));
    vim.until("the note is saved", || size(&note.path()) == text.len() as u64);
    note.saved(&text);
}

/// One vim at a terminal, with swap and undo files, that saves again and again.
#[test]
fn vim_at_a_terminal() {
    let Some(desk) = Desk::new(&["vim"]) else {
        return;
    };
    for (way, (backupcopy, backup)) in VIM_WAYS.iter().enumerate() {
        let mut note = desk.note(&format!("note-{way}.md"), BEGIN);
        let settings = format!("backupcopy={backupcopy} {backup}");
        let mut vim = Terminal::start(&mut vim(&desk, &settings, &[], note.name()));
        let swap = desk.folder().join(format!(".{}.swp", note.name()));
        vim.until("there is a swap file", || swap.exists());
        for number in 1..=EDITS {
            type_in_vim(&mut vim, &mut note, number);
            if number % 10 == 0 {
                note.told();
            }
        }
        vim.keys(":q\r");
        assert!(vim.end().success());
        assert!(!swap.exists(), "{settings}");
        let undo = desk.folder().join(format!(".{}.un~", note.name()));
        assert!(undo.exists(), "{settings}: it is to keep an undo file");
        note.done();
    }
    desk.assert_kept(&[]);
}

/// vim is killed in the middle of an edit; it finds what was typed in the swap file, saves it, and
/// the note is still the same.
#[test]
fn vim_recovers_after_a_kill() {
    let Some(desk) = Desk::new(&["vim"]) else {
        return;
    };
    for (way, (backupcopy, backup)) in VIM_WAYS.iter().enumerate().skip(1).step_by(3) {
        let mut note = desk.note(&format!("note-{way}.md"), BEGIN);
        let settings = format!("backupcopy={backupcopy} {backup}");
        for number in (1..=pick(20, 100)).step_by(2) {
            let mut killed = Terminal::start(&mut vim(&desk, &settings, &[], note.name()));
            type_in_vim(&mut killed, &mut note, number);
            let text = note.text() + &line(number + 1) + "\n";
            let told = desk.vault.scratch().join(format!("told-{way}-{number}"));
            killed.keys(&format!(
                "Go{}\x1b:preserve | call writefile([], '{}')\r",
                line(number + 1),
                told.display()
            ));
            killed.until("the swap file is written", || told.exists());
            killed.kill();
            let swap = format!(".{}.swp", note.name());
            assert_eq!(names(desk.folder(), &swap), std::slice::from_ref(&swap));
            let add = ["-es", "-r", "-c", "wq"];
            // It says by its exit code what it thinks of an old swap file.
            run(&mut vim(&desk, &settings, &add, note.name()), b"");
            note.saved(&text);
            fs::remove_file(desk.folder().join(&swap)).expect("a recovered swap file stays");
            note.told();
        }
        note.done();
    }
    desk.assert_kept(&[]);
}

/// How emacs keeps backups.
const EMACS_WAYS: [(&str, &str); 4] = [
    ("renamed", "make-backup-files t backup-by-copying nil"),
    ("copied", "make-backup-files t backup-by-copying t"),
    (
        "numbered",
        "make-backup-files t backup-by-copying nil version-control t delete-old-versions t kept-new-versions 3",
    ),
    ("none", "make-backup-files nil"),
];

fn emacs(desk: &Desk, settings: &str, more: &[&str], name: &str) -> Command {
    let mut command = Command::new("emacs");
    command
        .args(["-Q", more.first().copied().unwrap_or("-nw")])
        .args(["--eval", &format!("(setq create-lockfiles t backup-enable-predicate (lambda (_) t) auto-save-interval 20 auto-save-timeout nil {settings})")])
        .arg(name)
        .args(more.iter().skip(1))
        .current_dir(desk.folder())
        .env("HOME", desk.vault.scratch());
    command
}

/// emacs without a terminal, started for each save.
#[test]
fn emacs_started_for_each_save() {
    let Some(desk) = Desk::new(&["emacs"]) else {
        return;
    };
    for (way, settings) in EMACS_WAYS {
        let mut note = desk.note(&format!("{way}.md"), BEGIN);
        for number in 1..=pick(25, 100) {
            let text = note.text() + &line(number) + "\n";
            let add = format!(
                "(progn (goto-char (point-max)) (insert \"{}\\n\") (save-buffer))",
                line(number)
            );
            run(
                &mut emacs(&desk, settings, &["--batch", "--eval", &add], note.name()),
                b"",
            )
            .ok();
            note.saved(&text);
            if number % 10 == 0 {
                note.told();
            }
        }
        note.done();
    }
    assert!(desk.folder().join("renamed.md~").exists() && desk.folder().join("copied.md~").exists());
    assert!(desk.folder().join("numbered.md.~1~").exists());
    desk.assert_kept(&[]);
}

/// One emacs at a terminal, which locks the note while it is changed, and saves what is typed in
/// between beside it. In one session it makes a backup but once: `C-u C-x C-s` asks for one more.
#[test]
fn emacs_at_a_terminal() {
    let Some(desk) = Desk::new(&["emacs"]) else {
        return;
    };
    for (way, settings) in EMACS_WAYS {
        let mut note = desk.note(&format!("{way}.md"), BEGIN);
        let mut emacs = Terminal::start(&mut emacs(&desk, settings, &[], note.name()));
        let (lock, draft) = (format!(".#{}", note.name()), format!("#{}#", note.name()));
        for number in 1..=EDITS {
            let text = note.text() + &line(number) + "\n";
            emacs.keys(&format!("\x1b>{}", line(number)));
            if number % 20 == 1 {
                emacs.until("it locks the note", || {
                    fs::symlink_metadata(desk.folder().join(&lock)).is_ok()
                });
                emacs.until("it saves beside it", || desk.folder().join(&draft).exists());
            }
            emacs.keys("\r\x15\x18\x13");
            emacs.until("the note is saved", || size(&note.path()) == text.len() as u64);
            note.saved(&text);
            if number % 10 == 0 {
                note.told();
            }
        }
        emacs.keys("\x18\x03");
        assert!(emacs.end().success());
        assert!(!desk.folder().join(&draft).exists());
        note.done();
    }
    desk.assert_kept(&[]);
}

/// One nano at a terminal, plain, with backups, and with lock files.
#[test]
fn nano_at_a_terminal() {
    let Some(desk) = Desk::new(&["nano"]) else {
        return;
    };
    for (way, settings) in [
        ("plain", &[][..]),
        ("backup", &["--backup"]),
        ("locked", &["--locking"]),
    ] {
        let mut note = desk.note(&format!("{way}.md"), BEGIN);
        let mut command = Command::new("nano");
        command.args(["--ignorercfiles"]).args(settings);
        command.arg(note.name()).current_dir(desk.folder());
        let mut nano = Terminal::start(command.env("HOME", desk.vault.scratch()));
        let swap = desk.folder().join(format!(".{}.swp", note.name()));
        if way == "locked" {
            nano.until("it locks the note", || swap.exists());
        }
        for number in 1..=EDITS {
            let text = note.text() + &line(number) + "\n";
            nano.keys(&format!("\x1b/{}\x13", line(number)));
            nano.until("the note is saved", || size(&note.path()) == text.len() as u64);
            note.saved(&text);
            if number % 10 == 0 {
                note.told();
            }
        }
        nano.keys("\x18");
        assert!(nano.end().success());
        note.done();
    }
    desk.assert_kept(&[]);
}
