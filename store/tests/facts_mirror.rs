//! A mirror that is kept by the feed alone, as an index keeps it, against one that is made from scratch: after whatever was done
//! on this device and taken in from another, both say the same.

mod demand_support;
mod facts_support;
mod names_support;
mod texts_support;

use coffer_store::ids::ROOT;
use coffer_store::record::Time;
use coffer_store::vault::{Change, Retention, Subject};
use demand_support::{carry, evict, fetch, noise, pair, put, serve};
use facts_support::Mirror;
use names_support::{Devices, act, folder_meta};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use texts_support::{Bench, VIM};

/// A person also saves as editors do, and gives attributes.
fn act_more(rng: &mut StdRng, bench: &Bench, token: &str) {
    let name = *["a.md", "b.md", "c.bin", "Garden.md"]
        .get(rng.random_range(0..4))
        .unwrap();
    let is_file = |name: &str| {
        let ino = bench.vault.lookup(ROOT, name.as_bytes());
        ino.is_ok_and(|ino| bench.vault.stat(ino).unwrap().meta.kind == coffer_store::tree::Kind::File)
    };
    match rng.random_range(0..6) {
        0 if is_file(name) => bench.save_by_rename(VIM, name, format!("saved {token}\n")),
        1 if is_file(name) => bench.save(VIM, name, format!("{token}\nroses\n{token}\n")),
        2 if is_file(name) => {
            let _ = bench
                .vault
                .set_xattr(bench.ino(name), b"user.tag", token.as_bytes(), None);
        }
        3 if is_file(name) => {
            let change = Change {
                mtime: Some(Time {
                    sec: 1_700_000_000,
                    nsec: 5,
                }),
                ..Change::default()
            };
            bench.vault.change(bench.ino(name), change).unwrap();
        }
        4 if is_file(name) => {
            // Half a save at the time of the next commit.
            let ino = bench.ino(name);
            bench.vault.open(ino, true, false, false).unwrap();
            bench.vault.write(ino, Some(0), token.as_bytes(), false).unwrap();
            bench.vault.commit().unwrap();
            bench.vault.release(ino, true);
        }
        _ => drop(act(rng, bench, token)),
    }
}

/// Guards what the feed promises whoever keeps a mirror, at random: saves of all kinds, renames, moves of folders, hard links, removals,
/// attributes, merges and conflicts, on this device and by two others.
#[test]
fn a_mirror_kept_by_the_feed_is_the_vault() {
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut devices = Devices::new(3);
        let mut mirror = Mirror::new(&devices.all[0].vault);
        for round in 0..60 {
            let who = rng.random_range(0..3);
            act_more(&mut rng, &devices.all[who], &format!("{seed}.{round}"));
            match rng.random_range(0..8) {
                0 => drop(devices.carry(1, 0)),
                1 => drop(devices.carry(2, 0)),
                2 => drop(devices.carry(0, 1)),
                3 => drop(devices.carry(1, 2)),
                4 => devices.all[0].tell(),
                5 => devices.all[0].vault.commit().unwrap(),
                _ => {}
            }
            if rng.random_range(0..4) == 0 {
                mirror.compare(&devices.all[0].vault, &format!("seed {seed}, round {round}"));
            }
            if round % 20 == 19 {
                devices.meet();
                mirror.compare(
                    &devices.all[0].vault,
                    &format!("seed {seed}, met in round {round}"),
                );
            }
        }
    }
}

/// Guards single things that the feed must tell, each by itself, so that a failure says which.
#[test]
fn each_change_is_told() {
    let mut devices = Devices::new(2);
    let mut mirror = Mirror::new(&devices.all[0].vault);
    let mut check = |devices: &Devices, what: &str| mirror.compare(&devices.all[0].vault, what);
    let vault = devices.all[0].vault.clone();
    let trip = vault.make(ROOT, b"Trip", folder_meta(), b"").unwrap();
    devices.all[0].save(VIM, "a.md", "one\ntwo\nthree\n");
    check(&devices, "made");
    vault.rename((ROOT, b"a.md"), (trip, b"b.md"), true).unwrap();
    check(&devices, "moved");
    vault.rename((ROOT, b"Trip"), (ROOT, b"Journey"), true).unwrap();
    check(&devices, "a folder renamed");
    let ino = vault.lookup(trip, b"b.md").unwrap();
    vault.link(ino, ROOT, b"again.md").unwrap();
    check(&devices, "linked");
    vault.remove(trip, b"b.md", false).unwrap();
    check(&devices, "one name removed");
    devices.all[0].chmod("again.md", 0o600);
    check(&devices, "attributes");
    devices.meet();
    check(&devices, "met");
    devices.all[0].save(VIM, "again.md", "ONE\ntwo\nthree\n");
    devices.all[1].save(VIM, "again.md", "one\ntwo\nTHREE\n");
    devices.meet();
    assert_eq!(devices.all[0].text("again.md"), "ONE\ntwo\nTHREE\n");
    check(&devices, "merged");
    devices.all[0].save(VIM, "x.bin", [0, 1]);
    devices.all[1].save(VIM, "x.bin", [0, 2]);
    devices.meet();
    check(&devices, "two files of one name");
    let other = devices.all[1].vault.clone();
    other.rename((ROOT, b"Journey"), (ROOT, b"Way"), true).unwrap();
    other
        .rename(
            (ROOT, b"again.md"),
            (other.lookup(ROOT, b"Way").unwrap(), b"c.md"),
            true,
        )
        .unwrap();
    devices.meet();
    check(&devices, "renamed elsewhere");
    other.remove(ROOT, b"Garden.md", false).unwrap();
    devices.meet();
    check(&devices, "removed elsewhere");
    let gone = vault.removed().unwrap();
    let gone = gone.iter().find(|gone| gone.path == b"Garden.md").unwrap();
    vault.purge(Subject::Removed(gone.node)).unwrap();
    check(&devices, "purged");
    for n in 0..3 {
        devices.all[0].save(VIM, "versions.bin", [0, n]);
        vault.commit().unwrap();
    }
    check(&devices, "three versions");
    let none = Retention {
        all_days: 0,
        daily_days: 0,
        removed_days: 0,
    };
    vault.set_retention(none).unwrap();
    vault.commit().unwrap();
    let mut later = Time::now();
    later.sec += 400 * 86_400;
    assert_ne!(vault.thin(later).unwrap().versions, 0);
    check(&devices, "thinned");
}

/// Guards bytes that come and go: of a file that is kept as a name only, the mirror knows when it is here, by a read, by a pin, and
/// when it is given up.
#[test]
fn bytes_that_come_and_go_are_told() {
    let (one, two) = pair();
    put(&one.vault, "large.raw", 0, &noise(1, 3 << 20));
    put(&one.vault, "pinned.raw", 0, &noise(2, 3 << 20));
    let mut mirror = Mirror::new(&two.vault);
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    carry(&one.vault, &two.vault);
    mirror.compare(&two.vault, "names only");
    let (large, pinned) = (two.ino("large.raw"), two.ino("pinned.raw"));
    assert!(!two.vault.facts(large).unwrap().here && !mirror.is_here(large));
    let error = two.vault.text(large, 1000).unwrap_err();
    assert!(matches!(error, coffer_store::vault::OpError::Store(e) if e.absent().is_some()));
    let serving = serve(&two.vault, vec![one.vault.clone()]);
    assert_eq!(demand_support::all(&two.vault, "large.raw"), noise(1, 3 << 20));
    mirror.hear(&two.vault);
    assert!(mirror.is_here(large));
    mirror.compare(&two.vault, "read");
    assert!(!mirror.is_here(pinned));
    two.vault.pin(&[pinned], true).unwrap();
    fetch(&one.vault, &two.vault);
    mirror.hear(&two.vault);
    assert!(mirror.is_here(pinned));
    mirror.compare(&two.vault, "pinned");
    carry(&two.vault, &one.vault);
    assert_ne!(evict(&two.vault, &one.vault), 0);
    mirror.hear(&two.vault);
    assert!(!mirror.is_here(large));
    mirror.compare(&two.vault, "given up");
    drop(serving);
}
