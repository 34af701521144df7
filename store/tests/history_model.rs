//! Guards history as a whole: random saves, renames, removals, returns, thinning, purges,
//! collections, reopenings and power cuts, compared with a plain map after each.
//!
//! The seeds are fixed; `COFFER_LONG=1` plays many more.

mod history_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_store::ids::Ino;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::record::Time;
use coffer_store::vault::{Retention, Subject, Vault};
use history_support::*;

/// What is known of one file: its held versions, and the number of the present one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct File {
    versions: BTreeMap<u64, Vec<u8>>,
}

/// All that should be there, by name; names are never used twice, so that one names one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    there: BTreeMap<String, File>,
    removed: BTreeMap<String, File>,
    /// How many names were given.
    names: u64,
}

impl File {
    fn present(&self) -> (&u64, &Vec<u8>) {
        self.versions.last_key_value().unwrap()
    }
    fn next(&self) -> u64 {
        self.versions.last_key_value().map_or(1, |(last, _)| last + 1)
    }
}

/// A vault, what is in it, and what was in it at the last commit that returned.
struct Play {
    disk: SimDisk,
    vault: Arc<Vault>,
    model: Model,
    rng: SplitMix64,
}

impl Play {
    fn new(seed: u64) -> Play {
        let disk = SimDisk::new();
        let vault = create(&disk);
        vault.limit_packs(200 << 10);
        // Days go by in `thin` alone: what was recorded today is one day old there, and goes at once.
        let (all_days, daily_days, removed_days) = (1, 10, 1000);
        let retention = Retention {
            all_days,
            daily_days,
            removed_days,
        };
        vault.set_retention(retention).unwrap();
        Play {
            disk,
            vault,
            model: Model::default(),
            rng: SplitMix64(seed),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let size = match self.rng.below(10) {
            0 => 0,
            1..7 => self.rng.below(3000),
            7..9 => 30_000 + self.rng.below(6000),
            _ => 100_000 + self.rng.below(200_000),
        };
        self.rng.bytes(size as usize)
    }

    fn pick(&mut self, removed: bool) -> Option<String> {
        let of = if removed {
            &self.model.removed
        } else {
            &self.model.there
        };
        let at = self.rng.below(of.len().max(1) as u64) as usize;
        of.keys().nth(at).cloned()
    }

    fn ino(&self, name: &str) -> Ino {
        self.vault.lookup(TOP, name.as_bytes()).unwrap()
    }

    fn step(&mut self) {
        match self.rng.below(16) {
            0..5 => self.save(false),
            5..7 => self.save(true),
            7 => self.rename(),
            8..10 => self.remove(),
            10 => self.bring_back(),
            11 => self.restore(),
            12 => self.purge(),
            13 => self.thin(),
            14 => drop(self.vault.collect().unwrap()),
            _ => self.reopen(),
        }
    }

    fn save(&mut self, new: bool) {
        let bytes = self.bytes();
        let name = match self.pick(false).filter(|_| !new) {
            Some(name) => name,
            None => {
                self.model.names += 1;
                let name = format!("file {}", self.model.names);
                make(&self.vault, TOP, &name);
                self.model.there.insert(name.clone(), File::default());
                name
            }
        };
        save_version(&self.vault, self.ino(&name), &bytes);
        let file = self.model.there.get_mut(&name).unwrap();
        file.versions.insert(file.next(), bytes);
    }

    fn rename(&mut self) {
        let Some(name) = self.pick(false) else { return };
        self.model.names += 1;
        let to = format!("file {}", self.model.names);
        self.vault
            .rename((TOP, name.as_bytes()), (TOP, to.as_bytes()), true)
            .unwrap();
        self.vault.commit().unwrap();
        let file = self.model.there.remove(&name).unwrap();
        self.model.there.insert(to, file);
    }

    fn remove(&mut self) {
        let Some(name) = self.pick(false) else { return };
        self.vault.remove(TOP, name.as_bytes(), false).unwrap();
        self.vault.commit().unwrap();
        let file = self.model.there.remove(&name).unwrap();
        self.model.removed.insert(name, file);
    }

    fn bring_back(&mut self) {
        let Some(name) = self.pick(true) else { return };
        let mut file = self.model.removed.remove(&name).unwrap();
        let some = self.rng.below(file.versions.len() as u64) as usize;
        let number = file.versions.keys().nth(some).copied();
        let number = number.filter(|_| self.rng.below(2) == 0);
        self.vault
            .bring_back(gone(&self.vault, &name).node, number, at(TOP, &name))
            .unwrap();
        self.vault.commit().unwrap();
        let bytes = match number {
            Some(number) => file.versions[&number].clone(),
            None => file.present().1.clone(),
        };
        file.versions.insert(file.next(), bytes);
        self.model.there.insert(name, file);
    }

    fn restore(&mut self) {
        let Some(name) = self.pick(false) else { return };
        let ino = self.ino(&name);
        let file = self.model.there.get_mut(&name).unwrap();
        let some = self.rng.below(file.versions.len() as u64) as usize;
        let (number, bytes) = file.versions.iter().nth(some).unwrap();
        self.vault.restore_version(Subject::File(ino), *number).unwrap();
        self.vault.commit().unwrap();
        let bytes = bytes.clone();
        file.versions.insert(file.next(), bytes);
    }

    fn purge(&mut self) {
        match self.rng.below(2) {
            0 => {
                let Some(name) = self.pick(true) else { return };
                let node = gone(&self.vault, &name).node;
                self.vault.purge(Subject::Removed(node)).unwrap();
                self.model.removed.remove(&name);
            }
            _ => {
                let Some(name) = self.pick(false) else { return };
                self.vault.purge(Subject::File(self.ino(&name))).unwrap();
                let file = self.model.there.get_mut(&name).unwrap();
                let (last, bytes) = (*file.present().0, file.present().1.clone());
                file.versions = BTreeMap::from([(last, bytes)]);
            }
        }
    }

    /// As if two days later: of each file the last version of the one day remains.
    fn thin(&mut self) {
        let (now, mut files) = (Time::now(), 0);
        let soon = Time {
            sec: now.sec + 2 * 86_400,
            nsec: 0,
        };
        self.vault.thin(soon).unwrap();
        let model = &mut self.model;
        for file in model.there.values_mut().chain(model.removed.values_mut()) {
            let (last, bytes) = (*file.present().0, file.present().1.clone());
            file.versions = BTreeMap::from([(last, bytes)]);
            files += 1;
        }
        assert_eq!(files, self.model.there.len() + self.model.removed.len());
    }

    fn reopen(&mut self) {
        self.vault.close().unwrap();
        self.vault = open(&self.disk);
        self.vault.limit_packs(200 << 10);
    }

    fn agrees(&self) {
        assert_eq!(difference(&self.vault, &self.model), None);
    }
}

/// What the vault shows that the model does not, or the other way round.
fn difference(vault: &Vault, model: &Model) -> Option<String> {
    let mut listed = Vec::new();
    vault
        .list(TOP, 0, &mut |_, ino, _, name| {
            listed.push((String::from_utf8(name.to_vec()).unwrap(), ino));
            true
        })
        .unwrap();
    if listed.len() != model.there.len() {
        return Some(format!("{listed:?} are there"));
    }
    for (name, ino) in listed {
        let Some(file) = model.there.get(&name) else {
            return Some(format!("{name} is there"));
        };
        if read(vault, ino) != *file.present().1 {
            return Some(format!("{name} is another"));
        }
        if let Some(what) = history(vault, Subject::File(ino), file) {
            return Some(format!("{name}: {what}"));
        }
    }
    let removed = vault.removed().unwrap();
    if removed.len() != model.removed.len() {
        return Some(format!("{removed:?} were removed"));
    }
    for gone in removed {
        let name = String::from_utf8(gone.path).unwrap();
        let Some(file) = model.removed.get(&name) else {
            return Some(format!("{name} was removed"));
        };
        if gone.versions != file.versions.len() as u64 || gone.size != file.present().1.len() as u64 {
            return Some(format!("{name} has {} versions", gone.versions));
        }
        if let Some(what) = history(vault, Subject::Removed(gone.node), file) {
            return Some(format!("{name}: {what}"));
        }
    }
    None
}

fn history(vault: &Vault, of: Subject, file: &File) -> Option<String> {
    let held = versions(vault, of).into_iter().filter(|v| v.held);
    let numbers: Vec<u64> = held.map(|v| v.number).collect();
    if !numbers.iter().eq(file.versions.keys()) {
        return Some(format!("versions {numbers:?}, not {:?}", file.versions.keys()));
    }
    file.versions.iter().find_map(|(number, bytes)| {
        let found = read_version(vault, of, *number);
        (found.as_ref() != Ok(bytes)).then(|| format!("version {number} is another"))
    })
}

fn seeds() -> u64 {
    if std::env::var_os("COFFER_LONG").is_some() {
        200
    } else {
        6
    }
}

#[test]
fn history_is_what_happened() {
    for seed in 0..seeds() {
        let mut play = Play::new(seed);
        for step in 0..120 {
            play.step();
            if step % 5 == 0 {
                play.agrees();
            }
        }
        play.agrees();
        check(&play.vault);
        play.vault.collect().unwrap();
        play.reopen();
        play.agrees();
        check(&play.vault);
    }
}

/// The power goes at some call of a step: then there is what was before it, or what is after it.
#[test]
fn a_cut_leaves_before_or_after() {
    let (mut befores, mut afters) = (0, 0);
    for seed in 1000..1000 + seeds() * 3 {
        let mut play = Play::new(seed);
        for _ in 0..25 + seed % 10 {
            play.step();
        }
        for _ in 0..12 {
            let before = play.model.clone();
            let from = play.disk.ops();
            play.disk.freeze_at(from + 1 + play.rng.below(30));
            play.step();
            let found = match play.rng.below(3) {
                0 => play.disk.crash_all_lost(),
                1 => play.disk.crash(seed),
                _ => play.disk.crash_all_kept(),
            };
            // What lies between: a step is one transaction, or what it does first changes nothing
            // that is shown; and a new file is there, empty, before its first version.
            let vault = open(&found);
            let after = difference(&vault, &play.model);
            let was = difference(&vault, &before);
            let names = before.names + 1;
            let mut between = before.clone();
            let empty = File {
                versions: BTreeMap::from([(1, vec![])]),
            };
            between.there.insert(format!("file {names}"), empty);
            let half = difference(&vault, &between);
            assert!(
                after.is_none() || was.is_none() || half.is_none(),
                "seed {seed}: neither after ({after:?}) nor before ({was:?})"
            );
            check(&vault);
            vault.collect().unwrap();
            check(&vault);
            vault.limit_packs(200 << 10);
            (play.disk, play.vault) = (found, vault);
            befores += u32::from(after.is_some());
            afters += u32::from(was.is_some());
            if after.is_some() {
                play.model = if was.is_none() { before } else { between };
                play.model.names = names;
            }
        }
        play.agrees();
    }
    assert!(
        befores > 20 && afters > 20,
        "{befores} cuts lost a step, {afters} kept it"
    );
}
