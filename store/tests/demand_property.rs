//! Bytes on demand at random: reading, writing, copying, removing, giving up, collecting and pulling of plugs, on a device
//! that keeps names and texts beside one that keeps everything. Guards that bytes read are always those that were written.

mod demand_support;
mod texts_support;

use coffer_store::ids::ROOT;
use coffer_store::io::sim::SplitMix64;
use coffer_store::vault::OpError;
use demand_support::{all, carry, check, evict, fetch, noise, pair, put, serve};
use texts_support::meta;

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
        if !chance.next_u64().is_multiple_of(3) {
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
