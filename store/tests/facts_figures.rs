//! What it costs to ask a vault of 100,000 files, of which 50,000 are notes of 2 KB, all that an index asks: printed, not asserted, since machines
//! differ. `cargo test -p coffer-store --test facts_figures -- --ignored --nocapture`

mod history_support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::SplitMix64;
use coffer_store::keys::KdfParams;
use coffer_store::tree::Kind;
use coffer_store::vault::{Facts, Identity, Sealed, Vault};
use history_support::*;

const FILES: usize = 100_000;
const LARGE: usize = 40;

fn timed<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = call();
    println!("{what}: {:?}", begun.elapsed());
    result
}

fn fill(vault: &Vault) {
    let note: String = SplitMix64(1)
        .bytes(1000)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    for i in 0..FILES {
        if i % 1000 == 0 {
            vault.tick().unwrap();
        }
        let above = match i % 1000 {
            0 => folder(vault, TOP, &format!("folder {}", i / 1000)),
            _ => vault
                .lookup(TOP, format!("folder {}", i / 1000).as_bytes())
                .unwrap(),
        };
        match i % 2 {
            0 => {
                let ino = make(vault, above, &format!("note {i}.md"));
                save(vault, ino, format!("{i} {note}").as_bytes());
            }
            _ => {
                let ino = make(vault, above, &format!("other {i}.bin"));
                save(vault, ino, format!("{i}").as_bytes());
            }
        }
    }
    vault.commit().unwrap();
    for i in 0..LARGE {
        let ino = make(vault, TOP, &format!("large {i}.raw"));
        save(vault, ino, &SplitMix64(i as u64).bytes(8 << 20));
    }
    vault.commit().unwrap();
}

#[test]
#[ignore = "prints figures; guards nothing"]
fn a_hundred_thousand_files() {
    let dir = tempfile::tempdir().unwrap();
    let disk = || -> Arc<dyn Disk> { Arc::new(RealDisk::open(dir.path()).unwrap()) };
    let vault = Vault::create_on(disk(), &password(), KdfParams::FLOOR, false, None)
        .unwrap()
        .0;
    timed("made", || fill(&vault));
    vault.close().unwrap();
    drop(vault);
    let sealed = Sealed::open_on(disk(), PathBuf::from("figures"), None).unwrap();
    let vault = timed("unlocked", || sealed.unlock(&password(), Identity::Same).unwrap());
    vault.stop_keeper();
    for round in ["first", "again"] {
        println!("-- {round}");
        let mut files = Vec::new();
        timed("names", || {
            vault.names(&mut |name| {
                files.extend((name.kind == Kind::File).then_some(name.ino));
                true
            });
        });
        println!("   {} files", files.len());
        let mut facts: Vec<Facts> = Vec::new();
        timed("facts, together", || {
            vault.facts_of(&files, &mut |_, found| {
                facts.push(found.unwrap());
                true
            });
        });
        timed("facts, one by one, of 10,000", || {
            for ino in &files[..10_000] {
                vault.facts(*ino).unwrap();
            }
        });
        let texts: Vec<&Facts> = facts.iter().filter(|facts| facts.is_text).collect();
        let bytes: usize = timed("texts of 50,000 notes", || {
            let texts = texts
                .iter()
                .map(|facts| vault.text(facts.ino, 1 << 20).unwrap().len());
            texts.sum()
        });
        println!("   {} notes, {bytes} bytes", texts.len());
        timed("content of all small files", || {
            for facts in facts.iter().filter(|facts| facts.size < 1 << 20) {
                vault.content(facts.ino).unwrap().unwrap();
            }
        });
        timed("content of 40 files of 8 MiB", || {
            for facts in facts.iter().filter(|facts| facts.size >= 1 << 20) {
                vault.content(facts.ino).unwrap().unwrap();
            }
        });
        let mut rows = 0;
        timed("history", || {
            vault
                .history(None, &mut |_| {
                    rows += 1;
                    true
                })
                .unwrap();
        });
        println!("   {rows} rows");
        let mut blobs = 0;
        timed("blobs", || {
            vault
                .blobs(&mut |_| {
                    blobs += 1;
                    true
                })
                .unwrap();
        });
        println!("   {blobs} blobs");
    }
    let ino = vault.lookup(TOP, b"large 0.raw").unwrap();
    let mut longest = Duration::ZERO;
    let mut bytes = SplitMix64(3).bytes(100);
    for n in 0..1000 {
        bytes[0] = n as u8;
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), &bytes, false).unwrap();
        vault.release(ino, true);
        if n % 2 == 0 {
            vault.commit().unwrap();
        }
    }
    for _ in 0..10 {
        let begun = Instant::now();
        vault.facts(ino).unwrap();
        longest = longest.max(begun.elapsed());
    }
    println!(
        "facts of a file of {} versions: {longest:?}",
        vault.facts(ino).unwrap().versions
    );
}
