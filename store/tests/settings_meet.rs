//! Two devices that set the vault's settings: both come to the same, whatever came first. Events are
//! carried by hand.

mod texts_support;

use coffer_store::event::Form::{Blob, Text};
use coffer_store::vault::Retention;
use texts_support::pair::Pair;
use texts_support::*;

fn days(all_days: u32) -> Retention {
    Retention {
        all_days,
        ..Retention::default()
    }
}

/// What one device set never came to the others.
#[test]
fn what_one_sets_counts_on_both() {
    let mut pair = Pair::new(&[("note.md", "text\n")]);
    pair.one.vault.set_retention(days(7)).unwrap();
    pair.carry(true);
    assert_eq!(pair.two.vault.retention(), days(7));
    pair.two = pair.two.crashed();
    assert_eq!(pair.two.vault.retention(), days(7));
    // What is set next comes after what was known, whoever does it.
    pair.two.vault.set_retention(days(8)).unwrap();
    pair.carry(false);
    assert_eq!(pair.one.vault.retention(), days(8));
    pair.check();
}

/// Guards that of two values that were set at once the same counts on both, whichever came first, also
/// where the older one comes later.
#[test]
fn of_two_that_were_set_at_once_the_last_counts_on_both() {
    for (busy_one, one_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut pair = Pair::new(&[("note.md", "text\n")]);
        // Whoever has told more is later.
        let busy = if busy_one { &pair.one } else { &pair.two };
        for n in 0..3 {
            busy.save(VIM, &format!("other{n}.bin"), "bytes");
            busy.vault.commit().unwrap();
        }
        pair.one.vault.set_retention(days(11)).unwrap();
        pair.two.vault.set_retention(days(22)).unwrap();
        pair.carry(one_first);
        pair.carry(!one_first);
        let last = if busy_one { days(11) } else { days(22) };
        let case = format!("one is busy: {busy_one}, one first: {one_first}");
        assert_eq!(pair.one.vault.retention(), last, "{case}");
        assert_eq!(pair.two.vault.retention(), last, "{case}");
        pair.one = pair.one.again();
        pair.two = pair.two.crashed();
        assert_eq!(pair.one.vault.retention(), last, "{case}");
        assert_eq!(pair.two.vault.retention(), last, "{case}");
        pair.check();
    }
}

/// Names that one device made texts stayed blobs on the others: their versions then did not merge.
#[test]
fn names_that_one_makes_texts_are_texts_on_both() {
    let mut pair = Pair::new(&[("data.log", "one\ntwo\nthree\n")]);
    pair.one
        .vault
        .set_text_names(Some(&"*.log".parse().unwrap()))
        .unwrap();
    pair.carry(true);
    assert!(!pair.two.vault.text_names().1);
    // As it is after a crash, too: the marks of files are stored after the setting.
    pair.two = pair.two.crashed();
    pair.two.save(VIM, "data.log", "one\ntwo\nthree\nfour\n");
    pair.two.vault.commit().unwrap();
    assert_eq!(pair.two.forms("data.log"), [Blob, Text]);
    pair.carry(false);
    pair.one.read(VIM, "data.log");
    pair.one.save(VIM, "data.log", "zero\none\ntwo\nthree\nfour\n");
    pair.two.read(VIM, "data.log");
    pair.two.save(VIM, "data.log", "one\ntwo\nthree\nfour\nfive\n");
    pair.meet();
    assert_eq!(pair.both("data.log"), "zero\none\ntwo\nthree\nfour\nfive\n");
    pair.check();
}
