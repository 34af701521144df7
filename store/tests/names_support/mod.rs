//! What the suites of names on several devices share: devices that began as one vault, what people do on them, and what is
//! seen there.

#![allow(unreachable_pub, dead_code)] // a module of each test program; each uses a part

use std::collections::{BTreeMap, HashMap};

use coffer_store::ids::{EntityId, Ino, ROOT};
use coffer_store::record::Meta;
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Subject, TakeInError, Vault};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::texts_support::{Bench, introduce, meta};

pub fn folder_meta() -> Meta {
    Meta {
        kind: Kind::Folder,
        perm: 0o755,
        ..meta()
    }
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: Kind,
    pub perm: u16,
    pub bytes: Vec<u8>,
    pub entity: EntityId,
}

pub type Tree = BTreeMap<String, Found>;

pub fn list(vault: &Vault, folder: Ino) -> Vec<(String, Ino, Kind)> {
    let mut entries = Vec::new();
    vault
        .list(folder, 0, &mut |_, ino, kind, name| {
            entries.push((String::from_utf8(name.to_vec()).unwrap(), ino, kind));
            true
        })
        .unwrap();
    entries
}

/// All that is in a vault, by path.
pub fn tree(vault: &Vault) -> Tree {
    let mut found = Tree::new();
    let mut todo = vec![(String::new(), ROOT)];
    while let Some((path, folder)) = todo.pop() {
        for (name, ino, kind) in list(vault, folder) {
            let path = format!("{path}/{name}");
            let mut bytes = Vec::new();
            match kind {
                Kind::Folder => todo.push((path.clone(), ino)),
                _ => vault.read(ino, 0, 1 << 20, &mut bytes).unwrap(),
            }
            let perm = vault.stat(ino).unwrap().meta.perm;
            let entity = vault.entity(ino).unwrap();
            found.insert(
                path,
                Found {
                    kind,
                    perm,
                    bytes,
                    entity,
                },
            );
        }
    }
    found
}

/// Devices that began as one vault, and how far each has the others' events.
pub struct Devices {
    pub all: Vec<Bench>,
    pub had: HashMap<(usize, usize), u64>,
}

impl Devices {
    pub fn new(count: usize) -> Devices {
        let first = Bench::new();
        first.save(1, "Garden.md", "roses\n");
        first.vault.commit().unwrap();
        let last = first
            .vault
            .told_after(0)
            .unwrap()
            .last()
            .unwrap()
            .row
            .last()
            .unwrap();
        let mut all = vec![first];
        for _ in 1..count {
            all.push(Bench::on(all[0].disk.crash_all_kept(), Identity::NewDevice));
        }
        let had = (1..count).map(|to| ((0, to), last)).collect();
        Devices { all, had }
    }

    /// What one told comes to another, as far as that can take it; whether there was anything.
    pub fn carry(&mut self, from: usize, to: usize) -> bool {
        self.all[from].vault.commit().unwrap();
        introduce(&self.all[from].vault, &self.all[to].vault);
        let had = self.had.entry((from, to)).or_default();
        let mut news = false;
        for carried in self.all[from].vault.told_after(*had).unwrap() {
            match self.all[to].vault.take_in_told(&carried) {
                Ok(taken) => assert!(taken.set_aside.is_empty(), "{taken:?}"),
                Err(TakeInError::TooEarly) => return news,
                Err(e) => panic!("{e}"),
            }
            *had = carried.row.last().unwrap();
            news = true;
        }
        news
    }

    /// All tell each other everything, until nobody has anything new.
    pub fn meet(&mut self) {
        for _ in 0..40 {
            self.all.iter().for_each(|one| one.vault.end_graces());
            let mut news = false;
            for from in 0..self.all.len() {
                for to in 0..self.all.len() {
                    news |= from != to && self.carry(from, to);
                }
            }
            if !news {
                return;
            }
        }
        panic!("they go on telling each other news");
    }

    pub fn same(&self, when: &str) -> Tree {
        let first = tree(&self.all[0].vault);
        for (n, other) in self.all.iter().enumerate().skip(1) {
            let other = tree(&other.vault);
            if first != other {
                let only = |a: &Tree, b: &Tree| {
                    let differs = a.iter().filter(|(path, found)| b.get(*path) != Some(found));
                    differs
                        .map(|(path, found)| format!("\n    {path} {found:?}"))
                        .collect::<String>()
                };
                panic!(
                    "{when}: device 0 sees{}\n  where device {n} sees{}",
                    only(&first, &other),
                    only(&other, &first)
                );
            }
        }
        first
    }

    pub fn check(&self) {
        self.all.iter().for_each(Bench::check);
    }

    /// All that any version holds, of what is there on a device or can be brought back.
    pub fn kept(&self, device: usize) -> Vec<Vec<u8>> {
        let vault = &self.all[device].vault;
        let mut subjects: Vec<Subject> = Vec::new();
        let mut todo = vec![ROOT];
        while let Some(folder) = todo.pop() {
            for (_, ino, kind) in list(vault, folder) {
                match kind {
                    Kind::Folder => todo.push(ino),
                    _ => subjects.push(Subject::File(ino)),
                }
            }
        }
        let removed = vault.removed().unwrap().into_iter();
        let removed = removed.filter(|gone| gone.kind != Kind::Folder);
        subjects.extend(removed.map(|gone| Subject::Removed(gone.node)));
        let mut kept = Vec::new();
        for subject in subjects {
            for version in vault.versions(subject).unwrap() {
                let open = vault.open_version(subject, version.number).unwrap();
                let mut bytes = Vec::new();
                open.read(vault, 0, 1 << 20, &mut bytes).unwrap();
                kept.push(bytes);
            }
        }
        kept
    }
}

/// Something that a person does; whether the token was written.
pub fn act(rng: &mut StdRng, bench: &Bench, token: &str) -> bool {
    let vault = &bench.vault;
    let mut folders = vec![ROOT];
    let mut entries: Vec<(Ino, String, Ino, Kind)> = Vec::new();
    let mut todo = vec![ROOT];
    while let Some(folder) = todo.pop() {
        for (name, ino, kind) in list(vault, folder) {
            if kind == Kind::Folder {
                folders.push(ino);
                todo.push(ino);
            }
            entries.push((folder, name, ino, kind));
        }
    }
    let folder = *folders.choose(rng).unwrap();
    let name = *["a.md", "b.md", "c.bin", "Trip", "d"].choose(rng).unwrap();
    let write = |ino: Ino, bytes: &[u8]| {
        let size = vault.stat(ino).unwrap().size;
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(size), bytes, false).unwrap();
        vault.release(ino, true);
    };
    match rng.random_range(0..10) {
        0 | 1 => {
            if let Ok(ino) = vault.make(folder, name.as_bytes(), meta(), b"") {
                write(ino, format!("{token}\n").as_bytes());
                return true;
            }
        }
        2 => drop(vault.make(folder, name.as_bytes(), folder_meta(), b"")),
        3 | 4 if !entries.is_empty() => {
            let (from, old, _, _) = entries.choose(rng).unwrap();
            let (from, to) = ((*from, old.as_bytes()), (folder, name.as_bytes()));
            let _ = vault.rename(from, to, rng.random());
        }
        5 if !entries.is_empty() => {
            let (from, old, _, kind) = entries.choose(rng).unwrap();
            let _ = vault.remove(*from, old.as_bytes(), *kind == Kind::Folder);
        }
        6 if !entries.is_empty() => {
            let (_, _, ino, kind) = entries.choose(rng).unwrap();
            let perm = *[0o700u16, 0o755, 0o750].choose(rng).unwrap();
            if *kind == Kind::Folder {
                let change = coffer_store::vault::Change {
                    perm: Some(perm),
                    ..Default::default()
                };
                vault.change(*ino, change).unwrap();
            }
        }
        7 if !entries.is_empty() => {
            let (_, _, ino, kind) = entries.choose(rng).unwrap();
            if *kind == Kind::File {
                let _ = vault.link(*ino, folder, name.as_bytes());
            }
        }
        _ => {
            let files: Vec<_> = entries
                .iter()
                .filter(|(_, _, _, kind)| *kind == Kind::File)
                .collect();
            if let Some((_, _, ino, _)) = files.choose(rng) {
                write(*ino, format!("{token}\n").as_bytes());
                return true;
            }
        }
    }
    false
}
