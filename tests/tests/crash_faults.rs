//! Guards what happens when the disk refuses: at whatever call it says that it is full
//! or broken, once or until it is mended, calls fail with that errno, what fsync
//! acknowledged stays, and once the disk is mended everything that was accepted is
//! committed and reads back.
//!
//! `COFFER_LONG=1` lets every call fail; else some, from `COFFER_SEED` on. `COFFER_CALL=k`
//! lets the k-th fail, again and again: which bytes lie where depends on threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coffer_fs::types::Errno;
use coffer_store::io::sim::{Fault, SimDisk, SplitMix64};
use coffer_tests::crash::image::{serve, sound, which, write_file};
use coffer_tests::crash::look::{difference, look};
use coffer_tests::crash::player::{Player, Step, locked};
use coffer_tests::crash::workload;
use coffer_tests::engine;
use coffer_tests::settings::{long, seeds};

/// One way in which a disk fails.
#[derive(Clone, Copy, Debug)]
struct Failing {
    /// At which call after opening.
    k: u64,
    fault: Fault,
    sticky: bool,
}

impl Failing {
    fn errno(self) -> Errno {
        match self.fault {
            Fault::NoSpace => Errno(libc::ENOSPC),
            Fault::Io => Errno(libc::EIO),
        }
    }
}

fn player(disk: &SimDisk) -> Result<Player, String> {
    let disk = disk.clone();
    Player::new(Box::new(move || serve(&disk)))
}

/// Plays the steps that are still possible; those that fail must say why.
fn play(player: &mut Player, steps: &[Step], disk: &SimDisk, failing: Failing) -> Result<u64, String> {
    let (mut failed, errno) = (0, failing.errno());
    for (i, step) in steps.iter().enumerate() {
        // Closing gives up what cannot be committed: that is another promise.
        if matches!(step, Step::Reopen) || !player.is_possible(step) {
            continue;
        }
        if let Err(e) = player.play(step) {
            failed += 1;
            if e != errno {
                return Err(format!("step {i} {step:?} fails with {e:?}, not {errno:?}"));
            }
            if let Step::Copy { to, offset, .. } = step {
                disk.heal();
                copied_in_part(player, *to, *offset)?;
                if failing.sticky {
                    disk.fail_at(disk.ops() + 1, failing.fault, true);
                }
            }
        }
    }
    Ok(failed)
}

/// A copy may fail in the middle: what it did before stays, and nothing else changes.
fn copied_in_part(player: &mut Player, slot: u32, offset: usize) -> Result<(), String> {
    let now = player
        .read(slot)
        .map_err(|e| format!("the target of a failed copy cannot be read: {e:?}"))?;
    if now.len() < offset {
        return Err("a failed copy has shortened its target".into());
    }
    player.learn(slot, now);
    Ok(())
}

fn fail(steps: &[Step], failing: Failing, seed: u64) -> Result<u64, String> {
    let disk = engine::empty();
    let mut player = player(&disk)?;
    disk.fail_at(disk.ops() + failing.k, failing.fault, failing.sticky);
    let failed = play(&mut player, steps, &disk, failing)?;

    // The power goes while the disk still fails.
    let history = player.history();
    let views = {
        let history = locked(&history);
        history.views[history.acknowledged..].to_vec()
    };
    let cut = serve(&disk.crash(seed)).map_err(|e| format!("a power cut on the failing disk: {e}"))?;
    which(&views, &look(&cut)?).map_err(|e| format!("a power cut on the failing disk: {e}"))?;
    sound(cut.vault()).map_err(|e| format!("a power cut on the failing disk: {e}"))?;

    // Or the disk is mended.
    disk.heal();
    let expected = player.model().present();
    if let Some(what) = difference(&expected, &look(player.fs())?) {
        return Err(format!("on the mended disk: {what}"));
    }
    let commit = player.fs().vault().commit();
    commit.map_err(|e| format!("the commit on the mended disk: {e}"))?;
    write_file(player.fs(), b"later", &[7; 100_000]).map_err(|e| format!("on the mended disk: {e}"))?;
    sound(player.fs().vault()).map_err(|e| format!("on the mended disk: {e}"))?;
    let after =
        serve(&disk.crash_all_lost()).map_err(|e| format!("after a power cut on the mended disk: {e}"))?;
    let mut found = look(&after)?;
    if found.remove("/later").is_none() {
        return Err("a file that was synced on the mended disk is lost".into());
    }
    if let Some(what) = difference(&expected, &found) {
        return Err(format!("after a power cut on the mended disk: {what}"));
    }
    sound(after.vault()).map_err(|e| format!("after a power cut on the mended disk: {e}"))?;
    Ok(failed)
}

/// The one call that is to fail, if only one is.
fn call() -> Option<u64> {
    std::env::var("COFFER_CALL").ok()?.parse().ok()
}

/// The ways of failing, in turn.
fn cases_at(i: u64) -> Failing {
    Failing {
        k: 0,
        fault: if i & 1 == 0 { Fault::Io } else { Fault::NoSpace },
        sticky: i & 2 != 0,
    }
}

/// Lets calls fail, of all that the steps make: every `stride`-th, by chance.
fn fail_everywhere(steps: &[Step], seed: u64, stride: u64) {
    let disk = engine::empty();
    let mut player = player(&disk).expect("the vault opens");
    let before = disk.ops();
    for step in steps.iter().filter(|step| !matches!(step, Step::Reopen)) {
        player.play(step).expect("a step on a healthy disk");
    }
    let calls = disk.ops() - before;
    let mut rng = SplitMix64(seed);
    let mut cases = Vec::new();
    let mut k = 1 + rng.below(stride);
    while k <= calls {
        for fault in [Fault::NoSpace, Fault::Io] {
            for sticky in [false, true] {
                if long() || rng.below(2) == 0 {
                    cases.push(Failing { k, fault, sticky });
                }
            }
        }
        k += 1 + if stride > 1 { rng.below(2 * stride - 1) } else { 0 };
    }
    if let Some(k) = call() {
        cases = (0..400).map(|i| Failing { k, ..cases_at(i) }).collect();
    }
    let next = AtomicU64::new(0);
    let problems = std::sync::Mutex::new(Vec::new());
    let failed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let run = std::panic::AssertUnwindSafe(|| fail(steps, *case, seed ^ case.k));
                    match std::panic::catch_unwind(run).unwrap_or_else(|_| Err("a panic".into())) {
                        Ok(n) => {
                            failed.fetch_add(n, Ordering::Relaxed);
                        }
                        Err(what) => locked(&problems).push(format!("COFFER_SEED={seed} {case:?}: {what}")),
                    }
                }
            });
        }
    });
    let problems = locked(&problems);
    assert!(
        problems.is_empty(),
        "{} of {} cases, the first:\n{}",
        problems.len(),
        cases.len(),
        problems[..problems.len().min(8)].join("\n")
    );
    assert!(failed.load(Ordering::Relaxed) > 0, "no call failed");
}

/// A day's work on a disk that fails.
#[test]
fn a_failing_disk_loses_nothing_in_a_days_work() {
    for seed in seeds(1, 2) {
        fail_everywhere(&workload::day(seed, 2), seed, if long() { 1 } else { 12 });
    }
}

/// Random work on a disk that fails.
#[test]
fn a_failing_disk_loses_nothing_in_random_work() {
    for seed in seeds(3, 20) {
        let stride = if long() { 1 } else { 12 };
        fail_everywhere(&workload::random(seed, 90), seed, stride);
    }
}

/// Writes files of 1 MiB until there is no room; how many.
fn fill(player: &mut Player, rng: &mut SplitMix64, from: u32) -> u32 {
    for n in 0..200 {
        let slot = 1000 + from + n;
        let (open, write, close) = (
            Step::Open {
                slot,
                path: format!("/fill {}", from + n),
                truncate: false,
            },
            Step::Write {
                slot,
                offset: 0,
                data: Arc::new(rng.bytes(1 << 20)),
            },
            Step::Close { slot },
        );
        let done = player.play(&open).and_then(|()| player.play(&write));
        if player.is_possible(&close) {
            player.play(&close).expect("closing needs no room");
        }
        if let Err(e) = done {
            assert_eq!(e, Errno(libc::ENOSPC));
            return n;
        }
    }
    panic!("there was room for 200 MiB where there are only 24");
}

fn same(player: &Player, disk: &SimDisk, when: &str) {
    let expected = player.model().present();
    let shown = look(player.fs()).expect("it can be listed");
    assert_eq!(difference(&expected, &shown), None, "{when}");
    let after = serve(&disk.crash_all_lost()).expect("it opens on the full disk");
    let shown = look(&after).expect("it can be listed");
    assert_eq!(difference(&expected, &shown), None, "{when}, after a power cut");
    sound(after.vault()).expect("its check passes");
}

/// A disk that runs full refuses writes, but never a commit of what was accepted, nor a
/// removal; what is removed gives room again, and so does whoever frees some elsewhere.
#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let disk = engine::empty();
    let mut player = player(&disk).expect("the vault opens");
    let mut rng = SplitMix64(7);
    disk.set_free(Some(24 << 20));
    let filled = fill(&mut player, &mut rng, 0);
    assert!(filled >= 8, "only {filled} MiB of 24 could be written");
    player.play(&Step::Tick).expect("what was accepted can be stored");
    same(&player, &disk, "full");
    for n in 0..filled {
        player
            .play(&Step::Remove(format!("/fill {n}")))
            .expect("removing needs no room");
    }
    player.play(&Step::Tick).expect("removals can be stored");
    same(&player, &disk, "emptied");
    player
        .play(&Step::Collect)
        .expect("dead chunks can be given back");
    // What was removed is kept for as long as there is room: it gives way to who needs it, the
    // oldest first.
    let mut again = 0;
    for _ in 0..8 {
        player.fs().vault().tend();
        again += fill(&mut player, &mut rng, 100 + again);
    }
    player
        .play(&Step::Reopen)
        .expect("it closes, which removes what was replaced");
    assert!(
        again >= filled / 2,
        "{again} MiB of the {filled} that were removed can be used again"
    );
    player.play(&Step::Tick).expect("what was accepted can be stored");
    same(&player, &disk, "full again");
    disk.set_free(Some(24 << 20));
    assert!(fill(&mut player, &mut rng, 200) >= 8, "new room is found");
    player.play(&Step::Tick).expect("what was accepted can be stored");
    same(&player, &disk, "full for the third time");
}
