//! A text that began anew on one device (its past was purged, or had become too long, or a change would not
//! have fitted into an event) while others went on with the former one: in whatever order the events
//! come, all show the same, and each word once.

mod texts_support;

use coffer_store::record::Time;
use coffer_store::vault::{Identity, Retention, Subject};
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";
/// No limit that anybody reaches.
const NONE: u64 = 1 << 30;

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

fn title(text: &str) -> String {
    text.replace("# Garden", "# The garden")
}

/// Devices with one note, of which the first has a past.
struct Mesh {
    all: Vec<Bench>,
    had: Vec<Vec<u64>>,
}

impl Mesh {
    fn new(count: usize) -> Mesh {
        let one = Bench::new();
        one.save(1, "note.md", "# Garden\n");
        one.vault.commit().unwrap();
        one.save(1, "note.md", NOTE);
        one.vault.commit().unwrap();
        let last = one
            .vault
            .told_after(0)
            .unwrap()
            .last()
            .unwrap()
            .row
            .last()
            .unwrap();
        let mut had = vec![vec![0; count]; count];
        let others: Vec<Bench> = (1..count)
            .map(|_| Bench::on(one.disk.crash_all_kept(), Identity::NewDevice))
            .collect();
        had.iter_mut().for_each(|had| had[0] = last);
        Mesh {
            all: std::iter::once(one).chain(others).collect(),
            had,
        }
    }

    /// What one has told comes to the other; false if that comes too early for it.
    fn carry(&mut self, from: usize, to: usize) -> bool {
        let (giver, taker) = (&self.all[from].vault, &self.all[to].vault);
        giver.commit().unwrap();
        for carried in giver.told_after(self.had[to][from]).unwrap() {
            use coffer_store::vault::TakeInError::TooEarly;
            match taker.take_in(&giver.device(), &carried) {
                Ok(taken) => assert!(taken.set_aside.is_empty(), "{taken:?}"),
                Err(TooEarly) => return false,
                Err(e) => panic!("{e}"),
            }
            self.had[to][from] = carried.row.last().unwrap();
        }
        true
    }

    /// All get everything, in this order of devices.
    fn settle(&mut self, order: &[usize]) {
        for _ in 0..6 {
            for from in order {
                for to in order.iter().filter(|to| *to != from) {
                    self.carry(*from, *to);
                }
            }
        }
        for (from, to) in [(0, 1), (1, 0)] {
            assert!(self.carry(from, to));
        }
    }

    /// All show the same, and nothing beside it.
    fn agree(&self, case: &str) -> String {
        let first = self.all[0].text("note.md");
        for bench in &self.all {
            assert_eq!(bench.text("note.md"), first, "{case}");
            let beside = bench
                .vault
                .versions_beside(Subject::File(bench.ino("note.md")))
                .unwrap();
            assert!(beside.is_empty(), "{case}: {beside:?}");
            let waiting = bench.vault.retry_waiting().unwrap().waiting;
            assert!(waiting.is_empty(), "{case}: {waiting:?}");
            bench.check();
        }
        first
    }
}

fn orders() -> [Vec<usize>; 6] {
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].map(|order| order.to_vec())
}

/// How the first device begins its text anew.
#[derive(Clone, Copy, Debug)]
enum Anew {
    Purged,
    TooLong,
    TooLarge,
}

impl Anew {
    /// And what it is then.
    fn begin(self, bench: &Bench) -> String {
        let vault = &bench.vault;
        match self {
            Anew::Purged => {
                assert!(vault.purge(Subject::File(bench.ino("note.md"))).unwrap().versions > 0);
                return NOTE.into();
            }
            Anew::TooLong => vault.limit_texts(NONE, 1, NONE, NONE),
            Anew::TooLarge => vault.limit_texts(1, NONE, NONE, NONE),
        }
        bench.read(VIM, "note.md");
        bench.save(VIM, "note.md", garlic(NOTE));
        vault.commit().unwrap();
        vault.limit_texts(NONE, NONE, NONE, NONE);
        garlic(NOTE)
    }
}

const ALL: [Anew; 3] = [Anew::Purged, Anew::TooLong, Anew::TooLarge];

/// What others had written in the former text stayed a version beside the file, for ever, on every device.
#[test]
fn what_others_wrote_in_the_former_text_comes_into_the_new_one() {
    for anew in ALL {
        for order in orders() {
            let mut mesh = Mesh::new(3);
            let begun = anew.begin(&mesh.all[0]);
            // Several versions, each made from the one before.
            for text in [
                butter(NOTE),
                butter(NOTE) + "More.\n",
                butter(NOTE) + "More.\nAnd more.\n",
            ] {
                mesh.all[1].read(EMACS, "note.md");
                mesh.all[1].save(EMACS, "note.md", text);
                mesh.all[1].vault.commit().unwrap();
            }
            mesh.all[1].chmod("note.md", 0o604);
            mesh.all[2].read(EMACS, "note.md");
            mesh.all[2].save(EMACS, "note.md", title(NOTE));
            mesh.settle(&order);
            let case = format!("{anew:?}, order {order:?}");
            let expected = title(&butter(&begun)) + "More.\nAnd more.\n";
            assert_eq!(mesh.agree(&case), expected, "{case}");
            for bench in &mesh.all {
                let perm = bench.vault.stat(bench.ino("note.md")).unwrap().meta.perm;
                assert_eq!(perm, 0o604, "{case}");
            }
            // Whoever goes on does so with all of it.
            let loaded = mesh.all[2].read(VIM, "note.md");
            mesh.all[2].save(VIM, "note.md", loaded + "The end.\n");
            mesh.settle(&order);
            assert_eq!(mesh.agree(&case), expected + "The end.\n", "{case}");
            for bench in std::mem::take(&mut mesh.all) {
                let shown = bench.text("note.md");
                assert_eq!(bench.crashed().text("note.md"), shown, "{case}");
            }
        }
    }
}

/// A buffer of the former text, saved where the new one was already shown, put its text in the place of
/// that, with what others had written since.
#[test]
fn a_buffer_of_the_former_text_is_merged_into_the_new_one() {
    for anew in ALL {
        for remount in [false, true] {
            let mut mesh = Mesh::new(2);
            mesh.all[1].read(EMACS, "note.md");
            let begun = anew.begin(&mesh.all[0]);
            let loaded = mesh.all[0].read(VIM, "note.md");
            mesh.all[0].save(VIM, "note.md", title(&loaded));
            assert!(mesh.carry(0, 1));
            assert_eq!(mesh.all[1].text("note.md"), title(&begun));
            if remount {
                let two = mesh.all.pop().unwrap().again();
                mesh.all.push(two);
                mesh.all[1].read(EMACS, "note.md");
                continue;
            }
            mesh.all[1].save(EMACS, "note.md", butter(NOTE));
            mesh.all[1].vault.commit().unwrap();
            assert_eq!(mesh.all[1].text("note.md"), title(&butter(&begun)), "{anew:?}");
            mesh.all[1].save(EMACS, "note.md", butter(NOTE) + "Again.\n");
            mesh.settle(&[0, 1]);
            let case = format!("{anew:?}");
            assert_eq!(mesh.agree(&case), title(&butter(&begun)) + "Again.\n", "{case}");
        }
    }
}

/// An editor that was shown the former text and then the new one, as by a look just before it saves, and saved
/// what it had of the former, took back what another had written in the new one.
#[test]
fn a_look_at_the_new_text_does_not_make_it_what_an_editor_had() {
    let bench = Bench::new();
    bench.save(1, "note.md", NOTE);
    bench.vault.commit().unwrap();
    bench.read(EMACS, "note.md");
    let loaded = bench.read(VIM, "note.md");
    bench.vault.limit_texts(NONE, 1, NONE, NONE);
    bench.save(VIM, "note.md", garlic(&loaded));
    bench.vault.commit().unwrap();
    bench.vault.limit_texts(NONE, NONE, NONE, NONE);
    bench.read(EMACS, "note.md");
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.vault.commit().unwrap();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    // One that saves what it read last had that.
    let loaded = bench.read(EMACS, "note.md");
    bench.save(EMACS, "note.md", title(&loaded));
    bench.vault.commit().unwrap();
    assert_eq!(bench.text("note.md"), title(&garlic(&butter(NOTE))));
    bench.check();
}

/// The former text that an editor was shown counted as what it was shown last: what it removed of the new one,
/// which stood there in place of something longer, came back.
#[test]
fn what_was_removed_of_the_new_text_stays_removed() {
    let (old, new) = ("one longer paragraph ".repeat(5), "a shorter one ".repeat(6));
    let (head, tail) = ("# Garden\n\n".to_owned(), "\nBuy bread and milk.\n");
    let bench = Bench::new();
    bench.save(1, "note.md", head.clone() + &old + tail);
    bench.vault.commit().unwrap();
    bench.read(EMACS, "note.md");
    bench.read(VIM, "note.md");
    bench.vault.limit_texts(NONE, 1, NONE, NONE);
    bench.save(VIM, "note.md", head.clone() + &new + tail);
    bench.vault.commit().unwrap();
    bench.vault.limit_texts(NONE, NONE, NONE, NONE);
    bench.read(EMACS, "note.md");
    bench.save(EMACS, "note.md", head.clone() + tail);
    bench.vault.commit().unwrap();
    assert_eq!(bench.text("note.md"), head + tail);
    bench.check();
}

/// What an editor saved that had the note open while its past was purged took the place of what another had
/// written since.
#[test]
fn an_editor_goes_on_while_the_past_is_purged() {
    let bench = Bench::new();
    bench.save(1, "note.md", "# Garden\n");
    bench.vault.commit().unwrap();
    bench.save(1, "note.md", NOTE);
    bench.read(EMACS, "note.md");
    bench.vault.purge(Subject::File(bench.ino("note.md"))).unwrap();
    let loaded = bench.read(VIM, "note.md");
    bench.save(VIM, "note.md", garlic(&loaded));
    bench.vault.commit().unwrap();
    bench.save(EMACS, "note.md", butter(NOTE));
    bench.vault.commit().unwrap();
    assert_eq!(bench.text("note.md"), garlic(&butter(NOTE)));
    bench.check();
}

/// Two that began the same text anew at once had two lines from then on, of which one was seen.
#[test]
fn two_that_begin_anew_at_once_come_together() {
    for order in orders() {
        let mut mesh = Mesh::new(3);
        for (n, text) in [garlic(NOTE), butter(NOTE)].iter().enumerate() {
            let bench = &mesh.all[n];
            bench.vault.limit_texts(NONE, 1, NONE, NONE);
            bench.read(VIM, "note.md");
            bench.save(VIM, "note.md", text);
            bench.vault.commit().unwrap();
            bench.vault.limit_texts(NONE, NONE, NONE, NONE);
            let loaded = bench.read(VIM, "note.md");
            bench.save(
                VIM,
                "note.md",
                loaded.replace("# Garden", ["# My garden", "# Garden, ours"][n]),
            );
            bench.vault.commit().unwrap();
        }
        mesh.settle(&order);
        let case = format!("order {order:?}");
        let text = mesh.agree(&case);
        for word in ["late", "butter", "My", "ours", "garlic", "milk"] {
            assert_eq!(text.matches(word).count(), 1, "{case}, {word}: {text}");
        }
    }
}

/// How many events a device has told.
fn told(bench: &Bench) -> u64 {
    bench.vault.commit().unwrap();
    let last = bench.vault.told_after(0).unwrap().pop().unwrap();
    last.row.last().unwrap()
}

/// Two programs that divide texts otherwise made two changes by one actor of one version that both carried over: each
/// device had its own, and refused the other's with all that was written since.
#[test]
fn two_who_carry_a_version_over_otherwise_stay_together() {
    for order in orders() {
        let mut mesh = Mesh::new(3);
        mesh.all[2].vault.carry_otherwise();
        let bench = &mesh.all[0];
        bench.vault.limit_texts(NONE, 1, NONE, NONE);
        bench.save(VIM, "note.md", garlic(NOTE));
        bench.vault.commit().unwrap();
        bench.vault.limit_texts(NONE, NONE, NONE, NONE);
        mesh.all[1].save(VIM, "note.md", butter(NOTE));
        mesh.carry(1, 2);
        for n in [1, 2] {
            let before = told(&mesh.all[n]);
            mesh.carry(0, n);
            assert_eq!(told(&mesh.all[n]), before + 1, "it carries butter over");
            // And goes on from there.
            let loaded = mesh.all[n].read(VIM, "note.md");
            let more = format!("{loaded}\nwritten by {n}\n");
            mesh.all[n].save(VIM, "note.md", more);
        }
        mesh.settle(&order);
        let case = format!("order {order:?}");
        let text = mesh.agree(&case);
        for word in ["late", "written by 1", "written by 2"] {
            assert_eq!(text.matches(word).count(), 1, "{case}, {word}: {text}");
        }
        assert!(text.contains("butter"), "{case}: {text}");
        // Who comes to it new is told the same.
        let new = Bench::on(mesh.all[1].disk.crash_all_kept(), Identity::NewDevice);
        assert_eq!(new.text("note.md"), text, "{case}");
    }
}

/// What a version was made from was not there on one of two who carried it over: that one took what this was made from
/// for it, and made another change by the same actor.
#[test]
fn a_carrier_that_has_let_go_of_an_ancestor_stays_with_the_others() {
    for order in orders() {
        let one = Bench::new();
        one.save(VIM, "note.md", NOTE);
        one.vault.commit().unwrap();
        let had = told(&one);
        // Has the note's first version alone.
        let early = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
        let anew = |bench: &Bench, text: String| {
            bench.vault.limit_texts(NONE, 1, NONE, NONE);
            bench.read(VIM, "note.md");
            bench.save(VIM, "note.md", text);
            bench.vault.commit().unwrap();
            bench.vault.limit_texts(NONE, NONE, NONE, NONE);
        };
        anew(&one, title(NOTE));
        let between = told(&one);
        let full = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
        // Both begin the text anew, apart; the first has then let go of what both began from.
        anew(&full, butter(&title(NOTE)));
        anew(&one, garlic(&title(NOTE)));
        let none = Retention {
            all_days: 0,
            daily_days: 0,
            removed_days: 0,
        };
        one.vault.set_retention(none).unwrap();
        one.vault.commit().unwrap();
        let mut later = Time::now();
        later.sec += 400 * 86_400;
        assert!(one.vault.thin(later).unwrap().versions > 0);
        one.vault.collect().unwrap();
        let had = vec![vec![0, 0, had], vec![between, 0, 0], vec![had, 0, 0]];
        let mut mesh = Mesh {
            all: vec![one, full, early],
            had,
        };
        // Each comes to know both, and carries over what it can, before it hears of what the others do.
        let given = mesh.all[1].vault.told_after(0).unwrap();
        for carried in mesh.all[0].vault.told_after(mesh.had[2][0]).unwrap() {
            let taken = mesh.all[2]
                .vault
                .take_in(&mesh.all[0].vault.device(), &carried)
                .unwrap();
            assert!(taken.set_aside.is_empty(), "{taken:?}");
        }
        for carried in &given {
            let taken = mesh.all[2].vault.take_in(&mesh.all[1].vault.device(), carried);
            let taken = taken.unwrap();
            assert!(taken.set_aside.is_empty(), "{taken:?}");
        }
        mesh.had[0][2] = 0;
        mesh.all[2].vault.commit().unwrap();
        mesh.settle(&order);
        let case = format!("order {order:?}");
        let text = mesh.agree(&case);
        for word in ["late", "butter", "The garden"] {
            assert_eq!(text.matches(word).count(), 1, "{case}, {word}: {text}");
        }
    }
}
