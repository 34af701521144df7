//! Guards texts against changes and documents that somebody made to harm: each is refused, in
//! words, before the library sees it, or the document is discarded. Nothing panics out, nothing
//! aborts, and a refusal leaves the document as it was.

mod text_support;

use coffer_store::testing::{change_body, change_chunk};
use coffer_store::text::{Actor, Change, ChangeHash, Document, Refused, TextError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use text_support::made::{Made, leb, run};
use text_support::{Device, began, event, newest, older};

const NOTE: &str = "one two three\n";
/// Characters of the note: the genesis has one operation more, so the next is this plus two.
const NEXT: u64 = 14 + 2;

fn doc() -> Document {
    Document::genesis(began(), NOTE).expect("a text")
}

impl Made {
    /// Inserts one “x” at the text's start: a change that is in order.
    fn good() -> Made {
        Made::insertion(
            doc().first().0,
            *Actor::of_chain(event(1, 1).chain).bytes(),
            *Actor::of_genesis(began()).bytes(),
            NEXT,
        )
    }

    /// Deletes the note's first character.
    fn deletion() -> Made {
        Made::good().deleting()
    }

    fn check(&self) -> Result<Change, Refused> {
        Change::check(change_chunk(&self.body()), newest(1), began())
    }
}

/// Guards the suite itself: what it alters is in order before, and the document takes it.
#[test]
fn what_is_altered_below_is_good() {
    let mut document = doc();
    let change = Made::good().check().expect("in order");
    assert_eq!(change.ops(), 1);
    document.apply(&[change]).expect("taken");
    assert_eq!(document.text().as_deref(), Ok("xone two three\n"));
    let mut document = doc();
    document
        .apply(&[Made::deletion().check().expect("in order")])
        .expect("taken");
    assert_eq!(document.text().as_deref(), Ok("ne two three\n"));
}

/// Guards the refusal of each thing that no edit of ours has, with the reason.
#[test]
fn every_oddity_is_refused() {
    let good = Made::good;
    let change = |alter: fn(&mut Made)| {
        let mut made = good();
        alter(&mut made);
        made
    };
    let million = {
        let count = 0xffff_ffff;
        let made = good().with(0x01, &run(count, 1)).with(0x02, &run(count, 1));
        made.with(0x42, &run(count, 1))
            .with(0x56, &run(count, 0x16))
            .with(0x70, &run(count, 0))
    };
    // The note's first character, so often.
    let twice = |count: u64| {
        let all = [
            (0x01, 1),
            (0x02, 1),
            (0x11, 1),
            (0x42, 3),
            (0x56, 0),
            (0x70, 1),
            (0x71, 1),
        ];
        let made = all.iter().fold(Made::deletion(), |made, (column, value)| {
            made.with(*column, &run(count, *value))
        });
        let again = match count {
            2 => vec![0x7e, 2, 0],
            _ => [vec![0x7f, 2], run(count - 1, 0)].concat(),
        };
        made.with(0x34, &leb(count)).with(0x13, &again).with(0x73, &again)
    };
    let cases = [
        ("its number is out of reach", change(|made| made.seq = 0)),
        ("its number is out of reach", change(|made| made.start = 0)),
        (
            "its number is out of reach",
            change(|made| made.start = u64::from(u32::MAX)),
        ),
        ("its number is out of reach", change(|made| made.start = u64::MAX)),
        ("its number is out of reach", change(|made| made.start = 1 << 31)),
        ("it has a time or a message", change(|made| made.time = 1)),
        (
            "it has a time or a message",
            change(|made| made.message = b"hello"),
        ),
        ("it builds on nothing", change(|made| made.deps.clear())),
        (
            "its names are out of order",
            change(|made| made.deps.push(made.deps[0])),
        ),
        (
            "its names are out of order",
            change(|made| made.deps.insert(0, [0xff; 32])),
        ),
        (
            "its names are out of order",
            change(|made| made.others.push(made.others[0])),
        ),
        (
            "an actor is not of this vault",
            change(|made| made.actor.truncate(15)),
        ),
        ("an actor is not of this vault", change(|made| made.actor.clear())),
        (
            "it is not by the chain that carries it",
            change(|made| made.actor[3] ^= 1),
        ),
        (
            "it names its own actor twice",
            change(|made| {
                made.others.push(made.actor.clone().try_into().expect("16"));
                made.others.sort();
            }),
        ),
        (
            "it is of another text",
            change(|made| made.others = vec![[7; 16]]),
        ),
        (
            "bytes are left over at its end",
            change(|made| made.after = vec![0]),
        ),
        (
            "a column is deflated",
            good().with(0x4a, &[0x7f, 1]).without(0x42),
        ),
        ("it has columns that no edit has", good().with(0x15, b"\x7f\x01a")),
        ("it has columns that no edit has", good().with(0x94, &[0, 1])),
        ("it has columns that no edit has", good().with(0xa5, b"\x7f\x01a")),
        (
            "it has columns that no edit has",
            change(|made| made.columns.reverse()),
        ),
        (
            "it has columns that no edit has",
            change(|made| {
                let first = made.columns[0].clone();
                made.columns.insert(0, first);
            }),
        ),
        ("a column is empty", good().with(0x11, &[])),
        ("it does nothing", good().without(0x42)),
        ("it has more operations than any edit of a text", million),
        (
            "it has more operations than any edit of a text",
            good().with(0x42, &run(1 << 40, 1)),
        ),
        ("it ends early", good().with(0x42, &run(1_000_000, 1))),
        (
            "it changes something besides the text",
            good().with(0x02, &[0x7f, 2]),
        ),
        (
            "it changes something besides the text",
            good().with(0x01, &[0x7f, 0]),
        ),
        ("a value is missing", good().without(0x01)),
        ("a value is missing", good().without(0x01).without(0x02)),
        ("a value is missing", good().with(0x42, &[0, 1])),
        ("a run is empty", good().with(0x42, &[0, 0])),
        ("a run is empty", good().with(0x34, &[0, 0, 1])),
        (
            "it does something besides inserting and deleting",
            good().with(0x42, &[0x7f, 0]),
        ),
        (
            "it does something besides inserting and deleting",
            good().with(0x42, &[0x7f, 2]),
        ),
        (
            "it does something besides inserting and deleting",
            good().with(0x42, &[0x7f, 4]),
        ),
        (
            "it does something besides inserting and deleting",
            good().with(0x42, &[0x7f, 5]),
        ),
        (
            "it does something besides inserting and deleting",
            good().with(0x42, &[0x7f, 7]),
        ),
        (
            "it does something besides inserting and deleting",
            good().with(0x34, &[1]),
        ),
        (
            "it does something besides inserting and deleting",
            good().with(0x70, &[0x7f, 1]),
        ),
        (
            "it does something besides inserting and deleting",
            Made::deletion().with(0x70, &[0x7f, 0]),
        ),
        (
            "it does something besides inserting and deleting",
            Made::deletion().with(0x34, &[0, 1]),
        ),
        (
            "it does something besides inserting and deleting",
            Made::deletion().with(0x56, &[0x7f, 1]),
        ),
        (
            "it deletes something besides a character",
            Made::deletion().with(0x73, &[0x7f, 3]),
        ),
        (
            "it deletes something besides a character",
            Made::deletion().with(0x71, &[0x7f, 0]),
        ),
        (
            "it inserts more than a text has",
            good().with(0x57, &vec![b'a'; coffer_store::text::TEXT_MAX + 1]),
        ),
        ("it deletes a character twice", twice(2)),
        ("it deletes a character twice", twice(1 << 21)),
        (
            "it inserts something besides characters",
            good().with(0x56, &[0x7f, 0x13]),
        ),
        (
            "it inserts something besides characters",
            good().with(0x56, &[0x7f, 0x06]),
        ),
        (
            "it inserts something besides characters",
            good().with(0x56, &[0x7f, 0x26]).with(0x57, b"xy"),
        ),
        (
            "it inserts something besides characters",
            good().with(0x57, &[0xff]),
        ),
        (
            "it inserts something besides characters",
            good().with(0x56, &[0x7f, 0x36]).with(0x57, &[0xed, 0xa0, 0x80]),
        ),
        ("it ends early", good().with(0x56, &[0x7f, 0x26])),
        ("a column is longer than the others", good().with(0x57, b"xy")),
        ("a column is longer than the others", good().with(0x34, &[0, 2])),
        (
            "a column is longer than the others",
            good().with(0x56, &[2, 0x16]),
        ),
        (
            "a column is longer than the others",
            good().with(0x71, &[0x7f, 1]),
        ),
        (
            "it names an actor that it does not list",
            good().with(0x13, &[0x7f, 2]),
        ),
        (
            "it names an actor that it does not list",
            good().with(0x11, &[0x7f, 2]).with(0x13, &[0x7f, 2]),
        ),
        (
            "it refers to what cannot be there",
            good().with(0x11, &[0x7f, 1]).with(0x13, &[0x7f, 1]),
        ),
        (
            "it refers to what cannot be there",
            good().with(0x11, &[0x7f, 1]).with(0x13, &[0x7f, NEXT as u8]),
        ),
        (
            "it refers to what cannot be there",
            good().with(0x11, &[0x7f, 0]).with(0x13, &[0x7f, NEXT as u8]),
        ),
        ("a counter is below zero", good().with(0x13, &[0x7f, 0x7e])),
        (
            "a number is longer than it needs to be",
            good().with(0x42, &[0x7f, 0x81, 0]),
        ),
    ];
    for (i, (why, made)) in cases.iter().enumerate() {
        assert_eq!(made.check(), Err(Refused(why)), "case {i}");
    }
    // The actor that an event has for itself makes one change.
    let mut alone = good();
    alone.actor = Actor::of_edit(event(1, 1).chain, 5).bytes().to_vec();
    let check = |made: &Made| Change::check(change_chunk(&made.body()), older(1, 5), began()).map(drop);
    assert_eq!(check(&alone), Ok(()));
    let of_another = Change::check(change_chunk(&alone.body()), older(1, 6), began());
    assert_eq!(of_another, Err(Refused("it is not by the chain that carries it")));
    assert!(alone.check().is_err(), "its event carries no number");
    alone.seq = 2;
    assert_eq!(
        check(&alone),
        Err(Refused("its actor makes one change, and this is another"))
    );
}

/// Guards the outside: magic, checksum, type, length; every cut.
#[test]
fn the_outside_is_checked() {
    let good = change_chunk(&Made::good().body());
    let check = |bytes: Vec<u8>| Change::check(bytes, newest(1), began());
    assert!(check(good.clone()).is_ok());
    for len in 0..good.len() {
        assert!(check(good[..len].to_vec()).is_err(), "cut to {len}");
    }
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[place] ^= 1 << bit;
            assert!(check(bytes).is_err(), "bit {bit} of byte {place}");
        }
    }
    assert!(check([&good[..], b"\0"].concat()).is_err());
    for kind in [0, 2, 3, 255] {
        let mut bytes = good.clone();
        bytes[8] = kind;
        assert_eq!(check(bytes), Err(Refused("it is not a plain change")));
    }
    let other = Change::check(good.clone(), newest(2), began());
    assert_eq!(other, Err(Refused("it is not by the chain that carries it")));
    let other = Change::check(good, newest(1), event(9, 9));
    assert_eq!(other, Err(Refused("it is of another text")));
}

/// Guards whatever passes: with every byte altered under a right checksum, and at random, the
/// document takes it or says no; never does it panic out, and a refusal changes nothing.
#[test]
fn what_passes_does_no_harm() {
    let mut device = Device::new(1, NOTE);
    device.save_newest("one and two, three\n");
    device.save_newest("1 and two, 3 🧄\n");
    let mut bodies: Vec<Vec<u8>> = [Made::good(), Made::deletion()].iter().map(Made::body).collect();
    bodies.extend(
        device
            .sent
            .iter()
            .map(|sent| change_body(sent.received().bytes()).expect("a chunk").to_vec()),
    );
    let first = device.sent[0].received();
    let mut rng = StdRng::seed_from_u64(5);
    let (mut passed, mut taken) = (0, 0);
    let quiet = std::panic::take_hook();
    // Panics in the library are caught; their noise is not wanted here.
    std::panic::set_hook(Box::new(|_| {}));
    for body in &bodies {
        for round in 0..8 * body.len() {
            let mut body = body.clone();
            let place = round / 8;
            body[place] = match round % 8 {
                0 => body[place].wrapping_add(1),
                1 => body[place].wrapping_sub(1),
                2 => 0,
                3 => 0x7f,
                _ => rng.random(),
            };
            if round % 8 > 5 {
                let place = rng.random_range(0..body.len());
                body[place] = rng.random();
            }
            for at in [newest(1), older(1, 2)] {
                let Ok(change) = Change::check(change_chunk(&body), at, began()) else {
                    continue;
                };
                passed += 1;
                let mut document = doc();
                document.apply(std::slice::from_ref(&first)).expect("taken");
                let before = (document.text(), document.heads());
                match document.apply(&[change]) {
                    Ok(()) => {
                        taken += 1;
                        let heads = document.heads().expect("whole");
                        let edited = document.edit(&heads, "another text\n", event(7, 1).chain, 1);
                        assert!(edited.is_ok() || edited == Err(TextError::Discarded));
                    }
                    Err(TextError::Discarded) => assert_eq!(document.text(), Err(TextError::Discarded)),
                    Err(_) => assert_eq!((document.text(), document.heads()), before),
                }
            }
        }
    }
    std::panic::set_hook(quiet);
    println!("{passed} passed, {taken} were taken");
    assert!(passed > taken && taken > 0);
}

/// Guards what only the document knows: counters, numbers of an actor, what is not there yet.
#[test]
fn what_contradicts_the_document_is_refused() {
    let refused = |document: &mut Document, made: &Made, why: &str| {
        let before = (document.text(), document.heads());
        let change = made.check().expect("in order by itself");
        let hash = change.hash();
        match document.apply(&[change]) {
            Err(TextError::Refused { change, why: said }) => assert_eq!((change, said), (hash, why)),
            other => panic!("{other:?} instead of “{why}”"),
        }
        assert_eq!((document.text(), document.heads()), before);
    };
    let mut document = doc();
    let mut far = Made::good();
    far.start = 1_000_000_000;
    refused(
        &mut document,
        &far,
        "its operations are not numbered on from what it builds on",
    );
    far.start = NEXT + 1;
    refused(
        &mut document,
        &far,
        "its operations are not numbered on from what it builds on",
    );
    let mut second = Made::good();
    second.seq = 2;
    refused(
        &mut document,
        &second,
        "its actor has another change at this place",
    );

    let first = Made::good().check().expect("in order");
    document.apply(std::slice::from_ref(&first)).expect("taken");
    document
        .apply(std::slice::from_ref(&first))
        .expect("again: passed over");
    let twin = Made::good().with(0x57, b"y");
    refused(&mut document, &twin, "its actor has another change at this place");
    // A second change of the chain that does not build on its first.
    refused(
        &mut document,
        &second,
        "it does not build on the last change of the same actor",
    );

    let mut unknown = Made::good();
    unknown.deps = vec![[9; 32]];
    let unknown = unknown.check().expect("in order by itself");
    assert_eq!(
        document.apply(&[unknown]),
        Err(TextError::Missing(ChangeHash([9; 32])))
    );

    // All or nothing: what is good in a batch waits with what is not.
    let mut fresh = doc();
    let twin = twin.check().expect("in order by itself");
    assert!(matches!(
        fresh.apply(&[first.clone(), twin]),
        Err(TextError::Refused { .. })
    ));
    assert_eq!(fresh.text().as_deref(), Ok(NOTE));
    fresh.apply(&[first]).expect("alone it is taken");

    let other = Change::check(change_chunk(&Made::good().body()), newest(1), began()).expect("in order");
    let mut another = Document::genesis(event(3, 3), NOTE).expect("a text");
    assert!(matches!(
        another.apply(&[other]),
        Err(TextError::Refused {
            why: "it is of another text",
            ..
        })
    ));
}

/// Guards an edit that is only tried: it leaves no trace, and what is made after it is what would have
/// been made without.
#[test]
fn an_edit_that_is_tried_leaves_no_trace() {
    let (mut tried, mut other) = (doc(), doc());
    let base = tried.heads().unwrap();
    let chain = event(1, 1).chain;
    for n in 0..3 {
        let before = (tried.heads(), tried.text(), tried.ops(), tried.save());
        tried.try_edit().unwrap();
        assert_eq!((tried.heads(), tried.text(), tried.ops(), tried.save()), before);
        let text = format!("{}{n}\n", other.text().unwrap());
        let newest = other.heads().unwrap();
        for at in [&newest, &base] {
            let one = tried.edit(at, &text, chain, 7 + n).unwrap().unwrap();
            let two = other.edit(at, &text, chain, 7 + n).unwrap().unwrap();
            assert_eq!(one, two);
        }
    }
}

/// Guards versions that are none.
#[test]
fn unknown_versions_are_named() {
    let mut document = doc();
    let nowhere = [ChangeHash([1; 32])].into_iter().collect();
    assert_eq!(
        document.text_at(&nowhere),
        Err(TextError::Missing(ChangeHash([1; 32])))
    );
    assert_eq!(
        document.edit(&nowhere, "x", event(1, 1).chain, 1),
        Err(TextError::Missing(ChangeHash([1; 32])))
    );
    let none = std::iter::empty().collect();
    assert_eq!(document.text_at(&none), Err(TextError::NoVersion));
    assert_eq!(
        document.edit(&none, "x", event(1, 1).chain, 1),
        Err(TextError::NoVersion)
    );
    assert_eq!(document.text().as_deref(), Ok(NOTE), "it is as it was");
}

/// Guards the loading of what a disk made of a document: cut, altered, of another text.
#[test]
fn damaged_documents_are_refused() {
    let mut device = Device::new(1, NOTE);
    device.save_newest("one and two, three\n");
    let saved = device.doc.save().expect("whole");
    assert!(Document::load(began(), &saved).is_ok());
    assert_eq!(
        Document::load(event(3, 3), &saved).err(),
        Some(TextError::Damaged)
    );
    assert_eq!(Document::load(began(), b"").err(), Some(TextError::Damaged));
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for len in 0..saved.len() {
        assert_eq!(
            Document::load(began(), &saved[..len]).err(),
            Some(TextError::Damaged),
            "cut to {len}"
        );
    }
    for place in 0..saved.len() {
        for bit in 0..8 {
            let mut bytes = saved.clone();
            bytes[place] ^= 1 << bit;
            assert_eq!(
                Document::load(began(), &bytes).err(),
                Some(TextError::Damaged),
                "bit {bit} of byte {place}"
            );
        }
    }
    std::panic::set_hook(quiet);
}
