//! Seeded runs of devices that lose connections, crash and come back, until all are one. A seed that fails is
//! printed; `COFFER_SEED=n` runs it alone, `COFFER_SEEDS=n` so many.

mod model;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use coffer_sync::core::{ChunkName, Ended, PeerId, Policy, Report, Urgency};
use model::world::World;
use model::{Dice, liar};

/// What happened in runs: a run in which nothing does proves nothing.
#[derive(Default)]
struct Tally {
    early: AtomicU64,
    behind: AtomicU64,
    broken: AtomicU64,
    removed: AtomicU64,
    withheld: AtomicU64,
    lied: AtomicU64,
    failed: AtomicU64,
    caught: AtomicU64,
    repeated: AtomicU64,
    events: AtomicU64,
}

/// A run in which anything happens, then nothing breaks any more, and all must come to be one.
fn run(seed: u64, tally: &Tally) {
    let mut dice = Dice(seed ^ 0x5eed);
    let count = match dice.below(10) {
        0..6 => 2 + dice.below(4),
        6..9 => 5 + dice.below(6),
        _ => 11 + dice.below(10),
    } as usize;
    let policies = match dice.below(3) {
        0 => &[Policy::Everything][..],
        1 => &[Policy::Everything, Policy::NamesAndTexts][..],
        _ => &[Policy::Everything, Policy::NamesAndTexts, Policy::NamesAndTexts][..],
    };
    let mut world = World::new(seed, count, policies);
    world.store_delay = dice.below(40);
    for device in &mut world.devices {
        // Years ahead, or not.
        device.skew = dice.below(3) * 1_000 * 86_400 * 365 * 3;
    }
    // Some lie beside honest ones; stores fail.
    let is_true = dice.one_in(2) || count < 3;
    for device in 0..if is_true {
        0
    } else {
        1 + dice.below(count as u64 / 2) as usize
    } {
        world.devices[count - 1 - device].lies = liar::some(&mut dice);
    }
    let fails = if dice.one_in(4) { 4 + dice.below(30) } else { 0 };
    for device in 0..count {
        world.devices[device].fails = fails;
        world.crash(device);
        world.start(device);
    }
    let mut backups = BTreeMap::new();
    for _ in 0..20 + dice.below(60) {
        act(&mut world, &mut dice, count, &mut backups);
        let most = [5, 60, 1_500][dice.below(3) as usize];
        let wait = dice.below(most);
        world.run_until(world.now + wait);
    }
    let had: Vec<_> = world.devices.iter().map(|device| device.store.clock()).collect();
    heal(&mut world, &mut dice, count);
    // What failed is tried again a minute later: ten minutes are for stores that fail now and then.
    for device in &mut world.devices {
        device.fails = if fails > 0 { fails.max(20) } else { 0 };
    }
    assert!(
        world.converge(600_000),
        "seed {seed}: not one after ten minutes: {}",
        apart(&world)
    );
    let is_honest = |device: &model::world::Device| device.lies.is_empty();
    for (n, clock) in had
        .iter()
        .enumerate()
        .filter(|(n, _)| !world.devices[*n].is_removed && is_honest(&world.devices[*n]))
    {
        let now = world.devices[n].store.clock();
        for (chain, (last, _)) in clock {
            assert!(
                now.get(chain).is_some_and(|(at, _)| at >= last),
                "seed {seed}: something was lost"
            );
        }
    }
    for device in world.devices.iter().filter(|device| is_honest(device)) {
        let lies = |peer: &PeerId| !is_honest(&world.devices[usize::from(peer[0])]);
        // Between honest ones nothing ends but for what they do not do.
        let is_good = |why: &Ended| {
            use coffer_sync::core::wire::Goodbye::{Removed, Replaced};
            let left = matches!(why, Ended::Left(Removed | Replaced));
            left || matches!(why, Ended::Lost | Ended::Removed | Ended::Replaced)
        };
        let with = device.ended_with.iter().filter(|(peer, _)| !lies(peer));
        let bad = with.filter(|(_, why)| !is_good(why));
        assert_eq!(bad.count(), 0, "seed {seed}: {:?}", device.ended_with);
        let caught = device.ended_with.iter().filter(|(_, why)| !is_good(why)).count();
        tally.caught.fetch_add(caught as u64, Ordering::Relaxed);
        tally.failed.fetch_add(device.failed, Ordering::Relaxed);
        let forks = device.reports.iter().filter(|report| match report {
            Report::Forked { peer, .. } | Report::Refused { peer, .. } => !lies(peer),
            _ => false,
        });
        assert_eq!(forks.count(), 0, "seed {seed}: {:?}", device.reports);
        let add = |to: &AtomicU64, n: usize| {
            to.fetch_add(n as u64, Ordering::Relaxed);
        };
        let ended = |which: Ended| device.ended.iter().filter(|why| **why == which).count();
        let reported =
            |which: fn(&Report) -> bool| device.reports.iter().filter(|report| which(report)).count();
        add(&tally.early, device.store.too_early as usize);
        add(
            &tally.behind,
            reported(|report| matches!(report, Report::Behind { .. })),
        );
        add(&tally.broken, ended(Ended::Lost));
        add(&tally.removed, ended(Ended::Removed));
        add(&tally.lied, usize::from(!is_true));
        // What is repeated, and withheld, where nobody lies and no store fails.
        if is_true && fails == 0 {
            add(
                &tally.withheld,
                reported(|report| matches!(report, Report::Withheld { .. })),
            );
            add(
                &tally.repeated,
                device.node.as_ref().map_or(0, |node| node.repeated() as usize),
            );
            add(&tally.events, device.store.chains.values().map(Vec::len).sum());
        }
    }
}

fn act(world: &mut World, dice: &mut Dice, count: usize, backups: &mut BTreeMap<usize, model::store::Store>) {
    let one = dice.below(count as u64) as usize;
    let other = dice.below(count as u64) as usize;
    let is_there = |world: &World, n: usize| world.is_up(n) && !world.devices[n].is_removed;
    match dice.below(24) {
        // Somebody writes. Who would reuse a number that others know does not: it begins a chain when it learns it.
        0..8 if !world.devices[one].is_removed && !world.devices[one].store.is_old => {
            let len = match dice.below(12) {
                0 => 60_000 + dice.below(200_000),
                1..4 => dice.below(9_000),
                _ => dice.below(300),
            };
            let files: Vec<usize> = match dice.one_in(5) {
                true => (0..1 + dice.below(4))
                    .map(|_| dice.below(90_000) as usize)
                    .collect(),
                false => Vec::new(),
            };
            world.tell(one, len as usize, &files);
        }
        // Two meet, perhaps twice.
        8..14 if one != other && is_there(world, one) && is_there(world, other) => {
            let delay = [1, 20, 300][dice.below(3) as usize];
            let speed = [0, 0, 50, 1_000][dice.below(4) as usize];
            let wire = world.connect(one, other, delay, speed);
            if dice.one_in(2) {
                world.break_after(wire, dice.below(200_000) as usize);
            }
        }
        14..16 => {
            let wires = world.wires();
            if !wires.is_empty() {
                world.cut(wires[dice.below(wires.len() as u64) as usize]);
            }
        }
        16..18 => match world.is_up(one) {
            true => world.crash(one),
            false => world.start(one),
        },
        // A backup is made; or one is put back, and known to be one or not.
        18 => match backups.remove(&one) {
            None => drop(backups.insert(one, world.devices[one].store.clone())),
            Some(store) if !world.devices[one].is_removed => {
                world.crash(one);
                world.devices[one].store = store;
                match dice.one_in(2) {
                    true => drop(world.devices[one].store.begin(dice)),
                    false => world.devices[one].store.is_old = true,
                }
                world.start(one);
            }
            Some(_) => {}
        },
        // A device is removed; who is left does not talk to it.
        19 if dice.one_in(3)
            && count > 3
            && world.devices.iter().filter(|d| d.is_removed).count() + 3 < count =>
        {
            world.devices[one].is_removed = true;
            let mut peer = [0; 32];
            peer[0] = one as u8;
            for n in (0..count).filter(|n| *n != one) {
                let time = world.time(n);
                if let Some(node) = world.devices[n].node.as_mut() {
                    node.expel(time, peer);
                    world.settle(n);
                }
            }
        }
        // Somebody pauses, or is slow; waits for a chunk, or not any more; asks who holds some.
        20..23 if world.is_up(one) => {
            let time = world.time(one);
            let names: Vec<ChunkName> = world.devices[other]
                .store
                .chunks
                .keys()
                .take(9)
                .copied()
                .collect();
            let node = world.devices[one].node.as_mut().expect("it is up");
            match dice.below(6) {
                0 => node.pause(time, true),
                1 => node.pause(time, false),
                2 => node.limit(time, Some(1_000 + dice.below(100_000)), None),
                3 => node.limit(time, None, Some(1_000 + dice.below(100_000))),
                4 => drop(node.confirm(time, &names)),
                _ => {
                    for name in names {
                        match dice.one_in(2) {
                            true => node.want(time, name, Urgency::Open, 100),
                            false => node.unwant(time, name),
                        }
                    }
                }
            }
            world.settle(one);
        }
        // Somebody keeps other things from now on, which is said by a new session.
        23 if dice.one_in(4) && world.is_up(one) => {
            world.crash(one);
            let store = &mut world.devices[one].store;
            store.policy = match store.policy {
                Policy::Everything => Policy::NamesAndTexts,
                Policy::NamesAndTexts => Policy::Everything,
            };
            world.start(one);
        }
        _ => {}
    }
}

/// All are there, and connected somehow.
fn heal(world: &mut World, dice: &mut Dice, count: usize) {
    for wire in world.wires() {
        match dice.one_in(2) {
            true => world.cut(wire),
            false => world.break_after(wire, usize::MAX / 2),
        }
    }
    let all = (0..count).filter(|n| !world.devices[*n].is_removed);
    let (there, liars): (Vec<usize>, Vec<usize>) = all.partition(|n| world.devices[*n].lies.is_empty());
    for n in there.iter().chain(&liars) {
        if !world.is_up(*n) {
            world.start(*n);
        }
        let time = world.time(*n);
        if let Some(node) = world.devices[*n].node.as_mut() {
            node.pause(time, false);
            node.limit(time, None, None);
        }
        world.settle(*n);
    }
    let shape = dice.below(4);
    let mixed = world
        .devices
        .iter()
        .any(|device| device.store.policy != Policy::Everything);
    for (at, n) in there.iter().enumerate().skip(1) {
        let to: Vec<usize> = match shape {
            0 => vec![there[at - 1]],
            1 => vec![there[0]],
            2 => vec![there[dice.below(at as u64) as usize]],
            _ => there[..at].to_vec(),
        };
        for to in to {
            world.connect(to, *n, 1 + dice.below(60), 0);
        }
    }
    // Who keeps names and texts alone brings no chunks from one to another: all have one who keeps everything.
    let keeps = |n: &&usize| world.devices[**n].store.policy == Policy::Everything;
    if mixed && let Some(keeper) = there.iter().find(keeps).copied() {
        for n in there.into_iter().filter(|n| *n != keeper) {
            if !world.is_connected(keeper, n) {
                world.connect(keeper, n, 1 + dice.below(60), 0);
            }
        }
    }
}

/// What differs, for people.
fn apart(world: &World) -> String {
    let mut all = String::new();
    for (n, device) in world
        .devices
        .iter()
        .enumerate()
        .filter(|(_, device)| !device.is_removed)
    {
        all += &format!("\n{:?} fails {}", device.lies, device.fails);
        let clock: Vec<String> = device
            .store
            .clock()
            .iter()
            .map(|(id, (last, head))| format!("{:02x}:{last}/{:02x}", id.0[0], head[0]))
            .collect();
        let missing = device.store.missing().len();
        let reports = device
            .reports
            .iter()
            .filter(|report| !matches!(report, Report::Open { .. }));
        let peers = device.node.iter().flat_map(|node| node.peers());
        let peers: Vec<String> = peers
            .map(|p| format!("{}-{}+{}", p.peer[0], p.behind, p.ahead))
            .collect();
        let (own, statements) = (device.store.own.0[0], device.store.statements.len());
        all += &format!(
            "\n{n} own {own:02x} {clock:?} lacks {missing} chunks, {statements} statements, {peers:?}"
        );
        all += &format!(
            " {:?} {:?}",
            reports.rev().take(4).collect::<Vec<_>>(),
            device.ended
        );
    }
    all
}

/// Of batches that waited, a later one of a chain was tried before an earlier one, and from then on the earlier one never
/// again: when statements and events came at once (seeds 4024, 5705, 6862), and when what was tried again was still too early (3).
#[test]
fn what_waits_is_tried_in_the_order_of_its_chain() {
    for seed in [3, 4024, 5705, 6862] {
        run(seed, &Tally::default());
    }
}

#[test]
fn whatever_happens_all_come_to_be_one() {
    if let Ok(seed) = std::env::var("COFFER_SEED") {
        return run(seed.parse().expect("a number"), &Tally::default());
    }
    let tally = Tally::default();
    let seeds = std::env::var("COFFER_SEEDS").map_or(2_000, |n| n.parse().expect("a number"));
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(4));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let ran = std::panic::catch_unwind(|| run(seed, &tally));
                    if let Err(why) = ran {
                        eprintln!("COFFER_SEED={seed} fails");
                        std::panic::resume_unwind(why);
                    }
                }
            });
        }
    });
    let said = [
        &tally.early,
        &tally.behind,
        &tally.broken,
        &tally.removed,
        &tally.repeated,
        &tally.events,
        &tally.withheld,
        &tally.lied,
        &tally.failed,
        &tally.caught,
    ];
    let [
        early,
        behind,
        broken,
        removed,
        repeated,
        events,
        withheld,
        lied,
        failed,
        caught,
    ] = said.map(|n| n.load(Ordering::Relaxed));
    println!(
        "{seeds} seeds: {events} batches, {repeated} repeated, {early} too early, {behind} stores behind, {broken} ends of \
         broken connections, {removed} of removed devices, {withheld} times statements withheld; {lied} devices beside \
         liars, who were ended {caught} times; {failed} failures of stores"
    );
    assert!(
        seeds < 2_000
            || [early, behind, broken, removed, lied, failed, caught]
                .iter()
                .all(|n| *n > 50),
        "too little happened"
    );
    assert!(repeated * 5 < events && withheld == 0);
}
