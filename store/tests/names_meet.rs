//! Names on several devices: events carried by hand, in any order, between vaults that are real but for
//! their disks. Guards that all come to one tree with the same bytes in it, that nothing is lost that
//! nobody removed knowingly, and that a crash at any moment changes none of it.

mod names_support;
mod texts_support;

use coffer_store::ids::ROOT;
use coffer_store::record::Meta;
use coffer_store::tree::Kind;
use names_support::{Devices, act, folder_meta};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use texts_support::meta;

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
