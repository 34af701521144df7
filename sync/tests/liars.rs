//! Members that lie about chains beside honest ones: what each lie costs, and that it costs nobody else anything.

mod model;

use coffer_store::ids::ChainId;
use coffer_sync::core::limits::{CHAINS_MAX, PIECE_MAX};
use coffer_sync::core::wire::{Hello, Message, Reach};
use coffer_sync::core::{Answer, Ended, Outcome, Policy, Report, SessionId};
use model::Dice;
use model::lies::{LIAR, at, calls, chain, claim, give, live, piece, theirs, whole};
use model::lone::{Lone, THEIRS, hello};
use model::store::Store;

/// An honest peer, and so many that claim to be ahead of it: sessions.
fn crowd(lone: &mut Lone, liars: u8, id: ChainId, last: Reach) -> (SessionId, Vec<SessionId>) {
    let honest = lone.session;
    lone.open(&[(id, last)]);
    let mut all = Vec::new();
    for n in 0..liars {
        let peer = [0x40 + n; 32];
        all.push(lone.connect(peer));
        let heads = lone.store.heads();
        lone.say(&Message::Hello(Hello {
            own: chain(900),
            ..hello()
        }));
        lone.say(&Message::Heads(heads));
        lone.say(&Message::Clock {
            whole: true,
            reach: vec![(id, claim(u64::MAX - 1))],
        });
    }
    (honest, all)
}

/// A source that tells all that it has is not called off for others that claim to have more, and what it tells comes
/// at once, however many they are.
#[test]
fn a_good_source_is_not_exchanged_for_a_claim() {
    let (_, told) = theirs(40, 50);
    let mut lone = Lone::new(Policy::Everything);
    let (honest, _) = crowd(&mut lone, 20, THEIRS, at(&told[0]));
    give(&mut lone, honest, &told[0]);
    assert_eq!(calls(&mut lone, honest, THEIRS), ["want"]);
    for batch in &told[1..] {
        live(&mut lone, 5);
        give(&mut lone, honest, batch);
        assert_eq!(lone.store.clock()[&THEIRS].0, at(batch).last, "not at once");
    }
    assert!(calls(&mut lone, honest, THEIRS).is_empty());
    assert!(lone.closed.is_empty());
}

/// A source that sends a byte now and then does not stay one: only whole batches of that chain count.
#[test]
fn a_trickling_source_is_exchanged() {
    let (_, told) = theirs(1, 100_000);
    let mut lone = Lone::new(Policy::Everything);
    let liar = lone.session;
    lone.open(&[(THEIRS, at(&told[0]))]);
    let honest = lone.connect(LIAR);
    lone.open(&[(THEIRS, at(&told[0]))]);
    // It holds to whoever is the source, and trickles there.
    let source = if calls(&mut lone, liar, THEIRS).is_empty() {
        honest
    } else {
        liar
    };
    let other = if source == liar { honest } else { liar };
    let parcel = whole(&told[0]);
    for n in 0..11 {
        lone.say_in(source, &piece(&told[0], parcel.len(), n, &parcel[n..=n]));
        // Other bytes that were asked for do not count either.
        lone.say_in(source, &Message::Pong);
        lone.pass(1_000);
    }
    assert_eq!(calls(&mut lone, other, THEIRS), ["want"]);
    give(&mut lone, other, &told[0]);
    assert_eq!(lone.store.clock()[&THEIRS].0, at(&told[0]).last);
    assert!(lone.closed.is_empty());
}

/// However many claim and bring nothing, also coming back in new sessions, who has it is asked in its turn.
#[test]
fn whoever_has_it_is_asked_in_bounded_time() {
    for is_returning in [false, true] {
        let (_, told) = theirs(1, 50);
        let mut lone = Lone::new(Policy::Everything);
        // The liars are there first.
        lone.open(&[]);
        let liars: Vec<[u8; 32]> = (0..12).map(|n| [0x40 + n; 32]).collect();
        let enter = |lone: &mut Lone, peer: [u8; 32]| {
            lone.connect(peer);
            lone.open(&[(THEIRS, claim(1_000))]);
        };
        for peer in &liars {
            enter(&mut lone, *peer);
        }
        let honest = lone.connect([9; 32]);
        lone.open(&[(THEIRS, at(&told[0]))]);
        let mut waited = 0;
        while calls(&mut lone, honest, THEIRS) != ["want"] {
            live(&mut lone, 1);
            waited += 1;
            assert!(waited < 10 * 14, "it is never asked");
            if is_returning {
                enter(&mut lone, liars[waited % liars.len()]);
                lone.told.retain(|(session, _)| *session == honest);
            }
        }
        give(&mut lone, honest, &told[0]);
        assert_eq!(lone.store.clock()[&THEIRS].0, at(&told[0]).last);
        assert!(!lone.closed.contains_key(&honest));
    }
}

/// Who failed is not asked in the place of a good source again at once, but later, and later each time.
#[test]
fn who_failed_waits_longer_each_time() {
    let (_, told) = theirs(1, 50);
    let mut lone = Lone::new(Policy::Everything);
    let (honest, liars) = crowd(&mut lone, 1, THEIRS, at(&told[0]));
    give(&mut lone, honest, &told[0]);
    let mut wants = 0;
    for _ in 0..3_600 {
        lone.pass(500);
        let said = calls(&mut lone, liars[0], THEIRS);
        wants += said.iter().filter(|said| **said == "want").count();
        if lone.now.is_multiple_of(20_000) {
            lone.say_in(honest, &Message::Pong);
            lone.say_in(liars[0], &Message::Pong);
        }
    }
    assert!((3..=7).contains(&wants), "{wants} in half an hour");
}

/// Chains that a session names and of which nothing is here are forgotten with it; and nobody who names other chains
/// is ended for them.
#[test]
fn claimed_chains_are_forgotten_and_fill_nothing() {
    let (_, told) = theirs(1, 50);
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    let before = lone.node.held_bytes();
    let mut liars = Vec::new();
    for n in 0..3u8 {
        liars.push(lone.connect([0x40 + n; 32]));
        lone.open(&[]);
        for from in (0..CHAINS_MAX as u32 - 536).step_by(1_000) {
            let from = from + u32::from(n) * 1_000_000;
            let reach = (from..from + 1_000).map(|n| (chain(n), claim(5))).collect();
            lone.say(&Message::Clock { whole: false, reach });
        }
    }
    let honest = lone.connect([9; 32]);
    lone.open(&[(THEIRS, at(&told[0])), (chain(77_000_000), claim(4))]);
    assert!(lone.closed.is_empty(), "{:?}", lone.closed);
    assert_eq!(calls(&mut lone, honest, chain(77_000_000)), ["want"]);
    lone.told.clear();
    assert!(
        lone.node.held_bytes() < 3 * (9 << 20),
        "{}",
        lone.node.held_bytes()
    );
    give(&mut lone, honest, &told[0]);
    assert_eq!(lone.store.clock()[&THEIRS].0, at(&told[0]).last);
    for session in liars.into_iter().chain([honest]) {
        lone.node.disconnected(lone.now, session);
        lone.settle();
    }
    assert!(
        lone.node.held_bytes() < before + 2_000,
        "{}",
        lone.node.held_bytes()
    );
    assert_eq!(lone.node.progress(lone.now).events, 0);
}

/// A part of a batch that its sender left is gone on with; if it was false, nobody is ended, and the next one sends
/// it from the beginning.
#[test]
fn false_parts_of_batches_end_nobody_else() {
    let (_, told) = theirs(1, 300_000);
    let parcel = whole(&told[0]);
    // False bytes; or a false total.
    for total in [parcel.len(), parcel.len() + 5, parcel.len() - 5] {
        let mut lone = Lone::new(Policy::Everything);
        let liar = lone.session;
        lone.open(&[(THEIRS, at(&told[0]))]);
        assert_eq!(calls(&mut lone, liar, THEIRS), ["want"]);
        lone.say(&piece(&told[0], total, 0, &[0xbb; 50_000]));
        lone.node.disconnected(lone.now, liar);
        lone.settle();
        let honest = lone.connect([9; 32]);
        lone.open(&[(THEIRS, at(&told[0]))]);
        let mut begun = 0;
        while lone.store.clock().is_empty() {
            let wants = lone.told(honest, |message| match message {
                Message::Want(wanted) => Some(wanted[0].resume.map_or(0, |resume| resume.offset as usize)),
                _ => None,
            });
            let Some(from) = wants.last().copied() else {
                panic!("it is not asked again");
            };
            begun += 1;
            for at in (from..parcel.len()).step_by(PIECE_MAX) {
                let data = &parcel[at..(at + PIECE_MAX).min(parcel.len())];
                lone.say(&piece(&told[0], parcel.len(), at, data));
            }
            assert!(begun < 4, "again and again");
        }
        assert_eq!(lone.closed.len(), 1, "{:?}", lone.closed);
        assert_eq!(begun, 2, "the part was not gone on with");
    }
    // Who sends all of it, and other bytes than its token's, is ended.
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[(THEIRS, at(&told[0]))]);
    lone.say(&piece(&told[0], 50_000, 0, &[0xbb; 50_000]));
    assert!(matches!(lone.why(), Some(Ended::Forged(_))));
}

/// A small part of another takes no other's place; and a flood of parts pushes out the flooder's alone.
#[test]
fn a_part_is_not_lost_to_another_ones() {
    let (_, told) = theirs(1, 300_000);
    let parcel = whole(&told[0]);
    let mut lone = Lone::new(Policy::Everything);
    let honest = lone.session;
    lone.open(&[(THEIRS, at(&told[0]))]);
    for at in [0, PIECE_MAX, 2 * PIECE_MAX] {
        lone.say(&piece(&told[0], parcel.len(), at, &parcel[at..at + PIECE_MAX]));
    }
    lone.node.disconnected(lone.now, honest);
    for n in 0..30u8 {
        lone.connect(LIAR);
        lone.open(&[(THEIRS, at(&told[0]))]);
        lone.say(&Message::BatchPiece {
            chain: THEIRS,
            first: 1,
            token: [n; 16],
            total: 16 << 20,
            offset: 0,
            data: &[1; PIECE_MAX],
        });
        lone.node.disconnected(lone.now, lone.session);
    }
    let honest = lone.connect([2; 32]);
    lone.open(&[(THEIRS, at(&told[0]))]);
    let from = lone.told(honest, |message| match message {
        Message::Want(wanted) => wanted[0].resume.map(|resume| resume.offset as usize),
        _ => None,
    });
    assert_eq!(from, [3 * PIECE_MAX]);
}

/// Batches that wait count with their holes, and who sent the most gives way: not who sent little, also when a
/// sender has left.
#[test]
fn who_sent_most_of_what_waits_gives_way() {
    let mut dice = Dice(2);
    let (_, told) = theirs(3, 100);
    let mut lone = Lone::new(Policy::Everything);
    // An honest one's second batch waits for its first, which another brings.
    let honest = lone.session;
    lone.store.members.remove(&THEIRS);
    lone.open(&[(THEIRS, at(&told[2]))]);
    for batch in &told {
        give(&mut lone, honest, batch);
    }
    assert_eq!(lone.store.too_early, 1);
    let liar = lone.connect(LIAR);
    lone.open(&[]);
    for n in 0..600 {
        let mut fake = Store::new(chain(n), Policy::Everything);
        let batch = fake.tell(&mut dice, 30_000, &[]);
        lone.say(&Message::Clock {
            whole: false,
            reach: vec![(chain(n), at(&batch))],
        });
        give(&mut lone, liar, &batch);
    }
    lone.say_in(honest, &Message::Pong);
    let most = lone.node.held_bytes();
    assert!(most < 20 << 20, "{most}");
    // What membership lacked is here: all three are taken, and none is asked for again.
    lone.store.members.insert(THEIRS, [2; 32]);
    lone.told.clear();
    let heads = lone.store.heads();
    lone.node.members(lone.now, heads, &[]);
    lone.settle();
    assert_eq!(lone.store.clock()[&THEIRS].0, at(&told[2]).last);
    assert!(calls(&mut lone, honest, THEIRS).is_empty());
    // What of a chain waits that nobody names any more goes.
    lone.node.disconnected(lone.now, liar);
    lone.settle();
    assert!(lone.node.held_bytes() < 100_000, "{}", lone.node.held_bytes());
}

/// Holes cannot take more room here than on their way.
#[test]
fn holes_take_no_room() {
    let mut parcel = vec![1u8];
    parcel.extend([7; 96]);
    // 8 million holes of a byte each.
    parcel.extend([0x80, 0x80, 0x80, 0x04]);
    parcel.extend([1; 16 << 20]);
    assert!(coffer_sync::core::wire::unpack(THEIRS, 1, &parcel).is_err());
}

/// A peer has named a number that this device reaches later, with another hash: that is seen then.
#[test]
fn forks_are_seen_when_the_number_is_reached() {
    let (_, told) = theirs(2, 50);
    let mut lone = Lone::new(Policy::Everything);
    let honest = lone.session;
    lone.open(&[(THEIRS, at(&told[1]))]);
    let other = lone.connect(LIAR);
    let reach = Reach {
        head: [1; 8],
        ..at(&told[1])
    };
    lone.open(&[(THEIRS, reach)]);
    let forked = |lone: &Lone| {
        lone.reports.contains(&Report::Forked {
            chain: THEIRS,
            peer: LIAR,
        })
    };
    give(&mut lone, honest, &told[0]);
    assert!(!forked(&lone));
    give(&mut lone, honest, &told[1]);
    assert!(forked(&lone) && lone.closed.is_empty());
    assert!(!lone.reports.contains(&Report::Forked {
        chain: THEIRS,
        peer: [2; 32]
    }));
    assert!(other != honest);
}

/// What the store finds to be forged when its sender has left already is asked of another at once.
#[test]
fn what_a_sender_that_left_had_forged_is_asked_of_another() {
    let (_, told) = theirs(1, 50);
    let mut forged = (*told[0]).clone();
    forged.row.signature[0] ^= 1;
    let mut lone = Lone::new(Policy::Everything);
    let liar = lone.session;
    lone.open(&[(THEIRS, at(&told[0]))]);
    let honest = lone.connect([9; 32]);
    lone.open(&[(THEIRS, at(&told[0]))]);
    lone.is_stuck = true;
    give(&mut lone, liar, &forged.into());
    lone.node.disconnected(lone.now, liar);
    lone.settle();
    lone.is_stuck = false;
    let why = "it is not what was signed".to_owned();
    lone.node.answer(lone.now, Answer::TakenIn(Outcome::Forged(why)));
    lone.settle();
    assert_eq!(calls(&mut lone, honest, THEIRS).last(), Some(&"want"));
    give(&mut lone, honest, &told[0]);
    assert_eq!(lone.store.clock()[&THEIRS].0, at(&told[0]).last);
}
