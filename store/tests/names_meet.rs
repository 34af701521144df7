//! Names on several devices: events carried by hand, in any order, between vaults that are real but for
//! their disks. Guards that all come to one tree with the same bytes in it, that nothing is lost that
//! nobody removed knowingly, and that a crash at any moment changes none of it.

mod texts_support;

use std::collections::{BTreeMap, HashMap};

use coffer_store::ids::{EntityId, Ino, ROOT};
use coffer_store::record::Meta;
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Subject, TakeInError, Vault};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use texts_support::{Bench, introduce, meta};

fn folder_meta() -> Meta {
    Meta {
        kind: Kind::Folder,
        perm: 0o755,
        ..meta()
    }
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    kind: Kind,
    perm: u16,
    bytes: Vec<u8>,
    entity: EntityId,
}

type Tree = BTreeMap<String, Found>;

fn list(vault: &Vault, folder: Ino) -> Vec<(String, Ino, Kind)> {
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
fn tree(vault: &Vault) -> Tree {
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
struct Devices {
    all: Vec<Bench>,
    had: HashMap<(usize, usize), u64>,
}

impl Devices {
    fn new(count: usize) -> Devices {
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
    fn carry(&mut self, from: usize, to: usize) -> bool {
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
    fn meet(&mut self) {
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

    fn same(&self, when: &str) -> Tree {
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

    fn check(&self) {
        self.all.iter().for_each(Bench::check);
    }

    /// All that any version holds, of what is there on a device or can be brought back.
    fn kept(&self, device: usize) -> Vec<Vec<u8>> {
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

/// Guards the plainest case: what one device makes, in folders, the other has, as it is, and after a restart too.
#[test]
fn what_one_makes_the_other_has() {
    let mut devices = Devices::new(2);
    {
        let vault = &devices.all[0].vault;
        let trip = vault.make(ROOT, b"Trip", folder_meta(), b"").unwrap();
        let deep = vault.make(trip, b"Rome", folder_meta(), b"").unwrap();
        let note = vault.make(deep, b"Plan.md", meta(), b"").unwrap();
        vault.open(note, true, false, false).unwrap();
        vault.write(note, Some(0), b"go there\n", false).unwrap();
        vault.release(note, true);
        vault.link(note, ROOT, b"Plan too.md").unwrap();
        let link = Meta {
            kind: Kind::Symlink,
            perm: 0o777,
            ..meta()
        };
        vault.make(ROOT, b"to", link, b"Trip/Rome").unwrap();
        vault.make(ROOT, b"empty", meta(), b"").unwrap();
    }
    devices.meet();
    let all = devices.same("told");
    assert_eq!(all["/Trip/Rome/Plan.md"].bytes, b"go there\n");
    assert_eq!(all["/Plan too.md"].entity, all["/Trip/Rome/Plan.md"].entity);
    assert_eq!(all["/to"].bytes, b"Trip/Rome");
    assert_eq!(all.len(), 7);
    devices.all[1] = devices.all[1].crashed();
    devices.same("after a crash");
    devices.check();
    let two = &devices.all[1].vault;
    let ino = two.lookup(ROOT, b"Plan too.md").unwrap();
    assert_eq!(two.stat(ino).unwrap().meta.nlink, 2);
    // And edits go back, and names.
    two.rename((ROOT, b"Trip"), (ROOT, b"Journey"), false).unwrap();
    devices.all[1].save(2, "Plan too.md", "go there by train\n");
    devices.all[1].vault.remove(ROOT, b"to", false).unwrap();
    devices.meet();
    let all = devices.same("told back");
    assert_eq!(all["/Journey/Rome/Plan.md"].bytes, b"go there by train\n");
    assert!(!all.contains_key("/to"));
    devices.check();
}

/// Folders that are seen as one were moved one alone by who had just unlocked: the rest of it stayed behind.
#[test]
fn folders_seen_as_one_are_moved_as_one_after_an_unlock() {
    let mut devices = Devices::new(2);
    for (device, name) in [(0, b"a.md"), (1, b"b.md")] {
        let vault = &devices.all[device].vault;
        let trip = vault.make(ROOT, b"Trip", folder_meta(), b"").unwrap();
        vault.make(trip, name, meta(), b"").unwrap();
    }
    devices.meet();
    assert_eq!(devices.same("met").len(), 4);
    devices.all[1] = devices.all[1].crashed();
    let vault = &devices.all[1].vault;
    vault.rename((ROOT, b"Trip"), (ROOT, b"Journey"), false).unwrap();
    devices.meet();
    let paths: Vec<String> = devices.same("moved").into_keys().collect();
    assert_eq!(
        paths,
        ["/Garden.md", "/Journey", "/Journey/a.md", "/Journey/b.md"]
    );
    devices.all[0] = devices.all[0].crashed();
    let vault = &devices.all[0].vault;
    let journey = vault.lookup(ROOT, b"Journey").unwrap();
    vault.remove(journey, b"a.md", false).unwrap();
    vault.remove(journey, b"b.md", false).unwrap();
    vault.remove(ROOT, b"Journey", true).unwrap();
    devices.meet();
    assert_eq!(devices.same("removed").len(), 1);
    devices.check();
}

/// A note that two removed, of whom one had seen its last version and the other, whose removal counts as the later one,
/// had not, came back.
#[test]
fn a_removal_keeps_what_another_had_seen() {
    for later in [false, true] {
        let mut devices = Devices::new(2);
        devices.all[0].save(1, "Garden.md", "roses and tulips\n");
        devices.all[0].vault.commit().unwrap();
        if later {
            // So that what it tells comes after what the other does.
            for n in 0..10 {
                devices.all[1].save(1, "other.md", format!("{n}\n"));
                devices.all[1].vault.commit().unwrap();
            }
        }
        for device in &devices.all {
            device.vault.remove(ROOT, b"Garden.md", false).unwrap();
        }
        devices.meet();
        assert!(!devices.same("removed").contains_key("/Garden.md"), "{later}");
        // And both can bring it back as it was last.
        for device in &devices.all {
            let gone = device.vault.removed().unwrap();
            assert!(gone.iter().any(|gone| gone.path == b"Garden.md"), "{later}");
        }
        devices.check();
    }
}

/// Something that a person does; whether the token was written.
fn act(rng: &mut StdRng, bench: &Bench, token: &str) -> bool {
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

fn seeds() -> std::ops::Range<u64> {
    let from = std::env::var("COFFER_SEED").ok().and_then(|n| n.parse().ok());
    let count = std::env::var("COFFER_SEEDS").ok().and_then(|n| n.parse().ok());
    match from {
        Some(seed) => seed..seed + 1,
        None => 0..count.unwrap_or(60),
    }
}

/// Guards that devices on which people do whatever comes to their minds, which hear of each other now and then, and of
/// which some crash, come to one tree; and that each line that anybody wrote, and that was ever told, is in a version that each
/// device has, of what is there or can be brought back.
#[test]
fn whatever_people_do_all_come_to_one_tree() {
    for seed in seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut devices = Devices::new(rng.random_range(2..4));
        let mut written: Vec<String> = Vec::new();
        for step in 0..rng.random_range(5..60) {
            let one = rng.random_range(0..devices.all.len());
            let token = format!("{one}.{step}");
            if act(&mut rng, &devices.all[one], &token) {
                // It is a version, whatever becomes of its file before the next commit.
                devices.all[one].vault.commit().unwrap();
                written.push(token);
            }
            if rng.random_ratio(1, 3) {
                devices.all[one].vault.commit().unwrap();
            }
            if rng.random_ratio(1, 4) {
                let to = rng.random_range(0..devices.all.len());
                if one != to {
                    devices.carry(one, to);
                }
            }
            if rng.random_ratio(1, 12) {
                devices.all[one].vault.commit().unwrap();
                devices.all[one] = devices.all[one].crashed();
            }
        }
        devices.meet();
        devices.same(&format!("seed {seed}"));
        for device in 0..devices.all.len() {
            let kept = devices.kept(device);
            for token in &written {
                let line = format!("{token}\n").into_bytes();
                let has = |bytes: &Vec<u8>| bytes.split_inclusive(|b| *b == b'\n').any(|l| l == line);
                assert!(
                    kept.iter().any(has),
                    "seed {seed}: device {device} has lost {token}"
                );
            }
        }
        if seed % 4 == 0 {
            for one in 0..devices.all.len() {
                devices.all[one] = devices.all[one].crashed();
            }
            devices.same(&format!("seed {seed}, opened anew"));
            devices.check();
        }
    }
}
