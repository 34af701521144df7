//! Guards saves of programs that are too large to be started here: their sequences of system calls,
//! replayed. Each of 100 saves is a version of the same note, and nothing else is told.

use coffer_tests::command::until;
use coffer_tests::editors::{BEGIN, Desk, Pace, edited, line};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Makes a file that must be new, writes it, syncs it if asked, and closes it.
fn write_new(path: &Path, text: &str, sync: bool) {
    let mut file = File::create_new(path).expect("it is new");
    file.write_all(text.as_bytes()).expect("there is room");
    if sync {
        file.sync_all().expect("it can be synced");
    }
}

/// Opens a file that is there, cuts it and writes it.
fn write_over(path: &Path, text: &str, sync: bool) {
    let mut file = File::options()
        .write(true)
        .truncate(true)
        .open(path)
        .expect("it is there");
    file.write_all(text.as_bytes()).expect("there is room");
    if sync {
        file.sync_data().expect("it can be synced");
    }
}

/// LibreOffice: a lock file for as long as the document is open; the text goes to a temporary file
/// beside it that takes its place, or, where that may not be, over it with a copy kept meanwhile.
#[test]
fn libreoffice() {
    let Some(desk) = Desk::new(&[]) else { return };
    let at = |name: &str| desk.folder().join(name);
    for (way, by_rename) in [("renamed.txt", true), ("copied.txt", false)] {
        let lock = at(&format!(".~lock.{way}#"));
        let mut count = 0;
        edited(&desk, way, Pace::Burst, |name, _, text| {
            if count % 20 == 0 {
                drop(File::open(at(name)).expect("it is there"));
                write_new(&lock, ",somebody,desk,22.11.2026 20:00,file:///;", false);
            }
            let made = at(&format!("lu{:x}.tmp", 0x0dec_0de0 + count));
            if by_rename {
                write_new(&made, "", false);
                write_over(&made, text, true);
                fs::rename(&made, at(name)).expect("it can be moved");
            } else {
                fs::copy(at(name), &made).expect("there is room");
                write_over(&at(name), text, true);
                fs::remove_file(&made).expect("it is there");
            }
            count += 1;
            if count % 20 == 0 {
                fs::remove_file(&lock).expect("it is there");
            }
        });
    }
    desk.assert_kept(&[]);
}

/// A document that is no text: whoever asks for its versions after each save has them all.
#[test]
fn libreoffice_with_a_document() {
    let Some(desk) = Desk::new(&[]) else { return };
    let mut note = desk.note("letter.odt", BEGIN);
    let at = |name: &str| desk.folder().join(name);
    for number in 1..=25 {
        let text = note.text() + &line(number) + "\n";
        drop(File::open(note.path()).expect("it is there"));
        write_new(&at(".~lock.letter.odt#"), ",somebody,desk;", false);
        let made = at(&format!("lu{:x}.tmp", 0x0dec_0de0 + number));
        write_new(&made, &text, true);
        fs::rename(&made, note.path()).expect("it can be moved");
        fs::remove_file(at(".~lock.letter.odt#")).expect("it is there");
        note.saved(&text);
        until("it is a version", || {
            (desk.log("letter.odt").len() == number + 1).then_some(())
        });
        note.told();
    }
    note.done();
    desk.assert_kept(&[]);
}

/// VS Code: over the file, and with a file beside it where that was asked for.
#[test]
fn vs_code() {
    let Some(desk) = Desk::new(&[]) else { return };
    edited(&desk, "over.md", Pace::Burst, |name, _, text| {
        write_over(&desk.folder().join(name), text, true);
    });
    edited(&desk, "atomic.md", Pace::Burst, |name, _, text| {
        let beside = desk.folder().join(format!("{name}.vsctmp"));
        write_new(&beside, text, true);
        fs::rename(&beside, desk.folder().join(name)).expect("it can be moved");
    });
    desk.assert_kept(&[]);
}

/// GLib, should its program not be there: with a hard link as a backup, too.
#[test]
fn glib() {
    let Some(desk) = Desk::new(&[]) else { return };
    for (way, backup) in [("plain.md", false), ("backup.md", true)] {
        let mut count = 0;
        edited(&desk, way, Pace::Burst, |name, _, text| {
            let at = |name: &str| desk.folder().join(name);
            count += 1;
            let made = at(&format!(".goutputstream-X{count:05}"));
            write_new(&made, text, true);
            let kept = at(&format!("{name}~"));
            if backup {
                // The first time there is none.
                fs::remove_file(&kept).unwrap_or_default();
                fs::hard_link(at(name), &kept).expect("links work");
            }
            fs::rename(&made, at(name)).expect("it can be moved");
        });
    }
    desk.assert_kept(&[]);
}

/// Kate, and all of Qt's safe saves: a file with no name until it is linked, or with one drawn.
#[test]
fn qt() {
    let Some(desk) = Desk::new(&[]) else { return };
    let mut count = 0;
    edited(&desk, "note.md", Pace::Burst, |name, _, text| {
        count += 1;
        let made = desk.folder().join(format!("{name}.Xq{count:04}"));
        write_new(&made, text, true);
        fs::rename(&made, desk.folder().join(name)).expect("it can be moved");
    });
    desk.assert_kept(&[]);
}

/// An editor that removes the note and makes it anew: each time it is told, it is a version.
#[test]
fn removed_and_made_anew() {
    let Some(desk) = Desk::new(&[]) else { return };
    edited(&desk, "note.md", Pace::Each, |name, _, text| {
        fs::remove_file(desk.folder().join(name)).expect("it is there");
        write_new(&desk.folder().join(name), text, false);
    });
    desk.assert_kept(&[]);
}

/// An editor is cut off between moving the note to its backup and writing it anew; another program
/// brings the note back within the moment that its name is held.
#[test]
fn cut_off_in_the_middle_of_a_save() {
    let Some(desk) = Desk::new(&[]) else { return };
    let mut count = 0;
    edited(&desk, "note.md", Pace::Each, |name, _, text| {
        let backup = format!("{name}~");
        let line = format!("mv -f {name} {backup}; kill -9 $$");
        let killed = std::process::Command::new("bash")
            .args(["-c", &line])
            .current_dir(desk.folder())
            .status();
        assert!(!killed.expect("it can be started").success());
        count += 1;
        write_new(&desk.folder().join(name), text, count % 2 == 0);
        fs::remove_file(desk.folder().join(backup)).expect("it is there");
    });
    desk.assert_kept(&[]);
}
