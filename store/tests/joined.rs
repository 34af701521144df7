//! Batches that were joined: the same events, the same hashes, the same files; on every device, whoever joined what, and
//! after a crash at any point.

mod texts_support;

use std::collections::BTreeMap;

use coffer_store::ids::{ChainId, ROOT};
use coffer_store::io::Disk;
use coffer_store::vault::{At, Carried, Identity, Retention, Subject, TakeInError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use texts_support::pair::Pair;
use texts_support::*;

fn clock(bench: &Bench) -> BTreeMap<ChainId, (u64, [u8; 32])> {
    bench.vault.clock().unwrap().into_iter().collect()
}

/// All batches of all chains, from the beginning.
fn all(bench: &Bench) -> Vec<Carried> {
    let after: Vec<_> = clock(bench).keys().map(|chain| (*chain, 0)).collect();
    bench.vault.batches_after(&after, usize::MAX).unwrap()
}

/// All bytes of all packs.
fn files(bench: &Bench) -> Vec<u8> {
    let disk = bench.disk.crash_all_kept();
    let mut all = Vec::new();
    for name in disk.list().unwrap() {
        if name.starts_with("pack-") {
            let file = disk.open(&name).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_at(0, &mut bytes).unwrap();
            all.extend(bytes);
        }
    }
    all
}

/// A note that was saved so often, each time told by itself.
fn note(bench: &Bench, name: &str, saves: usize) -> String {
    let mut text = String::new();
    for n in 0..saves {
        text.push_str(&format!("line {n}\n"));
        bench.save(VIM, name, &text);
        bench.vault.commit().unwrap();
    }
    text
}

/// A thousand small commits were a thousand rows for ever.
#[test]
fn many_small_batches_become_few() {
    let bench = Bench::new();
    let text = note(&bench, "note.md", 100);
    let (before, told) = (clock(&bench), all(&bench).len());
    let joined = bench.vault.join_batches().unwrap();
    assert!(joined.batches >= 90, "{joined:?}");
    let left = all(&bench);
    assert!(left.len() <= 8, "{told} batches became {}", left.len());
    assert_eq!(clock(&bench), before);
    assert_eq!(bench.text("note.md"), text);
    for (n, version) in bench.versions("note.md").iter().enumerate() {
        assert!(version.held, "version {n}");
        assert_eq!(
            bench.version("note.md", version.number).len(),
            version.size as usize
        );
    }
    bench.check();
    // So it is for who reads rows anew; and goes on.
    let bench = bench.again();
    assert_eq!((clock(&bench), bench.text("note.md")), (before, text.clone()));
    bench.save(VIM, "note.md", text.clone() + "more\n");
    bench.vault.commit().unwrap();
    bench.vault.join_batches().unwrap();
    bench.vault.collect().unwrap();
    bench.check();
    assert_eq!(
        bench.version("note.md", 50).len(),
        (0..50).map(|n| format!("line {n}\n").len()).sum()
    );
}

/// Small files whose bytes lie in events are read where those lie by now: from rows, from memory, and by
/// whoever opened them before.
#[test]
fn small_bodies_are_found_in_what_was_joined() {
    let bench = Bench::new();
    for n in 0..40 {
        bench.save(VIM, &format!("file {n}"), format!("what file {n} holds"));
        bench.vault.commit().unwrap();
    }
    bench.vault.remove(ROOT, b"file 7", false).unwrap();
    bench.vault.commit().unwrap();
    let opened = bench
        .vault
        .open_version(Subject::File(bench.ino("file 3")), 1)
        .unwrap();
    assert!(bench.vault.join_batches().unwrap().batches > 30);
    let read = |bench: &Bench| {
        for n in (0..40).filter(|n| *n != 7) {
            let name = format!("file {n}");
            assert_eq!(bench.text(&name), format!("what file {n} holds"));
            assert_eq!(bench.version(&name, 1), format!("what file {n} holds").as_bytes());
        }
    };
    read(&bench);
    let mut out = Vec::new();
    opened.read(&bench.vault, 0, 100, &mut out).unwrap();
    assert_eq!(out, b"what file 3 holds");
    let bench = bench.again();
    read(&bench);
    bench.vault.collect().unwrap();
    read(&bench);
    let bench = bench.again();
    read(&bench);
    let node = bench.vault.removed().unwrap()[0].node;
    let place = At {
        folder: ROOT,
        name: b"file 7",
        replace: false,
        keep_times: false,
    };
    bench.vault.bring_back(node, None, place).unwrap();
    assert_eq!(bench.text("file 7"), "what file 7 holds");
    bench.vault.commit().unwrap();
    bench.check();
}

/// Each chain is as far on one as on the other, which may have told something of its own since.
#[track_caller]
fn has_all_of(one: &Bench, other: &Bench) {
    let here = clock(one);
    for (chain, last) in clock(other) {
        assert_eq!(here.get(&chain), Some(&last));
    }
}

/// A device that had the beginning asked for the rest, and there was no batch that began there.
#[test]
fn what_comes_after_an_event_is_given_from_the_middle() {
    let mut pair = Pair::new(&[("note.md", "one\n")]);
    for n in 0..10 {
        pair.one.save(VIM, "note.md", format!("one\n{n}\n"));
        pair.carry(true);
    }
    let text = note(&pair.one, "other.md", 20);
    let had = pair.had[0];
    pair.one.vault.join_batches().unwrap();
    let given = pair.one.vault.told_after(had).unwrap();
    assert_eq!(given[0].row.first, had + 1);
    // The same from the same place, each time.
    let again = pair.one.vault.told_after(had).unwrap();
    assert_eq!(given[0].bytes, again[0].bytes);
    for seq in 0..=clock(&pair.one).values().map(|(last, _)| *last).max().unwrap() {
        let given = pair.one.vault.told_after(seq).unwrap();
        let mut next = seq + 1;
        for carried in given {
            assert_eq!(carried.row.first, next);
            next = carried.row.last().unwrap() + 1;
        }
    }
    pair.carry(true);
    assert_eq!(pair.two.text("other.md"), text);
    assert_eq!(pair.both("note.md"), "one\n9\n");
    has_all_of(&pair.two, &pair.one);
    pair.check();
}

/// Who has a part of what another has joined takes the rest of it; another history is a fork, wherever in it
/// that begins.
#[test]
fn the_rest_of_what_overlaps_is_taken() {
    let mut pair = Pair::new(&[("note.md", "one\n")]);
    note(&pair.one, "other.md", 5);
    pair.carry(true);
    let text = note(&pair.one, "other.md", 12);
    pair.one.vault.join_batches().unwrap();
    let whole = pair.one.vault.told_after(0).unwrap();
    let device = pair.one.vault.device();
    for carried in &whole {
        pair.two.vault.take_in(&device, carried).unwrap();
    }
    assert_eq!(pair.two.text("other.md"), text);
    has_all_of(&pair.two, &pair.one);
    // All of it is here, however it is cut.
    pair.two.vault.join_batches().unwrap();
    for carried in whole.iter().chain(&pair.one.vault.told_after(3).unwrap()) {
        let taken = pair.two.vault.take_in(&device, carried).unwrap();
        assert!(taken.entities.is_empty());
    }
    pair.check();
    // A copy of the first goes on otherwise, under the same numbers.
    let copy = Bench::on(pair.one.disk.crash_all_kept(), Identity::Same);
    note(&copy, "copied.md", 3);
    note(&pair.one, "original.md", 3);
    pair.one.vault.join_batches().unwrap();
    copy.vault.join_batches().unwrap();
    for carried in pair.one.vault.told_after(0).unwrap() {
        pair.two.vault.take_in(&device, &carried).unwrap();
    }
    let mut forks = 0;
    for carried in copy.vault.told_after(0).unwrap() {
        match pair.two.vault.take_in(&device, &carried) {
            Ok(_) => {}
            Err(TakeInError::Fork) => forks += 1,
            Err(e) => panic!("{e}"),
        }
    }
    assert!(forks > 0);
    has_all_of(&pair.two, &pair.one);
}

/// Two devices that go on from each other in turn: each joined the other's to one, and a third could take neither,
/// since each built on the other.
#[test]
fn what_builds_on_each_other_in_turn_can_be_taken_by_a_third() {
    let mut pair = Pair::new(&[("note.md", "begin\n"), ("a.md", "a\n"), ("b.md", "b\n")]);
    let third = Bench::on(pair.one.disk.crash_all_kept(), Identity::NewDevice);
    for n in 0..12 {
        // Each has read what the other wrote.
        let read = pair.one.read(VIM, "note.md");
        pair.one.save(VIM, "note.md", format!("{read}one {n}\n"));
        pair.one.save(VIM, "a.md", format!("a {n}\n"));
        pair.carry(true);
        let read = pair.two.read(EMACS, "note.md");
        pair.two.save(EMACS, "note.md", format!("{read}two {n}\n"));
        pair.carry(false);
        pair.two.save(EMACS, "b.md", format!("b {n}\n"));
        pair.two.vault.commit().unwrap();
    }
    for n in 0..20 {
        pair.one.save(VIM, "a.md", format!("a again {n}\n"));
        pair.one.vault.commit().unwrap();
    }
    pair.meet();
    // Each by itself, in another order.
    pair.one.vault.join_batches().unwrap();
    pair.two.vault.join_batches().unwrap();
    let text = pair.both("note.md");
    let takes = |from: &Bench, chain: ChainId, signed: &Bench| {
        let here = clock(&third).get(&chain).map_or(0, |(last, _)| *last);
        for carried in from.vault.batches_after(&[(chain, here)], usize::MAX).unwrap() {
            match third.vault.take_in(&signed.vault.device(), &carried) {
                Ok(_) => {}
                Err(TakeInError::TooEarly) => return,
                Err(e) => panic!("{e}"),
            }
        }
    };
    let (one, two) = (pair.one.vault.own_chain(), pair.two.vault.own_chain());
    // The chain of each from the other, too.
    for _ in 0..40 {
        takes(&pair.two, one, &pair.one);
        takes(&pair.one, two, &pair.two);
    }
    assert_eq!(clock(&third).get(&one), clock(&pair.one).get(&one));
    assert_eq!(clock(&third).get(&two), clock(&pair.one).get(&two));
    assert_eq!(third.text("note.md"), text);
    third.check();
    pair.check();
}

/// What was thinned or purged goes from batches that were joined before and after that, and nothing else.
#[test]
fn payloads_go_from_what_was_joined() {
    for (early, purges) in [(false, false), (true, false), (false, true), (true, true)] {
        let bench = Bench::new();
        // So that what was joined lies elsewhere than what it was.
        bench.vault.limit_packs(8192);
        for n in 0..30 {
            bench.save(VIM, "blob.bin", format!("binary {n} {}", "x".repeat(500)));
            bench.save(VIM, &format!("kept {n}"), format!("kept {n}"));
            bench.vault.commit().unwrap();
        }
        // Of each batch a part of the larger payload.
        let marks: Vec<Vec<u8>> = all(&bench)
            .iter()
            .map(|carried| carried.bytes[carried.bytes.len() / 2..][..32].to_vec())
            .collect();
        if early {
            bench.vault.join_batches().unwrap();
        }
        match purges {
            true => drop(bench.vault.purge(Subject::File(bench.ino("blob.bin"))).unwrap()),
            false => {
                let none = Retention {
                    all_days: 0,
                    daily_days: 0,
                    removed_days: 0,
                };
                bench.vault.set_retention(none).unwrap();
                let now = coffer_store::record::Time::now();
                bench.vault.thin(now).unwrap();
            }
        }
        bench.vault.join_batches().unwrap();
        let freed = bench.vault.collect().unwrap();
        assert_eq!(freed.left, 0, "early {early}, purges {purges}");
        if purges {
            // In no pack, wherever it was written on the way.
            let packs = files(&bench);
            let left = marks[..29]
                .iter()
                .filter(|mark| packs.windows(32).any(|at| at == &mark[..]));
            assert_eq!(left.count(), 0, "early {early}");
            assert!(packs.windows(32).any(|at| at == &marks[29][..]));
        }
        let bench = bench.again();
        bench.vault.join_batches().unwrap();
        bench.vault.collect().unwrap();
        bench.check();
        assert_eq!(
            bench
                .versions("blob.bin")
                .iter()
                .filter(|version| version.held)
                .count(),
            1
        );
        assert!(bench.text("blob.bin").starts_with("binary 29 "));
        for n in 0..30 {
            assert_eq!(bench.text(&format!("kept {n}")), format!("kept {n}"));
        }
        // Another device takes what is left.
        let other = Bench::on(bench.disk.crash_all_kept(), Identity::NewDevice);
        assert_eq!(other.text("blob.bin"), bench.text("blob.bin"));
    }
}

/// Random edits on two devices and a third that only takes, with joins at random times, crashes and collections: all
/// come to the same files and the same chains.
#[test]
fn whoever_joins_what_all_come_to_the_same() {
    for seed in 0..12 {
        let mut rng = StdRng::seed_from_u64(seed);
        let Pair { mut one, mut two, .. } = Pair::new(&[("a.md", "a\n"), ("b.md", "b\n"), ("c", "c")]);
        let mut third = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
        let signers = |one: &Bench, two: &Bench| {
            BTreeMap::from([
                (one.vault.own_chain(), one.vault.device()),
                (two.vault.own_chain(), two.vault.device()),
            ])
        };
        let devices = signers(&one, &two);
        let give = |from: &Bench, to: &Bench| {
            let here = clock(to);
            let after: Vec<_> = clock(from)
                .keys()
                .filter(|chain| devices.contains_key(chain))
                .map(|chain| (*chain, here.get(chain).map_or(0, |(last, _)| *last)))
                .collect();
            for carried in from.vault.batches_after(&after, 1 << 20).unwrap() {
                if carried.row.chain != to.vault.own_chain() {
                    to.vault.take_in(&devices[&carried.row.chain], &carried).unwrap();
                }
            }
        };
        for step in 0..120 {
            let bench = if rng.random_bool(0.5) { &mut one } else { &mut two };
            match rng.random_range(0..10) {
                0..=3 => {
                    let name = ["a.md", "b.md", "c"][rng.random_range(0..3)];
                    let text =
                        bench.read(VIM, name) + &format!("{step} ") + if step % 3 == 0 { "\n" } else { "" };
                    bench.save(VIM, name, text);
                    bench.vault.commit().unwrap();
                }
                4 => {
                    bench.save(VIM, &format!("new {seed} {step}.md"), format!("new {step}\n"));
                    bench.vault.commit().unwrap();
                }
                5 => drop(bench.vault.join_batches().unwrap()),
                6 => {
                    bench.vault.collect().unwrap();
                }
                7 => {
                    bench.vault.commit().unwrap();
                    let before = clock(bench);
                    let crashed = bench.crashed();
                    assert_eq!(clock(&crashed), before);
                    *bench = crashed;
                }
                8 => match rng.random_bool(0.5) {
                    true => give(&one, &two),
                    false => give(&two, &one),
                },
                _ => {
                    if rng.random_bool(0.3) {
                        third.vault.join_batches().unwrap();
                    }
                    match rng.random_bool(0.5) {
                        true => give(&one, &third),
                        false => give(&two, &third),
                    }
                    if rng.random_bool(0.2) {
                        third = third.crashed();
                    }
                }
            }
        }
        for _ in 0..3 {
            give(&one, &two);
            give(&two, &one);
        }
        give(&one, &third);
        for bench in [&two, &third] {
            for chain in devices.keys() {
                assert_eq!(clock(bench).get(chain), clock(&one).get(chain), "seed {seed}");
            }
            for name in ["a.md", "b.md", "c"] {
                assert_eq!(bench.bytes(name), one.bytes(name), "seed {seed}: {name}");
            }
        }
        one.check();
        two.check();
        third.check();
    }
}

/// The power goes at any point of a join: there are the batches, or what they became.
#[test]
fn a_crash_while_batches_are_joined_loses_nothing() {
    let bench = Bench::new();
    let text = note(&bench, "note.md", 25);
    let before = clock(&bench);
    let begun = bench.disk.clone();
    let came_to = |disk| {
        let after = Bench::on(disk, Identity::Same);
        assert_eq!(
            (clock(&after), after.text("note.md")),
            (before.clone(), text.clone())
        );
        assert_eq!(
            after.version("note.md", 13).len(),
            after.versions("note.md")[12].size as usize
        );
        after.check();
        all(&after).len()
    };
    let (mut joined, mut parted) = (0, 0);
    let whole = all(&bench).len();
    for point in 0.. {
        let joining = Bench::on(begun.crash_all_kept(), Identity::Same);
        let from = joining.disk.ops();
        joining.disk.freeze_at(from + point);
        joining.vault.join_batches().unwrap();
        let made = joining.disk.ops() - from;
        let left = match point % 3 {
            0 => came_to(joining.disk.crash_all_kept()),
            1 => came_to(joining.disk.crash_all_lost()),
            _ => came_to(joining.disk.crash(point)),
        };
        match left < whole {
            true => joined += 1,
            false => parted += 1,
        }
        if point > made {
            break;
        }
    }
    assert!(joined > 0 && parted > 1, "{joined}, {parted}");
}
