//! Guards texts at their limits: a megabyte, ten thousand versions, a thousand small edits.
//! Prints how long things take and how large they are (`--nocapture`); asserts what they are.

mod text_support;

use std::time::Instant;

use coffer_store::text::{Document, Heads, TEXT_MAX, TextError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use text_support::{Device, Sent, began};

/// Words, in lines, of about so many bytes.
fn note(bytes: usize) -> String {
    let mut rng = StdRng::seed_from_u64(bytes as u64);
    let words = [
        "garden", "and", "the", "note", "über", "October", "bread", "of", "12.50", "rain",
    ];
    let mut text = String::new();
    while text.len() < bytes {
        for _ in 0..rng.random_range(5..15) {
            text.push_str(words[rng.random_range(0..words.len())]);
            text.push(' ');
        }
        text.push('\n');
    }
    text
}

/// Says how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    println!("{what}: {:.1?}", start.elapsed());
    done
}

/// Guards a note of a megabyte: edited on both sides, and merged.
#[test]
fn a_megabyte_merges() {
    let base = note(1_000_000);
    let mut one = timed("1 MB: genesis", || Device::new(1, &base));
    let mut two = Device::new(2, &base);
    let old = one.heads();
    let near = base.replacen("garden", "orchard", 3);
    timed("1 MB: three words changed", || one.save_newest(&near));
    let far = format!("{base}the end, by another\n");
    timed("1 MB: a line added", || two.save_newest(&far));
    let sent = two.sent.clone();
    timed("1 MB: the other's change taken in", || one.receive(&sent));
    assert_eq!(one.text(), format!("{near}the end, by another\n"));
    let stale = near.replacen("October", "May", 2);
    let base_of_stale: Heads = [one.sent[0].received().hash()].into_iter().collect();
    let again = timed("1 MB: a save over an older version", || {
        one.save(&base_of_stale, &stale)
    });
    timed("1 MB: the next one", || {
        one.save(&again, &stale.replacen("rain", "snow", 1))
    });
    assert!(one.text().contains("snow") && one.text().contains("by another"));
    let saved = timed("1 MB: save", || one.doc.save().expect("whole"));
    println!("1 MB: saved as {} bytes", saved.len());
    let loaded = timed("1 MB: load", || Document::load(began(), &saved).expect("whole"));
    assert_eq!(timed("1 MB: text", || loaded.text()), Ok(one.text()));
    assert_eq!(
        timed("1 MB: text of the first version", || loaded.text_at(&old)),
        Ok(base)
    );
}

/// Guards the limit: a text of exactly that size is one, is rewritten, and grows no further.
#[test]
fn a_text_at_the_limit() {
    let mut base = note(TEXT_MAX - 200);
    base.push_str(&"x".repeat(TEXT_MAX - base.len()));
    let mut device = timed("1 MiB: genesis", || Device::new(1, &base));
    let other = base.to_uppercase();
    let other = &other[..other.floor_char_boundary(TEXT_MAX)];
    timed("1 MiB: every word changed", || device.save_newest(other));
    println!("1 MiB: a change of {} bytes", device.sent[0].bytes.len());
    timed("1 MiB: received", || Device::new(2, &base).receive(&device.sent));
    let heads = device.heads();
    let larger = format!("{base}x");
    let chain = text_support::newest(1).chain;
    assert!(matches!(
        device.doc.edit(&heads, &larger, chain, 99),
        Err(TextError::NotText(_))
    ));
    assert_eq!(device.text(), other, "a refusal changes nothing");
}

/// Guards a note with a long past.
#[test]
fn ten_thousand_versions() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut text = note(4_000);
    let mut device = Device::new(1, &text);
    let mut kept: Vec<(Heads, String)> = Vec::new();
    let start = Instant::now();
    for version in 0..10_000 {
        text = edited(&text, version, &mut rng);
        let heads = device.save_newest(&text);
        if version % 1_000 == 0 {
            kept.push((heads, text.clone()));
        }
    }
    println!(
        "10,000 versions: made in {:.1?}, text of {} bytes",
        start.elapsed(),
        text.len()
    );
    let saved = timed("10,000 versions: save", || device.doc.save().expect("whole"));
    println!("10,000 versions: saved as {} bytes", saved.len());
    let mut loaded = timed("10,000 versions: load", || {
        Document::load(began(), &saved).expect("whole")
    });
    assert_eq!(
        timed("10,000 versions: heads", || loaded.heads()),
        Ok(device.heads())
    );
    assert_eq!(timed("10,000 versions: text", || loaded.text()), Ok(text.clone()));
    for (heads, text) in &kept {
        assert_eq!(
            timed("10,000 versions: text of an older one", || loaded.text_at(heads)).as_ref(),
            Ok(text)
        );
    }
    let (heads, old) = kept[8].clone();
    let stale = format!("{old} stale");
    let made = timed("10,000 versions: a save over an older one", || {
        loaded.edit(&heads, &stale, text_support::newest(2).chain, 1)
    });
    assert!(made.is_ok_and(|made| made.is_some()));
    assert!(loaded.text().is_ok_and(|text| text.contains("stale")));
    let mut other = Device::new(3, &note(4_000));
    timed("10,000 versions: all received at once", || {
        other.receive(&device.sent)
    });
    assert_eq!(other.text(), text);
}

/// One small edit.
fn edited(text: &str, version: usize, rng: &mut StdRng) -> String {
    let lines = text.lines().count();
    let place = rng.random_range(0..lines);
    let mut text: Vec<String> = text.lines().map(String::from).collect();
    let mut words: Vec<String> = text[place].split(' ').map(String::from).collect();
    let word = rng.random_range(0..words.len());
    match rng.random_range(0..3) {
        0 if words.len() > 6 => {
            words.remove(word);
        }
        1 => words.insert(word, format!("new{version}")),
        _ => words[word] = format!("word{version}"),
    }
    text[place] = words.join(" ");
    text.join("\n") + "\n"
}

/// Guards the room that history takes: a thousand small edits of a 20 KB note, in bytes of
/// changes; the goal for all that is stored is 400 KB.
#[test]
fn a_thousand_small_edits_are_small() {
    let mut rng = StdRng::seed_from_u64(4);
    let mut text = note(20_000);
    let mut device = Device::new(1, &text);
    for version in 0..1_000 {
        text = edited(&text, version, &mut rng);
        device.save_newest(&text);
    }
    let bytes: usize = device.sent.iter().map(|sent: &Sent| sent.bytes.len()).sum();
    let document = device.doc.save().expect("whole").len();
    println!(
        "1,000 edits: {bytes} bytes of {} changes; the document: {document} bytes",
        device.sent.len()
    );
    assert!(
        bytes + document < 300_000,
        "{bytes} bytes of changes, {document} of the document"
    );
}
