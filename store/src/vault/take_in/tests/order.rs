//! What became of an event depended on what else was here: on what had come beside it, on what this
//! device had let go of, on what could not be read.

use super::*;
use crate::record::Time;

/// What a change that another was tried after, and refused, had left in the document was forgotten: what was
/// made of it and of a newer version was set aside for good.
#[test]
fn a_document_that_is_made_anew_has_all_that_is_taken() {
    for newer_first in [false, true] {
        let mut bed = Bed::new();
        let first = bed.at();
        let mut document = Document::genesis(first, NOTE).unwrap();
        let base = document.heads().unwrap();
        let newer = bed.change(&mut document, &base, "one two three four\n");
        let older = document
            .edit(&base, "zero one two three\n", bed.chain, 8)
            .unwrap()
            .unwrap();
        let newest = document.heads().unwrap();
        let of_both = bed.change(&mut document, &newest, "zero one two three four five\n");
        let mut document = Document::genesis(first, NOTE).unwrap();
        let lies = document.edit(&base, "other\n", bed.chain, 1).unwrap();
        assert!(lies.is_some());
        let lies = document.edit(&base, "lies\n", bed.chain, 9).unwrap().unwrap();

        let second = bed.next(1);
        bed.take(&[(vec![first], 5, changed(&newer, "one two three four\n"))])
            .unwrap();
        let (third, bad) = (bed.next(1), bed.next(2));
        let mut from = vec![third, second];
        if newer_first {
            from.reverse();
        }
        let taken = bed
            .take(&[
                (vec![first], 6, changed(&older, "zero one two three\n")),
                (vec![first], 7, changed(&lies, "lies and more\n")),
                (from, 8, changed(&of_both, "zero one two three four five\n")),
            ])
            .unwrap();
        assert_eq!(taken.set_aside, [bad], "newer first: {newer_first}");
        assert_eq!(bed.text(), "zero one two three four five\n");
    }
}

/// A change that was made from a version that had been thinned here was set aside here for good, and taken
/// everywhere else.
#[test]
fn a_verdict_does_not_depend_on_what_was_thinned() {
    for thinned in [false, true] {
        let mut bed = Bed::new();
        let first = bed.at();
        let mut document = Document::genesis(first, NOTE).unwrap();
        let base = document.heads().unwrap();
        let one = bed.change(&mut document, &base, "one two three four\n");
        let newest = document.heads().unwrap();
        let two = bed.change(&mut document, &newest, "one two three four five\n");
        let blob = Version {
            form: Form::Blob,
            ..version(Body::Inline(b"\xff".to_vec()), 1)
        };
        let second = bed.next(1);
        bed.take(&[
            (vec![first], 5, changed(&one, "one two three four\n")),
            (vec![second], 6, blob.encode()),
        ])
        .unwrap();
        if thinned {
            // Once it has been here for a while.
            let now = Time::now();
            let sec = now.sec + 31 * 86_400;
            let gone = bed.vault.thin(Time { sec, ..now }).unwrap();
            assert_eq!(gone.versions, 1);
        }
        let at = bed.next(1);
        let says = (vec![first, second], 7, changed(&two, "one two three four five\n"));
        let taken = bed.take(&[says]).unwrap();
        let expected = match thinned {
            false => (vec![], vec![]),
            true => (vec![], vec![at]),
        };
        assert_eq!((taken.set_aside, taken.waiting), expected, "thinned: {thinned}");
    }
}

/// A version that has its bytes waited for those that it replaces, and was set aside with them.
#[test]
fn a_version_with_its_bytes_needs_no_other() {
    let mut bed = Bed::new();
    let first = bed.at();
    let mut document = Document::genesis(first, NOTE).unwrap();
    let base = document.heads().unwrap();
    let change = bed.change(&mut document, &base, "one two three four\n");
    let row = first_row(&bed);
    put_row(&bed.vault, (row.0.clone(), vec![0; row.1.len()]));
    let (waits, bad) = (bed.next(1), bed.next(2));
    let whole = |text: &str| version(Body::Inline(text.into()), text.len() as u64).encode();
    let taken = bed
        .take(&[
            (vec![first], 5, changed(&change, "one two three four\n")),
            (vec![first], 6, NO_VERSION.to_vec()),
            (vec![waits], 7, whole("after what waits\n")),
            (vec![bad], 8, whole("after what is none\n")),
        ])
        .unwrap();
    assert_eq!((taken.waiting, taken.set_aside), (vec![waits], vec![bad]));
    put_row(&bed.vault, row);
    assert_eq!(bed.vault.retry_waiting().unwrap().waiting, []);
    assert_eq!(bed.text(), "after what is none\n");
}

/// Whoever looked at a file while a version was tried that was then refused found in its document what nobody
/// had told, left the file as it was, and nobody came back.
#[test]
fn a_file_is_looked_at_again_after_a_version_is_refused() {
    let mut bed = Bed::new();
    let first = bed.at();
    let mut document = Document::genesis(first, NOTE).unwrap();
    let base = document.heads().unwrap();
    let good = bed.change(&mut document, &base, "one two three four\n");
    let newest = document.heads().unwrap();
    let tried = bed.change(&mut document, &newest, "one two three four five\n");
    let ino = bed.vault.lookup(ROOT, b"note.md").unwrap();
    bed.vault.open(ino, true, false, false).unwrap();
    let second = bed.next(1);
    bed.take(&[(vec![first], 5, changed(&good, "one two three four\n"))])
        .unwrap();
    bed.vault.release(ino, true);
    // Half-way through taking one in, somebody looks.
    let lies = changed(&tried, "one two three four five six\n");
    let honest = Version::decode(&changed(&tried, "one two three four five\n")).unwrap();
    let carried = bed.batch(&[(vec![second], 6, lies.clone())]);
    let head = Walk::new(&carried.bytes)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .event
        .head;
    let verdicts = bed.vault.judge((bed.entity, &bed.key), &[(&head, &honest)]);
    assert_eq!(verdicts.unwrap(), [crate::vault::texts::Verdict::Good]);
    bed.vault.show_safely();
    assert_eq!(bed.text(), NOTE);
    assert!(!bed.vault.is_to_show());
    let taken = bed.take(&[(vec![second], 6, lies)]).unwrap();
    assert_eq!(taken.set_aside.len(), 1);
    assert_eq!(bed.text(), "one two three four\n");
}
