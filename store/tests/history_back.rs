//! Many things that were removed come back together: whole each, in one commit, whenever the power goes.

mod history_support;

use std::collections::BTreeMap;

use coffer_store::ids::{Ino, NodeId};
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::tree::Kind;
use coffer_store::vault::Vault;
use history_support::*;

/// A folder with files of each sort in it, all removed; what was in them, by path.
fn removed(disk: &SimDisk, files: usize) -> BTreeMap<String, Vec<u8>> {
    let vault = create(disk);
    let top = folder(&vault, TOP, "d");
    let sub = folder(&vault, top, "sub");
    let mut texts = BTreeMap::new();
    for i in 0..files {
        let (at, name) = match i % 3 {
            0 => (sub, format!("{i}.md")),
            _ => (top, format!("{i}.bin")),
        };
        let ino = make(&vault, at, &name);
        let len = if i == 1 { 300 << 10 } else { 20 };
        for round in 0..2 {
            let bytes = match i % 3 {
                0 => format!("note {i}\nround {round}\n").into_bytes(),
                _ => SplitMix64((i + round * files) as u64).bytes(len),
            };
            save_version(&vault, ino, &bytes);
            texts.insert(name.clone(), bytes);
        }
    }
    // One file of two names.
    let both = vault.lookup(top, b"1.bin").unwrap();
    vault.link(both, sub, b"again.bin").unwrap();
    texts.insert("again.bin".into(), texts["1.bin"].clone());
    vault.commit().unwrap();
    for (at, name) in names(&vault) {
        vault.remove(at, name.as_bytes(), false).unwrap();
    }
    vault.remove(top, b"sub", true).unwrap();
    vault.remove(TOP, b"d", true).unwrap();
    vault.close().unwrap();
    texts
}

/// All files, with the folder that each lies in.
fn names(vault: &Vault) -> Vec<(Ino, String)> {
    let mut found = Vec::new();
    let mut folders = vec![TOP];
    while let Some(at) = folders.pop() {
        let mut each = |_, ino, kind, name: &[u8]| {
            match kind {
                Kind::Folder => folders.push(ino),
                _ => found.push((at, String::from_utf8(name.to_vec()).unwrap())),
            }
            true
        };
        vault.list(at, 0, &mut each).unwrap();
    }
    found
}

/// Brings all of it back where it was, folders before what lies in them.
fn bring(vault: &Vault) {
    let mut gone = vault.removed().unwrap();
    gone.sort_by_key(|gone| (gone.kind != Kind::Folder, gone.path.len()));
    let nodes: Vec<NodeId> = gone.iter().map(|gone| gone.node).collect();
    let mut back = vault.bringing_back(&nodes).unwrap();
    for gone in gone {
        let path = String::from_utf8(gone.path.clone()).unwrap();
        let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let parts = above.split('/').filter(|part| !part.is_empty());
        let folder = parts.fold(TOP, |at, part| vault.lookup(at, part.as_bytes()).unwrap());
        back.bring(gone.node, None, at(folder, name)).unwrap();
        // Not twice.
        let again = back.bring(gone.node, None, at(TOP, "again"));
        assert_eq!(again.unwrap_err().errno(), libc::ENOENT, "{path}");
    }
}

/// Guards what comes back: all of it, with its history, two names as two names of one file; nothing of
/// it is in the trash any more.
#[test]
fn all_of_it_comes_back() {
    let disk = SimDisk::new();
    let texts = removed(&disk, 12);
    let vault = open(&disk);
    bring(&vault);
    vault.commit().unwrap();
    drop(vault);
    let vault = open(&disk.crash_all_lost());
    assert!(vault.removed().unwrap().is_empty());
    let found = names(&vault);
    assert_eq!(found.len(), texts.len());
    for (at, name) in &found {
        let ino = vault.lookup(*at, name.as_bytes()).unwrap();
        assert!(read(&vault, ino) == texts[name], "{name}");
        let of = coffer_store::vault::Subject::File(ino);
        assert!(
            versions(&vault, of).len() >= 3,
            "{name}: two, and that it came back"
        );
    }
    let two = found
        .iter()
        .filter(|(_, name)| *name == "1.bin" || *name == "again.bin");
    let inos: Vec<Ino> = two
        .map(|(at, name)| vault.lookup(*at, name.as_bytes()).unwrap())
        .collect();
    assert_eq!((inos.len(), inos[0]), (2, inos[1]));
    check(&vault);
}

/// Guards the power going at every write: each file is back and whole, or still removed and whole; and
/// where no commit came between, all are the one or all the other.
#[test]
fn the_power_goes_while_many_come_back() {
    let base = SimDisk::new();
    let texts = removed(&base, 6);
    let (mut none, mut all) = (0, 0);
    for call in 0.. {
        let disk = base.crash_all_kept();
        let vault = open(&disk);
        let before = disk.ops();
        disk.freeze_at(before + call);
        bring(&vault);
        vault.commit().unwrap();
        let is_over = disk.ops() < before + call;
        drop(vault);
        for seed in 0..2 {
            let vault = open(&disk.crash(seed));
            let gone = vault.removed().unwrap();
            let back = names(&vault);
            let left = gone.iter().filter(|gone| gone.kind != Kind::Folder).count();
            assert_eq!(left + back.len(), texts.len(), "call {call}");
            match (left, back.len()) {
                (_, 0) => none += 1,
                (0, _) => all += 1,
                other => panic!("call {call}: {other:?} in one commit"),
            }
            for (at, name) in back {
                let ino = vault.lookup(at, name.as_bytes()).unwrap();
                assert!(read(&vault, ino) == texts[&name], "call {call}: {name}");
            }
            check(&vault);
            // What is still removed comes back whole.
            bring(&vault);
            vault.commit().unwrap();
            assert_eq!(names(&vault).len(), texts.len());
            check(&vault);
        }
        if is_over {
            break;
        }
    }
    assert!(none > 0 && all > 0, "{none} {all}");
}
