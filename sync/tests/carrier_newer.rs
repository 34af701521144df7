//! Carried folders beside a newer program, and beside somebody who only says that he runs one: what can be read is taken, from whichever
//! bundle has it; what cannot is passed over, said, and kept for later; it keeps nothing else back.

mod carrier_bed;

use std::path::Path;

use carrier_bed::{Device, files, noise, settle};
use coffer_store::ids::ChainId;
use coffer_sync::carrier::{Entry, Exchange, Index, Place, Shelf, testing};
use coffer_sync::core::Policy;
use coffer_sync::core::wire::Parcel;
use tempfile::TempDir;

type Thing = (Entry, Vec<u8>);

/// What a device has told, as it goes into a bundle.
fn told(by: &Device) -> Vec<Thing> {
    let told = by.vault.told_after(0).unwrap().into_iter();
    let thing = told.map(|carried| {
        let entry = batch(carried.row.chain, carried.row.first, carried.row.last().unwrap());
        (entry, Parcel::new(carried.into()).piece(0, usize::MAX))
    });
    thing.collect()
}

fn batch(chain: ChainId, first: u64, last: u64) -> Entry {
    let lamport = first;
    Entry::Batch {
        chain,
        first,
        last,
        lamport,
    }
}

/// What says that it is a batch of version 1, and is signed by nobody.
fn newer(chain: ChainId, first: u64, last: u64) -> Thing {
    let count = u8::try_from(last - first + 1).unwrap();
    assert!(count < 0x80);
    // How many; a head and a signature; no holes; then its bytes.
    let parcel = [&[count][..], &noise(6, 96), &[0, 1], &noise(7, 200)].concat();
    (batch(chain, first, last), parcel)
}

/// Puts a bundle of these there, and an index that says nothing but that.
fn put(by: &Device, dir: &Path, things: &[Thing]) {
    let shelf = Shelf::of(dir, carrier_bed::carries(by), Place::Make).unwrap();
    let bundle = testing::bundle(carrier_bed::carries(by), &shelf, things).unwrap();
    let index = Index {
        author: by.id(),
        serial: 1,
        policy: Policy::Everything,
        whole: true,
        heads: Vec::new(),
        clock: vec![(by.vault.own_chain(), 1)],
        lacks: Vec::new(),
        lacking: 0,
        bundles: vec![bundle],
        done: Default::default(),
        broken: Default::default(),
    };
    testing::index(carrier_bed::carries(by), &shelf, &index).unwrap();
}

fn says(done: &Exchange, what: &str) -> bool {
    done.notes.iter().any(|note| note.contains(what))
}

const NEWER: &str = "newer version of coffer";

/// Guards a folder in which devices of a newer version put things, too, built by hand: things of a kind that this one does not know, a statement of a later version, a
/// batch of one. They are passed over, which is said; nothing is called broken, what this version knows in the same bundle is taken, and nothing is written anew
/// for ever. What only says that it is newer, in the place of something else, is broken.
#[test]
fn what_a_newer_program_puts_there_is_passed_over() {
    let desk = Device::founded();
    let of_newer = desk.with("newer");
    desk.save("Note.md", b"one\n");
    let real = told(&desk);
    // Version 1, whatever it says, and a signature.
    let statement = [&[1][..], &noise(5, 300)].concat();
    let id = *blake3::hash(&statement[..statement.len() - 64]).as_bytes();
    let own = of_newer.vault.own_chain();
    let mut things = vec![
        (Entry::Other(0x80, [1; 32]), noise(1, 5_000)),
        (Entry::Other(0xff, [2; 32]), noise(2, 100)),
        (Entry::Statement(id), statement.clone()),
        newer(own, 1, 1),
    ];
    things.extend(real.iter().cloned());
    for is_false in [false, true] {
        let stick = TempDir::new().unwrap();
        if is_false {
            things = vec![(Entry::Statement([9; 32]), statement.clone())];
        }
        put(&of_newer, stick.path(), &things);
        let there = desk.with_nothing();
        let first = there.via(stick.path());
        let said = (says(&first, NEWER), says(&first, "asked for again"));
        assert_eq!(said, (!is_false, is_false), "{:?}", first.notes);
        if is_false {
            continue;
        }
        assert_eq!(first.took.batches, real.len() as u64);
        assert!(there.clock().contains_key(&desk.vault.own_chain().0));
        assert!(!there.clock().contains_key(&own.0));
        there.via(stick.path());
        let before = files(stick.path());
        for _ in 0..3 {
            let again = there.via(stick.path());
            assert_eq!((again.took, again.gave), Default::default());
        }
        assert_eq!(files(stick.path()), before, "nothing is written anew");
        there.is_sound();
    }
}

/// Guards a chain that goes on with what only a newer program reads: what is before it is taken, from the same bundle and from others; nothing
/// behind it is; and when somebody brings what this version reads in its place, that and all behind it is taken at once.
#[test]
fn what_is_before_and_beside_a_newer_batch_is_taken() {
    let desk = Device::founded();
    let (mixed, relays) = (desk.with("mixed"), desk.with("relays"));
    for n in 0..4 {
        mixed.save(&format!("{n}.md"), format!("note {n}\n").as_bytes());
    }
    // The others hear that it has a chain.
    settle(&[&desk, &mixed], TempDir::new().unwrap().path());
    let all = told(&mixed);
    assert!(all.len() >= 4, "{} batches are too few", all.len());
    let ends: Vec<(u64, u64)> = all
        .iter()
        .map(|(entry, _)| match entry {
            Entry::Batch { first, last, .. } => (*first, *last),
            _ => panic!("no batch"),
        })
        .collect();
    let own = mixed.vault.own_chain();
    for at in 0..all.len() {
        let stick = TempDir::new().unwrap();
        // One of them is of a newer version; and it stands before all others, so that it is met first wherever it may be.
        let mut things = vec![newer(own, ends[at].0, ends[at].1)];
        things.extend(
            all.iter()
                .enumerate()
                .filter(|(n, _)| *n != at)
                .map(|(_, thing)| thing.clone()),
        );
        put(&mixed, stick.path(), &things);
        let there = desk.with_nothing();
        let first = there.via(stick.path());
        assert!(
            says(&first, NEWER) == (first.took.batches == at as u64),
            "{first:?}"
        );
        assert!(
            says(&first, NEWER) && !says(&first, "asked for again"),
            "{:?}",
            first.notes
        );
        assert_eq!(there.clock().get(&own.0).copied().unwrap_or(0), ends[at].0 - 1);
        assert_eq!(there.via(stick.path()).took, Default::default());
        put(&relays, stick.path(), &all[at..=at]);
        let second = there.via(stick.path());
        assert_eq!(
            second.took.batches,
            (all.len() - at) as u64,
            "at {at}: {second:?}"
        );
        assert_eq!(there.text("3.md"), "note 3\n");
        there.is_sound();
    }
}

/// Guards against a member of ill will who says of everything that another device told that it is of a newer version: at the same places, at
/// longer ones, at shorter ones, whoever came to the folder first. It says so in vain: who has the good ones puts them there, and who
/// lacks them takes them, after one visit more.
#[test]
fn who_says_that_all_is_newer_keeps_nothing_back() {
    let desk = Device::founded();
    let liar = desk.with("liar");
    for n in 0..4 {
        desk.save(&format!("{n}.md"), format!("note {n}\n").as_bytes());
    }
    let own = desk.vault.own_chain();
    let good = told(&desk);
    let each = |lie: fn(u64, u64) -> (u64, u64)| -> Vec<Thing> {
        let places = good.iter().filter_map(|(entry, _)| match entry {
            Entry::Batch { first, last, .. } => Some(lie(*first, *last)),
            _ => None,
        });
        places.map(|(first, last)| newer(own, first, last)).collect()
    };
    let lies = [
        each(|first, last| (first, last)),
        each(|first, last| (first, last + 40)),
        each(|first, _| (first, first)),
        vec![newer(own, 1, 100)],
    ];
    for (n, lie) in lies.iter().enumerate() {
        for liar_first in [true, false] {
            let stick = TempDir::new().unwrap();
            if liar_first {
                put(&liar, stick.path(), lie);
            }
            desk.via(stick.path());
            if !liar_first {
                put(&liar, stick.path(), lie);
            }
            let there = desk.with_nothing();
            let all = desk.clock()[&own.0];
            let first = there.via(stick.path());
            if !liar_first {
                assert_eq!(there.clock().get(&own.0), Some(&all), "lie {n}: {first:?}");
            }
            desk.via(stick.path());
            there.via(stick.path());
            assert!(there.clock()[&own.0] >= all, "lie {n}, liar first: {liar_first}");
            assert_eq!(there.text("3.md"), "note 3\n");
            there.is_sound();
            // Nothing goes to and fro for ever.
            for _ in 0..2 {
                desk.via(stick.path());
                there.via(stick.path());
            }
            let before = files(stick.path());
            let quiet = (desk.via(stick.path()), there.via(stick.path()));
            assert_eq!((quiet.0.gave, quiet.1.gave), Default::default(), "lie {n}");
            assert_eq!((quiet.0.took, quiet.1.took), Default::default(), "lie {n}");
            assert_eq!(files(stick.path()), before, "lie {n}: nothing is written anew");
        }
    }
    desk.is_sound();
}

/// Guards memory and an end: a bundle with as many false places as it can name is passed over, and what others put there is taken.
#[test]
fn a_bundle_full_of_newer_batches_holds_nobody_up() {
    let desk = Device::founded();
    let liar = desk.with("liar");
    desk.save("Note.md", b"one\n");
    let stick = TempDir::new().unwrap();
    let own = desk.vault.own_chain();
    let lie: Vec<Thing> = (0..20_000).map(|_| newer(own, 1, 1)).collect();
    put(&liar, stick.path(), &lie);
    let there = desk.with_nothing();
    there.via(stick.path());
    desk.via(stick.path());
    there.via(stick.path());
    assert_eq!(there.text("Note.md"), "one\n");
    there.is_sound();
}
