//! What was let go of on one device comes to another without what it said: it costs no row there, and nothing that does
//! not need it waits for it.

mod texts_support;

use coffer_store::record::Time;
use coffer_store::vault::{Identity, Retention, Subject};
use texts_support::*;

/// All that the one has told comes to the other; what waits there then.
fn take(from: &Bench, to: &Bench) -> usize {
    let mut waits = 0;
    for carried in from.vault.told_after(0).unwrap() {
        let taken = to.vault.take_in(&from.vault.device(), &carried).unwrap();
        assert!(taken.set_aside.is_empty(), "{taken:?}");
        waits = taken.waiting.len();
    }
    waits
}

fn forgetful(bench: &Bench) {
    let none = Retention {
        all_days: 0,
        daily_days: 0,
        removed_days: 0,
    };
    bench.vault.set_retention(none).unwrap();
    bench.vault.commit().unwrap();
    let mut later = Time::now();
    later.sec += 400 * 86_400;
    bench.vault.thin(later).unwrap();
    for _ in 0..2 {
        bench.vault.collect().unwrap();
    }
}

/// How many rows say that something waits.
fn waiting(bench: &Bench) -> usize {
    bench.vault.retry_waiting().unwrap().waiting.len()
}

/// A device that was new had a row for each version that the others had thinned, for ever.
#[test]
fn what_was_thinned_elsewhere_costs_no_row() {
    for joined in [false, true] {
        let one = Bench::new();
        // Knows nothing of what is told from now on.
        let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
        for n in 0..60 {
            one.save(VIM, "blob.bin", format!("bytes {n}"));
            one.save(VIM, "other.bin", format!("other {n}"));
            one.vault.commit().unwrap();
        }
        one.save(VIM, "gone.bin", "was removed");
        one.vault.commit().unwrap();
        one.vault
            .remove(coffer_store::ids::ROOT, b"gone.bin", false)
            .unwrap();
        forgetful(&one);
        let held = |bench: &Bench| {
            bench
                .versions("blob.bin")
                .iter()
                .filter(|version| version.held)
                .count()
        };
        assert_eq!(held(&one), 1);
        if joined {
            one.vault.join_batches().unwrap();
        }
        assert_eq!(take(&one, &two), 0, "joined: {joined}");
        assert_eq!(waiting(&two), 0, "joined: {joined}");
        assert_eq!(two.text("blob.bin"), "bytes 59");
        assert_eq!(two.text("other.bin"), "other 59");
        assert_eq!(held(&two), 1);
        // What was made from what is not here counts as made from what that was made from: nothing stands beside.
        let of = Subject::File(two.ino("blob.bin"));
        assert!(two.vault.versions_beside(of).unwrap().is_empty());
        // And it goes on: there, here, and by way of a third.
        two.save(VIM, "blob.bin", "bytes from two");
        two.vault.commit().unwrap();
        for carried in two.vault.told_after(0).unwrap() {
            one.vault.take_in(&two.vault.device(), &carried).unwrap();
        }
        assert_eq!(one.text("blob.bin"), "bytes from two");
        let two = two.again();
        two.check();
        one.check();
        two.vault.purge(Subject::File(two.ino("blob.bin"))).unwrap();
        assert_eq!(two.vault.collect().unwrap().left, 0);
        two.check();
    }
}

/// What has its bytes and is made from what has not still waits, and nothing takes it for what it is not.
#[test]
fn what_needs_what_is_not_there_waits() {
    let one = Bench::new();
    one.save(VIM, "note.md", "one\n");
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    let had = one
        .vault
        .told_after(0)
        .unwrap()
        .last()
        .unwrap()
        .row
        .last()
        .unwrap();
    for n in 0..5 {
        one.save(VIM, "note.md", format!("one\n{n}\n"));
        one.vault.commit().unwrap();
    }
    let third = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    // The first begins its text anew, and destroys what it was made from; the third goes on with it.
    third.save(VIM, "note.md", "one\n4\nthird\n");
    third.vault.commit().unwrap();
    one.vault.purge(Subject::File(one.ino("note.md"))).unwrap();
    one.vault.collect().unwrap();
    for carried in one.vault.told_after(had).unwrap() {
        let taken = two.vault.take_in(&one.vault.device(), &carried).unwrap();
        assert_eq!((taken.waiting.len(), taken.set_aside.len()), (0, 0), "{taken:?}");
    }
    assert_eq!(two.text("note.md"), "one\n4\n");
    let mut waits = Vec::new();
    for carried in third.vault.told_after(0).unwrap() {
        let taken = two.vault.take_in(&third.vault.device(), &carried).unwrap();
        assert!(taken.set_aside.is_empty(), "{taken:?}");
        waits = taken.waiting;
    }
    assert_eq!(waits.len(), 1);
    assert_eq!(waiting(&two), 1);
    // Who has all of it carries it over, and then nothing waits.
    for carried in third.vault.told_after(0).unwrap() {
        one.vault.take_in(&third.vault.device(), &carried).unwrap();
    }
    two.check();
}

/// A version that was here, and of which all that came between it and the present one was thinned elsewhere, was taken
/// for one that nothing replaces, and stood beside that for ever.
#[test]
fn what_was_replaced_by_what_is_gone_is_replaced() {
    for joined in [false, true] {
        let one = Bench::new();
        one.save(VIM, "blob.bin", "first");
        one.vault.commit().unwrap();
        let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
        for n in 0..6 {
            one.save(VIM, "blob.bin", format!("bytes {n}"));
            one.vault.commit().unwrap();
        }
        forgetful(&one);
        if joined {
            one.vault.join_batches().unwrap();
        }
        assert_eq!(take(&one, &two), 0);
        assert_eq!(two.text("blob.bin"), "bytes 5");
        let of = Subject::File(two.ino("blob.bin"));
        assert!(
            two.vault.versions_beside(of).unwrap().is_empty(),
            "joined: {joined}"
        );
        let versions = two.versions("blob.bin");
        assert_eq!(versions[1].parents, [versions[0].events[0]]);
        two.check();
    }
}
