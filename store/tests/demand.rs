//! A device that keeps names and texts, and one or two that keep everything: what is fetched when it is read, what is
//! given up and what never is. Guards that bytes read are always the same, that nothing goes that nobody has confirmed, and that
//! nobody waits longer than there is anything to wait for.

mod texts_support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use coffer_store::ids::{ChainId, Ino, ROOT};
use coffer_store::io::sim::SplitMix64;
use coffer_store::keys::ChunkId;
use coffer_store::vault::{CheckOptions, Demanded, Identity, Keeping, OpError, Vault};
use texts_support::{Bench, meta};

const LIMIT: u64 = 1 << 20;

fn put(vault: &Vault, name: &str, offset: u64, bytes: &[u8]) -> Ino {
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), meta(), b"").unwrap(),
    };
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(offset), bytes, false).unwrap();
    vault.release(ino, true);
    ino
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    SplitMix64(seed).bytes(len)
}

/// What one told that the other lacks comes to it.
fn carry(from: &Vault, to: &Vault) {
    from.commit().unwrap();
    let has = to.clock().unwrap();
    let after: Vec<(ChainId, u64)> = from
        .clock()
        .unwrap()
        .keys()
        .map(|chain| (*chain, has.get(chain).map_or(0, |(last, _)| *last)))
        .collect();
    for carried in from.batches_after(&after, usize::MAX).unwrap() {
        to.take_in(&from.device(), &carried).unwrap();
    }
    to.commit().unwrap();
}

/// Brings what is to be here until nothing is lacking that this one has.
fn fetch(from: &Vault, to: &Vault) -> usize {
    let mut bytes = 0;
    loop {
        let mut came = 0;
        for want in to.lacking(64).unwrap() {
            if let Some(sealed) = from.sealed_chunk(&want.id).unwrap() {
                to.put_chunk(&want.id, &sealed).unwrap();
                came += sealed.len();
            }
        }
        to.commit().unwrap();
        bytes += came;
        if came == 0 {
            return bytes;
        }
    }
}

/// Serves what readers want from these, in the order of the list, as the network does.
fn serve(reader: &Arc<Vault>, from: Vec<Arc<Vault>>) -> Sender<Demanded> {
    let (tell, told) = channel::<Demanded>();
    let (hook, to) = (tell.clone(), Arc::downgrade(reader));
    reader.when_wanted(move |what| drop(hook.send(what)));
    reader.set_reach(true, !from.is_empty());
    std::thread::spawn(move || {
        for what in told {
            let Some(to) = to.upgrade() else { return };
            let Demanded::Want(id, _) = what else { continue };
            match from.iter().find_map(|vault| vault.sealed_chunk(&id).unwrap()) {
                Some(sealed) => to.put_chunk(&id, &sealed).unwrap(),
                None => to.is_nowhere(&id),
            }
        }
    });
    tell
}

/// Reads as a worker of the mount does: what is not here is brought.
fn read(vault: &Vault, ino: Ino, offset: u64, len: usize) -> Result<Vec<u8>, OpError> {
    loop {
        let mut out = Vec::new();
        match vault.read(ino, offset, len, &mut out) {
            Err(OpError::Store(error)) if error.absent().is_some() => {
                vault.bring_range(ino, offset, len as u64)?;
            }
            done => return done.map(|()| out),
        }
    }
}

/// All of a file, in steps.
fn all(vault: &Vault, name: &str) -> Vec<u8> {
    let ino = vault.lookup(ROOT, name.as_bytes()).unwrap();
    vault.open(ino, false, false, false).unwrap();
    let (size, mut bytes) = (vault.stat(ino).unwrap().size, Vec::new());
    while (bytes.len() as u64) < size {
        bytes.extend(read(vault, ino, bytes.len() as u64, 128 << 10).unwrap());
    }
    vault.release(ino, false);
    bytes
}

/// What the keeper confirms of a plan, as the protocol asks it.
fn ask(keeper: &Vault, plan: &coffer_store::vault::Plan) -> Vec<ChunkId> {
    let clock = keeper.clock().unwrap();
    let has = |(chain, last): &(ChainId, u64)| clock.get(chain).is_some_and(|(there, _)| there >= last);
    if keeper.keeping() != Keeping::Everything || !plan.clock.iter().all(has) {
        return Vec::new();
    }
    let held = |id: &&ChunkId| keeper.holds_chunk(id).unwrap();
    plan.pieces.iter().filter(held).copied().collect()
}

/// Gives up what this keeper confirms; how many bytes.
fn evict(vault: &Vault, keeper: &Vault) -> u64 {
    let mut gone = 0;
    while let Some(plan) = vault.plan_eviction().unwrap() {
        vault.confirmed(&ask(keeper, &plan));
        match vault.evict(&plan).unwrap() {
            0 => break,
            more => gone += more,
        }
    }
    gone
}

fn check(bench: &Bench) {
    let report = bench
        .vault
        .check(CheckOptions { read_data: true }, &mut |_| {})
        .unwrap();
    assert_eq!(report.problems, Vec::new());
}

/// A keeper, and one beside it that keeps names and texts.
fn pair() -> (Bench, Bench) {
    let one = Bench::new();
    one.save(1, "note.md", "small\n");
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    two.vault.set_keeping(Keeping::Texts, LIMIT).unwrap();
    (one, two)
}

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
    assert!(two.vault.waited_for().is_empty(), "nobody waits any more");
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

/// Random reading, writing, copying, removing, giving up, collecting and pulling of plugs, on two devices: what is read
/// is always what was written, and in the end both have the same.
#[test]
fn whatever_happens_bytes_are_the_same() {
    for seed in 1..=6 {
        play(seed);
    }
}

fn play(seed: u64) {
    let mut chance = SplitMix64(seed);
    let (one, mut two) = pair();
    // Large files may be found in one another: what they share is stored once.
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for round in 0..40u64 {
        let serving = serve(&two.vault, vec![one.vault.clone()]);
        let pick = |chance: &mut SplitMix64, n: usize| (chance.next_u64() % n.max(1) as u64) as usize;
        match chance.next_u64() % 10 {
            0 | 1 => {
                let (name, side): (String, u64) = (format!("f{round}"), chance.next_u64() % 2);
                let bytes = noise(
                    seed * 1000 + chance.next_u64() % 6,
                    100_000 + pick(&mut chance, 2 << 20),
                );
                put(if side == 0 { &one.vault } else { &two.vault }, &name, 0, &bytes);
                files.push((name, bytes));
            }
            2 | 3 if !files.is_empty() => {
                let n = pick(&mut chance, files.len());
                let (name, bytes) = &mut files[n];
                let at = pick(&mut chance, bytes.len());
                let patch = noise(chance.next_u64(), 5000);
                let end = (at + patch.len()).max(bytes.len());
                bytes.resize(end, 0);
                bytes[at..at + patch.len()].copy_from_slice(&patch);
                put(&two.vault, name, at as u64, &patch);
            }
            4 if !files.is_empty() => {
                let n = pick(&mut chance, files.len());
                let (from, bytes) = files[n].clone();
                let name = format!("c{round}");
                let v = &two.vault;
                let source = v.lookup(ROOT, from.as_bytes()).unwrap();
                let copy = v.make(ROOT, name.as_bytes(), meta(), b"").unwrap();
                v.open(copy, true, false, false).unwrap();
                let mut done = 0;
                while done < bytes.len() as u64 {
                    match v.copy((source, done), (copy, done), bytes.len() as u64 - done) {
                        Ok(more) => done += more,
                        Err(OpError::Store(error)) if error.absent().is_some() => {
                            v.bring(source, error.absent().unwrap()).unwrap();
                            done = v.stat(copy).unwrap().size;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                v.release(copy, true);
                files.push((name, bytes));
            }
            5 if files.len() > 3 => {
                let n = pick(&mut chance, files.len());
                let (name, _) = files.remove(n);
                two.vault.remove(ROOT, name.as_bytes(), false).unwrap();
            }
            6 => {
                if let Some((name, bytes)) = files.get(pick(&mut chance, files.len())) {
                    assert!(
                        all(&two.vault, name) == *bytes,
                        "seed {seed}, round {round}: {name}"
                    );
                }
            }
            7 => drop(two.vault.collect().unwrap()),
            8 => {
                two.vault.commit().unwrap();
                drop(serving);
                two = two.crashed();
                continue;
            }
            _ => drop(evict(&two.vault, &one.vault)),
        }
        two.vault.end_graces();
        one.vault.end_graces();
        if chance.next_u64() % 3 > 0 {
            for _ in 0..2 {
                carry(&two.vault, &one.vault);
                fetch(&two.vault, &one.vault);
                carry(&one.vault, &two.vault);
                fetch(&one.vault, &two.vault);
            }
        }
        // What was made on the other is not known here before it was carried.
        carry(&one.vault, &two.vault);
        fetch(&one.vault, &two.vault);
    }
    let _serving = serve(&two.vault, vec![one.vault.clone()]);
    for _ in 0..3 {
        carry(&two.vault, &one.vault);
        fetch(&two.vault, &one.vault);
        carry(&one.vault, &two.vault);
        fetch(&one.vault, &two.vault);
    }
    evict(&two.vault, &one.vault);
    two.vault.collect().unwrap();
    one.vault.collect().unwrap();
    for (name, bytes) in &files {
        assert!(
            all(&one.vault, name) == *bytes,
            "seed {seed}: {name} on the keeper"
        );
        assert!(all(&two.vault, name) == *bytes, "seed {seed}: {name}");
    }
    check(&one);
    check(&two);
}
