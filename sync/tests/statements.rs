//! Statements that cannot be read, or that stand on nothing: they take nothing from the session, its events, or anybody else.

mod model;

use coffer_store::ids::ChainId;
use coffer_sync::core::limits::IDS_MAX;
use coffer_sync::core::wire::{Message, Reach};
use coffer_sync::core::{Ended, Policy, Report, SessionId};
use model::Dice;
use model::lone::{Lone, THEIRS, hello};
use model::store::LATER;

const REACH: Reach = Reach {
    last: 5,
    head: [1; 8],
};

fn chain(n: u8) -> ChainId {
    ChainId([n; 16])
}

/// A statement in a form that only later programs know, and one that stands on it: the session and its events go on, it is told once, and
/// not asked for again until the peer names others.
#[test]
fn a_statement_of_a_later_version_leaves_the_session_alone() {
    let mut lone = Lone::new(Policy::Everything);
    let later = [&[LATER][..], &[5; 99]].concat();
    let id = *blake3::hash(&later).as_bytes();
    let on_it = [&[1][..], &id, &chain(4).0, &[4; 64]].concat();
    let head = *blake3::hash(&on_it).as_bytes();
    lone.say(&Message::Hello(hello()));
    lone.say(&Message::Heads(vec![head]));
    lone.say(&Message::Clock {
        whole: true,
        reach: vec![(THEIRS, REACH)],
    });
    let wants = |lone: &mut Lone| {
        lone.take(|message| match message {
            Message::WantStatements { want, .. } => Some(want),
            Message::Want(_) => Some(Vec::new()),
            _ => None,
        })
    };
    assert_eq!(wants(&mut lone), [vec![head]]);
    for data in [&later, &on_it] {
        let total = data.len() as u32;
        lone.say(&Message::Statement {
            total,
            offset: 0,
            data,
        });
    }
    let (total, offset, data) = (0, 0, &[][..]);
    let end = Message::Statement { total, offset, data };
    lone.say(&end);
    assert_eq!(wants(&mut lone), [Vec::<[u8; 32]>::new()], "events are asked for");
    for _ in 0..20 {
        lone.say(&Message::Ping);
        lone.pass(20_000);
    }
    assert!(!wants(&mut lone).contains(&vec![head]));
    let told = lone.reports.iter().filter(|report| match report {
        Report::Newer { peer, why } => *peer == [2; 32] && why == "a later program made it",
        Report::Withheld { .. } => panic!("nothing was withheld"),
        _ => false,
    });
    assert_eq!(told.count(), 1);
    // What it names beside it comes as ever.
    let mut other = lone.store.clone();
    other.state(&mut Dice(9), chain(9));
    let new = other
        .heads()
        .into_iter()
        .find(|id| !lone.store.statements.contains_key(id));
    let mut heads = vec![head];
    heads.extend(new);
    lone.say(&Message::Heads(heads.clone()));
    assert!(wants(&mut lone).contains(&heads));
    let data = &other.statements[&new.unwrap()].clone();
    let total = data.len() as u32;
    lone.say(&Message::Statement {
        total,
        offset: 0,
        data,
    });
    lone.say(&end);
    assert_eq!(lone.store.heads(), other.heads());
    assert_eq!(lone.why(), None);
}

/// What a peer brought that stands on nothing goes with its session, and nobody else's does.
#[test]
fn statements_that_wait_go_with_who_brought_them() {
    let mut lone = Lone::new(Policy::Everything);
    let waits = |n: u8| [&[1][..], &[n; 32], &chain(4).0, &[4; 64]].concat();
    let bring = |lone: &mut Lone, n: u8| {
        lone.say(&Message::Hello(hello()));
        lone.say(&Message::Heads(vec![*blake3::hash(&waits(n)).as_bytes()]));
        let data = &waits(n)[..];
        let total = data.len() as u32;
        lone.say(&Message::Statement {
            total,
            offset: 0,
            data,
        });
    };
    let first = lone.session;
    bring(&mut lone, 1);
    let second = lone.connect([9; 32]);
    bring(&mut lone, 2);
    let waiting =
        |lone: &Lone| -> Vec<SessionId> { lone.store.waiting.iter().map(|(from, _)| *from).collect() };
    assert_eq!(waiting(&lone), [first, second]);
    lone.node.disconnected(lone.now, first);
    lone.settle();
    assert_eq!(waiting(&lone), [second]);
    // One that broke the protocol, too.
    lone.say_in(second, &Message::Hello(hello()));
    assert!(matches!(lone.closed[&second], Ended::Order(_)));
    assert!(waiting(&lone).is_empty());
    // Of who brought none, nothing is asked of the store.
    let third = lone.connect([8; 32]);
    let before = lone.requests;
    lone.node.disconnected(lone.now, third);
    lone.settle();
    assert_eq!(lone.requests, before);
}

/// Where there are more heads than a message holds, those are named that the store puts first; and of those that a peer names, the first are asked for.
#[test]
fn heads_are_named_and_asked_for_in_their_order() {
    let mut lone = Lone::new(Policy::Everything);
    // In no order of their names.
    let ids = |salt: u8| -> Vec<[u8; 32]> {
        let id = |n: u32| *blake3::hash(&[&[salt][..], &n.to_le_bytes()].concat()).as_bytes();
        (0..1_500).map(id).collect()
    };
    let (ours, theirs) = (ids(1), ids(2));
    lone.say(&Message::Hello(hello()));
    lone.said.clear();
    lone.node.members(lone.now, ours.clone(), &[]);
    lone.settle();
    let named = lone.take(|message| match message {
        Message::Heads(heads) => Some(heads),
        _ => None,
    });
    assert_eq!(named, [&ours[..IDS_MAX]]);
    lone.say(&Message::Heads(theirs[..IDS_MAX].to_vec()));
    let asked = lone.take(|message| match message {
        Message::WantStatements { want, .. } => Some(want),
        _ => None,
    });
    assert_eq!(asked, [&theirs[..IDS_MAX / 2]]);
}
