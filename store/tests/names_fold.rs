//! Names on several devices that fold what is settled, each when it likes: real vaults but for their disks. Guards that all
//! come to one tree with the same bytes, as a device does that never folds; whoever falls silent and comes back,
//! is restored from an old backup, or joins from a device that has folded; and that nothing that anybody wrote is lost.

mod names_support;
mod texts_support;

use std::sync::Arc;

use coffer_store::ids::ROOT;
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, SigningKey};
use coffer_store::members::{Card, DeviceName, JoinRequest, Members};
use coffer_store::record::Time;
use coffer_store::vault::{Identity, Joined, Patience, TakeInError, Vault};
use names_support::{Devices, act, tree};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use texts_support::{Bench, introduce, password};

const DAY: i64 = 86_400;

/// A device that one adds, with nothing of the vault yet.
fn joined(by: &Vault) -> Bench {
    let (device, transport) = (SigningKey::generate(), SigningKey::generate());
    let card = Card::make(&device, &transport, DeviceName::new("new").unwrap());
    let joining = JoinRequest::make(&device, card, by.space_id(), by.device_id());
    by.add_device(joining).unwrap();
    let mut members = Members::of(by.space_id());
    by.with_members(|known| {
        for said in known.iter() {
            members.insert(said.clone()).unwrap();
        }
    });
    let joined = Joined {
        members,
        device,
        transport,
        keys: Vec::new(),
    };
    let disk = SimDisk::new();
    let vault = Vault::join_on(Arc::new(disk.clone()), &password(), KdfParams::FLOOR, joined).unwrap();
    vault.stop_keeper();
    Bench { disk, vault }
}

/// All that one has, of whatever chain, comes to another, as far as that can take it; whether anything did.
fn give(from: &Vault, to: &Vault) -> bool {
    from.commit().unwrap();
    introduce(from, to);
    let had = to.clock().unwrap();
    let after = |(chain, _): (&_, &_)| (*chain, had.get(chain).map_or(0, |(last, _)| *last));
    let mut after: Vec<_> = from.clock().unwrap().iter().map(after).collect();
    after.retain(|(chain, _)| *chain != to.own_chain());
    let mut news = false;
    for carried in from.batches_after(&after, usize::MAX).unwrap() {
        match to.take_in_told(&carried) {
            Ok(taken) => assert!(taken.set_aside.is_empty(), "{taken:?}"),
            Err(TakeInError::TooEarly) => continue,
            Err(e) => panic!("{e}"),
        }
        news = true;
    }
    news
}

/// All give each other everything, until nobody has anything new.
fn meet(devices: &Devices) {
    for _ in 0..40 {
        devices.all.iter().for_each(|one| one.vault.end_graces());
        let mut news = false;
        for from in 0..devices.all.len() {
            for to in 0..devices.all.len() {
                news |= from != to && give(&devices.all[from].vault, &devices.all[to].vault);
            }
        }
        if !news {
            return;
        }
    }
    panic!("they go on telling each other news");
}

/// Its clock goes on by so many days, and what is due by then is said.
fn after_days(vault: &Vault, days: i64) {
    vault.commit().unwrap();
    let ahead = vault.patience().ahead + days * DAY;
    vault.set_patience(Patience {
        ahead,
        ..Patience::default()
    });
    vault.tend_horizon().unwrap();
}

/// All have heard all, and say so.
fn acknowledge(devices: &Devices) {
    for _ in 0..3 {
        meet(devices);
        devices.all.iter().for_each(|one| after_days(&one.vault, 1));
    }
    meet(devices);
}

fn no_faults(vault: &Vault, when: &str) {
    let damage = vault.status().unwrap().damage;
    assert!(damage.is_empty(), "{when}: {damage:?}");
}

/// How many payloads a device has let go of.
fn holes_of(vault: &Vault) -> usize {
    let all: Vec<_> = vault.clock().unwrap().keys().map(|chain| (*chain, 0)).collect();
    let batches = vault.batches_after(&all, usize::MAX).unwrap();
    batches.iter().map(|carried| carried.row.holes.len()).sum()
}

fn events(devices: &Devices) -> u64 {
    let clock = devices.all[0].vault.clock().unwrap();
    clock.values().map(|(last, _)| last).sum()
}

/// Guards that acknowledging ends: nobody answers an acknowledgement.
#[test]
fn acknowledgements_are_not_acknowledged() {
    let mut devices = Devices::new(3);
    devices.all[0].save(1, "Garden.md", "roses\n");
    meet(&devices);
    acknowledge(&devices);
    let before = events(&devices);
    for _ in 0..10 {
        devices.all.iter().for_each(|one| after_days(&one.vault, 1));
        meet(&devices);
    }
    assert_eq!(events(&devices), before);
    // All of it is settled, on each of them.
    for one in &devices.all {
        one.vault.fold_names().unwrap();
        assert_eq!(one.vault.names_kept().unwrap().unsettled, 0);
    }
    devices.all[1] = devices.all[1].crashed();
    devices.same("opened anew");
    devices.check();
}

/// Guards that a lost device holds nothing back, and what becomes of what it did meanwhile: a senior lapses it after 60 days and not
/// before, the others fold without it, and its edits and moves come in late, all of them, the same for all.
#[test]
fn a_lost_device_holds_nothing_back_and_comes_back_whole() {
    let mut devices = Devices::new(3);
    for name in ["a.md", "b.md"] {
        devices.all[0].save(1, name, format!("{name}\n"));
    }
    meet(&devices);
    acknowledge(&devices);
    // The last one is away, and works.
    let away = &devices.all[2];
    away.save(2, "a.md", "a.md\nfrom the lake\n");
    away.vault
        .rename((ROOT, b"b.md"), (ROOT, b"c.md"), false)
        .unwrap();
    away.vault.end_graces();
    away.vault.commit().unwrap();
    let (one, two) = (&devices.all[0].vault, &devices.all[1].vault);
    one.rename((ROOT, b"b.md"), (ROOT, b"d.md"), false).unwrap();
    one.end_graces();
    let unsettled = |vault: &Vault| {
        vault.fold_names().unwrap();
        vault.names_kept().unwrap().unsettled
    };
    for days in [1, 8, 20, 30] {
        give(one, two);
        give(two, one);
        after_days(two, days);
        after_days(one, days);
        assert!(unsettled(one) > 0, "{days} days more: it may still say something");
    }
    give(two, one);
    after_days(one, 2);
    give(one, two);
    give(two, one);
    for vault in [one, two] {
        assert_eq!(unsettled(vault), 0);
    }
    devices.all[1] = devices.all[1].crashed();
    meet(&devices);
    let all = devices.same("it is back");
    assert_eq!(all["/a.md"].bytes, b"a.md\nfrom the lake\n");
    assert!(
        all.contains_key("/c.md"),
        "what it said counts as said when it came back: {all:?}"
    );
    acknowledge(&devices);
    for one in &devices.all {
        assert_eq!(unsettled(&one.vault), 0);
        no_faults(&one.vault, "folded");
    }
    devices.same("folded");
    devices.check();
}

/// Twenty thousand files that came and went were kept for ever, in rows and in memory, on every device and on each that
/// joined.
#[test]
fn what_came_and_went_is_forgotten() {
    const FILES: usize = 20_000;
    let devices = Devices::new(2);
    let (one, two) = (&devices.all[0].vault, &devices.all[1].vault);
    meet(&devices);
    for n in 0..FILES {
        one.make(ROOT, format!("{n}.o").as_bytes(), texts_support::meta(), b"")
            .unwrap();
    }
    give(one, two);
    for n in 0..FILES {
        one.remove(ROOT, format!("{n}.o").as_bytes(), false).unwrap();
    }
    one.end_graces();
    give(one, two);
    acknowledge(&devices);
    for vault in [one, two] {
        assert!(vault.names_kept().unwrap().rows >= 2 * FILES as u64);
        // Nobody can bring them back any more.
        let later = Time {
            sec: Time::now().sec + 100 * DAY,
            nsec: 0,
        };
        vault.thin(later).unwrap();
        assert!(vault.fold_names().unwrap() >= 2 * FILES as u64);
        let kept = vault.names_kept().unwrap();
        assert!(
            kept.rows < 20 && kept.nodes < 10 && kept.unsettled < 10,
            "{kept:?}"
        );
        vault.collect().unwrap();
        assert!(holes_of(vault) >= FILES);
    }
    let new = joined(two);
    let begun = std::time::Instant::now();
    give(two, &new.vault);
    println!("{:?} to join", begun.elapsed());
    assert_eq!(new.vault.names_let_go().unwrap(), 0);
    assert_eq!(tree(&new.vault), tree(one));
}

fn seeds() -> std::ops::Range<u64> {
    let from = std::env::var("COFFER_SEED").ok().and_then(|n| n.parse().ok());
    let count = std::env::var("COFFER_SEEDS").ok().and_then(|n| n.parse().ok());
    match from {
        Some(seed) => seed..seed + 1,
        None => 0..count.unwrap_or(120),
    }
}

/// Guards folding as a whole: people do whatever comes to their minds on devices that hear of each other now and then; some
/// fold, one never does; some are lapsed and come back with what they did; some crash, are restored, or join. All come to one
/// tree, before and after all fold, and opened anew; every line that was told is in a version that each device has.
#[test]
fn whoever_folds_sees_what_everybody_sees() {
    let (mut folded, mut holes) = (0, 0);
    for seed in seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut devices = Devices::new(rng.random_range(2..4));
        let mut written: Vec<String> = Vec::new();
        let mut backup: Option<(usize, Bench)> = None;
        // The last one of the first never folds.
        let oracle = devices.all.len() - 1;
        for step in 0..rng.random_range(10..70) {
            let one = rng.random_range(0..devices.all.len());
            let token = format!("{one}.{step}");
            if act(&mut rng, &devices.all[one], &token) {
                devices.all[one].vault.commit().unwrap();
                written.push(token);
            }
            let vault = &devices.all[one].vault;
            match rng.random_range(0..24) {
                0..8 => {
                    let to = rng.random_range(0..devices.all.len());
                    if one != to {
                        give(vault, &devices.all[to].vault);
                    }
                }
                8..13 => after_days(vault, 2),
                13 if one != oracle => after_days(vault, 61),
                14..18 if one != oracle => {
                    folded += vault.fold_names().unwrap();
                    if rng.random() {
                        vault.collect().unwrap();
                    }
                }
                18 | 19 => {
                    vault.commit().unwrap();
                    devices.all[one] = devices.all[one].crashed();
                }
                20 if backup.is_none() => {
                    vault.commit().unwrap();
                    backup = Some((
                        one,
                        Bench::on(devices.all[one].disk.crash_all_kept(), Identity::Same),
                    ));
                }
                21 if rng.random_ratio(1, 3) => {
                    if let Some((one, old)) = backup.take() {
                        // What it said meanwhile, somebody else has.
                        let other = (one + 1) % devices.all.len();
                        give(&devices.all[one].vault, &devices.all[other].vault);
                        devices.all[one] = Bench::on(old.disk.crash_all_kept(), Identity::NewChain);
                    }
                }
                22 if devices.all.len() < 5 && rng.random_ratio(1, 2) => {
                    let new = joined(&devices.all[one].vault);
                    let from = devices.all.choose(&mut rng).unwrap();
                    give(&devices.all[one].vault, &new.vault);
                    give(&from.vault, &new.vault);
                    devices.all.push(new);
                }
                _ => {}
            }
        }
        meet(&devices);
        let met = devices.same(&format!("seed {seed}"));
        acknowledge(&devices);
        let same = devices.same(&format!("seed {seed}, acknowledged"));
        assert_eq!(met, same, "seed {seed}");
        for (n, one) in devices.all.iter().enumerate().filter(|(n, _)| *n != oracle) {
            folded += one.vault.fold_names().unwrap();
            assert_eq!(tree(&one.vault), same, "seed {seed}: device {n} has folded");
            one.vault.collect().unwrap();
        }
        // One that joins now hears of the rest alone.
        let new = joined(&devices.all[0].vault);
        holes += holes_of(&devices.all[0].vault);
        give(&devices.all[0].vault, &new.vault);
        assert_eq!(
            new.vault.names_let_go().unwrap(),
            0,
            "seed {seed}: something later is said of each"
        );
        devices.all.push(new);
        meet(&devices);
        devices.same(&format!("seed {seed}, joined"));
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
        devices
            .all
            .iter()
            .for_each(|one| no_faults(&one.vault, &format!("seed {seed}")));
    }
    assert!(folded > 0 && holes > 0, "nothing was ever folded, or let go of");
    println!("{folded} operations were folded, {holes} payloads let go of");
}
