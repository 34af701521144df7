//! Pairings that go well, and that break off.

use super::*;

/// Guards what pairing is for: in the end both have the same statements, the joiner is a member with the secrets of all epochs, and the
/// ticket is used up.
#[test]
fn a_device_joins() {
    let mut pair = Pair::new();
    pair.play(usize::MAX, &mut plain);
    assert_eq!((pair.ends, pair.done), ([None; 2], true));
    let laptop = DeviceId::of(&laptop());
    assert_eq!(pair.confirmed, Some(laptop));
    let joined = pair.durable.joined.unwrap();
    assert!(joined.members.state().is_member(&laptop));
    assert!(joined.members.iter().eq(pair.durable.members.iter()));
    assert_eq!(joined.keyring.len(), 1);
    assert_eq!(joined.keyring[0].1.expose(), secrets().expose());
    assert!(pair.tickets.is_empty());
    assert_eq!(
        pair.inviting.receive(NOW, b"more", &mut pair.tickets),
        Err(PairError::Ended)
    );
}

/// Guards a vault with a past: more statements than fit in one message, epochs, removed devices. All of it comes along; an inviter that waits for the
/// present one itself does not begin, one that lacks an old one does.
#[test]
fn all_of_the_past_comes_along() {
    let mut durable = founded();
    let (phone, phones) = (signing(0x70), signing(0x71));
    let space = durable.members.space();
    let card = Card::make(&phone, &phones, name("phone"));
    let request = coffer_store::members::JoinRequest::make(&phone, card, space, DeviceId::of(&desk()));
    let added = durable.members.add(&desk(), request, &durable.keyring).unwrap();
    hear(&mut durable.members, added);
    let next = SpaceSecrets::random();
    let said = durable
        .members
        .remove(&desk(), DeviceId::of(&phone), Vec::new(), &next)
        .unwrap();
    let epoch = said[1].id();
    hear(&mut durable.members, said);
    for n in 0..200 {
        let device = DeviceId::of(&desk());
        let body = coffer_store::members::Body::Renamed {
            device,
            name: name(&format!("desk {n}")),
        };
        let said = durable.members.tell(&desk(), body).unwrap();
        durable.members.insert(said).unwrap();
    }
    assert!(!Inviting::is_ready(&durable.members, &durable.keyring));
    durable.keyring.push((epoch, next));
    assert!(Inviting::is_ready(&durable.members, &durable.keyring));
    let mut tickets = Tickets::new();
    tickets.open(NOW, &ticket()).unwrap();
    let mut pair = Pair::of(durable, tickets, &ticket());
    pair.play(usize::MAX, &mut plain);
    assert_eq!(
        (pair.ends, pair.done, pair.confirmed.is_some()),
        ([None; 2], true, true)
    );
    let joined = pair.durable.joined.unwrap();
    assert_eq!((joined.members.len(), joined.keyring.len()), (208, 2));
    assert_eq!(joined.members.state().epoch().unwrap().id, epoch);
}

/// Guards the stream: however it is cut into pieces, the outcome is the same.
#[test]
fn bytes_come_one_by_one() {
    let mut pair = Pair::new();
    loop {
        let (joiner, bytes) = match pair.joiners() {
            Some(bytes) => (false, bytes),
            None => match pair.inviters() {
                Some(bytes) => (true, bytes),
                None => break,
            },
        };
        for byte in bytes {
            match joiner {
                true => pair.tell_joiner(&[byte]),
                false => pair.tell_inviter(&[byte]),
            }
        }
    }
    assert_eq!(
        (pair.ends, pair.done, pair.confirmed.is_some()),
        ([None; 2], true, true)
    );
}

/// Guards crashes: broken off after any step of either side, there is nothing, or a member that has its keys; and such a one has its keys
/// by any member's statements alone, without a ticket, and with nothing said anew.
#[test]
fn broken_off_anywhere_it_is_nothing_or_a_member() {
    let steps = Pair::new().play(usize::MAX, &mut plain);
    let mut halves = 0;
    for most in 0..steps {
        let mut pair = Pair::new();
        pair.play(most, &mut plain);
        let laptop_id = DeviceId::of(&laptop());
        let members = &mut pair.durable.members;
        if !members.state().is_member(&laptop_id) || pair.durable.joined.is_some() {
            continue;
        }
        halves += 1;
        // The transport key speaks for it: ordinary sync lets it in, and brings it what it needs.
        assert_eq!(
            members.state().speaks_for(&public(&laptops_transport())),
            Some(laptop_id)
        );
        assert!(pair.inviting.admitted_device() == Some(laptop_id));
        assert!(members.state().lacking().next().is_none());
        let mut own = Members::of(members.space());
        members
            .iter()
            .for_each(|said| drop(own.insert(said.clone()).unwrap()));
        let opened = own.open_shares(&laptop(), &|_| false);
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].1.as_ref().ok().unwrap().expose(), secrets().expose());
    }
    assert!(halves > 2, "no crash came between adding and storing");
}

/// Guards a joiner that cannot keep what it was given, at any moment: from when it has asked to be added until it has stored that, and at no
/// other time, it says so, and the inviter knows whom to take back.
#[test]
fn who_gives_up_says_so_once_it_was_added() {
    let steps = Pair::new().play(usize::MAX, &mut plain);
    let mut said = 0;
    for most in 0..=steps {
        let mut pair = Pair::new();
        pair.play(most, &mut plain);
        // What is under way arrives.
        while let Some(JoinerStep::Send(bytes)) = pair.joining.poll() {
            pair.tell_inviter(&bytes);
        }
        let asked = pair.durable.prepared.is_some() && pair.durable.joined.is_none();
        pair.joining.give_up();
        let last = pair.joining.poll();
        assert_eq!(matches!(last, Some(JoinerStep::Send(_))), asked, "after {most}");
        let Some(JoinerStep::Send(bytes)) = last else {
            assert!(matches!(
                last,
                None | Some(JoinerStep::Done | JoinerStep::Prepare { .. })
            ));
            continue;
        };
        said += 1;
        assert_eq!(bytes, [0; 5]);
        // It is read once the inviter has done what was asked of it before.
        if let Some(InviterStep::Admit(request)) = pair.inviting.poll() {
            let members = &mut pair.durable.members;
            let added = members.add(&desk(), *request, &pair.durable.keyring).unwrap();
            let id = added[0].id();
            hear(members, added);
            pair.inviting.admitted(members, id).unwrap();
        }
        pair.tell_inviter(&bytes);
        assert_eq!(pair.ends[0], Some(PairError::GaveUp), "after {most}");
        assert_eq!(pair.inviting.admitted_device(), Some(DeviceId::of(&laptop())));
        assert!(pair.confirmed.is_none());
    }
    assert!(said > 2, "only {said} times");
}

/// Guards time: whoever is silent is let go, before and after the proof; a ticket ends with its time.
#[test]
fn time_runs_out() {
    let mut pair = Pair::new();
    assert_eq!(pair.inviting.tick(NOW + PROOF_SECONDS), Ok(()));
    assert_eq!(
        pair.inviting.tick(NOW + PROOF_SECONDS + 1),
        Err(PairError::TooLate)
    );
    assert_eq!(pair.inviting.tick(NOW), Err(PairError::Ended));
    assert_eq!(
        pair.joining.tick(NOW + PROOF_SECONDS + 1),
        Err(PairError::TooLate)
    );
    // A clock that was set back is no reason to end.
    let mut pair = Pair::new();
    assert_eq!(pair.inviting.tick(0), Ok(()));
    pair.play(6, &mut plain);
    assert_eq!(pair.inviting.tick(NOW + PAIRING_SECONDS), Ok(()));
    assert_eq!(
        pair.inviting.tick(NOW + PAIRING_SECONDS + 1),
        Err(PairError::TooLate)
    );
}

/// Guards the order of things: what was not asked for does nothing.
#[test]
fn nobody_runs_ahead() {
    let mut pair = Pair::new();
    assert_eq!(pair.joining.prepared(), Err(PairError::Ended));
    assert_eq!(pair.joining.stored(), Err(PairError::Ended));
    let durable = founded();
    let root = durable.keyring[0].0;
    let early = pair.inviting.admitted(&durable.members, root);
    assert_eq!(early, Err(PairError::Ended));
    pair.play(usize::MAX, &mut plain);
    assert!(pair.done);
}

/// Guards an inviter that lacks an old epoch: it invites all the same, and what the joiner lacks is known to all.
#[test]
fn an_old_epoch_that_the_inviter_lacks_comes_later() {
    let mut durable = founded();
    let (root, first) = durable.keyring.remove(0);
    let next = SpaceSecrets::random();
    let epoch = durable.members.renew(&desk(), &next).unwrap();
    hear(&mut durable.members, vec![epoch.clone()]);
    assert!(!Inviting::is_ready(&durable.members, &durable.keyring));
    durable.keyring.push((epoch.id(), first.duplicate()));
    assert!(
        !Inviting::is_ready(&durable.members, &durable.keyring),
        "others' secrets"
    );
    durable.keyring = vec![(epoch.id(), next)];
    assert!(Inviting::is_ready(&durable.members, &durable.keyring));
    let mut pair = Pair::new();
    pair.durable = durable;
    pair.inviting = invite_for(&pair.durable, public(&laptops_transport()));
    pair.play(usize::MAX, &mut plain);
    let joined = pair.durable.joined.as_ref().unwrap();
    assert_eq!(joined.keyring.len(), 1);
    let lacking: Vec<_> = joined
        .members
        .state()
        .lacking()
        .map(|(epoch, who)| (epoch.id, who))
        .collect();
    assert_eq!(lacking, [(root, vec![DeviceId::of(&laptop())])]);
}

/// Guards what knocking costs: four at once, thirty a minute, and a turn is given back when the conversation ends, however it does.
#[test]
fn conversations_are_bounded() {
    let mut tickets = Tickets::new();
    let held: Vec<Turn> = (0..TALKS_MAX).map(|_| tickets.turn(NOW).unwrap()).collect();
    assert_eq!(tickets.turn(NOW).err(), Some(TooManyTalks));
    drop(held);
    for _ in TALKS_MAX..TALKS_A_MINUTE {
        tickets.turn(NOW + 30).unwrap();
    }
    assert_eq!(tickets.turn(NOW + 59).err(), Some(TooManyTalks));
    for _ in 0..TALKS_MAX {
        tickets.turn(NOW + 60).unwrap();
    }
    assert_eq!(tickets.turn(NOW + 60).err(), Some(TooManyTalks));
    // A clock that was set back locks nobody out.
    assert!(tickets.turn(NOW - 1_000_000).is_ok());

    let mut tickets = Tickets::new();
    tickets.open(NOW, &ticket()).unwrap();
    let mut pairs: Vec<Pair> = Vec::new();
    for _ in 0..TALKS_MAX {
        let mut pair = Pair::new();
        let theirs = public(&laptops_transport());
        let (space, turn) = (pair.durable.members.space(), tickets.turn(NOW).unwrap());
        pair.inviting = Inviting::begin(
            NOW,
            turn,
            &desk(),
            space,
            public(&transport()),
            theirs,
            seeds(0x50),
        );
        pairs.push(pair);
    }
    assert!(tickets.turn(NOW).is_err());
    // One goes well, one ends by nonsense, one by time, one is dropped.
    pairs[0].play(usize::MAX, &mut plain);
    assert!(pairs[0].confirmed.is_some());
    let first = tickets.turn(NOW).unwrap();
    let nonsense = pairs[1].inviting.receive(NOW, &[0xff; 9], &mut tickets);
    assert!(nonsense.is_err());
    let second = tickets.turn(NOW).unwrap();
    assert!(pairs[2].inviting.tick(NOW + PROOF_SECONDS + 1).is_err());
    let third = tickets.turn(NOW).unwrap();
    assert!(tickets.turn(NOW).is_err());
    drop(pairs);
    let fourth = tickets.turn(NOW).unwrap();
    assert!(tickets.turn(NOW).is_err());
    drop([first, second, third, fourth]);
}
