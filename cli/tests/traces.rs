//! Guards two people who write one note on two machines: each types a recorded text into a part of its own, keystroke by keystroke, saves the whole
//! note from a buffer that it seldom loads anew, in the ways in which editors save, in a mount of its own. In the end both mounts show
//! exactly what each typed, and there is one note. Skipped, with a word, where nothing can be mounted.

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use common::{Stage, cannot_mount, until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];
/// What stands between the two parts.
const BETWEEN: &str = "\n\n— here the second part begins —\n\n";
/// Patches that each types in one run.
const TYPED: usize = 1200;
/// A run can begin at every so many patches.
const STEP: usize = 1000;

fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("COFFER_LONG").is_some() {
        30
    } else {
        3
    }
}

/// What was done at once: position, deleted, inserted; in code points.
type Patch = (usize, usize, String);

/// The recorded patches, in order.
fn trace() -> Vec<Patch> {
    let packed = include_bytes!("../../store/tests/data/friendsforever_flat.json.gz");
    let mut json = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
    unpacked.read_to_string(&mut json).expect("the recording unpacks");
    let json: serde_json::Value = serde_json::from_str(&json).expect("the recording is JSON");
    let txns = json["txns"].as_array().expect("it has transactions");
    let number = |value: &serde_json::Value| value.as_u64().expect("a number") as usize;
    let patches = txns
        .iter()
        .flat_map(|txn| txn["patches"].as_array().expect("each has patches"));
    patches
        .map(|patch| {
            let text = patch[2].as_str().expect("a text").to_owned();
            (number(&patch[0]), number(&patch[1]), text)
        })
        .collect()
}

fn patched(text: &str, (at, delete, insert): &Patch) -> String {
    let place = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(place, _)| place);
    let (from, to) = (place(*at), place(at + delete));
    [&text[..from], insert, &text[to..]].concat()
}

/// The text after every [`STEP`] patches.
fn states(patches: &[Patch]) -> Vec<String> {
    let mut text = String::new();
    let mut states = vec![text.clone()];
    for patches in patches.chunks(STEP) {
        text = patches.iter().fold(text, |text, patch| patched(&text, patch));
        states.push(text.clone());
    }
    states
}

/// Somebody at an editor: what he typed, and his copy of the other's part.
struct Person<'a> {
    patches: std::slice::Iter<'a, Patch>,
    typed: String,
    other: String,
    first: bool,
    file: PathBuf,
}

impl Person<'_> {
    fn note(&self) -> String {
        let parts = if self.first {
            [&self.typed, &self.other]
        } else {
            [&self.other, &self.typed]
        };
        format!("{}{BETWEEN}{}", parts[0], parts[1])
    }

    /// Loads what the mount shows: what he typed, and saved, stands there as it was.
    fn load(&mut self, seed: u64) {
        let text = fs::read_to_string(&self.file).expect("the note is there");
        let (first, second) = text.split_once(BETWEEN).expect("nobody touched what is between");
        let (own, other) = if self.first {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(
            own, self.typed,
            "seed {seed}: what was typed is not what is there"
        );
        self.other = other.to_owned();
    }

    /// Saves as editors do: over the file, by a new file in its place, or with the old one as a backup.
    fn save(&self, how: u32) {
        let note = self.note();
        let beside = |name: &str| self.file.with_file_name(name);
        match how {
            0 => fs::write(&self.file, note).unwrap(),
            1 => {
                let new = beside(".Episode.md.swp1");
                fs::write(&new, note).unwrap();
                fs::rename(new, &self.file).unwrap();
            }
            _ => {
                let backup = beside("Episode.md~");
                fs::rename(&self.file, &backup).unwrap();
                fs::write(&self.file, note).unwrap();
                fs::remove_file(backup).unwrap();
            }
        }
    }
}

/// Two devices that reach each other on loopback.
fn pair() -> (Stage, Stage) {
    let settle = |stage: &Stage| {
        for (key, value) in [
            ("sync-listen", "/ip4/127.0.0.1/tcp/0"),
            ("sync-mdns", "off"),
            ("sync-dht", "off"),
        ] {
            stage.run(&["settings", key, value]).gives(0);
        }
        stage.mount();
    };
    let desk = Stage::with_vault();
    settle(&desk);
    let said = desk.run(&["--json", "device", "invite"]).gives(0);
    let ticket = said.json()["ticket"].as_str().unwrap().to_owned();
    let laptop = Stage::new();
    let mut args = vec!["device", "join", &ticket, "--name", "laptop"];
    args.extend(QUICK);
    laptop.open(&args).gives(0);
    settle(&laptop);
    (desk, laptop)
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// Guards against a word lost, doubled or put elsewhere by stale buffers on two mounts.
#[test]
fn what_two_people_typed_in_two_mounts_is_what_is_there() {
    if cannot_mount() {
        return;
    }
    let patches = trace();
    let states = states(&patches);
    let (desk, laptop) = pair();
    for seed in seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let folder = format!("Notes/{seed}");
        fs::create_dir(desk.mnt().join(&folder)).unwrap();
        let mut people: Vec<Person<'_>> = [(true, &desk), (false, &laptop)]
            .into_iter()
            .map(|(first, stage)| {
                let state = rng.random_range(0..(patches.len() - TYPED) / STEP);
                Person {
                    patches: patches[state * STEP..state * STEP + TYPED].iter(),
                    typed: states[state].clone(),
                    other: String::new(),
                    first,
                    file: stage.mnt().join(&folder).join("Episode.md"),
                }
            })
            .collect();
        let start = format!("{}{BETWEEN}{}", people[0].typed, people[1].typed);
        fs::write(&people[0].file, &start).unwrap();
        until("the note came", || text(&people[1].file) == start);
        people.iter_mut().for_each(|person| person.load(seed));
        while people.iter().any(|person| person.patches.len() > 0) {
            let person = &mut people[rng.random_range(0..2)];
            for _ in 0..rng.random_range(1..80) {
                if let Some(patch) = person.patches.next() {
                    person.typed = patched(&person.typed, patch);
                }
            }
            person.save(rng.random_range(0..3));
            if rng.random_bool(0.2) {
                person.load(seed);
            }
        }
        people.iter().for_each(|person| person.save(0));
        let whole = format!("{}{BETWEEN}{}", people[0].typed, people[1].typed);
        until(&format!("seed {seed}: both show what was typed"), || {
            people.iter().all(|person| text(&person.file) == whole)
        });
        for stage in [&desk, &laptop] {
            let mut names = Vec::new();
            until(&format!("seed {seed}: there is one note"), || {
                let found = fs::read_dir(stage.mnt().join(&folder)).unwrap();
                names = found.map(|entry| entry.unwrap().file_name()).collect();
                names == ["Episode.md"]
            });
        }
    }
}
