//! What the shelf's tests stand on: a vault, really mounted, and a source that answers what it is told to.
//!
//! A query is lines: `SHOW path` (and `AS name`), `READ path`, `WRONG`, `HANG`, `NOTHING`. A search finds what has the words in its path.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test program uses its part"
)]

#[path = "../adapter_bed/mod.rs"]
pub mod adapter_bed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use adapter_bed::Here;
pub use adapter_bed::possible;
use coffer_fs::adapter::ServeOptions;
use coffer_fs::mount::MountOptions;
use coffer_fs::permit::{Permit, User};
use coffer_fs::shelf::{Body, LIMIT, Shelf, Source, SourceError, Target};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::vault::Vault;

#[derive(Default)]
pub struct Told {
    pub generation: AtomicU64,
    /// How often a query or a search was asked, and a table made.
    pub asked: AtomicUsize,
    pub made: AtomicUsize,
    /// What the table holds.
    pub table: Mutex<Vec<u8>>,
    pub paths: Mutex<Vec<String>>,
    /// The mount, for a source that reads it.
    pub point: Mutex<PathBuf>,
    /// Whether what hangs may end.
    pub free: (Mutex<bool>, Condvar),
}

impl Told {
    pub fn changed(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    pub fn write(&self, bytes: Vec<u8>) {
        *self.table.lock().unwrap() = bytes;
        self.changed();
    }

    pub fn let_go(&self) {
        *self.free.0.lock().unwrap() = true;
        self.free.1.notify_all();
    }

    fn hang(&self) {
        let mut free = self.free.0.lock().unwrap();
        while !*free {
            free = self.free.1.wait(free).unwrap();
        }
    }
}

impl Source for Told {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn tables(&self) -> Vec<String> {
        ["files.csv", "hangs.csv", "huge.csv", "broken.csv"]
            .map(String::from)
            .to_vec()
    }

    fn table(&self, name: &str, most: u64) -> Result<Arc<dyn Body>, SourceError> {
        self.made.fetch_add(1, Ordering::SeqCst);
        match name {
            "hangs.csv" => self.hang(),
            "broken.csv" => return Err(SourceError::Unavailable("On purpose.".into())),
            "huge.csv" => {
                let name = name.to_owned();
                return Err(SourceError::TooLarge { name, most });
            }
            _ => {}
        }
        Ok(Arc::new(self.table.lock().unwrap().clone()))
    }

    fn view(&self, _name: &str, sql: &str) -> Result<Vec<Target>, SourceError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut targets = Vec::new();
        for (at, line) in sql.lines().enumerate() {
            let (path, name) = match line.split_once(" AS ") {
                Some((path, name)) => (path, Some(name.as_bytes().to_vec())),
                None => (line, None),
            };
            if let Some(path) = path.strip_prefix("SHOW ") {
                let path = path.as_bytes().to_vec();
                targets.push(Target { path, name });
            } else if let Some(path) = path.strip_prefix("READ ") {
                let path = self.point.lock().unwrap().join(path);
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            } else if line == "HANG" {
                self.hang();
            } else if line == "WRONG" {
                let sentence = "The query has no column “path”; name the one that holds it.".to_owned();
                let line = Some(at + 1);
                return Err(SourceError::Refused { sentence, line });
            }
        }
        Ok(targets)
    }

    fn search(&self, words: &str) -> Result<Vec<Target>, SourceError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let paths = self.paths.lock().unwrap();
        let found = paths
            .iter()
            .filter(|path| words.split(' ').all(|word| path.contains(word)));
        let found = found.map(|path| Target {
            path: path.as_bytes().to_vec(),
            name: None,
        });
        Ok(found.collect())
    }
}

pub struct Bed {
    pub here: Here,
    pub vault: Arc<Vault>,
    pub told: Arc<Told>,
    dir: tempfile::TempDir,
}

/// A vault with Notes/Garden.md, Notes/Bread.md and Recipes/Garden.md.
pub fn bed() -> Bed {
    bed_with(true, LIMIT)
}

pub fn bed_with(answers: bool, limit: Duration) -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let password = Password::new(b"a password for tests alone".to_vec());
    let made = Vault::create(&dir.path().join("v"), &password, KdfParams::FLOOR, false);
    let vault = made.unwrap().0;
    let told = Arc::new(Told::default());
    let source = answers.then(|| told.clone() as Arc<dyn Source>);
    let shelf = Shelf::with_limit(Arc::new(CofferFs::new(vault.clone()).unwrap()), source, limit);
    let permitted = Permit::new(Arc::new(shelf), User::current().unwrap());
    let serving = ServeOptions {
        kernel_checks: false,
        ..ServeOptions::default()
    };
    let here = Here::new(Arc::new(permitted), &MountOptions::default(), serving);
    let bed = Bed {
        here,
        vault,
        told,
        dir,
    };
    for (path, text) in [
        ("Notes/Garden.md", "roses\n"),
        ("Notes/Bread.md", "bread\n"),
        ("Recipes/Garden.md", "salad\n"),
    ] {
        let path = bed.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    *bed.told.paths.lock().unwrap() = ["Notes/Garden.md", "Notes/Bread.md", "Recipes/Garden.md"]
        .map(String::from)
        .to_vec();
    bed
}

impl Bed {
    pub fn path(&self, path: &str) -> PathBuf {
        self.here.path(path)
    }

    /// A path below `.coffer`.
    pub fn shelf(&self, path: &str) -> PathBuf {
        self.here.path(".coffer").join(path)
    }

    /// A path beside the mount.
    pub fn outside(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn view(&self, name: &str, lines: &[&str]) {
        fs::write(self.shelf("views").join(name), lines.join("\n") + "\n").unwrap();
    }

    pub fn asked(&self) -> usize {
        self.told.asked.load(Ordering::SeqCst)
    }

    /// Runs a program in the mount, which must end well.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let ended = self.ends(program, arguments);
        let (out, err) = (
            String::from_utf8_lossy(&ended.stdout),
            String::from_utf8_lossy(&ended.stderr),
        );
        assert!(ended.status.success(), "{program} {arguments:?}: {out}{err}");
        out.into_owned()
    }

    pub fn ends(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.here.mount.point());
        command.env("HOME", self.dir.path()).output().unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.told.let_go();
    }
}

/// The names in a folder, in its order.
pub fn listed(folder: &Path) -> Vec<String> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    listed
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The same, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names = listed(folder);
    names.sort();
    names
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let most = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < most, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
