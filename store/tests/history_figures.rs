//! What history costs, and how long it takes to look back: printed, not asserted, since machines
//! differ. `cargo test -p coffer-store --test history_figures -- --ignored --nocapture`

mod history_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::SplitMix64;
use coffer_store::keys::KdfParams;
use coffer_store::vault::{Subject, Vault};
use history_support::*;

fn on_disk() -> (tempfile::TempDir, Arc<Vault>) {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).unwrap());
    let vault = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None);
    (dir, vault.unwrap().0)
}

#[test]
#[ignore = "prints figures; guards nothing"]
fn five_thousand_notes() {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let (_dir, vault) = on_disk();
        vault.stop_keeper();
        let bytes = SplitMix64(1).bytes(5000);
        let begun = Instant::now();
        for i in 0..5000 {
            let ino = make(&vault, TOP, &format!("note {i}.md"));
            save(&vault, ino, &bytes[..300 + i % 4000]);
            if i % 1000 == 999 {
                vault.tick().unwrap();
            }
        }
        vault.commit().unwrap();
        best = best.min(begun.elapsed());
    }
    println!("5,000 notes made and committed: {best:?}");
}

#[test]
#[ignore = "prints figures; guards nothing"]
fn ten_thousand_versions() {
    let (_dir, vault) = on_disk();
    vault.stop_keeper();
    let ino = make(&vault, TOP, "note");
    let mut text = SplitMix64(1).bytes(20_000);
    let begun = Instant::now();
    for i in 0..10_000u32 {
        text[i as usize] ^= 1;
        save_version(&vault, ino, &text);
    }
    println!(
        "10,000 versions of a 20 KB note, each committed: {:?}",
        begun.elapsed()
    );
    let of = Subject::File(ino);
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(versions(&vault, of).len(), 10_000);
        println!("listed: {:?}", begun.elapsed());
        let begun = Instant::now();
        assert_eq!(read_version(&vault, of, 5000).unwrap().len(), 20_000);
        println!("one read: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    vault.collect().unwrap();
    println!("collected: {:?}", begun.elapsed());
    vault.remove(TOP, b"note", false).unwrap();
    let begun = Instant::now();
    let node = gone(&vault, "note").node;
    println!("what was removed, listed: {:?}", begun.elapsed());
    let begun = Instant::now();
    vault.purge(Subject::Removed(node)).unwrap();
    println!("purged: {:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(vault.collect().unwrap().left, 0);
    println!("collected after it: {:?}", begun.elapsed());
}
