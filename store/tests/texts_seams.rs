//! The seams between saving, telling and showing: what an open noted, what only attributes change,
//! what is put back, removed and destroyed.

mod texts_support;

use coffer_store::db::{Batch, Db, Table};
use coffer_store::event::Form::Text;
use coffer_store::ids::ROOT;
use coffer_store::vault::{At, Identity, Process, Subject};
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

fn open_by_both() -> Bench {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.read(VIM, "note.md");
    bench.read(EMACS, "note.md");
    bench
}

/// Both wrote, and the merge is shown.
fn merged() -> Bench {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    bench
}

/// A new mode between was taken for content that was to come, and the next save for its author's.
#[test]
fn a_new_mode_between_changes_no_base() {
    for told in [false, true] {
        let bench = Bench::new();
        bench.save(1, "note.md", NOTE);
        bench.tell();
        bench.chmod("note.md", 0o600);
        bench.read(VIM, "note.md");
        bench.read(EMACS, "note.md");
        if told {
            bench.tell();
        }
        bench.save(EMACS, "note.md", butter(NOTE));
        bench.chmod("note.md", 0o640);
        bench.tell();
        bench.chmod("note.md", 0o644);
        bench.save(VIM, "note.md", garlic(NOTE));
        for _ in 0..3 {
            bench.tell();
            assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)), "told {told}");
        }
        assert_eq!(bench.vault.stat(bench.ino("note.md")).unwrap().meta.perm, 0o644);
        bench.check();
    }
}

/// An open while a save was to be told was taken to have shown the one after it.
#[test]
fn an_open_shows_what_was_there_then() {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    assert_eq!(bench.read(VIM, "note.md"), butter(NOTE));
    bench.save(EMACS, "note.md", butter(NOTE) + "Two.\n");
    bench.save(EMACS, "note.md", butter(NOTE) + "Two.\nThree.\n");
    // With what it loaded, the last two have never been there.
    bench.save(VIM, "note.md", garlic(&butter(NOTE)));
    for _ in 0..3 {
        bench.tell();
        assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)) + "Two.\nThree.\n");
    }
    bench.check();
}

/// Readers that come and go made an editor forgotten that has the note open.
#[test]
fn readers_do_not_crowd_an_editor_out() {
    let bench = Bench::new();
    let editor: Process = std::process::id();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    bench.read(editor, "note.md");
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    for reader in 0..100 {
        bench.read(4_150_000 + reader, "note.md");
    }
    bench.save(editor, "note.md", garlic(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
}

/// A save by one of several editors behind one process made the others' buffers forgotten.
#[test]
fn what_an_open_handle_showed_is_remembered() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    let ino = bench.ino("note.md");
    // A file server opens it for one of its users, and keeps it open.
    let server = VIM;
    bench
        .vault
        .open_handle(server, ino, (false, false, false), 11)
        .unwrap();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    bench
        .vault
        .open_handle(server, ino, (false, false, false), 12)
        .unwrap();
    bench.save(server, "note.md", butter(NOTE) + "By the other user.\n");
    bench.tell();
    bench.save(server, "note.md", garlic(NOTE));
    bench.tell();
    let whole = garlic(&butter(NOTE)) + "By the other user.\n";
    assert_eq!(bench.text("note.md"), whole);
    bench.vault.release_handle(ino, false, 11);
    bench.vault.release_handle(ino, false, 12);
}

/// A version that was restored came merged with what was there, and not as it was.
#[test]
fn a_restored_version_is_shown_as_it_was() {
    let bench = merged();
    for number in [1, 2, 3] {
        let was = bench.version("note.md", number);
        bench
            .vault
            .restore_version(Subject::File(bench.ino("note.md")), number)
            .unwrap();
        for _ in 0..3 {
            bench.tell();
            assert_eq!(bench.text("note.md").as_bytes(), was, "version {number}");
        }
    }
    bench.check();
    // Also past a process that would be taken for an editor with another version.
    bench.read(EMACS, "note.md");
    bench
        .vault
        .restore_version(Subject::File(bench.ino("note.md")), 2)
        .unwrap();
    bench.tell();
    assert_eq!(bench.text("note.md"), butter(NOTE));
    // Three that were saved, four that were restored, and the merge that the first of those replaced.
    assert_eq!(bench.forms("note.md"), [Text; 8]);
}

/// What was removed while it showed a merge lost one side, and came back with what it had lost.
#[test]
fn what_showed_a_merge_comes_back() {
    let at = |name| At {
        folder: ROOT,
        name,
        replace: false,
        keep_times: false,
    };
    for (number, text) in [
        (None, garlic(&butter(NOTE))),
        (Some(1), NOTE.to_owned()),
        (Some(2), butter(NOTE)),
    ] {
        let bench = merged();
        let versions = bench.versions("note.md");
        bench.vault.remove(ROOT, b"note.md", false).unwrap();
        bench.tell();
        let bench = bench.again();
        let node = bench.vault.removed().unwrap()[0].node;
        bench.vault.bring_back(node, number, at(b"back.md")).unwrap();
        for _ in 0..3 {
            bench.tell();
            assert_eq!(bench.text("back.md"), text, "{number:?}");
        }
        let last = bench.versions("back.md").pop().unwrap();
        assert_eq!(last.parents.len(), 2, "{number:?}: {last:?}, of {versions:?}");
        assert_eq!(bench.version("back.md", last.number), text.as_bytes());
        bench.save(VIM, "back.md", text.clone() + "More.\n");
        bench.tell();
        assert_eq!(bench.text("back.md"), text + "More.\n");
        bench.check();
    }
}

/// A purge of a text that somebody writes said that it was done, and all was there.
#[test]
fn a_purge_does_what_it_says() {
    let bench = merged();
    let ino = bench.ino("note.md");
    bench.vault.open_by(VIM, ino, true, false, false).unwrap();
    bench.vault.write(ino, None, b"Being written.\n", false).unwrap();
    let refused = bench.vault.purge(Subject::File(ino)).unwrap_err();
    assert_eq!(refused.errno(), libc::EBUSY);
    assert_eq!(bench.versions("note.md").len(), 3);
    bench.vault.release(ino, true);
    bench.vault.purge(Subject::File(ino)).unwrap();
    assert_eq!(bench.versions("note.md").len(), 1);
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)) + "Being written.\n");
    bench.save(VIM, "note.md", "after\n");
    bench.tell();
    assert_eq!(bench.text("note.md"), "after\n");
    bench.check();
    let bench = bench.again();
    assert_eq!(
        bench.version("note.md", bench.versions("note.md")[1].number),
        b"after\n"
    );
}

/// New modes of many notes built a document for each, in memory, in one step.
#[test]
fn attributes_need_no_documents() {
    let count = if std::env::var_os("COFFER_LONG").is_some() {
        50_000
    } else {
        2_000
    };
    let bench = Bench::new();
    let names: Vec<String> = (0..count).map(|i| format!("{i}.md")).collect();
    for name in &names {
        bench.save(1, name, format!("{NOTE}{name}\n"));
    }
    bench.vault.commit().unwrap();
    for name in &names {
        bench.chmod(name, 0o600);
    }
    // Nor does a crash before they are told make content of them.
    bench.vault.sync(bench.ino("1.md")).unwrap();
    let bench = bench.crashed();
    bench.vault.commit().unwrap();
    assert_eq!(bench.vault.hot_documents(), 0);
    for name in ["0.md", "1.md"] {
        let versions = bench.versions(name);
        assert_eq!((versions.len(), versions[0].perm), (1, 0o600));
        assert_eq!(versions[0].events.len(), 2, "{name}");
    }
    bench.save(VIM, "1.md", "after\n");
    bench.tell();
    assert_eq!(bench.version("1.md", 2), b"after\n");
}

/// After a remount of a note with few versions (no document is stored) and with many.
#[test]
fn a_remount_changes_nothing() {
    for versions in [1, 40] {
        let one = Bench::new();
        for i in (0..versions).rev() {
            one.save(1, "note.md", format!("{NOTE}{}", "x\n".repeat(i)));
            one.tell();
        }
        one.vault.commit().unwrap();
        let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
        // Nine versions of another device come, one by one, while a buffer is open here.
        let mut text = NOTE.to_owned();
        let mut had = 0;
        let carry = |one: &Bench, had: &mut u64| {
            for carried in two.vault.told_after(*had).unwrap() {
                one.vault.take_in(&two.vault.device(), &carried).unwrap();
                *had = carried.row.last().unwrap();
            }
        };
        one.read(VIM, "note.md");
        for i in 0..9 {
            text.push_str(&format!("Line {i} by two.\n"));
            two.save(EMACS, "note.md", &text);
            two.tell();
            carry(&one, &mut had);
            assert_eq!(one.text("note.md"), text);
        }
        for (case, who, rereads) in [
            ("never seen", 4_100_007, false),
            ("reads it before it saves", 4_100_008, true),
        ] {
            let disk = one.disk.crash_all_kept();
            let here = Bench::on(disk, Identity::Same);
            if rereads {
                here.read(who, "note.md");
            }
            here.save(who, "note.md", garlic(NOTE));
            for _ in 0..4 {
                here.tell();
                assert_eq!(here.text("note.md"), garlic(&text), "{versions} versions, {case}");
            }
            let before = here.versions("note.md").len();
            // As `vim -r` does: it reads the file, and writes what it had recovered.
            here.read(who, "note.md");
            here.save(who, "note.md", garlic(NOTE) + "Recovered.\n");
            for _ in 0..4 {
                here.tell();
                let whole = garlic(&text) + "Recovered.\n";
                assert_eq!(
                    sorted(&here.text("note.md")),
                    sorted(&whole),
                    "{versions} versions, {case}"
                );
            }
            assert_eq!(here.versions("note.md").len(), before + 1);
            here.check();
        }
        // Nor here, where it was never unlocked anew.
        one.save(VIM, "note.md", garlic(NOTE));
        one.tell();
        assert_eq!(one.text("note.md"), garlic(&text));
        one.check();
    }
}

/// Lines, in order: two that were added at one place may stand in either.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Guards the keeper: what is behind comes to be shown by itself, once the last writer is gone.
#[test]
fn the_keeper_shows_what_is_behind() {
    let disk = coffer_store::io::sim::SimDisk::new();
    let made = coffer_store::vault::Vault::create_on(
        std::sync::Arc::new(disk.clone()),
        &password(),
        coffer_store::keys::KdfParams::FLOOR,
        false,
        None,
    );
    // Its keeper goes on.
    let bench = Bench {
        disk,
        vault: made.unwrap().0,
    };
    bench.save(1, "note.md", NOTE);
    bench.vault.commit().unwrap();
    bench.read(VIM, "note.md");
    bench.read(EMACS, "note.md");
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.save(VIM, "note.md", garlic(NOTE));
    let ino = bench.ino("note.md");
    bench.vault.open_by(EMACS, ino, true, false, false).unwrap();
    bench.vault.commit().unwrap();
    bench.vault.release(ino, true);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while bench.text("note.md") != garlic(&butter(NOTE)) {
        assert!(std::time::Instant::now() < until, "it is never shown");
        std::thread::yield_now();
    }
}

/// Two devices with one note, of which the second has written what the first has not shown.
fn before_and_after() -> (Bench, Bench) {
    let one = Bench::new();
    one.save(1, "note.md", NOTE);
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    two.read(EMACS, "note.md");
    two.save(EMACS, "note.md", butter(NOTE));
    two.vault.commit().unwrap();
    (one, two)
}

fn carry(from: &Bench, to: &Bench, after: u64) {
    from.vault.commit().unwrap();
    for carried in from.vault.told_after(after).unwrap() {
        to.vault.take_in(&from.vault.device(), &carried).unwrap();
    }
    to.vault.commit().unwrap();
}

/// A note was removed here, edited there, and brought back here: as the edit, made from what was
/// removed. So the words of the edit were there twice as soon as the two met. Where it is removed with all
/// that the other wrote, it comes back by hand alone; else the edit brings it.
#[test]
fn what_others_wrote_in_a_removed_note_comes_back_once() {
    for seen in [false, true] {
        let (one, two) = before_and_after();
        let had = one.vault.status().unwrap().events;
        if seen {
            carry(&two, &one, 0);
        }
        one.vault.remove(ROOT, b"note.md", false).unwrap();
        one.vault.commit().unwrap();
        if seen {
            let gone = one.vault.removed().unwrap();
            let at = At {
                folder: ROOT,
                name: b"note.md",
                replace: false,
                keep_times: false,
            };
            one.vault.bring_back(gone[0].node, None, at).unwrap();
            one.vault.commit().unwrap();
        } else {
            carry(&two, &one, 0);
            assert_eq!(one.vault.removed().unwrap(), []);
        }
        assert_eq!(one.text("note.md"), butter(NOTE), "{seen}");
        carry(&one, &two, had);
        assert_eq!(two.text("note.md"), butter(NOTE), "{seen}");
        one.check();
        two.check();
    }
}

/// A version that another device wrote was put back before the file showed it: as a change of what it
/// showed, and so its words were there twice.
#[test]
fn what_is_not_shown_yet_is_not_restored_over_what_is() {
    let (one, two) = before_and_after();
    let had = one.vault.status().unwrap().events;
    let ino = one.ino("note.md");
    one.vault.open_by(VIM, ino, true, false, false).unwrap();
    carry(&two, &one, 0);
    let last = one.versions("note.md").pop().unwrap().number;
    let refused = one.vault.restore_version(Subject::File(ino), last).unwrap_err();
    assert_eq!(refused.errno(), libc::EBUSY);
    // Nor are they purged as if they were its past.
    let refused = one.vault.purge(Subject::File(ino)).unwrap_err();
    assert_eq!(refused.errno(), libc::EBUSY);
    one.vault.release(ino, true);
    one.vault.restore_version(Subject::File(ino), last).unwrap();
    one.vault.commit().unwrap();
    assert_eq!(one.text("note.md"), butter(NOTE));
    carry(&one, &two, had);
    assert_eq!(two.text("note.md"), butter(NOTE));
    one.vault.purge(Subject::File(ino)).unwrap();
    assert_eq!(one.text("note.md"), butter(NOTE));
    one.check();
    two.check();
}

/// A damaged row of one note's last version kept all others from being committed.
#[test]
fn a_damaged_past_of_one_note_stops_no_commit() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.save(1, "other.md", NOTE);
    bench.vault.commit().unwrap();
    let entity = bench.entity("note.md");
    let disk = bench.disk.clone();
    bench.vault.close().unwrap();
    drop(bench);
    {
        let db = Db::open(std::sync::Arc::new(disk.clone())).unwrap();
        let (mut batch, mut found) = (Batch::new(), 0);
        db.scan(Table::Versions, &entity.0, &mut |key, value| {
            let mut value = value.to_vec();
            value[30] ^= 1;
            batch.put(Table::Versions, key, value);
            found += 1;
            true
        })
        .unwrap();
        assert_eq!(found, 1);
        db.apply(&batch).unwrap();
        db.close();
    }
    let bench = Bench::on(disk, Identity::Same);
    bench.chmod("note.md", 0o600);
    bench.save(1, "other.md", butter(NOTE));
    bench.vault.commit().unwrap();
    let after = bench.crashed();
    assert_eq!(after.text("other.md"), butter(NOTE));
    assert_eq!(after.text("note.md"), NOTE);
    assert_eq!(after.vault.stat(after.ino("note.md")).unwrap().meta.perm, 0o600);
}

/// While a program had the file open to write, nothing that was saved before was listed.
#[test]
fn what_was_saved_is_listed_while_somebody_has_it_open() {
    let bench = Bench::new();
    for text in ["one\n", "two\n", "three\n"] {
        bench.save(VIM, "note.md", text);
    }
    let ino = bench.ino("note.md");
    bench.vault.open_by(EMACS, ino, true, false, false).unwrap();
    assert_eq!(
        bench.versions("note.md").len(),
        2,
        "the third may be being written over"
    );
    assert_eq!(bench.version("note.md", 2), b"two\n");
    bench.vault.release(ino, true);
    assert_eq!(bench.versions("note.md").len(), 3);
    bench.check();
}

/// A version was put back over a merge that was only shown: the merge was in no version, and nothing brought
/// it back.
#[test]
fn a_merge_is_a_version_before_something_is_put_in_its_place() {
    let bench = merged();
    let of = Subject::File(bench.ino("note.md"));
    let shown = bench.text("note.md");
    assert_eq!(bench.versions("note.md").len(), 3);
    bench.vault.restore_version(of, 1).unwrap();
    bench.tell();
    assert_eq!(bench.text("note.md"), NOTE);
    let versions = bench.versions("note.md");
    assert_eq!(versions.len(), 5);
    assert_eq!(bench.version("note.md", versions[3].number), shown.as_bytes());
    bench.vault.restore_version(of, versions[3].number).unwrap();
    bench.tell();
    assert_eq!(bench.text("note.md"), shown);
    assert_eq!(
        bench.versions("note.md").len(),
        6,
        "what is a version already is not kept again"
    );
    bench.check();
    let bench = bench.crashed();
    assert_eq!(bench.text("note.md"), shown);
    assert_eq!(bench.version("note.md", versions[3].number), shown.as_bytes());
    bench.check();
}

/// A version was put back while somebody had the file open to write, and another saved an older buffer over
/// it: that was taken for what had been put back, and took all others' words with it.
#[test]
fn a_stale_save_over_what_was_put_back_takes_nothing_away() {
    let bench = open_by_both();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    let ino = bench.ino("note.md");
    bench.vault.open_handle(77, ino, (true, false, false), 5).unwrap();
    bench.vault.restore_version(Subject::File(ino), 1).unwrap();
    bench.vault.restore_version(Subject::File(ino), 2).unwrap();
    // It has what there was before butter came.
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.vault.release_handle(ino, true, 5);
    for _ in 0..2 {
        bench.tell();
    }
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    let texts: Vec<Vec<u8>> = bench
        .versions("note.md")
        .iter()
        .map(|version| bench.version("note.md", version.number))
        .collect();
    let expected = [NOTE.into(), butter(NOTE), NOTE.into(), butter(NOTE), garlic(NOTE)];
    assert_eq!(
        texts,
        expected.map(String::into_bytes),
        "each is a version at once"
    );
    bench.check();
}

/// A restore that was refused made a version of the merge that the file showed, and the file showed nothing
/// newer from then on.
#[test]
fn a_refused_restore_changes_nothing() {
    let bench = merged();
    let ino = bench.ino("note.md");
    bench
        .vault
        .open_handle(VIM, ino, (true, false, false), 5)
        .unwrap();
    bench.vault.write(ino, Some(0), b"#", false).unwrap();
    let refused = bench.vault.restore_version(Subject::File(ino), 1).unwrap_err();
    assert_eq!(refused.errno(), libc::EBUSY);
    bench
        .vault
        .write(ino, Some(0), &bench.version("note.md", 1)[..1], false)
        .unwrap();
    bench.vault.release_handle(ino, true, 5);
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    bench.check();
}

/// A row that cannot be read hid the newest versions: the file came to show an older one.
#[test]
fn a_file_never_shows_an_older_version_for_a_damaged_row() {
    let bench = open_by_both();
    let mut text = NOTE.to_owned();
    for i in 0..4 {
        text.push_str(&format!("Line {i}.\n"));
        bench.read(VIM, "note.md");
        bench.save(VIM, "note.md", &text);
        bench.tell();
    }
    let (entity, ino) = (bench.entity("note.md"), bench.ino("note.md"));
    let disk = bench.disk.clone();
    bench.vault.close().unwrap();
    drop(bench);
    {
        let db = Db::open(std::sync::Arc::new(disk.clone())).unwrap();
        let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        db.scan(Table::Versions, &entity.0, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })
        .unwrap();
        let (key, value) = &mut rows[3];
        value[30] ^= 1;
        let mut batch = Batch::new();
        batch.put(Table::Versions, key.as_slice(), value.clone());
        // As after a crash before a merge was shown.
        let mut noted = vec![2];
        noted.extend(ino.to_be_bytes());
        batch.put(Table::Pending, noted, vec![0, 2]);
        db.apply(&batch).unwrap();
        db.close();
    }
    let bench = Bench::on(disk, Identity::Same);
    for _ in 0..3 {
        bench.vault.commit().unwrap();
        assert_eq!(bench.text("note.md"), text);
    }
}
