//! Merges are found again, looked at, and taken back.

mod texts_support;

use coffer_store::record::Time;
use coffer_store::vault::{Keep, Merge, Subject, UndoError, Undone};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, Ordering};
use texts_support::pair::Pair;
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

fn merges(bench: &Bench, name: &str) -> Vec<Merge> {
    bench.vault.merges(of(bench, name)).unwrap()
}

fn of(bench: &Bench, name: &str) -> Subject {
    Subject::File(bench.ino(name))
}

fn undo(bench: &Bench, name: &str, merge: &Merge, keep: usize) -> Result<Undone, UndoError> {
    bench.vault.undo_merge(of(bench, name), merge, Keep::Side(keep))
}

/// Both have written, and met.
fn merged() -> Pair {
    let mut pair = Pair::new(&[("note.md", NOTE)]);
    pair.one.save(VIM, "note.md", garlic(NOTE));
    pair.two.save(EMACS, "note.md", butter(NOTE));
    pair.meet();
    assert_eq!(pair.both("note.md"), garlic(&butter(NOTE)));
    pair
}

/// Guards what is told of a merge that is only shown, and that it stays the same one when somebody
/// saves upon it, or changes the file's attributes.
#[test]
fn a_merge_is_found_again() {
    let mut pair = merged();
    let found = merges(&pair.one, "note.md");
    assert_eq!(found.len(), 1);
    let merge = &found[0];
    assert_eq!((merge.saved_as, merge.sides.len()), (None, 2));
    assert!(merge.sides[0].own && !merge.sides[1].own, "ours comes first");
    assert_eq!(
        merge.sides.iter().map(|side| side.versions).collect::<Vec<_>>(),
        [1, 1]
    );
    assert_ne!(merge.sides[0].devices, merge.sides[1].devices);
    let texts = pair
        .one
        .vault
        .merge_texts(of(&pair.one, "note.md"), merge)
        .unwrap()
        .unwrap();
    assert_eq!(texts.base, NOTE);
    assert_eq!(texts.sides, [garlic(NOTE), butter(NOTE)]);
    assert_eq!(texts.merged, garlic(&butter(NOTE)));
    assert!(!texts.overlap());
    let theirs = merges(&pair.two, "note.md").remove(0);
    let number = theirs.sides[0].number.unwrap();
    assert_eq!(pair.two.version("note.md", number), butter(NOTE).into_bytes());
    // With new attributes, which join the two.
    pair.one.chmod("note.md", 0o600);
    pair.one.vault.commit().unwrap();
    let found = merges(&pair.one, "note.md");
    assert_eq!((found.len(), found[0].saved_as), (1, None));
    assert_eq!(found[0].sides, merge.sides);
    // With a save upon it.
    let loaded = pair.one.read(VIM, "note.md");
    pair.one.save(VIM, "note.md", format!("{loaded}More.\n"));
    pair.meet();
    for bench in [&pair.one, &pair.two] {
        let found = merges(bench, "note.md");
        assert_eq!((found.len(), found[0].saved_as), (1, Some(4)));
        let texts = bench
            .vault
            .merge_texts(of(bench, "note.md"), &found[0])
            .unwrap()
            .unwrap();
        assert_eq!((texts.base.as_str(), texts.merged), (NOTE, garlic(&butter(NOTE))));
    }
    // And when it is unlocked again.
    pair.one = pair.one.again();
    assert_eq!(merges(&pair.one, "note.md")[0].sides, merge.sides);
    let found = pair.one.vault.merge_candidates().unwrap();
    assert_eq!(
        found.iter().map(|(ino, _)| *ino).collect::<Vec<_>>(),
        [pair.one.ino("note.md")]
    );
    pair.check();
}

/// Guards an undo: the file is what one side had, with what was written since; it is a version more,
/// the other device has it too, and a second one changes nothing.
#[test]
fn a_merge_is_taken_back() {
    for (keep, since) in [(0, ""), (1, ""), (0, "More.\n"), (1, "More.\n")] {
        let mut pair = merged();
        if !since.is_empty() {
            let loaded = pair.one.read(VIM, "note.md");
            pair.one.save(VIM, "note.md", format!("{loaded}{since}"));
            pair.meet();
        }
        let before = pair.one.versions("note.md").len();
        let merge = merges(&pair.one, "note.md").remove(0);
        let one = pair.one.ino("note.md");
        assert_eq!(
            undo(&pair.one, "note.md", &merge, keep).unwrap(),
            Undone::Done(one)
        );
        let side = [garlic(NOTE), butter(NOTE)][keep].clone();
        assert_eq!(pair.one.text("note.md"), format!("{side}{since}"));
        assert_eq!(
            undo(&pair.one, "note.md", &merge, keep).unwrap(),
            Undone::Already(one)
        );
        pair.meet();
        assert_eq!(pair.both("note.md"), format!("{side}{since}"));
        assert_eq!(pair.one.versions("note.md").len(), before + 1);
        let found = merges(&pair.one, "note.md");
        assert_eq!(found.len(), 1, "what was taken back is no new merge");
        let texts = pair
            .one
            .vault
            .merge_texts(of(&pair.one, "note.md"), &found[0])
            .unwrap()
            .unwrap();
        let present = pair.one.text("note.md");
        assert_eq!(texts.taken_back(&present), Some(keep));
        pair.check();
        pair.one = pair.one.crashed();
        assert_eq!(pair.both("note.md"), format!("{side}{since}"));
        // And what both had comes back.
        let merge = merges(&pair.one, "note.md").remove(0);
        pair.one
            .vault
            .undo_merge(of(&pair.one, "note.md"), &merge, Keep::All)
            .unwrap();
        pair.meet();
        assert_eq!(pair.both("note.md"), format!("{}{since}", garlic(&butter(NOTE))));
    }
}

/// Guards words that were written since: where they are those that are to go, nothing is done.
#[test]
fn what_was_written_since_stands_in_the_way() {
    let pair = merged();
    let loaded = pair.one.read(VIM, "note.md");
    let salted = loaded.replace("butter", "salted butter from Brittany");
    pair.one.save(VIM, "note.md", &salted);
    pair.one.vault.commit().unwrap();
    let merge = merges(&pair.one, "note.md").remove(0);
    assert!(matches!(
        undo(&pair.one, "note.md", &merge, 0),
        Err(UndoError::InTheWay)
    ));
    assert_eq!(pair.one.text("note.md"), salted);
    // The other way is free.
    undo(&pair.one, "note.md", &merge, 1).unwrap();
    assert_eq!(
        pair.one.text("note.md"),
        salted.replace("late October", "October")
    );
}

/// Guards bytes that are no version yet: they would be lost.
#[test]
fn half_a_save_is_not_overwritten() {
    let pair = merged();
    let merge = merges(&pair.one, "note.md").remove(0);
    let ino = pair.one.ino("note.md");
    pair.one.vault.open_by(VIM, ino, true, false, false).unwrap();
    pair.one.vault.write(ino, Some(0), b"half", false).unwrap();
    match undo(&pair.one, "note.md", &merge, 0) {
        Err(UndoError::Op(error)) => assert_eq!(error.errno(), libc::EBUSY),
        other => panic!("{other:?}"),
    }
    assert!(pair.one.text("note.md").starts_with("half"));
    pair.one.vault.release(ino, true);
    // Saved just now: that is a version.
    let merge = merges(&pair.one, "note.md").remove(0);
    undo(&pair.one, "note.md", &merge, 0).unwrap();
    assert_eq!(pair.one.text("note.md"), format!("half{}", &garlic(NOTE)[4..]));
}

/// Guards what is saved while a merge is taken back, again and again: what a file becomes is computed
/// beside that, and what is computed of an older text must not be put over a newer one.
#[test]
fn what_is_saved_meanwhile_stays() {
    const UNDONE: usize = 6;
    let bench = Bench::new();
    let lines: String = (0..3_000).map(|at| format!("Line {at}.\n")).collect();
    let note = NOTE.to_owned() + &lines;
    bench.save(1, "note.md", &note);
    bench.tell();
    for who in [VIM, EMACS] {
        bench.read(who, "note.md");
    }
    bench.save(VIM, "note.md", garlic(&note));
    bench.save(EMACS, "note.md", butter(&note));
    bench.tell();
    let merge = merges(&bench, "note.md").remove(0);
    // Every line is another: comparing takes longer than saving, and each computation meets a save.
    let text = bench.read(VIM, "note.md").replace("Line", "Row");
    bench.save(VIM, "note.md", text);
    bench.tell();
    let (of, is_over) = (of(&bench, "note.md"), AtomicBool::new(false));
    let mut saved = Vec::new();
    std::thread::scope(|scope| {
        let saver = scope.spawn(|| {
            let mut saved = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let line = format!("Meanwhile {}.\n", saved.len());
                let text = bench.read(VIM, "note.md");
                bench.save(VIM, "note.md", text + &line);
                saved.push(line);
                bench.tell();
            }
            saved
        });
        let mut done = 0;
        while done < UNDONE {
            let keep = [Keep::Side(0), Keep::All][done % 2];
            match bench.vault.undo_merge(of, &merge, keep) {
                Ok(_) => done += 1,
                // Half a save.
                Err(UndoError::Op(error)) => assert_eq!(error.errno(), libc::EBUSY),
                Err(error) => panic!("{error}"),
            }
        }
        is_over.store(true, Ordering::SeqCst);
        saved = saver.join().unwrap();
    });
    eprintln!("{} saves meanwhile", saved.len());
    bench.tell();
    let shown = bench.text("note.md");
    let lost = saved
        .iter()
        .filter(|line| shown.matches(*line).count() != 1)
        .count();
    assert_eq!(lost, 0, "of {}", saved.len());
    bench.vault.undo_merge(of, &merge, Keep::Side(1)).unwrap();
    assert!(bench.text("note.md") == butter(&note).replace("Line", "Row") + &saved.concat());
}

/// Guards an old buffer on one device: what it saves is merged with what another editor saved, and both
/// sides are this device's.
#[test]
fn an_old_buffer_is_a_side() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    for who in [VIM, EMACS] {
        bench.read(who, "note.md");
    }
    bench.save(VIM, "note.md", garlic(NOTE));
    bench.tell();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.tell();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    let found = merges(&bench, "note.md");
    assert_eq!(found.len(), 1);
    assert!(found[0].sides.iter().all(|side| side.own));
    let numbers: Vec<_> = found[0].sides.iter().map(|side| side.number).collect();
    assert_eq!(numbers, [Some(2), Some(3)]);
    undo(&bench, "note.md", &found[0], 1).unwrap();
    assert_eq!(bench.text("note.md"), butter(NOTE));
    bench.check();
}

/// Guards what overlaps: one place changed by both.
#[test]
fn one_place_changed_by_both_is_seen() {
    let mut pair = Pair::new(&[("note.md", NOTE)]);
    pair.one.save(VIM, "note.md", NOTE.replace("October", "November"));
    pair.two
        .save(EMACS, "note.md", NOTE.replace("October", "September"));
    pair.meet();
    let merge = merges(&pair.one, "note.md").remove(0);
    let texts = pair
        .one
        .vault
        .merge_texts(of(&pair.one, "note.md"), &merge)
        .unwrap()
        .unwrap();
    assert!(texts.overlap());
    undo(&pair.one, "note.md", &merge, 1).unwrap();
    assert_eq!(pair.one.text("note.md"), NOTE.replace("October", "September"));
}

/// Guards merges of a past that goes: years later a text's versions are still there; after a purge it
/// says what is gone, and takes nothing back.
#[test]
fn what_is_gone_is_said() {
    let mut pair = merged();
    let loaded = pair.one.read(VIM, "note.md");
    pair.one.save(VIM, "note.md", format!("{loaded}More.\n"));
    pair.meet();
    let merge = merges(&pair.one, "note.md").remove(0);
    let now = Time::now();
    let later = Time {
        sec: now.sec + 5 * 365 * 86_400,
        nsec: 0,
    };
    pair.one.vault.thin(later).unwrap();
    assert_eq!(merges(&pair.one, "note.md"), std::slice::from_ref(&merge));
    let texts = || {
        pair.one
            .vault
            .merge_texts(of(&pair.one, "note.md"), &merge)
            .unwrap()
    };
    assert_eq!(texts().unwrap().base, NOTE);
    pair.one.vault.purge(of(&pair.one, "note.md")).unwrap();
    assert_eq!(texts(), None);
    assert!(matches!(
        undo(&pair.one, "note.md", &merge, 0),
        Err(UndoError::Gone)
    ));
    for merge in merges(&pair.one, "note.md") {
        assert!(matches!(
            undo(&pair.one, "note.md", &merge, 0),
            Err(UndoError::Gone)
        ));
    }
    assert_eq!(
        pair.one.text("note.md"),
        format!("{}More.\n", garlic(&butter(NOTE)))
    );
    pair.one.check();
}

/// Guards blobs, which never merge, and what has one version.
#[test]
fn what_does_not_merge_has_no_merges() {
    let mut pair = Pair::new(&[("data.bin", "first"), ("note.md", NOTE)]);
    for round in 0..3 {
        pair.one.save(VIM, "data.bin", format!("by one {round}"));
        pair.two.save(EMACS, "data.bin", format!("by two {round}"));
    }
    pair.meet();
    for name in ["data.bin", "note.md"] {
        assert_eq!(merges(&pair.one, name), []);
    }
}

/// Guards long pasts: hundreds of merges of one note are found, and each once. Prints how long that takes.
#[test]
fn hundreds_of_merges() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.tell();
    for who in [VIM, EMACS] {
        bench.read(who, "note.md");
    }
    for round in 0..250 {
        let text = bench.read(VIM, "note.md");
        bench.read(EMACS, "note.md");
        let line = |by: &str| format!("{by} {round}.\n");
        // Each in a line of its own, which takes the place of the one before.
        let with = |at: usize, by: &str| {
            let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
            lines[at] = line(by);
            lines.concat()
        };
        bench.save(VIM, "note.md", with(0, "Vim"));
        bench.save(EMACS, "note.md", with(4, "Emacs"));
        bench.tell();
    }
    let begun = std::time::Instant::now();
    let found = merges(&bench, "note.md");
    eprintln!(
        "{} merges of {} versions in {:?}",
        found.len(),
        bench.versions("note.md").len(),
        begun.elapsed()
    );
    assert_eq!(found.len(), 250);
    let begun = std::time::Instant::now();
    for merge in &found[..20] {
        let texts = bench
            .vault
            .merge_texts(of(&bench, "note.md"), merge)
            .unwrap()
            .unwrap();
        assert!(!texts.overlap());
    }
    eprintln!("texts of 20 in {:?}", begun.elapsed());
}

/// Guards all of it together, over two devices that write, meet and take back at random: what a side had
/// is a version, byte for byte, and a merge that is shown and taken back at once is that.
#[test]
fn merges_of_all_kinds() {
    let seeds = std::env::var("COFFER_LONG").map_or(30, |_| 300);
    let (mut found_in_all, mut taken_back) = (0, 0);
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut pair = Pair::new(&[("note.md", NOTE)]);
        for step in 0..12 {
            let bench = if rng.random_bool(0.5) {
                &pair.one
            } else {
                &pair.two
            };
            let text = match rng.random_bool(0.7) {
                true => bench.read(VIM, "note.md"),
                false => bench.text("note.md"),
            };
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let at = rng.random_range(0..=lines.len());
            lines.insert(at, format!("Word {step} of {seed}."));
            bench.save(VIM, "note.md", lines.join("\n") + "\n");
            match rng.random_range(0..4) {
                0 => pair.meet(),
                1 => bench.tell(),
                _ => {}
            }
        }
        pair.meet();
        for bench in [&pair.one, &pair.two] {
            let found = merges(bench, "note.md");
            assert!(found.is_sorted_by_key(|merge| std::cmp::Reverse(merge.order)));
            found_in_all += found.len();
            for merge in &found {
                let texts = bench
                    .vault
                    .merge_texts(of(bench, "note.md"), merge)
                    .unwrap()
                    .unwrap();
                for (side, text) in merge.sides.iter().zip(&texts.sides) {
                    let version = bench.version("note.md", side.number.unwrap());
                    assert_eq!(version, text.as_bytes(), "seed {seed}");
                }
            }
            let shown = found.iter().find(|merge| merge.saved_as.is_none());
            if let Some(merge) = shown {
                let texts = bench
                    .vault
                    .merge_texts(of(bench, "note.md"), merge)
                    .unwrap()
                    .unwrap();
                assert_eq!(texts.merged, bench.text("note.md"), "seed {seed}");
                undo(bench, "note.md", merge, 1).unwrap();
                assert_eq!(bench.text("note.md"), texts.sides[1], "seed {seed}");
                taken_back += 1;
            }
        }
        pair.meet();
        pair.both("note.md");
        pair.check();
    }
    assert!(
        found_in_all > seeds as usize && taken_back > 5,
        "{found_in_all} {taken_back}"
    );
}
