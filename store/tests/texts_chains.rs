//! Two devices: what both write in a note comes together, with events carried by hand. No network.

mod texts_support;

use std::io::Read;

use coffer_store::event::Form::{Blob, Text};
use coffer_store::vault::{Process, Subject};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use texts_support::pair::Pair;
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

/// Guards the merge of what two devices wrote while they did not meet, and that merging makes no
/// event: the next save is made from both.
#[test]
fn what_both_wrote_comes_together() {
    let mut pair = Pair::new(&[("note.md", NOTE)]);
    pair.one.read(VIM, "note.md");
    pair.one.save(VIM, "note.md", garlic(NOTE));
    pair.two.read(EMACS, "note.md");
    pair.two.save(EMACS, "note.md", butter(NOTE));
    pair.meet();
    assert_eq!(pair.both("note.md"), garlic(&butter(NOTE)));
    for bench in [&pair.one, &pair.two] {
        assert_eq!(bench.forms("note.md"), [Text; 3], "no event for the merge");
    }
    let loaded = pair.one.read(VIM, "note.md");
    pair.one.save(VIM, "note.md", format!("{loaded}More.\n"));
    pair.meet();
    assert_eq!(pair.both("note.md"), garlic(&butter(NOTE)) + "More.\n");
    let last = pair.two.versions("note.md").pop().unwrap();
    assert_eq!(last.parents.len(), 2);
    assert_eq!(
        pair.two.version("note.md", last.number),
        pair.both("note.md").as_bytes()
    );
    pair.check();
    pair.one = pair.one.again();
    pair.two = pair.two.crashed();
    assert_eq!(pair.both("note.md"), garlic(&butter(NOTE)) + "More.\n");
    pair.check();
}

/// Guards a stale buffer: a version of the other device arrives while an editor holds the note; the
/// editor saves, saves again, loads and saves. Also by a process that was never seen, and after a
/// remount.
#[test]
fn a_version_arrives_while_an_editor_holds_the_note() {
    for (stranger, remount, rename) in [
        (false, false, false),
        (false, false, true),
        (true, false, false),
        (true, true, false),
        (false, true, true),
    ] {
        let case = format!("stranger {stranger}, remount {remount}, rename {rename}");
        let mut pair = Pair::new(&[("note.md", NOTE)]);
        pair.one.read(VIM, "note.md");
        pair.two.save(EMACS, "note.md", butter(NOTE));
        pair.carry(false);
        assert_eq!(pair.one.text("note.md"), butter(NOTE), "{case}");
        if remount {
            pair.one = pair.one.again();
        }
        let who: Process = if stranger { EMACS } else { VIM };
        let mut buffer = garlic(NOTE);
        let save = |bench: &Bench, text: &str| match rename {
            true => bench.save_by_rename(who, "note.md", text),
            false => bench.save(who, "note.md", text),
        };
        save(&pair.one, &buffer);
        pair.one.tell();
        assert_eq!(pair.one.text("note.md"), garlic(&butter(NOTE)), "{case}");
        buffer.push_str("Saved again.\n");
        save(&pair.one, &buffer);
        pair.one.tell();
        let merged = garlic(&butter(NOTE)) + "Saved again.\n";
        assert_eq!(pair.one.text("note.md"), merged, "{case}");
        let loaded = pair.one.read(who, "note.md");
        save(&pair.one, &(loaded + "Loaded, and saved.\n"));
        pair.meet();
        assert_eq!(pair.both("note.md"), merged + "Loaded, and saved.\n", "{case}");
        pair.check();
    }
}

/// A note's name and text, and what each of the two replaces in it by what.
type Case<'a> = (&'a str, &'a str, [(&'a str, &'a str); 2]);

/// Guards line endings, emoji, letters with accents, scripts from right to left, front matter and
/// contacts, edited on both sides.
#[test]
fn what_people_write_comes_together_whole() {
    let cases: [Case<'_>; 6] = [
        (
            "crlf.txt",
            "one\r\ntwo\r\nthree\r\n",
            [("one", "One"), ("three", "three\r\nfour")],
        ),
        (
            "emoji.md",
            "a 👨\u{200d}👩\u{200d}👧 b\n\nc 🇩🇪 d\n",
            [("a ", "A 🧄 "), ("d", "D 🏳\u{fe0f}\u{200d}🌈")],
        ),
        (
            "accents.md",
            "cafe\u{301} ole\u{301}\n\nnai\u{308}ve\n",
            [("cafe\u{301}", "cafe\u{301}s"), ("nai\u{308}ve", "nai\u{308}f")],
        ),
        (
            "rtl.md",
            "שלום עולם\n\nمرحبا بالعالم\n",
            [("שלום", "שלום רב"), ("مرحبا", "أهلا")],
        ),
        (
            "front.md",
            "---\ntitle: A\ntags: [a]\n---\n\nText.\n",
            [("title: A", "title: B"), ("Text.", "Text!\n\nMore.")],
        ),
        (
            "card.vcf",
            "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada\r\nTEL:1\r\nNOTE:n\r\nEND:VCARD\r\n",
            [("TEL:1", "TEL:2"), ("NOTE:n", "NOTE:m")],
        ),
    ];
    let notes: Vec<(&str, &str)> = cases.iter().map(|(name, text, _)| (*name, *text)).collect();
    let mut pair = Pair::new(&notes);
    for (name, text, [one, two]) in &cases {
        pair.one.read(VIM, name);
        pair.one.save(VIM, name, text.replacen(one.0, one.1, 1));
        pair.two.read(EMACS, name);
        pair.two.save(EMACS, name, text.replacen(two.0, two.1, 1));
    }
    pair.meet();
    for (name, text, [one, two]) in &cases {
        let whole = text.replacen(one.0, one.1, 1).replacen(two.0, two.1, 1);
        assert_eq!(pair.both(name), whole, "{name}");
    }
    pair.check();
}

/// Guards a contact to which both add what may be there once: a merge that is no contact is
/// not shown; both versions are there.
#[test]
fn a_merge_that_is_no_contact_is_not_shown() {
    let card = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada\r\nEND:VCARD\r\n";
    let mut pair = Pair::new(&[("card.vcf", card)]);
    let one = card.replace("FN:Ada", "FN:Ada\r\nUID:urn:one");
    let two = card.replace("FN:Ada", "FN:Ada\r\nUID:urn:two");
    pair.one.save(VIM, "card.vcf", &one);
    pair.two.save(EMACS, "card.vcf", &two);
    pair.meet();
    for bench in [&pair.one, &pair.two] {
        let text = bench.text("card.vcf");
        assert!(text == one || text == two, "{text}");
        let versions = bench.versions("card.vcf");
        let bytes: Vec<Vec<u8>> = versions
            .iter()
            .map(|v| bench.version("card.vcf", v.number))
            .collect();
        assert!(bytes.contains(&one.clone().into_bytes()) && bytes.contains(&two.clone().into_bytes()));
    }
    pair.check();
}

/// Guards files of which every version is whole: what replaces is shown; of what is concurrent both
/// show the same, and keep the other.
#[test]
fn blobs_are_whole() {
    let mut pair = Pair::new(&[("data.bin", "first")]);
    pair.one.save(VIM, "data.bin", "second");
    pair.meet();
    assert_eq!(pair.both("data.bin"), "second");
    pair.one.save(VIM, "data.bin", "by one");
    pair.two.save(EMACS, "data.bin", "by two");
    pair.meet();
    let shown = pair.both("data.bin");
    for bench in [&pair.one, &pair.two] {
        assert_eq!(bench.forms("data.bin"), [Blob; 4]);
        let of = Subject::File(bench.ino("data.bin"));
        let beside = bench.vault.versions_beside(of).unwrap();
        let beside: Vec<Vec<u8>> = beside
            .iter()
            .map(|version| bench.version("data.bin", version.number))
            .collect();
        let other = if shown == "by one" { "by two" } else { "by one" };
        assert!(shown == "by one" || shown == "by two");
        assert_eq!(beside, [other.as_bytes()]);
    }
    pair.check();
}

/// Guards the order of a chain, and what was altered on the way.
#[test]
fn only_what_follows_and_is_signed_is_taken() {
    let mut pair = Pair::new(&[("note.md", NOTE)]);
    for i in 0..2 {
        pair.two.save(EMACS, "note.md", format!("{NOTE}{i}\n"));
        pair.two.tell();
    }
    let told = pair.two.vault.told_after(0).unwrap();
    let device = pair.two.vault.device();
    assert!(pair.one.vault.take_in(&device, &told[1]).is_err(), "too early");
    let mut altered = told[0].clone();
    let last = altered.bytes.len() - 1;
    altered.bytes[last] ^= 1;
    assert!(pair.one.vault.take_in(&device, &altered).is_err());
    assert!(
        pair.one
            .vault
            .take_in(&pair.one.vault.device(), &told[0])
            .is_err()
    );
    assert_eq!(pair.one.text("note.md"), NOTE);
    pair.carry(false);
    assert_eq!(pair.both("note.md"), format!("{NOTE}1\n"));
    // Once more changes nothing.
    let again = pair.one.vault.take_in(&device, &told[0]).unwrap();
    assert!(again.entities.is_empty());
    pair.check();
}

fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("COFFER_LONG").is_some() {
        500
    } else {
        12
    }
}

/// What stands between the two parts.
const BETWEEN: &str = "\n\n— here the second part begins —\n\n";
/// Patches that each editor types in one run.
const TYPED: usize = 700;
/// A run can begin at every so many patches.
const STEP: usize = 500;

type Patch = (usize, usize, String);

fn trace() -> Vec<Patch> {
    let packed = include_bytes!("data/friendsforever_flat.json.gz");
    let mut json = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut json)
        .unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let txns = json["txns"].as_array().unwrap();
    let patches = txns.iter().flat_map(|txn| txn["patches"].as_array().unwrap());
    let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
    patches
        .map(|patch| {
            (
                number(&patch[0]),
                number(&patch[1]),
                patch[2].as_str().unwrap().to_string(),
            )
        })
        .collect()
}

fn patched(text: &str, (at, delete, insert): &Patch) -> String {
    let place = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(place, _)| place);
    let (from, to) = (place(*at), place(at + delete));
    [&text[..from], insert, &text[to..]].concat()
}

/// An editor: what it typed into its part, and its copy of the other's.
struct Editor<'a> {
    patches: std::slice::Iter<'a, Patch>,
    typed: String,
    other: String,
    who: Process,
}

impl Editor<'_> {
    fn is_first(&self) -> bool {
        self.who == VIM
    }

    fn buffer(&self) -> String {
        match self.is_first() {
            true => format!("{}{BETWEEN}{}", self.typed, self.other),
            false => format!("{}{BETWEEN}{}", self.other, self.typed),
        }
    }

    fn load(&mut self, bench: &Bench, seed: u64) {
        let text = bench.read(self.who, "note.md");
        let (first, second) = text.split_once(BETWEEN).expect("nobody touched what is between");
        let (own, other) = if self.is_first() {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(
            own, self.typed,
            "seed {seed}: what was typed is not what is there"
        );
        self.other = other.to_string();
    }
}

fn play(patches: &[Patch], states: &[String], seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut editors: Vec<Editor<'_>> = [VIM, EMACS]
        .into_iter()
        .map(|who| {
            let state = rng.random_range(0..(patches.len() - TYPED) / STEP);
            let from = state * STEP;
            Editor {
                patches: patches[from..from + TYPED].iter(),
                typed: states[state].clone(),
                other: String::new(),
                who,
            }
        })
        .collect();
    let start = [editors[0].typed.clone(), editors[1].typed.clone()].join(BETWEEN);
    let mut pair = Pair::new(&[("note.md", &start)]);
    // Both at one device, or one at each.
    let apart = rng.random_bool(0.7);
    let rename = rng.random_bool(0.5);
    for (e, editor) in editors.iter_mut().enumerate() {
        editor.load(if apart && e == 1 { &pair.two } else { &pair.one }, seed);
    }
    while editors.iter().any(|editor| editor.patches.len() > 0) {
        let e = rng.random_range(0..2);
        for _ in 0..rng.random_range(1..80) {
            let Some(patch) = editors[e].patches.next() else {
                break;
            };
            editors[e].typed = patched(&editors[e].typed, patch);
        }
        let editor = &mut editors[e];
        {
            let bench = if apart && e == 1 { &pair.two } else { &pair.one };
            match rename {
                true => bench.save_by_rename(editor.who, "note.md", editor.buffer()),
                false => bench.save(editor.who, "note.md", editor.buffer()),
            }
            match rng.random_range(0..4) {
                0 => {}
                1 => bench.vault.sync(bench.ino("note.md")).unwrap(),
                _ => bench.tell(),
            }
        }
        if rng.random_bool(0.4) {
            pair.carry(rng.random_bool(0.5));
        }
        if rng.random_bool(0.2) {
            let bench = if apart && e == 1 { &pair.two } else { &pair.one };
            // It reloads what is merged, not what is about to be.
            bench.vault.commit().unwrap();
            editors[e].load(bench, seed);
        }
    }
    for (e, editor) in editors.iter().enumerate() {
        let bench = if apart && e == 1 { &pair.two } else { &pair.one };
        bench.save(editor.who, "note.md", editor.buffer());
        bench.vault.commit().unwrap();
    }
    pair.meet();
    let whole = [editors[0].typed.clone(), editors[1].typed.clone()].join(BETWEEN);
    assert_eq!(
        pair.one.text("note.md"),
        whole,
        "seed {seed}, apart {apart}, rename {rename}"
    );
    assert_eq!(
        pair.two.text("note.md"),
        whole,
        "seed {seed}, apart {apart}, rename {rename}"
    );
    if seed.is_multiple_of(10) {
        pair.check();
    }
}

/// Guards against a word lost or doubled by stale buffers, in whole vaults: two editors, at one
/// device or at two, save at random moments and reload only sometimes.
#[test]
fn what_two_people_typed_is_what_is_there() {
    let patches = trace();
    let mut text = String::new();
    let mut states = vec![text.clone()];
    for patches in patches.chunks(STEP) {
        text = patches.iter().fold(text, |text, patch| patched(&text, patch));
        states.push(text.clone());
    }
    for seed in seeds() {
        play(&patches, &states, seed);
    }
}
