//! Guards what is to go: after a purge and a collection no pack holds a byte of it, whatever
//! happened before and at whatever call the power goes; and nothing else is touched by it.

mod history_support;

use coffer_store::event::EventRef;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::record::Time;
use coffer_store::vault::{Purged, Subject, Vault};
use history_support::*;

/// Where the packs of these tests end, in bytes: several are needed.
const PACK: u64 = 300 << 10;

/// The sealed bytes that only these versions are made of.
struct Needles(Vec<Vec<u8>>);

impl Needles {
    fn of(disk: &SimDisk, events: &[EventRef], with_keys: bool) -> Needles {
        let found = in_packs(disk);
        let payloads = events.iter().map(|at| found.payloads[at].clone());
        let keys = events.iter().filter_map(|at| found.keys.get(at).cloned());
        Needles(payloads.chain(keys.filter(|_| with_keys)).collect())
    }

    /// How many of them some pack holds.
    fn found(&self, disk: &SimDisk) -> usize {
        self.0.iter().filter(|needle| packs_hold(disk, needle)).count()
    }
}

fn events_of(vault: &Vault, of: Subject) -> Vec<EventRef> {
    versions(vault, of)
        .iter()
        .flat_map(|v| v.events.clone())
        .collect()
}

/// Others' files, which must stay: their bytes lie in the same batches and packs.
fn bystanders(vault: &Vault, rng: &mut SplitMix64) -> Vec<(u64, Vec<u8>)> {
    let sizes = [10, 4000, 20_000, 90_000];
    let make_one = |(i, size): (usize, &usize)| {
        let (ino, bytes) = (make(vault, TOP, &format!("other {i}")), rng.bytes(*size));
        save(vault, ino, &bytes);
        (ino, bytes)
    };
    sizes.iter().enumerate().map(make_one).collect()
}

/// A removed file goes without a trace: versions small and large, and its key; also what was
/// thinned before, and moved about by collections.
#[test]
fn a_removed_file_goes_without_a_trace() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    vault.limit_packs(PACK);
    let mut rng = SplitMix64(1);
    let before = in_packs(&disk).chunks;
    let ino = make(&vault, TOP, "secret");
    let others = bystanders(&vault, &mut rng);
    for size in [3000, 60_000, 10, 400_000, 500] {
        save_version(&vault, ino, &rng.bytes(size));
        bystanders_again(&vault, &others);
    }
    let events = events_of(&vault, Subject::File(ino));
    assert_eq!(events.len(), 5);
    let needles = Needles::of(&disk, &events, true);
    assert_eq!(needles.0.len(), 6, "five payloads and a key");
    let mut chunks = in_packs(&disk).chunks;
    chunks.retain(|id, _| !before.contains_key(id));
    // What the others are made of, and no one else.
    let kept = chunks.values().filter(|sealed| sealed.len() < 100_000).count();
    assert!(kept > 0 && chunks.len() > kept);
    vault.remove(TOP, b"secret", false).unwrap();
    let secret = gone(&vault, "secret");
    let of = Subject::Removed(secret.node);
    // A collection finds nothing: history holds all of it.
    vault.collect().unwrap();
    assert_eq!(needles.found(&disk), 6);
    assert_eq!(
        vault.purge(of).unwrap(),
        Purged {
            files: 1,
            versions: 5,
            unread: 0,
        }
    );
    assert!(vault.removed().unwrap().is_empty());
    assert_eq!(vault.versions(of).unwrap_err().errno(), libc::ENOENT);
    let freed = vault.collect().unwrap();
    assert_eq!(freed.left, 0);
    assert_eq!(needles.found(&disk), 0);
    let left = in_packs(&disk).chunks;
    let large = chunks.iter().filter(|(_, sealed)| sealed.len() > 100_000);
    for (id, sealed) in large {
        assert!(!left.contains_key(id) && !packs_hold(&disk, sealed));
    }
    all_there(&vault, &others);
    drop(vault);
    all_there(&open(&disk), &others);
}

/// So that their events lie between those of the file that goes.
fn bystanders_again(vault: &Vault, others: &[(u64, Vec<u8>)]) {
    for (ino, bytes) in others {
        save(vault, *ino, bytes);
    }
    vault.commit().unwrap();
}

fn all_there(vault: &Vault, others: &[(u64, Vec<u8>)]) {
    for (ino, bytes) in others {
        assert!(read(vault, *ino) == *bytes);
        let of = Subject::File(*ino);
        for version in versions(vault, of) {
            assert!(read_version(vault, of, version.number).unwrap() == *bytes);
        }
    }
    check(vault);
}

/// Of a file that is there all versions go but the present one, and the key stays with it.
#[test]
fn a_file_that_is_there_loses_its_past() {
    for size in [2000, 100_000] {
        let disk = SimDisk::new();
        let vault = create(&disk);
        vault.limit_packs(PACK);
        let mut rng = SplitMix64(size);
        let ino = make(&vault, TOP, "file");
        let others = bystanders(&vault, &mut rng);
        let bytes: Vec<Vec<u8>> = (0..4).map(|_| rng.bytes(size as usize)).collect();
        for bytes in &bytes {
            save_version(&vault, ino, bytes);
        }
        let of = Subject::File(ino);
        let events = events_of(&vault, of);
        let keys = in_packs(&disk).keys;
        let needles = Needles::of(&disk, &events[..3], false);
        assert_eq!(vault.purge(of).unwrap().versions, 3);
        let listed = versions(&vault, of);
        assert_eq!((listed.len(), listed[0].number), (1, 4));
        assert_eq!(vault.collect().unwrap().left, 0);
        assert_eq!(needles.found(&disk), 0);
        assert!(read(&vault, ino) == bytes[3]);
        assert_eq!(
            in_packs(&disk).keys,
            keys,
            "files are there, and so are their keys"
        );
        all_there(&vault, &others);
        // And goes on from there.
        save_version(&vault, ino, b"next");
        assert_eq!(versions(&vault, of).len(), 2);
        assert!(read_version(&vault, of, 4).unwrap() == bytes[3]);
        // The second time, and when it is removed, what is left goes too.
        vault.remove(TOP, b"file", false).unwrap();
        let key = Needles(vec![keys[&events[0]].clone()]);
        assert_eq!(key.found(&disk), 1);
        let node = gone(&vault, "file").node;
        assert_eq!(vault.purge(Subject::Removed(node)).unwrap().versions, 2);
        assert_eq!(vault.collect().unwrap().left, 0);
        assert_eq!(key.found(&disk), 0);
        all_there(&vault, &others);
    }
}

/// What was thinned earlier lies in dead parts of packs: a purge destroys that, too.
#[test]
fn what_was_thinned_before_goes_with_a_purge() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let mut rng = SplitMix64(3);
    let ino = make(&vault, TOP, "file");
    let others = bystanders(&vault, &mut rng);
    for _ in 0..4 {
        save_version(&vault, ino, &rng.bytes(5000));
    }
    let of = Subject::File(ino);
    let needles = Needles::of(&disk, &events_of(&vault, of)[..3], false);
    let year = Time {
        sec: Time::now().sec + 400 * 86_400,
        nsec: 0,
    };
    // All on one day: one of them stays, the last.
    assert_eq!(vault.thin(year).unwrap().versions, 3);
    let listed = versions(&vault, of);
    assert_eq!(listed.iter().map(|v| v.held).collect::<Vec<_>>(), [false, true]);
    assert_eq!(read_version(&vault, of, 1), Err(libc::ESTALE));
    assert_eq!(read_version(&vault, of, 2), Err(libc::ENOENT));
    vault.collect().unwrap();
    check(&vault);
    assert_eq!(needles.found(&disk), 3, "not so quickly, and not for this");
    vault.purge(of).unwrap();
    assert_eq!(vault.collect().unwrap().left, 0);
    assert_eq!(needles.found(&disk), 0);
    all_there(&vault, &others);
}

/// At whatever call the power goes: all of it is listed and can be read, or nothing of it; and
/// another collection destroys what is left.
#[test]
fn a_purge_that_is_cut_is_whole_or_not_at_all() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    vault.limit_packs(PACK);
    let mut rng = SplitMix64(4);
    let ino = make(&vault, TOP, "secret");
    let others = bystanders(&vault, &mut rng);
    let bytes: Vec<Vec<u8>> = [2000, 90_000, 30].map(|size| rng.bytes(size)).into();
    for bytes in &bytes {
        save_version(&vault, ino, bytes);
    }
    let needles = Needles::of(&disk, &events_of(&vault, Subject::File(ino)), true);
    vault.remove(TOP, b"secret", false).unwrap();
    let of = Subject::Removed(gone(&vault, "secret").node);
    vault.close().unwrap();
    drop(vault);
    let work = |disk: &SimDisk| {
        let vault = open(disk);
        vault.limit_packs(PACK);
        let begun = disk.ops();
        vault.purge(of).unwrap();
        vault.collect().unwrap();
        (begun, disk.ops())
    };
    let (begun, ended) = work(&disk.crash_all_kept());
    let mut whole = 0;
    for k in begun + 1..=ended + 1 {
        let cut = disk.crash_all_kept();
        cut.freeze_at(k);
        work(&cut);
        let found = match k % 3 {
            0 => cut.crash_all_lost(),
            1 => cut.crash(k),
            _ => cut.crash_all_kept(),
        };
        let vault = open(&found);
        let removed = vault.removed().unwrap();
        if removed.is_empty() {
            assert_eq!(vault.versions(of).unwrap_err().errno(), libc::ENOENT);
        } else {
            whole += 1;
            for (number, bytes) in (1..).zip(&bytes) {
                assert!(read_version(&vault, of, number).unwrap() == *bytes, "call {k}");
            }
            vault.purge(of).unwrap();
        }
        assert_eq!(vault.collect().unwrap().left, 0, "call {k}");
        assert_eq!(needles.found(&found), 0, "call {k}");
        all_there(&vault, &others);
    }
    let calls = ended + 1 - begun;
    assert!(whole > 0 && whole < calls, "{whole} of {calls}");
}

/// What a file that is open still shows is not taken from under it.
#[test]
fn an_open_file_keeps_its_bytes() {
    for size in [500, 80_000] {
        let disk = SimDisk::new();
        let vault = create(&disk);
        let ino = make(&vault, TOP, "file");
        let bytes = SplitMix64(size).bytes(size as usize);
        save_version(&vault, ino, &bytes);
        let needles = Needles::of(&disk, &events_of(&vault, Subject::File(ino)), true);
        vault.hold(ino);
        vault.open(ino, false, false, false).unwrap();
        vault.remove(TOP, b"file", false).unwrap();
        let node = gone(&vault, "file").node;
        vault.purge(Subject::Removed(node)).unwrap();
        assert!(vault.collect().unwrap().left > 0, "it says that it is not done");
        assert!(read(&vault, ino) == bytes);
        vault.release(ino, false);
        vault.let_go(ino, 1);
        vault.commit().unwrap();
        assert_eq!(vault.collect().unwrap().left, 0);
        assert_eq!(needles.found(&disk), 0);
        check(&vault);
    }
}

/// Several at once: files with all their names, folders, and a name whose file has another one,
/// which keeps all it has.
#[test]
fn several_go_at_once() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let folder = folder(&vault, TOP, "folder");
    let mut needles = Vec::new();
    for i in 0..5 {
        let ino = make(&vault, folder, &format!("{i}"));
        save_version(&vault, ino, &[i; 100]);
        vault.link(ino, folder, format!("{i} again").as_bytes()).unwrap();
        vault.commit().unwrap();
        needles.extend(Needles::of(&disk, &events_of(&vault, Subject::File(ino)), true).0);
        vault.remove(folder, format!("{i}").as_bytes(), false).unwrap();
        if i > 0 {
            vault
                .remove(folder, format!("{i} again").as_bytes(), false)
                .unwrap();
        }
    }
    let kept = needles.drain(..2).collect();
    let nodes: Vec<_> = vault.removed().unwrap().iter().map(|gone| gone.node).collect();
    assert_eq!(nodes.len(), 9);
    let purged = vault.purge_removed(&nodes).unwrap();
    assert_eq!((purged.files, purged.versions), (4, 4));
    assert!(vault.removed().unwrap().is_empty());
    assert_eq!(vault.collect().unwrap().left, 0);
    assert_eq!(Needles(needles).found(&disk), 0);
    assert_eq!(Needles(kept).found(&disk), 2);
    let ino = vault.lookup(folder, b"0 again").unwrap();
    assert_eq!(read_version(&vault, Subject::File(ino), 1).unwrap(), [0; 100]);
    check(&vault);
    assert_eq!(vault.purge_removed(&nodes).unwrap_err().errno(), libc::ENOENT);
}

/// Bytes that a file had before it was a version, while it was open: parts of its log in packs, and
/// chunks that no version names. Nothing named their packs, and a purge that said that nothing was
/// left of the file left them there, to be read with the key of the file that stays.
#[test]
fn what_was_never_a_version_goes_too() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    vault.limit_packs(PACK);
    let mut rng = SplitMix64(7);
    let others = bystanders(&vault, &mut rng);
    let ino = make(&vault, TOP, "file");
    save_version(&vault, ino, &rng.bytes(400_000));
    let mut needles = Vec::new();
    vault.open(ino, true, false, false).unwrap();
    for i in 0..6 {
        // Over what is there, and behind it.
        for offset in [50_000 * i, 400_000 + 60_000 * i] {
            vault.write(ino, Some(offset), &rng.bytes(60_000), false).unwrap();
        }
        vault.sync(ino).unwrap();
        needles.extend(in_packs(&disk).extents);
        // So that the packs are worth keeping.
        let (of, bytes) = (make(&vault, TOP, &format!("beside {i}")), rng.bytes(150_000));
        save_version(&vault, of, &bytes);
    }
    // A state that is written whole, and over before anybody was told of it.
    vault.write(ino, Some(0), &rng.bytes(1 << 20), false).unwrap();
    vault.tick().unwrap();
    needles.extend(in_packs(&disk).extents);
    let chunks = in_packs(&disk).chunks;
    vault.release(ino, true);
    save(&vault, ino, &rng.bytes(300_000));
    for _ in 0..4 {
        vault.commit().unwrap();
    }
    let needles = Needles(needles);
    vault.collect().unwrap();
    assert!(needles.found(&disk) > 0 && !chunks.is_empty());
    assert!(vault.purge(Subject::File(ino)).unwrap().versions > 0);
    assert_eq!(vault.collect().unwrap().left, 0);
    assert_eq!(needles.found(&disk), 0);
    let left = in_packs(&disk).chunks.len() as u64;
    assert_eq!(left, vault.status().unwrap().chunks, "chunks that nothing names");
    all_there(&vault, &others);
}

/// A pack that was replaced in an ordinary way a moment ago is kept for its readers; what was purged
/// lay in it for that long, and nothing was said to be left.
#[test]
fn packs_that_were_just_replaced_hold_it_too() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    vault.limit_packs(PACK);
    let mut rng = SplitMix64(8);
    let secret = make(&vault, TOP, "secret");
    save_version(&vault, secret, &rng.bytes(60_000));
    let chunks = in_packs(&disk).chunks;
    let large = make(&vault, TOP, "large");
    save_version(&vault, large, &rng.bytes(200_000));
    save_version(&vault, large, b"small");
    save_version(&vault, make(&vault, TOP, "next"), &rng.bytes(400_000));
    vault.remove(TOP, b"secret", false).unwrap();
    let of = Subject::Removed(gone(&vault, "secret").node);
    let year = Time {
        sec: Time::now().sec + 80 * 86_400,
        nsec: 0,
    };
    // The pack that both lie in is mostly dead by that, and the secret is moved out of it.
    assert!(vault.thin(year).unwrap().versions > 0);
    assert!(vault.collect().unwrap().packs > 0);
    vault.purge(of).unwrap();
    assert_eq!(vault.collect().unwrap().left, 0);
    for sealed in chunks.values() {
        assert!(!packs_hold(&disk, sealed));
    }
    check(&vault);
}

/// While some other file was purged, whoever read an old version that had been thinned meanwhile lost
/// its bytes.
#[test]
fn a_purge_spares_who_reads_something_else() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let mut rng = SplitMix64(9);
    let read = make(&vault, TOP, "read");
    let bytes = rng.bytes(300_000);
    save_version(&vault, read, &bytes);
    save_version(&vault, read, b"now");
    let old = vault.open_version(Subject::File(read), 1).unwrap();
    let year = Time {
        sec: Time::now().sec + 400 * 86_400,
        nsec: 0,
    };
    assert_eq!(vault.thin(year).unwrap().versions, 1);
    let secret = make(&vault, TOP, "secret");
    save_version(&vault, secret, &rng.bytes(300_000));
    save_version(&vault, secret, b"now");
    vault.purge(Subject::File(secret)).unwrap();
    assert_eq!(vault.collect().unwrap().left, 0);
    let mut found = Vec::new();
    old.read(&vault, 0, 1 << 20, &mut found).unwrap();
    assert!(found == bytes);
    drop(old);
    check(&vault);
}
