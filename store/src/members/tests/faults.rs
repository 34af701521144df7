//! Faults that were found by reading the rules as an adversary would, each as the scene in which it showed.

use super::*;
use crate::ids::ChainId;

fn five() -> [Dev; 5] {
    let names = ["desk", "laptop", "phone", "tablet", "friend"];
    std::array::from_fn(|n| Dev::new(n as u8 + 1, names[n]))
}

fn limit(chain: ChainId, last: u64) -> Limit {
    Limit {
        chain,
        last,
        head: [last as u8; 32],
    }
}

fn far(members: &Members, chain: &ChainId) -> Option<Limit> {
    members.state().who_signs(chain).and_then(|signer| signer.limit)
}

fn last(members: &Members) -> Verified {
    members.iter().last().unwrap().clone()
}

fn is_present(members: &Members, n: u8) -> bool {
    members.state().epoch().unwrap().commitment == secrets(n).commitment()
}

fn removed_with(members: &mut Members, by: &Dev, who: &Dev, n: u8) {
    let said = members
        .remove(&by.key, who.id(), Vec::new(), &secrets(n))
        .unwrap();
    hear(members, said);
}

/// Two remove a thief at once; one of them had heard of its friend, and sealed the epoch to that one, who has no seat.
#[test]
fn an_epoch_that_is_sealed_to_a_device_without_a_seat_is_not_clean() {
    let [desk, laptop, thief, _, friend] = five();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &thief);
    let mut had_heard = copy(&all);
    add(&mut had_heard, &thief, &friend);
    // Later in the line, so that it would be the present one.
    for _ in 0..5 {
        tell(&mut had_heard, &laptop, super::chain(0xee));
    }
    removed_with(&mut had_heard, &laptop, &thief, 5);
    assert!(had_heard.state().is_member(&friend.id()) && is_present(&had_heard, 5));
    removed_with(&mut all, &desk, &thief, 6);
    take_all(&mut all, &had_heard);
    assert_eq!(members_of(&all), ["desk", "laptop"]);
    assert!(
        all.state().device(&friend.id()).is_none(),
        "the friend has no seat"
    );
    assert!(is_present(&all, 6) && !all.state().epoch_is_due());
}

/// Who holds an epoch's secrets and is removed then gives them on; and who does not hold them says so: the one makes it unclean, the other nothing.
#[test]
fn only_holders_give_an_epoch_on() {
    let [desk, laptop, phone, _, friend] = five();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    removed_with(&mut all, &desk, &phone, 5);
    let epoch = all.state().epoch().unwrap().id;
    let shares = |device| {
        let sealed = Box::new([0; 168]);
        vec![Share { device, sealed }]
    };
    // The phone was removed before: it has nothing to give, and says so as often as it likes.
    let before = heard(all.state());
    let shared = Body::Shared {
        epoch,
        shares: shares(phone.id()),
    };
    let lie = forge(&phone, &[&last(&all)], all.space(), shared.clone());
    hear(&mut all, vec![lie]);
    assert_eq!(heard(all.state()), before);
    // The laptop has it, and gives it to a friend whom nobody has added.
    let shared = Body::Shared {
        epoch,
        shares: shares(friend.id()),
    };
    let given = forge(&laptop, &[&last(&all)], all.space(), shared);
    hear(&mut all, vec![given]);
    assert!(all.state().epoch_is_due());
}

/// A senior device that a junior removed objects, by what the program offers: it brings its word, removes, vouches, begins an epoch.
#[test]
fn a_senior_that_juniors_removed_objects() {
    let [desk, laptop, phone, tablet, _] = five();
    let mut all = founded(&desk);
    for who in [&laptop, &phone, &tablet] {
        add(&mut all, &desk, who);
    }
    let chain = chain_id(all.space(), phone.id(), &[1; 16]);
    tell(&mut all, &phone, Body::Chain { random: [1; 16] });
    let transport = *desk.transport.verifying().as_bytes();
    assert_eq!(all.state().may_speak(&transport), Some((desk.id(), Access::Full)));
    let mut beside = copy(&all);
    removed_with(&mut beside, &tablet, &desk, 4);
    removed_with(&mut all, &phone, &desk, 5);
    take_all(&mut all, &beside);
    assert!(all.state().may_object(&desk.id()) && !all.state().may_object(&laptop.id()));
    assert_eq!(all.state().speaks_for(&transport), None);
    assert_eq!(
        all.state().may_speak(&transport),
        Some((desk.id(), Access::Statements))
    );
    assert!(!all.state().holds(&desk.id(), all.state().epoch().unwrap()));
    assert_eq!(all.renew(&desk.key, &secrets(7)), Err(CannotSay::NoMember));
    let innocent = all.remove(&desk.key, laptop.id(), Vec::new(), &secrets(7));
    assert_eq!(innocent, Err(CannotSay::NoMember));
    // One by one: after the first it is removed still, and says nothing that would not count.
    let mut alone = copy(&all);
    let one = alone
        .remove(&desk.key, phone.id(), vec![limit(chain, 3)], &secrets(7))
        .unwrap();
    assert_eq!(one.len(), 1);
    hear(&mut alone, one);
    assert!(!alone.state().is_member(&desk.id()) && alone.state().may_object(&desk.id()));
    let two = alone
        .remove(&desk.key, tablet.id(), Vec::new(), &secrets(7))
        .unwrap();
    hear(&mut alone, two);
    assert!(alone.state().is_member(&desk.id()) && is_present(&alone, 7));

    let limits = |id: &DeviceId| match *id == phone.id() {
        true => vec![limit(chain, 3)],
        false => Vec::new(),
    };
    let said = all.object(&desk.key, &limits, &secrets(6)).unwrap();
    let kinds: Vec<u8> = said.iter().map(|said| said.statement().body.kind()).collect();
    assert_eq!(kinds, [3, 3, 11, 9]);
    hear(&mut all, said);
    assert_eq!(members_of(&all), ["desk", "laptop"]);
    assert_eq!(far(&all, &chain), Some(limit(chain, 3)));
    assert!(is_present(&all, 6) && !all.state().epoch_is_due());
    assert_eq!(all.state().overruled().len(), 2);
    let again = all.object(&desk.key, &limits, &secrets(6));
    assert_eq!(again, Err(CannotSay::NothingToObject));
    // Who was removed by a senior, and who left, has nothing to say.
    assert!(!all.state().may_object(&phone.id()));
    remove(&mut all, &laptop, &laptop);
    assert!(!all.state().may_object(&laptop.id()));
}

/// An epoch that leaves out a member whom its author knew keeps nobody from inviting; and one that cannot be opened is followed by another.
#[test]
fn an_epoch_that_nobody_can_open_does_not_stay() {
    let [desk, laptop, phone, tablet, _] = five();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    let empty = Body::Epoch {
        number: 1,
        commitment: secrets(5).commitment(),
        shares: Vec::new(),
    };
    let head = last(&all);
    hear(&mut all, vec![forge(&laptop, &[&head], head.space(), empty)]);
    assert!(is_present(&all, 0) && !all.state().epoch_is_due());
    // Beside whom its author did not know of, it is whole.
    let mut beside = copy(&all);
    add(&mut beside, &phone, &tablet);
    let renewed = all.renew(&desk.key, &secrets(6)).unwrap();
    hear(&mut all, vec![renewed]);
    take_all(&mut all, &beside);
    assert!(is_present(&all, 6));

    let all_of_us: Vec<DeviceId> = all.state().members().map(|device| device.id).collect();
    let mut shares: Vec<Share> = all_of_us
        .into_iter()
        .map(|device| Share {
            device,
            sealed: Box::new([7; 168]),
        })
        .collect();
    shares.sort_unstable_by_key(|share| share.device);
    let spoilt = Body::Epoch {
        number: 3,
        commitment: [7; 32],
        shares,
    };
    let heads: Vec<Verified> = all.heads().map(|id| all.get(&id).unwrap().clone()).collect();
    let spoilt = forge(&laptop, &heads.iter().collect::<Vec<_>>(), all.space(), spoilt);
    hear(&mut all, vec![spoilt.clone()]);
    assert_eq!(all.state().epoch().unwrap().id, spoilt.id());
    let opened = all.open_shares(&desk.key, &|_| false);
    assert!(
        opened
            .iter()
            .any(|(id, opened)| *id == spoilt.id() && opened.is_err())
    );
    let renewed = all.renew(&desk.key, &secrets(8)).unwrap();
    hear(&mut all, vec![renewed]);
    assert!(is_present(&all, 8));
}

/// Nobody makes the chains of a removed device longer but a member: neither it nor what else was removed; and one that is undone counts as far as
/// somebody vouches for it, with or without a seat.
#[test]
fn limits_are_believed_of_members_only() {
    let [desk, laptop, phone, tablet, friend] = five();
    let mut all = founded(&desk);
    for who in [&laptop, &phone, &tablet] {
        add(&mut all, &desk, who);
    }
    let chain = chain_id(all.space(), laptop.id(), &[1; 16]);
    tell(&mut all, &laptop, Body::Chain { random: [1; 16] });
    let endless = |device: &Dev| Body::Vouched {
        device: device.id(),
        limits: vec![limit(chain, u64::MAX)],
    };
    // Also where it was said in time.
    let early = forge(&laptop, &[&last(&all)], all.space(), endless(&laptop));
    hear(&mut all, vec![early]);
    let own = all.vouch(&laptop.key, laptop.id(), vec![limit(chain, 9)]);
    assert_eq!(own, Err(CannotSay::Itself));
    removed_with(&mut all, &desk, &phone, 3);
    let said = all
        .remove(&desk.key, laptop.id(), vec![limit(chain, 4)], &secrets(4))
        .unwrap();
    hear(&mut all, said);
    for by in [&laptop, &phone] {
        let late = forge(by, &[&last(&all)], all.space(), endless(&laptop));
        let removed = forge(
            by,
            &[&last(&all)],
            all.space(),
            Body::Removed { device: laptop.id() },
        );
        hear(&mut all, vec![late, removed]);
    }
    assert_eq!(far(&all, &chain), Some(limit(chain, 4)));
    assert_eq!(all.state().vouched(&laptop.id()), [limit(chain, 4)]);

    // The tablet adds a friend and is removed by one that did not know of it.
    let mut beside = copy(&all);
    add(&mut beside, &tablet, &friend);
    let theirs = chain_id(all.space(), friend.id(), &[2; 16]);
    tell(&mut beside, &friend, Body::Chain { random: [2; 16] });
    removed_with(&mut all, &desk, &tablet, 5);
    take_all(&mut all, &beside);
    assert!(all.state().device(&friend.id()).is_none());
    assert_eq!(all.state().who_signs(&theirs), None);
    let said = all.vouch(&desk.key, friend.id(), vec![limit(theirs, 7)]).unwrap();
    hear(&mut all, said);
    let signer = all.state().who_signs(&theirs).unwrap();
    assert_eq!(
        (signer.device, signer.limit),
        (friend.id(), Some(limit(theirs, 7)))
    );
    assert_eq!(
        all.state().device(&friend.id()).unwrap().standing,
        Standing::Undone
    );
    assert_eq!(members_of(&all), ["desk"]);
    let nobody = all.vouch(&desk.key, DeviceId([7; 32]), Vec::new());
    assert_eq!(nobody, Err(CannotSay::NoDevice));
}

/// A device that is undone though it has a seat: the same.
#[test]
fn the_chains_of_an_undone_device_are_vouched_for() {
    let [desk, laptop, phone, tablet, _] = five();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    let mut beside = copy(&all);
    add(&mut beside, &laptop, &tablet);
    let chain = chain_id(all.space(), tablet.id(), &[1; 16]);
    tell(&mut beside, &tablet, Body::Chain { random: [1; 16] });
    for _ in 0..4 {
        tell(&mut all, &desk, super::chain(0xee));
    }
    add(&mut all, &desk, &phone);
    remove(&mut all, &phone, &laptop);
    take_all(&mut all, &beside);
    assert_eq!(
        all.state().device(&tablet.id()).unwrap().standing,
        Standing::Undone
    );
    assert_eq!(all.state().who_signs(&chain), None);
    for far in [3, 2] {
        let said = all
            .vouch(&desk.key, tablet.id(), vec![limit(chain, far)])
            .unwrap();
        hear(&mut all, said);
    }
    assert_eq!(far(&all, &chain), Some(limit(chain, 3)));
}

/// A back-dated removal, by a junior of who removed it, of a senior that is long gone undoes nobody whom that one had added.
#[test]
fn only_the_most_senior_removal_cuts() {
    let [desk, laptop, phone, tablet, _] = five();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    let long_ago = last(&all);
    add(&mut all, &laptop, &tablet);
    remove(&mut all, &desk, &laptop);
    assert_eq!(members_of(&all), ["desk", "phone", "tablet"]);
    let backdated = forge(
        &phone,
        &[&long_ago],
        all.space(),
        Body::Removed { device: laptop.id() },
    );
    hear(&mut all, vec![backdated]);
    assert_eq!(members_of(&all), ["desk", "phone", "tablet"]);
    assert_eq!(all.state().removals(&laptop.id()).len(), 2);
    assert_eq!(all.state().removals(&laptop.id())[0].by, desk.id());
}

/// An epoch whose author ceases to be heard can still be opened and shared: something was sealed with it.
#[test]
fn an_epoch_that_ceased_to_count_opens_and_is_shared() {
    let [desk, laptop, phone, tablet, _] = five();
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    add(&mut all, &desk, &phone);
    let mut beside = copy(&all);
    let renewed = beside.renew(&laptop.key, &secrets(5)).unwrap();
    hear(&mut beside, vec![renewed.clone()]);
    removed_with(&mut all, &desk, &laptop, 6);
    take_all(&mut all, &beside);
    let epoch = all.state().epoch_of(&renewed.id()).unwrap();
    assert!(!epoch.counts && is_present(&all, 6));
    assert_eq!(all.state().numbered(1).count(), 2);
    let opened = |all: &Members, by: &Dev| {
        let opened = all.open_shares(&by.key, &|_| false);
        let of = opened.into_iter().find(|(id, _)| *id == renewed.id());
        of.map(|(_, opened)| opened.ok().unwrap().expose())
    };
    assert_eq!(opened(&all, &phone), Some(secrets(5).expose()));
    // Who joins later is given it with the others.
    add(&mut all, &desk, &tablet);
    assert_eq!(opened(&all, &tablet), Some(secrets(5).expose()));
    assert!(all.state().lacking().next().is_none());
    let shared = all
        .share(&phone.key, renewed.id(), &[desk.id()], &secrets(5))
        .unwrap();
    hear(&mut all, vec![shared]);
    assert!(is_present(&all, 6));
}

/// Who was added has its keys at once, whatever became of the conversation; what its adder had not, it lacks, and that shows.
#[test]
fn who_was_added_has_its_keys() {
    let [desk, laptop, phone, ..] = five();
    let mut all = founded(&desk);
    let root = last(&all).id();
    let renewed = all.renew(&desk.key, &secrets(5)).unwrap();
    hear(&mut all, vec![renewed.clone()]);
    let joining = laptop.joining(all.space(), &desk);
    let keyring = [(renewed.id(), secrets(5)), (renewed.id(), secrets(5))];
    let said = all.add(&desk.key, joining, &keyring).unwrap();
    assert_eq!(said.len(), 2);
    hear(&mut all, said);
    let opened = all.open_shares(&laptop.key, &|_| false);
    assert_eq!((opened.len(), opened[0].0), (1, renewed.id()));
    let lacking: Vec<_> = all
        .state()
        .lacking()
        .map(|(epoch, who)| (epoch.id, who))
        .collect();
    assert_eq!(lacking, [(root, vec![laptop.id()])]);
    for wrong in [(root, secrets(5)), (StatementId([1; 32]), secrets(0))] {
        let joining = phone.joining(all.space(), &desk);
        assert_eq!(all.add(&desk.key, joining, &[wrong]), Err(CannotSay::NoEpoch));
    }
}

/// Whoever removes a device that somebody else had removed before, and knows it, does not bring back what the device said since.
#[test]
fn who_removes_again_brings_nothing_back() {
    let [desk, laptop, thief, _, friend] = five();
    for objects in [false, true] {
        let mut all = founded(&desk);
        add(&mut all, &desk, &laptop);
        add(&mut all, &desk, &thief);
        if objects {
            remove(&mut all, &thief, &desk);
        }
        remove(&mut all, &laptop, &thief);
        let joining = Box::new(friend.joining(all.space(), &thief));
        let added = forge(&thief, &[&last(&all)], all.space(), Body::Added(joining));
        hear(&mut all, vec![added]);
        let said = match objects {
            true => all.object(&desk.key, &|_| Vec::new(), &secrets(4)),
            false => all.remove(&desk.key, thief.id(), Vec::new(), &secrets(4)),
        };
        hear(&mut all, said.unwrap());
        assert_eq!(all.state().removals(&thief.id()).len(), 2);
        assert_eq!(members_of(&all), ["desk", "laptop"], "objects: {objects}");
        assert!(is_present(&all, 4));
    }
}
