//! Figures of texts in the vault: how soon a save is a version, what a thousand small edits take,
//! and how long an old version of ten thousand takes to read. Prints them (`--nocapture`, and
//! `--ignored` for those that take long); asserts what they are, and sizes.

mod texts_support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::ids::{Ino, ROOT};
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::keys::KdfParams;
use coffer_store::vault::{Identity, Sealed, Subject, Vault};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use texts_support::*;

fn on(dir: &Path) -> Arc<Vault> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None)
        .unwrap()
        .0
}

fn make(vault: &Vault, name: &str) -> Ino {
    vault.make_by(VIM, ROOT, name.as_bytes(), meta(), b"").unwrap()
}

fn save(vault: &Vault, ino: Ino, text: &str) {
    vault.open_by(VIM, ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
}

/// Words in lines, of about so many bytes.
fn note(bytes: usize) -> String {
    let mut rng = StdRng::seed_from_u64(bytes as u64);
    let words = [
        "garden", "and", "the", "note", "über", "October", "bread", "of", "12.50",
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

/// One small edit.
fn edited(text: &str, version: usize, rng: &mut StdRng) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    let place = rng.random_range(0..lines.len());
    let mut words: Vec<String> = lines[place].split(' ').map(String::from).collect();
    let word = rng.random_range(0..words.len());
    match rng.random_range(0..3) {
        0 if words.len() > 6 => {
            words.remove(word);
        }
        1 => words.insert(word, format!("new{version}")),
        _ => words[word] = format!("word{version}"),
    }
    lines[place] = words.join(" ");
    lines.join("\n") + "\n"
}

fn stored(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    let len = |file: std::io::Result<std::fs::DirEntry>| {
        let file = file.unwrap();
        let is_journal = file.file_name() == "vault.journal";
        if is_journal {
            0
        } else {
            file.metadata().unwrap().len()
        }
    };
    files.map(len).sum()
}

/// From the close of a save to the transaction that tells its version.
#[test]
#[ignore = "prints how long things take"]
fn from_close_to_version() {
    for size in [4_000, 200_000, 1_000_000] {
        let dir = tempfile::tempdir().unwrap();
        let vault = on(dir.path());
        let changes = vault.subscribe();
        let mut rng = StdRng::seed_from_u64(1);
        let mut text = note(size);
        let ino = make(&vault, "note.md");
        save(&vault, ino, &text);
        vault.commit().unwrap();
        let (mut times, rounds) = (Vec::new(), if size > 500_000 { 8 } else { 25 });
        for version in 0..rounds {
            text = edited(&text, version, &mut rng);
            std::thread::sleep(Duration::from_millis(700));
            while changes.try_recv().is_ok() {}
            save(&vault, ino, &text);
            let begun = Instant::now();
            while changes.recv().unwrap().events.1 == 0 {}
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        println!(
            "{size} bytes: close to version, p50 {:.1?}, p95 {:.1?}; the first {:.1?}",
            times[times.len() / 2],
            times[times.len() * 95 / 100],
            times[times.len() - 1]
        );
        assert_eq!(vault.versions(Subject::File(ino)).unwrap().len(), rounds + 1);
        vault.close().unwrap();
    }
}

/// Guards the room that history takes: a thousand small edits of a 20 KB note, each told by itself.
#[test]
fn a_thousand_small_edits_take_little_room() {
    let dir = tempfile::tempdir().unwrap();
    let vault = on(dir.path());
    vault.stop_keeper();
    let mut rng = StdRng::seed_from_u64(4);
    let mut text = note(20_000);
    let ino = make(&vault, "note.md");
    save(&vault, ino, &text);
    vault.commit().unwrap();
    let before = stored(dir.path());
    for version in 0..1_000 {
        text = edited(&text, version, &mut rng);
        save(&vault, ino, &text);
        vault.tick().unwrap();
    }
    let open = stored(dir.path());
    vault.close().unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap();
    for file in files {
        let file = file.unwrap();
        println!("{:?}: {}", file.file_name(), file.metadata().unwrap().len());
    }
    let closed = stored(dir.path());
    println!(
        "1,000 edits: {before} bytes before, {} more, {} more once closed",
        open as i64 - before as i64,
        closed as i64 - before as i64
    );
    let vault = Sealed::open(dir.path())
        .unwrap()
        .unlock(&password(), Identity::Same)
        .unwrap();
    let ino = vault.lookup(ROOT, b"note.md").unwrap();
    assert_eq!(vault.versions(Subject::File(ino)).unwrap().len(), 1_001);
    let mut out = Vec::new();
    vault.read(ino, 0, 1 << 20, &mut out).unwrap();
    assert_eq!(out, text.as_bytes());
}

/// Guards the room that a thousand small edits take once the keeper has joined what was told: less than 400 KB.
#[test]
fn a_thousand_small_edits_take_less_once_joined() {
    let dir = tempfile::tempdir().unwrap();
    let again = || {
        let sealed = Sealed::open(dir.path()).unwrap();
        let vault = sealed.unlock(&password(), Identity::Same).unwrap();
        vault.stop_keeper();
        vault
    };
    let mut rng = StdRng::seed_from_u64(4);
    let mut text = note(20_000);
    on(dir.path()).close().unwrap();
    let mut edit = |edits: usize| {
        let vault = again();
        let ino = match vault.lookup(ROOT, b"note.md") {
            Ok(ino) => ino,
            Err(_) => make(&vault, "note.md"),
        };
        for version in 0..edits {
            text = edited(&text, version, &mut rng);
            save(&vault, ino, &text);
            vault.tick().unwrap();
            // As the hours go by.
            if version % 100 == 99 {
                vault.join_batches().unwrap();
            }
        }
        vault.collect().unwrap();
        vault.close().unwrap();
        drop(vault);
        // What was written anew goes at the next opening.
        let vault = again();
        let mut out = Vec::new();
        let ino = vault.lookup(ROOT, b"note.md").unwrap();
        vault.read(ino, 0, 1 << 20, &mut out).unwrap();
        assert_eq!(out, text.as_bytes());
        vault.close().unwrap();
        drop(vault);
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            println!("{:?}: {}", file.file_name(), file.metadata().unwrap().len());
        }
        stored(dir.path())
    };
    let (first, then) = (edit(100), edit(1_000));
    let more = then.saturating_sub(first);
    println!("1,000 edits, joined: {more} bytes more");
    assert!(more <= 400_000, "a thousand small edits take {more} bytes");
}

/// A note with a long past, read cold and warm.
#[test]
#[ignore = "prints how long things take"]
fn ten_thousand_versions() {
    let dir = tempfile::tempdir().unwrap();
    let vault = on(dir.path());
    vault.stop_keeper();
    let mut rng = StdRng::seed_from_u64(3);
    let mut text = note(4_000);
    let ino = make(&vault, "note.md");
    let mut saved = Vec::new();
    let begun = Instant::now();
    for version in 0..10_000 {
        text = edited(&text, version, &mut rng);
        save(&vault, ino, &text);
        saved.push(text.clone());
        if version % 50 == 0 {
            vault.tick().unwrap();
        }
    }
    vault.commit().unwrap();
    println!("10,000 versions made in {:.1?}", begun.elapsed());
    vault.close().unwrap();
    drop(vault);
    let vault = Sealed::open(dir.path())
        .unwrap()
        .unlock(&password(), Identity::Same)
        .unwrap();
    let ino = vault.lookup(ROOT, b"note.md").unwrap();
    let of = Subject::File(ino);
    let begun = Instant::now();
    let versions = vault.versions(of).unwrap();
    println!("listed in {:.1?}", begun.elapsed());
    assert_eq!(versions.len(), saved.len());
    for number in [5_000, 4_000, 100, 9_999] {
        let begun = Instant::now();
        let version = vault.open_version(of, number as u64).unwrap();
        let mut out = Vec::new();
        version.read(&vault, 0, 1 << 20, &mut out).unwrap();
        println!("version {number} read in {:.1?}", begun.elapsed());
        assert_eq!(out, saved[number - 1].as_bytes());
    }
    let begun = Instant::now();
    save(&vault, ino, &(text + "one more\n"));
    vault.commit().unwrap();
    println!("one more in {:.1?}", begun.elapsed());
}
