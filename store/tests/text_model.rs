//! Guards the promise of merging: whatever devices edit, in whatever order their changes
//! arrive, all end with the same text, and no word of anyone is lost or stands there twice.

mod text_support;

use std::collections::{BTreeMap, BTreeSet};

use coffer_store::text::Heads;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use text_support::Device;

/// Seeds for each number of devices.
fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("COFFER_LONG").is_some() {
        5_000
    } else {
        200
    }
}

/// An editor with the text in a buffer, perhaps an old one. It edits words of its own only:
/// those whose first letter is its own.
struct Editor {
    letter: char,
    buffer: String,
    base: Heads,
    next: u32,
    /// Words that it wrote, and whether they are still wanted.
    wanted: BTreeMap<String, bool>,
}

impl Editor {
    fn load(&mut self, device: &Device) {
        (self.buffer, self.base) = (device.text(), device.heads());
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        let word = format!("{}{}", self.letter, self.next);
        self.wanted.insert(word.clone(), true);
        word
    }

    /// Replaces, deletes or adds words, one to four.
    fn type_on(&mut self, rng: &mut StdRng) {
        for _ in 0..rng.random_range(1..5) {
            let mut lines: Vec<Vec<String>> = self.buffer.split('\n').map(words).collect();
            let own = |word: &String| word.starts_with(self.letter);
            let places: Vec<(usize, usize)> = lines
                .iter()
                .enumerate()
                .flat_map(|(l, line)| line.iter().enumerate().map(move |(w, word)| (l, w, word)))
                .filter(|(_, _, word)| own(word))
                .map(|(l, w, _)| (l, w))
                .collect();
            let Some(&(l, w)) = (!places.is_empty()).then(|| &places[rng.random_range(0..places.len())])
            else {
                return;
            };
            match rng.random_range(0..4) {
                // A line's first word has no space before it: to take it takes the space behind,
                // which somebody else's new word may need.
                0 if w > 0 => {
                    let gone = lines[l].remove(w);
                    self.wanted.insert(gone, false);
                }
                1 => {
                    let new = self.fresh();
                    let gone = std::mem::replace(&mut lines[l][w], new);
                    self.wanted.insert(gone, false);
                }
                2 => {
                    let new = self.fresh();
                    lines[l].insert(w + 1, new);
                }
                _ => {
                    let new = self.fresh();
                    lines.insert(l + 1, vec![new]);
                }
            }
            let lines: Vec<String> = lines.iter().map(|line| line.join(" ")).collect();
            self.buffer = lines.join("\n");
        }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect()
}

/// Plays one seed; the text that all ended with.
fn play(count: usize, seed: u64) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let letters: Vec<char> = ('a'..).take(count).collect();
    let mut start = String::new();
    let mut editors: Vec<Editor> = letters
        .iter()
        .map(|letter| Editor {
            letter: *letter,
            buffer: String::new(),
            base: Heads::default(),
            next: 0,
            wanted: BTreeMap::new(),
        })
        .collect();
    for line in 0..rng.random_range(2..9) {
        let words = (0..rng.random_range(1..12)).map(|place| editors[(line + place) % count].fresh());
        start.push_str(&words.collect::<Vec<_>>().join(" "));
        start.push('\n');
    }
    let mut devices: Vec<Device> = (0..count).map(|d| Device::new(d as u8, &start)).collect();
    for (editor, device) in editors.iter_mut().zip(&devices) {
        editor.load(device);
    }
    // What of each device's changes the others have, in whatever order.
    let mut had = vec![vec![BTreeSet::new(); count]; count];
    for _ in 0..rng.random_range(5..40) {
        let d = rng.random_range(0..count);
        match rng.random_range(0..6) {
            0 => editors[d].load(&devices[d]),
            1 | 2 => {
                // A few changes of another device come, in some order; what builds on a change
                // that did not come waits.
                let from = rng.random_range(0..count);
                let mut sent: Vec<_> = devices[from].sent.iter().cloned().enumerate().collect();
                sent.retain(|(i, _)| !had[d][from].contains(i));
                sent.truncate(rng.random_range(0..=sent.len()));
                sent.shuffle(&mut rng);
                for (i, sent) in sent {
                    if devices[d].doc.apply(&[sent.received()]).is_ok() {
                        had[d][from].insert(i);
                    }
                }
            }
            _ => {
                editors[d].type_on(&mut rng);
                let (base, buffer) = (editors[d].base.clone(), editors[d].buffer.clone());
                editors[d].base = devices[d].save(&base, &buffer);
            }
        }
    }
    Device::receive_all(&mut devices);
    let text = devices[0].text();
    for device in &devices[1..] {
        assert_eq!(device.heads(), devices[0].heads(), "seed {seed}");
        assert_eq!(device.text(), text, "seed {seed}");
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    for editor in &editors {
        for (word, wanted) in &editor.wanted {
            let count = counts.remove(word.as_str()).unwrap_or(0);
            assert_eq!(count, usize::from(*wanted), "seed {seed}: “{word}” in\n{text}");
        }
    }
    assert!(counts.is_empty(), "seed {seed}: nobody wrote {counts:?}");
    text
}

/// Guards two devices.
#[test]
fn two_devices_lose_and_double_nothing() {
    for seed in seeds() {
        play(2, seed);
    }
}

/// Guards three.
#[test]
fn three_devices_lose_and_double_nothing() {
    for seed in seeds() {
        play(3, seed);
    }
}

/// Guards against a merge that depends on anything but the changes.
#[test]
fn the_same_edits_give_the_same_text() {
    assert_eq!(play(3, 4711), play(3, 4711));
}
