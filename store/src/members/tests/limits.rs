//! Bounds: what a member who means harm can make others keep and compute.

use super::*;

fn crowd(n: usize) -> Vec<Dev> {
    let key = |n: usize, salt: u8| {
        let mut seed = [salt; 32];
        seed[..8].copy_from_slice(&(n as u64).to_le_bytes());
        SigningKey::from_seed(Key::take(&mut seed))
    };
    let dev = |n| Dev {
        key: key(n, 1),
        transport: key(n, 2),
        name: "one of many",
    };
    (0..n).map(dev).collect()
}

/// Somebody adds these, one on the other, whether there is room or not.
fn add_all(all: &mut Members, by: &Dev, whom: &[Dev]) {
    let space = all.space();
    for who in whom {
        let head = all.iter().last().unwrap().clone();
        let joining = Body::Added(Box::new(who.joining(space, by)));
        hear(all, vec![forge(by, &[&head], space, joining)]);
    }
}

/// Guards the number of devices, and what a crowd of hostile ones costs: each removes fifteen others, on whatever ground; the state comes all the
/// same, the 1,025th device counts for nothing, and at most 256 are members.
#[test]
fn a_crowd_is_bounded() {
    let devs = crowd(DEVICES_MAX + 6);
    let mut all = founded(&devs[0]);
    let space = all.space();
    add_all(&mut all, &devs[0], &devs[1..]);
    assert_eq!(all.state().devices().len(), DEVICES_MAX);
    assert_eq!(all.state().members().count(), MEMBERS_MAX);
    assert!(all.state().device(&devs[DEVICES_MAX].id()).is_none());
    let another = crowd(DEVICES_MAX + 7).pop().unwrap();
    let joining = another.joining(space, &devs[0]);
    assert_eq!(all.add(&devs[0].key, joining, &[]), Err(CannotSay::TooMany));

    let last = all.iter().last().unwrap().clone();
    for (n, by) in devs[1..DEVICES_MAX].iter().enumerate() {
        for k in 1..=15 {
            let device = devs[1 + (n * 7 + k * 61) % (DEVICES_MAX - 1)].id();
            all.insert(forge(by, &[&last], space, Body::Removed { device }))
                .unwrap();
        }
    }
    assert!(all.state().is_member(&devs[0].id()));
    assert!(all.state().members().count() <= MEMBERS_MAX);
}

/// Guards the number of members: the most senior ones are, who waits has no word, and is one when there is room.
#[test]
fn at_most_256_are_members() {
    let devs = crowd(MEMBERS_MAX + 2);
    let mut all = founded(&devs[0]);
    add_all(&mut all, &devs[0], &devs[1..]);
    let standing = |all: &Members, n: usize| all.state().device(&devs[n].id()).unwrap().standing;
    assert_eq!(standing(&all, MEMBERS_MAX - 1), Standing::Member);
    assert_eq!(standing(&all, MEMBERS_MAX), Standing::Waiting);
    let (waits, device) = (&devs[MEMBERS_MAX], devs[0].id());
    let head = all.iter().last().unwrap().clone();
    let name = DeviceName::new("by one that waits").unwrap();
    let named = |all: &Members| all.state().device(&device).unwrap().name == name;
    let renamed = Body::Renamed {
        device,
        name: name.clone(),
    };
    let renamed = forge(waits, &[&head], all.space(), renamed);
    hear(&mut all, vec![renamed]);
    assert!(!named(&all));
    let said = all
        .remove(&devs[0].key, devs[7].id(), Vec::new(), &secrets(9))
        .unwrap();
    hear(&mut all, said);
    assert_eq!(standing(&all, MEMBERS_MAX), Standing::Member);
    assert_eq!(standing(&all, MEMBERS_MAX + 1), Standing::Waiting);
    assert!(named(&all));
    assert_eq!(all.state().members().count(), MEMBERS_MAX);
}

/// Guards seats against friends of a thief: they fill its branch, by however many hands, and nobody else's; the founder adds whom it wants.
#[test]
fn a_thiefs_friends_fill_one_branch_only() {
    let devs = crowd(200);
    let mut all = founded(&devs[0]);
    add_all(&mut all, &devs[0], &devs[1..3]);
    add_all(&mut all, &devs[1], &devs[3..50]);
    add_all(&mut all, &devs[3], &devs[50..150]);
    // The founder, two branches, and 63 more in the first of them.
    assert_eq!(all.state().devices().len(), 3 + BRANCH_MAX - 1);
    let space = all.space();
    let refused = all.add(&devs[1].key, devs[180].joining(space, &devs[1]), &[]);
    assert_eq!(refused, Err(CannotSay::NoSeat));
    add(&mut all, &devs[2], &devs[180]);
    add(&mut all, &devs[0], &devs[181]);
    // Who found no seat by the thief finds one by the founder.
    add(&mut all, &devs[0], &devs[149]);
    // As its remover did not know of them, none of them counts.
    let root = all.iter().next().unwrap().clone();
    let added = all.iter().nth(1).unwrap().clone();
    let removed = Body::Removed { device: devs[1].id() };
    hear(&mut all, vec![forge(&devs[0], &[&root, &added], space, removed)]);
    let members: Vec<_> = all.state().members().map(|device| device.id).collect();
    let expected = [0, 2, 180, 181, 149].map(|n: usize| devs[n].id());
    assert_eq!(members, expected);
    // Nor do they keep their seats.
    assert_eq!(all.state().devices().len(), 6);
}

/// Guards what a statement stands on: hundreds of heads that a member makes up, later than all others, do not displace another's only word, the
/// author's own newest, or the highest epoch.
#[test]
fn made_up_heads_displace_nobody() {
    let devs = crowd(5);
    let mut all = founded(&devs[0]);
    add_all(&mut all, &devs[0], &devs[1..4]);
    let space = all.space();
    let ground = all.iter().last().unwrap().clone();
    let word = || super::chain(0xee);
    // The most junior's only word; and the author's own newest and the highest epoch, which only early ones of the made-up heads stand on.
    let quiet = forge(&devs[3], &[&ground], space, word());
    let own = forge(&devs[2], &[&ground], space, word());
    let epoch = all.renew(&devs[0].key, &secrets(4)).unwrap();
    hear(&mut all, vec![quiet.clone(), own.clone(), epoch.clone()]);
    let chain = |n: u16| Body::Chain {
        random: std::array::from_fn(|i| n.to_be_bytes()[i % 2]),
    };
    let over = |on: &Verified, n| forge(&devs[1], &[on], space, chain(n));
    hear(&mut all, vec![over(&own, 1000), over(&epoch, 1001)]);
    let mut last = ground;
    for n in 0..300 {
        hear(&mut all, vec![over(&last, n)]);
        if n % 4 == 0 {
            last = over(&last, 2000 + n);
            hear(&mut all, vec![last.clone()]);
        }
    }
    assert!(all.heads().len() > 200);
    let said = all.tell(&devs[2].key, word()).unwrap();
    let parents = &said.statement().parents;
    assert_eq!(parents.len(), PARENTS_MAX);
    for stands_on in [&quiet, &own, &epoch] {
        assert!(parents.contains(&stands_on.id()));
    }
    let newest = all.iter().map(|said| said.statement().lamport).max().unwrap();
    assert_eq!(
        said.statement().lamport,
        newest + 1,
        "the newest of the thief is one of them, too"
    );
    hear(&mut all, vec![said]);
    let next = all.renew(&devs[2].key, &secrets(5)).unwrap();
    hear(&mut all, vec![next.clone()]);
    assert_eq!(all.state().epoch().unwrap().id, next.id());
}

/// Guards removal of a device with many chains: it takes several statements, and all chains count as far as they say.
#[test]
fn a_device_with_many_chains_is_removed() {
    let devs = crowd(3);
    let mut all = founded(&devs[0]);
    add_all(&mut all, &devs[0], &devs[1..]);
    let limit = |n: u32| Limit {
        chain: crate::ids::ChainId(std::array::from_fn(|i| n.to_be_bytes()[i % 4])),
        last: u64::from(n),
        head: [1; 32],
    };
    let limits: Vec<Limit> = (0..2500).rev().map(limit).collect();
    let said = all
        .remove(&devs[0].key, devs[1].id(), limits, &secrets(9))
        .unwrap();
    let kinds: Vec<u8> = said.iter().map(|said| said.statement().body.kind()).collect();
    assert_eq!(kinds, [3, 11, 11, 11, 9]);
    hear(&mut all, said);
    let vouched = all.state().vouched(&devs[1].id());
    assert_eq!(vouched, (0..2500).map(limit).collect::<Vec<_>>());
}

/// Guards memory: all statements together are bounded in bytes, and those that wait, too.
#[test]
fn bytes_are_bounded() {
    let desk = Dev::new(1, "desk");
    let mut all = founded(&desk);
    let root = all.iter().next().unwrap().clone();
    let limits: Vec<Limit> = (0..1000u16)
        .map(|n| Limit {
            chain: crate::ids::ChainId(std::array::from_fn(|i| n.to_be_bytes()[i % 2])),
            last: 1,
            head: [0; 32],
        })
        .collect();
    let long = |n: u16| {
        let mut device = [7; 32];
        device[..2].copy_from_slice(&n.to_le_bytes());
        let body = Body::Vouched {
            device: DeviceId(device),
            limits: limits.clone(),
        };
        forge(&desk, &[&root], root.space(), body)
    };
    let mut waiting = Members::of(all.space());
    let (mut refused, mut kept) = (0, 0);
    for n in 0..1500 {
        let said = long(n);
        kept += usize::from(waiting.insert(said.clone()).is_ok());
        match all.insert(said) {
            Ok(_) => assert!(refused == 0 && all.bytes() <= BYTES_MAX),
            Err(why) => {
                assert_eq!(why, Refused::Full);
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && kept * 50_000 < BYTES_MAX / 8);
    assert!(all.state().is_member(&desk.id()));
}

/// Guards what is told of many heads: a thief that has said thousands of things at once, and something on the epoch that ends its removal, hides neither:
/// whoever is told of as many heads as are named comes to know both, though it asks for the first half of them alone.
#[test]
fn made_up_heads_hide_no_removal() {
    const NAMED: usize = 64;
    let devs = crowd(5);
    let thief = &devs[4];
    let mut all = founded(&devs[0]);
    add_all(&mut all, &devs[0], &devs[1..]);
    let ground = all.iter().last().unwrap().clone();
    let mut away = copy(&all);
    let made_up = |n: u16| {
        let mut random = [0; 16];
        random[..2].copy_from_slice(&n.to_le_bytes());
        forge(thief, &[&ground], all.space(), Body::Chain { random })
    };
    let made_up: Vec<Verified> = (0..3 * NAMED as u16).map(made_up).collect();
    hear(&mut all, made_up.clone());
    // One who saw nothing of it speaks beside; and another one removes the thief.
    let quiet = forge(&devs[3], &[&ground], all.space(), super::chain(1));
    hear(&mut all, vec![quiet.clone()]);
    let mut beside = copy(&away);
    remove(&mut beside, &devs[1], thief);
    let epoch = beside.iter().last().unwrap().clone();
    take_all(&mut all, &beside);
    assert_eq!(all.main_heads(usize::MAX), all.heads().collect::<Vec<_>>());
    // Now the epoch and the quiet one's word are no heads any more, but what the thief says on them is.
    let on_it = forge(thief, &[&epoch, &quiet], all.space(), super::chain(2));
    hear(&mut all, vec![on_it.clone()]);
    assert!(
        all.heads()
            .all(|head| head == on_it.id() || made_up.iter().any(|said| said.id() == head))
    );

    let named = all.main_heads(NAMED);
    assert_eq!(named.len(), NAMED);
    assert_eq!(named[0], epoch.id());
    assert!(named[..NAMED / 2].contains(&quiet.id()));
    // What a peer gives to whoever asks for these.
    let asked = &named[..NAMED / 2];
    for said in all.iter() {
        if asked
            .iter()
            .any(|id| *id == said.id() || all.is_before(&said.id(), id))
        {
            away.insert(said.clone()).unwrap();
        }
    }
    assert!(!away.state().is_member(&thief.id()));
    assert_eq!(away.state().epoch().unwrap().id, epoch.id());
    // The same statements, in another order, are named alike.
    let mut other = Members::of(all.space());
    for said in all.iter().collect::<Vec<_>>().into_iter().rev() {
        other.insert(said.clone()).unwrap();
    }
    assert_eq!(other.main_heads(NAMED), named);
}
