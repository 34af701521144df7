//! Guards that room comes back: what no file names any more goes from the packs, and
//! everything that a file does name stays readable, open files and clones too.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::keys::KdfParams;
use coffer_store::vault::Vault;
use coffer_tests::crash::watched::Watched;
use coffer_tests::engine::{check, create, file_meta, forget_removed, open, password};

fn file(vault: &Vault, name: &[u8], bytes: &[u8]) -> u64 {
    let ino = vault.make(ROOT, name, file_meta(), b"").unwrap();
    vault.open(ino, true, false, false).unwrap();
    for (i, part) in bytes.chunks(1 << 20).enumerate() {
        vault.write(ino, Some((i << 20) as u64), part, false).unwrap();
    }
    vault.release(ino, true);
    ino
}

fn read(vault: &Vault, ino: u64) -> Vec<u8> {
    let mut out = Vec::new();
    vault.read(ino, 0, usize::MAX >> 1, &mut out).unwrap();
    out
}

#[test]
fn room_comes_back_and_what_is_alive_stays() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let mut rng = SplitMix64(7);
    let names: Vec<Vec<u8>> = (0..24).map(|i| format!("f{i}").into_bytes()).collect();
    let contents: Vec<Vec<u8>> = names.iter().map(|_| rng.bytes(24 << 20)).collect();
    let inos: Vec<u64> = names
        .iter()
        .zip(&contents)
        .map(|(n, c)| file(&vault, n, c))
        .collect();
    vault.commit().unwrap();
    // A clone keeps its chunks though the original goes; so does a file that is open.
    let clone = file(&vault, b"clone", b"");
    assert_eq!(vault.copy((inos[1], 0), (clone, 0), 24 << 20).unwrap(), 24 << 20);
    vault.hold(inos[2]);
    vault.open(inos[2], false, false, false).unwrap();
    let before = vault.status().unwrap().stored;
    for (i, name) in names.iter().enumerate() {
        if i % 8 != 0 {
            vault.remove(ROOT, name, false).unwrap();
        }
    }
    forget_removed(&vault);
    let freed = vault.collect().unwrap();
    assert!(freed.chunks > 100 && freed.packs > 0, "{freed:?}");
    assert_eq!(read(&vault, clone), contents[1]);
    assert_eq!(read(&vault, inos[2]), contents[2]);
    vault.release(inos[2], false);
    vault.let_go(inos[2], 1);
    vault.collect().unwrap();
    let report = check(&vault);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    let after = vault.status().unwrap().stored;
    assert!(after * 2 < before, "{before} bytes became {after}");
    for i in [0, 8, 16] {
        assert_eq!(read(&vault, inos[i]), contents[i]);
    }
    assert_eq!(read(&vault, clone), contents[1]);
    let report = check(&vault);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// A chunk whose writing had begun when its pack was found to be mostly dead: it was noted
/// after the pack had been taken off the list, and went with it.
#[test]
fn a_chunk_being_written_is_not_lost_with_its_pack() {
    let disk = SimDisk::new();
    let (held, is_held) = channel::<()>();
    let (release, released) = channel::<()>();
    let (released, calls) = (Mutex::new(released), AtomicU32::new(0));
    let watched = Watched::new(disk.clone(), move || {
        let sealing = std::thread::current()
            .name()
            .is_some_and(|n| n.starts_with("seal-"));
        // The first makes the pack, which nobody else can meanwhile; the second writes to it.
        if sealing && calls.fetch_add(1, Ordering::SeqCst) == 1 {
            held.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
        }
    });
    let vault = Vault::create_on(Arc::new(watched), &password(), KdfParams::FLOOR, false, None)
        .unwrap()
        .0;
    vault.stop_keeper();
    vault.limit_packs(512 << 10);
    let mut rng = SplitMix64(3);
    // Without a place to cut at: chunks of the largest size, which are written by themselves.
    file(&vault, b"on its way", &[7; 1 << 20]);
    is_held.recv().unwrap();
    vault.remove(ROOT, b"on its way", false).unwrap();
    // Small ones: whoever commits stores them, though a thread that seals is held.
    let name = |i: u32| format!("small {i}").into_bytes();
    for i in 0..16 {
        file(&vault, &name(i), &rng.bytes(100_000));
    }
    vault.commit().unwrap();
    for i in 0..16 {
        vault.remove(ROOT, &name(i), false).unwrap();
    }
    vault.commit().unwrap();
    forget_removed(&vault);
    let (done, is_done) = channel();
    let collecting = vault.clone();
    let collector = std::thread::spawn(move || {
        let freed = collecting.collect();
        let _ = done.send(());
        freed
    });
    // It ends, or waits for the chunk.
    let _ = is_done.recv_timeout(Duration::from_secs(1));
    release.send(()).unwrap();
    let freed = collector.join().unwrap().unwrap();
    assert!(freed.packs > 0, "{freed:?}");
    // The chunk that came late gets its row, unless it was found dead with the others.
    for _ in 0..400 {
        vault.commit().unwrap();
        if vault.status().unwrap().chunks > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    vault.close().unwrap();
    drop(vault);
    let report = check(&open(&disk));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// A pack of which something could not be read any more kept those behind it from being written
/// anew, each time.
#[test]
fn a_damaged_pack_keeps_no_other_from_being_given_back() {
    for damaged in 1..=4 {
        let disk = SimDisk::new();
        let vault = create(&disk);
        vault.stop_keeper();
        vault.limit_packs(4 << 20);
        let mut rng = SplitMix64(11);
        for i in 0..6 {
            file(&vault, format!("goes {i}").as_bytes(), &rng.bytes(3 << 20));
            // A small one, which lies in its event.
            file(&vault, format!("stays {i}").as_bytes(), &rng.bytes(20_000));
            vault.commit().unwrap();
        }
        for i in 0..6 {
            vault.remove(ROOT, format!("goes {i}").as_bytes(), false).unwrap();
        }
        forget_removed(&vault);
        let pack = disk.open(&format!("pack-{damaged:08}")).unwrap();
        pack.set_len(0).unwrap();
        let before = disk.list().unwrap().len();
        let _ = vault.collect();
        vault.close().unwrap();
        let after = disk.list().unwrap().len();
        assert!(
            after + 2 < before,
            "pack {damaged}: {before} files became {after}"
        );
    }
}
