//! Names for equal bytes: the same for files that hold the same, by whatever way they came to it, and others else.

mod demand_support;
mod history_support;
mod texts_support;

use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::vault::{ContentHash, Vault};
use history_support::*;

fn hash(vault: &Vault, name: &str) -> ContentHash {
    let ino = vault.lookup(TOP, name.as_bytes()).unwrap();
    vault
        .content(ino)
        .unwrap()
        .unwrap_or_else(|| panic!("{name} has none"))
}

fn write(vault: &Vault, ino: u64, offset: u64, bytes: &[u8]) {
    vault.open(ino, true, false, false).unwrap();
    for (n, part) in bytes.chunks(1 << 20).enumerate() {
        let at = offset + (n << 20) as u64;
        vault.write(ino, Some(at), part, false).unwrap();
    }
    vault.release(ino, true);
}

/// Guards the promise itself, for all the ways that were thought of: at once, by lines, in the wrong order, over other bytes, over more than one commit
/// chunks anew, by a clone, with a hole for zeros, as a text first, before and after a commit, and after the vault was opened anew.
#[test]
fn the_same_bytes_have_the_same_name() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    for (n, size) in [
        0,
        1,
        2000,
        32 << 10,
        (32 << 10) + 1,
        200_000,
        1 << 20,
        3 << 20,
        21 << 20,
    ]
    .into_iter()
    .enumerate()
    {
        let mut bytes = SplitMix64(n as u64).bytes(size);
        if size >= 3 << 20 {
            // What may be a hole.
            bytes[1 << 20..(2 << 20) + 70_000].fill(0);
        }
        let name = |way: &str| format!("{size} {way}");
        let whole = make(&vault, TOP, &name("whole.bin"));
        write(&vault, whole, 0, &bytes);
        let mut ways = vec![name("whole.bin")];
        assert_eq!(hash(&vault, &name("whole.bin")), hash(&vault, &name("whole.bin")));
        let by_bytes = (size <= 32 << 10).then(|| hash(&vault, &name("whole.bin")));
        assert_eq!(vault.content_of(&bytes), by_bytes, "{size}");

        let lines = make(&vault, TOP, &name("lines.bin"));
        for (n, part) in bytes.chunks(size.div_ceil(7).max(1)).enumerate() {
            write(&vault, lines, (n * size.div_ceil(7).max(1)) as u64, part);
            vault.commit().unwrap();
        }
        ways.push(name("lines.bin"));

        let over = make(&vault, TOP, &name("over.bin"));
        write(&vault, over, 0, &SplitMix64(99).bytes(size));
        vault.commit().unwrap();
        write(&vault, over, 0, &bytes);
        ways.push(name("over.bin"));

        let parts = make(&vault, TOP, &name("parts.bin"));
        let mut other = bytes.clone();
        for at in (0..size).step_by(50_000) {
            other[at] ^= 1;
        }
        write(&vault, parts, 0, &other);
        vault.commit().unwrap();
        for at in (0..size).step_by(50_000) {
            write(&vault, parts, at as u64, &bytes[at..=at]);
        }
        ways.push(name("parts.bin"));

        let back = make(&vault, TOP, &name("back.bin"));
        for at in (0..size).step_by(700_000).rev() {
            write(&vault, back, at as u64, &bytes[at..size.min(at + 700_000)]);
        }
        ways.push(name("back.bin"));

        let cut = make(&vault, TOP, &name("cut.bin"));
        let mut longer = bytes.clone();
        longer.extend(SplitMix64(5).bytes(300_000));
        write(&vault, cut, 0, &longer);
        vault.commit().unwrap();
        let change = coffer_store::vault::Change {
            size: Some(size as u64),
            ..Default::default()
        };
        vault.change(cut, change).unwrap();
        ways.push(name("cut.bin"));

        if size >= 3 << 20 {
            let sparse = make(&vault, TOP, &name("sparse.bin"));
            write(&vault, sparse, 0, &bytes[..1 << 20]);
            let behind = (2 << 20) + 70_000;
            write(&vault, sparse, behind as u64, &bytes[behind..]);
            ways.push(name("sparse.bin"));
            let punched = make(&vault, TOP, &name("punched.bin"));
            let mut full = bytes.clone();
            full[1 << 20..behind].fill(7);
            write(&vault, punched, 0, &full);
            vault.commit().unwrap();
            vault
                .zero(punched, 1 << 20, (behind - (1 << 20)) as u64, true)
                .unwrap();
            ways.push(name("punched.bin"));
            // A clone of another's pieces from the middle on, and the rest as bytes.
            let cloned = make(&vault, TOP, &name("cloned.bin"));
            write(&vault, cloned, 0, &bytes[..500_000]);
            vault.open(cloned, true, false, false).unwrap();
            let mut done = 500_000;
            while done < size as u64 {
                done += vault
                    .copy((whole, done), (cloned, done), size as u64 - done)
                    .unwrap();
            }
            vault.release(cloned, true);
            ways.push(name("cloned.bin"));
        }
        let clone = make(&vault, TOP, &name("clone.bin"));
        vault.open(clone, true, false, false).unwrap();
        let mut done = 0;
        while done < size as u64 {
            done += vault
                .copy((whole, done), (clone, done), size as u64 - done)
                .unwrap();
        }
        vault.release(clone, true);
        ways.push(name("clone.bin"));
        let first = hash(&vault, &ways[0]);
        for way in &ways {
            assert_eq!(hash(&vault, way), first, "{way}, not told");
        }
        vault.commit().unwrap();
        for way in &ways {
            assert_eq!(hash(&vault, way), first, "{way}, at rest");
        }
    }
    let before: Vec<(String, ContentHash)> = names(&vault);
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    assert_eq!(names(&vault), before);
    // Of nine sizes nine names.
    let mut different: Vec<ContentHash> = before.into_iter().map(|(_, hash)| hash).collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 9);
}

fn names(vault: &Vault) -> Vec<(String, ContentHash)> {
    let mut found = Vec::new();
    vault.names(&mut |name| {
        let name = String::from_utf8(name.name.to_vec()).unwrap();
        found.push((name.clone(), hash(vault, &name)));
        true
    });
    found
}

/// Guards texts: what lies in a log over a base, what was merged of lines, and what became a blob by another name.
#[test]
fn texts_are_named_by_what_they_say() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    for size in [3000, 100_000, 900_000] {
        let text = SplitMix64(size as u64).bytes(size / 2);
        let text: String = text.iter().map(|b| format!("{b:02x}")).collect();
        let blob = format!("{size}.bin");
        let ino = make(&vault, TOP, &blob);
        write(&vault, ino, 0, text.as_bytes());
        vault.commit().unwrap();
        let first = hash(&vault, &blob);
        let note = format!("{size}.md");
        let ino = make(&vault, TOP, &note);
        write(&vault, ino, 0, &text.as_bytes()[..size / 3]);
        vault.commit().unwrap();
        assert_ne!(hash(&vault, &note), first);
        write(&vault, ino, (size / 3) as u64, &text.as_bytes()[size / 3..]);
        assert_eq!(hash(&vault, &note), first, "{size} written");
        vault.commit().unwrap();
        assert_eq!(hash(&vault, &note), first, "{size} told");
        write(&vault, ino, 10, b"!");
        vault.commit().unwrap();
        assert_ne!(hash(&vault, &note), first);
        write(&vault, ino, 10, &text.as_bytes()[10..11]);
        vault.commit().unwrap();
        assert_eq!(hash(&vault, &note), first, "{size} put right");
        vault
            .rename((TOP, note.as_bytes()), (TOP, b"other.raw"), false)
            .unwrap();
        write(&vault, ino, size as u64, &SplitMix64(3).bytes(2 << 20));
        vault.commit().unwrap();
        let grown = make(&vault, TOP, "grown.raw");
        write(&vault, grown, 0, text.as_bytes());
        write(&vault, grown, size as u64, &SplitMix64(3).bytes(2 << 20));
        vault.commit().unwrap();
        assert_eq!(
            hash(&vault, "other.raw"),
            hash(&vault, "grown.raw"),
            "{size} grown"
        );
        vault.remove(TOP, b"other.raw", false).unwrap();
        vault.remove(TOP, b"grown.raw", false).unwrap();
    }
}

/// Guards it at random: two files that are written, cut, punched and copied in any way have the same name exactly when they hold
/// the same bytes.
#[test]
fn names_are_equal_exactly_where_bytes_are() {
    for seed in 1..=12 {
        let mut chance = SplitMix64(seed);
        let disk = SimDisk::new();
        let vault = create(&disk);
        let inos = ["a.bin", "b.bin", "c.md"].map(|name| make(&vault, TOP, name));
        for round in 0..60 {
            let mut pick = |n: u64| chance.next_u64() % n;
            let (one, two) = (inos[pick(3) as usize], inos[pick(3) as usize]);
            let size = vault.stat(one).unwrap().size;
            let at = pick(size + 1);
            let len = pick(4).pow(2) * 150_000 + pick(60_000);
            match pick(7) {
                0 => write(&vault, one, at, &SplitMix64(pick(3)).bytes(len as usize)),
                1 => write(&vault, one, size, &vec![b'x'; len as usize]),
                2 => drop(vault.zero(one, at, len, pick(2) == 0)),
                3 => {
                    let change = coffer_store::vault::Change {
                        size: Some(at + pick(2) * len),
                        ..Default::default()
                    };
                    vault.change(one, change).unwrap();
                }
                // The same as the other, by bytes or by pieces.
                4 if one != two => {
                    let bytes = read(&vault, two);
                    save(&vault, one, &bytes);
                }
                5 if one != two => {
                    let change = coffer_store::vault::Change {
                        size: Some(0),
                        ..Default::default()
                    };
                    vault.change(one, change).unwrap();
                    vault.open(one, true, false, false).unwrap();
                    let (mut done, size) = (0, vault.stat(two).unwrap().size);
                    while done < size {
                        done += vault.copy((two, done), (one, done), size - done).unwrap();
                    }
                    vault.release(one, true);
                }
                _ => vault.commit().unwrap(),
            }
            let held = inos.map(|ino| read(&vault, ino));
            let named = inos.map(|ino| vault.content(ino).unwrap().unwrap());
            for (x, y) in [(0, 1), (0, 2), (1, 2)] {
                assert_eq!(
                    held[x] == held[y],
                    named[x] == named[y],
                    "seed {seed}, round {round}, {x} and {y}"
                );
            }
        }
    }
}

/// Guards what cannot be known: of a file whose bytes are on other devices there is no name, and no error; and once they are here it is
/// the keeper's.
#[test]
fn what_is_elsewhere_has_no_name_yet() {
    use demand_support::*;
    let (one, two) = pair();
    put(&one.vault, "large.raw", 0, &noise(1, 3 << 20));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    carry(&one.vault, &two.vault);
    let ino = two.ino("large.raw");
    assert_eq!(two.vault.content(ino).unwrap(), None);
    let _serving = serve(&two.vault, vec![one.vault.clone()]);
    assert_eq!(all(&two.vault, "large.raw"), noise(1, 3 << 20));
    let there = one.vault.content(one.ino("large.raw")).unwrap();
    assert!(there.is_some());
    assert_eq!(two.vault.content(ino).unwrap(), there);
}
