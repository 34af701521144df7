//! The rules, one scene each.

use super::*;
use crate::ids::ChainId;

fn four() -> [Dev; 4] {
    [
        Dev::new(1, "desk"),
        Dev::new(2, "laptop"),
        Dev::new(3, "phone"),
        Dev::new(4, "tablet"),
    ]
}

/// Guards the ordinary life: found, add, rename, certify, remove; each says what it says and nothing more.
#[test]
fn a_vaults_devices_come_and_go() {
    let [desk, laptop, phone, _] = four();
    let mut all = founded(&desk);
    assert!(all.state().is_member(&desk.id()) && !all.state().epoch_is_due());
    add(&mut all, &desk, &laptop);
    add(&mut all, &laptop, &phone);
    assert_eq!(members_of(&all), ["desk", "laptop", "phone"]);
    assert_eq!(
        all.state().device(&phone.id()).unwrap().added_by,
        Some(laptop.id())
    );
    let name = DeviceName::new("Ada's phone").unwrap();
    tell(
        &mut all,
        &desk,
        Body::Renamed {
            device: phone.id(),
            name,
        },
    );
    assert_eq!(members_of(&all), ["desk", "laptop", "Ada's phone"]);

    let old = *phone.transport.verifying().as_bytes();
    assert_eq!(all.state().speaks_for(&old), Some(phone.id()));
    let next = SigningKey::from_seed(Key::take(&mut [9; 32]));
    tell(
        &mut all,
        &phone,
        Body::Transport(TransportProof::make(&next, phone.id())),
    );
    assert_eq!(all.state().speaks_for(&old), None);
    assert_eq!(
        all.state().speaks_for(next.verifying().as_bytes()),
        Some(phone.id())
    );

    remove(&mut all, &desk, &phone);
    assert_eq!(members_of(&all), ["desk", "laptop"]);
    assert_eq!(all.state().speaks_for(next.verifying().as_bytes()), None);
    let again = phone.joining(all.space(), &desk);
    assert_eq!(all.add(&desk.key, again, &[]), Err(CannotSay::Before));
    assert_eq!(all.tell(&phone.key, chain(1)), Err(CannotSay::NoMember));
}

/// Guards chains: whose they are, and how far those of a removed device count; the farthest that any member had.
#[test]
fn a_removed_devices_chains_end() {
    let [desk, laptop, phone, _] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    let (one, two) = (
        chain_id(all.space(), laptop.id(), &[1; 16]),
        chain_id(all.space(), laptop.id(), &[2; 16]),
    );
    tell(&mut all, &laptop, Body::Chain { random: [1; 16] });
    assert_eq!(
        all.state().who_signs(&one).map(|s| (s.device, s.limit)),
        Some((laptop.id(), None))
    );
    assert_eq!(all.state().who_signs(&ChainId([7; 16])), None);
    // The other begins the same bytes: that is another chain.
    tell(&mut all, &phone, Body::Chain { random: [1; 16] });
    assert_eq!(all.state().who_signs(&one).map(|s| s.device), Some(laptop.id()));

    let mut apart = copy(&all);
    let limit = |chain, last| Limit {
        chain,
        last,
        head: [last as u8; 32],
    };
    // A chain that the desk does not know, and more of the first, which the phone has.
    tell(&mut apart, &laptop, Body::Chain { random: [2; 16] });
    let limits = vec![limit(two, 3), limit(one, 9)];
    for said in apart
        .remove(&phone.key, laptop.id(), limits, &secrets(8))
        .unwrap()
    {
        apart.insert(said).unwrap();
    }
    for said in all
        .remove(&desk.key, laptop.id(), vec![limit(one, 5)], &secrets(7))
        .unwrap()
    {
        all.insert(said).unwrap();
    }
    let far = |members: &Members, chain| members.state().who_signs(&chain).and_then(|s| s.limit);
    assert_eq!(far(&all, one), Some(limit(one, 5)));
    take_all(&mut all, &apart);
    assert_eq!(far(&all, one), Some(limit(one, 9)));
    assert_eq!(far(&all, two), Some(limit(two, 3)));
    let epoch = all.state().epoch().unwrap().id;
    let further = all.vouch(&phone.key, laptop.id(), vec![limit(two, 4)]).unwrap();
    hear(&mut all, further);
    assert_eq!(
        (far(&all, one), far(&all, two)),
        (Some(limit(one, 9)), Some(limit(two, 4)))
    );
    assert_eq!(all.state().epoch().unwrap().id, epoch);
    // Begun after the removal, it counts for nothing, and is nobody's.
    let late = forge(
        &laptop,
        &[&all.iter().last().unwrap().clone()],
        all.space(),
        Body::Chain { random: [3; 16] },
    );
    all.insert(late).unwrap();
    assert_eq!(
        all.state()
            .who_signs(&chain_id(all.space(), laptop.id(), &[3; 16])),
        None
    );
}

/// Guards the rule for word against word: the senior's counts, whoever says it first, on every device.
#[test]
fn of_two_that_remove_each_other_the_senior_stays() {
    let [desk, laptop, phone, tablet] = four();
    let mut all = founded(&desk);
    for who in [&laptop, &phone, &tablet] {
        add(&mut all, &desk, who);
    }
    let (mut thief, mut owner) = (copy(&all), copy(&all));
    // The stolen phone throws out all others; the laptop throws out the phone.
    for who in [&desk, &laptop, &tablet] {
        remove(&mut thief, &phone, who);
    }
    remove(&mut owner, &laptop, &phone);
    take_all(&mut all, &thief);
    assert_eq!(members_of(&all), ["phone"]);
    take_all(&mut all, &owner);
    assert_eq!(members_of(&all), ["desk", "laptop", "tablet"]);
    take_all(&mut owner, &thief);
    assert_eq!(digest(owner.state()), digest(all.state()));
    assert_eq!(all.state().device(&phone.id()).unwrap().standing, {
        let statement = owner.state().device(&phone.id()).unwrap().standing;
        assert!(matches!(statement, Standing::Removed(removal) if removal.by == laptop.id()));
        statement
    });
}

/// Guards a senior's right to object: one that was removed by a junior and knows it takes the removal back by removing the junior;
/// and what does not count any more is named, for a person to look at.
#[test]
fn a_senior_takes_back_a_juniors_removal() {
    let [desk, laptop, phone, _] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    remove(&mut all, &phone, &desk);
    assert_eq!(members_of(&all), ["laptop", "phone"]);
    let last = all.iter().last().unwrap().clone();
    let body = Body::Removed { device: phone.id() };
    all.insert(forge(&desk, &[&last], all.space(), body)).unwrap();
    assert_eq!(members_of(&all), ["desk", "laptop"]);
    let overruled = all.state().overruled();
    assert_eq!(overruled.len(), 1);
    assert_eq!((overruled[0].by, overruled[0].device), (phone.id(), desk.id()));
    assert!(
        all.state().epoch_is_due(),
        "the phone has the secrets of every epoch so far"
    );
}

/// Guards against a removed device that goes on adding: neither its friends nor theirs count, also where it pretends to have added them
/// long ago; and who was honestly added by it without the remover's knowledge is told apart from who was removed.
#[test]
fn whom_a_removed_device_adds_is_nobody() {
    let [desk, laptop, phone, tablet] = four();
    let friend = Dev::new(5, "friend");
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    let long_ago = all.iter().nth(1).unwrap().clone();
    let mut thief = copy(&all);
    add(&mut thief, &laptop, &tablet);
    add(&mut thief, &tablet, &friend);
    let early = forge(
        &laptop,
        &[&long_ago],
        all.space(),
        Body::Added(Box::new(friend.joining(all.space(), &laptop))),
    );
    remove(&mut all, &phone, &laptop);
    take_all(&mut all, &thief);
    all.insert(early).unwrap();
    assert_eq!(members_of(&all), ["desk", "phone"]);
    assert!(!all.state().is_member(&tablet.id()) && !all.state().is_member(&friend.id()));
    assert_eq!(
        all.state().speaks_for(tablet.transport.verifying().as_bytes()),
        None
    );
}

/// Guards who was added by a device that a third one, who did not know of it, removes: it is told apart from who was removed, and that
/// it had a seat already when the remover took its own changes nothing.
#[test]
fn who_was_added_unknown_to_the_remover_is_undone() {
    let [desk, laptop, phone, tablet] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    let mut beside = copy(&all);
    add(&mut beside, &laptop, &tablet);
    for _ in 0..3 {
        tell(&mut all, &desk, chain(0xee));
    }
    add(&mut all, &desk, &phone);
    remove(&mut all, &phone, &laptop);
    take_all(&mut all, &beside);
    assert_eq!(members_of(&all), ["desk", "phone"]);
    let standing = all.state().device(&tablet.id()).unwrap().standing;
    assert_eq!(standing, Standing::Undone);
    let again = all.add(&desk.key, tablet.joining(all.space(), &desk), &[]);
    assert_eq!(again, Err(CannotSay::Before));
}

/// Guards a device that an honest, retired one had added: it stays.
#[test]
fn who_was_added_before_stays() {
    let [desk, laptop, phone, _] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &laptop, &phone);
    remove(&mut all, &desk, &laptop);
    assert_eq!(members_of(&all), ["desk", "phone"]);
    // Who leaves by itself leaves.
    remove(&mut all, &phone, &phone);
    assert_eq!(members_of(&all), ["desk"]);
    assert!(all.state().epoch_is_due(), "who left knows the secrets");
    let renewed = all.renew(&desk.key, &secrets(3)).unwrap();
    all.insert(renewed).unwrap();
    assert!(!all.state().epoch_is_due());
}

/// Guards epochs: each member opens the same secrets, a removed one none; who was added beside a new epoch lacks it, is seen to, and is
/// given it; of concurrent ones that one counts whose secrets no removed device has.
#[test]
fn epochs_reach_exactly_the_members() {
    let [desk, laptop, phone, tablet] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    let mut beside = copy(&all);
    add(&mut beside, &phone, &tablet);
    remove(&mut all, &desk, &laptop);
    let epoch = all.state().epoch().unwrap().clone();
    assert_eq!((epoch.number, epoch.commitment), (1, secrets(9).commitment()));
    let open = |members: &Members, dev: &Dev| members.open_shares(&dev.key, &|_| false);
    let given = |members: &Members, dev: &Dev| {
        let of = open(members, dev).into_iter().find(|(id, _)| *id == epoch.id);
        of.map(|(_, opened)| opened.ok().unwrap().expose())
    };
    assert_eq!(given(&all, &laptop), None);
    assert_eq!(given(&all, &phone), Some(secrets(9).expose()));
    assert_eq!(all.open_shares(&phone.key, &|id| *id == epoch.id).len(), 1);

    take_all(&mut all, &beside);
    let lacking: Vec<_> = all
        .state()
        .lacking()
        .map(|(epoch, who)| (epoch.id, who))
        .collect();
    assert_eq!(lacking, [(epoch.id, vec![tablet.id()])]);
    assert_eq!(
        all.share(&phone.key, epoch.id, &[tablet.id()], &secrets(5)),
        Err(CannotSay::NoEpoch)
    );
    let shared = all
        .share(&phone.key, epoch.id, &[tablet.id()], &secrets(9))
        .unwrap();
    all.insert(shared).unwrap();
    assert!(all.state().lacking().next().is_none() && !all.state().epoch_is_due());
    assert_eq!(given(&all, &tablet), Some(secrets(9).expose()));
    // Who is no member is given nothing.
    let removed = all.share(&phone.key, epoch.id, &[laptop.id()], &secrets(9));
    assert_eq!(removed, Err(CannotSay::NoDevice));

    // Two at once: each removes another. Neither's epoch is without a removed one, so a third is due.
    let mut beside = copy(&all);
    remove(&mut beside, &desk, &phone);
    remove(&mut all, &phone, &tablet);
    take_all(&mut all, &beside);
    // The desk's word counts, the phone's does not: the desk did not know of it. So the tablet is a member still, and the desk's epoch,
    // which is sealed to it, is right.
    assert_eq!(members_of(&all), ["desk", "tablet"]);
    let counting: Vec<bool> = all.state().numbered(2).map(|epoch| epoch.counts).collect();
    assert_eq!(counting.iter().filter(|counts| **counts).count(), 1);
    assert_eq!(counting.len(), 2);
    assert!(!all.state().epoch_is_due());
}

/// Guards against lists that nobody could have: strangers, another space's statements, times and epochs that do not follow.
#[test]
fn what_does_not_follow_stays_out() {
    let [desk, laptop, _, stranger] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    let root = all.iter().next().unwrap().clone();
    let word = || chain(0xee);
    let space = all.space();
    let other = founded(&laptop);
    assert_eq!(
        all.insert(other.iter().next().unwrap().clone()),
        Err(Refused::OtherSpace)
    );
    assert_eq!(
        all.insert(forge(&stranger, &[&root], space, word())),
        Err(Refused::Stranger)
    );
    // The laptop is a member, but not for who knows only the root.
    assert_eq!(
        all.insert(forge(&laptop, &[&root], space, word())),
        Err(Refused::Stranger)
    );
    let mut late = forge(&desk, &[&root], space, word()).statement().clone();
    late.lamport = 3;
    assert_eq!(all.insert(late.signed(&desk.key)), Err(Refused::Time));
    let epoch = Body::Epoch {
        number: 2,
        commitment: [0; 32],
        shares: Vec::new(),
    };
    assert_eq!(
        all.insert(forge(&desk, &[&root], space, epoch)),
        Err(Refused::Time)
    );
    assert_eq!(all.len(), 3);
}

/// Guards waiting: whatever comes before its ancestors is asked for, kept within bounds, and taken in when they are there.
#[test]
fn ancestors_are_waited_for() {
    let [desk, laptop, ..] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    for _ in 0..5 {
        tell(&mut all, &laptop, chain(0xee));
    }
    let statements: Vec<Verified> = all.iter().cloned().collect();
    let mut late = Members::of(all.space());
    for statement in statements[1..].iter().rev() {
        assert_eq!(late.insert(statement.clone()), Ok(Inserted::Waits));
        assert_eq!(late.insert(statement.clone()), Ok(Inserted::Known));
        assert_eq!(late.missing(), statement.statement().parents);
    }
    assert!(late.is_empty() && late.state().devices().is_empty());
    let taken = late.insert(statements[0].clone()).unwrap();
    assert_eq!(
        taken,
        Inserted::Taken(statements.iter().map(Verified::id).collect())
    );
    assert!(late.missing().is_empty());
    assert_eq!(digest(late.state()), digest(all.state()));

    let mut flood = Members::of(all.space());
    let mut last = statements[6].clone();
    for n in 0..=WAITING_MAX {
        last = forge(&laptop, &[&last], all.space(), chain(0xee));
        let full = n >= WAITING_MAX;
        assert_eq!(flood.insert(last.clone()).is_err(), full);
    }
    flood.forget_waiting(0);
    assert!(flood.missing().is_empty());
}

/// Guards the room for what waits: who fills it with what stands on nothing keeps nobody else's out, and when it goes, what it brought goes.
#[test]
fn what_one_leaves_waiting_keeps_nothing_out() {
    const LIAR: u64 = 1;
    const HONEST: u64 = 2;
    let [desk, laptop, _, stranger] = four();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    for n in 0..3 {
        tell(&mut all, &laptop, chain(n));
    }
    let statements: Vec<Verified> = all.iter().cloned().collect();
    // By any key, on parents that are nowhere.
    let made_up = |n: usize| {
        let mut said = forge(&stranger, &[&statements[0]], all.space(), chain(9))
            .statement()
            .clone();
        said.parents = vec![StatementId(*blake3::hash(&n.to_le_bytes()).as_bytes())];
        said.signed(&stranger.key)
    };
    let mut late = Members::of(all.space());
    for n in 0..WAITING_MAX {
        assert_eq!(late.insert_from(made_up(n), LIAR), Ok(Inserted::Waits));
    }
    assert_eq!(
        late.insert_from(made_up(WAITING_MAX), LIAR),
        Err(Refused::TooManyWaiting)
    );
    // In the worst order, all of it waits.
    for said in statements[1..].iter().rev() {
        assert_eq!(late.insert_from(said.clone(), HONEST), Ok(Inserted::Waits));
    }
    assert_eq!(late.waiting(), statements.len() - 1, "the liar's gave way");
    // With room for both, each loses its own alone.
    for n in 0..10 {
        late.insert_from(made_up(n), LIAR).unwrap();
    }
    late.forget_waiting(LIAR);
    assert_eq!(late.waiting(), statements.len() - 1);
    late.insert_from(statements[0].clone(), HONEST).unwrap();
    assert_eq!((late.len(), late.waiting()), (all.len(), 0));
    assert_eq!(digest(late.state()), digest(all.state()));
    // What still waits of who goes is forgotten, and can come again.
    let lost = made_up(0);
    assert_eq!(late.insert_from(lost.clone(), HONEST), Ok(Inserted::Waits));
    late.forget_waiting(HONEST);
    assert!(late.missing().is_empty());
    assert_eq!(late.insert_from(lost, HONEST), Ok(Inserted::Waits));
}
