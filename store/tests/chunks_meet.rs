//! Files too large for an event, on two devices: the chunks that one has and the other lacks, given and
//! taken by hand. Guards that a file comes to be, or to show what is new, when all of it is here and not
//! before; that no byte is taken that nothing asked for, or that is another; and that little is asked for twice.

mod texts_support;

use coffer_store::ids::{ChainId, ROOT};
use coffer_store::keys::ChunkId;
use coffer_store::vault::{ChunkError, Identity, Vault};
use texts_support::{Bench, meta};

fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn put(bench: &Bench, name: &str, offset: u64, bytes: &[u8]) {
    let vault = &bench.vault;
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), meta(), b"").unwrap(),
    };
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(offset), bytes, false).unwrap();
    vault.release(ino, true);
}

fn read(bench: &Bench, name: &str) -> Option<Vec<u8>> {
    let ino = bench.vault.lookup(ROOT, name.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    bench.vault.read(ino, 0, 64 << 20, &mut bytes).unwrap();
    Some(bytes)
}

/// What one told that the other lacks comes to it.
fn carry(from: &Vault, to: &Vault) {
    from.commit().unwrap();
    let has = to.clock().unwrap();
    let own: Vec<(ChainId, u64)> = from
        .clock()
        .unwrap()
        .keys()
        .map(|chain| (*chain, has.get(chain).map_or(0, |(last, _)| *last)))
        .collect();
    for carried in from.batches_after(&own, usize::MAX).unwrap() {
        to.take_in(&from.device(), &carried).unwrap();
    }
}

/// Brings chunks until nothing is lacking; how many bytes that took.
fn fetch(from: &Vault, to: &Vault) -> usize {
    let mut bytes = 0;
    loop {
        let wanted = to.lacking(10).unwrap();
        if wanted.is_empty() {
            to.commit().unwrap();
            return bytes;
        }
        for want in wanted {
            let sealed = from.sealed_chunk(&want.id).unwrap().expect("it is there");
            assert_eq!(sealed.len(), want.len);
            bytes += sealed.len();
            match to.put_chunk(&want.id, &sealed) {
                Ok(()) => {}
                e => panic!("{e:?}"),
            }
        }
    }
}

fn pair() -> (Bench, Bench) {
    let one = Bench::new();
    one.save(1, "note.md", "small\n");
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    (one, two)
}

#[test]
fn a_large_file_comes_when_all_of_it_is_here() {
    let (one, two) = pair();
    let photo = noise(5 << 20, 1);
    put(&one, "photo.jpg", 0, &photo);
    put(&one, "copy.jpg", 0, &photo);
    put(&one, "table.bin", 0, &noise(100_000, 2));
    carry(&one.vault, &two.vault);
    assert_eq!(read(&two, "photo.jpg"), None, "none of it is here yet");
    let wanted = two.vault.lacking(100).unwrap();
    assert!(wanted.iter().all(|want| want.is_manifest), "{wanted:?}");
    // A chunk that nobody asked for, and other bytes than a name stands for, are not taken.
    let id = wanted[0].id;
    let mut sealed = one.vault.sealed_chunk(&id).unwrap().unwrap();
    let unwanted = two.vault.put_chunk(&ChunkId([7; 32]), &sealed);
    assert!(matches!(unwanted, Err(ChunkError::Unwanted(_))), "{unwanted:?}");
    sealed[0] ^= 1;
    let other = two.vault.put_chunk(&id, &sealed);
    assert!(matches!(other, Err(ChunkError::Other(_))), "{other:?}");

    let took = fetch(&one.vault, &two.vault);
    assert!(
        took < photo.len() + 200_000,
        "{took} bytes: what two files have was asked for twice"
    );
    for bench in [&one, &two, &two.crashed()] {
        assert!(read(bench, "photo.jpg") == Some(photo.clone()));
        assert!(read(bench, "copy.jpg") == Some(photo.clone()));
        assert!(read(bench, "table.bin") == Some(noise(100_000, 2)));
        bench.check();
    }
}

#[test]
fn a_small_change_of_a_large_file_asks_for_little() {
    let (one, two) = pair();
    put(&one, "disk.img", 0, &noise(8 << 20, 3));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let before = read(&two, "disk.img").unwrap();
    put(&one, "disk.img", 3 << 20, &noise(4096, 4));
    carry(&one.vault, &two.vault);
    two.vault.commit().unwrap();
    assert!(read(&two, "disk.img") == Some(before), "it shows what it can");
    // Where chunks end is chance, and the longest of them have as many bytes as a change may take: so of several.
    let mut took = vec![fetch(&one.vault, &two.vault)];
    for n in 0..4 {
        put(&one, "disk.img", (2 * n + 1) << 20, &noise(4096, 10 + n));
        carry(&one.vault, &two.vault);
        took.push(fetch(&one.vault, &two.vault));
    }
    took.sort_unstable();
    assert!(took[2] <= 1 << 20, "{took:?} bytes for 4 KiB");
    assert!(took[4] <= 4 << 20, "{took:?} bytes for 4 KiB");
    assert!(read(&two, "disk.img") == read(&one, "disk.img"));
    // After a restart in between it is known what is lacking, too.
    put(&one, "disk.img", 6 << 20, &noise(4096, 5));
    carry(&one.vault, &two.vault);
    let two = two.again();
    assert!(fetch(&one.vault, &two.vault) > 0);
    assert!(read(&two, "disk.img") == read(&one, "disk.img"));
    assert!(two.vault.lacking(1).unwrap().is_empty());
    two.check();
}

/// Guards forwarding: who has a chain from another gives its batches as they were, in an order in which they can be
/// taken in, in bounded portions.
#[test]
fn a_third_device_hears_of_the_first_by_the_second() {
    let (one, two) = pair();
    let three = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    for n in 0..20 {
        one.save(1, &format!("{n}.md"), format!("{n}\n"));
        one.vault.commit().unwrap();
    }
    carry(&one.vault, &two.vault);
    two.save(2, "3.md", "3, and more\n");
    two.vault.commit().unwrap();
    let devices = [one.vault.device(), two.vault.device()];
    let chains: Vec<ChainId> = two.vault.clock().unwrap().keys().copied().collect();
    let mut portions = 0;
    loop {
        let has = three.vault.clock().unwrap();
        let after: Vec<_> = chains
            .iter()
            .map(|chain| (*chain, has.get(chain).map_or(0, |(last, _)| *last)))
            .collect();
        let given = two.vault.batches_after(&after, 2000).unwrap();
        if given.is_empty() {
            break;
        }
        assert!(given.iter().map(|batch| batch.bytes.len()).sum::<usize>() < 4000);
        portions += 1;
        for carried in given {
            let taken = devices
                .iter()
                .find_map(|device| three.vault.take_in(device, &carried).ok());
            assert!(taken.is_some(), "it comes after what it builds on");
        }
    }
    assert!(portions > 3);
    assert_eq!(three.text("3.md"), "3, and more\n");
    // And said on its own chain that it is there.
    let mut clock = three.vault.clock().unwrap();
    assert!(clock.remove(&three.vault.own_chain()).is_some());
    assert_eq!(clock, two.vault.clock().unwrap());
    three.check();
}

/// Guards a file whose last piece is, byte for byte, the manifest of another: both are whole here and elsewhere. The two
/// had one name once, and whichever was stored later took the other's place.
#[test]
fn a_file_that_holds_the_bytes_of_a_manifest_is_not_taken_for_one() {
    let (one, two) = pair();
    let make = |name: &str, size: u64, end: &[u8]| {
        let ino = one.vault.make(ROOT, name.as_bytes(), meta(), b"").unwrap();
        one.vault.open(ino, true, false, false).unwrap();
        one.vault.grow(ino, size, 0).unwrap();
        one.vault.write(ino, Some(size), end, false).unwrap();
        one.vault.release(ino, true);
    };
    // Of a file that is one hole: version, level, one entry: a hole, so long.
    let hole = 100_000u64;
    let manifest = [&[0, 0, 1, 0, 0][..], &hole.to_le_bytes()].concat();
    for (a, b) in [("a", "b"), ("c", "d")] {
        let hollow = || {
            let ino = one.vault.make(ROOT, a.as_bytes(), meta(), b"").unwrap();
            one.vault.open(ino, true, false, false).unwrap();
            one.vault.grow(ino, hole, 0).unwrap();
            one.vault.release(ino, true);
            one.vault.commit().unwrap();
        };
        // Each goes first once.
        if a == "a" {
            hollow();
        }
        make(b, 70_000, &manifest);
        one.vault.commit().unwrap();
        if a == "c" {
            hollow();
        }
    }
    one.check();
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    for side in [&one, &two] {
        for name in ["a", "c"] {
            assert_eq!(read(side, name).unwrap(), vec![0; hole as usize], "{name}");
        }
        for name in ["b", "d"] {
            assert_eq!(read(side, name).unwrap()[70_000..], manifest, "{name}");
        }
        side.check();
    }
}
