//! Pins beside what a device tells itself, and beside what it is about to give up: guards that a pinned file's bytes come, and
//! stay.

mod demand_support;
mod texts_support;

use coffer_store::ids::ROOT;
use demand_support::{all, ask, carry, fetch, noise, pair, put, read, serve};
use texts_support::meta;

/// A version that was told here of a pinned file was looked at by nobody: its bytes never came.
#[test]
fn a_copy_to_a_pinned_file_is_fetched() {
    let (one, two) = pair();
    put(&one.vault, "film.mkv", 0, &noise(1, 3 << 20));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let v = &two.vault;
    let film = v.lookup(ROOT, b"film.mkv").unwrap();
    let copy = v.make(ROOT, b"copy.mkv", meta(), b"").unwrap();
    v.commit().unwrap();
    v.pin(&[copy], true).unwrap();
    assert!(v.lacking(64).unwrap().is_empty());
    v.open(copy, true, false, false).unwrap();
    assert_eq!(v.copy((film, 0), (copy, 0), 3 << 20).unwrap(), 3 << 20);
    v.release(copy, true);
    v.commit().unwrap();
    assert!(fetch(&one.vault, v) >= 3 << 20, "it is fetched");
    assert!(read(v, copy, 0, 3 << 20).unwrap() == noise(1, 3 << 20));
}

/// What was pinned after it was planned that it goes went all the same, and nobody fetched it.
#[test]
fn a_pin_counts_after_the_plan() {
    let (one, two) = pair();
    for n in 0..4 {
        put(&one.vault, &format!("{n}.bin"), 0, &noise(n, 1 << 20));
    }
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let v = &two.vault;
    let serving = serve(v, vec![one.vault.clone()]);
    for n in 0..4 {
        assert!(all(v, &format!("{n}.bin")) == noise(n, 1 << 20));
    }
    v.commit().unwrap();
    carry(v, &one.vault);
    let plan = v.plan_eviction().unwrap().unwrap();
    v.confirmed(&ask(&one.vault, &plan));
    drop(serving);
    v.set_reach(false, false);
    let inos = [0, 1, 2, 3].map(|n| v.lookup(ROOT, format!("{n}.bin").as_bytes()).unwrap());
    v.pin(&inos, true).unwrap();
    assert_eq!(v.evict(&plan).unwrap(), 0);
    for (n, ino) in inos.into_iter().enumerate() {
        let mut bytes = Vec::new();
        v.read(ino, 0, 1 << 20, &mut bytes).unwrap();
        assert!(bytes == noise(n as u64, 1 << 20));
    }
}
