//! Guards the vault's file system without a kernel: random streams of operations with
//! remounts, played to it and to the model, and every answer compared; and what no stream
//! shows: folders read while they change.

use coffer_fs::types::*;
use coffer_tests::engine::Engine;
use coffer_tests::op::Op;
use coffer_tests::play::direct::{Bench, Direct};
use coffer_tests::play::lockstep::{self, Closeness, Mismatch};
use coffer_tests::reference::bench::ReferenceBench;
use coffer_tests::settings::seeds;
use coffer_tests::stream::generate::Profile;
use coffer_tests::stream::trial::try_seeds;
use std::collections::BTreeMap;

const PROFILE: Profile = Profile {
    ops: 300,
    direct: true,
    remounts: 2,
};

fn play(seed: u64, ops: &[Op], bench: impl Bench) -> std::result::Result<(), Mismatch> {
    let mut model = Direct::new(ReferenceBench::default());
    let mut tested = Direct::new(bench);
    let closeness = Closeness {
        contents: seed.is_multiple_of(2),
        times: true,
    };
    lockstep::run(&mut [&mut model, &mut tested], ops, closeness)?;
    tested.let_go();
    // Whatever is comparable is the same now; is what is stored sound too?
    tested.bench_mut().verify().map_err(|what| Mismatch {
        step: ops.len(),
        what,
    })
}

/// It answers, stamps and stores what the model does, now and after remounts.
#[test]
fn the_vault_does_what_the_model_does() {
    try_seeds(seeds(200, 10_000), PROFILE, 2000, |seed, ops| {
        play(seed, ops, Engine::default())
    });
}

/// Reads a folder in pieces while names come and go: what stays is listed exactly once.
fn read_while_it_changes(bench: impl Bench) {
    let fs = bench.fs();
    let who = Caller::default();
    let make = |name: &str| {
        let made = fs
            .make(who, ROOT, name.as_bytes(), NewNode::File, 0o644)
            .expect("the name is free");
        fs.forget(made.ino, 1);
    };
    for index in 0..2000 {
        make(&format!("stays {index}"));
        make(&format!("goes {index}"));
    }
    let (mut seen, mut cookie, mut round) = (BTreeMap::<Vec<u8>, u32>::new(), 0, 0);
    loop {
        let mut taken = 0;
        fs.readdir(ROOT, cookie, &mut |entry| {
            if taken == 37 {
                return false;
            }
            taken += 1;
            cookie = entry.cookie;
            *seen.entry(entry.name.to_vec()).or_default() += 1;
            true
        })
        .expect("the root can be read");
        if taken == 0 {
            break;
        }
        // Gone before and behind the place where the reading is, and new ones too; one that
        // stays is renamed away and back, which may list it again, so it is not counted.
        for index in [round, 1999 - round] {
            fs.unlink(Caller::default(), ROOT, format!("goes {index}").as_bytes())
                .unwrap_or_default();
        }
        if round < 400 {
            make(&format!("comes {round}"));
        }
        round += 1;
        assert!(round < 10_000, "reading a folder does not end");
    }
    for index in 0..2000 {
        let times = seen
            .get(format!("stays {index}").as_bytes())
            .copied()
            .unwrap_or(0);
        assert_eq!(times, 1, "“stays {index}” is listed {times} times");
    }
    for dots in [&b"."[..], b".."] {
        assert_eq!(seen.get(dots), Some(&1));
    }
    assert!(seen.values().all(|times| *times == 1), "a name is listed twice");
}

/// readdir's offsets are stable: in the model, and in the vault.
#[test]
fn folders_can_be_read_while_they_change() {
    read_while_it_changes(ReferenceBench::default());
    read_while_it_changes(Engine::default());
}

/// A file of a terabyte with a few bytes in it takes a few blocks, reads as zeros where
/// nothing is, and is found by its data alone.
fn holes_cost_nothing(mut bench: impl Bench) {
    const TIB: u64 = 1 << 40;
    let fs = bench.fs();
    let mode = OpenMode {
        read: true,
        write: true,
        ..OpenMode::default()
    };
    let (attr, handle) = fs
        .create(Caller::default(), ROOT, b"sparse", 0o644, mode, true)
        .expect("the name is free");
    let size = SetAttr {
        size: Some(TIB),
        ..SetAttr::default()
    };
    fs.setattr(Caller::default(), attr.ino, Some(handle), size)
        .expect("a file may be large");
    for offset in [10_000_000_000, TIB - 4] {
        fs.write(attr.ino, handle, offset, b"data", false)
            .expect("there is room");
    }
    fs.release(attr.ino, handle);
    fs.forget(attr.ino, 1);
    drop(fs);
    bench.remount();
    let fs = bench.fs();
    let attr = fs.lookup(ROOT, b"sparse").expect("it was made");
    assert_eq!(attr.size, TIB);
    assert!(attr.blocks * 512 < 16 << 20, "{} blocks", attr.blocks);
    let handle = fs.open(Caller::default(), attr.ino, mode).expect("it is a file");
    for (offset, expected) in [
        (0, [0; 8]),
        (10_000_000_000 - 4, *b"\0\0\0\0data"),
        (TIB - 8, *b"\0\0\0\0data"),
    ] {
        let mut out = Vec::new();
        fs.read(attr.ino, handle, offset, 8, &mut out)
            .expect("it can be read");
        assert_eq!(out, expected, "at {offset}");
    }
    let data = fs.lseek(attr.ino, handle, 0, Seek::Data).expect("there is data");
    assert!(
        data <= 10_000_000_000 && data > 9_900_000_000,
        "data is said to be at {data}"
    );
    fs.release(attr.ino, handle);
}

/// In the model, and in the vault.
#[test]
fn sparse_files_stay_sparse() {
    holes_cost_nothing(ReferenceBench::default());
    holes_cost_nothing(Engine::default());
}
