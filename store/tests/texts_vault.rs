//! Texts in the vault: saves become changes, versions are what was saved, and what is no text any
//! more is whole.

mod texts_support;

use std::sync::Arc;

use coffer_store::db::{Batch, Db, Table};
use coffer_store::event::Form::{Blob, Text};
use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::KdfParams;
use coffer_store::record::Time;
use coffer_store::vault::{At, Identity, Subject, Vault, salvage};
use texts_support::*;

/// Guards the way of a save: the first version has the bytes, those after it are changes, each
/// reads back as it was saved, and one entity has them all.
#[test]
fn saves_are_versions() {
    let bench = Bench::new();
    let mut saved: Vec<String> = Vec::new();
    for i in 0..30 {
        let text = format!("# Note\n\nThe {i}. line of many.\nÜber 🧄 {}\n", "x".repeat(i));
        match i % 3 {
            0 => bench.save(VIM, "note.md", &text),
            1 => bench.save_by_rename(VIM, "note.md", &text),
            _ => {
                bench.read(VIM, "note.md");
                bench.save(VIM, "note.md", &text);
            }
        }
        bench.tell();
        assert_eq!(bench.text("note.md"), text, "save {i}");
        saved.push(text);
    }
    let versions = bench.versions("note.md");
    assert_eq!(versions.len(), saved.len());
    assert!(versions.iter().all(|version| version.form == Text));
    for (version, text) in versions.iter().zip(&saved) {
        assert_eq!(bench.version("note.md", version.number), text.as_bytes());
        assert_eq!(version.size, text.len() as u64);
    }
    for pair in versions.windows(2) {
        assert_eq!(
            pair[1].parents,
            pair[0].events[pair[0].events.len() - 1..],
            "each was made from the one before"
        );
    }
    bench.check();
    let bench = bench.again();
    assert_eq!(bench.text("note.md"), saved[29]);
    for (version, text) in versions.iter().zip(&saved) {
        assert_eq!(bench.version("note.md", version.number), text.as_bytes());
    }
    bench.save(EMACS, "note.md", "after all of that\n");
    bench.tell();
    assert_eq!(bench.text("note.md"), "after all of that\n");
    assert_eq!(bench.versions("note.md").len(), saved.len() + 1);
    bench.check();
}

/// Guards saves that follow each other before anything is told: each is a version.
#[test]
fn saves_in_quick_succession_are_versions() {
    let bench = Bench::new();
    for i in 0..10 {
        bench.save(VIM, "note.md", format!("line {i}\n"));
    }
    bench.vault.commit().unwrap();
    let versions = bench.versions("note.md");
    assert_eq!(versions.len(), 10);
    for (i, version) in versions.iter().enumerate() {
        assert_eq!(
            bench.version("note.md", version.number),
            format!("line {i}\n").as_bytes()
        );
    }
    assert_eq!(bench.forms("note.md"), [Text; 10]);
    bench.check();
}

/// Guards kinds: what a version is follows from the name and the bytes, when it is made.
#[test]
fn the_kind_belongs_to_the_version() {
    let bench = Bench::new();
    let tell = |bytes: &[u8]| {
        bench.save(VIM, "note.md", bytes);
        bench.tell();
    };
    tell(b"a text\n");
    tell(b"a text, and more\n");
    tell(b"no text: \xff\xfe\n");
    tell(b"a text again\n");
    tell(b"a text again, and more\n");
    tell(b"");
    tell(b"rewritten\n");
    let large = "x".repeat((1 << 20) + 1);
    tell(large.as_bytes());
    tell("x".repeat(1 << 20).as_bytes());
    assert_eq!(
        bench.forms("note.md"),
        [Text, Text, Blob, Text, Text, Text, Text, Blob, Text]
    );
    let numbers: Vec<u64> = bench.versions("note.md").iter().map(|v| v.number).collect();
    let sizes: Vec<usize> = numbers
        .iter()
        .map(|n| bench.version("note.md", *n).len())
        .collect();
    assert_eq!(sizes, [7, 17, 12, 13, 23, 0, 10, (1 << 20) + 1, 1 << 20]);
    bench.save(VIM, "main.rs", "fn main() {}\n");
    bench.tell();
    bench.save(VIM, "main.rs", "fn main() { }\n");
    bench.tell();
    assert_eq!(bench.forms("main.rs"), [Blob, Blob]);
    // Empty, it is neither; what comes then decides.
    bench.save(VIM, "empty.md", "");
    bench.tell();
    bench.save(VIM, "empty.md", "some\n");
    bench.tell();
    bench.save(VIM, "empty.md", "some more\n");
    bench.tell();
    assert_eq!(bench.forms("empty.md"), [Blob, Text, Text]);
    bench.check();
    let bench = bench.again();
    for (number, size) in numbers.iter().zip(sizes) {
        assert_eq!(bench.version("note.md", *number).len(), size);
    }
    bench.check();
}

/// Guards what a power cut leaves: the bytes of every save that was synced, told or not.
#[test]
fn a_crash_between_save_and_change_loses_nothing() {
    let bench = Bench::new();
    bench.save(VIM, "note.md", "one\n");
    bench.tell();
    bench.save(VIM, "note.md", "one\ntwo\n");
    bench.vault.sync(bench.ino("note.md")).unwrap();
    let bench = bench.crashed();
    assert_eq!(bench.text("note.md"), "one\ntwo\n");
    bench.tell();
    assert_eq!(bench.forms("note.md"), [Text, Text]);
    assert_eq!(bench.version("note.md", 2), b"one\ntwo\n");
    bench.save(VIM, "note.md", "one\ntwo\nthree\n");
    bench.tell();
    let bench = bench.crashed();
    assert_eq!(bench.text("note.md"), "one\ntwo\nthree\n");
    assert_eq!(bench.versions("note.md").len(), 3);
    bench.check();
}

/// Guards attributes: a change of them alone is told, as the same text, and is no version of its own;
/// the next one replaces it.
#[test]
fn attributes_are_told_too() {
    let bench = Bench::new();
    bench.save(VIM, "note.md", "one\n");
    bench.tell();
    bench.save(VIM, "note.md", "one\ntwo\n");
    bench.tell();
    bench.chmod("note.md", 0o600);
    bench.tell();
    bench.save(VIM, "note.md", "one\ntwo\nthree\n");
    bench.tell();
    let versions = bench.versions("note.md");
    assert_eq!(bench.forms("note.md"), [Text; 3]);
    assert_eq!(versions[1].events.len(), 2);
    assert_eq!((versions[1].perm, versions[1].size), (0o600, 8));
    assert_eq!(bench.version("note.md", 2), b"one\ntwo\n");
    assert_eq!(versions[2].parents, versions[1].events[1..]);
    bench.check();
    let bench = bench.again();
    assert_eq!(bench.version("note.md", 2), b"one\ntwo\n");
}

/// Guards retention and purge: what a version that is kept was made from is kept, and a text whose
/// past was destroyed begins anew.
#[test]
fn a_text_needs_its_past_or_begins_anew() {
    let bench = Bench::new();
    for i in 0..20 {
        bench.save(VIM, "note.md", format!("secretly {i}\nthe rest\n"));
        bench.tell();
    }
    let year = 365 * 86_400;
    let mut now = Time::now();
    now.sec += year;
    bench.vault.thin(now).unwrap();
    bench.check();
    let bench = bench.again();
    for version in bench.versions("note.md").iter().filter(|version| version.held) {
        bench.version("note.md", version.number);
    }
    assert_eq!(bench.text("note.md"), "secretly 19\nthe rest\n");
    bench.save(VIM, "note.md", "the present\n");
    bench.tell();
    let purged = bench.vault.purge(Subject::File(bench.ino("note.md"))).unwrap();
    assert!(purged.versions >= 19, "{purged:?}");
    assert_eq!(bench.versions("note.md").len(), 1);
    assert_eq!(bench.forms("note.md"), [Text]);
    assert_eq!(bench.text("note.md"), "the present\n");
    for i in 0..5 {
        bench.save(VIM, "note.md", format!("the present {i}\n"));
        bench.tell();
    }
    assert_eq!(bench.versions("note.md").len(), 6);
    bench.check();
    let bench = bench.again();
    assert_eq!(bench.text("note.md"), "the present 4\n");
    bench.check();
}

/// Guards an older version that is restored: it is a version more, made from the present one.
#[test]
fn a_restored_version_is_one_more() {
    let bench = Bench::new();
    for text in ["one\n", "one\ntwo\n", "one\ntwo\nthree\n"] {
        bench.save(VIM, "note.md", text);
        bench.tell();
    }
    bench
        .vault
        .restore_version(Subject::File(bench.ino("note.md")), 2)
        .unwrap();
    bench.tell();
    assert_eq!(bench.text("note.md"), "one\ntwo\n");
    assert_eq!(bench.forms("note.md"), [Text; 4]);
    assert_eq!(bench.version("note.md", 4), b"one\ntwo\n");
    bench.vault.remove(ROOT, b"note.md", false).unwrap();
    bench.tell();
    let bench = bench.again();
    let removed = bench.vault.removed().unwrap();
    let at = At {
        folder: ROOT,
        name: b"back.md",
        replace: false,
        keep_times: false,
    };
    bench.vault.bring_back(removed[0].node, None, at).unwrap();
    bench.tell();
    assert_eq!(bench.text("back.md"), "one\ntwo\n");
    bench.save(VIM, "back.md", "one\ntwo\nfour\n");
    bench.tell();
    assert_eq!(bench.text("back.md"), "one\ntwo\nfour\n");
    assert!(bench.forms("back.md").iter().all(|form| *form == Text));
    bench.check();
}

/// Guards the stored document as a cache: altered, of another day, or gone, the text goes on.
#[test]
fn a_stored_document_is_only_a_cache() {
    for damage in 0..4 {
        let mut bench = Bench::new();
        let mut old = None;
        for i in 0..60 {
            bench.save(VIM, "note.md", format!("line {i}\nthe rest\n"));
            bench.tell();
            if i == 30 {
                bench = bench.again();
                old = Some(rows(&bench.disk, Table::Documents));
            }
        }
        bench.vault.close().unwrap();
        let stored = rows(&bench.disk, Table::Documents);
        assert_eq!(stored.len(), 1, "it was stored at the lock");
        let (key, value) = stored[0].clone();
        let value = match damage {
            0 => None,
            1 => Some(value[..value.len() - 1].to_vec()),
            2 => {
                let mut value = value;
                let middle = value.len() / 2;
                value[middle] ^= 1;
                Some(value)
            }
            _ => old.unwrap().pop().map(|(_, value)| value),
        };
        let disk = bench.disk.crash_all_kept();
        put(&disk, Table::Documents, &key, value);
        let bench = Bench::on(disk, Identity::Same);
        assert_eq!(bench.version("note.md", 7), b"line 6\nthe rest\n", "{damage}");
        bench.save(VIM, "note.md", "line 60\nthe rest\n");
        bench.tell();
        assert_eq!(bench.text("note.md"), "line 60\nthe rest\n");
        assert_eq!(bench.forms("note.md"), [Text; 61]);
    }
}

/// Guards salvage without the database: a text is what its events make of it.
#[test]
fn salvage_builds_texts_from_their_events() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("vault"), dir.path().join("out"));
    std::fs::create_dir(&from).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&from).unwrap());
    let vault = Vault::create_on(disk.clone(), &password(), KdfParams::FLOOR, false, None)
        .unwrap()
        .0;
    vault.stop_keeper();
    let bench = Bench {
        disk: SimDisk::new(),
        vault,
    };
    let large = "A line of a long text, which lies in chunks.\n".repeat(2000);
    for (name, first) in [("note.md", "first\n"), ("large.md", large.as_str())] {
        for i in 0..20 {
            bench.save(VIM, name, format!("{first}line {i}\n"));
            bench.tell();
        }
    }
    // One that two wrote in at once.
    bench.save(1, "both.md", "one\n\ntwo\n");
    bench.tell();
    bench.read(VIM, "both.md");
    bench.read(EMACS, "both.md");
    bench.save(VIM, "both.md", "one by vim\n\ntwo\n");
    bench.tell();
    bench.save(EMACS, "both.md", "one\n\ntwo by emacs\n");
    bench.tell();
    bench.vault.close().unwrap();
    drop(bench);
    for file in ["vault.redb", "vault.journal"] {
        let _ = std::fs::remove_file(from.join(file));
    }
    salvage(&from, &password(), &to, &mut |_| {}).unwrap();
    let read = |name: &str| std::fs::read_to_string(to.join(name)).unwrap();
    assert_eq!(read("note.md"), "first\nline 19\n");
    assert_eq!(read("large.md"), format!("{large}line 19\n"));
    assert_eq!(read("both.md"), "one by vim\n\ntwo by emacs\n");
}

fn rows(disk: &SimDisk, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let db = Db::open(Arc::new(disk.crash_all_kept())).unwrap();
    let mut rows = Vec::new();
    db.scan(table, b"", &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    })
    .unwrap();
    rows
}

fn put(disk: &SimDisk, table: Table, key: &[u8], value: Option<Vec<u8>>) {
    let db = Db::open(Arc::new(disk.clone())).unwrap();
    let mut batch = Batch::new();
    match value {
        Some(value) => batch.put(table, key, value),
        None => batch.delete(table, key),
    }
    db.apply(&batch).unwrap();
    db.close();
}
