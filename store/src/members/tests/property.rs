//! By seeds: whatever devices say, honest or not, and in whatever order it comes, all come to the same; and what a removed device says
//! afterwards changes nothing.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::*;

const NAMES: [&str; 8] = [
    "desk", "laptop", "phone", "tablet", "server", "attic", "kitchen", "thief",
];

fn devices() -> Vec<Dev> {
    (0..8).map(|n| Dev::new(n as u8 + 10, NAMES[n])).collect()
}

/// Something that this device might say about these, true or not.
fn anything(rng: &mut StdRng, by: &Dev, devs: &[Dev], on: &[&Verified], members: &Members) -> Verified {
    let who = devs.choose(rng).unwrap();
    let space = members.space();
    let device = who.id();
    let epoch = on
        .iter()
        .map(|parent| members.place(&parent.id()).map_or(0, |node| node.epoch))
        .max()
        .unwrap();
    let shares = || {
        let mut to: Vec<DeviceId> = devs.iter().map(Dev::id).collect();
        to.sort_unstable();
        let sealed = Box::new([0; 168]);
        to.into_iter()
            .map(|device| Share {
                device,
                sealed: sealed.clone(),
            })
            .collect()
    };
    let body = match rng.random_range(0..11) {
        0..3 => Body::Added(Box::new(who.joining(space, by))),
        3..5 => Body::Removed { device },
        10 => Body::Vouched {
            device,
            limits: vec![Limit {
                chain: chain_id(space, device, &[rng.random_range(0..2); 16]),
                last: rng.random_range(0..9),
                head: [rng.random_range(0..2); 32],
            }],
        },
        5 => Body::Renamed {
            device,
            name: DeviceName::new(NAMES.choose(rng).unwrap()).unwrap(),
        },
        6 => Body::Chain {
            random: [rng.random_range(0..2); 16],
        },
        7 => Body::Epoch {
            number: epoch + 1,
            commitment: [rng.random(); 32],
            shares: shares(),
        },
        8 => Body::Shared {
            epoch: members
                .iter()
                .nth(rng.random_range(0..members.len()))
                .unwrap()
                .id(),
            shares: shares(),
        },
        _ => later(rng.random_range(12..=255), &[7; 3]),
    };
    forge(by, on, space, body)
}

/// Some statements that are there: the newest, mostly, or any.
fn ground<'a>(rng: &mut StdRng, members: &'a Members) -> Vec<&'a Verified> {
    let all: Vec<&Verified> = members.iter().collect();
    match rng.random_range(0..3) {
        0 => members
            .heads()
            .take(8)
            .filter_map(|id| members.get(&id))
            .collect(),
        1 => all.iter().rev().take(3).copied().collect(),
        _ => {
            let count = rng.random_range(1..=2);
            all.sample(rng, count).copied().collect()
        }
    }
}

fn seeds() -> u64 {
    match std::env::var_os("COFFER_LONG") {
        Some(_) => 20_000,
        None => 1_000,
    }
}

/// Guards convergence: any devices say anything on any ground; whoever gets it in another order, in batches, with repetitions, comes to
/// the same state.
#[test]
fn all_orders_come_to_one_state() {
    let devs = devices();
    for seed in 0..seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut all = founded(&devs[0]);
        let mut said = 0;
        while said < 30 {
            let on = ground(&mut rng, &all);
            let by = devs.choose(&mut rng).unwrap();
            let statement = anything(&mut rng, by, &devs, &on, &all);
            // Mostly from strangers at first, who stay out.
            if all.insert(statement).is_ok() {
                said += 1;
            }
        }
        let expected = digest(all.state());
        let mut order: Vec<Verified> = all.iter().cloned().collect();
        for _ in 0..3 {
            order.shuffle(&mut rng);
            let mut other = Members::of(all.space());
            for (n, statement) in order.iter().enumerate() {
                other.insert(statement.clone()).unwrap();
                if n % 7 == 0 {
                    // A state in between is one, too.
                    other.state();
                    other.insert(order[rng.random_range(0..=n)].clone()).unwrap();
                }
            }
            assert_eq!(digest(other.state()), expected, "seed {seed}");
            assert_eq!(
                other.heads().collect::<Vec<_>>(),
                all.heads().collect::<Vec<_>>(),
                "seed {seed}"
            );
            // What one gives out, another takes in without waiting.
            let mut third = Members::of(all.space());
            for statement in other.iter() {
                let taken = third.insert(statement.clone()).unwrap();
                assert_eq!(taken, Inserted::Taken(vec![statement.id()]), "seed {seed}");
            }
        }
    }
}

/// Guards what a removal is for: after a device that was there before it has removed a thief, nothing that the thief signs on any ground, by itself
/// or by friends that it adds, changes anything that anybody sees.
#[test]
fn a_removed_devices_word_is_nothing() {
    let devs = devices();
    let (honest, thieves) = devs.split_at(5);
    for seed in 0..seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut all = founded(&honest[0]);
        for who in honest[1..].iter().chain([&thieves[0]]) {
            let by = honest
                .iter()
                .filter(|dev| all.state().is_member(&dev.id()))
                .collect::<Vec<_>>();
            let by = by.choose(&mut rng).unwrap();
            add(&mut all, by, who);
        }
        // The thief may have done things before.
        for _ in 0..rng.random_range(0..4) {
            let body = Body::Chain {
                random: [rng.random(); 16],
            };
            tell(&mut all, &thieves[0], body);
        }
        let remover = honest.choose(&mut rng).unwrap();
        remove(&mut all, remover, &thieves[0]);
        // Life goes on.
        for _ in 0..rng.random_range(0..4) {
            let who = honest.choose(&mut rng).unwrap();
            tell(&mut all, who, chain(0xee));
        }
        let expected = heard(all.state());
        let mut attacked = copy(&all);
        let mut said = 0;
        for _ in 0..200 {
            let on = ground(&mut rng, &attacked);
            let by = thieves.choose(&mut rng).unwrap();
            let statement = anything(&mut rng, by, &devs, &on, &attacked);
            said += usize::from(attacked.insert(statement).is_ok());
            if said == 25 {
                break;
            }
        }
        assert_eq!(said, 25, "seed {seed}: the thief was hardly heard");
        assert_eq!(heard(attacked.state()), expected, "seed {seed}");
        // And the honest go on, on top of all of it.
        let before = members_of(&attacked);
        let mut both = copy(&attacked);
        tell(&mut both, &honest[1], chain(0xee));
        assert_eq!(members_of(&both), before, "seed {seed}");
        // Nor is anything brought back by the most senior, who removes the thief again.
        remove(&mut both, &honest[0], &thieves[0]);
        assert_eq!(members_of(&both), before, "seed {seed}");
    }
}

/// Guards seniority: whatever juniors say, on any ground, the founder stays as soon as it has removed those who were against it.
#[test]
fn the_founder_has_the_last_word() {
    let devs = devices();
    for seed in 0..seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut all = founded(&devs[0]);
        for who in &devs[1..4] {
            add(&mut all, &devs[0], who);
        }
        for _ in 0..15 {
            let on = ground(&mut rng, &all);
            let by = devs[1..].choose(&mut rng).unwrap();
            let statement = anything(&mut rng, by, &devs, &on, &all);
            let _heard = all.insert(statement);
        }
        while !all.state().is_member(&devs[0].id()) {
            let removed = all.state().device(&devs[0].id()).unwrap().standing;
            let Standing::Removed(Removal { by, .. }) = removed else {
                panic!("seed {seed}: a founder can be removed, and nothing else: {removed:?}")
            };
            if devs[0].id() == by {
                panic!("seed {seed}: nobody can say that the founder left but itself");
            }
            assert!(all.state().may_object(&devs[0].id()), "seed {seed}");
            let objection = all.object(&devs[0].key, &|_| Vec::new(), &secrets(3)).unwrap();
            hear(&mut all, objection);
            assert!(!all.state().is_member(&by), "seed {seed}");
            assert_eq!(
                all.state().epoch().unwrap().commitment,
                secrets(3).commitment(),
                "seed {seed}: what it began is not the present epoch"
            );
        }
    }
}
