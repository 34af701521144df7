//! A folder in a mounted vault, and the notes in it.

use crate::args;
use crate::command::{has, until};
use crate::vault::Vault;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder in a mounted vault, where one note after the other is edited.
#[derive(Debug)]
pub struct Desk {
    /// The vault.
    pub vault: Vault,
    folder: PathBuf,
    events: Cell<u64>,
    notes: RefCell<Vec<(String, Vec<Vec<u8>>)>>,
}

impl Desk {
    /// In a new vault. `None`, said aloud, where one of these programs is missing or nothing can be
    /// mounted.
    pub fn new(programs: &[&str]) -> Option<Desk> {
        if !programs.iter().all(|program| has(program)) {
            return None;
        }
        let vault = Vault::mounted()?;
        let folder = vault.mountpoint.join("desk");
        fs::create_dir(&folder).expect("the vault is new");
        let desk = Desk {
            vault,
            folder,
            events: Cell::new(0),
            notes: RefCell::default(),
        };
        desk.vault.settle();
        desk.accept();
        Some(desk)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many events this device has told of.
    fn all_events(&self) -> u64 {
        let contents = &self.vault.json(&args!["status", "--json"])["contents"];
        contents["events"].as_u64().expect("it is a count")
    }

    /// How many of them are more than a change of attributes. A program that sets a time or a mode
    /// after it has closed a file may find the save told already: then that is told by itself, and is
    /// no version.
    pub fn events(&self) -> u64 {
        loop {
            let all = self.all_events();
            let files = fs::read_dir(&self.folder).expect("it can be read").flatten();
            let names = files.filter(|file| file.file_type().is_ok_and(|kind| kind.is_file()));
            let attributes: u64 = names
                .flat_map(|file| self.try_log(&file.file_name().to_string_lossy()))
                .map(|version| version["events"].as_u64().expect("it is a count") - 1)
                .sum();
            if self.all_events() == all {
                return all - attributes;
            }
        }
    }

    /// Whatever was told until now is right.
    pub fn accept(&self) {
        self.events.set(self.events());
    }

    /// So many more events are right, and shall be told; not one more.
    #[track_caller]
    pub fn expect(&self, more: u64) {
        self.events.set(self.events.get() + more);
        self.told();
    }

    /// Waits until all is told that shall be.
    #[track_caller]
    fn told(&self) {
        let wanted = self.events.get();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let told = match self.all_events() {
                all if all < wanted => all,
                _ => self.events(),
            };
            if told == wanted {
                return;
            }
            assert!(
                told < wanted,
                "{told} events, and not {wanted}: {}",
                self.account()
            );
            assert!(
                std::time::Instant::now() < end,
                "{told} events in a minute, and not {wanted}: {}",
                self.account()
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// What the vault knows, for reports of what went wrong.
    fn account(&self) -> String {
        let mut said = format!("removed: {:?}", self.removed());
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let versions = self.try_log(&name.to_string_lossy());
            let brief: Vec<String> = versions
                .iter()
                .rev()
                .take(5)
                .map(|v| format!("@{} {} B by {}", v["number"], v["size"], v["program"]))
                .collect();
            said.push_str(&format!("\n{name:?}: {} versions, {brief:?}", versions.len()));
        }
        said
    }

    /// A note, made and told.
    pub fn note(&self, name: &str, text: &str) -> Note<'_> {
        fs::write(self.folder.join(name), text).expect("there is room");
        until("the note is told", || (self.log(name).len() == 1).then_some(()));
        self.accept();
        Note {
            desk: self,
            name: name.to_owned(),
            saved: vec![text.as_bytes().to_vec()],
            told: 1,
        }
    }

    /// The versions of a file here, the oldest first.
    #[track_caller]
    pub fn log(&self, name: &str) -> Vec<Value> {
        let path = self.folder.join(name);
        let ended = self.vault.coffer(&args!["log", &path, "--json"]).ok();
        parsed(&ended.text())
    }

    fn try_log(&self, name: &str) -> Vec<Value> {
        let path = self.folder.join(name);
        let ended = self.vault.coffer(&args!["log", &path, "--json"]);
        parsed(&ended.text())
    }

    /// Paths of what was removed, from the vault's root, sorted.
    #[track_caller]
    pub fn removed(&self) -> Vec<String> {
        let ended = self.vault.coffer(&args!["trash", "--json"]).ok();
        let mut paths: Vec<String> = parsed(&ended.text())
            .iter()
            .map(|gone| gone["path"].as_str().expect("these names are text").to_owned())
            .collect();
        paths.sort();
        paths
    }

    /// Asserts that every note has exactly its versions, that exactly these paths were removed, and
    /// that nothing else was told: now, and after a remount; and that the vault is sound.
    #[track_caller]
    pub fn assert_kept(&self, removed: &[&str]) {
        self.assert_as_it_should_be(removed, "now");
        self.vault.lock();
        self.vault.mount();
        self.assert_as_it_should_be(removed, "after a remount");
        self.vault.assert_sound();
    }

    #[track_caller]
    fn assert_as_it_should_be(&self, removed: &[&str], when: &str) {
        for (name, saved) in self.notes.borrow().iter() {
            self.assert_versions(name, saved, when);
        }
        assert_eq!(self.removed(), removed, "{when}");
        assert_eq!(self.events(), self.events.get(), "{when}: {}", self.account());
    }

    #[track_caller]
    fn assert_versions(&self, name: &str, saved: &[Vec<u8>], when: &str) {
        let path = self.folder.join(name);
        let now = fs::read(&path).unwrap_or_else(|error| panic!("{name} {when}: {error}"));
        assert_eq!(Some(&now), saved.last(), "{name} {when}");
        let versions = self.log(name);
        let numbers: Vec<u64> = versions.iter().filter_map(|v| v["number"].as_u64()).collect();
        let wanted: Vec<u64> = (1..=saved.len() as u64).collect();
        assert_eq!(numbers, wanted, "{name} {when}: {}", self.account());
        for (number, text) in wanted.iter().zip(saved) {
            let version = format!("{}@{number}", path.display());
            let shown = self.vault.coffer(&args!["show", &version]).ok();
            assert!(
                shown.stdout == *text,
                "{name}@{number} {when} is {:?}, and not {:?}",
                shown.text(),
                String::from_utf8_lossy(text)
            );
        }
    }
}

fn parsed(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    let mut objects: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}")))
        .collect();
    objects.reverse();
    objects
}

/// A note, and what it was at each save.
#[derive(Debug)]
pub struct Note<'a> {
    desk: &'a Desk,
    name: String,
    saved: Vec<Vec<u8>>,
    told: usize,
}

impl Note<'_> {
    /// Its name in the desk's folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.desk.folder.join(&self.name)
    }

    /// What it is to hold now.
    pub fn text(&self) -> String {
        let text = self.saved.last().expect("it began with one");
        String::from_utf8(text.clone()).expect("notes here are text")
    }

    /// It was saved as this.
    pub fn saved(&mut self, text: &str) {
        self.saved.push(text.as_bytes().to_vec());
    }

    /// Waits until each save so far is told, in as many events, and no other.
    #[track_caller]
    pub fn told(&mut self) {
        let more = self.saved.len() - self.told;
        self.told = self.saved.len();
        self.desk.expect(more as u64);
    }

    /// Edits end here; [`Desk::assert_kept`] is to look at it.
    #[track_caller]
    pub fn done(mut self) {
        self.told();
        self.desk.notes.borrow_mut().push((self.name, self.saved));
    }
}
