//! Identity through every way of saving, on a simulated disk: what an editor does to save keeps
//! the entity of the name, tells the others of nothing but versions, and mixes up nothing that is
//! not a save.

use std::sync::Arc;

use coffer_store::ids::{EntityId, Ino, ROOT};
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{At, Change, CheckOptions, Identity, Process, Retention, Sealed, Subject, Vault};

/// Two processes that are there: this one, and the one that is always.
fn editor() -> Process {
    std::process::id()
}
const OTHER: Process = 1;

fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

fn meta() -> Meta {
    let now = Time::now();
    Meta {
        kind: Kind::File,
        perm: 0o644,
        uid: 0,
        gid: 0,
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    }
}

struct Bench {
    disk: SimDisk,
    vault: Arc<Vault>,
}

impl Bench {
    fn new() -> Bench {
        let disk = SimDisk::new();
        let made = Vault::create_on(Arc::new(disk.clone()), &password(), KdfParams::FLOOR, false, None);
        let vault = made.unwrap().0;
        vault.stop_keeper();
        Bench { disk, vault }
    }

    /// After a power cut that loses what was not synced.
    fn crashed(&self) -> Bench {
        let disk = self.disk.crash_all_lost();
        Bench::open(disk)
    }

    fn open(disk: SimDisk) -> Bench {
        let sealed = Sealed::open_on(Arc::new(disk.clone()), "sim".into(), None).unwrap();
        let vault = sealed.unlock(&password(), Identity::Same).unwrap();
        vault.stop_keeper();
        Bench { disk, vault }
    }

    /// A file is made and written in one go, as editors write a new one.
    fn write_new(&self, who: Process, name: &str, text: &str) -> Ino {
        let ino = self
            .vault
            .make_by(who, ROOT, name.as_bytes(), meta(), b"")
            .unwrap();
        self.vault.open_by(who, ino, true, false, false).unwrap();
        self.vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
        self.vault.release(ino, true);
        ino
    }

    /// A file that all devices know.
    fn known(&self, name: &str, text: &str) -> EntityId {
        self.write_new(OTHER, name, text);
        self.tell();
        self.entity(name)
    }

    fn tell(&self) {
        self.vault.tick().unwrap();
    }

    fn rename(&self, who: Process, from: &str, to: &str) {
        let (from, to) = ((ROOT, from.as_bytes()), (ROOT, to.as_bytes()));
        self.vault.rename_by(who, from, to, false).unwrap();
    }

    fn remove(&self, who: Process, name: &str) {
        self.vault.remove_by(who, ROOT, name.as_bytes(), false).unwrap();
    }

    fn ino(&self, name: &str) -> Ino {
        self.vault.lookup(ROOT, name.as_bytes()).unwrap()
    }

    fn entity(&self, name: &str) -> EntityId {
        self.vault.entity(self.ino(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        let mut out = Vec::new();
        self.vault.read(self.ino(name), 0, 1 << 20, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn events(&self) -> u64 {
        self.vault.status().unwrap().events
    }

    fn check(&self) {
        let report = self
            .vault
            .check(CheckOptions { read_data: true }, &mut |_| {})
            .unwrap();
        assert_eq!(report.problems, Vec::new());
    }
}

/// Each way in which an editor saves a file that is there.
type Save = fn(&Bench, &str);

fn by_rename(bench: &Bench, text: &str) {
    bench.write_new(editor(), "drawn", text);
    bench.rename(editor(), "drawn", "note.md");
}

fn by_backup(bench: &Bench, text: &str) {
    bench.rename(editor(), "note.md", "note.md~");
    bench.write_new(editor(), "note.md", text);
    bench.remove(editor(), "note.md~");
}

fn by_backup_that_stays(bench: &Bench, text: &str) {
    bench.rename(editor(), "note.md", "note.md~");
    bench.write_new(editor(), "note.md", text);
}

fn by_backup_of_any_name(bench: &Bench, text: &str) {
    bench.rename(editor(), "note.md", "before");
    bench.write_new(editor(), "note.md", text);
    bench.remove(editor(), "before");
}

fn by_removal(bench: &Bench, text: &str) {
    bench.remove(editor(), "note.md");
    bench.write_new(editor(), "note.md", text);
}

fn by_link(bench: &Bench, text: &str) {
    let ino = bench.write_new(editor(), "drawn", text);
    bench.rename(editor(), "note.md", "note.md~");
    bench.vault.link_by(editor(), ino, ROOT, b"note.md").unwrap();
    bench.remove(editor(), "drawn");
    bench.remove(editor(), "note.md~");
}

fn by_exchange(bench: &Bench, text: &str) {
    bench.write_new(editor(), "drawn", text);
    let (a, b) = ((ROOT, &b"drawn"[..]), (ROOT, &b"note.md"[..]));
    bench.vault.exchange_by(editor(), a, b).unwrap();
    bench.remove(editor(), "drawn");
}

fn in_place(bench: &Bench, text: &str) {
    let ino = bench.ino("note.md");
    bench.vault.open_by(editor(), ino, true, true, false).unwrap();
    bench.vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    bench.vault.release(ino, true);
}

const SAVES: [(&str, Save); 8] = [
    ("rename", by_rename),
    ("backup", by_backup),
    ("backup that stays", by_backup_that_stays),
    ("backup of any name", by_backup_of_any_name),
    ("removal", by_removal),
    ("link", by_link),
    ("exchange", by_exchange),
    ("in place", in_place),
];

/// Guards the promise: 30 saves in each way are one entity, one event each and no other event; what
/// is there is what POSIX says, also after a crash and after a remount.
#[test]
fn a_save_keeps_the_entity() {
    for (way, save) in SAVES {
        let bench = Bench::new();
        let entity = bench.known("note.md", "first");
        let before = bench.events();
        for turn in 0..30 {
            let text = format!("text {turn} {}", "x".repeat(turn * 2000));
            save(&bench, &text);
            assert_eq!(bench.entity("note.md"), entity, "{way} {turn}");
            assert_eq!(bench.text("note.md"), text, "{way} {turn}");
            bench.tell();
            assert_eq!(bench.text("note.md"), text, "{way} {turn}");
            let events = bench.events() - before;
            assert_eq!(events, turn as u64 + 1, "{way} {turn}");
            if turn % 7 == 3 {
                let crashed = bench.crashed();
                assert_eq!(crashed.entity("note.md"), entity, "{way} {turn}");
                assert_eq!(crashed.text("note.md"), text, "{way} {turn}");
                crashed.check();
            }
        }
        bench.check();
        bench.vault.close().unwrap();
        let again = Bench::open(bench.disk.clone());
        assert_eq!(again.entity("note.md"), entity, "{way}");
        again.check();
    }
}

/// The same while commits and syncs fall between the steps: nothing that a save leaves in between
/// is told, within the time that an editor takes.
#[test]
fn what_a_save_leaves_in_between_is_not_told() {
    let bench = Bench::new();
    let entity = bench.known("note.md", "first");
    let before = bench.events();
    for turn in 0..10 {
        let ino = bench.ino("note.md");
        bench.vault.open_by(editor(), ino, false, false, false).unwrap();
        bench.vault.release(ino, false);
        bench.write_new(editor(), "4913", "");
        bench.tell();
        bench.remove(editor(), "4913");
        bench.rename(editor(), "note.md", "note.md~");
        bench.tell();
        let crashed = bench.crashed();
        assert!(crashed.vault.lookup(ROOT, b"note.md").is_err());
        crashed.write_new(OTHER, "note.md", "brought back after a crash");
        assert_eq!(crashed.entity("note.md"), entity, "held over a crash");
        assert_ne!(crashed.entity("note.md~"), entity);
        crashed.tell();
        crashed.check();
        let text = format!("text {turn}");
        bench.write_new(editor(), "note.md", &text);
        bench.tell();
        bench.remove(editor(), "note.md~");
        bench.tell();
        assert_eq!(bench.events() - before, turn + 1);
        assert_eq!((bench.entity("note.md"), bench.text("note.md")), (entity, text));
    }
    bench.check();
}

/// A removal is held too, and known again after a crash; nobody who comes later takes it over.
#[test]
fn a_removal_is_held_over_a_crash() {
    let bench = Bench::new();
    let entity = bench.known("note.md", "first");
    let before = bench.events();
    bench.remove(editor(), "note.md");
    bench.tell();
    assert_eq!(bench.events(), before, "held");
    let crashed = bench.crashed();
    crashed.write_new(OTHER, "note.md", "again");
    assert_eq!(crashed.entity("note.md"), entity);
    crashed.tell();
    crashed.check();
    // An orderly end is no crash: then it is told.
    bench.vault.close().unwrap();
    let again = Bench::open(bench.disk.clone());
    assert_eq!(again.events(), before + 1);
    again.write_new(OTHER, "note.md", "another");
    assert_ne!(again.entity("note.md"), entity);
    again.tell();
    again.check();
}

/// What is not a save is not taken for one.
#[test]
fn what_is_not_a_save() {
    let bench = Bench::new();
    let (a, c) = (bench.known("a", "text a"), bench.known("c", "text c"));
    bench.rename(editor(), "a", "b");
    bench.rename(editor(), "c", "a");
    assert_eq!((bench.entity("b"), bench.entity("a")), (a, c), "mv a b; mv c a");
    bench.tell();
    bench.rename(editor(), "b", "a");
    assert_eq!(bench.entity("a"), a, "a known file over a known one");
    // A copy under the name that another process has just left.
    bench.tell();
    bench.rename(OTHER, "a", "kept");
    bench.write_new(editor(), "a", "new");
    assert_eq!(bench.entity("kept"), a);
    assert_ne!(bench.entity("a"), a);
    // Snapshots by hard links keep what they are of.
    let note = bench.known("note.md", "first");
    bench.vault.link(bench.ino("note.md"), ROOT, b"snapshot").unwrap();
    bench.tell();
    by_rename(&bench, "second");
    bench.tell();
    assert_eq!(bench.entity("snapshot"), note);
    assert_ne!(bench.entity("note.md"), note);
    assert_eq!(bench.text("snapshot"), "first");
    bench.check();
}

/// Names that look like an editor's but stand beside nothing that is edited are ordinary files.
#[test]
fn real_files_with_such_names_are_told() {
    let bench = Bench::new();
    let before = bench.events();
    for name in ["x", "x~", "#todo#", "note.md.bak", "4913"] {
        bench.write_new(OTHER, name, "real");
    }
    bench.tell();
    assert_eq!(
        bench.events() - before,
        8,
        "x~ may be about to be put in the place of x"
    );
    bench.vault.end_graces();
    bench.tell();
    assert_eq!(bench.events() - before, 10, "an entity and a node each");
    // Beside a file that is edited, they are not told, and stay here while they are open.
    let x = bench.ino("x");
    bench.vault.open_by(editor(), x, false, false, false).unwrap();
    bench.write_new(editor(), ".x.swp", "swap");
    bench.tell();
    assert_eq!(bench.events() - before, 10);
    let again = bench.crashed();
    again.tell();
    assert_eq!(again.events() - before, 10, "known by its row");
}

/// A new file beside the one in whose place it is about to be put was told within milliseconds, where others wait for what is
/// new. It lay on the other device for a moment, under the name that the editor there draws too: met by two who save
/// one note at once.
#[test]
fn what_may_pass_is_told_when_it_was_left_alone() {
    let bench = Bench::new();
    bench.known("note.md", "first");
    let before = bench.events();
    for name in [
        ".note.md.swp1",
        ".hidden",
        "note.md.part",
        "new-note.md",
        "~note.md",
    ] {
        bench.write_new(editor(), name, "a part");
    }
    bench.tell();
    assert_eq!(bench.events(), before, "held");
    bench.write_new(editor(), "notes.md", "no part of it");
    bench.tell();
    assert_eq!(bench.events() - before, 2, "another file");
    // Whoever asks for its versions means that file.
    let asked = Subject::File(bench.ino("note.md.part"));
    assert_eq!(bench.vault.versions(asked).unwrap().len(), 1);
    assert_eq!(bench.events() - before, 4);
    bench.vault.end_graces();
    bench.tell();
    assert_eq!(bench.events() - before, 12, "left alone");
    bench.check();
}

/// An editor drew the name of a temporary file that another device had told of, wrote it anew and put it in the note's
/// place: that was taken for a move, and the note's history ended.
#[test]
fn a_save_by_a_known_file_that_was_written_anew_is_a_save() {
    type Way = fn(&Bench);
    let ways: [(&str, Way); 3] = [
        ("over it", |_| {}),
        ("aside", |bench| bench.rename(editor(), "note.md", "note.md~")),
        ("removed", |bench| bench.remove(editor(), "note.md")),
    ];
    for (way, before) in ways {
        let bench = Bench::new();
        let entity = bench.known("note.md", "first");
        let left = bench.known(".note.md.swp1", "what another has left");
        bench.vault.end_graces();
        bench.tell();
        let events = bench.events();
        let ino = bench.ino(".note.md.swp1");
        bench.vault.open_by(editor(), ino, true, true, false).unwrap();
        bench.vault.write(ino, Some(0), b"second", false).unwrap();
        bench.vault.release(ino, true);
        before(&bench);
        bench.rename(editor(), ".note.md.swp1", "note.md");
        assert_eq!(bench.entity("note.md"), entity, "{way}");
        assert_ne!(left, entity);
        bench.tell();
        assert_eq!(
            bench.events() - events,
            2,
            "{way}: a version, and the other name is gone"
        );
        assert_eq!(bench.text("note.md"), "second", "{way}");
        let of = Subject::File(bench.ino("note.md"));
        assert_eq!(bench.vault.versions(of).unwrap().len(), 2, "{way}");
        bench.check();
        let crashed = bench.crashed();
        assert_eq!(
            (crashed.entity("note.md"), crashed.text("note.md")),
            (entity, "second".into()),
            "{way}"
        );
        crashed.check();
    }
    // By another process, or a file that has a name of its own, it is a move.
    let bench = Bench::new();
    let (note, other) = (
        bench.known("note.md", "first"),
        bench.known("other.md", "another"),
    );
    let ino = bench.ino("other.md");
    bench.vault.open_by(editor(), ino, true, true, false).unwrap();
    bench.vault.write(ino, Some(0), b"second", false).unwrap();
    bench.vault.release(ino, true);
    bench.rename(editor(), "other.md", "note.md");
    assert_eq!(bench.entity("note.md"), other);
    assert_ne!(note, other);
    bench.check();
}

/// A program renames its new file over the old one before it has closed it, and goes on writing: what
/// it wrote is committed with the name. It was held back as an unfinished save, for half a minute, so
/// that a power cut left the name with less than it had, or with nothing.
#[test]
fn a_file_that_takes_over_while_it_is_open_is_committed_as_it_is() {
    for written_before in ["", "its first half"] {
        let bench = Bench::new();
        let entity = bench.known("a", "the old text");
        let vault = &bench.vault;
        let ino = vault.make_by(editor(), ROOT, b"b", meta(), b"").unwrap();
        vault.open_by(editor(), ino, true, false, false).unwrap();
        vault
            .write(ino, Some(0), written_before.as_bytes(), false)
            .unwrap();
        bench.rename(editor(), "b", "a");
        let at = written_before.len() as u64;
        vault.write(ino, Some(at), b", and the rest", false).unwrap();
        bench.tell();
        let after = bench.crashed();
        assert_eq!(after.text("a"), format!("{written_before}, and the rest"));
        assert_eq!(after.entity("a"), entity);
        after.check();
    }
}

/// Guards against a version that replaces the wrong one: a commit tells of the old file's last
/// state while the new one is put in its place.
#[test]
fn a_file_taken_over_while_it_is_told_follows_on() {
    let bench = Bench::new();
    let entity = bench.known("note.md", "first");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let teller = {
        let (vault, stop) = (bench.vault.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                vault.tick().unwrap();
            }
        })
    };
    for turn in 0..400 {
        let (way, save) = SAVES[turn % SAVES.len()];
        save(&bench, &format!("text {turn}"));
        assert_eq!(bench.entity("note.md"), entity, "{way} {turn}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    teller.join().unwrap();
    bench.tell();
    assert_eq!(bench.entity("note.md"), entity);
    assert_eq!(bench.text("note.md"), "text 399");
    bench.check();
}

/// A commit that comes in the middle of a save tells of the program's new file, or of what it puts aside.
/// The next save then brought a history of its own along, and the note's ended.
#[test]
fn a_save_whose_parts_are_told_is_a_save() {
    let bench = Bench::new();
    let entity = bench.known("note.md", "first");
    for turn in 0..6 {
        bench.write_new(editor(), "drawn", &format!("text {turn}"));
        bench.tell();
        if turn % 3 == 1 {
            bench.rename(editor(), "drawn", "note.md");
        } else {
            let (a, b) = ((ROOT, &b"drawn"[..]), (ROOT, &b"note.md"[..]));
            bench.vault.exchange_by(editor(), a, b).unwrap();
            bench.tell();
            assert_ne!(bench.entity("drawn"), entity);
            bench.remove(editor(), "drawn");
        }
        assert_eq!(bench.entity("note.md"), entity, "{turn}");
        bench.tell();
        let crashed = bench.crashed();
        assert_eq!(crashed.entity("note.md"), entity, "{turn}");
        assert_eq!(crashed.text("note.md"), format!("text {turn}"));
    }
    let of = Subject::File(bench.ino("note.md"));
    assert_eq!(bench.vault.versions(of).unwrap().len(), 7);
    bench.check();
}

/// A backup was told, now and then, by a commit that came between the moment in which the old file got
/// an entity of its own and the one in which it was known to be a backup: found by vim at a terminal.
#[test]
fn a_backup_is_told_in_no_moment() {
    let bench = Bench::new();
    bench.known("note.md", "first");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let teller = {
        let (vault, stop) = (bench.vault.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                vault.tick().unwrap();
            }
        })
    };
    for turn in 0..3000 {
        let save = [by_backup, by_backup_that_stays][turn % 2];
        save(&bench, &format!("text {turn}"));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    teller.join().unwrap();
    bench.tell();
    let removed = bench.vault.removed().unwrap();
    let removed: Vec<_> = removed
        .iter()
        .map(|gone| String::from_utf8_lossy(&gone.path))
        .collect();
    assert!(removed.is_empty(), "{removed:?}");
    bench.check();
}

/// Guards that every save of a text is a version, however soon the next one comes; a removal and
/// what is made anew within the same moment are one.
#[test]
fn saves_in_quick_succession_are_versions_each() {
    for (way, save) in SAVES.iter().filter(|(way, _)| *way != "removal") {
        let bench = Bench::new();
        let entity = bench.known("note.md", "first");
        let before = bench.events();
        for turn in 0..50 {
            save(&bench, &format!("text {turn}"));
        }
        bench.tell();
        assert_eq!(bench.events() - before, 50, "{way}");
        let of = Subject::File(bench.ino("note.md"));
        let versions = bench.vault.versions(of).unwrap();
        assert_eq!(versions.len(), 51, "{way}");
        for (turn, version) in versions[1..].iter().enumerate() {
            let old = bench.vault.open_version(of, version.number).unwrap();
            let mut bytes = Vec::new();
            old.read(&bench.vault, 0, 100, &mut bytes).unwrap();
            assert_eq!(bytes, format!("text {turn}").into_bytes(), "{way}");
            assert!(version.program.is_some(), "{way}");
        }
        assert_eq!(bench.entity("note.md"), entity, "{way}");
        assert_eq!(bench.text("note.md"), "text 49", "{way}");
        // What is no text is told as it is when it is told.
        bench.write_new(editor(), "data.bin", "1");
        for turn in 0..5 {
            let ino = bench.ino("data.bin");
            bench.vault.open_by(editor(), ino, true, true, false).unwrap();
            bench.vault.write(ino, Some(0), &[turn], false).unwrap();
            bench.vault.release(ino, true);
        }
        bench.tell();
        assert_eq!(bench.events() - before, 52, "{way}");
        bench.check();
        let crashed = bench.crashed();
        assert_eq!(crashed.text("note.md"), "text 49", "{way}");
        crashed.check();
    }
}

/// A new note that is saved again before anybody was told of it has all its versions, too.
#[test]
fn a_new_text_has_its_first_versions() {
    let bench = Bench::new();
    let before = bench.events();
    bench.write_new(editor(), "note.md", "text 0");
    for turn in 1..10 {
        let (_, save) = SAVES[[0, 1, 7][turn % 3]];
        save(&bench, &format!("text {turn}"));
    }
    bench.tell();
    let crashed = bench.crashed();
    assert_eq!(crashed.text("note.md"), "text 9");
    assert_eq!(bench.events() - before, 11, "ten versions and a name");
    bench.check();
}

/// Guards who reads while it is told: a text that was synced lies in the log, which the commit that
/// tells of it removes; a reader that closes in the middle of that must not make memory forget it.
#[test]
fn a_reader_never_fails_while_it_is_told() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let bench = Bench::new();
    bench.known("note.md", "first");
    let ino = bench.ino("note.md");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    bench.vault.open_by(OTHER, ino, false, false, false).unwrap();
                    let mut out = Vec::new();
                    let read = bench.vault.read(ino, 0, 100, &mut out);
                    bench.vault.release(ino, false);
                    if read.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    read.unwrap();
                }
            });
        }
        for turn in 0..2000 {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            bench.vault.open_by(editor(), ino, true, true, false).unwrap();
            let text = format!("text {turn}");
            bench.vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
            bench.vault.sync(ino).unwrap();
            bench.vault.release(ino, true);
            bench.tell();
        }
        stop.store(true, Ordering::Relaxed);
    });
    bench.check();
}

/// Guards against a version that is told twice: some editors open what they have just saved once
/// more to write, and write nothing; a commit may come while they have it open.
#[test]
fn opened_once_more_and_not_written_is_no_version() {
    let bench = Bench::new();
    bench.known("note.md", "first");
    let before = bench.events();
    for turn in 0..10 {
        in_place(&bench, &format!("text {turn}"));
        let ino = bench.ino("note.md");
        bench.vault.open_by(editor(), ino, true, false, false).unwrap();
        bench.tell();
        bench.vault.release(ino, true);
        bench.tell();
        assert_eq!(bench.events() - before, turn + 1);
    }
    bench.check();
}

/// Guards backups by a hard link, as GLib and perl make them: the name keeps the entity, and the
/// second name, of which nobody was told, is the backup.
#[test]
fn a_backup_by_a_link_is_a_backup() {
    let bench = Bench::new();
    let entity = bench.known("note.md", "first");
    let before = bench.events();
    for turn in 0..10 {
        bench.write_new(editor(), "drawn", &format!("text {turn}"));
        if turn > 0 {
            bench.remove(editor(), "note.md~");
        }
        let ino = bench.ino("note.md");
        bench.vault.link_by(editor(), ino, ROOT, b"note.md~").unwrap();
        bench.rename(editor(), "drawn", "note.md");
        if turn % 3 == 0 {
            bench.tell();
        }
        assert_eq!(bench.entity("note.md"), entity);
        assert_ne!(bench.entity("note.md~"), entity);
    }
    bench.tell();
    assert_eq!(bench.events() - before, 10);
    assert_eq!(
        (bench.text("note.md"), bench.text("note.md~")),
        ("text 9".into(), "text 8".into())
    );
    bench.check();
}

/// Guards bursts: the kernel tells late that a handle is gone, but that it was closed before the
/// next open; so each is a version still. One that writes on meanwhile makes none.
#[test]
fn a_late_release_loses_no_version() {
    let bench = Bench::new();
    bench.known("note.md", "first");
    let (ino, before) = (bench.ino("note.md"), bench.events());
    for turn in 0..10_u64 {
        bench.vault.open_by(editor(), ino, true, true, false).unwrap();
        if turn > 0 {
            bench.vault.release_handle(ino, true, turn - 1);
        }
        let text = format!("text {turn}");
        bench.vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
        bench.vault.close_handle(ino, turn);
    }
    bench.vault.release_handle(ino, true, 9);
    bench.tell();
    assert_eq!(bench.events() - before, 10);
    bench.vault.open_by(editor(), ino, true, false, false).unwrap();
    for turn in 0..10 {
        bench.vault.open_by(OTHER, ino, true, false, false).unwrap();
        bench
            .vault
            .write(ino, Some(0), format!("{turn}").as_bytes(), false)
            .unwrap();
        bench.vault.release(ino, true);
    }
    bench.vault.release(ino, true);
    bench.tell();
    assert_eq!(bench.events() - before, 11, "never closed by all");
    bench.check();
}

/// A file that was cut while it is open was held back though nothing whole of it was on disk: of a new
/// one, a power cut left the name with nothing for half a minute.
#[test]
fn a_new_file_that_is_cut_while_open_is_committed() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let ino = vault.make_by(editor(), ROOT, b"new", meta(), b"").unwrap();
    vault.open_by(editor(), ino, true, false, false).unwrap();
    vault.write(ino, Some(0), b"too long by half", false).unwrap();
    let size = Some(8);
    vault
        .change(
            ino,
            Change {
                size,
                ..Change::default()
            },
        )
        .unwrap();
    bench.tell();
    assert_eq!(bench.crashed().text("new"), "too long");
}

/// A file that is being rewritten is renamed before it is closed: its old bytes were shown under the
/// new name after a power cut, and the ones of that name were gone.
#[test]
fn what_is_renamed_while_it_is_rewritten_is_committed() {
    for way in 0..3 {
        let bench = Bench::new();
        bench.known("draft", "of another day");
        bench.known("note", "what it was");
        let (vault, ino) = (&bench.vault, bench.ino("draft"));
        vault.open_by(editor(), ino, true, true, false).unwrap();
        vault.write(ino, Some(0), b"what it is", false).unwrap();
        match way {
            0 => bench.rename(editor(), "draft", "note"),
            1 => vault
                .exchange_by(editor(), (ROOT, b"draft"), (ROOT, b"note"))
                .unwrap(),
            _ => {
                bench.remove(editor(), "note");
                vault.link_by(editor(), ino, ROOT, b"note").unwrap();
            }
        }
        bench.tell();
        let after = bench.crashed();
        assert_eq!(after.text("note"), "what it is", "{way}");
        after.check();
    }
}

/// A save was held back even after its own fsync, so that what followed waited for half a minute.
#[test]
fn a_save_that_was_synced_is_held_back_no_more() {
    let bench = Bench::new();
    bench.known("note", "what it was");
    let (vault, ino) = (&bench.vault, bench.ino("note"));
    vault.open_by(editor(), ino, true, true, false).unwrap();
    vault.write(ino, Some(0), b"one", false).unwrap();
    bench.tell();
    assert_eq!(
        bench.crashed().text("note"),
        "what it was",
        "half a save is no state"
    );
    vault.sync(ino).unwrap();
    vault.write(ino, Some(3), b", two", false).unwrap();
    bench.tell();
    assert_eq!(bench.crashed().text("note"), "one, two");
}

/// What an editor left beside a note kept the vault committing for ten minutes, and made ten thousand
/// commits of a lock.
#[test]
fn what_stays_local_costs_no_commit() {
    let bench = Bench::new();
    bench.known("note.md", "text");
    let note = bench.ino("note.md");
    bench.vault.open_by(editor(), note, true, false, false).unwrap();
    bench.write_new(editor(), ".note.md.un~", &"undo ".repeat(2000));
    let open = bench.write_new(editor(), "open", "written to for days");
    bench.vault.open_by(editor(), open, true, false, false).unwrap();
    bench.vault.write(open, Some(0), b"now", false).unwrap();
    bench.tell();
    let before = bench.disk.ops();
    for _ in 0..10 {
        bench.tell();
    }
    assert_eq!(bench.disk.ops(), before, "nothing has changed");
    bench.vault.release(open, true);
    bench.vault.release(note, true);
    bench.tell();
    let before = bench.disk.ops();
    bench.vault.close().unwrap();
    assert!(
        bench.disk.ops() - before < 50,
        "{} calls",
        bench.disk.ops() - before
    );
}

/// A note was removed and made anew while an event told of it: the new file did not learn of that
/// event, so its next version was told beside it and not after it; and the living name was told to be
/// gone.
#[test]
fn a_note_made_anew_while_it_is_told_follows_on() {
    for save in [by_removal, by_backup, by_rename] {
        let bench = Bench::new();
        bench.known("note.md", "first");
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let teller = {
            let (vault, stop) = (bench.vault.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    vault.tick().unwrap();
                }
            })
        };
        for turn in 0..1500 {
            save(&bench, &format!("text {turn}"));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        teller.join().unwrap();
        bench.tell();
        let of = Subject::File(bench.ino("note.md"));
        let versions = bench.vault.versions(of).unwrap();
        for (a, b) in versions.iter().zip(&versions[1..]) {
            assert_eq!(b.parents, a.events[a.events.len() - 1..], "version {}", b.number);
        }
        bench.check();
    }
}

/// A note was purged, and made anew within the moment in which a removal may be a save: the new one
/// took over what was destroyed, and nobody else could have read it.
#[test]
fn what_was_purged_is_taken_over_by_nobody() {
    let bench = Bench::new();
    let purged = bench.known("note.md", "secret");
    bench.remove(editor(), "note.md");
    bench.tell();
    let gone = bench.vault.removed().unwrap();
    bench.vault.purge(Subject::Removed(gone[0].node)).unwrap();
    bench.write_new(editor(), "note.md", "new");
    bench.tell();
    assert_ne!(bench.entity("note.md"), purged);
    let of = Subject::File(bench.ino("note.md"));
    assert_eq!(bench.vault.versions(of).unwrap().len(), 1);
    assert!(bench.vault.removed().unwrap().is_empty());
    let after = bench.crashed();
    assert_eq!(after.text("note.md"), "new");
    after.check();
}

/// A note was brought back under another name, and made anew within that moment: two files stood for
/// one entity.
#[test]
fn what_came_back_is_taken_over_by_nobody() {
    let bench = Bench::new();
    let entity = bench.known("note.md", "text");
    bench.remove(editor(), "note.md");
    bench.tell();
    let gone = bench.vault.removed().unwrap();
    let place = At {
        folder: ROOT,
        name: b"back.md",
        replace: false,
        keep_times: false,
    };
    bench.vault.bring_back(gone[0].node, None, place).unwrap();
    bench.write_new(editor(), "note.md", "new");
    bench.tell();
    assert_eq!(bench.entity("back.md"), entity);
    assert_ne!(bench.entity("note.md"), entity);
    assert_eq!(
        (bench.text("back.md"), bench.text("note.md")),
        ("text".into(), "new".into())
    );
    bench.check();
}

/// What was removed is let go of by age in the middle of a save, where nothing is kept for a day: the
/// note keeps its history.
#[test]
fn what_a_save_has_removed_is_not_let_go_of() {
    let bench = Bench::new();
    let entity = bench.known("note.md", "text");
    bench.remove(editor(), "note.md");
    bench.tell();
    let retention = Retention {
        removed_days: 0,
        ..Retention::default()
    };
    bench.vault.set_retention(retention).unwrap();
    bench.vault.thin(Time::now()).unwrap();
    bench.write_new(editor(), "note.md", "new");
    bench.tell();
    assert_eq!(bench.entity("note.md"), entity);
    let of = Subject::File(bench.ino("note.md"));
    assert_eq!(bench.vault.versions(of).unwrap().len(), 2);
    bench.check();
}

/// Guards what `status` says of what stays here: an editor's files by name and neighbour, special files;
/// nothing that is told, or will be.
#[test]
fn status_lists_what_stays_here() {
    let bench = Bench::new();
    bench.known("note.md", "text");
    let local = || {
        let status = bench.vault.status().unwrap();
        let files = status.local.into_iter();
        files
            .map(|file| (String::from_utf8(file.path).unwrap(), file.special))
            .collect::<Vec<_>>()
    };
    assert_eq!(local(), []);
    let note = bench.ino("note.md");
    bench.vault.open_by(editor(), note, true, false, false).unwrap();
    bench.write_new(editor(), ".note.md.swp", "swap");
    bench.write_new(editor(), "another~", "a real one");
    bench.write_new(editor(), "new.md", "told at the next commit");
    let pipe = Meta {
        kind: Kind::Fifo,
        ..meta()
    };
    bench.vault.make(ROOT, b"pipe", pipe, b"").unwrap();
    let here = [(".note.md.swp".to_owned(), false), ("pipe".to_owned(), true)];
    assert_eq!(local(), here);
    bench.tell();
    assert_eq!(local(), here);
    bench.vault.release(note, true);
    let names: Vec<_> = bench.crashed().vault.status().unwrap().local;
    assert_eq!(names.len(), 2, "also after a crash");
}

/// A name came back by a save and went again before a commit: the note that it is gone was taken back,
/// so that after a crash nobody was ever told.
#[test]
fn a_name_that_goes_twice_is_told_to_be_gone() {
    let bench = Bench::new();
    bench.known("note.md", "text");
    let before = bench.events();
    bench.remove(editor(), "note.md");
    bench.tell();
    bench.write_new(editor(), "note.md", "again");
    bench.remove(editor(), "note.md");
    bench.tell();
    assert_eq!(bench.events(), before, "it may come back still");
    let after = bench.crashed();
    assert_eq!(after.vault.status().unwrap().untold, 1, "it is to be told still");
    after.check();
}

/// A file with two names was purged by the one that went first: a save took over what was destroyed by
/// the other.
#[test]
fn what_was_purged_by_one_name_is_taken_over_by_no_other() {
    let bench = Bench::new();
    let purged = bench.known("a.md", "text");
    bench.vault.link(bench.ino("a.md"), ROOT, b"b.md").unwrap();
    bench.tell();
    bench.remove(editor(), "a.md");
    bench.tell();
    bench.remove(editor(), "b.md");
    bench.tell();
    let removed = bench.vault.removed().unwrap();
    let a = removed.iter().find(|gone| gone.path == b"a.md").unwrap();
    bench.vault.purge(Subject::Removed(a.node)).unwrap();
    bench.write_new(editor(), "b.md", "new");
    bench.tell();
    assert_ne!(bench.entity("b.md"), purged);
    bench.check();
}
