//! Guards what is done to a text while a commit tells of it, or while another device's events come in:
//! no word is lost, none is there twice, and nothing waits for itself.
//!
//! The disk calls the test before each of its writes in turn, so that every moment is met.

use std::sync::{Arc, Mutex};

use coffer_store::ids::{Ino, ROOT};
use coffer_store::io::sim::SimDisk;
use coffer_store::vault::{Identity, Sealed, Vault};
use coffer_tests::crash::watched::Watched;
use coffer_tests::engine;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";
/// A process that is none.
const VIM: u32 = 4_100_001;

type Deed = Box<dyn FnOnce(&Vault) + Send>;

/// A vault in the middle of whose writing something is done, once.
struct Bench {
    disk: SimDisk,
    vault: Arc<Vault>,
    /// How many writes come before that; and what.
    deed: Arc<Mutex<Option<(usize, Deed)>>>,
}

impl Bench {
    fn on(disk: SimDisk) -> Bench {
        let deed: Arc<Mutex<Option<(usize, Deed)>>> = Arc::default();
        let slot: Arc<Mutex<Option<Arc<Vault>>>> = Arc::default();
        let watcher = {
            let (deed, slot) = (deed.clone(), slot.clone());
            move || {
                let Some(vault) = slot.lock().unwrap().clone() else {
                    return;
                };
                let now = {
                    let mut deed = deed.lock().unwrap();
                    match deed.as_mut() {
                        Some((0, _)) => deed.take(),
                        Some((before, _)) => {
                            *before -= 1;
                            None
                        }
                        None => None,
                    }
                };
                if let Some((_, now)) = now {
                    now(&vault);
                }
            }
        };
        let vault = engine::try_open_on(Arc::new(Watched::new(disk.clone(), watcher))).unwrap();
        vault.stop_keeper();
        *slot.lock().unwrap() = Some(vault.clone());
        Bench { disk, vault, deed }
    }

    /// Arms a deed; false from [`Bench::is_done`] until it was done.
    fn at(&self, before: usize, deed: impl FnOnce(&Vault) + Send + 'static) {
        *self.deed.lock().unwrap() = Some((before, Box::new(deed)));
    }

    fn is_done(&self) -> bool {
        self.deed.lock().unwrap().take().is_none()
    }

    fn again(&self) -> Arc<Vault> {
        let vault = engine::open(&self.disk.crash_all_lost());
        vault.stop_keeper();
        vault
    }
}

fn read(vault: &Vault, name: &str) -> String {
    let ino = vault.lookup(ROOT, name.as_bytes()).unwrap();
    vault.open_by(VIM, ino, false, false, false).unwrap();
    let mut out = Vec::new();
    vault.read(ino, 0, 1 << 20, &mut out).unwrap();
    vault.release(ino, false);
    String::from_utf8(out).unwrap()
}

fn write(vault: &Vault, ino: Ino, text: &str) {
    vault.open_by(VIM, ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
}

fn write_new(vault: &Vault, name: &str, text: &str) -> Ino {
    let meta = engine::file_meta();
    let ino = vault.make_by(VIM, ROOT, name.as_bytes(), meta, b"").unwrap();
    write(vault, ino, text);
    ino
}

fn in_place(vault: &Vault, text: &str) {
    let ino = vault.lookup(ROOT, b"note.md").unwrap();
    write(vault, ino, text);
}

fn by_backup(vault: &Vault, text: &str) {
    let (from, to) = ((ROOT, &b"note.md"[..]), (ROOT, &b"note.md~"[..]));
    vault.rename_by(VIM, from, to, false).unwrap();
    write_new(vault, "note.md", text);
}

fn by_rename(vault: &Vault, text: &str) {
    write_new(vault, "drawn", text);
    let (from, to) = ((ROOT, &b"drawn"[..]), (ROOT, &b"note.md"[..]));
    vault.rename_by(VIM, from, to, false).unwrap();
}

fn by_exchange(vault: &Vault, text: &str) {
    write_new(vault, "drawn", text);
    let (a, b) = ((ROOT, &b"drawn"[..]), (ROOT, &b"note.md"[..]));
    vault.exchange_by(VIM, a, b).unwrap();
    vault.remove_by(VIM, ROOT, b"drawn", false).unwrap();
}

fn by_removal(vault: &Vault, text: &str) {
    vault.remove_by(VIM, ROOT, b"note.md", false).unwrap();
    write_new(vault, "note.md", text);
}

type Save = fn(&Vault, &str);
const SAVES: [(&str, Save); 5] = [
    ("in place", in_place),
    ("by backup", by_backup),
    ("by rename", by_rename),
    ("by exchange", by_exchange),
    ("by removal", by_removal),
];

/// A disk with a vault that has one note.
fn with_a_note() -> SimDisk {
    let disk = engine::empty();
    let vault = engine::open(&disk);
    vault.stop_keeper();
    write_new(&vault, "note.md", NOTE);
    vault.tick().unwrap();
    vault.close().unwrap();
    disk
}

fn garlic() -> String {
    NOTE.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

/// Another device's edit came in while an editor saved by putting a new file in the note's place: the
/// vault waited for itself, and every save with it; or the new file never showed the edit.
#[test]
fn a_note_that_is_replaced_while_events_come_merges() {
    for (way, save) in SAVES {
        let mut moments = 0;
        for moment in 0..100 {
            let one = Bench::on(with_a_note());
            let copy = Sealed::open_on(Arc::new(one.disk.crash_all_kept()), "sim".into(), None).unwrap();
            let two = copy.unlock(&engine::password(), Identity::NewDevice).unwrap();
            two.stop_keeper();
            in_place(&two, &butter(&read(&two, "note.md")));
            two.commit().unwrap();
            read(&one.vault, "note.md");
            one.at(moment, move |vault| save(vault, &garlic()));
            for carried in two.told_after(0).unwrap() {
                one.vault.take_in(&two.device(), &carried).unwrap();
            }
            if !one.is_done() {
                break;
            }
            moments += 1;
            for _ in 0..3 {
                one.vault.commit().unwrap();
            }
            assert_eq!(
                read(&one.vault, "note.md"),
                butter(&garlic()),
                "{way}, moment {moment}"
            );
            assert!(engine::check(&one.vault).problems.is_empty());
            assert_eq!(
                read(&one.again(), "note.md"),
                butter(&garlic()),
                "{way}, {moment}"
            );
        }
        assert!(moments > 3, "{way}: it was met at {moments} moments");
    }
}

/// Each save, made from the one before, while that one is told: in each moment of the commit.
#[test]
fn what_is_saved_while_the_last_save_is_told_follows_on() {
    for (way, save) in SAVES {
        let mut moments = 0;
        for moment in 0..100 {
            let one = Bench::on(with_a_note());
            read(&one.vault, "note.md");
            save(&one.vault, &garlic());
            one.at(moment, move |vault| save(vault, &butter(&garlic())));
            one.vault.tick().unwrap();
            if !one.is_done() {
                break;
            }
            moments += 1;
            for _ in 0..3 {
                one.vault.commit().unwrap();
            }
            let what = format!("{way}, moment {moment}");
            assert_eq!(read(&one.vault, "note.md"), butter(&garlic()), "{what}");
            let ino = one.vault.lookup(ROOT, b"note.md").unwrap();
            let of = coffer_store::vault::Subject::File(ino);
            let versions = one.vault.versions(of).unwrap();
            assert_eq!(versions.len(), 3, "{what}");
            for (a, b) in versions.iter().zip(&versions[1..]) {
                assert_eq!(b.parents, a.events[a.events.len() - 1..], "{what}: {}", b.number);
            }
            assert!(engine::check(&one.vault).problems.is_empty());
            let again = one.again();
            again.commit().unwrap();
            assert_eq!(read(&again, "note.md"), butter(&garlic()), "{what}");
        }
        assert!(moments > 1, "{way}: it was met at {moments} moments");
    }
}

/// A note was saved, and cut for the next save that stays open, before a commit came. That told of the
/// first save while the disk kept what was before it, under its name: after a power cut the words of
/// the first save were there twice, or gone on every device.
#[test]
fn a_power_cut_in_the_next_save_leaves_the_last_one_once() {
    for (synced, commits) in [(false, 1), (false, 2), (true, 1), (true, 2)] {
        let one = Bench::on(with_a_note());
        read(&one.vault, "note.md");
        in_place(&one.vault, &garlic());
        let ino = one.vault.lookup(ROOT, b"note.md").unwrap();
        if synced {
            one.vault.sync(ino).unwrap();
        }
        one.vault.open_by(VIM, ino, true, true, false).unwrap();
        for _ in 0..commits {
            one.vault.tick().unwrap();
        }
        let again = one.again();
        for _ in 0..2 {
            again.commit().unwrap();
        }
        let text = read(&again, "note.md");
        let whole = [NOTE.to_owned(), garlic()];
        assert!(whole.contains(&text), "{synced} {commits}: {text}");
        assert!(!synced || text == garlic(), "{commits}: what was synced is there");
        let of = coffer_store::vault::Subject::File(again.lookup(ROOT, b"note.md").unwrap());
        let versions = again.versions(of).unwrap();
        for (a, b) in versions.iter().zip(&versions[1..]) {
            assert_eq!(b.parents, a.events[a.events.len() - 1..], "{synced} {commits}");
        }
        assert!(engine::check(&again).problems.is_empty());
    }
}
