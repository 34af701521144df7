//! Guards the promise of history: every version that is listed can be read, byte for byte, after
//! whatever happened since; and what is brought back is what it was.

mod history_support;

use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::tree::Kind;
use coffer_store::vault::Subject;
use history_support::*;

/// What the hundred versions of a file are: of each size that is stored in another way.
fn contents(seed: u64, kind: usize) -> Vec<Vec<u8>> {
    let mut rng = SplitMix64(seed);
    let base = rng.bytes(600 << 10);
    let saved = |i: usize, rng: &mut SplitMix64| match kind {
        // A note.
        0 => rng.bytes(20 * i),
        // Around the size up to which files lie in their events.
        1 => rng.bytes((32 << 10) - 50 + i),
        // Chunks, most of them the same each time.
        _ => {
            let mut bytes = base.clone();
            let at = rng.below(bytes.len() as u64) as usize;
            bytes.splice(at..at, rng.bytes(100));
            bytes
        }
    };
    (0..100).map(|i| saved(i, &mut rng)).collect()
}

/// A hundred saves are a hundred versions, each read back as it was; also of a reopened vault, and
/// after a collection.
#[test]
fn a_hundred_saves_read_back() {
    for kind in 0..3 {
        let disk = SimDisk::new();
        let vault = create(&disk);
        let ino = make(&vault, TOP, "file");
        let contents = contents(kind as u64, kind);
        for bytes in &contents {
            save_version(&vault, ino, bytes);
        }
        let compare = |vault: &coffer_store::vault::Vault| {
            let ino = vault.lookup(TOP, b"file").unwrap();
            let listed = versions(vault, Subject::File(ino));
            // An empty file that was never saved is a version, too: the first.
            let first = listed.len() - contents.len();
            for (info, bytes) in listed[first..].iter().zip(&contents) {
                assert!(info.held);
                assert_eq!(info.size, bytes.len() as u64);
                let found = read_version(vault, Subject::File(ino), info.number).unwrap();
                assert!(found == *bytes, "version {}", info.number);
            }
            for (before, after) in listed.iter().zip(&listed[1..]) {
                assert_eq!(after.parents, [before.events[0]]);
                assert_eq!(after.number, before.number + 1);
            }
            assert!(read(vault, ino) == contents[99]);
        };
        compare(&vault);
        vault.collect().unwrap();
        compare(&vault);
        check(&vault);
        vault.close().unwrap();
        drop(vault);
        let vault = open(&disk);
        compare(&vault);
        check(&vault);
    }
}

/// Holes of a sparse file come back as holes.
#[test]
fn a_sparse_version_is_sparse() {
    let vault = create(&SimDisk::new());
    let ino = make(&vault, TOP, "file");
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(0), b"begin", false).unwrap();
    vault.write(ino, Some(1 << 34), b"end", false).unwrap();
    vault.release(ino, true);
    vault.commit().unwrap();
    save_version(&vault, ino, b"short");
    let of = Subject::File(ino);
    let number = versions(&vault, of)
        .iter()
        .find(|v| v.size > 1 << 34)
        .unwrap()
        .number;
    let old = vault.open_version(of, number).unwrap();
    let mut bytes = Vec::new();
    old.read(&vault, (1 << 34) - 4, 100, &mut bytes).unwrap();
    assert_eq!(bytes, b"\0\0\0\0end");
    let hole = old.seek(0, false).unwrap();
    assert!(hole <= 1 << 20 && old.seek(hole, true).unwrap() > 1 << 33);
    // And as the file again.
    vault.restore_version(Subject::File(ino), number).unwrap();
    let stat = vault.stat(ino).unwrap();
    assert_eq!(stat.size, (1 << 34) + 3);
    assert!(stat.allocated < 4 << 20, "{}", stat.allocated);
    vault.commit().unwrap();
    check(&vault);
}

/// What was saved just now is listed, what is being written is not, and half a save never is one.
#[test]
fn what_was_saved_just_now_is_listed() {
    let vault = create(&SimDisk::new());
    let ino = make(&vault, TOP, "file");
    save(&vault, ino, b"one");
    let of = Subject::File(ino);
    let one = versions(&vault, of).pop().unwrap();
    assert_eq!(read_version(&vault, of, one.number).unwrap(), b"one");
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), b"tw", false).unwrap();
    assert_eq!(versions(&vault, of).pop(), Some(one.clone()));
    vault.write(ino, Some(2), b"o", false).unwrap();
    vault.release(ino, true);
    let two = versions(&vault, of).pop().unwrap();
    assert_eq!(
        (two.number, two.parents.as_slice()),
        (one.number + 1, &one.events[..])
    );
    assert_eq!(read_version(&vault, of, two.number).unwrap(), b"two");
    assert_eq!(read_version(&vault, of, 99), Err(libc::ENOENT));
}

/// A version that is restored is a version more, with mode and xattrs; nothing is stored twice.
#[test]
fn what_is_restored_is_a_version_more() {
    let vault = create(&SimDisk::new());
    let ino = make(&vault, TOP, "file");
    let large = SplitMix64(5).bytes(3 << 20);
    vault.set_xattr(ino, b"user.a", b"1", None).unwrap();
    save_version(&vault, ino, &large);
    let of = Subject::File(ino);
    let old = versions(&vault, of).pop().unwrap();
    vault.remove_xattr(ino, b"user.a").unwrap();
    save_version(&vault, ino, b"now it is small");
    let stored = vault.status().unwrap().stored;
    vault.restore_version(Subject::File(ino), old.number).unwrap();
    assert!(read(&vault, ino) == large);
    assert_eq!(vault.xattr(ino, b"user.a").unwrap(), b"1");
    vault.commit().unwrap();
    let grown = vault.status().unwrap().stored - stored;
    assert!(grown < 100_000, "{grown} bytes for what is there");
    let listed = versions(&vault, of);
    let (undo, last) = (&listed[listed.len() - 2], &listed[listed.len() - 1]);
    assert_eq!((last.size, undo.size), (3 << 20, 15));
    vault.restore_version(Subject::File(ino), undo.number).unwrap();
    assert_eq!(read(&vault, ino), b"now it is small");
    vault.commit().unwrap();
    check(&vault);
}

/// Bytes that somebody wrote after it was asked whether there were any, and those of a file that has
/// lost its name, are in no version: a restore wrote over them. It refuses; what is whole may be open.
#[test]
fn a_restore_destroys_nothing_that_is_no_version() {
    let vault = create(&SimDisk::new());
    let ino = make(&vault, TOP, "big.bin");
    let large = SplitMix64(6).bytes(200_000);
    save_version(&vault, ino, &large);
    save_version(&vault, ino, &large[..100_000]);
    let of = Subject::File(ino);
    let one = versions(&vault, of)[0].number;
    vault.hold(ino);
    vault.open(ino, true, false, false).unwrap();
    vault.restore_version(of, one).unwrap();
    assert!(read(&vault, ino) == large);
    vault.release(ino, true);
    vault.commit().unwrap();
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(5), b"written just now", false).unwrap();
    let refused = vault.restore_version(of, one).unwrap_err();
    assert_eq!(refused.errno(), libc::EBUSY);
    assert_eq!(&read(&vault, ino)[5..21], b"written just now");
    vault.release(ino, true);
    // Closed, it becomes a version, and then it can be.
    vault.restore_version(of, one).unwrap();
    let last = versions(&vault, of).pop().unwrap().number;
    let written = read_version(&vault, of, last - 1).unwrap();
    assert_eq!(&written[5..21], b"written just now");
    vault.open(ino, true, false, false).unwrap();
    vault.remove(TOP, b"big.bin", false).unwrap();
    let refused = vault.restore_version(of, one).unwrap_err();
    assert_eq!(refused.errno(), libc::EBUSY);
    vault.release(ino, true);
    vault.let_go(ino, 1);
    check(&vault);
}

/// An editor that saves by putting a new file in the place of the old leaves the number that was
/// asked about to a file that is gone, or to its backup. What was meant is the note.
#[test]
fn a_note_is_meant_whichever_file_shows_it() {
    let names = [["note.md", "note.md~"], ["picture", "picture~"]];
    for (backup, [name, aside]) in [false, true].iter().flat_map(|b| names.map(|n| (*b, n))) {
        let (name, aside, is_text) = (name.as_bytes(), aside.as_bytes(), name == "note.md");
        let vault = create(&SimDisk::new());
        let seen = make(&vault, TOP, std::str::from_utf8(name).unwrap());
        for text in [&b"one"[..], b"two"] {
            save_version(&vault, seen, text);
        }
        let entity = vault.entity(seen).unwrap();
        let of = Subject::Entity { entity, seen };
        if backup {
            vault.rename_by(7, (TOP, name), (TOP, aside), false).unwrap();
        }
        let new = make(&vault, TOP, "drawn");
        save(&vault, new, b"three");
        vault.rename_by(7, (TOP, b"drawn"), (TOP, name), false).unwrap();
        vault.commit().unwrap();
        assert_eq!(vault.entity(new).unwrap(), entity);
        assert_eq!(vault.shown_by(of).unwrap(), new);
        assert_eq!(versions(&vault, of).pop().unwrap().size, 5);
        let one = versions(&vault, of)
            .into_iter()
            .find(|v| v.size == 3)
            .unwrap()
            .number;
        assert_eq!(vault.restore_version(of, one).unwrap(), new);
        assert_eq!(read(&vault, new), b"one");
        vault.commit().unwrap();
        // The backup shows one of them still, which stays for that; of a text it has its own bytes.
        let stay = 1 + u64::from(backup && !is_text);
        let before = versions(&vault, of).len() as u64;
        assert_eq!(vault.purge(of).unwrap().versions, before - stay);
        assert_eq!(versions(&vault, of).len() as u64, stay);
        assert_eq!(vault.collect().unwrap().left, 0);
        check(&vault);
        vault.remove(TOP, name, false).unwrap();
        vault.commit().unwrap();
        for refused in [
            vault.purge(of).unwrap_err(),
            vault.restore_version(of, 1).unwrap_err(),
        ] {
            assert_eq!(refused.errno(), libc::ENOENT);
        }
        if backup {
            assert_eq!(read(&vault, seen), b"two");
        }
    }
}

/// What was removed is listed with its path, is read, and comes back with its history: a folder and
/// what lay in it, too.
#[test]
fn what_was_removed_comes_back() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let outer = folder(&vault, TOP, "outer");
    let inner = folder(&vault, outer, "inner");
    let ino = make(&vault, inner, "note");
    save_version(&vault, ino, b"one");
    save_version(&vault, ino, b"two");
    let large = SplitMix64(9).bytes(1 << 20);
    let second = make(&vault, outer, "large");
    save_version(&vault, second, &large);
    vault.remove(inner, b"note", false).unwrap();
    vault.remove(outer, b"inner", true).unwrap();
    vault.remove(outer, b"large", false).unwrap();
    vault.rename((TOP, b"outer"), (TOP, b"moved"), false).unwrap();
    let note = gone(&vault, "moved/inner/note");
    assert_eq!((note.kind, note.size), (Kind::File, 3));
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    vault.collect().unwrap();
    check(&vault);
    let note = gone(&vault, "moved/inner/note");
    let of = Subject::Removed(note.node);
    let listed = versions(&vault, of);
    assert_eq!(listed.iter().filter(|v| v.held).count() as u64, note.versions);
    let one = listed.iter().rfind(|v| v.size == 3).unwrap().number - 1;
    assert_eq!(read_version(&vault, of, one).unwrap(), b"one");
    let inner = gone(&vault, "moved/inner");
    assert_eq!((inner.kind, inner.entity), (Kind::Folder, None));
    let outer = vault.lookup(TOP, b"moved").unwrap();
    let taken = vault.bring_back(note.node, None, at(TOP, "moved"));
    assert_eq!(taken.unwrap_err().errno(), libc::EEXIST);
    let inner = vault.bring_back(inner.node, None, at(outer, "renamed")).unwrap();
    // What lay in it finds it.
    let note = gone(&vault, "moved/renamed/note");
    let ino = vault.bring_back(note.node, None, at(inner, "note")).unwrap();
    assert_eq!(read(&vault, ino), b"two");
    assert_eq!(versions(&vault, Subject::File(ino)).len(), listed.len() + 1);
    vault.restore_version(Subject::File(ino), one).unwrap();
    assert_eq!(read(&vault, ino), b"one");
    let back = gone(&vault, "moved/large");
    let ino = vault.bring_back(back.node, None, at(outer, "large")).unwrap();
    assert!(read(&vault, ino) == large);
    vault.commit().unwrap();
    vault.collect().unwrap();
    assert!(vault.removed().unwrap().is_empty());
    check(&vault);
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    assert!(vault.removed().unwrap().is_empty());
    let outer = vault.lookup(TOP, b"moved").unwrap();
    assert!(read(&vault, vault.lookup(outer, b"large").unwrap()) == large);
    check(&vault);
}

/// One of two names that goes comes back as a name of the same file.
#[test]
fn a_name_of_a_file_with_two_comes_back_as_one() {
    let vault = create(&SimDisk::new());
    let ino = make(&vault, TOP, "a");
    save_version(&vault, ino, b"old");
    save_version(&vault, ino, b"text");
    vault.link(ino, TOP, b"b").unwrap();
    vault.commit().unwrap();
    vault.remove(TOP, b"a", false).unwrap();
    let a = gone(&vault, "a");
    let of = Subject::Removed(a.node);
    let old = versions(&vault, of).iter().find(|v| v.size == 3).unwrap().number;
    assert_eq!(vault.bring_back(a.node, None, at(TOP, "a")).unwrap(), ino);
    assert_eq!(vault.stat(ino).unwrap().meta.nlink, 2);
    vault.commit().unwrap();
    assert!(vault.removed().unwrap().is_empty());
    vault.remove(TOP, b"a", false).unwrap();
    let a = gone(&vault, "a");
    let other = vault.bring_back(a.node, Some(old), at(TOP, "c")).unwrap();
    assert_eq!(
        (read(&vault, other), read(&vault, ino)),
        (b"old".to_vec(), b"text".to_vec())
    );
    vault.remove(TOP, b"b", false).unwrap();
    let b = gone(&vault, "b");
    assert_eq!(
        versions(&vault, Subject::Removed(a.node)),
        versions(&vault, Subject::Removed(b.node))
    );
    let back = vault.bring_back(a.node, None, at(TOP, "a")).unwrap();
    assert_eq!(read(&vault, back), b"text");
    vault.commit().unwrap();
    assert_eq!(vault.bring_back(b.node, None, at(TOP, "b")).unwrap(), back);
    vault.commit().unwrap();
    check(&vault);
}
