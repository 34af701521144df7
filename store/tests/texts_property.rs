//! Two devices and editors that reload only sometimes: words that are unique by construction, random
//! ticks, remounts, commits that fail, and versions that come across. Each word of each side is there
//! exactly once, and after an exchange both devices show the same.

mod texts_support;

use std::collections::HashMap;

use coffer_store::io::sim::Fault;
use coffer_store::vault::{Identity, Process};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use texts_support::*;

/// Versions that may come while a buffer is open, so that it is known after a remount: the file's last
/// eight states are.
const STATES: usize = 6;

fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("COFFER_SEEDS").ok().and_then(|n| n.parse().ok());
    let long = std::env::var_os("COFFER_LONG").is_some();
    let from = std::env::var("COFFER_SEED").ok().and_then(|n| n.parse().ok());
    if let Some(from) = from {
        return from..from + 1;
    }
    0..given.unwrap_or(if long { 1000 } else { 40 })
}

struct Editor {
    who: Process,
    place: usize,
    buffer: Vec<String>,
    typed: usize,
    /// It has words that are not saved.
    dirty: bool,
    /// Batches that came to its device since it loaded or saved.
    since: usize,
}

impl Editor {
    fn name(&self, n: usize) -> String {
        format!("w{}x{n}", self.who % 100)
    }

    fn types(&mut self, rng: &mut StdRng) {
        for _ in 0..rng.random_range(1..4) {
            let word = self.name(self.typed);
            self.typed += 1;
            let at = rng.random_range(0..self.buffer.len());
            match rng.random_range(0..3) {
                0 => self.buffer.insert(at, word),
                1 => self.buffer[at] = format!("{} {word}", self.buffer[at]),
                _ => self.buffer[at] = format!("{word} {}", self.buffer[at]),
            }
        }
        self.dirty = true;
    }

    fn save(&mut self, bench: &Bench, rng: &mut StdRng) {
        let text = self.buffer.join("\n") + "\n";
        match rng.random_bool(0.3) {
            true => bench.save_by_rename(self.who, "note.md", text),
            false => bench.save(self.who, "note.md", text),
        }
        (self.dirty, self.since) = (false, 0);
    }

    /// By itself, or by another process that reads for it.
    fn load(&mut self, bench: &Bench, by_another: bool, case: &str) {
        let who = self.who + if by_another { 500 } else { 0 };
        let text = bench.read(who, "note.md");
        let has = counts(&text);
        for n in 0..self.typed {
            assert_eq!(
                has.get(self.name(n).as_str()),
                Some(&1),
                "{case}: {} in\n{text}",
                self.name(n)
            );
        }
        self.buffer = text.lines().map(String::from).collect();
        (self.dirty, self.since) = (false, 0);
    }
}

fn counts(text: &str) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

struct Play {
    benches: [Option<Bench>; 2],
    had: [u64; 2],
    case: String,
}

impl Play {
    fn at(&self, place: usize) -> &Bench {
        self.benches[place].as_ref().unwrap()
    }

    /// Returns how many batches came.
    fn carry(&mut self, from: usize) -> usize {
        let to = 1 - from;
        let (from_bench, to_bench) = (self.at(from), self.at(to));
        from_bench.vault.commit().unwrap();
        let (mut had, mut count) = (self.had[from], 0);
        for carried in from_bench.vault.told_after(had).unwrap() {
            let device = from_bench.vault.device();
            let taken = to_bench.vault.take_in(&device, &carried).unwrap();
            assert!(taken.set_aside.is_empty(), "{}: {taken:?}", self.case);
            had = carried.row.last().unwrap();
            count += 1;
        }
        self.had[from] = had;
        count
    }
}

/// `helped`: editors may have what another process read for them.
fn play(seed: u64, helped: bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    // After a remount nobody knows who had what: then a buffer that is stale towards an editor of the
    // same device is taken for a new text, as everywhere. So either there are remounts, or there are
    // two editors at each.
    let remounts = seed.is_multiple_of(2);
    let start: Vec<String> = (0..12).map(|i| format!("start{i} of a line")).collect();
    let one = Bench::new();
    one.save(1, "note.md", start.join("\n") + "\n");
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    let last = one
        .vault
        .told_after(0)
        .unwrap()
        .last()
        .unwrap()
        .row
        .last()
        .unwrap();
    let mut play = Play {
        benches: [Some(one), Some(two)],
        had: [last, 0],
        case: format!("seed {seed}"),
    };
    let each = if remounts { 1 } else { 2 };
    let mut editors: Vec<Editor> = (0..2 * each)
        .map(|e| Editor {
            who: 4_100_011 + e as Process,
            place: e % 2,
            buffer: start.clone(),
            typed: 0,
            dirty: false,
            since: 0,
        })
        .collect();
    for editor in &mut editors {
        editor.load(play.at(editor.place), false, &play.case);
    }
    for step in 0..rng.random_range(20..60) {
        play.case = format!("seed {seed}, step {step}");
        let e = rng.random_range(0..editors.len());
        let place = editors[e].place;
        match rng.random_range(0..12) {
            0..5 => {
                editors[e].types(&mut rng);
                editors[e].save(play.at(place), &mut rng);
                if rng.random_bool(0.6) {
                    play.at(place).tell();
                }
            }
            5 => editors[e].types(&mut rng),
            6 => {
                if !editors[e].dirty {
                    play.at(place).vault.commit().unwrap();
                    let by_another = helped && rng.random_bool(0.3);
                    editors[e].load(play.at(place), by_another, &play.case);
                }
            }
            7..9 => {
                let count = play.carry(place);
                for editor in editors.iter_mut().filter(|editor| editor.place != place) {
                    editor.since += count;
                }
            }
            9 => {
                // A commit that fails, somewhere.
                let bench = play.at(place);
                let fault = if rng.random_bool(0.5) {
                    Fault::NoSpace
                } else {
                    Fault::Io
                };
                let call = rng.random_range(1..40);
                bench
                    .disk
                    .fail_at(bench.disk.ops() + call, fault, rng.random_bool(0.3));
                let _ = bench.vault.tick();
                bench.disk.heal();
            }
            10 if remounts => {
                if editors[e].since >= STATES {
                    if !editors[e].dirty {
                        play.at(place).vault.commit().unwrap();
                        editors[e].load(play.at(place), false, &play.case);
                    } else {
                        continue;
                    }
                }
                let bench = play.benches[place].take().unwrap();
                play.benches[place] = Some(match rng.random_bool(0.5) {
                    true => bench.again(),
                    false => {
                        bench.vault.commit().unwrap();
                        bench.crashed()
                    }
                });
            }
            _ => play.at(place).chmod("note.md", 0o600 + rng.random_range(0..64)),
        }
    }
    for editor in editors.iter_mut().filter(|editor| editor.dirty) {
        editor.save(play.at(editor.place), &mut rng);
    }
    for from in [0, 1, 0, 1] {
        play.carry(from);
    }
    let (one, two) = (play.at(0), play.at(1));
    let text = one.text("note.md");
    assert_eq!(text, two.text("note.md"), "seed {seed}");
    let has = counts(&text);
    let starts = (0..12).map(|i| format!("start{i}"));
    let typed = editors
        .iter()
        .flat_map(|editor| (0..editor.typed).map(|n| editor.name(n)));
    for word in starts.chain(typed) {
        assert_eq!(has.get(word.as_str()), Some(&1), "seed {seed}: {word} in\n{text}");
    }
    let perm = |bench: &Bench| bench.vault.stat(bench.ino("note.md")).unwrap().meta.perm;
    assert_eq!(perm(one), perm(two), "seed {seed}");
    // Nothing happens any more, however often it is looked at, and nothing is amiss.
    let versions = one.versions("note.md").len();
    for _ in 0..3 {
        one.tell();
        two.tell();
    }
    assert_eq!(one.text("note.md"), text);
    assert_eq!(one.versions("note.md").len(), versions);
    if seed.is_multiple_of(8) {
        one.check();
        two.check();
    }
}

/// See the file.
#[test]
fn each_word_is_there_once() {
    for seed in seeds() {
        play(seed, false);
    }
}

/// The same of editors for which others read, now and then.
#[test]
fn each_word_is_there_once_whoever_reads() {
    for seed in seeds() {
        play(seed, true);
    }
}
