//! A device that keeps names and texts, and one or two that keep everything: what is fetched when it is read, what is
//! given up and what never is. Guards that nothing goes that nobody has confirmed, and that nobody waits longer than there is
//! anything to wait for.

mod demand_support;
mod texts_support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use coffer_store::ids::ROOT;
use coffer_store::keys::ChunkId;
use coffer_store::vault::{Identity, Keeping, OpError};
use demand_support::{LIMIT, all, ask, carry, check, evict, fetch, noise, pair, put, read, serve};
use texts_support::{Bench, meta};

/// Names, sizes and times at once; bytes when they are read, and no more than that and what follows.
#[test]
fn a_file_has_its_name_before_its_bytes() {
    let (one, two) = pair();
    let film = noise(1, 30 << 20);
    put(&one.vault, "film.mkv", 0, &film);
    one.save(1, "long.md", "many words\n".repeat(20_000));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let ino = two.vault.lookup(ROOT, b"film.mkv").unwrap();
    assert_eq!(two.vault.stat(ino).unwrap().size, film.len() as u64);
    assert_eq!(two.text("long.md"), one.text("long.md"), "texts are always here");
    let survey = two.vault.survey().unwrap();
    assert_eq!((survey.absent_files, survey.absent_bytes), (1, film.len() as u64));
    check(&two);
    // Without a network nobody waits.
    let begun = Instant::now();
    let refused = read(&two.vault, ino, 0, 4096).unwrap_err();
    assert_eq!(refused.errno(), libc::EHOSTUNREACH, "{refused}");
    assert_eq!(
        two.vault.refuse_unreached(ino).unwrap_err().errno(),
        libc::EHOSTUNREACH
    );
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(two.vault.unreached().len(), 1);
    // A piece in the midst brings little.
    let _serving = serve(&two.vault, vec![one.vault.clone()]);
    two.vault.refuse_unreached(ino).unwrap();
    let middle = read(&two.vault, ino, 20 << 20, 4096).unwrap();
    assert!(middle == film[20 << 20..(20 << 20) + 4096]);
    two.vault.commit().unwrap();
    let kept = two.vault.status().unwrap().chunk_bytes;
    assert!(kept < 4 << 20, "{kept}");
    assert!(all(&two.vault, "film.mkv") == film);
    check(&two);
    // Over a crash it is known what is not here.
    let again = two.crashed();
    assert_eq!(again.vault.keeping(), Keeping::Texts);
    check(&again);
}

/// Nobody who is connected has it: said at once, to each who waits; who has it later is asked anew.
#[test]
fn what_nobody_has_is_said_at_once() {
    let (one, two) = pair();
    put(&one.vault, "film.mkv", 0, &noise(2, 3 << 20));
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let ino = two.vault.lookup(ROOT, b"film.mkv").unwrap();
    let serving = serve(&two.vault, vec![]);
    two.vault.set_reach(true, true);
    let begun = Instant::now();
    let waits: Vec<_> = (0..4)
        .map(|n| {
            let vault = two.vault.clone();
            std::thread::spawn(move || read(&vault, ino, n << 18, 1 << 18).map(|_| ()))
        })
        .collect();
    for wait in waits {
        assert_eq!(wait.join().unwrap().unwrap_err().errno(), libc::EHOSTUNREACH);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    // What was asked for ahead of them ends by itself.
    while !two.vault.waited_for().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits any more");
        std::thread::yield_now();
    }
    drop(serving);
    // Whoever waits when the network ends waits no longer.
    two.vault.when_wanted(|_| {});
    two.vault.set_reach(true, true);
    let vault = two.vault.clone();
    let waiting = std::thread::spawn(move || read(&vault, ino, 0, 4096).map(|_| ()));
    while two.vault.waited_for().is_empty() {
        std::thread::yield_now();
    }
    two.vault.set_reach(false, false);
    assert!(waiting.join().unwrap().is_err());
    let _serving = serve(&two.vault, vec![one.vault.clone()]);
    assert!(all(&two.vault, "film.mkv") == noise(2, 3 << 20));
}

/// Guards writing, cutting, copying and moving what is not here; and that it is told in the end.
#[test]
fn what_is_not_here_can_be_changed() {
    let (one, two) = pair();
    let disk = noise(3, 8 << 20);
    for name in ["cut", "grown", "written", "copied", "emptied", "moved"] {
        put(&one.vault, name, 0, &disk);
    }
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let v = &two.vault;
    let ino = |name: &str| v.lookup(ROOT, name.as_bytes()).unwrap();
    // Offline: what needs no bytes, works.
    put(v, "written", 5 << 20, b"here");
    put(v, "grown", 8 << 20, b"the end");
    v.rename((ROOT, b"moved"), (ROOT, b"elsewhere"), false).unwrap();
    v.open(ino("emptied"), true, true, false).unwrap();
    v.release(ino("emptied"), true);
    let copy = v.make(ROOT, b"copy", meta(), b"").unwrap();
    v.open(copy, true, false, false).unwrap();
    assert_eq!(v.copy((ino("copied"), 0), (copy, 0), 8 << 20).unwrap(), 8 << 20);
    v.release(copy, true);
    let shrink = || {
        v.change(
            ino("cut"),
            coffer_store::vault::Change {
                size: Some(3_000_001),
                ..Default::default()
            },
        )
    };
    v.open(ino("cut"), true, false, false).unwrap();
    let lacks = match shrink() {
        Err(OpError::Store(error)) => error.absent().expect("what the cut goes through"),
        other => panic!("{other:?}"),
    };
    v.commit().unwrap();
    // A crash keeps it all.
    check(&two.crashed());
    let _serving = serve(v, vec![one.vault.clone()]);
    v.bring(ino("cut"), lacks).unwrap();
    shrink().unwrap();
    v.release(ino("cut"), true);
    v.commit().unwrap();
    // What telling the change needs is fetched by itself, piece by piece up to where nothing changed.
    for _ in 0..4 {
        fetch(&one.vault, v);
        v.commit().unwrap();
    }
    for name in [
        "cut",
        "grown",
        "written",
        "copied",
        "emptied",
        "elsewhere",
        "copy",
    ] {
        assert!(v.shows_as_told(ino(name)).unwrap().is_some(), "{name} was told");
    }
    v.end_graces();
    v.commit().unwrap();
    assert_eq!(v.status().unwrap().untold, 0);
    for _ in 0..3 {
        carry(v, &one.vault);
        fetch(v, &one.vault);
        carry(&one.vault, v);
        fetch(&one.vault, v);
    }
    let mut written = disk.clone();
    written[5 << 20..(5 << 20) + 4].copy_from_slice(b"here");
    let grown = [&disk[..], b"the end"].concat();
    for side in [&one.vault, v] {
        assert!(all(side, "written") == written);
        assert!(all(side, "grown") == grown);
        assert!(all(side, "cut") == disk[..3_000_001]);
        assert!(all(side, "copy") == disk);
        assert!(all(side, "elsewhere") == disk);
        assert!(all(side, "emptied").is_empty());
    }
    check(&one);
    check(&two);
}

/// The limit holds, what was used last stays, and what is pinned, open, or not confirmed does, too.
#[test]
fn what_is_confirmed_and_not_used_goes() {
    let (one, two) = pair();
    for n in 0..6 {
        put(&one.vault, &format!("{n}.bin"), 0, &noise(n, 1 << 20));
    }
    carry(&one.vault, &two.vault);
    fetch(&one.vault, &two.vault);
    let _serving = serve(&two.vault, vec![one.vault.clone()]);
    let v = &two.vault;
    let pinned = v.lookup(ROOT, b"0.bin").unwrap();
    assert_eq!(v.pin(&[pinned], true).unwrap(), 1);
    assert_eq!(v.pins().unwrap()[0].path, b"0.bin");
    assert!(fetch(&one.vault, v) >= 1 << 20, "what is pinned is fetched");
    for n in 1..6 {
        assert!(all(v, &format!("{n}.bin")) == noise(n, 1 << 20));
    }
    v.commit().unwrap();
    let open = v.lookup(ROOT, b"1.bin").unwrap();
    v.open(open, false, false, false).unwrap();
    // Made here, and the other has not heard of it.
    put(v, "own.bin", 0, &noise(9, 1 << 20));
    v.commit().unwrap();
    assert_eq!(evict(v, &one.vault), 0, "it has not all that was told");
    carry(v, &one.vault);
    let plan = v.plan_eviction().unwrap().unwrap();
    let held: HashSet<ChunkId> = ask(&one.vault, &plan).into_iter().collect();
    assert!(
        plan.pieces.iter().any(|id| !held.contains(id)),
        "it lacks own.bin's bytes"
    );
    assert!(evict(v, &one.vault) > 3 << 20);
    let is_here = |name: &str| {
        let ino = v.lookup(ROOT, name.as_bytes()).unwrap();
        v.read(ino, 0, 2 << 20, &mut Vec::new()).is_ok()
    };
    let here: Vec<String> = (0..6)
        .map(|n| format!("{n}.bin"))
        .filter(|name| is_here(name))
        .collect();
    assert!(
        here.contains(&"0.bin".into()) && here.contains(&"1.bin".into()),
        "{here:?}"
    );
    assert!(is_here("own.bin"));
    fetch(v, &one.vault);
    v.release(open, false);
    assert!(evict(v, &one.vault) > 0);
    assert!(
        v.survey().unwrap().kept_bytes <= LIMIT + (1 << 18),
        "{:?}",
        v.survey()
    );
    assert!(is_here("0.bin"));
    v.collect().unwrap();
    check(&two);
    for n in 0..6 {
        assert!(all(v, &format!("{n}.bin")) == noise(n, 1 << 20));
    }
    // Everything again: all comes, and then what is missing is lost and not elsewhere.
    v.set_keeping(Keeping::Everything, u64::MAX).unwrap();
    fetch(&one.vault, v);
    v.finish_keeping().unwrap();
    assert!(!v.is_partial());
    assert_eq!(v.survey().unwrap().absent_bytes, 0);
    check(&two.again());
}

/// Of two who stop keeping everything at the same time none gives up anything on the other's word; and what was
/// confirmed before one's own choice counts for nothing.
#[test]
fn two_who_stop_at_once_lose_nothing() {
    let one = Bench::new();
    put(&one.vault, "film.mkv", 0, &noise(7, 4 << 20));
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    carry(&one.vault, &two.vault);
    carry(&two.vault, &one.vault);
    for (first, second) in [(&one, &two), (&two, &one)] {
        first.vault.set_keeping(Keeping::Texts, LIMIT).unwrap();
        let plan = first.vault.plan_eviction().unwrap().unwrap();
        // Asked while it still keeps everything; the answer comes after it has chosen, too.
        let said = ask(&second.vault, &plan);
        second.vault.set_keeping(Keeping::Texts, LIMIT).unwrap();
        let theirs = second.vault.plan_eviction().unwrap().unwrap();
        assert!(
            ask(&first.vault, &theirs).is_empty(),
            "who may give up confirms nothing"
        );
        second.vault.confirmed(&ask(&first.vault, &theirs));
        assert_eq!(second.vault.evict(&theirs).unwrap(), 0);
        first.vault.confirmed(&said);
        assert!(
            first.vault.evict(&plan).unwrap() > 0,
            "the other has it, and gives it up to nobody"
        );
        let _serving = serve(&first.vault, vec![second.vault.clone()]);
        assert!(all(&first.vault, "film.mkv") == noise(7, 4 << 20));
        assert!(all(&second.vault, "film.mkv") == noise(7, 4 << 20));
        for bench in [first, second] {
            bench.vault.set_keeping(Keeping::Everything, u64::MAX).unwrap();
        }
        fetch(&second.vault, &first.vault);
        first.vault.finish_keeping().unwrap();
        second.vault.finish_keeping().unwrap();
        assert!(!first.vault.is_partial() && !second.vault.is_partial());
    }
    // An answer from before the choice.
    one.vault.set_keeping(Keeping::Texts, LIMIT).unwrap();
    let plan = one.vault.plan_eviction().unwrap().unwrap();
    one.vault.confirmed(&ask(&two.vault, &plan));
    one.vault.set_keeping(Keeping::Everything, LIMIT).unwrap();
    one.vault.set_keeping(Keeping::Texts, LIMIT).unwrap();
    assert_eq!(one.vault.evict(&plan).unwrap(), 0);
    check(&one);
    check(&two);
}
