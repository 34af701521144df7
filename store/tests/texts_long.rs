//! Texts with a long past begin anew by themselves, once they are at rest; nobody sees it, and nothing that anybody
//! writes is lost by it.

mod texts_support;

use coffer_store::record::Time;
use coffer_store::vault::{Identity, Retention};
use texts_support::*;

const DAY: i64 = 86_400;

fn later(days: i64) -> Time {
    let mut now = Time::now();
    now.sec += days * DAY;
    now
}

fn lines(n: usize) -> String {
    (0..n).map(|n| format!("line {n}\n")).collect()
}

/// A note of so many changes.
fn changed(bench: &Bench, name: &str, changes: usize) -> String {
    for n in 0..=changes {
        bench.save(VIM, name, lines(n % 40 + 1));
        if n % 20 == 0 {
            bench.vault.commit().unwrap();
        }
    }
    bench.vault.commit().unwrap();
    bench.text(name)
}

/// A text kept every change that it was ever made of.
#[test]
fn a_long_past_begins_anew_at_rest() {
    let bench = Bench::new();
    let text = changed(&bench, "long.md", 1_010);
    changed(&bench, "short.md", 100);
    let before = bench.versions("long.md").len();
    // Not while somebody may go on at once.
    assert_eq!(bench.vault.begin_texts_anew(later(0)).unwrap(), 0);
    let short = bench.versions("short.md").len();
    assert_eq!(bench.vault.begin_texts_anew(later(2)).unwrap(), 1);
    assert_eq!(bench.text("long.md"), text);
    // To people it is the version that it was.
    assert_eq!(bench.versions("long.md").len(), before);
    assert_eq!(bench.versions("short.md").len(), short);
    // Once is enough.
    assert_eq!(bench.vault.begin_texts_anew(later(4)).unwrap(), 0);
    bench.check();
    // What came before goes as everything does.
    let keep = Retention {
        all_days: 1,
        daily_days: 0,
        removed_days: 90,
    };
    let bench = bench.again();
    bench.save(VIM, "long.md", format!("{text}more\n"));
    bench.vault.commit().unwrap();
    bench.vault.set_retention(keep).unwrap();
    bench.vault.commit().unwrap();
    bench.vault.thin(later(70)).unwrap();
    let left = bench
        .versions("long.md")
        .iter()
        .filter(|version| version.held)
        .count();
    assert!(left < 10, "{left} versions are held");
    bench.vault.join_batches().unwrap();
    bench.vault.collect().unwrap();
    let bench = bench.again();
    assert_eq!(bench.text("long.md"), format!("{text}more\n"));
    bench.check();
}

/// An open file, one that somebody has just saved, and a vault with another device are left alone.
#[test]
fn what_is_not_at_rest_or_not_alone_goes_on() {
    let bench = Bench::new();
    let text = changed(&bench, "long.md", 1_010);
    let ino = bench.ino("long.md");
    bench.vault.open_by(EMACS, ino, false, false, false).unwrap();
    assert_eq!(bench.vault.begin_texts_anew(later(2)).unwrap(), 0);
    bench.vault.release(ino, false);
    bench.save(VIM, "long.md", format!("{text}saved, and not told\n"));
    assert_eq!(bench.vault.begin_texts_anew(later(2)).unwrap(), 0);
    bench.vault.commit().unwrap();
    // Another device has told something: whether it has all of this nobody knows.
    let other = Bench::on(bench.disk.crash_all_kept(), Identity::NewDevice);
    other.save(EMACS, "long.md", format!("{text}saved, and not told\nother\n"));
    other.vault.commit().unwrap();
    assert_eq!(other.vault.begin_texts_anew(later(2)).unwrap(), 0);
    for carried in other.vault.told_after(0).unwrap() {
        bench.vault.take_in(&other.vault.device(), &carried).unwrap();
    }
    assert_eq!(bench.vault.begin_texts_anew(later(2)).unwrap(), 0);
    bench.check();
}

/// Who had the text open, or another device that wrote in the former one, loses nothing.
#[test]
fn what_others_write_meanwhile_is_carried_over() {
    let bench = Bench::new();
    let text = changed(&bench, "long.md", 1_010);
    let other = Bench::on(bench.disk.crash_all_kept(), Identity::NewDevice);
    let read = bench.read(EMACS, "long.md");
    assert_eq!(bench.vault.begin_texts_anew(later(2)).unwrap(), 1);
    other.save(EMACS, "long.md", format!("{text}from the other\n"));
    other.vault.commit().unwrap();
    for carried in other.vault.told_after(0).unwrap() {
        bench.vault.take_in(&other.vault.device(), &carried).unwrap();
    }
    bench.save(EMACS, "long.md", format!("from the old buffer\n{read}"));
    bench.vault.commit().unwrap();
    bench.vault.commit().unwrap();
    let now = bench.text("long.md");
    assert!(
        now.contains("from the other") && now.contains("from the old buffer"),
        "{now}"
    );
    assert_eq!(now.matches("line 0\n").count(), text.matches("line 0\n").count());
    bench.check();
}
