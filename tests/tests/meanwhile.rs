//! Guards what is done while a commit is under way: it tells of a file as it was at its instant, and
//! by then the name may stand for another one.
//!
//! The disk calls the test in the middle of the commit, so that each run meets that moment.

use std::sync::{Arc, Mutex};

use coffer_store::ids::{Ino, ROOT};
use coffer_store::io::sim::SimDisk;
use coffer_store::vault::{At, Subject, Vault, VersionInfo};
use coffer_tests::crash::watched::Watched;
use coffer_tests::engine;

type Deed = Box<dyn FnOnce(&Vault) + Send>;

/// A vault whose next commit is interrupted.
struct Bench {
    vault: Arc<Vault>,
    deed: Arc<Mutex<Option<Deed>>>,
}

impl Bench {
    fn new() -> Bench {
        let deed: Arc<Mutex<Option<Deed>>> = Arc::default();
        let slot: Arc<Mutex<Option<Arc<Vault>>>> = Arc::default();
        let watcher = {
            let (deed, slot) = (deed.clone(), slot.clone());
            move || {
                let vault = slot.lock().unwrap().clone();
                let Some(vault) = vault else { return };
                let now = deed.lock().unwrap().take();
                if let Some(now) = now {
                    now(&vault);
                }
            }
        };
        let disk: SimDisk = engine::empty();
        let vault = engine::try_open_on(Arc::new(Watched::new(disk, watcher))).unwrap();
        vault.stop_keeper();
        *slot.lock().unwrap() = Some(vault.clone());
        Bench { vault, deed }
    }

    /// Commits, and does this in the middle of it.
    fn tell_and(&self, deed: impl FnOnce(&Vault) + Send + 'static) {
        *self.deed.lock().unwrap() = Some(Box::new(deed));
        self.vault.tick().unwrap();
        assert!(
            self.deed.lock().unwrap().is_none(),
            "the commit had something to write"
        );
    }

    fn events(&self) -> u64 {
        self.vault.status().unwrap().events
    }

    fn versions(&self, name: &str) -> Vec<VersionInfo> {
        let ino = self.vault.lookup(ROOT, name.as_bytes()).unwrap();
        self.vault.versions(Subject::File(ino)).unwrap()
    }

    /// Each was made from the one before.
    fn assert_in_a_row(&self, name: &str, count: usize) {
        let versions = self.versions(name);
        assert_eq!(versions.len(), count);
        for (a, b) in versions.iter().zip(&versions[1..]) {
            assert_eq!(b.parents, a.events[a.events.len() - 1..], "version {}", b.number);
        }
        assert!(engine::check(&self.vault).problems.is_empty());
    }
}

fn me() -> u32 {
    std::process::id()
}

fn write_new(vault: &Vault, name: &str, text: &str) -> Ino {
    let ino = vault
        .make_by(me(), ROOT, name.as_bytes(), engine::file_meta(), b"")
        .unwrap();
    vault.open_by(me(), ino, true, false, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
    ino
}

fn write_over(vault: &Vault, name: &str, text: &str) {
    let ino = vault.lookup(ROOT, name.as_bytes()).unwrap();
    vault.open_by(me(), ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
}

/// A note was removed and made anew while a commit told of it: the new file did not learn of that
/// event, and its next version was told beside it instead of after it.
#[test]
fn a_note_made_anew_while_it_is_told_follows_on() {
    let bench = Bench::new();
    write_new(&bench.vault, "note.md", "one");
    bench.vault.tick().unwrap();
    write_over(&bench.vault, "note.md", "two");
    bench.tell_and(|vault| {
        vault.remove_by(me(), ROOT, b"note.md", false).unwrap();
        write_new(vault, "note.md", "three");
    });
    bench.vault.tick().unwrap();
    bench.assert_in_a_row("note.md", 3);
    assert!(bench.vault.removed().unwrap().is_empty());
}

/// A new note was saved by a backup while its name was told for the first time: the name was told to be
/// gone, though it is there, and lay in the trash.
#[test]
fn a_name_that_is_there_is_not_told_to_be_gone() {
    let bench = Bench::new();
    write_new(&bench.vault, "note.md", "one");
    let before = bench.events();
    bench.tell_and(|vault| {
        let (from, to) = ((ROOT, &b"note.md"[..]), (ROOT, &b"note.md~"[..]));
        vault.rename_by(me(), from, to, false).unwrap();
        write_new(vault, "note.md", "two");
    });
    for _ in 0..3 {
        bench.vault.tick().unwrap();
    }
    assert!(bench.vault.removed().unwrap().is_empty());
    bench.assert_in_a_row("note.md", 2);
    assert_eq!(
        bench.events() - before,
        3,
        "the file, its name, its second version"
    );
}

/// A file was told for the first time while it was renamed over a note, and so became a version of
/// that: what was told of it lay in the trash as the note's, and no purge could destroy it.
#[test]
fn what_was_told_of_a_file_that_became_another_can_be_purged() {
    let bench = Bench::new();
    write_new(&bench.vault, "note.md", "one");
    bench.vault.tick().unwrap();
    write_new(&bench.vault, "new", "two");
    bench.tell_and(|vault| {
        vault
            .rename_by(me(), (ROOT, b"new"), (ROOT, b"note.md"), false)
            .unwrap();
    });
    bench.vault.tick().unwrap();
    bench.assert_in_a_row("note.md", 2);
    let note = bench
        .vault
        .entity(bench.vault.lookup(ROOT, b"note.md").unwrap())
        .unwrap();
    let removed = bench.vault.removed().unwrap();
    assert_eq!(removed.len(), 1);
    assert!(removed[0].path == b"new" && removed[0].entity != Some(note));
    let place = At {
        folder: ROOT,
        name: b"back",
        replace: false,
        keep_times: false,
    };
    let back = bench.vault.bring_back(removed[0].node, None, place).unwrap();
    let mut text = Vec::new();
    bench.vault.read(back, 0, 100, &mut text).unwrap();
    assert_eq!(text, b"two");
    assert!(engine::check(&bench.vault).problems.is_empty());
}
