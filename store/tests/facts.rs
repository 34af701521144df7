//! What a vault tells an index of its files, each thing by itself: names, facts, texts, history, chunks.

mod demand_support;
mod facts_support;
mod names_support;
mod texts_support;

use coffer_store::ids::{Ino, ROOT};
use coffer_store::tree::Kind;
use coffer_store::vault::{Blob, Conflict, Deed, HistoryRow, Of, OpError, Subject, Vault};
use demand_support::{carry, fetch, noise, pair, put};
use names_support::{Devices, folder_meta};
use texts_support::{Bench, VIM, meta};

fn history(vault: &Vault) -> Vec<HistoryRow> {
    let mut rows = Vec::new();
    vault
        .history(None, &mut |row| {
            rows.push(row);
            true
        })
        .unwrap();
    rows
}

fn blobs(vault: &Vault) -> Vec<Blob> {
    let mut all = Vec::new();
    vault
        .blobs(&mut |blob| {
            all.push(blob);
            true
        })
        .unwrap();
    all.sort_by_key(|blob| blob.name);
    all
}

/// Guards the walk: each name once, a folder before what lies in it, two of a hard link, and it ends when it is told to.
#[test]
fn all_names_are_walked() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let above = vault.make(ROOT, b"Trip", folder_meta(), b"").unwrap();
    let below = vault.make(above, b"Rome", folder_meta(), b"").unwrap();
    let ino = vault.make(below, b"note.md", meta(), b"").unwrap();
    vault.link(ino, ROOT, b"again.md").unwrap();
    let mut seen: Vec<(Ino, String, Ino, Kind)> = Vec::new();
    vault.names(&mut |name| {
        assert!(name.parent == ROOT || seen.iter().any(|(_, _, ino, _)| *ino == name.parent));
        seen.push((
            name.parent,
            String::from_utf8(name.name.to_vec()).unwrap(),
            name.ino,
            name.kind,
        ));
        true
    });
    seen.sort_by_key(|(parent, name, ..)| (*parent, name.clone()));
    assert_eq!(
        seen,
        [
            (ROOT, "Trip".into(), above, Kind::Folder),
            (ROOT, "again.md".into(), ino, Kind::File),
            (above, "Rome".into(), below, Kind::Folder),
            (below, "note.md".into(), ino, Kind::File),
        ]
    );
    let mut calls = 0;
    vault.names(&mut |_| {
        calls += 1;
        calls < 2
    });
    assert_eq!(calls, 2);
}

/// Guards what is known of a file against what stat(2) and the list of versions say, before it is told and after, in memory and after the vault was opened anew.
#[test]
fn facts_are_what_the_vault_says() {
    let mut bench = Bench::new();
    bench.save(VIM, "note.md", "one\n");
    let facts = bench.vault.facts(bench.ino("note.md")).unwrap();
    assert_eq!((facts.versions, facts.recorded, facts.conflict), (0, None, None));
    assert_eq!(facts.device, bench.vault.own_chain());
    for n in 0..5 {
        bench.save(VIM, "note.md", format!("{n}\n"));
        bench.save(VIM, "photo.raw", [0, n]);
        bench.vault.commit().unwrap();
    }
    // Attributes alone are no version.
    bench.chmod("note.md", 0o600);
    bench.vault.commit().unwrap();
    bench.vault.make(ROOT, b"Trip", folder_meta(), b"").unwrap();
    for _ in 0..2 {
        let mut inos = Vec::new();
        for name in ["note.md", "photo.raw", "Trip"] {
            let ino = bench.ino(name);
            inos.push(ino);
            let (facts, stat) = (bench.vault.facts(ino).unwrap(), bench.vault.stat(ino).unwrap());
            assert_eq!(
                (facts.ino, facts.kind, facts.perm),
                (ino, stat.meta.kind, stat.meta.perm)
            );
            assert_eq!(
                (facts.created, facts.modified, facts.changed),
                (stat.meta.btime, stat.meta.mtime, stat.meta.ctime)
            );
            assert!(facts.here && facts.conflict.is_none() && facts.nlink == 1);
            assert_eq!(facts.is_text, name == "note.md");
            if facts.kind == Kind::Folder {
                assert_eq!((facts.size, facts.versions, facts.recorded), (0, 0, None));
                continue;
            }
            let versions = bench.versions(name);
            let newest = versions.last().unwrap();
            assert_eq!(
                (facts.size, facts.versions),
                (stat.size, versions.len() as u64),
                "{name}"
            );
            assert_eq!(facts.entity, bench.entity(name));
            assert_eq!(bench.vault.device_named(&facts.device).unwrap(), newest.device);
            assert!(facts.recorded >= Some(newest.recorded));
        }
        let mut together = Vec::new();
        bench.vault.facts_of(&inos, &mut |ino, facts| {
            assert_eq!(facts.unwrap(), bench.vault.facts(ino).unwrap());
            together.push(ino);
            true
        });
        assert_eq!(together, inos);
        bench = bench.again();
    }
    let gone = bench.vault.facts(4711).unwrap_err();
    assert_eq!(gone.errno(), libc::ENOENT);
    let mut calls = 0;
    bench.vault.facts_of(&[4711, 4712, 4713], &mut |_, facts| {
        assert_eq!(facts.unwrap_err().errno(), libc::ENOENT);
        calls += 1;
        calls < 2
    });
    assert_eq!(calls, 2);
}

/// Guards what is called a conflict: versions that stand beside what is shown, a merge upon which nobody has saved, and files of one name.
#[test]
fn conflicts_are_told_and_end() {
    let mut devices = Devices::new(2);
    let text = |middle: &str| format!("one\n{middle}\nthree\n");
    devices.all[0].save(VIM, "note.md", text("two"));
    devices.all[0].save(VIM, "photo.raw", [0, 1]);
    devices.meet();
    let conflict = |devices: &Devices, device: usize, name: &str| {
        let bench: &Bench = &devices.all[device];
        bench.vault.facts(bench.ino(name)).unwrap().conflict
    };
    assert_eq!(conflict(&devices, 0, "note.md"), None);
    devices.all[0].save(VIM, "note.md", format!("zero\n{}", text("two")));
    devices.all[1].save(VIM, "note.md", format!("{}four\n", text("two")));
    devices.all[0].save(VIM, "photo.raw", [0, 2]);
    devices.all[1].save(VIM, "photo.raw", [0, 3]);
    devices.meet();
    for device in 0..2 {
        assert_eq!(conflict(&devices, device, "note.md"), Some(Conflict::Merged(2)));
        assert_eq!(conflict(&devices, device, "photo.raw"), Some(Conflict::Beside(1)));
        let bench = &devices.all[device];
        let beside = bench
            .vault
            .versions_beside(Subject::File(bench.ino("photo.raw")))
            .unwrap();
        assert_eq!(beside.len(), 1);
    }
    let merged = devices.all[0].text("note.md");
    devices.all[0].save(VIM, "note.md", format!("{merged}five\n"));
    devices.meet();
    assert_eq!(conflict(&devices, 1, "note.md"), None);
    devices.all[0].save(VIM, "new.bin", [0, 4]);
    devices.all[1].save(VIM, "new.bin", [0, 5]);
    devices.meet();
    let mut set_aside = 0;
    devices.all[0].vault.names(&mut |name| {
        set_aside += usize::from(name.is_conflict());
        true
    });
    assert_eq!(set_aside, 1);
}

/// Guards the bytes that an index gets: all of one moment, from memory too, no more than asked for; and that getting them is no use of
/// the file and no version.
#[test]
fn texts_are_read_without_being_used() {
    let bench = Bench::new();
    let vault = &bench.vault;
    bench.save(VIM, "note.md", "in memory\n");
    let ino = bench.ino("note.md");
    assert_eq!(vault.text(ino, 1 << 20).unwrap(), b"in memory\n");
    assert_eq!(vault.text(ino, 2).unwrap(), b"in");
    vault.commit().unwrap();
    bench.save(VIM, "note.md", "written over\n");
    vault.commit().unwrap();
    assert_eq!(vault.text(ino, 1 << 20).unwrap(), b"written over\n");
    let large = noise(1, 5 << 20);
    put(vault, "large.raw", 0, &large);
    assert_eq!(vault.text(bench.ino("large.raw"), usize::MAX).unwrap(), large);
    vault.commit().unwrap();
    put(vault, "large.raw", 3, b"xyz");
    assert_eq!(
        vault.text(bench.ino("large.raw"), 6).unwrap(),
        [&large[..3], b"xyz"].concat()
    );
    let again = bench.again();
    assert_eq!(again.vault.text(again.ino("note.md"), 9).unwrap(), b"written o");
    assert_eq!(
        again.vault.text(again.ino("large.raw"), 6).unwrap(),
        [&large[..3], b"xyz"].concat()
    );
    assert_eq!(again.versions("note.md").len(), 2);
    let trip = again.vault.make(ROOT, b"Trip", folder_meta(), b"").unwrap();
    assert_eq!(again.vault.text(trip, 9).unwrap_err().errno(), libc::EISDIR);
    // What is kept elsewhere is said to be so, and nobody is asked for it.
    let (one, two) = pair();
    put(&one.vault, "large.raw", 0, &large);
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    carry(&one.vault, &two.vault);
    let ino = two.ino("large.raw");
    match two.vault.text(ino, 10).unwrap_err() {
        OpError::Store(error) => assert!(error.absent().is_some(), "{error}"),
        other => panic!("{other}"),
    }
    assert!(two.vault.waited_for().is_empty());
    assert!(!two.vault.facts(ino).unwrap().here);
}

/// Guards the rows of what happened: what was done, by whom, and how much there was before and after.
#[test]
fn history_says_what_was_done() {
    let mut devices = Devices::new(2);
    devices.all[0].save(VIM, "photo.raw", [0; 5]);
    devices.all[0].vault.commit().unwrap();
    devices.all[0].save(VIM, "photo.raw", [0; 7]);
    devices.meet();
    devices.all[1].save(VIM, "photo.raw", [0; 9]);
    devices.meet();
    let (vault, other) = (&devices.all[0].vault, &devices.all[1].vault);
    let (ino, entity) = (
        devices.all[0].ino("photo.raw"),
        devices.all[0].entity("photo.raw"),
    );
    let of_photo = |rows: Vec<HistoryRow>| -> Vec<HistoryRow> {
        rows.into_iter().filter(|row| row.entity == entity).collect()
    };
    let rows = of_photo(history(vault));
    let said: Vec<_> = rows
        .iter()
        .map(|row| (row.deed, row.number, row.size, row.size_before, row.device))
        .collect();
    let (own, its) = (Some(vault.own_chain()), Some(other.own_chain()));
    assert_eq!(
        said,
        [
            (Deed::Created, Some(1), 5, None, own),
            (Deed::Edited, Some(2), 7, Some(5), own),
            (Deed::Edited, Some(3), 9, Some(7), its),
        ]
    );
    assert!(
        rows.iter()
            .all(|row| row.of == Of::File(ino) && row.held && row.kind == Kind::File)
    );
    let since = rows[1].when;
    let mut new = Vec::new();
    vault
        .history(Some(since), &mut |row| {
            new.push(row);
            true
        })
        .unwrap();
    assert_eq!(of_photo(new), rows[1..]);
    let mut calls = 0;
    vault
        .history(None, &mut |_| {
            calls += 1;
            calls < 2
        })
        .unwrap();
    assert_eq!(calls, 2);
    vault.remove(ROOT, b"photo.raw", false).unwrap();
    vault.commit().unwrap();
    let rows = of_photo(history(vault));
    let node = vault
        .removed()
        .unwrap()
        .iter()
        .find(|gone| gone.path == b"photo.raw")
        .unwrap()
        .node;
    let path = b"photo.raw".to_vec();
    assert!(rows.iter().all(|row| row.of
        == Of::Removed {
            node,
            path: path.clone()
        }));
    let last = rows.last().unwrap();
    assert_eq!(
        (rows.len(), last.deed, last.size, last.device),
        (4, Deed::Removed, 9, None)
    );
    let mut asked = Vec::new();
    let subjects = [Subject::Removed(node), Subject::File(4711)];
    vault
        .history_of(&subjects, &mut |_, rows| asked.push(rows))
        .unwrap();
    assert_eq!(asked[0].as_ref().unwrap(), &rows);
    assert_eq!(asked[1].as_ref().unwrap_err().errno(), libc::ENOENT);
}

/// Guards what is told of chunks: what they take, in how many places they stand, and whether they are here; and that their
/// names are not those that lie in the store.
#[test]
fn chunks_are_counted() {
    let (one, two) = pair();
    let bytes = noise(1, 3 << 20);
    put(&one.vault, "large.raw", 0, &bytes);
    one.vault.commit().unwrap();
    let first = blobs(&one.vault);
    assert_eq!(first.iter().map(|blob| blob.size).sum::<u64>(), 3 << 20);
    assert!(
        first
            .iter()
            .all(|blob| blob.references == 1 && blob.stored > Some(blob.size))
    );
    // The same once more costs nothing; at another place it stands in another content.
    put(&one.vault, "same.raw", 0, &bytes);
    one.vault.commit().unwrap();
    assert_eq!(blobs(&one.vault), first);
    put(&one.vault, "same.raw", 3 << 20, &noise(2, 1 << 20));
    one.vault.commit().unwrap();
    let now = blobs(&one.vault);
    assert!(now.iter().filter(|blob| blob.references == 2).count() + 1 >= first.len());
    assert!(now.len() > first.len());
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let there = blobs(&two.vault);
    let name = |blob: &Blob| (blob.name, blob.size, blob.references);
    assert_eq!(
        there.iter().map(name).collect::<Vec<_>>(),
        now.iter().map(name).collect::<Vec<_>>()
    );
    assert!(there.iter().all(|blob| blob.stored.is_none()));
    let wanted: Vec<[u8; 32]> = one
        .vault
        .lacking(10)
        .unwrap()
        .iter()
        .map(|want| want.id.0)
        .collect();
    assert!(now.iter().all(|blob| !wanted.contains(&blob.name)));
    let mut calls = 0;
    one.vault
        .blobs(&mut |_| {
            calls += 1;
            calls < 2
        })
        .unwrap();
    assert_eq!(calls, 2);
}

/// Guards answers beside saves and commits: bytes are of one write and never half of two, names for bytes are those of some state, and
/// nobody waits for anybody for ever.
#[test]
fn answers_beside_saves_are_of_one_moment() {
    const SIZES: [usize; 3] = [2000, 40_000, 300_000];
    let bench = Bench::new();
    let vault = &bench.vault;
    let files = ["small.md", "middle.bin", "large.bin"].map(|name| {
        bench.save(VIM, name, "");
        bench.ino(name)
    });
    // What each can hold, and the name for that.
    let fill = |n: usize, byte: u8| [b'a' + byte, SIZES[n] as u8].repeat(SIZES[n] / 2);
    let write = |n: usize, byte: u8| {
        vault.open(files[n], true, false, false).unwrap();
        vault.write(files[n], Some(0), &fill(n, byte), false).unwrap();
        vault.release(files[n], true);
    };
    let mut hashes = Vec::new();
    for (n, ino) in files.iter().enumerate() {
        for byte in 0..4 {
            write(n, byte);
            hashes.push(vault.content(*ino).unwrap().unwrap());
        }
    }
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..400usize {
                write(round % 3, (round / 3 % 4) as u8);
                if round % 7 == 0 {
                    vault.store_saved().unwrap();
                }
            }
        });
        scope.spawn(|| {
            for _ in 0..30 {
                let rows = history(vault);
                assert!(rows.iter().all(|row| row.size <= 300_000));
                blobs(vault);
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            for (n, ino) in files.iter().enumerate() {
                let bytes = vault.text(*ino, 1 << 20).unwrap();
                assert!((0..4).any(|byte| bytes == fill(n, byte)), "half of two writes");
                seen += usize::from(bytes.len() == SIZES[n]);
                // None: it went on changing.
                let hash = vault.content(*ino).unwrap();
                assert!(hash.is_none_or(|hash| hashes[n * 4..n * 4 + 4].contains(&hash)));
                assert_eq!(vault.facts(*ino).unwrap().size, SIZES[n] as u64);
            }
        }
        assert!(seen > 3);
    });
}
