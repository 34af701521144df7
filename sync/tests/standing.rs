//! What membership says of a peer: whose chain is whose, and who brings statements alone.

mod model;

use coffer_sync::core::wire::{Goodbye, Hello, LIMITED, Message};
use coffer_sync::core::{Access, Ended, Policy, SessionId, Standing, Urgency};
use model::Dice;
use model::lies::{LIAR, calls, chain, claim, theirs};
use model::lone::{Lone, THEIRS, certified, hello};

/// A peer that says that it tells on another device's chain is ended; on one that membership does not know, it is not
/// believed until membership says so.
#[test]
fn its_own_chain_has_to_be_its_own() {
    let (_, told) = theirs(1, 50);
    let mut lone = Lone::new(Policy::Everything);
    lone.store.state_of(&mut Dice(3), chain(7), [7; 32]);
    lone.connect(LIAR);
    lone.say(&Message::Hello(Hello {
        own: chain(7),
        ..hello()
    }));
    assert!(matches!(lone.why(), Some(Ended::Order(_))));
    // A new chain: nobody's yet.
    let enter = |lone: &mut Lone| {
        let session = lone.connect(LIAR);
        let heads = lone.store.heads();
        lone.say(&Message::Hello(Hello {
            own: chain(8),
            ..hello()
        }));
        lone.say(&Message::Heads(heads));
        lone.say(&Message::Clock {
            whole: true,
            reach: vec![],
        });
        session
    };
    let session = enter(&mut lone);
    assert!(calls(&mut lone, session, chain(8)).is_empty());
    for owner in [LIAR, [7; 32]] {
        let session = enter(&mut lone);
        lone.told.clear();
        let mut store = lone.store.clone();
        store.state_of(&mut Dice(3), chain(8), owner);
        let certified = store.certified(LIAR);
        let standing = Standing {
            peer: LIAR,
            certified,
            access: Access::Full,
        };
        lone.node.members(lone.now, store.heads(), &[standing]);
        lone.settle();
        let is_its = owner == LIAR;
        assert_eq!(calls(&mut lone, session, chain(8)).contains(&"want"), is_its);
        assert_eq!(lone.why().is_none(), is_its);
    }
    assert!(!told.is_empty());
}

fn limited(access: Access) -> (Lone, SessionId) {
    let mut lone = Lone::new(Policy::Everything);
    let mut dice = Dice(5);
    let batch = lone.store.tell(&mut dice, 10, &[]);
    lone.node.told(lone.now, batch);
    let certified = certified(&lone.store, LIAR);
    lone.session = lone.node.connect(lone.now, LIAR, certified, access);
    lone.told.clear();
    lone.settle();
    (lone, SessionId(2))
}

fn kinds(lone: &mut Lone, session: SessionId) -> Vec<u8> {
    lone.told(session, |message| Some(message.encode()[0]))
}

/// A device that was removed by its juniors alone brings and gets statements, and nothing else.
#[test]
fn a_limited_session_knows_statements_alone() {
    let (mut lone, session) = limited(Access::Statements);
    let mut other = lone.store.clone();
    other.state(&mut Dice(9), chain(9));
    let said = lone.told(session, |message| match message {
        Message::Hello(hello) => Some(hello.features),
        _ => None,
    });
    assert_eq!(said, [LIMITED]);
    lone.say(&Message::Hello(hello()));
    lone.say(&Message::Heads(other.heads()));
    let new = other.statements[&other.heads()[0]].clone();
    lone.say(&Message::Statement {
        total: new.len() as u32,
        offset: 0,
        data: &new,
    });
    lone.say(&Message::Statement {
        total: 0,
        offset: 0,
        data: &[],
    });
    lone.say(&Message::WantStatements {
        want: other.heads(),
        have: vec![],
    });
    lone.say(&Message::Ping);
    assert_eq!(lone.store.heads(), other.heads());
    assert!(lone.node.confirm(lone.now, &[[1; 32]]) || lone.node.peers().len() == 2);
    lone.node.want(lone.now, [1; 32], Urgency::Bulk, 10);
    lone.pass(20_000);
    let kinds = kinds(&mut lone, session);
    assert!(
        kinds
            .iter()
            .all(|kind| [0x82, 0x83, 0x84, 0x89, 0x91, 0x92].contains(kind)),
        "{kinds:x?}"
    );
    assert_eq!(lone.why(), None);
    let wrong = [
        Message::Clock {
            whole: true,
            reach: vec![],
        },
        Message::Want(vec![coffer_sync::core::wire::Wanted {
            chain: THEIRS,
            after: 0,
            resume: None,
        }]),
        Message::Stop(vec![THEIRS]),
        Message::Batch {
            chain: THEIRS,
            first: 1,
            parcel: &[1; 200],
        },
        Message::WantChunks {
            urgent: true,
            chunks: vec![([1; 32], 0)],
        },
        Message::DropChunks(vec![[1; 32]]),
        Message::Chunk {
            id: [1; 32],
            total: 5,
            offset: 0,
            data: &[1; 5],
        },
        Message::NotHere(vec![[1; 32]]),
        Message::Here(vec![[1; 32]]),
        Message::Ask {
            serial: 1,
            ids: vec![[1; 32]],
        },
        Message::Held {
            serial: 1,
            bits: vec![1],
        },
    ];
    for message in wrong {
        let (mut lone, _) = limited(Access::Statements);
        lone.say(&Message::Hello(hello()));
        lone.say(&message);
        assert!(matches!(lone.why(), Some(Ended::Order(_))), "{message:?}");
    }
}

/// Access that grows goes on in the same session, with a clock; access that shrinks ends it. Who hears that there are
/// statements alone says no clock until it hears one.
#[test]
fn access_changes_with_membership() {
    let (mut lone, session) = limited(Access::Statements);
    lone.say(&Message::Hello(hello()));
    lone.pass(2_000);
    assert!(!kinds(&mut lone, session).contains(&0x85));
    let stand = |lone: &mut Lone, access| {
        let certified = certified(&lone.store, LIAR);
        let standing = Standing {
            peer: LIAR,
            certified,
            access,
        };
        let heads = lone.store.heads();
        lone.node.members(lone.now, heads, &[standing]);
        lone.settle();
    };
    stand(&mut lone, Access::Full);
    assert!(kinds(&mut lone, session).contains(&0x85));
    lone.open_rest(&[(THEIRS, claim(3))]);
    assert_eq!(calls(&mut lone, session, THEIRS), ["want"]);
    stand(&mut lone, Access::Statements);
    assert_eq!(lone.why(), Some(&Ended::Removed));
    assert_eq!(lone.goodbye(), Some(Goodbye::Removed));
    // The other side of it.
    let (mut lone, session) = limited(Access::Full);
    lone.say(&Message::Hello(Hello {
        features: LIMITED,
        ..hello()
    }));
    lone.pass(2_000);
    assert!(!kinds(&mut lone, session).contains(&0x85));
    lone.open_rest(&[]);
    assert!(kinds(&mut lone, session).contains(&0x85));
    assert_eq!(lone.why(), None);
    // Both said so: neither can take it back but by a new session.
    let (mut lone, _) = limited(Access::Statements);
    lone.say(&Message::Hello(Hello {
        features: LIMITED,
        ..hello()
    }));
    stand(&mut lone, Access::Full);
    assert_eq!(lone.why(), Some(&Ended::Asked));
}

/// A device that was removed while it was away: what it is let in for.
struct Leaver {
    lone: Lone,
    session: SessionId,
    removal: [u8; 32],
    /// What was said since.
    later: [u8; 32],
}

fn leaver() -> Leaver {
    let mut lone = Lone::new(Policy::Everything);
    let removal = lone.store.heads()[0];
    lone.store.state(&mut Dice(9), chain(9));
    let later = lone.store.heads()[0];
    lone.node.members(lone.now, lone.store.heads(), &[]);
    let batch = lone.store.tell(&mut Dice(5), 10, &[]);
    lone.node.told(lone.now, batch);
    let certified = certified(&lone.store, LIAR);
    lone.session = lone
        .node
        .connect(lone.now, LIAR, certified, Access::Farewell(removal));
    lone.told.clear();
    lone.settle();
    let session = lone.session;
    Leaver {
        lone,
        session,
        removal,
        later,
    }
}

/// A removed device is given the statement that removed it, with all that it stands on, and is sent away; nothing that was said since, no events,
/// and nothing is taken from it.
#[test]
fn who_was_removed_is_told_so_and_nothing_more() {
    let Leaver {
        mut lone,
        session,
        removal,
        later,
    } = leaver();
    let mut other = lone.store.clone();
    other.state(&mut Dice(10), chain(10));
    let features = lone.told(session, |message| match message {
        Message::Hello(hello) => Some(hello.features),
        _ => None,
    });
    assert_eq!(features, [LIMITED]);
    lone.say(&Message::Hello(hello()));
    lone.say(&Message::Heads(other.heads()));
    let said = lone.told(session, |message| match message {
        Message::Heads(heads) => Some(heads),
        Message::WantStatements { want, .. } => panic!("it is asked for {want:?}"),
        _ => None,
    });
    assert_eq!(said, [vec![removal]]);
    assert_eq!(lone.why(), None);
    lone.say(&Message::WantStatements {
        want: vec![later, removal],
        have: vec![],
    });
    let mut ends = Vec::new();
    let given = lone.told(session, |message| match message {
        Message::Statement { total, data, .. } => (total > 0).then(|| *blake3::hash(data).as_bytes()),
        Message::Goodbye(why) => {
            ends.push(why);
            None
        }
        Message::Credit(_) => None,
        other => panic!("it is told {other:?}"),
    });
    let all: Vec<[u8; 32]> = lone
        .store
        .order
        .iter()
        .copied()
        .filter(|id| *id != later)
        .collect();
    assert_eq!((&given, given.last()), (&all, Some(&removal)));
    assert_eq!(ends, [Goodbye::Removed]);
    assert_eq!(lone.why(), Some(&Ended::Removed));
}

/// Who knows of its removal, or does not ask, is sent away, too; who says anything else broke the protocol; and what membership says of it meanwhile is heard.
#[test]
fn who_was_removed_does_not_stay() {
    let mut knows = leaver();
    knows.lone.say(&Message::Hello(hello()));
    knows.lone.say(&Message::Heads(vec![knows.removal]));
    assert_eq!(knows.lone.why(), Some(&Ended::Removed));
    assert_eq!(knows.lone.goodbye(), Some(Goodbye::Removed));

    let mut waits = leaver();
    waits.lone.say(&Message::Hello(hello()));
    waits.lone.say(&Message::Heads(vec![]));
    waits.lone.pass(9_999);
    assert_eq!(waits.lone.why(), None);
    assert!(
        waits.lone.node.wake().is_some_and(|at| at <= 10_000),
        "{:?}",
        waits.lone.node.wake()
    );
    waits.lone.pass(1);
    assert_eq!(waits.lone.why(), Some(&Ended::Removed));

    for message in [
        Message::Statement {
            total: 100,
            offset: 0,
            data: &[1; 100],
        },
        Message::Clock {
            whole: true,
            reach: vec![],
        },
        Message::Ask {
            serial: 1,
            ids: vec![[1; 32]],
        },
    ] {
        let mut breaks = leaver();
        breaks.lone.say(&Message::Hello(hello()));
        breaks.lone.say(&message);
        assert!(matches!(breaks.lone.why(), Some(Ended::Order(_))), "{message:?}");
    }

    for (access, ends) in [
        (Access::Farewell([8; 32]), true),
        (Access::Statements, true),
        (Access::Full, true),
    ] {
        let mut stays = leaver();
        let certified = certified(&stays.lone.store, LIAR);
        let mut standing = Standing {
            peer: LIAR,
            certified,
            access: Access::Farewell(stays.removal),
        };
        let heads = stays.lone.store.heads();
        stays
            .lone
            .node
            .members(stays.lone.now, heads.clone(), &[standing.clone()]);
        stays.lone.settle();
        assert_eq!(stays.lone.why(), None);
        standing.access = access;
        stays.lone.node.members(stays.lone.now, heads, &[standing]);
        stays.lone.settle();
        assert_eq!(stays.lone.why() == Some(&Ended::Asked), ends);
    }
    // A member that is connected when it is removed is ended, and may come to hear why.
    let (mut lone, _) = limited(Access::Full);
    lone.say(&Message::Hello(hello()));
    let standing = Standing {
        peer: LIAR,
        certified: certified(&lone.store, LIAR),
        access: Access::Farewell([8; 32]),
    };
    let heads = lone.store.heads();
    lone.node.members(lone.now, heads, &[standing]);
    lone.settle();
    assert_eq!(lone.why(), Some(&Ended::Removed));
}
