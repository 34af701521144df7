//! A member that breaks the protocol: its session ends for a reason that is said, memory stays bounded, and other
//! sessions go on.

mod model;

use coffer_store::ids::ChainId;
use coffer_sync::core::limits::{BATCH_MAX, CHAINS_MAX, CHUNK_MAX, PIECE_MAX, WINDOW};
use coffer_sync::core::wire::{CRITICAL, Goodbye, Hello, Message, Parcel, Reach, Wanted, framed};
use coffer_sync::core::{Ended, Policy, Report, SessionId};
use model::lone::{Lone, THEIRS, hello};
use model::store::Store;
use model::{Dice, store};

fn reach(last: u64) -> Reach {
    Reach { last, head: [9; 8] }
}

fn chain(n: u32) -> ChainId {
    let mut id = [0xee; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    ChainId(id)
}

/// Nothing but a first message opens a session, and each wrong one has its own reason.
#[test]
fn the_first_message_decides() {
    let wrong: [(Hello, Ended, Goodbye); 2] = [
        (
            Hello {
                versions: (3, 9),
                ..hello()
            },
            Ended::Versions(3, 9),
            Goodbye::Version,
        ),
        (
            Hello {
                space: coffer_store::ids::SpaceId([8; 16]),
                ..hello()
            },
            Ended::Space,
            Goodbye::Space,
        ),
    ];
    for (hello, why, goodbye) in wrong {
        let mut lone = Lone::new(Policy::Everything);
        lone.say(&Message::Hello(hello));
        assert_eq!(lone.why(), Some(&why));
        // Who is of another space learns nothing but who this is.
        assert_eq!(lone.said.len(), 2, "{:?}", lone.said);
        assert_eq!(lone.goodbye(), Some(goodbye));
    }
    let mut lone = Lone::new(Policy::Everything);
    lone.say(&Message::Ping);
    assert!(matches!(lone.why(), Some(Ended::Order(_))));
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    lone.say(&Message::Hello(hello()));
    assert!(matches!(lone.why(), Some(Ended::Order(_))));
    let mut lone = Lone::new(Policy::Everything);
    lone.pass(10_000);
    assert_eq!(lone.why(), Some(&Ended::NoHello));
}

/// Unknown kinds are passed over or end the session, by their bit.
#[test]
fn unknown_kinds_are_passed_over_unless_they_are_critical() {
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    for kind in (1..CRITICAL).filter(|kind| *kind != 0x0e) {
        lone.receive(&framed(&[kind, 1, 2, 3]));
    }
    assert_eq!(lone.why(), None);
    lone.receive(&framed(&[0xff]));
    assert!(matches!(lone.why(), Some(Ended::Malformed(_))));
    assert_eq!(lone.goodbye(), Some(Goodbye::Protocol));
}

/// Messages of unknown kinds are under no credit: so there are a megabyte of them, and a kilobyte a second, then the session ends. Within that, they do
/// nothing, also before the first message.
#[test]
fn unknown_kinds_are_bounded() {
    let strange = framed(&[0x01; 60_000]);
    let mut lone = Lone::new(Policy::Everything);
    lone.receive(&framed(&[0x7f]));
    lone.open(&[]);
    // A newer program's, two hours long.
    for _ in 0..3_600 {
        lone.receive(&framed(&[0x0d; 2_000]));
        lone.pass(2_000);
        lone.say(&Message::Ping);
    }
    let held = lone.node.held_bytes();
    for n in 0..18 {
        assert_eq!(lone.why(), None, "{n}");
        lone.receive(&strange);
    }
    assert!(matches!(lone.why(), Some(Ended::TooMany(_))), "{:?}", lone.why());
    assert!(lone.node.held_bytes() <= held);
}

/// Random bytes never panic, and end a session with little held.
#[test]
fn garbage_ends_the_session() {
    let mut dice = Dice(4);
    let mut ended = 0;
    for round in 0..2_000 {
        let mut lone = Lone::new(Policy::Everything);
        if round % 2 == 0 {
            lone.open(&[(THEIRS, reach(5))]);
        }
        for _ in 0..20 {
            let mut frame = dice.blob(1 + round % 300);
            if round % 3 > 0 {
                frame[0] = 0x81 + (dice.below(0x14) as u8);
            }
            lone.receive(&framed(&frame));
        }
        ended += usize::from(lone.why().is_some());
        assert!(lone.most_held < 1 << 20, "{}", lone.most_held);
    }
    assert!(ended > 1_900, "{ended}");
}

/// Frames cut and shifted by a byte are no frames.
#[test]
fn a_stream_out_of_phase_ends() {
    let messages = [
        Message::Heads(vec![[1; 32]]),
        Message::Ping,
        Message::Credit(1 << 30),
    ];
    let stream: Vec<u8> = messages
        .iter()
        .cycle()
        .take(300)
        .flat_map(|m| framed(&m.encode()))
        .collect();
    for shift in 1..30 {
        let mut lone = Lone::new(Policy::Everything);
        lone.open(&[]);
        lone.receive(&stream[shift..]);
        let is_over = lone.why().is_some();
        // Or it waits for the end of a frame that is none, and holds no more than that.
        assert!(is_over || lone.most_held < 200_000, "{shift}");
    }
}

/// A length makes no room: what is held is what came.
#[test]
fn inflated_lengths_make_no_room() {
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[(THEIRS, reach(9))]);
    lone.say(&Message::BatchPiece {
        chain: THEIRS,
        first: 1,
        token: [1; 16],
        total: BATCH_MAX as u32,
        offset: 0,
        data: &[7; 100],
    });
    lone.say(&Message::Chunk {
        id: [1; 32],
        total: CHUNK_MAX as u32,
        offset: 0,
        data: &[1; 10],
    });
    assert_eq!(lone.why(), None);
    assert!(lone.most_held < 100_000, "{}", lone.most_held);
    // What is longer than its kind allows is no message.
    lone.say(&Message::BatchPiece {
        chain: THEIRS,
        first: 1,
        token: [1; 16],
        total: BATCH_MAX as u32 + 1,
        offset: 0,
        data: &[7; 100],
    });
    assert!(matches!(lone.why(), Some(Ended::Malformed(_))));
}

/// A peer that was given credit for two megabytes cannot make more be held, whatever the store does.
#[test]
fn more_than_there_was_credit_for_ends_the_session() {
    for is_stuck in [false, true] {
        let mut lone = Lone::new(Policy::Everything);
        lone.open(&[(THEIRS, reach(1_000_000))]);
        lone.is_stuck = is_stuck;
        let mut dice = Dice(1);
        let mut theirs = Store::new(THEIRS, Policy::Everything);
        let mut sent = 0u64;
        while lone.why().is_none() && sent < 4 * WINDOW {
            let batch = Parcel::new(theirs.tell(&mut dice, 50_000, &[]));
            let row = &batch.carried.row;
            let parcel = batch.piece(0, PIECE_MAX);
            sent += parcel.len() as u64;
            lone.say(&Message::Batch {
                chain: THEIRS,
                first: row.first,
                parcel: &parcel,
            });
            assert!(lone.node.held_bytes() < 3 << 20, "{}", lone.node.held_bytes());
        }
        let expected = is_stuck.then_some(Ended::Overrun);
        assert_eq!(lone.why(), expected.as_ref(), "after {sent} bytes");
    }
}

/// Bytes that nobody asked for are borne for a while, and never held.
#[test]
fn endless_streams_that_nobody_asked_for_end() {
    let chunk = |_: u64| Message::Chunk {
        id: [1; 32],
        total: PIECE_MAX as u32,
        offset: 0,
        data: &[1; PIECE_MAX],
    };
    let batch = |_: u64| Message::Batch {
        chain: ChainId([4; 16]),
        first: 1,
        parcel: &[1; PIECE_MAX],
    };
    // Each begins anew, and never ends.
    let piece = |n: u64| Message::BatchPiece {
        chain: THEIRS,
        first: 1,
        token: [n as u8; 16],
        total: 200_000,
        offset: if n.is_multiple_of(2) { 0 } else { 61_440 },
        data: &[1; PIECE_MAX],
    };
    let streams: [&dyn Fn(u64) -> Message<'static>; 3] = [&chunk, &batch, &piece];
    for (which, stream) in streams.iter().enumerate() {
        let mut lone = Lone::new(Policy::Everything);
        lone.open(&[(THEIRS, reach(9))]);
        let mut n = 0;
        while lone.why().is_none() && n < 20_000 {
            lone.say(&stream(n));
            n += 1;
        }
        assert_eq!(lone.why(), Some(&Ended::Unasked), "stream {which}");
        assert!(lone.most_held < 1 << 20, "stream {which}: {}", lone.most_held);
    }
}

/// A peer that begins every chunk that it is asked for, and ends none.
#[test]
fn chunks_begun_and_never_ended_are_held_within_bounds() {
    let mut dice = Dice(1);
    let mut theirs = Store::new(THEIRS, Policy::Everything);
    let root = theirs.add_file(&mut dice, &[10; 200]);
    let batch = theirs.tell(&mut dice, 10, &[root]);
    let mut lone = Lone::new(Policy::Everything);
    assert_eq!(lone.store.take_in(&batch), coffer_sync::core::Outcome::Taken);
    lone.store.chunks.insert(root, theirs.chunks[&root].clone());
    let missing = lone.store.missing();
    lone = Lone::of(lone.store, dice);
    lone.open(&[]);
    let mut most = 0;
    for round in 0..3 {
        for id in &missing {
            for n in 0..17 {
                lone.say(&Message::Chunk {
                    id: *id,
                    total: 18 * PIECE_MAX as u32,
                    offset: n * PIECE_MAX as u32,
                    data: &[round; PIECE_MAX],
                });
                most = most.max(lone.node.held_bytes());
            }
        }
    }
    assert!(
        lone.why().is_none_or(|why| *why == Ended::Unasked),
        "{:?}",
        lone.why()
    );
    assert!((2 << 20..28 << 20).contains(&most), "{most}");
}

/// A million chunks are more than anybody may want at a time, and answers cost no memory while they are not read.
#[test]
fn wants_of_a_million_chunks_end_the_session() {
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    lone.is_stuck = true;
    let wants = |n: u32| Message::WantChunks {
        urgent: false,
        chunks: (0..1_000).map(|m| ([(n * 7 + m % 251) as u8; 32], 0)).collect(),
    };
    for n in 0..1_000 {
        lone.say(&wants(n));
    }
    assert!(matches!(lone.why(), Some(Ended::TooMany(_))));
    assert!(lone.most_held < 1 << 20);
    // One that asks and never reads.
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    lone.is_deaf = true;
    for n in 0..60_000u32 {
        let id = *blake3::hash(&n.to_le_bytes()).as_bytes();
        lone.say(&Message::WantChunks {
            urgent: true,
            chunks: vec![(id, 0)],
        });
        lone.say(&Message::Ping);
    }
    assert!(
        matches!(lone.why(), Some(Ended::Flood | Ended::TooMany(_))),
        "{:?}",
        lone.why()
    );
    assert!(lone.most_held < 2 << 20, "{}", lone.most_held);
    // And one that asks what is held, again and again.
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    lone.is_stuck = true;
    for serial in 0..100 {
        lone.say(&Message::Ask {
            serial,
            ids: vec![[1; 32]; 1_000],
        });
    }
    assert!(matches!(lone.why(), Some(Ended::TooMany(_))));
    assert!(lone.requests < 40);
}

/// A clock names 65,536 chains at most.
#[test]
fn a_clock_of_a_million_chains_ends_the_session() {
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    let mut n = 0;
    while lone.why().is_none() && n < 1_000_000 {
        let reach = (n..n + 1_000).map(|n| (chain(n), reach(u64::MAX - 1))).collect();
        lone.say(&Message::Clock { whole: false, reach });
        n += 1_000;
    }
    assert!(matches!(lone.why(), Some(Ended::TooMany(_))));
    assert!(n as usize <= CHAINS_MAX + 1_000);
    assert!(lone.most_held < 32 << 20, "{}", lone.most_held);
    let sum = lone.node.progress(lone.now);
    assert_eq!((sum.peers, sum.events), (0, 0));
}

/// Positions beyond what was ever sent, credit at the end of numbers, wants from the end of numbers: nothing overflows.
#[test]
fn numbers_at_their_ends_do_nothing() {
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[(THEIRS, reach(u64::MAX - 1))]);
    let own = lone.store.own;
    let mut dice = Dice(5);
    let batch = lone.store.tell(&mut dice, 10, &[]);
    lone.node.told(lone.now, batch);
    lone.settle();
    let want = |after| {
        Message::Want(vec![Wanted {
            chain: own,
            after,
            resume: None,
        }])
    };
    for after in [u64::MAX, u64::MAX - 1, 0] {
        lone.say(&want(after));
    }
    for credit in [u64::MAX, 0, 5, u64::MAX - 1] {
        lone.say(&Message::Credit(credit));
    }
    let sent = lone.take(|message| matches!(message, Message::Batch { .. }).then_some(()));
    assert_eq!(sent.len(), 1);
    lone.say(&Message::Held {
        serial: 7,
        bits: vec![1],
    });
    assert!(matches!(lone.why(), Some(Ended::Order(_))));
}

/// That others have more of this device's own chain has to be proven, by what only this device can have signed: else
/// a peer could make it begin chains without end.
#[test]
fn only_its_own_signature_makes_a_device_begin_a_chain() {
    let mut dice = Dice(1);
    let own = ChainId([1; 16]);
    let mut store = Store::new(own, Policy::Everything);
    store.state(&mut dice, own);
    store.tell(&mut dice, 10, &[]);
    let mut later = store.clone();
    let lost = later.tell(&mut dice, 10, &[]);
    let mut altered = (*lost).clone();
    altered.row.signature[0] ^= 1;
    for (brings, begins) in [(lost.clone(), true), (altered.into(), false)] {
        let mut lone = Lone::of(store.clone(), dice.clone());
        lone.open(&[(own, reach(later.clock()[&own].0))]);
        let wants = lone.take(|message| match message {
            Message::Want(wanted) => wanted.iter().find(|one| one.chain == own).map(|one| one.after),
            _ => None,
        });
        assert_eq!(wants, [store.clock()[&own].0]);
        assert_eq!(lone.store.own, own);
        let first = brings.row.first;
        let parcel = Parcel::new(brings).piece(0, PIECE_MAX);
        lone.say(&Message::Batch {
            chain: own,
            first,
            parcel: &parcel,
        });
        assert_eq!(lone.store.own != own, begins);
        let behind = lone
            .reports
            .iter()
            .filter(|report| matches!(report, Report::Behind { .. }));
        assert_eq!((behind.count() == 1, lone.why().is_none()), (begins, begins));
        if begins {
            // What was lost comes back, as another chain's.
            lone.say(&Message::Batch {
                chain: own,
                first,
                parcel: &parcel,
            });
            assert_eq!(lone.store.clock()[&own].0, later.clock()[&own].0);
        }
    }
}

/// What is not what was signed ends the session that brought it; others go on, and bring it right.
#[test]
fn forged_events_end_the_session() {
    let mut lone = Lone::new(Policy::Everything);
    let mut dice = Dice(1);
    let mut theirs = Store::new(THEIRS, Policy::Everything);
    let carried = theirs.tell(&mut dice, 100, &[]);
    let (last, head) = theirs.clock()[&THEIRS];
    let mut short = [0; 8];
    short.copy_from_slice(&head[..8]);
    lone.open(&[(THEIRS, Reach { last, head: short })]);
    let honest = Parcel::new(carried.clone());
    let mut altered = (*carried).clone();
    *altered.bytes.last_mut().unwrap() ^= 1;
    let altered = Parcel::new(altered.into());
    let batch = |parcel: &Parcel| parcel.piece(0, PIECE_MAX);
    lone.say(&Message::Batch {
        chain: THEIRS,
        first: 1,
        parcel: &batch(&altered),
    });
    assert!(matches!(lone.why(), Some(Ended::Forged(_))));
    assert_eq!(lone.goodbye(), Some(Goodbye::Forged));
    lone.connect([2; 32]);
    lone.open(&[(THEIRS, Reach { last, head: short })]);
    lone.say(&Message::Batch {
        chain: THEIRS,
        first: 1,
        parcel: &batch(&honest),
    });
    assert_eq!(lone.why(), None);
    assert_eq!(lone.store.clock()[&THEIRS].0, last);
}

/// Nothing but statements is asked of a peer until those that it has are here; and one that names some and gives none
/// is reported, and used all the same.
#[test]
fn statements_come_before_anything_else() {
    for gives in [true, false] {
        let mut lone = Lone::new(Policy::Everything);
        let mut other = lone.store.clone();
        other.state(&mut Dice(9), chain(9));
        lone.say(&Message::Hello(hello()));
        lone.say(&Message::Heads(other.heads()));
        lone.say(&Message::Clock {
            whole: true,
            reach: vec![(THEIRS, reach(5))],
        });
        let wants = |lone: &mut Lone| {
            lone.take(|message| match message {
                Message::WantStatements { want, .. } => Some(want),
                Message::Want(_) => Some(Vec::new()),
                _ => None,
            })
        };
        assert_eq!(wants(&mut lone), [other.heads()]);
        if gives {
            let new = other.statements[&other.heads()[0]].clone();
            let (total, half) = (new.len() as u32, new.len() / 2);
            for (offset, data) in [(0, &new[..half]), (half as u32, &new[half..])] {
                lone.say(&Message::Statement { total, offset, data });
            }
        }
        assert!(wants(&mut lone).is_empty());
        let (total, offset, data) = (0, 0, &[][..]);
        lone.say(&Message::Statement { total, offset, data });
        // The chain is asked for by then, and no statement once more.
        assert_eq!(wants(&mut lone), [Vec::<[u8; 32]>::new()]);
        let withheld = lone.reports.contains(&Report::Withheld { peer: [2; 32] });
        assert_eq!((lone.store.heads() == other.heads(), withheld), (gives, !gives));
        assert_eq!(lone.why(), None);
    }
}

/// Two histories of a chain: it stops there, is reported once, and the session goes on.
#[test]
fn a_fork_stops_that_chain_alone() {
    let mut dice = Dice(1);
    let mut theirs = Store::new(THEIRS, Policy::Everything);
    let mut other = theirs.clone();
    let mut third = Store::new(chain(3), Policy::Everything);
    let (one, two) = (theirs.tell(&mut dice, 10, &[]), other.tell(&mut dice, 20, &[]));
    let more = other.tell(&mut dice, 5, &[]);
    let good = third.tell(&mut dice, 5, &[]);
    let at = |store: &Store| {
        let (id, (last, head)) = store.clock().into_iter().next().unwrap();
        (
            id,
            Reach {
                last,
                head: head[..8].try_into().unwrap(),
            },
        )
    };
    let mut mine = Store::new(ChainId([1; 16]), Policy::Everything);
    [ChainId([1; 16]), THEIRS, chain(3)]
        .iter()
        .for_each(|id| mine.state(&mut dice, *id));
    assert_eq!(mine.take_in(&one), coffer_sync::core::Outcome::Taken);
    let mut lone = Lone::of(mine, dice);
    lone.open(&[at(&other), at(&third)]);
    let next = one.row.last().unwrap() + 1;
    if more.row.first == next {
        let parcel = Parcel::new(more).piece(0, PIECE_MAX);
        lone.say(&Message::Batch {
            chain: THEIRS,
            first: next,
            parcel: &parcel,
        });
    } else {
        let parcel = Parcel::new(two).piece(0, PIECE_MAX);
        lone.say(&Message::Batch {
            chain: THEIRS,
            first: 1,
            parcel: &parcel,
        });
        lone.say(&Message::Clock {
            whole: false,
            reach: vec![(
                THEIRS,
                Reach {
                    last: next - 1,
                    head: [1; 8],
                },
            )],
        });
    }
    let parcel = Parcel::new(good).piece(0, PIECE_MAX);
    lone.say(&Message::Batch {
        chain: chain(3),
        first: 1,
        parcel: &parcel,
    });
    assert_eq!(lone.why(), None);
    assert!(lone.store.clock().contains_key(&chain(3)));
    assert_eq!(lone.store.clock()[&THEIRS].1, one.row.head);
}

/// A device that connects without end has four sessions at most, and the newest work.
#[test]
fn connections_of_one_peer_are_bounded() {
    let mut lone = Lone::new(Policy::Everything);
    for _ in 0..10_000 {
        lone.connect([2; 32]);
        lone.settle();
    }
    assert_eq!(lone.node.peers().len(), 4);
    assert_eq!(lone.closed.get(&SessionId(2)), Some(&Ended::Replaced));
    lone.open(&[]);
    assert_eq!(lone.why(), None);
    assert!(lone.node.held_bytes() < 100_000);
}

/// Who is removed is told so, by every session.
#[test]
fn a_removed_device_is_out() {
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    lone.node.expel(0, [2; 32]);
    lone.settle();
    assert_eq!(lone.why(), Some(&Ended::Removed));
    assert_eq!(lone.goodbye(), Some(Goodbye::Removed));
    assert_eq!(store::SPACE, hello().space);
}

/// A chain has one source: when another peer has news that the source does not tell, it is asked in its place, and the
/// former source is told to stop.
#[test]
fn a_chain_is_asked_of_one_peer_at_a_time() {
    let mut lone = Lone::new(Policy::Everything);
    let (first, id) = (lone.session, chain(5));
    lone.open(&[(id, reach(4))]);
    lone.connect([3; 32]);
    lone.open(&[(id, reach(4))]);
    let calls = |lone: &mut Lone| {
        lone.take(|message| match message {
            Message::Want(wanted) => wanted.iter().any(|one| one.chain == id).then_some("want"),
            Message::Stop(chains) => chains.contains(&id).then_some("stop"),
            _ => None,
        })
    };
    assert_eq!(calls(&mut lone), ["want"]);
    // The source sends nothing: it is another's turn.
    lone.pass(9_999);
    assert!(calls(&mut lone).is_empty());
    lone.pass(1);
    let mut both = calls(&mut lone);
    both.sort_unstable();
    assert_eq!(both, ["stop", "want"]);
    // What the former source sends all the same counts for nothing.
    lone.session = first;
    lone.say(&Message::Batch {
        chain: id,
        first: 1,
        parcel: &[1; 200],
    });
    assert_eq!((lone.why(), lone.node.repeated()), (None, 1));
}

/// A silent peer is asked whether it is there, and then held to be gone; one that answers stays.
#[test]
fn silent_peers_end() {
    let mut lone = Lone::new(Policy::Everything);
    lone.open(&[]);
    for _ in 0..5 {
        lone.pass(30_000);
        let pings = lone.take(|message| (message == Message::Ping).then_some(()));
        assert_eq!(pings.len(), 1);
        lone.say(&Message::Pong);
    }
    lone.pass(89_999);
    assert_eq!(lone.why(), None);
    lone.pass(1);
    assert_eq!(lone.why(), Some(&Ended::Silent));
}
