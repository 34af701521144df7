//! Guards the choice of base and the merge with how people really typed: two editors on two
//! devices each type a recorded text into their own part of one note, save the whole note at
//! random moments, and load it anew only sometimes. In the end the note holds exactly what each
//! typed.

mod text_support;

use std::io::Read;

use coffer_store::text::{Heads, nearest};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use text_support::Device;

fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("COFFER_LONG").is_some() {
        500
    } else {
        20
    }
}

/// Patches that each editor types in one run.
const TYPED: usize = 1500;
/// A run can begin at every so many patches.
const STEP: usize = 500;
/// What stands between the two parts.
const BETWEEN: &str = "\n\n— here the second part begins —\n\n";

/// What was done at once: position, deleted, inserted; in code points.
type Patch = (usize, usize, String);

/// The recorded patches, in order.
fn trace() -> Vec<Patch> {
    let packed = include_bytes!("data/friendsforever_flat.json.gz");
    let mut json = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut json)
        .expect("the recording unpacks");
    let json: serde_json::Value = serde_json::from_str(&json).expect("the recording is JSON");
    let txns = json["txns"].as_array().expect("it has transactions");
    let patches = txns
        .iter()
        .flat_map(|txn| txn["patches"].as_array().expect("each has patches"));
    let number = |value: &serde_json::Value| value.as_u64().expect("a number") as usize;
    patches
        .map(|patch| {
            let text = patch[2].as_str().expect("a text").to_string();
            (number(&patch[0]), number(&patch[1]), text)
        })
        .collect()
}

fn patched(text: &str, (at, delete, insert): &Patch) -> String {
    let place = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(place, _)| place);
    let (from, to) = (place(*at), place(at + delete));
    [&text[..from], insert, &text[to..]].concat()
}

/// One of the two: what it typed, and its copy of the other's part.
struct Editor<'a> {
    patches: std::slice::Iter<'a, Patch>,
    typed: String,
    other: String,
    first: bool,
    /// The versions that it may have been shown or that it wrote, oldest first.
    shown: Vec<(Heads, String)>,
}

impl Editor<'_> {
    fn note(&self) -> String {
        let parts = if self.first {
            [&self.typed, &self.other]
        } else {
            [&self.other, &self.typed]
        };
        format!("{}{BETWEEN}{}", parts[0], parts[1])
    }

    /// Loads the newest version: what it typed, and saved, stands there as it was.
    fn load(&mut self, device: &Device, seed: u64) {
        let text = device.text();
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
        self.other = other.to_string();
        self.shown = vec![(device.heads(), text)];
    }

    fn save(&mut self, device: &mut Device, seed: u64) {
        let note = self.note();
        let candidates: Vec<&str> = self.shown.iter().map(|(_, text)| text.as_str()).collect();
        let base = nearest(&candidates, &note).expect("it was shown something");
        let base = self.shown[base].0.clone();
        let heads = device.save(&base, &note);
        assert_eq!(device.doc.text_at(&heads), Ok(note.clone()), "seed {seed}");
        // Its buffer is this version now: what it was shown before is nothing that it has.
        self.shown = vec![(heads, note)];
    }
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

fn play(patches: &[Patch], states: &[String], seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut editors: Vec<Editor<'_>> = [true, false]
        .into_iter()
        .map(|first| {
            let state = rng.random_range(0..(patches.len() - TYPED) / STEP);
            let (from, typed) = (state * STEP, states[state].clone());
            Editor {
                patches: patches[from..from + TYPED].iter(),
                typed,
                other: String::new(),
                first,
                shown: Vec::new(),
            }
        })
        .collect();
    let parts = [editors[0].typed.clone(), editors[1].typed.clone()];
    let start = parts.join(BETWEEN);
    let mut devices = [Device::new(1, &start), Device::new(2, &start)];
    let mut came = [0, 0];
    for (editor, device) in editors.iter_mut().zip(&devices) {
        editor.load(device, seed);
    }
    while editors.iter().any(|editor| editor.patches.len() > 0) {
        let e = rng.random_range(0..2);
        for _ in 0..rng.random_range(1..80) {
            let Some(patch) = editors[e].patches.next() else {
                break;
            };
            editors[e].typed = patched(&editors[e].typed, patch);
        }
        editors[e].save(&mut devices[e], seed);
        if rng.random_bool(0.4) {
            // What the other made comes, and was shown to whoever looked.
            let sent = devices[1 - e].sent[came[e]..].to_vec();
            came[e] += sent.len();
            devices[e].receive(&sent);
            let shown = (devices[e].heads(), devices[e].text());
            editors[e].shown.push(shown);
        }
        if rng.random_bool(0.2) {
            let device = &devices[e];
            editors[e].load(device, seed);
        }
    }
    for (editor, device) in editors.iter_mut().zip(&mut devices) {
        editor.save(device, seed);
    }
    Device::receive_all(&mut devices);
    let whole = [editors[0].typed.clone(), editors[1].typed.clone()].join(BETWEEN);
    for device in &devices {
        assert_eq!(device.text(), whole, "seed {seed}");
    }
}

/// Guards against a word lost or doubled by stale buffers.
#[test]
fn what_two_people_typed_is_what_is_there() {
    let patches = trace();
    let states = states(&patches);
    for seed in seeds() {
        play(&patches, &states, seed);
    }
}

/// Guards the reading of the recording itself: replayed in full, it is the text that it says.
#[test]
fn the_recording_is_whole() {
    let states = states(&trace());
    let text = states.last().expect("there is one more than there are steps");
    assert!(text.starts_with("An epic synopsis of friends for the win... This is the saddest episode"));
    assert_eq!(text.chars().count(), 21_362);
}
