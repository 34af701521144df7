//! What others gave up on a keeper's word, and what a device tells whose bytes it gave up: guards that no disk that
//! is full, no damage and no version that is brought back leaves a version whose bytes nobody has.

mod demand_support;
mod texts_support;

use std::collections::HashSet;

use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::keys::ChunkId;
use coffer_store::vault::{At, Keeping, Subject, Vault};
use demand_support::{all, carry, check, evict, fetch, noise, pair, put, serve};
use texts_support::{Bench, meta};

const REMOVED: usize = 6;

/// A keeper with a trash, and one that has given up what it had of it, or might have.
fn with_trash() -> (Bench, Bench) {
    let (one, two) = pair();
    one.vault.limit_packs(4 << 20);
    for n in 0..REMOVED {
        put(&one.vault, &format!("{n}.bin"), 0, &noise(n as u64, 2 << 20));
    }
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    (one, two)
}

/// Writes until there is no room, and lets the keeper do what it does then.
fn fill(bench: &Bench, name: &str) {
    bench.disk.set_free(Some(32 << 20));
    // A measured free space is believed for a moment, and this disk has just become another.
    let probe = bench.vault.lookup(ROOT, b"note.md").unwrap();
    while bench.vault.grow(probe, 0, 64 << 20).is_ok() {
        std::thread::yield_now();
    }
    let refused = (0..256).find_map(|n| {
        let made = bench
            .vault
            .make(ROOT, format!("{name} {n}").as_bytes(), meta(), b"");
        let written = made.and_then(|ino| {
            bench.vault.open(ino, true, false, false)?;
            let written = bench.vault.write(ino, Some(0), &noise(1000 + n, 1 << 20), false);
            bench.vault.release(ino, true);
            written
        });
        bench.vault.tick().unwrap();
        written.map_err(|e| e.errno()).err()
    });
    assert_eq!(refused, Some(libc::ENOSPC));
    for _ in 0..5 {
        bench.vault.tend();
    }
}

/// What was removed and is there still. No commit is waited for: there may be no room for one.
fn trash(vault: &Vault) -> usize {
    vault.recorded_removed().unwrap().len()
}

fn remove_all(vault: &Vault) {
    for n in 0..REMOVED {
        vault.remove(ROOT, format!("{n}.bin").as_bytes(), false).unwrap();
    }
    vault.commit().unwrap();
}

/// A keeper's disk filled, and it let its trash go: what another had given up on its word was nowhere.
#[test]
fn a_keeper_that_is_relied_on_lets_nothing_go_early() {
    let (one, two) = with_trash();
    {
        let _serving = serve(&two.vault, vec![one.vault.clone()]);
        for n in 0..REMOVED {
            assert!(all(&two.vault, &format!("{n}.bin")) == noise(n as u64, 2 << 20));
        }
    }
    two.vault.commit().unwrap();
    carry(&two.vault, &one.vault);
    assert!(!one.vault.is_relied_on());
    assert!(evict(&two.vault, &one.vault) > 8 << 20);
    assert!(one.vault.is_relied_on() && one.vault.status().unwrap().relied_on);
    remove_all(&one.vault);
    // It is known after a crash.
    let one = one.crashed();
    one.vault.limit_packs(4 << 20);
    assert!(one.vault.is_relied_on());
    fill(&one, "more");
    assert_eq!(trash(&one.vault), REMOVED);
    assert_eq!(one.vault.status().unwrap().early, 0);
    // One on which nobody relies does.
    let (one, _two) = with_trash();
    remove_all(&one.vault);
    let one = one.crashed();
    one.vault.limit_packs(4 << 20);
    fill(&one, "more");
    assert!(trash(&one.vault) < REMOVED && one.vault.status().unwrap().early > 0);
}

fn a_piece(from: &Bench, to: &Bench) -> ChunkId {
    let ino = to.vault.lookup(ROOT, b"film.mkv").unwrap();
    let error = to.vault.read(ino, 0, 1, &mut Vec::new()).unwrap_err();
    let coffer_store::vault::OpError::Store(error) = error else {
        panic!("{error:?}")
    };
    let id = error.absent().unwrap().id();
    assert!(from.vault.holds_chunk(&id).unwrap());
    id
}

/// A row is no byte: what cannot be read, or is other bytes, was confirmed, and given up elsewhere.
#[test]
fn what_cannot_be_read_is_not_confirmed() {
    let (one, two) = pair();
    put(&one.vault, "film.mkv", 0, &noise(2, 1 << 20));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let id = a_piece(&one, &two);
    let nobodys = ChunkId([7; 32]);
    assert_eq!(one.vault.confirm(&[id, nobodys]), [true, false]);
    let sealed = one.vault.sealed_chunk(&id).unwrap().unwrap();
    let inside = &sealed[100..164];
    let mut flipped = false;
    for name in one.disk.list().unwrap() {
        let file = one.disk.open(&name).unwrap();
        let mut all = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut all).unwrap();
        if let Some(at) = all.windows(64).position(|some| some == inside) {
            file.write_at(at as u64, &[all[at] ^ 1]).unwrap();
            flipped = true;
        }
    }
    assert!(flipped);
    assert_eq!(one.vault.confirm(&[id]), [false]);
    let damage = one.vault.status().unwrap().damage;
    assert!(
        damage.iter().any(|what| what.contains("another device")),
        "{damage:?}"
    );
    two.vault.set_keeping(Keeping::Everything, u64::MAX).unwrap();
    assert_eq!(two.vault.confirm(&[id]), [false]);
}

/// What is told anew has its bytes here: a version was told again that nobody had the bytes of.
#[test]
fn what_comes_back_has_its_bytes() {
    let (one, two) = pair();
    let (old, new) = (noise(3, 2 << 20), noise(4, 2 << 20));
    put(&one.vault, "film.mkv", 0, &old);
    one.vault.commit().unwrap();
    put(&one.vault, "film.mkv", 0, &new);
    put(&one.vault, "gone.mkv", 0, &noise(5, 2 << 20));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    one.vault.remove(ROOT, b"gone.mkv", false).unwrap();
    one.vault.end_graces();
    one.vault.commit().unwrap();
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let v = &two.vault;
    let film = Subject::File(v.lookup(ROOT, b"film.mkv").unwrap());
    let number = v.versions(film).unwrap()[0].number;
    let gone = v.removed().unwrap().remove(0).node;
    let at = At {
        folder: ROOT,
        name: b"back.mkv",
        replace: false,
        keep_times: false,
    };
    let told = v.clock().unwrap();
    for errno in [
        v.restore_version(film, number).unwrap_err().errno(),
        v.gather_version(film, number).unwrap_err().errno(),
        v.bring_back(gone, None, at).unwrap_err().errno(),
        v.gather_removed(gone, None).unwrap_err().errno(),
    ] {
        assert_eq!(errno, libc::EHOSTUNREACH);
    }
    v.commit().unwrap();
    assert!(v.clock().unwrap() == told, "nothing was told");
    let _serving = serve(v, vec![one.vault.clone()]);
    {
        let _here = v.gather_version(film, number).unwrap();
        v.commit().unwrap();
        // More than the limit is here, and what is about to be told stays.
        let plan = v.plan_eviction().unwrap();
        let held: HashSet<ChunkId> = plan.iter().flat_map(|plan| &plan.pieces).copied().collect();
        assert!(held.is_empty(), "{} would go", held.len());
        v.restore_version(film, number).unwrap();
    }
    {
        let _here = v.gather_removed(gone, None).unwrap();
        v.bring_back(gone, None, at).unwrap();
    }
    v.commit().unwrap();
    assert!(all(v, "film.mkv") == old);
    assert!(all(v, "back.mkv") == noise(5, 2 << 20));
}

/// Where there is no room for what comes, whoever waits for it hears that, and at once: not that nobody has it, after half a
/// minute.
#[test]
fn a_full_disk_is_said_to_who_waits() {
    let (one, two) = pair();
    put(&one.vault, "film.mkv", 0, &noise(6, 3 << 20));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let ino = two.vault.lookup(ROOT, b"film.mkv").unwrap();
    let (from, to) = (one.vault.clone(), two.vault.clone());
    two.vault.when_wanted(move |what| {
        if let coffer_store::vault::Demanded::Want(id, _) = what {
            let sealed = from.sealed_chunk(&id).unwrap().unwrap();
            let (to, id) = (to.clone(), id);
            std::thread::spawn(move || assert!(to.put_chunk(&id, &sealed).is_err()));
        }
    });
    two.vault.set_reach(true, true);
    two.disk.set_free(Some(0));
    let begun = std::time::Instant::now();
    let error = demand_support::read(&two.vault, ino, 0, 4096).unwrap_err();
    assert_eq!(error.errno(), libc::ENOSPC);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    two.vault.when_wanted(|_| {});
}

/// On a full disk this device's own history went first, for good, though another held bytes that were here.
#[test]
fn what_others_hold_goes_before_history_does() {
    let (one, two) = with_trash();
    {
        let _serving = serve(&two.vault, vec![one.vault.clone()]);
        for n in 0..REMOVED {
            assert!(all(&two.vault, &format!("{n}.bin")) == noise(n as u64, 2 << 20));
        }
    }
    two.vault.limit_packs(4 << 20);
    two.vault.set_keeping(Keeping::Texts, 1 << 30).unwrap();
    for n in 0..3 {
        put(&two.vault, &format!("own {n}.bin"), 0, &noise(50 + n, 2 << 20));
    }
    two.vault.commit().unwrap();
    for n in 0..3 {
        two.vault
            .remove(ROOT, format!("own {n}.bin").as_bytes(), false)
            .unwrap();
    }
    two.vault.end_graces();
    two.vault.commit().unwrap();
    assert_eq!(trash(&two.vault), 3);
    assert!(two.vault.plan_eviction().unwrap().is_none(), "there is room");
    two.vault.set_reach(true, true);
    fill(&two, "more");
    assert_eq!((trash(&two.vault), two.vault.status().unwrap().early), (3, 0));
    let plan = two.vault.plan_eviction().unwrap().expect("there is no room");
    assert!(plan.bytes > 1 << 20);
    carry(&two.vault, &one.vault);
    // What nobody confirms, as the bytes of this device's own files, holds the rest up no longer.
    let mut gone = evict(&two.vault, &one.vault);
    assert_eq!(gone, 0);
    while let Some(plan) = two.vault.plan_eviction().unwrap().filter(|_| gone == 0) {
        two.vault.unconfirmed(&plan.pieces);
        gone = evict(&two.vault, &one.vault);
    }
    assert!(gone > 1 << 20);
    two.vault.tend();
    assert_eq!((trash(&two.vault), two.vault.status().unwrap().early), (3, 0));
    // Nobody is there who might hold anything: then history makes room.
    two.vault.set_reach(false, false);
    fill(&two, "again");
    assert!(two.vault.status().unwrap().early > 0);
    check(&two);
}
