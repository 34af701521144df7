//! What a hostile or broken device may send.

use super::*;
use crate::event::{Body, EventKind, Form, Version, content_aad, gone_aad};
use crate::ids::ROOT;
use crate::ids::{ChainId, NodeId};
use crate::io::sim::SimDisk;
use crate::keys::{Key, SigningKey, seal};
use crate::record::{Kind, Time};
use crate::text::{Change, Document, Heads};
use crate::vault::forge::{self, Raw, Says, Stands};
use crate::vault::tests::{file_meta, password, vault};
use std::sync::Arc;

mod bed;
mod chunks;
mod names;
mod newer;
mod order;
mod recorded;
mod rules;
mod salvaged;
mod unread;

use bed::*;

/// A change that is none took its whole batch with it, or the text of the note.
#[test]
fn a_bad_change_is_set_aside_with_what_builds_on_it() {
    let mut bed = Bed::new();
    let first = bed.at();
    let mut document = Document::genesis(first, NOTE).unwrap();
    let base = document.heads().unwrap();
    let good = bed.change(&mut document, &base, "one two three four\n");
    let garbage = |byte| {
        let bytes = vec![byte; 40];
        version(Body::Change { serial: None, bytes }, 5).encode()
    };
    let (bad, child, unreadable) = (bed.next(1), bed.next(2), bed.next(4));
    let taken = bed
        .take(&[
            (vec![first], 5, garbage(1)),
            (vec![bad], 6, version(Body::Same, 5).encode()),
            (vec![first], 7, changed(&good, "one two three four\n")),
            (vec![first], 8, NO_VERSION.to_vec()),
        ])
        .unwrap();
    assert_eq!(taken.entities, [bed.entity]);
    assert_eq!(taken.set_aside, [bad, child, unreadable]);
    assert_eq!(bed.text(), "one two three four\n");
    // Nor is what builds on it later, though everything is signed and in order.
    let later = bed.next(1);
    let taken = bed
        .take(&[(vec![child], 9, version(Body::Same, 5).encode())])
        .unwrap();
    assert_eq!((taken.entities.len(), taken.set_aside), (0, vec![later]));
    write(&bed.vault, "note.md", "one two three four five\n");
    bed.vault.commit().unwrap();
    assert_eq!(bed.text(), "one two three four five\n");
    let options = crate::vault::CheckOptions { read_data: true };
    let report = bed.vault.check(options, &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// Changes that build on each other came in one batch.
#[test]
fn a_chain_of_changes_is_taken_in_one_batch() {
    let mut bed = Bed::new();
    let first = bed.at();
    let mut document = Document::genesis(first, NOTE).unwrap();
    let (mut says, mut text, mut before) = (Vec::new(), NOTE.to_owned(), first);
    for n in 0..20 {
        let base = document.heads().unwrap();
        text = format!("{}w{n}\n", text.trim_end_matches('\n').to_owned() + " ");
        let change = bed.change(&mut document, &base, &text);
        says.push((vec![before], 5 + n, changed(&change, &text)));
        before = bed.next(1 + n);
    }
    let taken = bed.take(&says).unwrap();
    assert!(taken.set_aside.is_empty(), "{taken:?}");
    assert_eq!(bed.text(), text);
}

/// What was taken in showed none of its attributes.
#[test]
fn a_foreign_version_brings_its_attributes() {
    let mut bed = Bed::new();
    let (first, plain) = (bed.at(), version(Body::Same, NOTE.len() as u64).encode());
    bed.take(&[(vec![first], 5, plain)]).unwrap();
    let ino = bed.vault.lookup(ROOT, b"note.md").unwrap();
    let stat = bed.vault.stat(ino).unwrap();
    assert_eq!((stat.meta.perm, stat.meta.mtime.sec), (0o640, 77));
    assert_eq!(bed.text(), NOTE);
    // The next version replaces it.
    let foreign = bed.at();
    write(&bed.vault, "note.md", "something else\n");
    bed.vault.commit().unwrap();
    let of = crate::vault::Subject::File(ino);
    assert_eq!(bed.vault.versions(of).unwrap().pop().unwrap().parents, [foreign]);
}

/// Versions of which what they were made from is not here came into history.
#[test]
fn what_it_builds_on_comes_first() {
    let mut bed = Bed::new();
    let elsewhere = EventRef {
        chain: ChainId::random(),
        seq: 1,
    };
    let plain = version(Body::Same, 5).encode();
    for at in [elsewhere, bed.next(1), bed.next(2)] {
        let taken = bed.take(&[(vec![at], 5, plain.clone())]);
        assert!(matches!(taken, Err(TakeInError::TooEarly)), "{taken:?}");
    }
    // One that replaces nothing is no version.
    let taken = bed.take(&[(vec![], 5, plain)]);
    assert!(matches!(taken, Err(TakeInError::Verify(_))), "{taken:?}");
    assert_eq!(bed.text(), NOTE);
}

/// What claims to be of this device, or stands where its device has told something else.
#[test]
fn own_chains_and_forks_are_refused() {
    let mut bed = Bed::new();
    let first = bed.at();
    let plain = version(Body::Same, NOTE.len() as u64).encode();
    let fork = bed.batch(&[(vec![first], 6, plain.clone())]);
    bed.take(&[(vec![first], 5, plain.clone())]).unwrap();
    let device = bed.signing.verifying();
    let taken = bed.vault.take_in(&device, &fork);
    assert!(matches!(taken, Err(TakeInError::Fork)), "{taken:?}");
    bed.last.1 = [9; 32];
    let taken = bed.take(&[(vec![first], 7, plain.clone())]);
    assert!(matches!(taken, Err(TakeInError::Fork)), "{taken:?}");
    bed.chain = bed.vault.secrets().chain();
    // Whoever says that this device made them would make it take itself for one that was put back.
    let taken = bed.take(&[(vec![first], 7, plain)]);
    assert!(matches!(taken, Err(TakeInError::Verify(_))), "{taken:?}");
}

/// A row that could not be read on this device made everybody else's edits be set aside for good.
#[test]
fn what_cannot_be_read_here_waits_and_is_taken_later() {
    for reopened in [false, true] {
        let mut bed = Bed::new();
        let first = bed.at();
        let mut document = Document::genesis(first, NOTE).unwrap();
        let base = document.heads().unwrap();
        let change = bed.change(&mut document, &base, "one two three four\n");
        let base = document.heads().unwrap();
        let next = bed.change(&mut document, &base, "one two three four five\n");
        let row = first_row(&bed);
        put_row(&bed.vault, (row.0.clone(), vec![0; row.1.len()]));
        let (one, two) = (bed.next(1), bed.next(2));
        let taken = bed
            .take(&[(vec![first], 5, changed(&change, "one two three four\n"))])
            .unwrap();
        assert_eq!((taken.set_aside, taken.waiting), (vec![], vec![one]));
        // What builds on it comes later, and waits too.
        let taken = bed
            .take(&[(vec![one], 6, changed(&next, "one two three four five\n"))])
            .unwrap();
        assert_eq!((taken.set_aside, taken.waiting), (vec![], vec![one, two]));
        assert_eq!(bed.text(), NOTE);
        put_row(&bed.vault, row);
        if reopened {
            bed.vault.close().unwrap();
            let disk = Arc::new(bed.disk.clone());
            let sealed = crate::vault::Sealed::open_on(disk, "sim".into(), None).unwrap();
            bed.vault = sealed.unlock(&password(), crate::vault::Identity::Same).unwrap();
            bed.vault.stop_keeper();
            bed.vault.commit().unwrap();
        } else {
            let taken = bed.vault.retry_waiting().unwrap();
            assert_eq!((taken.entities, taken.waiting), (vec![bed.entity], vec![]));
        }
        assert_eq!(
            bed.text(),
            "one two three four five\n",
            "opened again: {reopened}"
        );
        let taken = bed.vault.retry_waiting().unwrap();
        assert_eq!(taken, TakenIn::default());
        let options = crate::vault::CheckOptions { read_data: true };
        let report = bed.vault.check(options, &mut |_| {}).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}

/// Whether a change was taken that builds on others than its event says depended on what else had come.
#[test]
fn a_change_builds_on_just_what_its_event_replaces() {
    for others_first in [false, true] {
        let mut bed = Bed::new();
        let first = bed.at();
        let mut document = Document::genesis(first, NOTE).unwrap();
        let base = document.heads().unwrap();
        let one = bed.change(&mut document, &base, "zero one two three\n");
        let newest = document.heads().unwrap();
        let two = bed.change(&mut document, &newest, "zero one two three four\n");
        // Both, one of which it builds on; and one that it does not build on.
        let liar = (vec![first], 6, changed(&two, "zero one two three four\n"));
        if others_first {
            let taken = bed.take(&[(vec![first], 5, changed(&one, "zero one two three\n"))]);
            assert!(taken.unwrap().set_aside.is_empty());
        }
        let at = bed.next(1);
        let taken = bed.take(&[liar]).unwrap();
        assert_eq!(taken.set_aside, [at], "others first: {others_first}");
        let shown = if others_first {
            "zero one two three\n"
        } else {
            NOTE
        };
        assert_eq!(bed.text(), shown);
    }
}

/// A version that lied about its size could not be read from the history.
#[test]
fn a_version_has_the_size_that_it_says() {
    let mut bed = Bed::new();
    let first = bed.at();
    let mut document = Document::genesis(first, NOTE).unwrap();
    let base = document.heads().unwrap();
    let lies = bed.change(&mut document, &base, "lies\n");
    let mut document = Document::genesis(first, NOTE).unwrap();
    let honest = document.edit(&base, "one two\n", bed.chain, 8).unwrap().unwrap();
    let (bad, same) = (bed.next(1), bed.next(2));
    let taken = bed
        .take(&[
            (vec![first], 5, changed(&lies, "lies and more\n")),
            (vec![first], 6, version(Body::Same, 3).encode()),
            (vec![first], 7, changed(&honest, "one two\n")),
        ])
        .unwrap();
    assert_eq!(taken.set_aside, [bad, same]);
    assert_eq!(bed.text(), "one two\n");
}

/// A batch that could not be stored left files behind that nobody looked at any more.
#[test]
fn what_could_not_be_stored_is_looked_at_again() {
    let mut failed = 0;
    for call in 1..12 {
        let bed = Bed::new();
        let first = bed.at();
        let mut document = Document::genesis(first, NOTE).unwrap();
        let base = document.heads().unwrap();
        let change = bed.change(&mut document, &base, "one two three four\n");
        let says = [(vec![first], 5, changed(&change, "one two three four\n"))];
        let carried = bed.batch(&says);
        bed.disk
            .fail_at(bed.disk.ops() + call, crate::io::sim::Fault::NoSpace, false);
        let taken = bed.vault.take_in(&bed.signing.verifying(), &carried);
        bed.disk.heal();
        if taken.is_err() {
            failed += usize::from(bed.vault.is_to_show());
        }
        let taken = bed.vault.take_in(&bed.signing.verifying(), &carried).unwrap();
        assert!(taken.set_aside.is_empty(), "call {call}: {taken:?}");
        bed.vault.commit().unwrap();
        assert_eq!(bed.text(), "one two three four\n", "call {call}");
    }
    assert!(failed > 0, "no call made it fail");
}

/// A text's past could grow in memory without end: what another device adds is bounded, and what
/// comes to too much together waits.
#[test]
fn a_past_that_is_too_long_is_refused_or_waits() {
    let mut bed = Bed::new();
    let first = bed.at();
    let none = 1 << 40;
    let long = "x".repeat(100);
    let made = |bed: &Bed, serial: u64, text: &str| {
        let mut document = Document::genesis(first, NOTE).unwrap();
        let base = document.heads().unwrap();
        // Each at the same version: so it has an actor of its own.
        document.edit(&base, "other\n", bed.chain, 1).unwrap();
        let change = document.edit(&base, text, bed.chain, serial).unwrap().unwrap();
        (vec![first], 5 + serial, changed(&change, text))
    };
    bed.vault.limit_texts(none, none, 100, none);
    let (too_long, too_much) = (bed.next(1), bed.next(3));
    let says = [
        made(&bed, 2, &(NOTE.to_owned() + &long)),
        made(&bed, 3, "one two\n"),
    ];
    let taken = bed.take(&says).unwrap();
    assert_eq!((taken.set_aside, taken.waiting), (vec![too_long], vec![]));
    bed.vault.limit_texts(none, none, none, 100);
    let says = [made(&bed, 4, &(NOTE.to_owned() + &long))];
    let taken = bed.take(&says).unwrap();
    assert_eq!((taken.set_aside, taken.waiting), (vec![], vec![too_much]));
    assert_eq!(bed.text(), "one two\n");
    bed.vault.limit_texts(none, none, none, none);
    assert_eq!(bed.vault.retry_waiting().unwrap().entities, [bed.entity]);
    assert!(bed.text().contains(&long) && bed.text().starts_with("one two"));
}
